"""All legs of this gateway: their supervisors, their place on the floor, their state for REST and the console."""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from tongpin.channels.effects import Effect, GroupDefined
from tongpin.channels.ids import GroupId, PartyId
from tongpin.config.models import LegConfig
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.ports import Dispatcher
from tongpin.gateway.radio.supervisor import LegStatus, LegSupervisor
from tongpin.gateway.wiring import LegOnFloor, leg_party

_log = structlog.get_logger(__name__)


class Legs:
    """Implements the supervisors' ``LegEvents``. Event-loop thread only.

    Args:
        group_of: the talk group a leg belongs to now, or None.
        on_online: told when a leg comes or goes, with the reason.
        is_locked: whether a leg's keying line has yet to pass a polarity test.
    """

    def __init__(
        self,
        configs: Iterable[LegConfig],
        dispatcher: Dispatcher,
        hub: Hub,
        group_of: Callable[[str], GroupId | None],
        end_of_media_s: float,
        on_online: Callable[[str, bool, str], None],
        is_locked: Callable[[LegConfig], bool],
    ) -> None:
        self._on_online = on_online
        self.configs: dict[PartyId, LegConfig] = {}
        self.supervisors: dict[PartyId, LegSupervisor] = {}
        self._floor: dict[PartyId, LegOnFloor] = {}
        for config in configs:
            supervisor = LegSupervisor(config, self, is_locked(config))
            party = supervisor.party
            self.configs[party] = config
            self.supervisors[party] = supervisor
            self._floor[party] = LegOnFloor(config, dispatcher, hub, supervisor.sink, group_of, end_of_media_s)

    async def run(self) -> None:
        """Supervise every leg until :meth:`stop`."""
        async with asyncio.TaskGroup() as tasks:
            for supervisor in self.supervisors.values():
                tasks.create_task(supervisor.run())

    async def stop(self) -> None:
        for supervisor in self.supervisors.values():
            await supervisor.stop()

    def pairs(self) -> list[tuple[LegConfig, LegSupervisor]]:
        return [(self.configs[party], supervisor) for party, supervisor in self.supervisors.items()]

    def statuses(self) -> list[tuple[LegConfig, LegStatus]]:
        return [(self.configs[party], supervisor.status) for party, supervisor in self.supervisors.items()]

    def party_of(self, name: str) -> PartyId:
        return leg_party(name)

    def group_defined(self, effect: Effect, now: float) -> None:
        """An effect handler: a talk group was made, and legs that waited for it join."""
        if isinstance(effect, GroupDefined):
            for leg in self._floor.values():
                leg.join_group()

    def gate_moved(self, party: PartyId, is_open: bool, cause: str) -> None:
        self._floor[party].gate_moved(is_open)

    def packet(self, party: PartyId, packet: Packet) -> None:
        self._floor[party].packet(packet)

    def status(self, party: PartyId, status: LegStatus) -> None:
        """Read from the supervisor when somebody asks."""

    def online(self, party: PartyId, is_online: bool, reason: str) -> None:
        _log.info("leg online" if is_online else "leg missing", leg=self.configs[party].name, reason=reason)
        self._floor[party].online(is_online)
        self._on_online(self.configs[party].name, is_online, reason)

    def keyed(self, party: PartyId, is_keyed: bool, cause: str) -> None:
        _log.info("leg keyed" if is_keyed else "leg unkeyed", leg=self.configs[party].name, cause=cause)
