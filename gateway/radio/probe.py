"""A leg tested on the air: is it quiet, what does it hear, does it key, what does it say, and does it hear itself."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Final

import numpy as np

from tongpin.codecs.frame import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ
from tongpin.codecs.levels import SILENT_DBFS, rms_dbfs
from tongpin.gateway.errors import PeerError
from tongpin.gateway.radio.ring import Frame, new_frame

TONE_HZ = 1_000.0
TONE_DBFS = -18.0
"""Where speech is to lie on average: a deviation meter that shows 60 % for this tone is set right."""
_QUIET_FRAMES = 50
_ABOVE_QUIET_DB = 10.0
"""Louder than the quiet receiver by so much is something that is heard."""
_FEWEST_QUIET_DBFS = -70.0
_PARROT_FRAMES = 250
_END_FRAMES = 25
"""Frames without a carrier after which somebody has finished."""
_KEY_FRAMES = 100
_HANG_FRAMES = 10
_WATCH_FRAMES = 100


class Step(StrEnum):
    """What is going on; each is told when it begins."""

    QUIET = "quiet"
    LISTEN = "listen"
    KEYING = "keying"
    TALK = "talk"
    UNKEYING = "unkeying"
    WATCH = "watch"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Report:
    """What a test found; times in ms, levels in dBFS; None = not seen, or not asked for.

    Attributes:
        quiet_dbfs: the receiver before anything happened.
        heard_dbfs, heard_peak_dbfs, heard_ms: what somebody said.
        tone_dbfs: the part of it at 1 kHz, for calibration.
        tail_ms: noise after the carrier had gone, before the receiver was quiet again.
        key_ms, unkey_ms: from asking to the line.
        tx_detect_ms: from the line to the transmitter's own word that it is on the air.
        loop_ms: from our tone to its return in the receiver: a full-duplex radio, or a loop.
        returns_ms: how long after unkeying something was heard: what ``gate.start_delay_ms`` must cover.
        polarity: whether the transmitter was on with the key and only then, as far as tx_detect tells.
        problems: what is wrong, and what to do; none = green.
    """

    quiet_dbfs: float = SILENT_DBFS
    heard_dbfs: float | None = None
    heard_peak_dbfs: float | None = None
    heard_ms: int | None = None
    tone_dbfs: float | None = None
    tail_ms: int | None = None
    key_ms: int | None = None
    unkey_ms: int | None = None
    tx_detect_ms: int | None = None
    loop_ms: int | None = None
    returns_ms: int = 0
    polarity: bool | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_green(self) -> bool:
        return not self.problems

    def text(self) -> str:
        """As JSON, for the leg link."""
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: str) -> "Report":
        """Raises PeerError when it is no report."""
        try:
            found = json.loads(text)
            return Report(**{**found, "problems": tuple(str(problem) for problem in found["problems"])})
        except (ValueError, TypeError, KeyError) as error:
            raise PeerError(f"not a report of a leg test: {error}") from None


assert all(field.default is not None or "None" in str(field.type) for field in fields(Report))


def tone_part_dbfs(pcm: Frame) -> float:
    """The level of the 1 kHz part of a frame, as that of a sine."""
    phase = 2 * np.pi * TONE_HZ / SAMPLE_RATE_HZ * np.arange(pcm.size)
    amplitude = 2 * abs(np.dot(pcm.astype(np.float64), np.exp(-1j * phase))) / pcm.size
    return max(SILENT_DBFS, float(20 * np.log10(max(amplitude, 1e-3) / 32_768 / np.sqrt(2))))


def tone_frames(seconds: float) -> list[Frame]:
    """1 kHz at :data:`TONE_DBFS`, whole frames, without a click at either end."""
    count = max(1, round(seconds * 1000 / FRAME_MS)) * FRAME_SAMPLES
    phase = 2 * np.pi * TONE_HZ / SAMPLE_RATE_HZ * np.arange(count)
    pcm = np.sqrt(2) * 32_768 * 10 ** (TONE_DBFS / 20) * np.sin(phase)
    ramp = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / 240)
    return list((pcm * ramp).astype(np.int16).reshape(-1, FRAME_SAMPLES))


class Probe:
    """The test itself. Time is counted in captured frames; no clock, no thread.

    The worker shows it every frame it hears, plays what it gives, and keys while :attr:`wants_key`.
    """

    def __init__(
        self,
        listen_s: float,
        tone_s: float,
        parrots: bool,
        lead_ms: int,
        deaf_ms: int,
        can_key: bool,
        has_cos: bool,
    ) -> None:
        """Args: listen_s: wait so long for somebody to speak; 0 = for nobody. tone_s: of 1 kHz, when nobody was heard
        or ``parrots`` is False; else what was heard is played back. lead_ms: ``tx_delay_ms``. deaf_ms:
        ``gate.start_delay_ms``.
        """
        self._listen_frames: Final = round(listen_s * 1000 / FRAME_MS)
        self._tone_s: Final = tone_s
        self._parrots: Final = parrots
        self._lead_frames: Final = -(-lead_ms // FRAME_MS)
        self._deaf_ms: Final = deaf_ms
        self._can_key: Final = can_key
        self._has_cos: Final = has_cos
        self.step = Step.QUIET
        self.wants_key = False
        self._in_step = 0
        self._levels: list[float] = []
        self._quiet_dbfs = SILENT_DBFS
        self._parrot: list[Frame] = []
        self._silent_run = 0
        self._tail_frames = 0
        self._to_play: list[Frame] = []
        self._is_parroting = False
        self._played = 0
        self._silence = new_frame()
        self._key_ms: int | None = None
        self._unkey_ms: int | None = None
        self._keyed_frames = 0
        self._tx_detect_ms: int | None = None
        self._has_tx_detect = False
        self._was_on_air_unkeyed = False
        self._loop_ms: int | None = None
        self._returns_ms = 0
        self._problems: list[str] = []

    @property
    def is_done(self) -> bool:
        return self.step is Step.DONE

    def next_frame(self) -> Frame:
        """The next 20 ms for the transmitter."""
        if self.step is Step.TALK and self._played < len(self._to_play):
            self._played += 1
            return self._to_play[self._played - 1]
        return self._silence

    def hear(self, pcm: Frame, cos: bool | None, is_keyed: bool, tx_detect: bool | None) -> None:
        """One captured frame, and how line and transmitter are."""
        self._in_step += 1
        level = rms_dbfs(pcm)
        if tx_detect is not None:
            self._has_tx_detect = True
            if tx_detect and not is_keyed and self.step in (Step.QUIET, Step.LISTEN):
                self._was_on_air_unkeyed = True
        match self.step:
            case Step.QUIET:
                self._quiet(level, cos)
            case Step.LISTEN:
                self._listen(pcm, level, cos)
            case Step.KEYING:
                self._keying(is_keyed, tx_detect)
            case Step.TALK:
                self._talk(pcm, tx_detect)
            case Step.UNKEYING:
                self._unkeying(is_keyed)
            case Step.WATCH:
                self._watch(level, cos)
            case Step.DONE:
                pass

    def _go(self, step: Step) -> None:
        self.step, self._in_step = step, 0

    def _is_heard(self, level: float, cos: bool | None) -> bool:
        return cos is True if self._has_cos else self._is_loud(level)

    def _is_loud(self, level: float) -> bool:
        return level > max(self._quiet_dbfs, _FEWEST_QUIET_DBFS) + _ABOVE_QUIET_DB

    def _quiet(self, level: float, cos: bool | None) -> None:
        self._levels.append(level)
        if self._in_step < _QUIET_FRAMES:
            return
        self._quiet_dbfs = float(np.median(self._levels))
        if cos:
            self._problems.append("COS says that something is received: wait, or check is_cos_active_low")
        self._go(Step.LISTEN if self._listen_frames else Step.KEYING)
        self._begin_keying()

    def _begin_keying(self) -> None:
        if self.step is not Step.KEYING:
            return
        if not self._can_key:
            self._go(Step.DONE)
            return
        self._is_parroting = self._parrots and bool(self._parrot)
        self._to_play = self._parrot if self._is_parroting else tone_frames(self._tone_s)
        self.wants_key = True

    def _listen(self, pcm: Frame, level: float, cos: bool | None) -> None:
        if self._is_heard(level, cos) and len(self._parrot) < _PARROT_FRAMES:
            self._parrot.append(pcm.copy())
            self._silent_run = self._tail_frames = 0
            return
        if not self._parrot:
            if self._in_step < self._listen_frames:
                return
            self._problems.append("nobody was heard: check cable, levels and squelch")
        else:
            self._silent_run += 1
            if self._silent_run == self._tail_frames + 1 and self._is_loud(level):
                self._tail_frames += 1
            if self._silent_run < _END_FRAMES:
                return
        self._go(Step.KEYING)
        self._begin_keying()

    def _keying(self, is_keyed: bool, tx_detect: bool | None) -> None:
        if not is_keyed:
            if self._in_step > _KEY_FRAMES:
                self._problems.append("the line was not keyed within 2 s: see the leg's reason")
                self.wants_key = False
                self._go(Step.UNKEYING)
            return
        if self._key_ms is None:
            self._key_ms = self._in_step * FRAME_MS
        self._note_on_air(tx_detect)
        if self._keyed_frames > self._lead_frames or tx_detect:
            self._go(Step.TALK)

    def _note_on_air(self, tx_detect: bool | None) -> None:
        if tx_detect and self._tx_detect_ms is None:
            self._tx_detect_ms = self._keyed_frames * FRAME_MS
        self._keyed_frames += 1

    def _talk(self, pcm: Frame, tx_detect: bool | None) -> None:
        self._note_on_air(tx_detect)
        part = tone_part_dbfs(pcm)
        if self._loop_ms is None and not self._is_parroting and self._is_loud(part) and part > rms_dbfs(pcm) - 3:
            self._loop_ms = self._in_step * FRAME_MS
        if self._played == len(self._to_play) and self._in_step >= self._played + _HANG_FRAMES:
            self.wants_key = False
            self._go(Step.UNKEYING)

    def _unkeying(self, is_keyed: bool) -> None:
        if is_keyed and self._in_step <= _KEY_FRAMES:
            return
        if is_keyed:
            self._problems.append("the line is still keyed 2 s after it was let go: run tongpin unkey")
        elif self._key_ms is not None:
            self._unkey_ms = self._in_step * FRAME_MS
        self._go(Step.WATCH)

    def _watch(self, level: float, cos: bool | None) -> None:
        if self._is_heard(level, cos):
            self._returns_ms = self._in_step * FRAME_MS
        if self._in_step < _WATCH_FRAMES:
            return
        if self._returns_ms >= (_WATCH_FRAMES - 5) * FRAME_MS:
            self._problems.append("the receiver stays open after our transmission: a loop, or a stuck carrier")
        elif self._returns_ms > self._deaf_ms:
            self._problems.append(f"it hears itself for {self._returns_ms} ms: set gate.start_delay_ms to as much")
        self._go(Step.DONE)

    def report(self) -> Report:
        """What was found. Only when :attr:`is_done`."""
        problems = list(self._problems)
        polarity = None
        if self._has_tx_detect and self._key_ms is not None:
            polarity = not self._was_on_air_unkeyed and self._tx_detect_ms is not None
            if self._was_on_air_unkeyed:
                problems.append("on the air without a key: is_active_low or is_tx_detect_active_low is wrong")
            elif self._tx_detect_ms is None:
                problems.append("keyed, but not on the air: check the PTT cable and its polarity")
        heard = np.concatenate(self._parrot) if self._parrot else None
        peak = None
        if heard is not None:
            peak = round(float(20 * np.log10(max(1, int(np.abs(heard.astype(np.int32)).max())) / 32_768)), 1)
            if peak > -1.0:
                problems.append(f"what is heard reaches {peak} dBFS: turn the receiver or rx_gain_db down")
        return Report(
            quiet_dbfs=round(self._quiet_dbfs, 1),
            heard_dbfs=None if heard is None else round(rms_dbfs(heard), 1),
            heard_peak_dbfs=peak,
            heard_ms=None if heard is None else len(self._parrot) * FRAME_MS,
            tone_dbfs=_tone_level(self._parrot),
            tail_ms=self._tail_frames * FRAME_MS if self._parrot and self._has_cos else None,
            key_ms=self._key_ms,
            unkey_ms=self._unkey_ms,
            tx_detect_ms=self._tx_detect_ms,
            loop_ms=self._loop_ms,
            returns_ms=self._returns_ms,
            polarity=polarity,
            problems=tuple(problems),
        )


def _tone_level(frames: Sequence[Frame]) -> float | None:
    """The level of a 1 kHz tone if that is what was heard, over its steady middle."""
    middle = frames[len(frames) // 4 : max(1, 3 * len(frames) // 4)]
    if not middle:
        return None
    parts = [tone_part_dbfs(frame) for frame in middle]
    is_tone = np.median([part - rms_dbfs(frame) for part, frame in zip(parts, middle, strict=True)]) > -3
    return round(float(np.median(parts)), 1) if is_tone else None
