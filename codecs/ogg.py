"""Ogg Opus (RFC 3533, RFC 7845) from ready packets and back: recordings are the very packets that were heard.

Pages are made so that a file that ends anywhere is whole up to its last page. Gaps in the sound (a talker's lost
packets) are kept as jumps of the granule position, as RFC 7845 §4 has it, so that times in the file are true.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tongpin.codecs.errors import CodecError
from tongpin.codecs.opus import packet_samples

PRE_SKIP = 312
"""Samples that a decoder's start-up gives before the sound (libopus' encoder delay at 48 kHz)."""
MAX_PAGE_PACKETS = 50
_HEADER: Final = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_REVERSED: Final = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


class OggError(CodecError):
    """The bytes are not Ogg Opus."""


def page_checksum(page: bytes) -> int:
    """Ogg's CRC-32 (polynomial 04C11DB7, not reflected, start 0) of a page whose checksum field is zero.

    zlib's CRC has the same polynomial reflected: with every byte's bits turned round it does the work.
    """
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)


class OggOpusWriter:
    """Makes the pages of one mono stream; writes nothing itself.

    Args:
        serial: the stream's number, 32 bits.
        comments: ``NAME=value`` pairs for the tags, e.g. ``TITLE=…``.
    """

    def __init__(self, serial: int, comments: Sequence[str] = ()) -> None:
        self._serial = serial & 0xFFFFFFFF
        self._comments = tuple(comments)
        self._pages = 0
        self._granule = PRE_SKIP

    @property
    def samples(self) -> int:
        """Sound so far, gaps included, in samples at 48 kHz."""
        return self._granule - PRE_SKIP

    def head(self) -> bytes:
        """The two pages before any sound: identification and tags. Once, first."""
        identification = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, 48_000, 0, 0)
        vendor = b"Tongpin"
        tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(self._comments))
        for comment in self._comments:
            text = comment.encode()
            tags += struct.pack("<I", len(text)) + text
        return self._page([identification], _FIRST, 0) + self._page([tags], 0, 0)

    def page(self, packets: Sequence[bytes], *, gap_samples: int = 0, is_last: bool = False) -> bytes:
        """One page of sound.

        Args:
            packets: 1 to :data:`MAX_PAGE_PACKETS` Opus packets; none are allowed on the last page.
            gap_samples: sound that was lost before these packets.
        Raises:
            ValueError: too many packets, or more bytes than a page holds. Nothing was added.
        """
        if len(packets) > MAX_PAGE_PACKETS or sum(len(packet) // 255 + 1 for packet in packets) > 255:
            raise ValueError("more packets than one page holds")
        if not packets and not is_last:
            raise ValueError("a page without packets that is not the last")
        self._granule += gap_samples + sum(packet_samples(packet) for packet in packets)
        return self._page(packets, _LAST if is_last else 0, self._granule)

    @staticmethod
    def end_page(last: "OggPage") -> bytes:
        """The page that properly ends a stream which was cut off behind its page ``last``."""
        writer = OggOpusWriter(last.serial)
        writer._pages = last.number + 1
        writer._granule = max(last.granule, PRE_SKIP)
        return writer.page([], is_last=True)

    def _page(self, packets: Sequence[bytes], flags: int, granule: int) -> bytes:
        lacing = bytearray()
        for packet in packets:
            lacing += b"\xff" * (len(packet) // 255)
            lacing.append(len(packet) % 255)
        body = bytes(lacing) + b"".join(packets)
        head = _HEADER.pack(b"OggS", 0, flags, granule, self._serial, self._pages, 0, len(lacing))
        self._pages += 1
        checksum = page_checksum(head + body)
        return head[:22] + struct.pack("<I", checksum) + head[26:] + body


@dataclass(frozen=True, slots=True)
class OggPage:
    """One page as read: ``end`` is the offset behind it; ``packets`` are whole packets (ours never span pages)."""

    flags: int
    granule: int
    serial: int
    number: int
    packets: tuple[bytes, ...]
    end: int

    @property
    def is_last(self) -> bool:
        return bool(self.flags & _LAST)


def read_pages(data: bytes) -> Iterator[OggPage]:
    """The whole pages at the beginning of ``data``; stops quietly where a page is cut off or damaged.

    Raises:
        OggError: a page holds a packet that goes on in the next one: not a file of :class:`OggOpusWriter`.
    """
    at = 0
    while at + _HEADER.size <= len(data):
        magic, version, flags, granule, serial, number, checksum, segments = _HEADER.unpack_from(data, at)
        body_at = at + _HEADER.size + segments
        lacing = data[at + _HEADER.size : body_at]
        end = body_at + sum(lacing)
        if magic != b"OggS" or version != 0 or len(lacing) < segments or end > len(data):
            return
        if page_checksum(data[at : at + 22] + bytes(4) + data[at + 26 : end]) != checksum:
            return
        packets, size, start = [], 0, body_at
        for value in lacing:
            size += value
            if value < 255:
                packets.append(data[start : start + size])
                start, size = start + size, 0
        if size or flags & _CONTINUED:
            raise OggError("a packet that spans pages")
        yield OggPage(flags, granule, serial, number, tuple(packets), end)
        at = end


def read_sound(data: bytes) -> tuple[list[bytes | None], int]:
    """The packets of a recording, and the length of its whole pages in bytes.

    Returns:
        Opus packets of 20 ms in order, None for each 20 ms that was lost; and the offset behind the last whole page.
    """
    sound: list[bytes | None] = []
    end = 0
    granule = PRE_SKIP
    for number, page in enumerate(read_pages(data)):
        end = page.end
        if number < 2:
            continue
        held = sum(packet_samples(packet) for packet in page.packets)
        sound += [None] * max(0, (page.granule - granule - held) // 960)
        sound += page.packets
        granule = page.granule
    return sound, end
