"""The session: one logged-in browser, its WebSocket, its peer connection and its key."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import AgencyId, GroupId, PartyId, PartyKind, Priority, ReleaseCause
from tongpin.gateway.clock import Clock
from tongpin.gateway.errors import CallerError, PeerError
from tongpin.gateway.events.log import Event, EventLog, Json, plain, view_json
from tongpin.gateway.events.wire import (
    Candidate,
    ClientMessage,
    FloorOverride,
    Heartbeat,
    Hello,
    Monitor,
    OfferMessage,
    PttPress,
    PttRelease,
    read_message,
)
from tongpin.gateway.media.hub import Hub
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.media.ports import Sink, Talk
from tongpin.gateway.ports import Dispatcher, Guard
from tongpin.gateway.records import AuditDraft
from tongpin.gateway.rights import Identity, Right, may, require

_log = structlog.get_logger(__name__)

HEARTBEAT_S = 1.0
FLOOR_LOST_AFTER_S = 2.5
CLOSED_AFTER_S = 30.0
QUEUE_LIMIT = 256
BAD_MESSAGES = 20
SESSIONS_PER_USER = 8


class Socket(Protocol):
    """The WebSocket as the session needs it."""

    async def receive(self) -> str | None:
        """The next text message; None when the client has gone."""

    async def send(self, text: str) -> None: ...

    async def close(self) -> None: ...


class Peer(Sink, Protocol):
    """The session's WebRTC connection."""

    async def answer(self, offer: str) -> str: ...

    async def add_candidate(self, candidate: str, mid: str | None) -> None: ...

    async def close(self) -> None: ...


class Media(Protocol):
    """Makes peers; a peer that is closed is forgotten."""

    def create_peer(
        self,
        party: PartyId,
        on_packet: Callable[[Packet, int | None], None],
        on_slot: Callable[[int, Talk | None], None],
        on_closed: Callable[[str], None],
    ) -> Peer: ...


