"""One radio leg's process: sound card, receive gate, Opus, jitter buffer and key, in one loop over one socket.

Started by the supervisor as ``python -m tongpin.gateway.radio.worker --fd N --leg NAME``; the first message on the
socket is the leg's configuration. It imports neither asyncio nor anything of the service. When the socket ends,
whatever the reason, it unkeys and exits.
"""

import argparse
import gc
import os
import selectors
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Final

from tongpin.codecs.errors import CodecError
from tongpin.config.models import LegConfig, SimCard
from tongpin.gateway.errors import DeviceError, PeerError, TongpinError
from tongpin.gateway.radio.card import CARRIER, UNMARKED, Card, Waker
from tongpin.gateway.radio.drivers import make_line
from tongpin.gateway.radio.keyer import Keyer
from tongpin.gateway.radio.messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Audio,
    Configure,
    Control,
    DeviceMoved,
    Failure,
    GateMoved,
    Hello,
    KeyLease,
    KeyMoved,
    ProbeEnded,
    ProbeMoved,
    StartProbe,
    Status,
    Stop,
    TalkBegan,
    TalkEnded,
    Unkey,
    decode,
    encode,
    encode_audio,
)
from tongpin.gateway.radio.pace import PacedCard
from tongpin.gateway.radio.probe import Probe
from tongpin.gateway.radio.receive import Receiver
from tongpin.gateway.radio.ring import Frame
from tongpin.gateway.radio.transmit import Transmitter

STATUS_S = 0.2
_FRAME_S = 0.02
_DRAIN_S = 1.0
"""Longest time that speech which is still held delays an unkey."""
_CONFIGURE_S = 10.0
_NICENESS = -11


class _LinkEndedError(Exception):
    """The gateway has closed the link or is gone."""


