"""Standard clients: WHIP (RFC 9725) publishers become talkers, WHEP players become listeners.

A WHIP client has no key, so its voice asks for the floor. The gateway never decodes: it goes by the loudness that the
client itself states in each packet (RFC 6464); for clients that do not, by the size of the packets against the
smallest ones of late, since an encoder with a variable bit rate spends bits on voice.
"""

import secrets
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tongpin.channels.commands import AttachParty, DetachParty, ReleaseFloor, RequestFloor, SetMembership
from tongpin.channels.errors import UnknownGroupError
from tongpin.channels.ids import AgencyId, GroupId, Origin, PartyId, PartyKind
from tongpin.gateway.errors import CallerError
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.ports import Dispatcher, Guard
from tongpin.gateway.rights import Identity
from tongpin.gateway.webrtc.engine import MediaEngine
from tongpin.gateway.webrtc.peer import MediaPeer

VOICE_DBOV = -50
RELEASE_AFTER = 30
"""Packets (600 ms) without voice that end a talk."""
PRE_ROLL = 3
"""Packets (60 ms) before the first voiced one that are heard too: a syllable begins softly."""
_SMALLEST_OF = 250


class VoiceActivity:
    """Counts packets, knows no clock."""

    def __init__(self) -> None:
        self.is_active = False
        self._quiet_for = 0
        self._sizes: deque[int] = deque(maxlen=_SMALLEST_OF)

    def push(self, size: int, level_dbov: int | None) -> bool:
        """One packet; whether the client talks."""
        self._sizes.append(size)
        is_voice = level_dbov > VOICE_DBOV if level_dbov is not None else size > max(20, 2 * min(self._sizes))
        self._quiet_for = 0 if is_voice else self._quiet_for + 1
        self.is_active = is_voice or (self.is_active and self._quiet_for < RELEASE_AFTER)
        return self.is_active


def _no_watch() -> None:
    """Nothing is watched yet."""


@dataclass(slots=True)
class _Resource:
    user: str
    peer: MediaPeer
    unwatch: Callable[[], None] = _no_watch


class StandardClients:
    """The WHIP and WHEP resources of this gateway. Event-loop thread only."""

    def __init__(
        self,
        engine: MediaEngine,
        hub: Hub,
        dispatcher: Dispatcher,
        spawn: Callable[[Awaitable[None]], None],
        guard: Guard,
        max_per_user: int = 32,
    ) -> None:
        """``spawn`` runs a clean-up in the background of the composition root."""
        self._guard = guard
        self._max_per_user = max_per_user
        self._counts: Counter[str] = Counter()
        self._engine = engine
        self._hub = hub
        self._dispatcher = dispatcher
        self._spawn = spawn
        self._resources: dict[str, _Resource] = {}

    async def publish(self, group: str, offer: str, identity: Identity) -> tuple[str, str]:
        """WHIP: the resource's id and the answer. Raises CallerError; nothing stays behind."""
        party = PartyId(f"whip:{secrets.token_urlsafe(9)}")
        activity = VoiceActivity()
        before: deque[Packet] = deque(maxlen=PRE_ROLL)

        def received(packet: Packet, level_dbov: int | None) -> None:
            was_active = activity.is_active
            if activity.push(len(packet.payload), level_dbov):
                if not was_active:
                    self._dispatcher.apply(RequestFloor(party, GroupId(group), origin=Origin.WHIP))
                    for earlier in before:
                        self._hub.push(party, earlier)
                    before.clear()
                self._hub.push(party, packet)
                return
            before.append(packet)
            if was_active:
                self._dispatcher.apply(ReleaseFloor(party))

        peer = self._create(party, identity.user, received, slots=0)
        return await self._open(peer, party, PartyKind.WHIP, group, offer, identity)

    async def play(self, group: str, offer: str, identity: Identity) -> tuple[str, str]:
        """WHEP: the resource's id and the answer. Raises CallerError; nothing stays behind."""
        party = PartyId(f"whep:{secrets.token_urlsafe(9)}")
        peer = self._create(party, identity.user, lambda packet, level: None, slots=1)
        return await self._open(peer, party, PartyKind.WHEP, group, offer, identity)

    async def delete(self, resource: str, user: str) -> None:
        """End a resource of this user. Raises CallerError 404."""
        found = self._resources.get(resource)
        if found is None or found.user != user:
            raise CallerError(404, "no-such-resource", "there is no such WHIP or WHEP resource of yours")
        await self._close(found.peer.party)

    def _create(
        self, party: PartyId, user: str, received: Callable[[Packet, int | None], None], slots: int
    ) -> MediaPeer:
        if self._counts[user] >= self._max_per_user:
            raise CallerError(
                429,
                "too-many-resources",
                f"a user has {self._max_per_user} WHIP and WHEP connections at most (webrtc.max_per_user)",
            )
        return self._engine.create_peer(
            party,
            received,
            lambda slot, talk: None,
            lambda reason: self._spawn(self._close(party)),
            slots=slots,
            newest_wins=True,
        )

    async def _open(
        self,
        peer: MediaPeer,
        party: PartyId,
        kind: PartyKind,
        group: str,
        offer: str,
        identity: Identity,
    ) -> tuple[str, str]:
        is_talker = kind is PartyKind.WHIP
        resource = party.partition(":")[2]
        self._resources[resource] = _Resource(identity.user, peer)
        self._counts[identity.user] += 1
        agency = AgencyId(identity.agency) if identity.agency else None
        try:
            self._dispatcher.apply(AttachParty(party, kind, identity.username, agency))
            membership = SetMembership(party, GroupId(group), may_listen=not is_talker, may_talk=is_talker)
            self._dispatcher.apply(membership)
            answer = await peer.answer(offer)
        except UnknownGroupError as error:
            await self._close(party)
            raise CallerError(404, "no-such-talk-group", str(error)) from error
        except CallerError:
            await self._close(party)
            raise
        if is_talker:
            self._hub.add_source(party)
        else:
            self._hub.add_sink(party, peer)
        opened = self._resources.get(resource)
        if opened is not None:
            opened.unwatch = self._guard.watch(identity, lambda: self._spawn(self._close(party)))
        return resource, answer

    async def _close(self, party: PartyId) -> None:
        resource = self._resources.pop(party.partition(":")[2], None)
        if resource is None:
            return
        resource.unwatch()
        self._counts[resource.user] -= 1
        if not self._counts[resource.user]:
            del self._counts[resource.user]
        self._dispatcher.apply(DetachParty(party))
        self._hub.remove_sink(party)
        self._hub.remove_source(party)
        await resource.peer.close()
