"""Whatever is done to a chain is found, and the entry is named."""

import random
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.gateway.chain import (
    GENESIS,
    MAX_FINDINGS,
    AuditEntry,
    ChainVerifier,
    Checkpoint,
    CheckpointKey,
    Fault,
    Finding,
    digest,
    read_checkpoint,
)
from tongpin.gateway.records import Json

AT = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)
Entry = dict[str, Json]


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    previous = GENESIS
    for number in range(1, length + 1):
        agency = "gongan" if number % 2 else None
        entry = AuditEntry(
            number, AT + timedelta(seconds=number), "floor.granted", "陈", agency, "g", {"talk": number}, previous
        ).sealed()
        previous = entry.hash
        entries.append(entry.content())
    return entries


def end_of(entries: list[Entry]) -> Checkpoint:
    return Checkpoint(len(entries), str(entries[-1]["hash"]), AT)


def findings(entries: list[Entry], *checkpoints: Checkpoint, start: Checkpoint | None = None) -> list[Finding]:
    verifier = ChainVerifier(start, checkpoints)
    for entry in entries:
        verifier.feed(entry)
    return verifier.finish()


def test_a_whole_chain_has_no_findings() -> None:
    entries = chain(30)
    assert findings(entries, end_of(entries), Checkpoint(7, str(entries[6]["hash"]), AT)) == []
    assert findings(entries) == []
    assert findings(entries[10:], Checkpoint(10, str(entries[9]["hash"]), AT)) == [], "a part, anchored"
    assert findings(entries[10:], start=Checkpoint(10, str(entries[9]["hash"]), AT)) == []


def test_the_hash_is_what_the_documentation_says() -> None:
    """By hand, for somebody who writes a verifier of their own: sorted keys, no spaces, UTF-8, SHA-256."""
    import hashlib

    text = (
        '{"action":"floor.granted","actor":"陈","agency":"gongan","at":"2026-03-04T19:40:01+00:00",'
        f'"detail":{{"talk":1}},"previous":"{GENESIS}","sequence":1,"subject":"g"}}'
    )
    assert chain(1)[0]["hash"] == hashlib.sha256(text.encode()).hexdigest()


TAMPERED: dict[str, Json] = {
    "sequence": 4_000,
    "at": "2026-03-04T19:40:02+00:01",
    "action": "floor.denied",
    "actor": "x",
    "agency": "other",
    "subject": "h",
    "detail": {"talk": 0},
    "previous": "1" * 64,
    "hash": "2" * 64,
}


@given(st.integers(2, 20), st.data())
def test_a_changed_field_is_found_at_its_entry(length: int, data: st.DataObject) -> None:
    entries = chain(length)
    end = end_of(entries)
    index = data.draw(st.integers(0, length - 1))
    field = data.draw(st.sampled_from(sorted(TAMPERED)))
    entries[index][field] = TAMPERED[field]
    number = 4_000 if field == "sequence" else index + 1
    assert Finding(
        Fault.CHANGED, number, f"entry {number} was changed: its content does not give its hash"
    ) in findings(entries, end)


@given(st.integers(2, 20), st.data())
def test_a_change_with_a_new_hash_is_found_at_the_next_entry_or_by_the_checkpoint(
    length: int, data: st.DataObject
) -> None:
    entries = chain(length)
    end = end_of(entries)
    index = data.draw(st.integers(0, length - 1))
    entries[index]["actor"] = "somebody else"
    entries[index]["hash"] = digest(entries[index])
    found = findings(entries, end)
    if index == length - 1:
        assert [(item.fault, item.entry) for item in found] == [(Fault.OTHER_THAN_CHECKPOINT, length)]
    else:
        assert [(item.fault, item.entry) for item in found] == [(Fault.UNLINKED, index + 2)]


@given(st.integers(2, 20), st.data())
def test_a_chain_computed_anew_is_found_by_the_checkpoint(length: int, data: st.DataObject) -> None:
    entries = chain(length)
    end = end_of(entries)
    index = data.draw(st.integers(0, length - 1))
    entries[index]["actor"] = "somebody else"
    previous = entries[index]["previous"]
    for entry in entries[index:]:
        entry["previous"] = previous
        previous = entry["hash"] = digest(entry)
    assert [(item.fault, item.entry) for item in findings(entries, end)] == [(Fault.OTHER_THAN_CHECKPOINT, length)]
    assert findings(entries) == [], "this is why checkpoints are sent away"


