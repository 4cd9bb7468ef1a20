"""The recordings' catalogue, on every database."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from tongpin.gateway.records import AuditDraft
from tongpin.gateway.storage.models import AuditRow, Base
from tongpin.gateway.storage.recordings import SqlTransmissions
from tongpin.gateway.storage.store import Store
from tongpin.gateway.transmissions import Note, RecordingState, Transmission, TransmissionFilter

AT = datetime(2026, 3, 4, 19, 40, tzinfo=UTC)


@pytest.fixture(params=["file", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    urls = {"file": f"sqlite+aiosqlite:///{tmp_path / 'tongpin.db'}"}
    store = Store(urls.get(request.param) or request.getfixturevalue("postgres_url"))
    async with store.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield store
    await store.close()


def talk(minute: int, **more: object) -> Transmission:
    at = AT + timedelta(minutes=minute)
    found = Transmission(
        id=f"{at:%Y%m%dT%H%M%S}-{minute}",
        talk=minute,
        started_at=at,
        talker="leg:police-radio",
        label="Police 公安",
        agency="gongan",
        unit=None,
        leg="police-radio",
        net="police-1",
        talk_group="police-1",
        talk_groups=("police-1",),
        agencies=("gongan",),
        joint_channel=None,
        priority="normal",
        origin="cos",
        file=f"2026/03/04/{minute}.ogg",
    )
    return replace(found, **more)  # type: ignore[arg-type]


async def test_a_row_comes_back_as_it_was_and_is_replaced_by_its_end(database: Store) -> None:
    catalogue = SqlTransmissions(database)
    opened = talk(1, talk_groups=("police-1", "urban-1"), agencies=("chengguan", "gongan"), joint_channel="jc-1")
    await catalogue.save(opened)
    assert await catalogue.get(opened.id) == opened
    ended = replace(
        opened, state=RecordingState.COMPLETE, ended_at=AT + timedelta(minutes=2), sha256="a" * 64, peaks=(-12, -99)
    )
    await catalogue.save(ended, [AuditDraft("transmission.recorded", "leg:police-radio", opened.id)])
    assert await catalogue.get(opened.id) == ended
    assert await catalogue.get("no-such") is None
    async with database.reading() as session:
        assert [row.subject for row in await session.scalars(select(AuditRow))] == [opened.id]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TransmissionFilter(), [4, 3, 2, 1]),
        (TransmissionFilter(is_oldest_first=True, limit=2), [1, 2]),
        (TransmissionFilter(limit=2), [4, 3]),
        (TransmissionFilter(beyond=talk(3).id), [2, 1]),
        (TransmissionFilter(beyond=talk(2).id, is_oldest_first=True), [3, 4]),
        (TransmissionFilter(since=AT + timedelta(minutes=2), until=AT + timedelta(minutes=4)), [3, 2]),
        (TransmissionFilter(talk_group="urban-1"), [3, 2]),
        (TransmissionFilter(talk_group="urban"), []),
        (TransmissionFilter(visible_to="chengguan"), [3, 2]),
        (TransmissionFilter(agency="chengguan"), [2]),
        (TransmissionFilter(unit="u-7"), [2]),
        (TransmissionFilter(talker="leg:police-radio"), [4, 3, 1]),
        (TransmissionFilter(joint_channel="jc-1"), [3]),
        (TransmissionFilter(state=RecordingState.OPEN), [4]),
        (TransmissionFilter(has_audio=True), [3, 2]),
    ],
)
async def test_everything_can_be_found(wanted: TransmissionFilter, found: list[int], database: Store) -> None:
    catalogue = SqlTransmissions(database)
    both = {"talk_groups": ("police-1", "urban-1"), "agencies": ("chengguan", "gongan")}
    urban = {"agency": "chengguan", "talker": "session:x", "unit": "u-7", "state": RecordingState.RECOVERED}
    for row in (
        talk(1, state=RecordingState.EXPIRED),
        talk(2, **both, **urban),
        talk(3, **both, joint_channel="jc-1", state=RecordingState.COMPLETE),
        talk(4),
    ):
        await catalogue.save(row)
    assert [row.talk for row in await catalogue.search(wanted)] == found


async def test_expiry_and_notes(database: Store) -> None:
    catalogue = SqlTransmissions(database)
    await catalogue.save(talk(1))
    await catalogue.save(talk(2))
    await catalogue.expire([talk(1).id], [AuditDraft("transmission.expired", "system", talk(1).id)])
    assert [row.state for row in await catalogue.search(TransmissionFilter(is_oldest_first=True))] == [
        RecordingState.EXPIRED,
        RecordingState.OPEN,
    ]
    later = Note("n-2", talk(2).id, "duty", AT, 4_000, "says the street 街名")
    first = Note("n-1", talk(2).id, "duty", AT, 200, "child heard")
    await catalogue.add_note(later)
    await catalogue.add_note(first)
    assert list(await catalogue.notes(talk(2).id)) == [first, later]
    assert list(await catalogue.notes(talk(1).id)) == []
