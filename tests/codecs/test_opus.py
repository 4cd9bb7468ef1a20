"""The Opus binding: round trip, concealment, FEC, and bytes that are not Opus."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.codecs.errors import FrameShapeError, OpusError
from tongpin.codecs.frame import FRAME_SAMPLES, PcmFrame
from tongpin.codecs.levels import rms_dbfs
from tongpin.codecs.opus import OpusDecoder, OpusEncoder, packet_samples, silence_packet


def voice(frames: int, pitch_hz: float = 120.0) -> list[PcmFrame]:
    """A buzz with formants that rises and falls: enough like a voice for a codec."""
    t = np.arange(frames * FRAME_SAMPLES) / 48_000
    tone = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 20))
    wave = tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t)) * 6_000
    return list(np.asarray(wave, dtype=np.int16).reshape(-1, FRAME_SAMPLES))


def test_a_voice_survives_the_round_trip() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    source = voice(50)
    heard = [decoder.decode(encoder.encode(frame)) for frame in source]
    levels = [rms_dbfs(frame) for frame in source[2:-1]]
    # The codec's look-ahead is 6.5 ms, so a frame's level appears a third of a frame later.
    assert np.abs(np.array(levels) - [rms_dbfs(frame) for frame in heard[2:-1]]).max() < 3
    wanted, got = (np.abs(np.fft.rfft(np.concatenate(frames))) for frames in (source, heard))
    assert np.corrcoef(wanted, got)[0, 1] > 0.9


def test_a_lost_frame_is_better_recovered_than_concealed() -> None:
    encoder = OpusEncoder(bitrate_bps=32_000, expected_loss_percent=20)
    source = [frame for _ in range(4) for frame in voice(10, 110) + voice(10, 190)]
    packets = [encoder.encode(frame) for frame in source]
    whole, recovering, concealing = OpusDecoder(), OpusDecoder(), OpusDecoder()
    error_fec = error_plc = 0.0
    for index, packet in enumerate(packets[:-1]):
        wanted = whole.decode(packet).astype(np.float64)
        if index % 10 == 0 and index:
            error_fec += float(np.sum((recovering.decode_fec(packets[index + 1]) - wanted) ** 2))
            error_plc += float(np.sum((concealing.conceal() - wanted) ** 2))
        else:
            recovering.decode(packet)
            concealing.decode(packet)
    assert error_fec < 0.8 * error_plc


def test_a_wrong_frame_is_refused() -> None:
    with pytest.raises(FrameShapeError):
        OpusEncoder().encode(np.zeros(480, np.int16))
    with pytest.raises(FrameShapeError):
        OpusEncoder().encode(np.zeros(960, np.int32))


def test_silence_is_silent_and_small() -> None:
    packet = silence_packet()
    assert packet_samples(packet) == FRAME_SAMPLES
    assert len(packet) < 80
    assert rms_dbfs(OpusDecoder().decode(packet)) < -80


@given(st.binary(max_size=1500))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    decoder = OpusDecoder()
    try:
        assert decoder.decode(data).shape == (FRAME_SAMPLES,)
    except OpusError:
        assert decoder.conceal().shape == (FRAME_SAMPLES,)


@pytest.mark.parametrize(
    ("head", "samples"),
    [
        (b"", 0),
        (b"\x08\x00", 960),  # SILK narrow band, 20 ms, one frame
        (b"\x00\x00", 480),
        (b"\x09\x00", 1920),  # two frames
        (b"\x0b", 0),  # a count that is not there
        (b"\x0b\x03", 2880),
        (b"\x1b\x3f", 0),  # 63 frames of 60 ms: longer than a packet may be
        (b"\xf8\x00", 960),
        (b"\xe0\x00", 120),
    ],
)
def test_the_length_a_packet_says(head: bytes, samples: int) -> None:
    assert packet_samples(head) == samples
