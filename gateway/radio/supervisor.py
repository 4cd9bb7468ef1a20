"""Keeps one leg's worker process alive, renews its key lease, and makes the line safe whenever a worker is gone."""

import asyncio
import logging
import os
import random
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from tongpin.channels.ids import PartyId
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import DeviceError, PeerError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Sink
from tongpin.gateway.radio.drivers import drive_inactive
from tongpin.gateway.radio.link import LegLink
from tongpin.gateway.radio.messages import (
    PROTOCOL_VERSION,
    Audio,
    Configure,
    DeviceMoved,
    Failure,
    GateMoved,
    Hello,
    KeyLease,
    KeyMoved,
    Message,
    ProbeEnded,
    ProbeMoved,
    StartProbe,
    Status,
    Stop,
    Unkey,
)
from tongpin.gateway.radio.polarity import locked_text
from tongpin.gateway.radio.probe import Report

LEASE_S = 0.5
_RENEW_S = 0.2
_HUNG_S = 2.0
"""A worker that sends no Status for this long is killed."""
_START_S = 20.0
"""How long a worker may take to its first message: imports on a busy machine."""
_STOP_S = 2.0
_CHECK_S = 0.25
_TEST_S = 30.0
"""Longest time that a leg test takes beside listening and speaking."""
_FIRST_BACK_OFF_S = 0.5
_LAST_BACK_OFF_S = 10.0
_LONG_LIFE_S = 30.0
"""A worker that lived this long starts the back-off anew."""
_LOG = logging.getLogger("tongpin.radio")


@dataclass(frozen=True, slots=True)
class LegStatus:
    """A leg as REST and the console show it; levels and counts are the worker's last Status.

    Attributes:
        is_online: the worker runs and sound card and keying line are there; otherwise ``reason`` says why not.
        gate_open: the receive gate is open: somebody is heard.
        last_audio_in_s_ago, last_audio_out_s_ago: None before the first.
        link_drops: packets that found the worker gone or too slow.
        restarts: how often a worker had to be replaced.
        capture_ppm, playout_ppm: how fast the sound card's clocks are; None until it is known.
        keying: why the transmitter is never keyed, and what to do; empty when it may be.
    """

    name: str
    is_online: bool = False
    reason: str = "not started"
    cos: bool | None = None
    is_keyed: bool = False
    gate_open: bool = False
    rx_dbfs: float = -120.0
    tx_dbfs: float = -120.0
    playout_frames: int = 0
    jitter_packets: int = 0
    received: int = 0
    lost: int = 0
    concealed: int = 0
    recovered: int = 0
    late: int = 0
    rx_overruns: int = 0
    tx_underruns: int = 0
    dropped: int = 0
    last_audio_in_s_ago: float | None = None
    last_audio_out_s_ago: float | None = None
    link_drops: int = 0
    restarts: int = 0
    capture_ppm: float | None = None
    playout_ppm: float | None = None
    keying: str = ""


class LegEvents(Protocol):
    """What a leg tells the rest of the gateway. Called in the event loop; must not block or raise."""

    def gate_moved(self, party: PartyId, is_open: bool, cause: str) -> None:
        """The receive gate opened (before the first packet) or closed (after the last)."""

    def packet(self, party: PartyId, packet: Packet) -> None:
        """20 ms from the radio."""

    def status(self, party: PartyId, status: LegStatus) -> None:
        """Every 200 ms while the worker runs."""

    def online(self, party: PartyId, is_online: bool, reason: str) -> None:
        """The leg can, or can no longer, be used."""

    def keyed(self, party: PartyId, is_keyed: bool, cause: str) -> None:
        """The transmitter was keyed or unkeyed."""


