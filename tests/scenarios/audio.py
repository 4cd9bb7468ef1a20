"""Speech to send, and what came out at the other end: alignment, delay, onset, end, PESQ."""

import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pesq import pesq
from scipy.signal import butter, correlate, resample_poly, sosfilt

RATE = 48_000
Pcm = npt.NDArray[np.int16]


def speak(path: Path, text: str, voice: str = "en-us", lead_s: float = 0.5, tail_s: float = 0.5) -> Pcm:
    """Write a 48 kHz mono WAV of the sentence with silence before and after, peak -3 dBFS; return its samples."""
    raw = path.with_suffix(".raw.wav")
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(raw), text], check=True)
    subprocess.run(
        [
            *("sox", str(raw), "-r", str(RATE), "-c", "1", "-b", "16", str(path), "norm", "-3"),
            *("silence", "1", "0.01", "0.5%", "reverse", "silence", "1", "0.01", "0.5%", "reverse"),
            *("pad", str(lead_s), str(tail_s)),
        ],
        check=True,
    )
    return read_wav(path)


def read_wav(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        assert file.getframerate() == RATE and file.getnchannels() == 1 and file.getsampwidth() == 2
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def write_wav(path: Path, pcm: Pcm) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())


@dataclass(frozen=True)
class Match:
    """How a recording matches its source.

    Attributes:
        offset_s: where the source's first sample lies in the recording.
        score: normalised cross-correlation of the two envelopes-free waveforms at that offset, 0–1.
    """

    offset_s: float
    score: float


def _speech_band(pcm: npt.NDArray[np.floating | np.integer]) -> npt.NDArray[np.float64]:
    band = butter(4, (300, 3400), btype="band", fs=RATE, output="sos")
    return np.asarray(sosfilt(band, pcm.astype(np.float64)))


def match(source: Pcm, recording: Pcm) -> Match:
    """Find the source in the recording (300–3400 Hz)."""
    a, b = _speech_band(source), _speech_band(recording)
    if len(b) < len(a):
        b = np.concatenate([b, np.zeros(len(a) - len(b))])
    product = correlate(b, a, mode="valid", method="fft")
    squares = np.concatenate([[0.0], np.cumsum(b * b)])
    energy = squares[len(a) :] - squares[: -len(a)]
    norm = np.sqrt(np.maximum(energy, 1e-9) * float(a @ a)) + 1e3
    scores = product / norm
    best = int(np.argmax(scores))
    return Match(best / RATE, float(scores[best]))


PART_S = 0.5
SEARCH_S = 0.021


def match_parts(source: Pcm, recording: Pcm) -> list[Match]:
    """Find each voiced half second of the source in the recording, within one frame of where the whole lies.

    A path between sound cards takes out what their clocks differ by: the delay slides within a talk. At 1 kHz half a
    millisecond turns the whole waveform over though every word is whole; half a second does not slide so far. Each
    part's ``offset_s`` is where the source's first sample would lie by that part.
    """
    whole = match(source, recording)
    loud = 0.05 * float(np.sqrt(np.mean(source.astype(np.float64) ** 2)))
    length, around = round(PART_S * RATE), round(SEARCH_S * RATE)
    found = []
    for start in range(0, len(source) - length + 1, length):
        part = source[start : start + length]
        if float(np.sqrt(np.mean(part.astype(np.float64) ** 2))) < loud:
            continue
        first = max(0, round(whole.offset_s * RATE) + start - around)
        here = match(part, recording[first : first + length + 2 * around])
        found.append(Match(here.offset_s + (first - start) / RATE, here.score))
    return found


def voiced_span(pcm: Pcm, below_peak_db: float = 30.0) -> tuple[float, float]:
    """Seconds of the first and last 10 ms whose band-limited level is within ``below_peak_db`` of the loudest."""
    band = _speech_band(pcm)
    step = RATE // 100
    frames = band[: len(band) // step * step].reshape(-1, step)
    level = 10 * np.log10(np.mean(frames * frames, axis=1) + 1e-3)
    loud = np.flatnonzero(level > level.max() - below_peak_db)
    return float(loud[0]) / 100, float(loud[-1] + 1) / 100


def pesq_wideband(source: Pcm, recording: Pcm) -> float:
    """PESQ (ITU-T P.862.2, wide band, 16 kHz) of a recording that was aligned with :func:`match`."""
    found = match(source, recording)
    start = round(found.offset_s * RATE)
    part = recording[start : start + len(source)]
    n = min(len(part), len(source))
    a, b = resample_poly(source[:n].astype(np.float64), 1, 3), resample_poly(part[:n].astype(np.float64), 1, 3)
    return float(pesq(16_000, a / 32768, b / 32768, "wb"))


def pesq_narrowband(source: Pcm, recording: Pcm) -> float:
    """PESQ (ITU-T P.862, narrow band, 8 kHz): the band that a radio carries."""
    found = match(source, recording)
    start = round(found.offset_s * RATE)
    part = recording[start : start + len(source)]
    n = min(len(part), len(source))
    a, b = resample_poly(source[:n].astype(np.float64), 1, 6), resample_poly(part[:n].astype(np.float64), 1, 6)
    return float(pesq(8_000, a / 32768, b / 32768, "nb"))
