"""A simulated radio in place of a sound card: speaks by timetable or on command, records what it transmits."""

import queue
import socket
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongpin.config.models import SimCard, SimUtterance
from tongpin.gateway.errors import CallerError
from tongpin.gateway.media.packet import PACKET_SAMPLES
from tongpin.gateway.radio.card import CAPTURE_FRAMES, CARRIER, NO_CARRIER, PLAYOUT_FRAMES, CardState, WakeFunction
from tongpin.gateway.radio.ring import FrameRing
from tongpin.gateway.radio.wavefile import SAMPLE_RATE_HZ, WavWriter, read_wav

_TICK_S = PACKET_SAMPLES / SAMPLE_RATE_HZ
_CATCH_UP_S = 0.2
"""Later than this (a stopped process, a suspended machine) the schedule begins anew instead of being made up for."""
_WAITING_UTTERANCES = 8
_CONTROL_BYTES = 4096

Pcm = NDArray[np.int16]


def make_voice(seconds: float, seed: int) -> Pcm:
    """Sound with the marks of speech, for radios that have no recording to play.

    A harmonic source whose pitch wanders about 120 Hz goes through three formants that change with each of about
    four syllables a second; average -18 dBFS while voiced. The same seed gives the same sound.
    """
    random = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE_HZ)
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    syllables = max(1, int(seconds * 4))
    knots = np.linspace(0, seconds, syllables + 1)
    pitch_hz = 120 * np.interp(time_s, knots, random.uniform(0.85, 1.25, syllables + 1))
    formants_hz = [np.interp(time_s, knots, random.uniform(*band, syllables + 1)) for band in ((350, 800), (900, 2200))]
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    sound = np.zeros(count)
    for harmonic in range(1, 30):
        hertz = harmonic * pitch_hz
        weight = np.exp(-(((hertz - 2700) / 300) ** 2)) * 0.15
        for formant_hz, width_hz, gain in zip(formants_hz, (110, 160), (1.0, 0.5), strict=True):
            weight = weight + gain * np.exp(-(((hertz - formant_hz) / width_hz) ** 2))
        sound += (weight + 0.02) * (hertz < 3400) * np.sin(harmonic * phase + random.uniform(0, 6.28))
    place = time_s * syllables / seconds % 1.0
    envelope = np.clip(np.minimum(place / 0.12, (1 - place) / 0.25), 0, 1)
    sound *= envelope
    level = np.sqrt(np.mean(sound[envelope > 0.5] ** 2)) if count else 1.0
    return np.asarray(np.clip(sound / level * 32767 * 10 ** (-18 / 20), -29_000, 29_000), np.int16)


