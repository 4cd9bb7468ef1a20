"""A real sound card through PortAudio: looked up by name, watched, and looked for again when it vanishes."""

import contextlib
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Final, Protocol

import numpy as np

from tongpin.codecs.drift import ClockMeter
from tongpin.config.models import SoundCard
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.media.packet import PACKET_SAMPLES
from tongpin.gateway.radio.card import CAPTURE_FRAMES, PLAYOUT_FRAMES, UNMARKED, CardState, WakeFunction
from tongpin.gateway.radio.devices import find_device, list_sound_devices
from tongpin.gateway.radio.ring import FrameRing

_RATE_HZ = 48_000
_SILENT_S = 1.0
"""PortAudio says nothing when a card is unplugged; a running one calls back every 20 ms."""
_FIRST_CALLBACK_S = 4.0
_WATCH_S = 0.25
_MEASURE_S = 5.0
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 5.0
_SILENCE = bytes(2 * PACKET_SAMPLES)


class _Flags(Protocol):
    """What PortAudio says in a callback has gone wrong before it."""

    @property
    def input_overflow(self) -> bool: ...

    @property
    def output_underflow(self) -> bool: ...


class _Stream(Protocol):
    """The part of sounddevice's raw streams that is used here."""

    def start(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


class _Clock:
    """Counts one direction's samples, and how fast they come. What was measured stays while the card is away."""

    def __init__(self) -> None:
        self._meter = ClockMeter()
        self._samples = 0
        self._measure_at = 0.0
        self.ppm: float | None = None

    def begin(self) -> None:
        """The stream is new: what comes now does not join on to what came before."""
        self._meter, self._samples = ClockMeter(), 0

    def count(self, samples: int) -> float:
        """In PortAudio's thread: so many more. Answers the time."""
        now = monotonic()
        self._samples += samples
        self._meter.add(self._samples, now)
        return now

    def measure(self, now: float) -> None:
        if now >= self._measure_at:
            self._measure_at = now + _MEASURE_S
            ppm = self._meter.measure()
            self.ppm = self.ppm if ppm is None else ppm


class PortAudioCard:
    """Both directions of a leg's card, each a raw PortAudio stream of 960-frame blocks.

    The callbacks copy between PortAudio's buffer and a ring and wake the worker; nothing else happens in them. Opening
    and watching have a thread of their own, because PortAudio may take seconds over a card that is not well.
    """

    def __init__(self, config: SoundCard, wake: WakeFunction) -> None:
        self._capture_name: Final = config.capture or config.device
        self._playout_name: Final = config.playout or config.device
        self._names: Final = " / ".join(dict.fromkeys(repr(n) for n in (self._capture_name, self._playout_name) if n))
        self._latency_s: Final = config.latency_ms / 1000
        self._wake: Final = wake
        self.capture = FrameRing(CAPTURE_FRAMES)
        self.playout = FrameRing(PLAYOUT_FRAMES)
        self._reason = "starting"
        self._retry_s = _FIRST_RETRY_S
        self._overruns = 0
        self._underruns = 0
        self._playout_delay_s = 0.0
        self._capture_clock = _Clock()
        self._playout_clock = _Clock()
        self._captured_at = 0.0
        self._played_at = 0.0
        self._played = np.empty(PACKET_SAMPLES, np.int16)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sound-card", daemon=True)

    @property
    def state(self) -> CardState:
        return CardState(
            not self._reason,
            self._reason,
            self._overruns + self.capture.dropped,
            self._underruns,
            self._playout_delay_s,
            self._capture_clock.ppm,
            self._playout_clock.ppm,
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    # PortAudio's threads.

    def _on_captured(self, data: memoryview, frames: int, time: object, flags: _Flags) -> None:
        self._captured_at = self._capture_clock.count(frames)
        self.capture.write(np.frombuffer(data, np.int16), UNMARKED)
        self._overruns += flags.input_overflow
        self._wake()

    def _on_wanted(self, data: memoryview, frames: int, time: object, flags: _Flags) -> None:
        self._played_at = self._playout_clock.count(frames)
        if self.playout.read_into(self._played) is None:
            data[:] = _SILENCE
            self._underruns += 1
        else:
            data[:] = self._played.tobytes()
            self._underruns += flags.output_underflow
        self._wake()

    # The card's own thread.

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                with self._open_streams():
                    self._watch()
            except DeviceError as error:
                self._reason = str(error)
                self._wake()
            if not self._is_stopping.wait(self._retry_s):
                self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
                self._look_again()

    def _watch(self) -> None:
        """Return when stopping. Raises DeviceError when a stream has fallen silent."""
        opened_at = monotonic()
        while not self._is_stopping.wait(_WATCH_S):
            now = monotonic()
            for clock in (self._capture_clock, self._playout_clock):
                clock.measure(now)
            # A sound server may take seconds to the first callback; until then the card is not online.
            is_running = self._captured_at > 0 and self._played_at > 0
            last_at = min(self._captured_at, self._played_at) if is_running else opened_at
            if now - last_at > (_SILENT_S if is_running else _FIRST_CALLBACK_S):
                reason = f"the sound card {self._names} has gone silent; is it unplugged?"
                # Said at once: closing the streams of a card that hangs may hang as well.
                self._reason = reason
                self._wake()
                raise DeviceError(reason)
            if is_running and self._reason:
                self._reason, self._retry_s = "", _FIRST_RETRY_S
                self._wake()

    @contextlib.contextmanager
    def _open_streams(self) -> Iterator[None]:
        """Both streams running. Raises DeviceError, also for what fails on the way out."""
        if self._capture_name is None and self._playout_name is None:
            raise DeviceError("the leg's card names no device: set device, capture or playout")
        devices = list_sound_devices()
        import sounddevice

        streams: list[_Stream] = []
        try:
            if self._capture_name is not None:
                device = find_device(devices, self._capture_name, "capture")
                streams.append(
                    sounddevice.RawInputStream(
                        samplerate=_RATE_HZ,
                        blocksize=PACKET_SAMPLES,
                        device=device.index,
                        channels=1,
                        dtype="int16",
                        latency=self._latency_s,
                        callback=self._on_captured,
                    )
                )
            if self._playout_name is not None:
                device = find_device(devices, self._playout_name, "playout")
                playout = sounddevice.RawOutputStream(
                    samplerate=_RATE_HZ,
                    blocksize=PACKET_SAMPLES,
                    device=device.index,
                    channels=1,
                    dtype="int16",
                    latency=self._latency_s,
                    callback=self._on_wanted,
                )
                streams.append(playout)
                self._playout_delay_s = float(playout.latency)
            self._capture_clock.begin()
            self._playout_clock.begin()
            # A direction without a device counts as running for ever.
            self._captured_at = 0.0 if self._capture_name is not None else float("inf")
            self._played_at = 0.0 if self._playout_name is not None else float("inf")
            for stream in streams:
                stream.start()
            yield
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio: {error}") from None
        finally:
            for stream in streams:
                with contextlib.suppress(sounddevice.PortAudioError):
                    stream.abort()
                with contextlib.suppress(sounddevice.PortAudioError):
                    stream.close()

    @staticmethod
    def _look_again() -> None:
        """PortAudio lists the devices once, when it is initialised; there is no other way to see a new one."""
        import sounddevice

        with contextlib.suppress(sounddevice.PortAudioError):
            sounddevice._terminate()
        with contextlib.suppress(sounddevice.PortAudioError):
            sounddevice._initialize()
