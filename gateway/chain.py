"""The audit chain as such: what an entry's hash is, what a checkpoint says, and what is wrong with a chain.

Each entry's hash is SHA-256 over its canonical JSON, which names the hash of the entry before. So nothing can be
changed, removed, inserted or moved without a trace, except by somebody who computes everything after it anew, or cuts
the end off; a checkpoint that was printed or sent away finds those too.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeGuard

from tongpin.gateway.records import Json

GENESIS = "0" * 64
"""The ``previous`` of the first entry."""
FIELDS = frozenset(("sequence", "at", "action", "actor", "agency", "subject", "detail", "previous"))
"""What is hashed; ``hash`` itself stands beside."""
MAX_FINDINGS = 100


def canonical(content: object) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8: the same content always gives the same bytes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def digest(entry: Mapping[str, Json]) -> str:
    """The hash that an entry with these fields must have. Hexadecimal."""
    return hashlib.sha256(canonical({name: entry.get(name) for name in FIELDS})).hexdigest()


def time_text(at: datetime) -> str:
    """An aware time as entries say it."""
    return at.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the log. ``at`` is when it happened, which is not always the order in which it was written."""

    sequence: int
    at: datetime
    action: str
    actor: str
    agency: str | None
    subject: str
    detail: Mapping[str, Json]
    previous: str
    hash: str = ""

    def content(self) -> dict[str, Json]:
        """As an export has it."""
        return {
            "sequence": self.sequence,
            "at": time_text(self.at),
            "action": self.action,
            "actor": self.actor,
            "agency": self.agency,
            "subject": self.subject,
            "detail": self.detail,
            "previous": self.previous,
            "hash": self.hash,
        }

    def sealed(self) -> "AuditEntry":
        """With its hash."""
        return replace(self, hash=digest(self.content()))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the chain stood. ``key`` names the installation's key, ``mac`` is the HMAC by it; both may be empty."""

    sequence: int
    hash: str
    at: datetime
    key: str = ""
    mac: str = ""

    def content(self) -> dict[str, Json]:
        return {
            "sequence": self.sequence,
            "hash": self.hash,
            "at": time_text(self.at),
            "key": self.key,
            "mac": self.mac,
        }


class CheckpointKey:
    """Signs checkpoints, so that this installation knows its own again."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"tongpin audit checkpoint", "sha256")
        self.name = hashlib.sha256(self._key).hexdigest()[:16]

    def sign(self, checkpoint: Checkpoint) -> Checkpoint:
        named = replace(checkpoint, key=self.name, mac="")
        return replace(named, mac=hmac.new(self._key, canonical(named.content()), "sha256").hexdigest())

    def is_forged(self, checkpoint: Checkpoint) -> bool:
        """Whether it says that this key signed it, and it did not. Another installation's we cannot judge."""
        if checkpoint.key != self.name:
            return False
        return not hmac.compare_digest(self.sign(checkpoint).mac.encode(), checkpoint.mac.encode("utf-8", "replace"))


def read_checkpoint(content: object) -> Checkpoint:
    """A checkpoint from JSON. Raises ValueError saying what is wrong."""
    if isinstance(content, dict):
        if "checkpoint" in content:
            return read_checkpoint(content["checkpoint"])
        sequence, hash_, at = content.get("sequence"), content.get("hash"), content.get("at")
        key, mac = content.get("key", ""), content.get("mac", "")
        texts = (hash_, at, key, mac)
        if (
            isinstance(sequence, int)
            and not isinstance(sequence, bool)
            and all(isinstance(item, str) for item in texts)
        ):
            moment = datetime.fromisoformat(str(at))
            if moment.tzinfo is None:
                raise ValueError("a checkpoint's time needs a zone")
            return Checkpoint(sequence, str(hash_), moment, str(key), str(mac))
    raise ValueError("a checkpoint is an object with sequence, hash and at")


class Fault(StrEnum):
    """What can be wrong with a chain."""

    MALFORMED = "malformed"
    CHANGED = "changed"
    UNLINKED = "unlinked"
    MISSING = "missing"
    REORDERED = "reordered"
    INSERTED = "inserted"
    OTHER_THAN_CHECKPOINT = "other-than-checkpoint"
    TRUNCATED = "truncated"
    FORGED_CHECKPOINT = "forged-checkpoint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault and the entry it was found at: its number, or for a malformed one its place in the file."""

    fault: Fault
    entry: int
    text: str


