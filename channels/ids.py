"""Names of things, and the small enums that commands, effects and views share."""

from enum import IntEnum, StrEnum
from typing import NewType

GroupId = NewType("GroupId", str)
"""A talk group, as storage names it."""
PatchId = NewType("PatchId", str)
"""What an active joint channel installs; the joint channel's own id is used."""
NetId = NewType("NetId", str)
"""The groups that share one floor now: a patch's id, or the id of a group that stands alone."""
PartyId = NewType("PartyId", str)
"""Whoever can talk or listen: ``leg:<name>``, ``session:<id>``, ``whip:<id>`` or ``whep:<id>``."""
AgencyId = NewType("AgencyId", str)


class PartyKind(StrEnum):
    """What stands behind a party."""

    LEG = "leg"
    SESSION = "session"
    WHIP = "whip"
    WHEP = "whep"


class Priority(IntEnum):
    """Floor priorities; a higher number pre-empts a lower one."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    EMERGENCY = 3


class FloorState(StrEnum):
    """States of one net's floor (3GPP TS 24.380 §6.3.4, floor control server)."""

    IDLE = "idle"
    TAKEN = "taken"
    PENDING_REVOKE = "pending_revoke"


class Origin(StrEnum):
    """Where a floor request was born."""

    PTT = "ptt"
    COS = "cos"
    VAD = "vad"
    WHIP = "whip"
    API = "api"


class DenyCause(StrEnum):
    """Why a request for the floor was refused."""

    TAKEN = "taken"
    """Somebody of the same or a higher priority talks and the party does not queue."""
    QUEUE_FULL = "queue_full"
    NOT_A_MEMBER = "not_a_member"
    NO_RIGHT_TO_TALK = "no_right_to_talk"
    ALREADY_HOLDS_ANOTHER = "already_holds_another"
    """The party holds, or waits for, the floor of another net."""
    PENALTY = "penalty"
    """The party was cut for talking too long and has not been silent since."""


class ReleaseCause(StrEnum):
    """Why a talk ended, or a queued request was given up."""

    RELEASED = "released"
    END_OF_MEDIA = "end_of_media"
    TALK_LIMIT = "talk_limit"
    PREEMPTED = "preempted"
    OVERRIDDEN = "overridden"
    PARTY_GONE = "party_gone"
    RIGHT_LOST = "right_lost"
    NET_CHANGED = "net_changed"
    HEARTBEAT_LOST = "heartbeat_lost"


class PatchEndCause(StrEnum):
    """Why a patch was taken down."""

    CLOSED = "closed"
    EXPIRED = "expired"
    REPLACED = "replaced"
    """It stands again at once, with none of the groups it had."""


class Timer(StrEnum):
    """What a deadline is for. Names after TS 24.380 where it has one."""

    T1_END_OF_MEDIA = "t1_end_of_media"
    T2_TALK_LIMIT = "t2_talk_limit"
    T2_WARNING = "t2_warning"
    T3_GRACE = "t3_grace"
    T4_INACTIVITY = "t4_inactivity"
    HANG = "hang"
    PATCH_END = "patch_end"