class Worker:
    """The loop and what it joins. Everything runs in the caller's thread except the card's and the keyer's own."""

    def __init__(self, link: socket.socket, config: LegConfig, is_locked: bool) -> None:
        """Args: is_locked: the transmitter is not keyed, whoever asks."""
        self._link: Final = link
        self._config: Final = config
        self._is_locked: Final = is_locked
        self._waker = Waker()
        self._key_moves: deque[tuple[bool, str]] = deque(maxlen=16)
        self._line_reason = "starting"
        self._keyer = Keyer(make_line(config), config.keyer_limit_s, self._on_key_moved, self._on_line_moved)
        self._card = self._make_card()
        self._pace = PacedCard(self._card)
        self._receiver = Receiver(config)
        self._transmitter = Transmitter(config)
        self._cos: bool | None = None
        self._is_key_noted = False
        """Keyed as far as this loop knows: stays until the deaf time after it has been set."""
        self._deaf_until = float("-inf")
        self._drain_until: float | None = None
        self._unkey_at: float | None = None
        self._probe: Probe | None = None
        self._is_stopping = False
        self._offline_reason: str | None = None
        self._dropped = 0
        self._unspoken: deque[bytes] = deque(maxlen=64)

    def _make_card(self) -> Card:
        if isinstance(self._config.card, SimCard):
            from tongpin.gateway.radio.sim import SimulatedCard

            return SimulatedCard(self._config.card, self._waker.wake, lambda: self._keyer.is_keyed)
        from tongpin.gateway.radio.soundcard import PortAudioCard

        return PortAudioCard(self._config.card, self._waker.wake)

    def run(self) -> None:
        """Serve until told to stop or until the link ends; the transmitter is off on return, however it comes."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the gateway decides what ends.
        try:
            self._keyer.start()
            self._feed(monotonic())
            self._card.start()
            self._say(Hello(os.getpid(), PROTOCOL_VERSION))
            self._serve()
        finally:
            self._keyer.close()
            self._card.stop()

    def _on_signal(self, number: int, frame: object) -> None:
        self._is_stopping = True
        self._waker.wake()

    # The keyer's thread.

    def _on_key_moved(self, is_keyed: bool, cause: str) -> None:
        self._key_moves.append((is_keyed, cause))
        self._waker.wake()

    def _on_line_moved(self, is_online: bool, reason: str) -> None:
        self._line_reason = "" if is_online else reason
        self._waker.wake()

    # The loop.

    def _serve(self) -> None:
        status_at = monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._link, selectors.EVENT_READ)
            selector.register(self._waker.fd, selectors.EVENT_READ)
            while not self._is_stopping:
                for key, _ in selector.select(max(0.0, status_at - monotonic())):
                    if key.fd == self._waker.fd:
                        self._waker.clear()
                    else:
                        self._read_link()
                now = monotonic()
                self._note_key_moves(now)
                self._receive(now)
                self._test(now)
                self._drain(now)
                self._feed(now)
                self._note_devices()
                if now >= status_at:
                    status_at = max(status_at + STATUS_S, now)
                    self._pace.steer()
                    self._say(self._status(now))
                    if not self._keyer.is_alive:
                        raise DeviceError("the keyer's thread has ended")

    def _receive(self, now: float) -> None:
        while (captured := self._pace.capture()) is not None:
            frame, mark = captured
            if self._config.has_cos:
                self._cos = self._keyer.inputs.cos if mark == UNMARKED else mark == CARRIER
            if self._probe is not None:
                self._show_probe(self._probe, frame)
            is_deaf = self._probe is not None or self._is_key_noted or self._keyer.is_keyed or now < self._deaf_until
            heard = self._receiver.push(frame, self._cos, is_deaf, now)
            if heard.opened is not None:
                self._say(GateMoved(True, heard.opened))
            if heard.packet is not None:
                if self._unspoken:
                    self._dropped += 1  # An edge is still waiting for room: its packets must not overtake it.
                else:
                    self._send(encode_audio(self._receiver.talk, heard.packet))
            if heard.closed is not None:
                self._say(GateMoved(False, heard.closed))

    def _start_test(self, wish: StartProbe) -> None:
        if self._probe is None:
            self._transmitter.unkeyed()
            self._keyer.unkey("leg test")
            can_key = self._config.keyer.kind != "none"
            lead_ms, deaf_ms = self._config.tx_delay_ms, self._config.gate.start_delay_ms
            self._probe = Probe(
                wish.listen_s, wish.tone_s, wish.parrots, lead_ms, deaf_ms, can_key, self._config.has_cos
            )

    def _show_probe(self, probe: Probe, frame: Frame) -> None:
        step = probe.step
        probe.hear(self._receiver.amplified(frame), self._cos, self._keyer.is_keyed, self._keyer.inputs.tx_detect)
        if probe.step is not step:
            self._say(ProbeMoved(str(probe.step)))

    def _test(self, now: float) -> None:
        """Key as the leg test wants it, by short leases: they run out if this loop hangs."""
        probe = self._probe
        if probe is None:
            return
        if probe.is_done:
            self._probe = None
            self._say(ProbeEnded(probe.report().text()))
        elif probe.wants_key:
            self._keyer.lease(_FRAME_S * 10)
        elif self._keyer.is_keyed or self._keyer.is_wanted:
            self._keyer.unkey("leg test")

    def _feed(self, now: float) -> None:
        if self._keyer.inputs.tx_detect:
            self._transmitter.on_air()
        probe = self._probe
        if probe is None:
            self._pace.fill(lambda: self._transmitter.next_frame(now))
        else:
            self._pace.fill(lambda: self._transmitter.next_frame(now, probe.next_frame()))

    def _note_key_moves(self, now: float) -> None:
        while self._key_moves:
            is_keyed, cause = self._key_moves.popleft()
            self._is_key_noted = is_keyed
            if is_keyed:
                self._pace.align()
                self._transmitter.keyed(self._pace.frames_ahead)
            else:
                self._transmitter.unkeyed()
                self._drain_until = self._unkey_at = None
                self._deaf_until = now + self._config.gate.start_delay_ms / 1000
            self._say(KeyMoved(is_keyed, cause))

    def _drain(self, now: float) -> None:
        """Stay keyed while what is held is played, then for the card's own delay and the hang time; then unkey."""
        if self._drain_until is None:
            return
        if self._unkey_at is None and (self._transmitter.is_idle or now >= self._drain_until):
            self._unkey_at = now + self._pace.waiting_s + self._config.tx_hang_ms / 1000
        if self._unkey_at is not None and now >= self._unkey_at:
            self._drain_until = self._unkey_at = None
            self._transmitter.unkeyed()
            self._keyer.unkey("released")
        else:
            # The gateway renews no more. This renewal is bounded by the two times above, and by the link's end.
            self._keyer.lease(_FRAME_S * 10)

    def _note_devices(self) -> None:
        card = self._card.state
        reason = "; ".join(text for text in (card.reason, self._line_reason) if text)
        if reason != self._offline_reason:
            self._offline_reason = reason
            self._say(DeviceMoved(not reason, reason))

    def _status(self, now: float) -> Status:
        card, counts = self._card.state, self._transmitter.counts()
        return Status(
            rx_dbfs=self._receiver.take_level_dbfs(),
            tx_dbfs=self._transmitter.take_level_dbfs(),
            cos=self._cos,
            is_keyed=self._keyer.is_keyed,
            gate_open=self._receiver.is_open,
            playout_frames=self._pace.frames_ahead,
            jitter_packets=counts.depth,
            received=counts.received,
            lost=counts.lost,
            concealed=counts.concealed,
            recovered=counts.recovered,
            late=counts.late,
            rx_overruns=card.overruns,
            tx_underruns=card.underruns,
            dropped=self._dropped + counts.dropped,
            last_rx_s_ago=self._receiver.heard_s_ago(now),
            last_tx_s_ago=self._transmitter.played_s_ago(now),
            is_device_online=card.is_online,
            is_line_online=self._keyer.is_online,
            capture_ppm=card.capture_ppm,
            playout_ppm=card.playout_ppm,
        )

    # The link.

    def _read_link(self) -> None:
        while True:
            try:
                data = self._link.recv(MAX_MESSAGE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                raise _LinkEndedError from error
            if not data:
                raise _LinkEndedError
            try:
                message = decode(data)
            except PeerError:
                self._dropped += 1
                continue
            match message:
                case Audio(talk, packet):
                    self._transmitter.push(talk, packet)
                case StartProbe():
                    self._start_test(message)
                case KeyLease() | Unkey() | TalkBegan() if self._is_locked or self._probe is not None:
                    pass
                case KeyLease(lease_s):
                    self._drain_until = self._unkey_at = None
                    self._keyer.lease(lease_s)
                case Unkey(drain=True) if self._keyer.is_keyed or self._keyer.is_wanted:
                    self._transmitter.end_all()
                    self._drain_until = monotonic() + _DRAIN_S + self._config.tx_delay_ms / 1000
                case Unkey():
                    self._transmitter.unkeyed()
                    self._keyer.unkey("released")
                case TalkBegan(talk):
                    self._transmitter.begin(talk)
                case TalkEnded(talk):
                    self._transmitter.end(talk, self._keyer.is_keyed or self._keyer.is_wanted)
                case Stop():
                    self._is_stopping = True
                case _:
                    self._dropped += 1

    def _say(self, message: Control) -> None:
        """Control messages are kept for later when the socket is full; the gateway must not miss an edge."""
        self._unspoken.append(encode(message))
        while self._unspoken and self._send(self._unspoken[0]):
            self._unspoken.popleft()

    def _send(self, data: bytes) -> bool:
        try:
            self._link.send(data)
        except (BlockingIOError, InterruptedError):
            self._dropped += 1
            return False
        except OSError as error:
            raise _LinkEndedError from error
        return True


def _await_configuration(link: socket.socket) -> tuple[LegConfig, bool]:
    """The first message: the leg, and whether its key is locked.

    Raises PeerError when it is another message, _LinkEndedError when there is no gateway.
    """
    link.settimeout(_CONFIGURE_S)
    try:
        data = link.recv(MAX_MESSAGE_BYTES)
    except OSError as error:
        raise _LinkEndedError from error
    if not data:
        raise _LinkEndedError
    message = decode(data)
    if not isinstance(message, Configure):
        raise PeerError("the first message is not the configuration")
    return LegConfig.model_validate_json(message.leg), message.is_locked


def main() -> int:
    parser = argparse.ArgumentParser(description="the worker process of one radio leg; started by the gateway")
    parser.add_argument("--fd", type=int, required=True, help="inherited SOCK_SEQPACKET socket")
    parser.add_argument("--leg", required=True, help="the leg's name, for process listings")
    arguments = parser.parse_args()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # Only with the right to; without it the worker still runs.
    sys.setswitchinterval(0.001)  # The card's callback waits this long for the interpreter at most.
    with socket.socket(fileno=arguments.fd) as link:
        try:
            config, is_locked = _await_configuration(link)
            link.setblocking(False)
            worker = Worker(link, config, is_locked)
            gc.collect()
            gc.freeze()
            worker.run()
        except _LinkEndedError:
            return 0
        except (TongpinError, CodecError, ValueError, OSError) as error:
            with suppress(OSError):
                link.send(encode(Failure(f"{type(error).__name__}: {error}")))
            print(f"leg {arguments.leg}: {error}", file=sys.stderr, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
