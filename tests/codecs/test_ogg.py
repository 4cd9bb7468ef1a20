"""Ogg Opus pages, held against readers that are not ours (FFmpeg by PyAV)."""

import io

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.codecs.ogg import (
    MAX_PAGE_PACKETS,
    PRE_SKIP,
    OggError,
    OggOpusWriter,
    page_checksum,
    read_pages,
    read_sound,
)
from tongpin.codecs.opus import OpusEncoder


def tone(frames: int) -> list[bytes]:
    encoder = OpusEncoder()
    t = np.arange(frames * 960) / 48_000
    pcm = (8_000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16).reshape(frames, 960)
    return [encoder.encode(frame) for frame in pcm]


def recording(packets: list[bytes], step: int = 10) -> bytes:
    writer = OggOpusWriter(7, ["TITLE=走失儿童"])
    out = writer.head()
    for start in range(0, len(packets), step):
        out += writer.page(packets[start : start + step], is_last=start + step >= len(packets))
    assert writer.samples == len(packets) * 960
    return out


def plain_checksum(page: bytes) -> int:
    """RFC 3533 §6, bit by bit."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


@given(st.binary(max_size=400))
def test_the_checksum_is_the_one_of_the_rfc(data: bytes) -> None:
    assert page_checksum(data) == plain_checksum(data)


def test_ffmpeg_reads_what_we_write() -> None:
    packets = tone(100)
    with av.open(io.BytesIO(recording(packets)), mode="r") as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name in ("opus", "libopus")
        assert container.metadata.get("title") == "走失儿童" or stream.metadata.get("TITLE") == "走失儿童"
        assert [bytes(packet) for packet in container.demux(stream) if packet.size] == packets
        assert stream.duration is not None and stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(2.0, abs=0.01)


def test_a_gap_is_time_that_passes() -> None:
    packets = tone(20)
    writer = OggOpusWriter(1)
    data = writer.head() + writer.page(packets[:10]) + writer.page(packets[10:], gap_samples=3 * 960, is_last=True)
    assert writer.samples == 23 * 960
    sound, end = read_sound(data)
    assert end == len(data)
    assert sound == [*packets[:10], None, None, None, *packets[10:]]
    assert [page.granule for page in read_pages(data)][-1] == PRE_SKIP + 23 * 960


@given(st.integers(0, 3_000))
def test_a_file_cut_anywhere_is_whole_up_to_its_last_page(cut: int) -> None:
    data = DATA[: max(0, len(DATA) - cut)]
    sound, end = read_sound(data)
    assert end <= len(data)
    assert sound == PACKETS[: len(sound)]
    assert len(sound) % 10 == 0 or len(sound) == len(PACKETS)


def test_a_flipped_bit_ends_the_reading_there() -> None:
    data = bytearray(DATA)
    pages = list(read_pages(DATA))
    data[pages[3].end + 60] ^= 1
    assert [page.number for page in read_pages(bytes(data))] == [0, 1, 2, 3]
    assert pages[-1].is_last and not pages[0].is_last
    assert {page.serial for page in pages} == {7}


def test_long_packets_are_laced() -> None:
    packets = [bytes([0x08]) + bytes(254), bytes([0x08]) + bytes(509), bytes([0x08]) + bytes(1274)]
    writer = OggOpusWriter(1)
    sound, _ = read_sound(writer.head() + writer.page(packets) + writer.page([], is_last=True))
    assert sound == packets


def test_what_does_not_fit_a_page_is_refused_and_changes_nothing() -> None:
    writer = OggOpusWriter(1)
    with pytest.raises(ValueError, match="more packets"):
        writer.page([b"\x08"] * (MAX_PAGE_PACKETS + 1))
    with pytest.raises(ValueError, match="more packets"):
        writer.page([bytes([8]) * 1275] * MAX_PAGE_PACKETS)
    with pytest.raises(ValueError, match="without packets"):
        writer.page([])
    assert writer.samples == 0


def test_a_packet_that_spans_pages_is_said() -> None:
    page = bytearray(OggOpusWriter(1).head()[:47])
    page[26] = 1
    whole = bytes(page[:22]) + bytes(4) + bytes(page[26:27]) + b"\xff" + bytes(255)
    whole = whole[:22] + page_checksum(whole).to_bytes(4, "little") + whole[26:]
    with pytest.raises(OggError, match="spans"):
        list(read_pages(whole))


PACKETS = tone(60)
DATA = recording(PACKETS)
