"""The one owner of the switchboard: take a command, apply, carry out the effects in order, re-arm the one timer.

Event-loop thread only. :meth:`Runner.apply` is synchronous on purpose: when a radio's gate opens, the route stands
before the datagram that follows the edge is read.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

import structlog

from tongpin.channels.commands import Advance, Command, MediaSeen
from tongpin.channels.effects import Effect
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import AgencyId, GroupId, PartyId, Timer
from tongpin.channels.switchboard import Switchboard
from tongpin.channels.view import View
from tongpin.gateway.ports import EffectHandler

_log = structlog.get_logger(__name__)


class Runner:
    """Owns a switchboard and its timer.

    Args:
        switchboard: used by nobody else from now on.
        last_media_at: monotonic seconds of a party's last packet; asked only when T1 is about to end, so that
            media costs the switchboard nothing while it flows.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        last_media_at: Callable[[PartyId], float],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._switchboard = switchboard
        self._last_media_at = last_media_at
        self._clock = clock
        self._handlers: list[EffectHandler] = []
        self._pending: deque[tuple[Effect, float]] = deque()
        self._is_delivering = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._is_closed = False
        self.applied = 0

    def add_handler(self, handler: EffectHandler) -> None:
        """Handlers get every effect, in the order in which they were added."""
        self._handlers.append(handler)

    def apply(self, command: Command) -> list[Effect]:
        """Apply now and carry the effects out.

        A command given by a handler (from within an effect) is applied at once; its effects are carried out after
        those that are still waiting, so every handler sees one order.

        Raises:
            SwitchboardError: the command was illegal; nothing changed.
        """
        now = self._clock()
        effects = self._switchboard.apply(command, now)
        self.applied += 1
        self._pending.extend((effect, now) for effect in effects)
        self._deliver()
        self._arm()
        return effects

    def check(self, command: Command) -> list[Effect]:
        """What :meth:`apply` would answer; changes nothing."""
        return self._switchboard.check(command, self._clock())

    def view(self) -> View:
        return self._switchboard.view()

    def agency_of(self, group: GroupId) -> AgencyId | None:
        """Whose talk group it is. Raises UnknownGroupError."""
        return self._switchboard.agency_of(group)

    def close(self) -> None:
        """Stop the timer. Later deadlines are not met any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver(self) -> None:
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            while self._pending:
                effect, now = self._pending.popleft()
                for handler in self._handlers:
                    try:
                        handler(effect, now)
                    except Exception:
                        # A handler's defect must not keep the others from, say, unkeying a transmitter.
                        _log.exception("effect handler failed", effect=type(effect).__name__)
        finally:
            self._is_delivering = False

    def _arm(self) -> None:
        deadline = None if self._is_closed else self._switchboard.next_deadline()
        when = deadline.when if deadline is not None else None
        if when == self._armed_for and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_for = when
        if when is not None:
            delay = max(0.0, when - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._armed_for = None
        deadline = self._switchboard.next_deadline()
        if deadline is not None and deadline.why is Timer.T1_END_OF_MEDIA and deadline.party is not None:
            at = self._last_media_at(deadline.party)
            if at > float("-inf"):
                try:
                    self.apply(MediaSeen(deadline.party, at))
                except SwitchboardError:
                    _log.warning("a talker without a party", party=deadline.party)
        self.apply(Advance())