class SimulatedCard:
    """Paced by a thread at 20 ms without drift. It is half duplex: while keyed it hears nothing.

    What the timetable says waits while the radio is keyed, as a person would; what ``say`` says does not.
    """

    def __init__(self, config: SimCard, wake: WakeFunction, is_keyed: Callable[[], bool]) -> None:
        self._config: Final = config
        self._wake: Final = wake
        self._is_keyed: Final = is_keyed
        self.capture = FrameRing(CAPTURE_FRAMES)
        self.playout = FrameRing(PLAYOUT_FRAMES)
        self._reason = "starting"
        self._underruns = 0
        self._is_stopping = threading.Event()
        self._to_load: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._said: deque[Pcm] = deque(maxlen=_WAITING_UTTERANCES)
        self._planned: deque[Pcm] = deque(maxlen=_WAITING_UTTERANCES)
        self._timetable: list[tuple[SimUtterance, Pcm]] = []
        self._speech: Pcm = np.zeros(0, np.int16)
        self._spoken_samples = 0
        self._forced_cos: bool | None = None
        self._noise = self._make_noise()
        self._random = np.random.default_rng()
        self._control: socket.socket | None = None
        self._record: WavWriter | None = None
        self._threads = [
            threading.Thread(target=self._run, name="sim-card", daemon=True),
            threading.Thread(target=self._load, name="sim-loader", daemon=True),
        ]

    @property
    def state(self) -> CardState:
        return CardState(not self._reason, self._reason, self.capture.dropped, self._underruns, 0.0)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        self._to_load.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1.0)
        if self._control is not None:
            self._control.close()
        if self._record is not None:
            self._record.close()

    def _make_noise(self) -> Pcm:
        if self._config.noise_dbfs is None:
            return np.zeros(2 * PACKET_SAMPLES, np.int16)
        scale = 32767 * 10 ** (self._config.noise_dbfs / 20)
        noise = np.random.default_rng(1).normal(0.0, scale, 50 * PACKET_SAMPLES)
        return np.clip(np.rint(noise), -32768, 32767).astype(np.int16)

    # Loader thread: reading and resampling may take longer than a tick.

    def _load(self) -> None:
        while True:
            path = self._to_load.get()
            if path is None:
                return
            try:
                self._said.append(read_wav(path))
            except CallerError as error:
                print(f"simulated radio: {error}", file=sys.stderr, flush=True)

    # Card thread.

    def _run(self) -> None:
        try:
            self._prepare()
        except (OSError, CallerError) as error:
            self._reason = f"simulated radio: {error}"
            self._wake()
            return
        self._reason = ""
        origin = next_at = monotonic()
        due = sorted((utterance.at_s, number) for number, (utterance, _) in enumerate(self._timetable))
        cycle_s = 0.0
        played: Pcm = np.empty(PACKET_SAMPLES, np.int16)
        while not self._is_stopping.is_set():
            now = monotonic()
            if now - next_at > _CATCH_UP_S:
                next_at = now
            if now < next_at:
                sleep(next_at - now)
            next_at += _TICK_S
            elapsed_s = monotonic() - origin - cycle_s
            while due and due[0][0] <= elapsed_s:
                self._planned.append(self._timetable[due.pop(0)[1]][1])
            if not due and self._config.repeat_s is not None and elapsed_s >= self._config.repeat_s:
                cycle_s += self._config.repeat_s
                due = sorted((utterance.at_s, number) for number, (utterance, _) in enumerate(self._timetable))
            self._obey_control()
            is_keyed = self._is_keyed()
            frame, mark = self._hear(is_keyed)
            self.capture.write(frame, mark)
            if self.playout.read_into(played) is None:
                self._underruns += 1
                played[:] = 0
            if is_keyed and self._record is not None:
                self._keep(played)
            self._wake()

    def _prepare(self) -> None:
        for number, utterance in enumerate(self._config.utterances):
            pcm = make_voice(utterance.seconds, number) if utterance.file is None else read_wav(utterance.file)
            self._timetable.append((utterance, pcm))
        if self._config.record is not None:
            self._record = WavWriter(self._config.record)
        path = self._config.control
        if path is not None:
            if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
                path.unlink()
            self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._control.bind(str(path))

    def _hear(self, is_keyed: bool) -> tuple[Pcm, int]:
        """The next frame of the receiver and its carrier mark."""
        if self._spoken_samples >= self._speech.size:
            if self._said:
                self._begin(self._said.popleft())
            elif self._planned and not is_keyed:
                self._begin(self._planned.popleft())
        start = int(self._random.integers(0, self._noise.size - PACKET_SAMPLES + 1))
        frame = self._noise[start : start + PACKET_SAMPLES].astype(np.int32)
        part = self._speech[self._spoken_samples : self._spoken_samples + PACKET_SAMPLES]
        self._spoken_samples += part.size
        is_carrier = part.size > 0 if self._forced_cos is None else self._forced_cos
        if is_keyed:
            return np.zeros(PACKET_SAMPLES, np.int16), NO_CARRIER
        frame[: part.size] += part
        return np.clip(frame, -32768, 32767).astype(np.int16), CARRIER if is_carrier else NO_CARRIER

    def _begin(self, speech: Pcm) -> None:
        self._speech, self._spoken_samples = speech, 0

    def _keep(self, played: Pcm) -> None:
        assert self._record is not None
        try:
            self._record.write(played)
        except OSError as error:
            self._reason = f"simulated radio: {self._config.record} cannot be written: {error.strerror}"
            self._record.close()
            self._record = None

    def _obey_control(self) -> None:
        while self._control is not None:
            try:
                data = self._control.recv(_CONTROL_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            word, _, rest = data.decode(errors="replace").strip().partition(" ")
            match word, rest:
                case "say", file if file:
                    self._to_load.put(Path(file))
                case "cos", "0" | "1":
                    self._forced_cos = rest == "1"
                case "cos", "auto":
                    self._forced_cos = None
                case _:
                    print(f"simulated radio: unknown command {word!r}", file=sys.stderr, flush=True)
