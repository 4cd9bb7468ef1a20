"""One net's floor: its states, the table of its transitions, and its record.

States and timers carry the names of 3GPP TS 24.380 (floor control server, §6.3.4). The table is the only place that
says which state follows which; :func:`draw` draws the diagram in the docs from it.
"""

from dataclasses import dataclass
from enum import StrEnum

from tongpin.channels.ids import FloorState, GroupId, Origin, PartyId, Priority, ReleaseCause, Timer


class FloorEvent(StrEnum):
    """What moves a floor from state to state."""

    GRANT = "grant"
    RELEASE = "release"
    END_OF_MEDIA = "end_of_media"
    REVOKE = "revoke"
    """The holder is asked to stop and may finish within T3: talk limit, or pre-emption of a full-duplex talker."""
    CUT = "cut"
    """The holder stops at once: half-duplex, emergency, override, gone, right lost, net changed."""
    GRACE_ENDED = "grace_ended"


TRANSITIONS: dict[tuple[FloorState, FloorEvent], FloorState] = {
    (FloorState.IDLE, FloorEvent.GRANT): FloorState.TAKEN,
    (FloorState.TAKEN, FloorEvent.RELEASE): FloorState.IDLE,
    (FloorState.TAKEN, FloorEvent.END_OF_MEDIA): FloorState.IDLE,
    (FloorState.TAKEN, FloorEvent.CUT): FloorState.IDLE,
    (FloorState.TAKEN, FloorEvent.REVOKE): FloorState.PENDING_REVOKE,
    (FloorState.PENDING_REVOKE, FloorEvent.RELEASE): FloorState.IDLE,
    (FloorState.PENDING_REVOKE, FloorEvent.END_OF_MEDIA): FloorState.IDLE,
    (FloorState.PENDING_REVOKE, FloorEvent.CUT): FloorState.IDLE,
    (FloorState.PENDING_REVOKE, FloorEvent.GRACE_ENDED): FloorState.IDLE,
}

TIMERS: dict[Timer, str] = {
    Timer.T1_END_OF_MEDIA: "no packet of the holder: the floor is released",
    Timer.T2_WARNING: "the holder is told that its talk limit is near",
    Timer.T2_TALK_LIMIT: "the holder has talked too long: revoked (a half-duplex one is cut)",
    Timer.T3_GRACE: "a revoked holder did not stop: cut",
    Timer.T4_INACTIVITY: "nobody has talked: the net is said to be idle",
    Timer.HANG: "radios kept keyed after a talk are unkeyed",
    Timer.PATCH_END: "a joint channel's time box ends: its patch is taken down",
}


@dataclass(slots=True)
class Tenure:
    """A talk that is on.

    Attributes:
        asked: the priority that was asked for; ``priority`` is what the net's policy makes of it.
        last_media: monotonic seconds of the last packet known, at first the grant.
        revoked_for: why the holder was asked to stop, once it was.
        grace_ends: monotonic seconds at which T3 cuts it.
    """

    holder: PartyId
    group: GroupId
    priority: Priority
    origin: Origin
    talk: int
    last_media: float
    limit_at: float
    asked: Priority
    is_warned: bool = False
    revoked_for: ReleaseCause | None = None
    grace_ends: float = float("inf")


@dataclass(slots=True)
class Floor:
    """State of one floor. ``tenure`` is None exactly when idle."""

    state: FloorState = FloorState.IDLE
    tenure: Tenure | None = None
    idle_since: float | None = None
    """When the last talk ended, until T4 has been said; None before the first talk."""
    hang_until: float | None = None

    def move(self, event: FloorEvent) -> None:
        """Follow the table. Raises KeyError for a transition that it does not have: a defect of the caller."""
        self.state = TRANSITIONS[(self.state, event)]


def draw() -> str:
    """The state diagram (mermaid) and the timer table (markdown)."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {FloorState.IDLE}"]
    for (state, event), following in TRANSITIONS.items():
        lines.append(f"    {state} --> {following}: {event}")
    lines += ["```", "", "| Timer | When it ends |", "|---|---|"]
    lines += [f"| `{timer}` | {meaning} |" for timer, meaning in TIMERS.items()]
    return "\n".join(lines) + "\n"
