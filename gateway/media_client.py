"""Sound in and out of an aiortc connection, for the command line's own WebRTC client."""

import asyncio
from contextlib import suppress
from pathlib import Path

import numpy as np
from aiortc import AudioStreamTrack, MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from tongpin.gateway.radio.wavefile import SAMPLE_RATE_HZ, WavWriter

_FRAME = SAMPLE_RATE_HZ // 50


class Speech(AudioStreamTrack):
    """Silence until :meth:`begin`; then more of it, the samples, silence again, and ``finished``. Times in seconds."""

    def __init__(self, pcm: NDArray[np.int16], lead_s: float, tail_s: float) -> None:
        super().__init__()
        lead, tail = (np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16) for seconds in (lead_s, tail_s))
        whole = np.concatenate([lead, pcm, tail])
        self._pcm = np.concatenate([whole, np.zeros(-whole.size % _FRAME, np.int16)])
        self._at = -1
        self._began_at: float | None = None
        self._sent = 0
        self.finished = asyncio.Event()

    def begin(self) -> None:
        self._at = 0

    async def recv(self) -> AudioFrame:
        """20 ms at their time; aiortc's own pacing is for 8 kHz."""
        now = asyncio.get_running_loop().time()
        if self._began_at is None:
            self._began_at = now
        await asyncio.sleep(max(0.0, self._began_at + self._sent * 0.02 - now))
        pcm = np.zeros(_FRAME, np.int16)
        if 0 <= self._at < self._pcm.size:
            pcm = self._pcm[self._at : self._at + _FRAME]
            self._at += _FRAME
        elif self._at >= self._pcm.size:
            self.finished.set()
        frame = AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._sent * _FRAME
        self._sent += 1
        return frame


async def record(track: MediaStreamTrack, out: Path, seconds: float) -> float:
    """Write what comes in within so many seconds to a WAV file; seconds of sound that came."""
    to_mono = AudioResampler("s16", "mono", SAMPLE_RATE_HZ)
    writer = WavWriter(out)
    try:
        with suppress(TimeoutError, MediaStreamError):
            async with asyncio.timeout(seconds):
                while True:
                    frame = await track.recv()
                    assert isinstance(frame, AudioFrame)
                    for mono in to_mono.resample(frame):
                        writer.write(mono.to_ndarray().reshape(-1).astype(np.int16, copy=False))
    finally:
        writer.close()
    return writer.written_samples / SAMPLE_RATE_HZ