class ChainVerifier:
    """Takes entries in the order of the chain or file, any number of them, and says at the end what is wrong.

    Args:
        start: the chain is known up to here; the first entry must follow. None = from the first entry.
        checkpoints: what is known of the chain from elsewhere. A chain that begins after one of them is fine.
    """

    def __init__(self, start: Checkpoint | None = None, checkpoints: Iterable[Checkpoint] = ()) -> None:
        self._last, self._hash = (start.sequence, start.hash) if start is not None else (0, GENESIS)
        self._known = {point.sequence: point.hash for point in checkpoints}
        self._gaps: list[tuple[int, int, int]] = []
        self._findings: list[Finding] = []
        self._is_first = start is None
        self.count = 0
        self.fault_count = 0

    @property
    def last(self) -> int:
        """The highest number so far."""
        return self._last

    def feed(self, entry: object) -> None:
        """The next entry, as JSON has it."""
        self.count += 1
        if not isinstance(entry, dict) or not _is_entry(entry):
            self.find(Fault.MALFORMED, self.count, f"the {_nth(self.count)} entry has not the fields of an entry")
            return
        sequence, own = int(entry["sequence"]), str(entry["hash"])
        if digest(entry) != own or entry.get("id", str(sequence)) != str(sequence):
            self.find(Fault.CHANGED, sequence, f"entry {sequence} was changed: its content does not give its hash")
        if self._known.get(sequence, own) != own:
            text = f"entry {sequence} is not the one that the checkpoint saw"
            self.find(Fault.OTHER_THAN_CHECKPOINT, sequence, text)
        if self._is_first:
            self._is_first = False
            if sequence - 1 in self._known:
                self._last, self._hash = sequence - 1, self._known[sequence - 1]
        if sequence <= self._last:
            self._out_of_turn(sequence)
            return
        if sequence > self._last + 1:
            self._gaps.append((self._last + 1, sequence - 1, sequence))
        elif entry["previous"] != self._hash:
            before = f"entry {self._last}" if self._last else "the beginning of the chain"
            text = f"entry {sequence} does not follow {before}: one of them was replaced"
            self.find(Fault.UNLINKED, sequence, text)
        self._last, self._hash = sequence, own

    def finish(self) -> list[Finding]:
        """Everything that is wrong, at most ``MAX_FINDINGS``; :attr:`fault_count` counts all."""
        for first, last, before in self._gaps:
            named = f"entry {first} is" if first == last else f"entries {first} to {last} are"
            self.find(Fault.MISSING, first, f"{named} missing before entry {before}")
        self._gaps.clear()
        for sequence in sorted(self._known):
            if sequence > self._last:
                text = f"the chain ends at entry {self._last}, but a checkpoint saw entry {sequence}: it was cut short"
                self.find(Fault.TRUNCATED, sequence, text)
        return sorted(self._findings, key=lambda finding: finding.entry)

    def find(self, fault: Fault, entry: int, text: str) -> None:
        self.fault_count += 1
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(Finding(fault, entry, text))

    def _out_of_turn(self, sequence: int) -> None:
        for index, (first, last, before) in enumerate(self._gaps):
            if first <= sequence <= last:
                rest = [(first, sequence - 1, before), (sequence + 1, last, before)]
                self._gaps[index : index + 1] = [gap for gap in rest if gap[0] <= gap[1]]
                self.find(Fault.REORDERED, sequence, f"entry {sequence} stands after entry {self._last}: it was moved")
                return
        text = f"entry {sequence} stands a second time, or was never there: it was inserted"
        self.find(Fault.INSERTED, sequence, text)


def _is_entry(entry: Mapping[str, Json]) -> bool:
    texts = ("at", "action", "actor", "subject", "previous", "hash")
    agency = entry.get("agency", 0)
    return (
        _is_number(entry.get("sequence"))
        and all(isinstance(entry.get(name), str) for name in texts)
        and (agency is None or isinstance(agency, str))
        and isinstance(entry.get("detail"), dict)
        and set(entry) <= FIELDS | {"hash", "id", "name"}
        and entry.get("name", entry["action"]) == entry["action"]
    )


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