class LegSupervisor:
    """One leg. :meth:`run` is its task; everything else is called from the same event loop and does not wait."""

    def __init__(self, config: LegConfig, events: LegEvents, is_locked: bool = False) -> None:
        """Args: is_locked: the keying line has not passed a polarity test; the transmitter is never keyed."""
        self.party: Final = PartyId(f"leg:{config.name}")
        self._config: Final = config
        self._events: Final = events
        self._is_locked: Final = is_locked
        self._keying: Final = locked_text(config.name) if is_locked else ""
        self._link = LegLink(self._received)
        self._process: asyncio.subprocess.Process | None = None
        self._is_key_wanted = False
        self._renewal: asyncio.TimerHandle | None = None
        self._is_stopping = asyncio.Event()
        self._is_ready = False
        self._heard_at = 0.0
        self._is_gate_open = False
        self._is_keyed = False
        self._device: tuple[bool, str] = (False, "not started")
        self._last: Status | None = None
        self._restarts = 0
        self._failure = ""
        self._test: asyncio.Future[Report] | None = None
        self._on_step: Callable[[str], None] = lambda step: None

    @property
    def sink(self) -> Sink:
        """Takes what the radio is to transmit; the same object for the leg's whole life."""
        return self._link

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, or None between two workers."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def status(self) -> LegStatus:
        last = self._last
        is_online, reason = self._device
        if last is None:
            return LegStatus(
                self._config.name,
                is_online,
                reason,
                link_drops=self._link.dropped,
                restarts=self._restarts,
                keying=self._keying,
            )
        return LegStatus(
            name=self._config.name,
            is_online=is_online,
            reason=reason,
            cos=last.cos,
            is_keyed=self._is_keyed,
            gate_open=self._is_gate_open,
            rx_dbfs=last.rx_dbfs,
            tx_dbfs=last.tx_dbfs,
            playout_frames=last.playout_frames,
            jitter_packets=last.jitter_packets,
            received=last.received,
            lost=last.lost,
            concealed=last.concealed,
            recovered=last.recovered,
            late=last.late,
            rx_overruns=last.rx_overruns,
            tx_underruns=last.tx_underruns,
            dropped=last.dropped,
            last_audio_in_s_ago=last.last_rx_s_ago,
            last_audio_out_s_ago=last.last_tx_s_ago,
            link_drops=self._link.dropped,
            restarts=self._restarts,
            capture_ppm=last.capture_ppm,
            playout_ppm=last.playout_ppm,
            keying=self._keying,
        )

    def key(self) -> None:
        """Key the transmitter and keep it keyed, by a lease renewed every 200 ms, until :meth:`unkey`."""
        self._is_key_wanted = True
        self._renew()

    def unkey(self, drain: bool = True) -> None:
        """Unkey: after what is held has been played and the hang time has passed, or at once."""
        self._is_key_wanted = False
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        self._link.post(Unkey(drain))

    async def test(self, listen_s: float, tone_s: float, parrots: bool, on_step: Callable[[str], None]) -> Report:
        """Test the leg on the air; meanwhile it is deaf and dumb to everybody else. Works on a locked line, too.

        Args:
            listen_s: wait so long for somebody to speak; 0 = for nobody.
            tone_s: of 1 kHz, when nobody was heard or ``parrots`` is False; else what was heard is played back.
            on_step: told each step (``probe.Step``) as it begins.

        Raises:
            DeviceError: the leg is not there, is being tested already, or its worker fails.
        """
        if not self._device[0] or self._test is not None:
            raise DeviceError("the leg is being tested" if self._test else f"the leg is missing: {self._device[1]}")
        self._test = asyncio.get_running_loop().create_future()
        self._on_step = on_step
        try:
            self._link.post(StartProbe(float(listen_s), float(tone_s), parrots))
            async with asyncio.timeout(listen_s + tone_s + _TEST_S):
                return await self._test
        except TimeoutError:
            raise DeviceError("the leg test does not come to an end") from None
        finally:
            self._test = None

    def _renew(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._is_key_wanted:
            if self._is_ready:
                self._link.post(KeyLease(LEASE_S))
            self._renewal = asyncio.get_running_loop().call_later(_RENEW_S, self._renew)

    async def run(self) -> None:
        """Keep a worker running until :meth:`stop` or cancellation; the line is inactive on return."""
        back_off_s = _FIRST_BACK_OFF_S
        try:
            while not self._is_stopping.is_set():
                started_at = monotonic()
                reason = await self._run_worker()
                if self._is_stopping.is_set():
                    break
                if monotonic() - started_at > _LONG_LIFE_S:
                    back_off_s = _FIRST_BACK_OFF_S
                self._restarts += 1
                _LOG.warning("leg %s: %s; starting another worker", self._config.name, reason)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_stopping.wait(), back_off_s * random.uniform(0.8, 1.2))
                back_off_s = min(2 * back_off_s, _LAST_BACK_OFF_S)
        finally:
            self._is_key_wanted = False
            self._renew()
            self._move_device(False, "stopped")

    async def stop(self) -> None:
        """Ask :meth:`run` to end. Await the task of ``run`` to know that it has."""
        self._is_stopping.set()

    async def _run_worker(self) -> str:
        """One worker from birth to death, and the line made safe after it. Says why it ended."""
        own_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._is_ready, self._failure, self._heard_at = False, "", monotonic()
        try:
            self._link.attach(own_end)
            with worker_end:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "tongpin.gateway.radio.worker",
                    "--fd",
                    str(worker_end.fileno()),
                    "--leg",
                    self._config.name,
                    pass_fds=(worker_end.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # numpy's pool would cost 30 MB and is never used.
                )
            self._link.post(Configure(self._config.model_dump_json(), self._is_locked))
            return await self._watch(self._process)
        except OSError as error:
            return f"the worker cannot be started: {error}"
        finally:
            await asyncio.shield(self._clean_up())

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        """Wait for the worker's end, bringing it about if it hangs or is told to stop. Says why it ended."""
        reason = ""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._log_errors(process))
            ended = group.create_task(process.wait())
            stopping = group.create_task(self._is_stopping.wait())
            while not ended.done() and not stopping.done() and not self._link.is_at_end.is_set():
                await asyncio.wait((ended, stopping), timeout=_CHECK_S, return_when=asyncio.FIRST_COMPLETED)
                if monotonic() - self._heard_at > (_HUNG_S if self._is_ready else _START_S):
                    reason = "the worker hangs"
                    break
            if not ended.done() and not reason:
                if stopping.done():
                    self._link.post(Stop())
                await asyncio.wait((ended,), timeout=_STOP_S)
            if not ended.done():
                process.kill()
            code = await ended
            stopping.cancel()
        return reason or self._failure or f"the worker ended with code {code}"

    async def _log_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        with suppress(ValueError):  # A line longer than the stream's limit: give up on the text, not on the leg.
            async for line in process.stderr:
                _LOG.info("leg %s worker: %s", self._config.name, line.decode(errors="replace").rstrip())

    async def _clean_up(self) -> None:
        """The worker is gone, or must go now: nothing of it may stay, least of all a keyed transmitter."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._link.detach()
        self._is_ready = False
        self._last = None
        try:
            await asyncio.to_thread(drive_inactive, self._config)
        except Exception as error:
            _LOG.error("leg %s: the line could not be made inactive: %s", self._config.name, error)
        reason = self._failure or "the worker has ended"
        if self._is_keyed:
            self._is_keyed = False
            self._events.keyed(self.party, False, reason)
        if self._is_gate_open:
            self._is_gate_open = False
            self._events.gate_moved(self.party, False, reason)
        self._move_device(False, reason)
        if self._test is not None and not self._test.done():
            self._test.set_exception(DeviceError(reason))

    def _received(self, message: Message) -> None:
        self._heard_at = monotonic()
        match message:
            case Audio(packet=packet):
                self._events.packet(self.party, packet)
            case GateMoved(is_open, cause):
                self._is_gate_open = is_open
                self._events.gate_moved(self.party, is_open, cause)
            case KeyMoved(is_keyed, cause):
                self._is_keyed = is_keyed
                self._events.keyed(self.party, is_keyed, cause)
            case DeviceMoved(is_online, reason):
                self._move_device(is_online, reason)
            case Status():
                self._last = message
                self._events.status(self.party, self.status)
            case Hello(version=version):
                if version != PROTOCOL_VERSION:
                    self._failure = f"the worker speaks version {version} of the leg link, not {PROTOCOL_VERSION}"
                self._is_ready = True
                self._link.worker_ready()
                self._renew()
            case ProbeMoved(step):
                self._on_step(step)
            case ProbeEnded(report):
                self._end_test(report)
            case Failure(text):
                self._failure = text
            case _:
                self._link.garbage += 1

    def _end_test(self, report: str) -> None:
        if self._test is not None and not self._test.done():
            try:
                self._test.set_result(Report.parse(report))
            except PeerError as error:
                self._test.set_exception(DeviceError(str(error)))

    def _move_device(self, is_online: bool, reason: str) -> None:
        was_online = self._device[0]
        self._device = (is_online, reason)
        if was_online is not is_online:
            self._events.online(self.party, is_online, reason)
