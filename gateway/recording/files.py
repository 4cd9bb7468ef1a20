"""The writing thread: packets of all open recordings go to disk every 100 ms, outside the event loop.

The event loop only appends to a bounded deque. After SIGKILL at most the last 100 ms, and what the kernel had not
been given, are missing; a file that ends anywhere is whole up to its last page. Once a second files are also synced,
for power cuts.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from tongpin.codecs.ogg import MAX_PAGE_PACKETS, OggOpusWriter
from tongpin.codecs.opus import packet_samples
from tongpin.gateway.media.packet import PACKET_SAMPLES, Packet

_log = structlog.get_logger(__name__)

FLUSH_S = 0.1
SYNC_S = 1.0
PENDING_LIMIT = 500
"""Packets (10 s) that wait for the disk at most; then the oldest go, counted."""
MAX_GAP_PACKETS = 500
"""A jump of more packets than this is another numbering, not a loss."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file. ``error`` says why it is not whole, or is empty."""

    duration_ms: int
    lost_ms: int
    size_bytes: int
    sha256: str
    error: str


@dataclass(slots=True)
class OpenFile:
    """One recording. The event loop appends to ``pending`` and sets ``is_ended``; the rest is the thread's."""

    path: Path
    writer: OggOpusWriter
    done: Callable[[Written], None]
    pending: deque[Packet] = field(default_factory=lambda: deque(maxlen=PENDING_LIMIT))
    is_ended: bool = False
    is_done: bool = False
    overflow: int = 0
    fd: int = -1
    size: int = 0
    next_sequence: int | None = None
    lost: int = 0
    error: str = ""
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def push(self, packet: Packet) -> None:
        """Event-loop thread. Never waits."""
        if len(self.pending) == PENDING_LIMIT:
            self.overflow += 1
        self.pending.append(packet)


class RecordingFiles:
    """The thread and its files. :meth:`open` and :meth:`close` from the event loop's thread."""

    def __init__(self, write: Callable[[int, bytes], int] = os.write) -> None:
        """``write`` is os.write but for tests of a full disk."""
        self._write: Final = write
        self._new: deque[OpenFile] = deque()
        self._open: list[OpenFile] = []
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def open(self, path: Path, serial: int, comments: list[str], done: Callable[[Written], None]) -> OpenFile:
        """A new recording. ``done`` is called by the thread once the file is finished."""
        file = OpenFile(path, OggOpusWriter(serial, comments), done)
        self._new.append(file)
        return file

    def close(self) -> None:
        """Write what is there, end every file, end the thread. Blocks for that long, 5 s at most."""
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        synced_at = monotonic()
        while True:
            is_closing = self._is_closing
            while self._new:
                self._begin(self._new.popleft())
            has_sync = monotonic() - synced_at >= SYNC_S
            for file in self._open:
                if is_closing:
                    file.is_ended = True
                self._advance(file, has_sync)
            self._open = [file for file in self._open if not file.is_done]
            if has_sync:
                synced_at = monotonic()
            if is_closing and not self._new:
                return
            self._wake.wait(FLUSH_S)

    def _begin(self, file: OpenFile) -> None:
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.fd = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            self._put(file, file.writer.head())
        except OSError as error:
            self._fail(file, error)
        self._open.append(file)

    def _advance(self, file: OpenFile, has_sync: bool) -> None:
        """Everything that waits goes to disk; an ended file is finished."""
        is_ended = file.is_ended  # Read first: what was pushed before the end is then in ``pending``.
        if file.fd < 0:
            file.pending.clear()
            if is_ended:
                self._finish(file)
            return
        try:
            while file.pending:
                self._page(file)
            if is_ended:
                self._put(file, file.writer.page([], is_last=True))
                os.fsync(file.fd)
            elif has_sync:
                os.fsync(file.fd)
        except OSError as error:
            self._fail(file, error)
        if is_ended:
            self._finish(file)

    def _page(self, file: OpenFile) -> None:
        """One page from the packets that wait, up to the next gap."""
        packets: list[bytes] = []
        segments = gap = 0
        while file.pending and len(packets) < MAX_PAGE_PACKETS:
            packet = file.pending[0]
            if packet_samples(packet.payload) != PACKET_SAMPLES:
                file.pending.popleft()  # Not 20 ms of Opus: it counts as lost by its number.
                continue
            jump = 0 if file.next_sequence is None else (packet.sequence - file.next_sequence) & 0xFFFF
            if jump >= 0x8000:
                file.pending.popleft()  # Late or double.
                continue
            jump = jump if jump <= MAX_GAP_PACKETS else 0
            segments += len(packet.payload) // 255 + 1
            if packets and (jump or segments > 255):
                break
            gap += jump
            packets.append(packet.payload)
            file.pending.popleft()
            file.next_sequence = (packet.sequence + 1) & 0xFFFF
        if packets:
            file.lost += gap
            self._put(file, file.writer.page(packets, gap_samples=gap * PACKET_SAMPLES))

    def _put(self, file: OpenFile, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._write(file.fd, left.tobytes()) :]
        file.hash.update(data)
        file.size += len(data)

    def _fail(self, file: OpenFile, error: OSError) -> None:
        file.error = os.strerror(error.errno) if error.errno else str(error)
        _log.error("a recording cannot be written", file=file.path.name, reason=file.error)
        if file.fd >= 0:
            os.close(file.fd)
            file.fd = -1

    def _finish(self, file: OpenFile) -> None:
        if file.fd >= 0:
            os.close(file.fd)
            file.fd = -1
        file.is_done = True
        file.done(
            Written(
                file.writer.samples // 48,
                (file.lost + file.overflow) * 20,
                file.size,
                file.hash.hexdigest(),
                file.error,
            )
        )
