"""Who may do what, and for whose things: the one table that REST, the session WebSocket and the command line ask.

docs/roles.md is generated from here. To add a right: one line in :class:`Right`, one in ``_TABLE``.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from tongpin.gateway.errors import CallerError
from tongpin.gateway.records import Role


class Right(StrEnum):
    """Something a caller may be allowed to do; the values are the verbs of an API key."""

    SEE = "see"
    SEE_UNITS = "units.see"
    SEE_USERS = "users.see"
    LISTEN = "listen"
    TALK = "talk"
    OVERRIDE = "floor.override"
    PROPOSE = "joint-channels.propose"
    CONSENT = "joint-channels.consent"
    RUN = "joint-channels.run"
    TAKE_OVER = "joint-channels.take-over"
    AGREE = "agreements.manage"
    TEMPLATES = "templates.manage"
    MANAGE = "things.manage"
    MANAGE_USERS = "users.manage"
    MANAGE_AGENCIES = "agencies.manage"
    WEBHOOKS = "webhooks.manage"
    AUDIT = "audit.read"


class Reach(IntEnum):
    """Whose things a right covers. The centre's are those of no agency: its own people reach them as OWN."""

    NONE = 0
    OWN = 1
    OWN_AND_CENTRE = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Post:
    """A role where it is held: at the command centre, or in an agency."""

    role: Role
    is_centre: bool


POSTS: dict[Post, str] = {
    Post(Role.ADMIN, True): "platform admin",
    Post(Role.DISPATCHER, True): "dispatcher, centre",
    Post(Role.OFFICER, True): "officer, centre",
    Post(Role.AUDITOR, True): "auditor, centre",
    Post(Role.AGENCY_ADMIN, False): "agency admin",
    Post(Role.DISPATCHER, False): "dispatcher",
    Post(Role.OFFICER, False): "officer",
    Post(Role.AUDITOR, False): "auditor",
}
"""Every post there is, in the order of the table's columns: an admin has no agency, an agency admin has one."""

_REACHES = {"-": Reach.NONE, "own": Reach.OWN, "own+": Reach.OWN_AND_CENTRE, "all": Reach.ALL}

_TABLE: dict[Right, tuple[str, str]] = {
    # The command centre: admin, dispatcher, officer, auditor. An agency: admin, dispatcher, officer, auditor.
    Right.SEE: ("all all all all", "all all all all"),
    Right.SEE_UNITS: ("all all all all", "all all own own"),
    Right.SEE_USERS: ("all - - all", "own - - own"),
    Right.LISTEN: ("all all all all", "own+ own+ own+ own+"),
    Right.TALK: ("all all all -", "own+ own+ own+ -"),
    Right.OVERRIDE: ("all all - -", "own+ own+ - -"),
    Right.PROPOSE: ("all all - -", "all all - -"),
    Right.CONSENT: ("own own - -", "own own - -"),
    Right.RUN: ("all all - -", "own own - -"),
    Right.TAKE_OVER: ("all all - -", "own own - -"),
    Right.AGREE: ("all - - -", "own - - -"),
    Right.TEMPLATES: ("all all - -", "own own - -"),
    Right.MANAGE: ("all - - -", "own - - -"),
    Right.MANAGE_USERS: ("all - - -", "own - - -"),
    Right.MANAGE_AGENCIES: ("all - - -", "- - - -"),
    Right.WEBHOOKS: ("all - - -", "own - - -"),
    Right.AUDIT: ("all - - all", "own - - own"),
}

_MEANINGS: dict[Right, str] = {
    Right.SEE: "read agencies, grids, talk groups, legs and joint channels; follow events",
    Right.SEE_UNITS: "read units",
    Right.SEE_USERS: "read users and API keys",
    Right.LISTEN: "hear an agency's talk groups (browser, WHEP)",
    Right.TALK: "talk on an agency's talk groups (browser, WHIP)",
    Right.OVERRIDE: "take the floor away from whoever holds it",
    Right.PROPOSE: "propose or open a joint channel with any agency's groups",
    Right.CONSENT: "consent or refuse on behalf of an agency",
    Right.RUN: "change, extend and close the joint channels that an agency leads",
    Right.TAKE_OVER: "in an emergency take an agency's groups out of another net",
    Right.AGREE: "make and end an agency's standing agreements",
    Right.TEMPLATES: "make and change an agency's templates",
    Right.MANAGE: "make, change and retire units, grids and talk groups; rename the agency",
    Right.MANAGE_USERS: "make, change and disable users and API keys",
    Right.MANAGE_AGENCIES: "make and retire agencies",
    Right.WEBHOOKS: "make and end webhooks",
    Right.AUDIT: "read the audit log",
}

RIGHTS: dict[Right, dict[Post, Reach]] = {
    right: dict(zip(POSTS, (_REACHES[word] for word in f"{centre} {agency}".split()), strict=True))
    for right, (centre, agency) in _TABLE.items()
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is calling, as a token, ticket or key says.

    Attributes:
        user: the user's id, or the key's.
        agency: None = the command centre.
        verbs: all that an API key may do; None = whatever the role may.
        login: the log-in it is of; empty for keys.
        epoch: of the user: a revocation raises it.
    """

    user: str
    username: str
    role: Role
    agency: str | None
    verbs: frozenset[Right] | None = None
    login: str = ""
    epoch: int = 0


def reach(identity: Identity, right: Right) -> Reach:
    """Whose things the caller may do this to."""
    if identity.verbs is not None and right not in identity.verbs:
        return Reach.NONE
    return RIGHTS[right].get(Post(identity.role, identity.agency is None), Reach.NONE)


def may(identity: Identity, right: Right, agency: str | None) -> bool:
    """Whether the caller may do this to what belongs to the agency; None = to what is the command centre's."""
    extent = reach(identity, right)
    if extent is Reach.OWN:
        return agency == identity.agency
    if extent is Reach.OWN_AND_CENTRE:
        return agency is None or agency == identity.agency
    return extent is Reach.ALL


def require(identity: Identity, right: Right, agency: str | None) -> None:
    """Raise CallerError 403 unless the caller may."""
    if not may(identity, right, agency):
        owner = f"agency {agency!r}" if agency is not None else "the command centre"
        raise CallerError(403, "not-allowed", f"{identity.username!r} has no right {right.value!r} at {owner}")


def require_somewhere(identity: Identity, right: Right) -> None:
    """Raise CallerError 403 unless the caller may do this to anything at all."""
    if reach(identity, right) is Reach.NONE:
        raise CallerError(403, "not-allowed", f"{identity.username!r} has no right {right.value!r}")


def check_post(role: Role, agency: str | None) -> None:
    """Raise CallerError 422 for a role that is not held there."""
    if Post(role, agency is None) in POSTS:
        return
    if agency is None:
        raise CallerError(422, "role-needs-agency", f"the role {role.value!r} is held in an agency: name one")
    raise CallerError(
        422, "role-without-agency", f"the role {role.value!r} has no agency; an agency's is {Role.AGENCY_ADMIN.value!r}"
    )


def reference() -> str:
    """The table of docs/roles.md."""
    shown = {Reach.NONE: "–", Reach.OWN: "own", Reach.OWN_AND_CENTRE: "own + centre", Reach.ALL: "all"}
    lines = ["| Right | May | " + " | ".join(POSTS.values()) + " |", "|---|---|" + "---|" * len(POSTS)]
    for right, reaches in RIGHTS.items():
        cells = " | ".join(shown[extent] for extent in reaches.values())
        lines.append(f"| `{right.value}` | {_MEANINGS[right]} | {cells} |")
    return "\n".join(lines) + "\n"