class SessionService:
    """All sessions. Implements ``EffectHandler``; event-loop thread only. :meth:`run` watches the heartbeats."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        hub: Hub,
        media: Media,
        log: EventLog,
        clock: Clock,
        surroundings: Callable[[], Awaitable[dict[str, Json]]],
        levels: Callable[[], list[Json]],
        slots: int,
        ice_servers: Sequence[str],
        talk_limit_s: float,
        guard: Guard,
        audit: Callable[[AuditDraft], None],
    ) -> None:
        """``surroundings`` gives what the view has beside the switchboard: legs and agencies."""
        self.audit = audit
        self.dispatcher = dispatcher
        self.hub = hub
        self.media = media
        self.log = log
        self.clock = clock
        self.surroundings = surroundings
        self.slots = slots
        self.talk_limit_s = talk_limit_s
        self.ice_servers = list(ice_servers)
        self._guard = guard
        self.labels: dict[PartyId, tuple[str, str | None]] = {}
        self._levels = levels
        self._last_levels: list[Json] = []
        self._sessions: dict[PartyId, Session] = {}

    @property
    def count(self) -> int:
        return len(self._sessions)

    def __call__(self, effect: e.Effect, now: float) -> None:
        match effect:
            case e.PartyAttached():
                self.labels[effect.party] = (effect.label, effect.agency)
            case e.PartyDetached():
                self.labels.pop(effect.party, None)
            case e.GroupDefined():
                for session in list(self._sessions.values()):
                    session.join(effect.group, effect.agency)
            case (
                e.FloorGranted()
                | e.FloorDenied()
                | e.FloorQueued()
                | e.FloorRevoking()
                | e.TalkLimitNear()
                | e.FloorReleased()
                | e.QueueLeft()
            ):
                own = self._sessions.get(effect.party)
                if own is not None:
                    own.floor_moved(effect, now)
            case _:
                pass

    async def serve(self, socket: Socket, identity: Identity) -> None:
        """Run one session until the client goes or is sent away."""
        if sum(session.identity.user == identity.user for session in self._sessions.values()) >= SESSIONS_PER_USER:
            bye = {"type": "bye", "code": "too-many-sessions", "detail": f"{SESSIONS_PER_USER} sessions a user"}
            await socket.send(json.dumps(bye))
            await socket.close()
            return
        session = Session(self, socket, identity)
        self._sessions[session.party] = session
        unwatch = self._guard.watch(identity, session.revoked)
        try:
            await session.run()
        finally:
            unwatch()
            del self._sessions[session.party]

    async def run(self) -> None:
        """Watch heartbeats and tell levels, for all sessions in one task. Ends by cancellation."""
        while True:
            await asyncio.sleep(0.2)
            self.watch()
            levels = self._levels()
            if levels != self._last_levels:
                self._last_levels = levels
                text = json.dumps({"type": "levels", "legs": levels}, ensure_ascii=False)
                for session in list(self._sessions.values()):
                    session.post_text(text, droppable=True)

    def watch(self) -> None:
        """Take the floor from those who have fallen silent, and end those who are gone."""
        now = self.clock.now()
        for session in list(self._sessions.values()):
            session.watch(now)


class Session:
    """One client. Made by the service."""

    def __init__(self, service: SessionService, socket: Socket, identity: Identity) -> None:
        self.identity = identity
        self.party = PartyId(f"session:{secrets.token_urlsafe(9)}")
        self._service = service
        self._socket = socket
        self._out: asyncio.Queue[str] = asyncio.Queue(QUEUE_LIMIT)
        self._heard_at = service.clock.now()
        self._is_engaged = False
        self._request: int | None = None
        self._muted: set[str] = set()
        self._peer: Peer | None = None
        self._bad = 0
        self._ending: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        self._subscription: int | None = None

    async def run(self) -> None:
        attached = c.AttachParty(
            self.party,
            PartyKind.SESSION,
            self.identity.username,
            self._agency(),
            talk_limit_s=self._service.talk_limit_s,
        )
        self._service.dispatcher.apply(attached)
        self._service.hub.add_source(self.party)
        sender = asyncio.create_task(self._send_all())
        try:
            for group in self._service.dispatcher.view().groups:
                self.join(group.group, group.agency)
            await self._receive_all()
        finally:
            if self._subscription is not None:
                self._service.log.unsubscribe(self._subscription)
            self._service.dispatcher.apply(c.DetachParty(self.party))
            await self._close_peer()
            self._service.hub.remove_source(self.party)
            if self._ending.done():
                code, detail = self._ending.result()
                self._post({"type": "bye", "code": code, "detail": detail})
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._out.join()
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender
            await self._socket.close()

    def join(self, group: GroupId, agency: str | None) -> None:
        """Membership of a group that the user may hear."""
        if not may(self.identity, Right.LISTEN, agency):
            return
        self._service.dispatcher.apply(
            c.SetMembership(
                self.party,
                group,
                may_listen=group not in self._muted,
                may_talk=may(self.identity, Right.TALK, agency),
                max_priority=Priority.EMERGENCY,
            )
        )

    def floor_moved(self, effect: e.Effect, now: float) -> None:
        """An effect about this party."""
        match effect:
            case e.FloorGranted():
                self._post(
                    {
                        "type": "ptt.granted",
                        "request": self._request,
                        "group": effect.group,
                        "net": effect.net,
                        "talk": effect.talk,
                        "limit_s": round(effect.limit_at - now, 3),
                    }
                )
            case e.FloorDenied():
                self._is_engaged = False
                holder: Json = None
                if effect.holder is not None:
                    holder = {"party": effect.holder, "label": self._service.labels.get(effect.holder, ("", None))[0]}
                self._post(
                    {
                        "type": "ptt.denied",
                        "request": self._request,
                        "group": effect.group,
                        "cause": plain(effect.cause),
                        "holder": holder,
                    }
                )
            case e.FloorQueued():
                self._post(
                    {
                        "type": "ptt.queued",
                        "request": self._request,
                        "group": effect.group,
                        "position": effect.position,
                    }
                )
            case e.FloorRevoking():
                grace_s = round(effect.grace_ends - now, 3)
                self._post({"type": "ptt.revoking", "cause": plain(effect.cause), "grace_s": grace_s})
            case e.TalkLimitNear():
                self._post({"type": "ptt.warning", "left_s": round(effect.left_s, 3)})
            case e.FloorReleased() | e.QueueLeft():
                self._is_engaged = False
                self._post({"type": "ptt.ended", "cause": plain(effect.cause)})
            case _:
                pass

    def watch(self, now: float) -> None:
        silent_s = now - self._heard_at
        if self._is_engaged and silent_s > FLOOR_LOST_AFTER_S:
            self._is_engaged = False
            self._service.dispatcher.apply(c.ReleaseFloor(self.party, ReleaseCause.HEARTBEAT_LOST))
        if silent_s > CLOSED_AFTER_S:
            self._end("heartbeat-lost", f"no message for {CLOSED_AFTER_S:.0f} s")

    def revoked(self) -> None:
        """What the user logged in with is worth nothing any more."""
        self._end("revoked", "the log-in has ended; log in again")

    def post_text(self, text: str, *, droppable: bool = False) -> None:
        """Queue a message; a client that does not read is sent away rather than waited for."""
        if droppable and self._out.qsize() > QUEUE_LIMIT // 2:
            return
        try:
            self._out.put_nowait(text)
        except asyncio.QueueFull:
            self._end("slow-client", f"{QUEUE_LIMIT} messages were waiting")

    def _post(self, message: dict[str, Json]) -> None:
        self.post_text(json.dumps(message, ensure_ascii=False))

    def _end(self, code: str, detail: str) -> None:
        if not self._ending.done():
            self._ending.set_result((code, detail))

    def _agency(self) -> AgencyId | None:
        return AgencyId(self.identity.agency) if self.identity.agency else None

    async def _send_all(self) -> None:
        while True:
            text = await self._out.get()
            try:
                await self._socket.send(text)
            finally:
                self._out.task_done()

    async def _receive_all(self) -> None:
        while True:
            receiving = asyncio.ensure_future(self._socket.receive())
            await asyncio.wait((receiving, self._ending), return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                receiving.cancel()
                with suppress(asyncio.CancelledError):
                    await receiving
                return
            text = receiving.result()
            if text is None:
                return
            self._heard_at = self._service.clock.now()
            try:
                await self._take(read_message(text))
            except PeerError as error:
                self._refuse("malformed", str(error))
            except SwitchboardError as error:
                self._refuse("refused", str(error))
            except CallerError as error:
                self._refuse(error.code, str(error))

    def _refuse(self, code: str, detail: str) -> None:
        self._bad += code == "malformed"
        self._post({"type": "error", "code": code, "detail": detail})
        if self._bad >= BAD_MESSAGES:
            self._end("malformed", f"{BAD_MESSAGES} messages could not be read")

    async def _take(self, message: ClientMessage) -> None:
        match message:
            case Hello():
                await self._hello(message)
            case Heartbeat():
                self._post({"type": "heartbeat", "n": message.n})
            case PttPress():
                self._press(message)
            case PttRelease():
                self._is_engaged = False
                self._service.dispatcher.apply(c.ReleaseFloor(self.party))
            case FloorOverride():
                group = self._allowed(message.group)
                override = AuditDraft("floor.override", self.identity.username, group, self.identity.agency)
                self._service.audit(override)
                self._service.dispatcher.apply(c.OverrideFloor(group, self.party))
            case Monitor():
                self._monitor(set(message.groups))
            case OfferMessage():
                await self._connect(message.sdp)
            case Candidate():
                if self._peer is not None:
                    await self._peer.add_candidate(message.candidate, message.mid)

    async def _hello(self, message: Hello) -> None:
        if self._subscription is not None:
            raise PeerError("hello was said already")
        identity, service = self.identity, self._service
        user: Json = {
            "id": identity.user,
            "name": identity.username,
            "role": identity.role.value,
            "agency": identity.agency,
        }
        surroundings = await service.surroundings()
        self._post(
            {
                "type": "welcome",
                "party": self.party,
                "user": user,
                "slots": service.slots,
                "ice_servers": [*service.ice_servers],
                "heartbeat_s": HEARTBEAT_S,
            }
        )
        # From here to the subscription there is no await: the view and the events that follow it leave no gap.
        missed = service.log.since(message.resume_from) if message.resume_from is not None else None
        if missed is not None and len(missed) < QUEUE_LIMIT // 2:
            self._post({"type": "resumed", "sequence": service.log.sequence})
            for event in missed:
                self._told(event)
        else:
            view = view_json(service.dispatcher.view(), service.clock.now()) | surroundings
            self._post({"type": "view", "sequence": service.log.sequence, "view": view})
        self._subscription = service.log.subscribe(self._told)

    def _told(self, event: Event) -> None:
        self.post_text(event.text)

    def _allowed(self, group: str) -> GroupId:
        """The group, if the user may take its floor. Raises CallerError."""
        for known in self._service.dispatcher.view().groups:
            if known.group == group:
                require(self.identity, Right.OVERRIDE, known.agency)
                return known.group
        raise CallerError(404, "no-such-talk-group", f"there is no talk group {group!r}")

    def _press(self, message: PttPress) -> None:
        self._request = message.request
        self._is_engaged = True
        priority = Priority[message.priority.upper()]
        self._service.dispatcher.apply(c.RequestFloor(self.party, GroupId(message.group), priority))

    def _monitor(self, wanted: set[str]) -> None:
        for group in self._service.dispatcher.view().groups:
            if group.group in wanted:
                self._muted.discard(group.group)
            else:
                self._muted.add(group.group)
            self.join(group.group, group.agency)

    async def _connect(self, sdp: str) -> None:
        await self._close_peer()
        peer = self._service.media.create_peer(
            self.party,
            self._spoken,
            self._slot_changed,
            self._peer_gone,
        )
        try:
            answer = await peer.answer(sdp)
        except CallerError as error:
            await peer.close()
            self._post({"type": "offer.failed", "code": error.code, "detail": str(error)})
            return
        self._peer = peer
        self._service.hub.add_sink(self.party, peer)
        self._post({"type": "answer", "sdp": answer})

    def _spoken(self, packet: Packet, level_dbov: int | None) -> None:
        self._service.hub.push(self.party, packet)

    async def _close_peer(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            self._service.hub.remove_sink(self.party)
            await peer.close()

    def _peer_gone(self, reason: str) -> None:
        """The sound is gone though the socket stands: the client makes a new connection when it is told."""
        _log.info("session without media", party=self.party, reason=reason)
        self._post({"type": "error", "code": "media-lost", "detail": reason})

    def _slot_changed(self, slot: int, talk: Talk | None) -> None:
        message: dict[str, Json] = {"type": "slot", "slot": slot, "talk": None, "group": None, "source": None}
        if talk is not None:
            label, agency = self._service.labels.get(talk.source, ("", None))
            source: Json = {"party": talk.source, "label": label, "agency": agency}
            message |= {"talk": talk.number, "group": talk.group, "source": source}
        self._post(message)
