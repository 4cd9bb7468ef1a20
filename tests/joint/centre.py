"""The service of joint channels over a real database and a real switchboard, with a clock that the test moves."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from tongpin.channels import commands as c
from tongpin.channels.effects import Effect
from tongpin.channels.ids import AgencyId, GroupId
from tongpin.channels.joint import Agreement, JointChannel, Member, MemberKind
from tongpin.channels.switchboard import Switchboard
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.events.log import Json
from tongpin.gateway.joint.members import LiveMembers
from tongpin.gateway.joint.nets import Nets
from tongpin.gateway.joint.records import Answer
from tongpin.gateway.joint.requests import Proposal
from tongpin.gateway.joint.service import JointChannels
from tongpin.gateway.records import Agency, AuditDraft, Role, TalkGroup
from tongpin.gateway.rights import Identity
from tongpin.gateway.runner import Runner
from tongpin.gateway.storage.joint_channels import SqlJointChannels
from tongpin.gateway.storage.models import AuditRow, Base
from tongpin.gateway.storage.repository import SqlRepository
from tongpin.gateway.storage.store import Store
from tongpin.gateway.storage.terms import SqlTerms

AT = datetime(2026, 3, 4, 11, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)
GROUPS = {"police-1": "gongan", "police-2": "gongan", "urban-1": "chengguan", "fire-1": "xiaofang"}
AGENCIES = ("gongan", "chengguan", "xiaofang")
CENTRE = Identity("u-0", "duty", Role.DISPATCHER, None)


def of(agency: str) -> Identity:
    return Identity(f"u-{agency}", f"{agency}-duty", Role.DISPATCHER, agency)


class MovedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = AT

    def now(self) -> float:
        return (self.moment - AT).total_seconds()

    def at(self) -> datetime:
        return self.moment


class FailingStore(SqlJointChannels):
    """Fails to save when it is told to."""

    is_away = False

    async def save(
        self, channels: Sequence[JointChannel], audit: Sequence[AuditDraft], answer: Answer | None = None
    ) -> None:
        if self.is_away:
            raise StoreError("the database failed: away")
        await super().save(channels, audit, answer)


class Centre:
    """One life of the service. ``told``: its events; ``effects``: the switchboard's."""

    def __init__(self, store: Store, clock: MovedClock) -> None:
        self.clock = clock
        self.database = store
        self.store = FailingStore(store, clock)
        self.terms = SqlTerms(store, clock)
        self.switchboard = Switchboard()
        self.runner = Runner(self.switchboard, lambda party: float("-inf"), clock.now)
        self.told: list[dict[str, Json]] = []
        self.effects: list[Effect] = []
        self.grids: dict[tuple[str, str | None], list[str]] = {}
        nets = Nets(self.runner, clock)
        members = LiveMembers(nets.groups, {"police-radio": "police-1"}.get, self._grid)
        self.channels = JointChannels(self.store, self.terms, members, nets, clock, self.told.append)
        for handler in (nets, self.channels, lambda effect, now: self.effects.append(effect)):
            self.runner.add_handler(handler)
        for group, agency in GROUPS.items():
            self.runner.apply(c.DefineGroup(GroupId(group), group, AgencyId(agency)))

    async def _grid(self, grid: str, agency: str | None) -> Sequence[str]:
        if (grid, agency) not in self.grids:
            raise CallerError(404, "no-such-grid", grid)
        return self.grids[grid, agency]

    async def move(self, by: timedelta) -> None:
        """Let time pass: the switchboard and the scheduler do what is due meanwhile, each at its time."""
        until = self.clock.moment + by
        while True:
            due = self.channels.due_at()
            self.clock.moment = min(until, max(due, self.clock.moment)) if due is not None else until
            self.runner.apply(c.Advance())
            await self.channels.tick()
            if self.clock.moment >= until and (due is None or due > until or due == self.channels.due_at()):
                return

    @property
    def nets(self) -> dict[str, list[str]]:
        """Groups of every net that a joint channel makes, by its name."""
        return {net.patch_name: list(net.groups) for net in self.runner.view().nets if net.patch_name is not None}

    def kinds(self) -> list[str]:
        """What was told: states of records, and other events by kind."""
        found = []
        for event in self.told:
            record = event.get("joint_channel")
            found.append(str(record["state"]) if isinstance(record, dict) else str(event["kind"]))
        return found

    async def audit(self) -> list[str]:
        async with self.database.reading() as session:
            rows = (await session.scalars(select(AuditRow).order_by(AuditRow.sequence))).all()
        return [f"{row.action.removeprefix('joint-channel.')} by {row.actor}" for row in rows]


def proposal(*groups: str, name: str = "Rescue", **more: Any) -> Proposal:
    members = tuple(Member(MemberKind.TALK_GROUP, group) for group in groups or ("police-1", "urban-1"))
    given: dict[str, Any] = {"members": members, "expires_at": AT + HOUR}
    return Proposal(**{"name": name, "purpose": "a boy on a ledge", **given, **more})


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Store]:
    """Agencies, talk groups, and a standing agreement of all with the centre and each other."""
    store = Store(url)
    async with store.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    repository = SqlRepository(store)
    for agency in AGENCIES:
        await repository.save_agency(Agency(agency, agency.title()), is_new=True)
    for group, owner in GROUPS.items():
        await repository.save_talk_group(TalkGroup(group, group, owner), is_new=True)
    yield store
    await store.close()


async def agree(centre: Centre, *agencies: str) -> None:
    """A standing agreement; of all agencies when none is named."""
    made = Agreement("ag-1", "Joint service", agencies or AGENCIES, True, "chief", AT - HOUR)
    await centre.terms.save_agreement(made, is_new=True, audit=[])
