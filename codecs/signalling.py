"""All decoders of a leg behind one front end: frames in, what the radio signals out."""

from dataclasses import dataclass

from tongpin.codecs.ctcss import CtcssDecoder, ToneMoved
from tongpin.codecs.dcs import CodeMoved, DcsDecoder
from tongpin.codecs.dtmf import DtmfDecoder, DtmfKey
from tongpin.codecs.frame import PcmFrame
from tongpin.codecs.front import FrontEnd
from tongpin.codecs.mdc1200 import MdcHeard
from tongpin.codecs.mdc1200_modem import MdcDecoder
from tongpin.codecs.selcall import SelcallDecoder, SelcallHeard, SelcallKind

SignalEvent = DtmfKey | SelcallHeard | MdcHeard | ToneMoved | CodeMoved


@dataclass(frozen=True, slots=True)
class SignallingSettings:
    """Which decoders run. ``ctcss`` in Hz and ``dcs`` as "023" or "023I": those that open; empty = not decoded."""

    dtmf: bool = False
    mdc1200: bool = False
    selcall: SelcallKind | None = None
    selcall_digits: int = 5
    ctcss: tuple[float, ...] = ()
    dcs: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        return bool(self.dtmf or self.mdc1200 or self.selcall or self.ctcss or self.dcs)


@dataclass(frozen=True, slots=True)
class Signals:
    """What one frame led to.

    Attributes:
        ctcss, dcs, dtmf: a wanted tone or code, a key, is there now.
        burst_since: where the key, the data burst or the row of tones that sounds now began, in 48 kHz samples since
            the start; None when there is none. It lies in the past: a key is sure after 40 ms, a data burst after 80.
    """

    events: tuple[SignalEvent, ...] = ()
    ctcss: bool = False
    dcs: bool = False
    dtmf: bool = False
    burst_since: int | None = None


class SignallingDecoder:
    """Feed it every captured frame, before the gate and before Opus. State is bounded; time counts samples.

    Raises:
        SignallingError: a tone or code of the settings does not exist.
    """

    def __init__(self, settings: SignallingSettings) -> None:
        self._front = FrontEnd()
        self._dtmf = DtmfDecoder() if settings.dtmf else None
        self._mdc = MdcDecoder() if settings.mdc1200 else None
        self._selcall = SelcallDecoder(settings.selcall, settings.selcall_digits) if settings.selcall else None
        self._ctcss = CtcssDecoder(settings.ctcss) if settings.ctcss else None
        self._dcs = DcsDecoder(settings.dcs) if settings.dcs else None

    def push(self, pcm: PcmFrame) -> Signals:
        """One frame, 20 ms. Raises FrameShapeError; nothing changed."""
        bands = self._front.push(pcm)
        events: list[SignalEvent] = []
        since: list[int | None] = []
        for decoder in (self._dtmf, self._mdc, self._selcall):
            if decoder is not None:
                events += decoder.push(bands.voice)
                since.append(decoder.since_samples)
        for squelch in (self._ctcss, self._dcs):
            moved = squelch.push(bands.low) if squelch is not None else None
            events += [moved] if moved is not None else []
        return Signals(
            tuple(events),
            ctcss=self._ctcss is not None and self._ctcss.tone_hz is not None,
            dcs=self._dcs is not None and self._dcs.code is not None,
            dtmf=self._dtmf is not None and self._dtmf.key is not None,
            burst_since=min((at for at in since if at is not None), default=None),
        )
