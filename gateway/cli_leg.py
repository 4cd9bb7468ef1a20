"""``tongpin leg test``: one radio on the air, without the service; also what unlocks its keying line."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

import typer

from tongpin.channels.ids import PartyId
from tongpin.config.models import Config, LegConfig
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.radio.claim import RadioClaim
from tongpin.gateway.radio.drivers import line_id
from tongpin.gateway.radio.polarity import PolarityRecord
from tongpin.gateway.radio.probe import TONE_DBFS, Report, Step
from tongpin.gateway.radio.supervisor import LegStatus, LegSupervisor

_ONLINE_S = 30.0
_CALIBRATION_S = 10.0
_SAID = {
    Step.QUIET: "listening to the quiet receiver ...",
    Step.LISTEN: "now speak into another radio of this net (for calibration: 1 kHz at 60 % deviation) ...",
    Step.KEYING: "keying ...",
    Step.TALK: "on the air ...",
    Step.UNKEYING: "unkeying ...",
    Step.WATCH: "listening whether the receiver is quiet again ...",
}


class _Watcher:
    """Waits for one leg to come on line. Implements ``LegEvents``."""

    def __init__(self) -> None:
        self.is_online = asyncio.Event()

    def gate_moved(self, party: PartyId, is_open: bool, cause: str) -> None:
        """Not what this is for."""

    def packet(self, party: PartyId, packet: Packet) -> None:
        """Not what this is for."""

    def status(self, party: PartyId, status: LegStatus) -> None:
        """Not what this is for."""

    def online(self, party: PartyId, is_online: bool, reason: str) -> None:
        if is_online:
            self.is_online.set()

    def keyed(self, party: PartyId, is_keyed: bool, cause: str) -> None:
        """Not what this is for."""


async def run_test(
    leg: LegConfig, listen_s: float, tone_s: float, parrots: bool, on_step: Callable[[str], None]
) -> Report:
    """Bring the leg up, test it, take it down again.

    Raises:
        DeviceError: it does not come on line, or its worker fails.
    """
    watcher = _Watcher()
    supervisor = LegSupervisor(leg, watcher)
    running = asyncio.create_task(supervisor.run())
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(watcher.is_online.wait(), _ONLINE_S)
        if not watcher.is_online.is_set():
            raise DeviceError(f"the leg does not come on line: {supervisor.status.reason}")
        return await supervisor.test(listen_s, tone_s, parrots, on_step)
    finally:
        await supervisor.stop()
        await running


def _rows(leg: LegConfig, report: Report) -> list[tuple[str, str]]:
    """The report for a human; what was not seen is left out."""

    def ms(value: int | None) -> str | None:
        return None if value is None else f"{value} ms"

    heard = None
    if report.heard_dbfs is not None:
        heard = f"{report.heard_dbfs} dBFS average, {report.heard_peak_dbfs} dBFS peak, {report.heard_ms} ms"
    found = (
        ("quiet receiver", f"{report.quiet_dbfs} dBFS"),
        ("heard", heard),
        ("squelch tail", ms(report.tail_ms)),
        ("key", ms(report.key_ms)),
        ("on the air after", ms(report.tx_detect_ms)),
        ("unkey", ms(report.unkey_ms)),
        ("own tone back after", ms(report.loop_ms)),
        ("hears itself for", f"{report.returns_ms} ms (gate.start_delay_ms {leg.gate.start_delay_ms})"),
    )
    return [(name, text) for name, text in found if text is not None]


def _calibration(leg: LegConfig, report: Report) -> list[str]:
    """What to set, by the two 1 kHz tones."""
    told = [
        f"transmit: the tone was sent at {TONE_DBFS:g} dBFS; your deviation meter should have shown 60 % of full "
        f"deviation. If not, turn the card's mixer or tx_gain_db (now {leg.tx_gain_db:g}) and repeat."
    ]
    if report.tone_dbfs is None:
        told.append("receive: no 1 kHz tone was heard; send one at 60 % deviation while it listens.")
    else:
        gain_db = leg.rx_gain_db + TONE_DBFS - report.tone_dbfs
        told.append(f"receive: the tone came at {report.tone_dbfs} dBFS; set rx_gain_db: {gain_db:.1f}")
    return told


def _polarity(leg: LegConfig, report: Report, is_confirmed: bool, is_asking: bool) -> bool | None:
    """Whether the line is the right way round: by the transmitter's own word, else by whoever watches it."""
    if line_id(leg) is None or report.key_ms is None:
        return None
    if report.polarity is not None:
        return report.polarity
    if is_confirmed or not is_asking:
        return True if is_confirmed else None
    question = "Was the transmitter off at first, on while it was keyed, and off again afterwards?"
    return typer.confirm(question, default=False, err=True)


def examine_leg(
    settings: Config,
    leg: LegConfig,
    listen_s: float,
    tone_s: float,
    calibrates: bool,
    is_confirmed: bool,
    as_json: bool,
) -> bool:
    """Run the test, print what it found, and unlock the line if it is the right way round. True = green.

    Raises:
        TongpinError: the radios are in use, or the leg fails.
    """

    def on_step(step: str) -> None:
        if not as_json and step in _SAID:
            typer.echo(_SAID[Step(step)])

    with RadioClaim(settings.data_folder):
        seconds = _CALIBRATION_S if calibrates else tone_s
        report = asyncio.run(run_test(leg, listen_s, seconds, not calibrates, on_step))
    record = PolarityRecord(settings.data_folder)
    polarity = _polarity(leg, report, is_confirmed, not as_json)
    if polarity:
        record.note_passed(leg)
    is_locked = record.is_locked(leg)
    if as_json:
        told = asdict(report) | {"leg": leg.name, "green": report.is_green, "locked": is_locked, "polarity": polarity}
        typer.echo(json.dumps(told))
        return report.is_green
    for title, text in _rows(leg, report):
        typer.echo(f"  {title:<20} {text}")
    for line in _calibration(leg, report) if calibrates else ():
        typer.echo(line)
    for problem in report.problems:
        typer.echo(f"  wrong: {problem}")
    if is_locked:
        typer.echo("  keying stays locked: nobody has seen that the line is the right way round")
    typer.echo("green" if report.is_green else "red")
    return report.is_green
