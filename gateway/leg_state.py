"""A leg's configuration and its supervisor's status, as REST and the console show them."""

from tongpin.config.models import LegConfig
from tongpin.gateway.api.services import LegState
from tongpin.gateway.events.log import Json
from tongpin.gateway.legtests import LegTest
from tongpin.gateway.radio.supervisor import LegStatus


def leg_state(config: LegConfig, status: LegStatus, test: LegTest | None, emergency: str | None) -> LegState:
    """As REST has it; ``test`` is the last that was made of the leg, ``emergency`` who has raised one by radio."""
    return LegState(
        name=config.name,
        label=config.label or config.name,
        party=f"leg:{config.name}",
        agency=config.agency,
        talk_group=config.talk_group,
        online=status.is_online,
        reason=status.reason,
        cos=status.cos,
        keyed=status.is_keyed,
        gate_open=status.gate_open,
        rx_dbfs=round(status.rx_dbfs, 1),
        tx_dbfs=round(status.tx_dbfs, 1),
        playout_depth=status.playout_frames + status.jitter_packets,
        dropped=status.dropped + status.link_drops,
        lost=status.lost,
        concealed=status.concealed,
        underruns=status.tx_underruns,
        restarts=status.restarts,
        last_audio_in_s_ago=status.last_audio_in_s_ago,
        last_audio_out_s_ago=status.last_audio_out_s_ago,
        capture_ppm=None if status.capture_ppm is None else round(status.capture_ppm, 1),
        playout_ppm=None if status.playout_ppm is None else round(status.playout_ppm, 1),
        keying=status.keying,
        last_test_at=None if test is None else test.at.isoformat(timespec="seconds"),
        last_test_problems=None if test is None else list(test.problems),
        emergency=emergency,
    )


def leg_json(state: LegState) -> dict[str, Json]:
    return {
        "name": state.name,
        "label": state.label,
        "party": state.party,
        "agency": state.agency,
        "talk_group": state.talk_group,
        "online": state.online,
        "reason": state.reason,
        "cos": state.cos,
        "keyed": state.keyed,
        "rx_dbfs": state.rx_dbfs,
        "tx_dbfs": state.tx_dbfs,
        "emergency": state.emergency,
    }
