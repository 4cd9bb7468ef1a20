"""What an analog radio signals besides voice."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tongpin.config.base import Float, Int, Model

DcsCode = Annotated[str, StringConstraints(pattern=r"^[0-7]{3}[NI]?$")]
"""Three octal digits in quotes, with ``I`` after them when the code is inverted: "023", "023I"."""


class SignallingConfig(Model):
    """What is decoded of, and sent to, an analog radio (docs/signalling.md).

    Attributes:
        selcall: five-tone calls of this kind, of ``selcall_digits`` digits.
        ctcss, dcs: tones in Hz and codes of which one must be there: the default gate expression asks for them.
        mute: keys, data bursts and calls are not let through to the others.
        tx_ctcss, tx_dcs: what is sent under every transmission, at ``tx_tone_dbfs``, and ended by a reverse burst or
            the turn-off code of ``turn_off_ms`` (0 = none).
    """

    dtmf: bool = False
    mdc1200: bool = False
    selcall: Literal["zvei1", "ccir"] | None = None
    selcall_digits: Int = Field(default=5, ge=3, le=8)
    ctcss: tuple[Float, ...] = Field(default=(), max_length=50)
    dcs: tuple[DcsCode, ...] = Field(default=(), max_length=16)
    mute: bool = False
    tx_ctcss: Float | None = None
    tx_dcs: DcsCode | None = None
    tx_tone_dbfs: Float = Field(default=-30.0, ge=-60, le=-10)
    turn_off_ms: Int = Field(default=180, ge=0, le=400)
