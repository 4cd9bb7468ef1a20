"""How the sub-packages of the gateway meet without importing each other (wired in ``app.py``)."""

from collections.abc import Callable
from typing import Protocol

from tongpin.channels.commands import Command
from tongpin.channels.effects import Effect
from tongpin.channels.ids import AgencyId, GroupId
from tongpin.channels.view import View
from tongpin.gateway.rights import Identity


class Dispatcher(Protocol):
    """The runner as others see it: the one way to change who may talk. Event-loop thread only."""

    def apply(self, command: Command) -> list[Effect]:
        """Apply at the present moment, carry every effect out, return them. Raises SwitchboardError."""

    def check(self, command: Command) -> list[Effect]:
        """What apply would answer; changes nothing."""

    def view(self) -> View: ...

    def agency_of(self, group: GroupId) -> AgencyId | None:
        """Whose talk group it is. Raises UnknownGroupError."""


class Guard(Protocol):
    """Tells long-lived things when the identity that they stand on is good no longer."""

    def watch(self, identity: Identity, end: Callable[[], None]) -> Callable[[], None]:
        """Call ``end`` (must not block) once, perhaps at once, when it is revoked; the answer takes the watch away."""


class EffectHandler(Protocol):
    """Carries effects out. Called in order; must not block and must not raise."""

    def __call__(self, effect: Effect, now: float) -> None: ...
