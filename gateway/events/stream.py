"""Server-sent events: what happened, to programs that follow by plain HTTP, from where they left off."""

import asyncio
import json
from collections.abc import AsyncIterator

from tongpin.gateway.errors import CallerError
from tongpin.gateway.events.audience import may_follow
from tongpin.gateway.events.log import Event, EventLog, Json
from tongpin.gateway.ports import Guard
from tongpin.gateway.rights import Identity

QUEUE_LIMIT = 1_000
HEARTBEAT_S = 15.0
STREAMS = 200
STREAMS_PER_USER = 8


class EventStreams:
    """All open streams. Event-loop thread only."""

    def __init__(self, log: EventLog, guard: Guard) -> None:
        """``guard`` ends the streams of those whose log-in is worth nothing any more."""
        self._log = log
        self._guard = guard
        self._open: dict[int, tuple[str, asyncio.Queue[Event | None]]] = {}
        self._next = 0
        self._is_closed = False

    @property
    def count(self) -> int:
        return len(self._open)

    def open(self, identity: Identity, last_id: str | None, kinds: frozenset[str]) -> AsyncIterator[str]:
        """The stream's text: first what was missed after ``last_id`` (None = nothing), then what happens.

        Where the log no longer holds what was missed, or the reader is too slow, an event ``reset`` says so: the reader
        must fetch the whole picture anew. Only kinds that are named come (none named = all), and only what the caller's
        agency may see.

        Raises:
            CallerError: 422 ``last_id`` is no number, 429 too many streams.
        """
        if last_id is not None and not (last_id.isascii() and last_id.isdigit() and len(last_id) <= 18):
            raise CallerError(422, "bad-event-id", "Last-Event-ID is the id of an event: a number")
        if (
            len(self._open) >= STREAMS
            or sum(user == identity.user for user, _ in self._open.values()) >= STREAMS_PER_USER
        ):
            raise CallerError(
                429, "too-many-streams", f"{STREAMS_PER_USER} streams a user, {STREAMS} in all; close one"
            )
        return self._run(identity, int(last_id) if last_id is not None else None, kinds)

    def close(self) -> None:
        """End all of them, at the end of the service."""
        self._is_closed = True
        for number in list(self._open):
            self._end(number)

    def _end(self, number: int) -> None:
        _, queue = self._open[number]
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    async def _run(self, identity: Identity, last: int | None, kinds: frozenset[str]) -> AsyncIterator[str]:
        self._next += 1
        number, queue = self._next, asyncio.Queue[Event | None](QUEUE_LIMIT)
        is_late = False

        def wanted(event: Event) -> bool:
            return (not kinds or event.kind in kinds) and may_follow(identity, event.agencies)

        def told(event: Event) -> None:
            nonlocal is_late
            if wanted(event) and not is_late:
                try:
                    queue.put_nowait(event)
                except asyncio.QueueFull:
                    is_late = True

        # No await from here to the subscription: nothing is told twice or missed.
        missed = self._log.since(last) if last is not None else []
        start = self._log.sequence
        self._open[number] = (identity.user, queue)
        subscription = self._log.subscribe(told)
        unwatch = self._guard.watch(identity, lambda: self._end(number))
        if self._is_closed:
            self._end(number)
        try:
            # The position before anything happened, so that a reader that loses the line at once can come back too.
            yield f"retry: 2000\nid: {start if missed is None else start - len(missed)}\n: Tongpin\n\n"
            if missed is None:
                yield _reset(start, "the log does not hold what came after this id")
            for event in missed or ():
                if wanted(event):
                    yield _text(event)
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        following = await queue.get()
                except TimeoutError:
                    yield ": heartbeat\n\n"
                    continue
                if following is None:
                    return
                yield _text(following)
                if is_late and queue.empty():
                    yield _reset(self._log.sequence, f"{QUEUE_LIMIT} events were waiting for this reader")
                    return
        finally:
            unwatch()
            self._log.unsubscribe(subscription)
            del self._open[number]


def _text(event: Event) -> str:
    return f"id: {event.sequence}\nevent: {event.kind}\ndata: {event.text}\n\n"


def _reset(sequence: int, reason: str) -> str:
    data: dict[str, Json] = {"type": "reset", "sequence": sequence, "reason": reason}
    return f"id: {sequence}\nevent: reset\ndata: {json.dumps(data)}\n\n"
