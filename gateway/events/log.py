"""Public effects become numbered events: kept for a while, so that a client that comes back misses nothing."""

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC
from enum import Enum

from tongpin.channels import effects as e
from tongpin.channels.ids import Priority
from tongpin.channels.view import View
from tongpin.gateway.clock import Clock
from tongpin.gateway.events.audience import Agencies, Audience

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

PRIVATE = (e.RouteInstalled, e.RouteRemoved, e.FloorDenied, e.TalkLimitNear)
"""Effects that are no public events: routes are the hub's business, a refusal is between us and the party."""

_LEFT = {"limit_at": "limit_s", "grace_ends": "grace_s"}
_RENAMED = {"kind": "party_kind"}
"""An event's own kind is not the kind of a party that it brings."""


def kind_of(effect: type) -> str:
    """``FloorGranted`` is told as ``floor_granted``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", effect.__name__).lower()


def plain(value: object) -> Json:
    """A value as JSON has it; priorities by name."""
    if isinstance(value, Priority):
        return value.name.lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no place in an event")


def event_json(effect: e.Effect, now: float) -> dict[str, Json]:
    """One effect as an event. Deadlines, which are monotonic, are told as seconds left."""
    out: dict[str, Json] = {"kind": kind_of(type(effect))}
    for item in fields(effect):
        value = getattr(effect, item.name)
        if item.name in _LEFT:
            out[_LEFT[item.name]] = round(value - now, 3)
        else:
            out[_RENAMED.get(item.name, item.name)] = plain(value)
    return out


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``text`` is the whole message, made once for all who get it.

    Attributes:
        agencies: those whom it concerns; None = everybody.
    """

    sequence: int
    kind: str
    text: str
    agencies: Agencies | None = None


Subscriber = Callable[[Event], None]
"""Must not block."""


class EventLog:
    """Implements ``EffectHandler``. Event-loop thread only. Bounded: :attr:`LIMIT` events are kept.

    Numbers begin at the milliseconds of the clock, so that those of an earlier life of the service are smaller and a
    client that comes back with one is told that it has missed something.
    """

    LIMIT = 10_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[Event] = deque(maxlen=self.LIMIT)
        self._subscribers: dict[int, Subscriber] = {}
        self._next_subscriber = 0
        self._audience = Audience()
        self.sequence = int(clock.at().timestamp() * 1000)

    def __call__(self, effect: e.Effect, now: float) -> None:
        agencies = self._audience.of(effect)
        if not isinstance(effect, PRIVATE):
            self.tell(event_json(effect, now), agencies)

    def tell(self, event: dict[str, Json], agencies: Agencies | None = None) -> None:
        """Number an event, keep it, and hand it to everybody; ``agencies``: whom it concerns, None = everybody."""
        self.sequence += 1
        at = self._clock.at().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = {"type": "event", "sequence": self.sequence, "at": at, "event": event}
        told = Event(self.sequence, str(event["kind"]), json.dumps(message, ensure_ascii=False), agencies)
        self._kept.append(told)
        for subscriber in list(self._subscribers.values()):
            subscriber(told)

    def since(self, sequence: int) -> list[Event] | None:
        """Events after a number; None when some of them are gone, or the number is from another life of the service."""
        if not self.sequence - len(self._kept) <= sequence <= self.sequence:
            return None
        return [event for event in self._kept if event.sequence > sequence]

    def subscribe(self, subscriber: Subscriber) -> int:
        """Hand every later event to the subscriber; the number is for :meth:`unsubscribe`."""
        self._next_subscriber += 1
        self._subscribers[self._next_subscriber] = subscriber
        return self._next_subscriber

    def unsubscribe(self, number: int) -> None:
        self._subscribers.pop(number, None)


def view_json(view: View, now: float) -> dict[str, Json]:
    """The switchboard's picture as clients get it (without legs and agencies, which others add)."""
    return {
        "groups": [
            {
                "id": group.group,
                "name": group.name,
                "agency": group.agency,
                "net": group.net,
                "listeners": list(group.listeners),
                "talkers": list(group.talkers),
            }
            for group in view.groups
        ],
        "parties": [
            {
                "id": party.party,
                "kind": party.kind.value,
                "label": party.label,
                "agency": party.agency,
                "is_deaf": party.is_deaf,
                "is_keyed": party.is_keyed,
                "talker": party.talker,
                "talker_unit": party.talker_unit,
            }
            for party in view.parties
        ],
        "nets": [
            {
                "id": net.net,
                "groups": list(net.groups),
                "joint_channel": net.patch,
                "name": net.patch_name,
                "priorities": plain(net.priorities),
                "floor": {
                    "state": net.floor.state.value,
                    "holder": net.floor.holder,
                    "group": net.floor.group,
                    "priority": plain(net.floor.priority),
                    "talk": net.floor.talk,
                    "limit_s": round(net.floor.limit_at - now, 3) if net.floor.limit_at is not None else None,
                    "queue": [
                        {"party": entry.party, "group": entry.group, "priority": plain(entry.priority)}
                        for entry in net.floor.queue
                    ],
                },
            }
            for net in view.nets
        ],
    }