@given(st.integers(2, 20), st.data())
def test_removed_entries_are_named(length: int, data: st.DataObject) -> None:
    entries = chain(length)
    end = end_of(entries)
    gone = data.draw(st.sets(st.integers(1, length), min_size=1))
    left = [entry for entry in entries if entry["sequence"] not in gone]
    named: set[int] = set()
    for item in findings(left, end):
        if item.fault is Fault.MISSING:
            last = item.entry
            while last in gone:
                named.add(last)
                last += 1
        else:
            assert item.fault is Fault.TRUNCATED
            named.update(range(int(str(left[-1]["sequence"])) + 1 if left else 1, length + 1))
    assert named == gone


@given(st.integers(1, 20), st.data())
def test_an_inserted_entry_is_named(length: int, data: st.DataObject) -> None:
    entries = chain(length)
    end = end_of(entries)
    place = data.draw(st.integers(0, length))
    number = data.draw(st.integers(1, length))
    forged = deepcopy(entries[number - 1])
    if data.draw(st.booleans(), label="forged"):
        forged["actor"] = "nobody"
        forged["previous"] = entries[place - 1]["hash"] if place else GENESIS
        forged["hash"] = digest(forged)
    entries.insert(place, forged)
    found = findings(entries, end)
    assert number in {item.entry for item in found}
    assert {item.fault for item in found} & {Fault.INSERTED, Fault.REORDERED}


@given(st.integers(2, 20), st.randoms(use_true_random=False))
def test_reordered_entries_are_named(length: int, chance: random.Random) -> None:
    entries = chain(length)
    end = end_of(entries)
    chance.shuffle(entries)
    order = [int(str(entry["sequence"])) for entry in entries]
    late = {number for index, number in enumerate(order) if number < max(order[:index], default=0)}
    found = findings(entries, end)
    assert {item.entry for item in found if item.fault is Fault.REORDERED} == late
    assert {item.fault for item in found} <= {Fault.REORDERED}


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        chain(1)[0] | {"sequence": True},
        chain(1)[0] | {"sequence": "1"},
        chain(1)[0] | {"agency": 5},
        chain(1)[0] | {"detail": []},
        chain(1)[0] | {"more": "than there was"},
        chain(1)[0] | {"name": "another action"},
        {name: value for name, value in chain(1)[0].items() if name != "agency"},
    ],
)
def test_what_is_no_entry_is_named_by_its_place(entry: object) -> None:
    verifier = ChainVerifier()
    verifier.feed(entry)
    assert verifier.finish() == [Finding(Fault.MALFORMED, 1, "the 1st entry has not the fields of an entry")]


def test_findings_are_bounded_and_counted() -> None:
    verifier = ChainVerifier()
    for _ in range(1_000):
        verifier.feed(None)
    assert len(verifier.finish()) == MAX_FINDINGS
    assert verifier.fault_count == 1_000


def test_a_key_knows_its_own_checkpoints() -> None:
    key, other = CheckpointKey(b"x" * 32), CheckpointKey(b"y" * 32)
    signed = key.sign(end_of(chain(3)))
    assert not key.is_forged(signed)
    assert read_checkpoint(signed.content()) == signed
    assert read_checkpoint({"checkpoint": signed.content()}) == signed
    for change in ({"sequence": 2}, {"hash": "0" * 64}, {"at": "2026-03-04T19:40:01+00:00"}, {"mac": "é"}):
        assert key.is_forged(read_checkpoint(signed.content() | change))
    assert not other.is_forged(signed), "another installation's is not ours to judge"


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"sequence": "1", "hash": "x", "at": "2026-03-04T19:40:01+00:00"},
        {"sequence": 1, "hash": "x", "at": "yesterday"},
        {"sequence": 1, "hash": "x", "at": "2026-03-04T19:40:01"},
    ],
)
def test_what_is_no_checkpoint_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_checkpoint(content)
