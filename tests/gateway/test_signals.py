"""What radios signal: names of talkers, emergencies, events, on a real switchboard with a lookup that we time."""

import asyncio
from collections.abc import Awaitable

import pytest

from tests.gateway.test_wiring import GROUP, Bench
from tongpin.channels import commands as c
from tongpin.channels.ids import GroupId, PartyId, Priority
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.events.log import Json
from tongpin.gateway.radio.messages import Signalled
from tongpin.gateway.signals import RadioSignals
from tongpin.gateway.things import RadioId, Signalling, Unit, UnitKind

LEG = PartyId("leg:a")
CONFIG = LegConfig.model_validate(
    {"name": "a", "card": {"kind": "sim"}, "has_cos": True, "signalling": {"mdc1200": True}}
)
UNIT = Unit("u7", "Patrol 7", UnitKind.TEAM, None)
PTT_ID = Signalled("mdc1200", "ptt_id", "1A2B", "")
EMERGENCY = Signalled("mdc1200", "emergency", "1A2B", "")


class Desk:
    """One leg with a radio that signals, and everything that is told."""

    def __init__(self) -> None:
        self.bench = Bench(CONFIG)
        self.told: list[dict[str, Json]] = []
        self.asked: list[RadioId] = []
        self.units = {RadioId(Signalling.MDC1200, "1A2B"): UNIT}
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fails = False
        self._tasks: list[Awaitable[None]] = []
        self.group: GroupId | None = GROUP
        self.signals = RadioSignals(
            self.bench.runner,
            self._unit_of,
            lambda name: self.group,
            lambda name: self.bench.a.opening,
            self._tell,
            self._tasks.append,
        )
        self.bench.runner.apply(c.DefineGroup(GROUP, "G"))
        for leg in self.bench.legs.values():
            leg.online(True)

    def _tell(self, event: dict[str, Json], agencies: frozenset[str | None] | None = None) -> None:
        assert (agencies is None) is str(event["kind"]).startswith("emergency")
        self.told.append(event)

    async def _unit_of(self, radio: RadioId) -> Unit | None:
        self.asked.append(radio)
        await self.may_answer.wait()
        if self.fails:
            raise StoreError("gone")
        return self.units.get(radio)

    async def hear(self, *signals: Signalled) -> None:
        for signal in signals:
            self.signals(CONFIG, signal)
        tasks, self._tasks[:] = list(self._tasks), []
        for task in tasks:
            await task

    @property
    def talker(self) -> tuple[str | None, str | None]:
        (party,) = [party for party in self.bench.runner.view().parties if party.party == LEG]
        return party.talker, party.talker_unit


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_an_id_names_the_talker_until_the_release(desk: Desk) -> None:
    desk.bench.a.gate_moved(True)
    await desk.hear(PTT_ID)
    assert desk.talker == ("Patrol 7", "u7")
    assert desk.asked == [RadioId(Signalling.MDC1200, "1A2B")]
    assert desk.told == [
        {
            "kind": "radio_signal",
            "leg": "a",
            "group": "g",
            "system": "mdc1200",
            "what": "ptt_id",
            "code": "1A2B",
            "unit": "u7",
            "label": "Patrol 7",
            "detail": "",
        }
    ]
    desk.bench.a.gate_moved(False)
    assert desk.talker[0] is None


async def test_a_stranger_is_shown_by_its_number(desk: Desk) -> None:
    desk.bench.a.gate_moved(True)
    await desk.hear(Signalled("mdc1200", "ptt_id", "BEEF", ""))
    assert desk.talker == ("MDC1200 BEEF", None)
    await desk.hear(Signalled("ccir", "call", "123", ""))
    assert desk.talker == ("CCIR 123", None)


async def test_a_name_that_is_found_late_is_not_given_to_the_next_talker(desk: Desk) -> None:
    desk.bench.a.gate_moved(True)
    desk.may_answer.clear()
    late = asyncio.create_task(desk.hear(PTT_ID))
    while not desk.asked:
        await asyncio.sleep(0)
    desk.bench.a.gate_moved(False)
    desk.bench.a.gate_moved(True)
    desk.may_answer.set()
    await late
    assert desk.talker == (None, None)
    assert desk.told[-1]["label"] == "Patrol 7", "the event is told nevertheless"


async def test_without_the_store_the_number_must_do(desk: Desk) -> None:
    desk.fails = True
    desk.bench.a.gate_moved(True)
    await desk.hear(PTT_ID)
    assert desk.talker == ("MDC1200 1A2B", None)


async def test_an_emergency_takes_the_floor_and_stays_until_it_is_cleared(desk: Desk) -> None:
    desk.bench.b.gate_moved(True)
    desk.bench.a.gate_moved(True)
    assert desk.bench.runner.view().nets[0].floor.holder == "leg:b"
    desk.signals(CONFIG, EMERGENCY)
    floor = desk.bench.runner.view().nets[0].floor
    assert (floor.holder, floor.priority) == (LEG, Priority.EMERGENCY), "at once, before any lookup"
    await desk.hear()
    assert [event["kind"] for event in desk.told] == ["radio_signal", "emergency_raised"]
    assert desk.told[-1]["label"] == "Patrol 7"
    emergency = desk.signals.emergency_of("a")
    assert emergency is not None
    assert emergency.unit == "u7"
    desk.bench.a.gate_moved(False)
    assert desk.signals.emergency_of("a") == emergency
    desk.signals.clear_emergency("a", "chief")
    assert desk.told[-1] == {"kind": "emergency_cleared", "leg": "a", "by": "chief"}
    assert desk.signals.emergency_of("a") is None
    with pytest.raises(CallerError) as refused:
        desk.signals.clear_emergency("a", "chief")
    assert refused.value.status == 404


async def test_an_emergency_on_a_closed_gate_or_without_a_group_is_told_all_the_same(desk: Desk) -> None:
    await desk.hear(EMERGENCY)
    assert desk.bench.runner.view().nets[0].floor.holder is None
    assert desk.told[-1]["kind"] == "emergency_raised"
    desk.group = GroupId("nowhere")
    desk.bench.a.gate_moved(True)
    await desk.hear(EMERGENCY)
    desk.group = None
    await desk.hear(EMERGENCY)
    assert [event["kind"] for event in desk.told].count("emergency_raised") == 3


async def test_keys_and_statuses_are_events_and_tones_are_not(desk: Desk) -> None:
    desk.bench.a.gate_moved(True)
    await desk.hear(Signalled("dtmf", "key", "5", ""), Signalled("ctcss", "found", "88.5", ""))
    await desk.hear(Signalled("mdc1200", "status", "1A2B", "7"))
    assert [(event["what"], event["code"], event["detail"]) for event in desk.told] == [
        ("key", "5", ""),
        ("status", "1A2B", "7"),
    ]
    assert desk.talker == ("Patrol 7", "u7")


async def test_a_leg_that_is_gone_gets_no_name(desk: Desk) -> None:
    desk.bench.a.gate_moved(True)
    desk.bench.runner.apply(c.DetachParty(LEG))
    await desk.hear(PTT_ID, EMERGENCY)
    assert [event["kind"] for event in desk.told] == ["radio_signal", "radio_signal", "emergency_raised"]
