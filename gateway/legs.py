"""All legs of this gateway: their supervisors, their place on the floor, their state for REST and the console."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from tongpin.channels.effects import Effect, GroupDefined
from tongpin.channels.ids import GroupId, PartyId
from tongpin.codecs.gate import GateCause
from tongpin.config.models import LegConfig
from tongpin.gateway.catch_up import CatchUp, CatchUps
from tongpin.gateway.events.log import Json
from tongpin.gateway.loops import LoopGuard
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.ports import Dispatcher
from tongpin.gateway.radio.messages import Signalled
from tongpin.gateway.radio.supervisor import LegStatus, LegSupervisor
from tongpin.gateway.wiring import LegOnFloor, leg_party

_log = structlog.get_logger(__name__)


class Legs:
    """Implements the supervisors' ``LegEvents``. Event-loop thread only.

    Args:
        group_of: the talk group a leg belongs to now, or None.
        on_online: told when a leg comes or goes, with the reason.
        on_signal: told what a radio says besides voice.
        tell: makes an event.
        is_locked: whether a leg's keying line has yet to pass a polarity test.
        on_stuck: told when a leg's receiver was open for so long that it is muted, and when it is heard again.
    """

    def __init__(
        self,
        configs: Iterable[LegConfig],
        dispatcher: Dispatcher,
        hub: Hub,
        group_of: Callable[[str], GroupId | None],
        end_of_media_s: float,
        on_online: Callable[[str, bool, str], None],
        on_signal: Callable[[LegConfig, Signalled], None],
        tell: Callable[[dict[str, Json]], None],
        is_locked: Callable[[LegConfig], bool],
        on_stuck: Callable[[str, bool], None],
    ) -> None:
        self._hub = hub
        self._on_online = on_online
        self._on_signal = on_signal
        self._on_stuck = on_stuck
        self._stuck: set[PartyId] = set()
        self.configs: dict[PartyId, LegConfig] = {}
        self.supervisors: dict[PartyId, LegSupervisor] = {}
        self.catch_ups: dict[PartyId, CatchUp] = {}
        """What keys the legs, and their ears."""
        self._loops = LoopGuard(self._mute, tell)
        self._tell = tell
        self._floor: dict[PartyId, LegOnFloor] = {}
        for config in configs:
            supervisor = LegSupervisor(config, self, is_locked(config))
            party = supervisor.party
            self.configs[party] = config
            self.supervisors[party] = supervisor
            catch_up = CatchUp(supervisor.sink, supervisor, config.catch_up_s, partial(self._catching_up, config.name))
            self.catch_ups[party] = catch_up
            self._floor[party] = LegOnFloor(config, dispatcher, hub, catch_up, group_of, end_of_media_s)
        self.catch_up = CatchUps(self.catch_ups, hub.tap, hub.untap)

    async def run(self) -> None:
        """Supervise every leg until :meth:`stop`."""
        async with asyncio.TaskGroup() as tasks:
            for supervisor in self.supervisors.values():
                tasks.create_task(supervisor.run())

    def _catching_up(self, name: str, seconds: float) -> None:
        self._tell({"kind": "leg_catching_up", "leg": name, "seconds": round(seconds, 2)})

    def _mute(self, party: PartyId, is_muted: bool) -> None:
        """A leg that hears another: nothing of what comes in counts, and it has missed nothing but itself."""
        _log.warning("leg muted: it hears another leg" if is_muted else "leg heard again", leg=self.configs[party].name)
        self._floor[party].mute(is_muted)
        self.catch_ups[party].clear()

    async def stop(self) -> None:
        self._loops.close()
        for supervisor in self.supervisors.values():
            await supervisor.stop()

    def pairs(self) -> list[tuple[LegConfig, LegSupervisor]]:
        return [(self.configs[party], supervisor) for party, supervisor in self.supervisors.items()]

    def statuses(self) -> list[tuple[LegConfig, LegStatus]]:
        return [(self.configs[party], supervisor.status) for party, supervisor in self.supervisors.items()]

    def party_of(self, name: str) -> PartyId:
        return leg_party(name)

    def opening_of(self, name: str) -> int | None:
        """The number of the gate opening that is on, or None."""
        return self._floor[leg_party(name)].opening

    def group_defined(self, effect: Effect, now: float) -> None:
        """An effect handler: a talk group was made, and legs that waited for it join."""
        if isinstance(effect, GroupDefined):
            for leg in self._floor.values():
                leg.join_group()

    def gate_moved(self, party: PartyId, is_open: bool, cause: str) -> None:
        self._floor[party].gate_moved(is_open)
        name = self.configs[party].name
        if cause == GateCause.STUCK and party not in self._stuck:
            self._stuck.add(party)
            _log.warning("leg stuck open, muted until its carrier goes", leg=name)
            self._on_stuck(name, True)
        elif is_open and party in self._stuck:
            self._stuck.remove(party)
            _log.info("leg heard again", leg=name)
            self._on_stuck(name, False)

    def packet(self, party: PartyId, packet: Packet) -> None:
        self._floor[party].packet(packet)

    def status(self, party: PartyId, status: LegStatus) -> None:
        """Loops are looked for; the rest is read from the supervisor when somebody asks."""
        # A leg that is being heard is the source of what the others send, and always like it.
        is_open = status.gate_open and not self._hub.has_route(party)
        self._loops.status(party, status.is_keyed, is_open, status.rx_envelope, status.tx_envelope)

    def online(self, party: PartyId, is_online: bool, reason: str) -> None:
        _log.info("leg online" if is_online else "leg missing", leg=self.configs[party].name, reason=reason)
        self._floor[party].online(is_online)
        self._on_online(self.configs[party].name, is_online, reason)

    def keyed(self, party: PartyId, is_keyed: bool, cause: str) -> None:
        _log.info("leg keyed" if is_keyed else "leg unkeyed", leg=self.configs[party].name, cause=cause)

    def signalled(self, party: PartyId, signal: Signalled) -> None:
        self._on_signal(self.configs[party], signal)
