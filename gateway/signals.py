"""What radios signal besides voice becomes names of talkers, emergencies and events. Event-loop thread only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from tongpin.channels.commands import NameTalker, RequestFloor
from tongpin.channels.errors import SwitchboardError
from tongpin.channels.ids import GroupId, Origin, Priority
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.events.log import Json
from tongpin.gateway.ports import Dispatcher
from tongpin.gateway.radio.messages import Signalled
from tongpin.gateway.things import RadioId, Signalling, Unit, radio_id
from tongpin.gateway.wiring import leg_party

_log = structlog.get_logger(__name__)

_KINDS = {"mdc1200": Signalling.MDC1200, "zvei1": Signalling.SELCALL, "ccir": Signalling.SELCALL}
_NAMING = frozenset({"ptt_id", "emergency", "status", "call", "acknowledge", "selcall"})
"""What a radio says that tells who it is."""
_SQUELCH = frozenset({"ctcss", "dcs"})


class UnitOf(Protocol):
    """Looks a radio's own number up. Raises StoreError when the database fails."""

    def __call__(self, radio: RadioId) -> Awaitable[Unit | None]: ...


class Tell(Protocol):
    """Makes an event for some agencies (None in the set = the command centre), or for everybody."""

    def __call__(self, event: dict[str, Json], agencies: frozenset[str | None] | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Emergency:
    """A radio has raised one on a leg, and nobody has cleared it."""

    leg: str
    label: str
    unit: str | None


class RadioSignals:
    """One for all legs.

    Args:
        unit_of: whose radio it is.
        group_of: the talk group a leg belongs to now, or None.
        opening_of: the number of a leg's gate opening that is on, or None: a name that is found late must not be given
            to the next talker.
        tell: makes an event; emergencies concern everybody, the rest the leg's agency.
        spawn: runs a task to its end.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        unit_of: UnitOf,
        group_of: Callable[[str], GroupId | None],
        opening_of: Callable[[str], int | None],
        tell: Tell,
        spawn: Callable[[Awaitable[None]], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._unit_of = unit_of
        self._group_of = group_of
        self._opening_of = opening_of
        self._tell = tell
        self._spawn = spawn
        self._emergencies: dict[str, Emergency] = {}

    def __call__(self, config: LegConfig, signal: Signalled) -> None:
        """A leg's worker has decoded something. An emergency asks for the floor at once; names take a moment."""
        if signal.system in _SQUELCH:
            return  # The gate's business, dozens of times an hour.
        opening = self._opening_of(config.name)
        if signal.what == "emergency":
            self._ask_for_floor(config, opening)
        self._spawn(self._take(config, signal, opening))

    def emergency_of(self, leg: str) -> Emergency | None:
        return self._emergencies.get(leg)

    def clear_emergency(self, leg: str, by: str) -> None:
        """Somebody has it in hand. Raises CallerError 404 when there is none."""
        if self._emergencies.pop(leg, None) is None:
            raise CallerError(404, "no-emergency", f"no radio has raised an emergency on leg {leg!r}")
        self._tell({"kind": "emergency_cleared", "leg": leg, "by": by})

    def _ask_for_floor(self, config: LegConfig, opening: int | None) -> None:
        group = self._group_of(config.name)
        if group is None or opening is None:
            return
        try:
            origin = Origin.COS if config.has_cos else Origin.VAD
            self._dispatcher.apply(RequestFloor(leg_party(config.name), group, Priority.EMERGENCY, origin))
        except SwitchboardError as error:
            _log.warning("an emergency without a floor", leg=config.name, reason=str(error))

    async def _take(self, config: LegConfig, signal: Signalled, opening: int | None) -> None:
        unit = await self._find(signal) if signal.what in _NAMING else None
        label = unit.name if unit is not None else f"{signal.system.upper()} {signal.code}"
        told: dict[str, Json] = {
            "leg": config.name,
            "group": self._group_of(config.name),
            "code": signal.code,
            "unit": unit.id if unit is not None else None,
            "label": label,
        }
        if signal.what in _NAMING and opening is not None and self._opening_of(config.name) == opening:
            self._name(config, label, unit)
        said: dict[str, Json] = {"system": signal.system, "what": signal.what, "detail": signal.detail}
        self._tell({"kind": "radio_signal", **told, **said}, frozenset((config.agency,)))
        if signal.what == "emergency":
            self._emergencies[config.name] = Emergency(config.name, label, unit.id if unit is not None else None)
            self._tell({"kind": "emergency_raised", **told})

    async def _find(self, signal: Signalled) -> Unit | None:
        try:
            return await self._unit_of(radio_id(_KINDS[signal.system], signal.code))
        except CallerError:
            return None  # A call of three tones is nobody's number.
        except StoreError as error:
            _log.warning("a radio stays without a name", code=signal.code, reason=str(error))
            return None

    def _name(self, config: LegConfig, label: str, unit: Unit | None) -> None:
        try:
            party = leg_party(config.name)
            self._dispatcher.apply(NameTalker(party, label, unit.id if unit is not None else None))
        except SwitchboardError as error:
            _log.warning("a talker without a party", leg=config.name, reason=str(error))
