"""What a leg decodes and sends besides voice: from its configuration to the codecs, from their events to messages."""

from tongpin.codecs.ctcss import CtcssEncoder, ToneMoved
from tongpin.codecs.dcs import CodeMoved, DcsEncoder
from tongpin.codecs.dtmf import DtmfKey
from tongpin.codecs.errors import SignallingError
from tongpin.codecs.mdc1200 import DOUBLE_OPS, MdcHeard, MdcKind
from tongpin.codecs.selcall import SelcallKind
from tongpin.codecs.signalling import SignalEvent, SignallingSettings
from tongpin.config.signalling import SignallingConfig
from tongpin.gateway.radio.messages import Signalled


def signalling_settings(config: SignallingConfig) -> SignallingSettings:
    return SignallingSettings(
        dtmf=config.dtmf,
        mdc1200=config.mdc1200,
        selcall=SelcallKind(config.selcall) if config.selcall is not None else None,
        selcall_digits=config.selcall_digits,
        ctcss=config.ctcss,
        dcs=config.dcs,
    )


def make_tone(config: SignallingConfig) -> CtcssEncoder | DcsEncoder | None:
    """What is sent under a transmission.

    Raises:
        SignallingError: the tone does not exist, or both a tone and a code are wanted.
    """
    if config.tx_ctcss is not None and config.tx_dcs is not None:
        raise SignallingError("a radio sends tx_ctcss or tx_dcs, not both")
    if config.tx_ctcss is not None:
        return CtcssEncoder(config.tx_ctcss, config.tx_tone_dbfs)
    return DcsEncoder(config.tx_dcs, config.tx_tone_dbfs) if config.tx_dcs is not None else None


def message_of(event: SignalEvent, config: SignallingConfig) -> Signalled:
    match event:
        case DtmfKey(key):
            return Signalled("dtmf", "key", key, "")
        case ToneMoved(_, tone_hz, cause):
            return Signalled("ctcss", cause, f"{tone_hz:.1f}", "")
        case CodeMoved(_, code, cause):
            return Signalled("dcs", cause, code, "")
        case MdcHeard():
            return Signalled("mdc1200", event.kind, f"{event.caller:04X}", _detail(event))
        case _:
            return Signalled(config.selcall or "", "call", event.code, "")


def _detail(heard: MdcHeard) -> str:
    if heard.kind is MdcKind.STATUS:
        return str(heard.arg)
    if heard.kind is MdcKind.OTHER:
        return f"{heard.op:02X}{heard.arg:02X}"
    return f"{heard.unit:04X}" if heard.op in DOUBLE_OPS else ""
