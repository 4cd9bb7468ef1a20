"""libopus by ctypes: what PyAV does not give us (concealment, FEC decoding, packet-loss setting) and nothing else.

See docs/decisions/0002-opus-binding.md for why the binding is ours. Mono, 48 kHz, 20 ms throughout.
"""

import ctypes
import ctypes.util
from functools import cache

import numpy as np

from tongpin.codecs.errors import CodecLibraryError, OpusError
from tongpin.codecs.frame import FRAME_SAMPLES, SAMPLE_RATE_HZ, PcmFrame, check_frame

MAX_PACKET_BYTES = 1275
"""RFC 6716 §3.2.1: the longest frame; a packet of one frame has one byte more, which our bit rates never come near."""

_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_FRAME_TENTHS_MS = (
    *(100, 200, 400, 600) * 3,  # SILK narrow, medium, wide band
    *(100, 200) * 2,  # hybrid
    *(25, 50, 100, 200) * 4,  # CELT
)
"""RFC 6716 table 2: duration of one frame by the packet's configuration number, in tenths of a millisecond."""


@cache
def _library() -> ctypes.CDLL:
    for name in (ctypes.util.find_library("opus"), "libopus.so.0", "libopus.0.dylib", "opus.dll"):
        if name is None:
            continue
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        pointer, integer = ctypes.c_void_p, ctypes.c_int
        library.opus_encoder_create.argtypes = [ctypes.c_int32, integer, integer, ctypes.POINTER(integer)]
        library.opus_encoder_create.restype = pointer
        library.opus_encoder_destroy.argtypes = [pointer]
        library.opus_encoder_destroy.restype = None
        library.opus_encode.argtypes = [pointer, pointer, integer, pointer, ctypes.c_int32]
        library.opus_encode.restype = ctypes.c_int32
        library.opus_decoder_create.argtypes = [ctypes.c_int32, integer, ctypes.POINTER(integer)]
        library.opus_decoder_create.restype = pointer
        library.opus_decoder_destroy.argtypes = [pointer]
        library.opus_decoder_destroy.restype = None
        library.opus_decode.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, integer, integer]
        library.opus_decode.restype = integer
        library.opus_strerror.argtypes = [integer]
        library.opus_strerror.restype = ctypes.c_char_p
        return library
    raise CodecLibraryError("libopus is missing: install it (Debian, Ubuntu: apt-get install libopus0)")


def _check(code: int) -> int:
    if code < 0:
        text: bytes = _library().opus_strerror(code)
        raise OpusError(text.decode("ascii", "replace"))
    return code


class OpusEncoder:
    """One talker's encoder: VoIP, in-band FEC on, no DTX.

    Args:
        bitrate_bps: 6 000–64 000.
        complexity: 0–10; 9 costs about 0.25 ms a frame and, at 40 kbit/s, scores half a PESQ point more than 5.
        expected_loss_percent: how much loss the in-band FEC is made for: its copies are paid for out of the bit rate.
    """

    def __init__(self, bitrate_bps: int = 40_000, complexity: int = 9, expected_loss_percent: int = 5) -> None:
        library = _library()
        error = ctypes.c_int(0)
        self._state = None
        self._destroy = library.opus_encoder_destroy
        self._encode = library.opus_encode
        state = library.opus_encoder_create(SAMPLE_RATE_HZ, 1, _APPLICATION_VOIP, ctypes.byref(error))
        _check(error.value)
        self._state = state
        for request, value in (
            (_SET_BITRATE, bitrate_bps),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS_PERC, expected_loss_percent),
            (_SET_SIGNAL, _SIGNAL_VOICE),
        ):
            # Variadic in C: the fixed arguments keep their types, the value goes as a plain 32-bit int.
            _check(library.opus_encoder_ctl(ctypes.c_void_p(state), ctypes.c_int(request), ctypes.c_int(value)))
        self._out = ctypes.create_string_buffer(MAX_PACKET_BYTES)

    def __del__(self) -> None:
        if self._state is not None:
            self._destroy(self._state)

    def encode(self, pcm: PcmFrame) -> bytes:
        """One frame as an Opus packet of 20 ms. Raises FrameShapeError; the encoder is unchanged."""
        check_frame(pcm)
        samples = np.ascontiguousarray(pcm)
        size = self._encode(self._state, samples.ctypes.data, FRAME_SAMPLES, self._out, MAX_PACKET_BYTES)
        return self._out.raw[: _check(size)]


class OpusDecoder:
    """One talker's decoder, with concealment and FEC."""

    def __init__(self) -> None:
        library = _library()
        error = ctypes.c_int(0)
        self._state = None
        self._destroy = library.opus_decoder_destroy
        self._decode = library.opus_decode
        state = library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        _check(error.value)
        self._state = state

    def __del__(self) -> None:
        if self._state is not None:
            self._destroy(self._state)

    def decode(self, packet: bytes) -> PcmFrame:
        """The frame in a packet. Raises OpusError when it is not Opus of 20 ms; the next packet decodes as usual."""
        return self._run(packet, 0)

    def decode_fec(self, following: bytes) -> PcmFrame:
        """The lost frame before ``following``, from the copy it carries; concealed when it carries none."""
        return self._run(following, 1)

    def conceal(self) -> PcmFrame:
        """What a lost frame most likely sounded like."""
        return self._run(None, 0)

    def _run(self, packet: bytes | None, fec: int) -> PcmFrame:
        if packet is not None and packet_samples(packet) != FRAME_SAMPLES:
            raise OpusError("the packet does not hold 20 ms")
        pcm = np.empty(FRAME_SAMPLES, np.int16)
        size = 0 if packet is None else len(packet)
        if _check(self._decode(self._state, packet, size, pcm.ctypes.data, FRAME_SAMPLES, fec)) != FRAME_SAMPLES:
            raise OpusError("the packet does not hold 20 ms")
        return pcm


def packet_samples(packet: bytes) -> int:
    """Samples at 48 kHz that a packet says it holds (RFC 6716 §3.1); 0 for bytes that cannot be an Opus packet."""
    if not packet:
        return 0
    toc = packet[0]
    code = toc & 3
    if code == 3:
        if len(packet) < 2:
            return 0
        count = packet[1] & 63
    else:
        count = 1 if code == 0 else 2
    samples = count * _FRAME_TENTHS_MS[toc >> 3] * 48 // 10
    return samples if samples <= 5_760 else 0


@cache
def silence_packet() -> bytes:
    """A packet of 20 ms of digital silence, from an encoder that has heard nothing else."""
    encoder = OpusEncoder()
    for _ in range(10):
        packet = encoder.encode(np.zeros(FRAME_SAMPLES, np.int16))
    return packet
