"""Small adapters that join the rooms: route effects to the hub, a leg's edges to the floor, key effects to the legs."""

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from tongpin.channels.commands import AttachParty, DetachParty, ReleaseFloor, RequestFloor, SetMembership
from tongpin.channels.effects import Effect, LegKeyed, LegUnkeyed, RouteInstalled, RouteRemoved
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import AgencyId, GroupId, Origin, PartyId, PartyKind, Priority
from tongpin.config.models import LegConfig
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Sink
from tongpin.gateway.ports import Dispatcher

_log = structlog.get_logger(__name__)

COS_END_OF_MEDIA_S = 0.4
"""T1 on a leg with COS: the line says at once when the talker stops, so silence without it is a fault."""


def leg_party(name: str) -> PartyId:
    return PartyId(f"leg:{name}")


class RouteHandler:
    """Granting the floor is installing a route; this is where."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __call__(self, effect: Effect, now: float) -> None:
        if isinstance(effect, RouteInstalled):
            self._hub.install_route(effect.source, effect.talk, effect.listeners)
        elif isinstance(effect, RouteRemoved):
            self._hub.remove_route(effect.source)


class Transmitter(Protocol):
    """What keys a leg's radio: the leg's supervisor."""

    def key(self) -> None: ...

    def unkey(self, drain: bool = True) -> None: ...


class KeyHandler:
    """Carries LegKeyed and LegUnkeyed to the legs."""

    def __init__(self, transmitters: Mapping[PartyId, Transmitter]) -> None:
        self._transmitters = transmitters

    def __call__(self, effect: Effect, now: float) -> None:
        if isinstance(effect, LegKeyed):
            leg = self._transmitters.get(effect.party)
            if leg is not None:
                leg.key()
        elif isinstance(effect, LegUnkeyed):
            leg = self._transmitters.get(effect.party)
            if leg is not None:
                leg.unkey()


class LegOnFloor:
    """One leg as the floor sees it: on line with its group, asking when its gate opens, releasing when it closes.

    Event-loop thread only. A leg whose worker is away is not a party: its group goes on without it.
    """

    def __init__(
        self,
        config: LegConfig,
        dispatcher: Dispatcher,
        hub: Hub,
        sink: Sink,
        group_of: Callable[[str], GroupId | None],
        end_of_media_s: float,
    ) -> None:
        self.party = leg_party(config.name)
        self._config = config
        self._dispatcher = dispatcher
        self._hub = hub
        self._sink = sink
        self._group_of = group_of
        self._end_of_media_s = COS_END_OF_MEDIA_S if config.has_cos else end_of_media_s
        self._group: GroupId | None = None
        self._is_attached = False
        self._is_open = False
        self._is_muted = False
        self._openings = 0

    @property
    def opening(self) -> int | None:
        """The number of the gate opening that is on, or None."""
        return self._openings if self._is_open else None

    def online(self, is_online: bool) -> None:
        """The worker and its sound card came or went."""
        if is_online == self._is_attached:
            return
        self._is_attached = is_online
        if not is_online:
            self._is_open = False
            self._hub.remove_sink(self.party)
            self._dispatcher.apply(DetachParty(self.party))
            self._hub.remove_source(self.party)
            return
        config = self._config
        self._hub.add_source(self.party)
        self._hub.add_sink(self.party, self._sink)
        self._dispatcher.apply(
            AttachParty(
                self.party,
                PartyKind.LEG,
                config.label or config.name,
                AgencyId(config.agency) if config.agency else None,
                half_duplex=True,
                talk_limit_s=config.talk_limit_s,
                end_of_media_s=self._end_of_media_s,
            )
        )
        self.join_group()

    def join_group(self) -> None:
        """Take the membership that the configuration names; called again when the group is made later."""
        group = self._group_of(self._config.name)
        if group is None or not self._is_attached:
            return
        try:
            # A radio that can say "emergency" may be believed.
            most = Priority.EMERGENCY if self._config.signalling.mdc1200 else Priority.HIGH
            self._dispatcher.apply(SetMembership(self.party, group, max_priority=most))
        except SwitchboardError as error:
            _log.warning("leg without its talk group", leg=self._config.name, reason=str(error))
            return
        self._group = group

    def mute(self, is_muted: bool) -> None:
        """What the receiver gives is not to be heard; a talk that is on ends. Unmuted, the next opening counts."""
        if is_muted:
            self.gate_moved(False)
        self._is_muted = is_muted

    def gate_moved(self, is_open: bool) -> None:
        """The receive gate's edge is the leg's PTT."""
        if self._is_muted:
            return
        if not self._is_attached or is_open == self._is_open:
            return
        self._is_open = is_open
        self._openings += is_open
        if is_open and self._group is not None:
            origin = Origin.COS if self._config.has_cos else Origin.VAD
            self._dispatcher.apply(RequestFloor(self.party, self._group, Priority.NORMAL, origin))
        elif not is_open:
            self._dispatcher.apply(ReleaseFloor(self.party))

    def packet(self, packet: Packet) -> None:
        self._hub.push(self.party, packet)
