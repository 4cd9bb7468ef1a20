"""Messages from a browser: their types, and reading them without trust. docs/session.md is generated from here."""

import json
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Literal, get_args, get_origin, get_type_hints

from tongpin.gateway.errors import PeerError

MAX_BYTES = 64 * 1024
MAX_GROUPS = 1_000


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message. With the last sequence number seen, only what was missed is sent."""

    resume_from: int | None = None


@dataclass(frozen=True, slots=True)
class OfferMessage:
    """The browser's offer: the first m-line that sends is the microphone, those that receive are speaker slots."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trickled ICE candidate; an empty one ends them."""

    candidate: str
    mid: str | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """The talk groups to listen to; replaces the set. At first all that the user may hear."""

    groups: list[str]


@dataclass(frozen=True, slots=True)
class PttPress:
    """The key went down. ``request`` comes back in the answer."""

    group: str
    priority: Literal["low", "normal", "high", "emergency"] = "normal"
    request: int | None = None


@dataclass(frozen=True, slots=True)
class PttRelease:
    """The key went up: ends the talk, or the wait."""


@dataclass(frozen=True, slots=True)
class FloorOverride:
    """Take the floor of a group away from whoever holds it."""

    group: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Every second. Without it for 2.5 s a talker loses the floor; after 30 s the session ends."""

    n: int = 0


ClientMessage = Hello | OfferMessage | Candidate | Monitor | PttPress | PttRelease | FloorOverride | Heartbeat

CLIENT_TYPES: dict[str, type] = {
    "hello": Hello,
    "offer": OfferMessage,
    "candidate": Candidate,
    "monitor": Monitor,
    "ptt.press": PttPress,
    "ptt.release": PttRelease,
    "floor.override": FloorOverride,
    "heartbeat": Heartbeat,
}

SERVER_TYPES: dict[str, str] = {
    "welcome": "`party`, `user` {id, name, role, agency}, `slots`, `ice_servers`, `heartbeat_s`",
    "view": "`sequence`, `view`: the whole picture; later events bring it up to date",
    "resumed": "`sequence`: nothing was missed, or what was missed follows as events",
    "event": "`sequence` (without gaps), `at` (RFC 3339, UTC), `event` {kind, …}",
    "levels": "`legs`: live levels and lines of the legs, when they change, at most five times a second",
    "answer": "`sdp`",
    "offer.failed": "`code`, `detail`: the offer was refused; the session goes on",
    "ptt.granted": "`request`, `group`, `net`, `talk`, `limit_s`",
    "ptt.denied": "`request`, `group`, `cause`, `holder` {party, label} or null",
    "ptt.queued": "`request`, `group`, `position`",
    "ptt.revoking": "`cause`, `grace_s`: stop talking",
    "ptt.warning": "`left_s`: the talk limit is near",
    "ptt.ended": "`cause`",
    "slot": "`slot`, `talk` or null, `group`, `source` {party, label, agency}: what a speaker slot carries",
    "heartbeat": "`n`, as it was sent",
    "error": "`code`, `detail`: a message was refused; the session goes on",
    "bye": "`code`, `detail`: the session ends",
}


def read_message(text: str) -> ClientMessage:
    """One message. Raises PeerError saying what is wrong with it; unknown fields are ignored."""
    if len(text) > MAX_BYTES:
        raise PeerError(f"a message of more than {MAX_BYTES} bytes")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PeerError("not JSON") from error
    if not isinstance(content, dict):
        raise PeerError("a message must be an object")
    kind = CLIENT_TYPES.get(content.get("type", "")) if isinstance(content.get("type"), str) else None
    if kind is None:
        raise PeerError(f"no message has the type {str(content.get('type'))[:40]!r}")
    hints = get_type_hints(kind)
    values: dict[str, object] = {}
    for item in fields(kind):
        if item.name in content:
            value = content[item.name]
            if not _fits(value, hints[item.name]):
                raise PeerError(f"{content['type']}: {item.name} has the wrong type or value")
            values[item.name] = value
        elif item.default is MISSING:
            raise PeerError(f"{content['type']}: {item.name} is missing")
    message: ClientMessage = kind(**values)
    return message


def _fits(value: object, hint: object) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin is UnionType:
        return any(_fits(value, option) for option in get_args(hint))
    if origin is list:
        return isinstance(value, list) and len(value) <= MAX_GROUPS and all(isinstance(item, str) for item in value)
    if hint is type(None):
        return value is None
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return isinstance(hint, type) and isinstance(value, hint)


def reference() -> str:
    """The message tables of docs/session.md."""
    lines = ["| From the client | Fields | Meaning |", "|---|---|---|"]
    for name, kind in CLIENT_TYPES.items():
        parts = [f"`{item.name}`" + ("" if item.default is MISSING else "?") for item in fields(kind)]
        meaning = " ".join((kind.__doc__ or "").split())
        lines.append(f"| `{name}` | {', '.join(parts)} | {meaning} |")
    lines += ["", "| From the gateway | Fields |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in SERVER_TYPES.items()]
    return "\n".join(lines) + "\n"
