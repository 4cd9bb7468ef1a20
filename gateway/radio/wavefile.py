"""WAV files in and out: 16 bit of any rate becomes 48 kHz mono, and a file that grows stays readable."""

import math
import struct
from dataclasses import dataclass
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
_EXTENSIBLE = 0xFFFE
"""WAVE_FORMAT_EXTENSIBLE: the kind stands in the first two bytes of a GUID behind it."""


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


@dataclass(frozen=True, slots=True)
class _Format:
    """The ``fmt `` chunk: ``kind`` 1 = integers, 3 = floats; ``width`` in bytes."""

    kind: int
    channels: int
    rate_hz: int
    width: int


def _chunks(path: Path, data: bytes) -> tuple[_Format, bytes]:
    """Format and samples of a RIFF WAVE file. A ``data`` chunk longer than the file is one that was being written."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise _refuse(path, "is not a WAV file")
    found: _Format | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if name == b"fmt " and len(body) >= 16:
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if kind == _EXTENSIBLE and len(body) >= 26:
                (kind,) = struct.unpack_from("<H", body, 24)
            found = _Format(kind, channels, rate_hz, bits // 8)
        elif name == b"data" and found is not None:
            return found, body
        at += 8 + size + (size & 1)
    raise _refuse(path, "is cut off: it has no format or no samples")


def _samples(path: Path, format_: _Format, body: bytes) -> NDArray[np.float64]:
    """One row a moment, one column a channel, full scale ±32 768."""
    body = body[: len(body) // (format_.width * format_.channels) * format_.width * format_.channels]
    match format_.kind, format_.width:
        case 1, 1:
            flat = (np.frombuffer(body, np.uint8).astype(np.float64) - 128) * 256
        case 1, 2:
            flat = np.frombuffer(body, "<i2").astype(np.float64)
        case 1, 3:
            bytes_ = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int32)
            flat = ((bytes_[:, 2] << 24 | bytes_[:, 1] << 16 | bytes_[:, 0] << 8) >> 8) / 256
        case 1, 4:
            flat = np.frombuffer(body, "<i4") / 65_536
        case 3, 4:
            flat = np.nan_to_num(np.frombuffer(body, "<f4").astype(np.float64)) * 32_768
        case _:
            what = f"format {format_.kind} with {8 * format_.width} bits"
            raise _refuse(path, f"{what} is not read; sox IN -b 16 OUT makes a file that is")
    return flat.reshape(-1, format_.channels)


def read_wav(path: Path) -> NDArray[np.int16]:
    """Read a WAV file (integers of 8 to 32 bit, or 32-bit floats) as 48 kHz mono.

    Raises:
        CallerError: it does not exist, is no WAV of such a kind, or lasts longer than four hours.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _refuse(path, f"cannot be read: {error.strerror}") from None
    format_, body = _chunks(path, data)
    if not 4000 <= format_.rate_hz <= 384_000 or format_.channels < 1:
        raise _refuse(path, f"{format_.rate_hz} Hz with {format_.channels} channels cannot be right")
    if len(body) / max(1, format_.width * format_.channels) / format_.rate_hz > MAX_SECONDS:
        raise _refuse(path, f"longer than {MAX_SECONDS // 3600} hours; cut it first")
    if format_.width == 0:
        raise _refuse(path, "samples of no bits cannot be right")
    mono = resample(_samples(path, format_, body).mean(axis=1), format_.rate_hz)
    return np.clip(np.rint(mono), -32768, 32767).astype(np.int16)


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
