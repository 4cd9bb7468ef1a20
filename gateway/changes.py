"""Audit entries of changes by people: who, what, to what, and from what to what."""

from dataclasses import fields
from enum import Enum

from tongpin.gateway.records import Agency, AuditDraft, Json, TalkGroup, User
from tongpin.gateway.things import Grid, RadioId, Unit

Thing = Agency | User | TalkGroup | Unit | Grid

_UNSAID = {"password_hash", "area"}
"""Told as changed, without what they were and are: one is a secret, the other is long."""


def made(actor: str, what: str, thing: Thing) -> list[AuditDraft]:
    """The entry of a new thing: ``<what>.created``."""
    detail = {item.name: _plain(getattr(thing, item.name)) for item in fields(thing) if item.name not in _UNSAID}
    return [AuditDraft(f"{what}.created", actor, thing.id, _agency(thing), detail)]


def changed(actor: str, what: str, before: Thing, after: Thing, verb: str = "changed") -> list[AuditDraft]:
    """The entry of a change: ``<what>.<verb>`` with ``[before, after]`` of each field that differs."""
    detail: dict[str, Json] = {}
    for item in fields(after):
        old, new = getattr(before, item.name), getattr(after, item.name)
        if old != new:
            detail[item.name] = "changed" if item.name in _UNSAID else [_plain(old), _plain(new)]
    return [AuditDraft(f"{what}.{verb}", actor, after.id, _agency(after), detail)]


def _agency(thing: Thing) -> str | None:
    return thing.id if isinstance(thing, Agency) else thing.agency


def _plain(value: object) -> Json:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, RadioId):
        return f"{value.kind.value}:{value.code}"
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
