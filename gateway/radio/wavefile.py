"""WAV files in and out: 16 bit of any rate becomes 48 kHz mono, and a file that grows stays readable."""

import math
import struct
import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tongpin.gateway.errors import CallerError

SAMPLE_RATE_HZ = 48_000
MAX_SECONDS = 4 * 3600
_HALF_TAPS = 32
"""Zero crossings of the windowed sinc on each side: stop band below -70 dB, enough for speech prompts."""
_HEADER_BYTES = 44
_BLOCK = 1 << 14


def _refuse(path: Path, why: str) -> CallerError:
    return CallerError(422, "bad-wav-file", f"{path}: {why}")


def resample(pcm: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """Bring ``pcm`` (mono, any length) from ``rate_hz`` to 48 kHz by windowed-sinc interpolation, without delay.

    Output sample k is the input's band-limited value at time k / 48 000 s; the file's edges count as silence.
    """
    if rate_hz == SAMPLE_RATE_HZ or pcm.size == 0:
        return pcm
    cutoff = min(1.0, SAMPLE_RATE_HZ / rate_hz) * 0.96
    half = int(np.ceil(_HALF_TAPS / cutoff))
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    up, down = SAMPLE_RATE_HZ // common, rate_hz // common
    # One row of weights for each of the ``up`` positions that an output sample can have between two input samples.
    offsets = np.arange(-half + 1, half + 1)
    away = offsets[None, :] - np.arange(up)[:, None] / up
    weights = cutoff * np.sinc(cutoff * away) * np.cos(np.pi * away / (2 * half + 2)) ** 2
    padded = np.concatenate((np.zeros(half), pcm, np.zeros(half + 1)))
    count = pcm.size * up // down
    out = np.empty(count)
    for start in range(0, count, _BLOCK):
        position = np.arange(start, min(start + _BLOCK, count), dtype=np.int64) * down
        taps = padded[(position // up)[:, None] + offsets[None, :] + half]
        out[start : start + position.size] = np.einsum("ij,ij->i", taps, weights[position % up])
    return out


def read_wav(path: Path) -> NDArray[np.int16]:
    """Read a 16-bit PCM WAV file as 48 kHz mono.

    Raises:
        CallerError: it does not exist, is not 16-bit PCM WAV, or lasts longer than four hours.
    """
    try:
        with wave.open(str(path), "rb") as file:
            rate_hz, channels, width, frames = (
                file.getframerate(),
                file.getnchannels(),
                file.getsampwidth(),
                file.getnframes(),
            )
            if width != 2:
                raise _refuse(path, f"{8 * width}-bit samples; only 16-bit PCM is read (sox IN -b 16 OUT makes one)")
            if not 4000 <= rate_hz <= 384_000 or channels < 1:
                raise _refuse(path, f"{rate_hz} Hz with {channels} channels cannot be right")
            if frames / rate_hz > MAX_SECONDS:
                raise _refuse(path, f"longer than {MAX_SECONDS // 3600} hours; cut it first")
            raw = file.readframes(frames)
    except (OSError, EOFError, wave.Error) as error:
        raise _refuse(path, f"cannot be read as WAV: {error}") from None
    samples = np.frombuffer(raw[: len(raw) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else np.rint(samples.mean(axis=1)).astype(np.int16)
    if rate_hz == SAMPLE_RATE_HZ:
        return mono.astype(np.int16)
    return np.clip(np.rint(resample(mono.astype(np.float64), rate_hz)), -32768, 32767).astype(np.int16)


class WavWriter:
    """Writes 48 kHz mono int16; after every :meth:`write` the file on disk is a whole WAV file."""

    def __init__(self, path: Path) -> None:
        """Create the file, or go on at the end of one that this class has written before. Raises OSError."""
        self._file: BinaryIO = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._data_bytes = max(0, self._file.seek(0, 2) - _HEADER_BYTES) & ~1
        self._file.truncate(self._data_bytes + _HEADER_BYTES if self._data_bytes else 0)
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(0, 2)

    def _header(self) -> bytes:
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF",
            36 + self._data_bytes,
            b"WAVE",
            b"fmt ",
            16,
            1,
            1,
            SAMPLE_RATE_HZ,
            2 * SAMPLE_RATE_HZ,
            2,
            16,
            b"data",
            self._data_bytes,
        )

    def write(self, pcm: NDArray[np.int16]) -> None:
        """Append samples, then the header, so that a reader never sees a length that is not there yet."""
        if _HEADER_BYTES + self._data_bytes + pcm.nbytes > 0xFFFF_FFFF:
            return  # A WAV file ends at 4 GiB (12 hours); the sound that is there stays readable.
        self._file.write(pcm.astype("<i2", copy=False).tobytes())
        self._data_bytes += pcm.nbytes
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(0, 2)

    @property
    def written_samples(self) -> int:
        return self._data_bytes // 2

    def close(self) -> None:
        self._file.close()
