"""The life of a joint channel: what may follow what, who is asked, when it is due. No clock but the numbers here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.channels.ids import Priority
from tongpin.channels.joint import (
    FINAL,
    TRANSITIONS,
    Agreement,
    AlreadyDecidedError,
    Basis,
    ConsentNotAskedError,
    Decision,
    Due,
    JointChannel,
    JointError,
    JointEvent,
    JointState,
    Member,
    MemberKind,
    Moment,
    WrongStateError,
    claims,
    decide,
    draw,
    end,
    next_moment,
    propose,
    run_out,
    start,
    with_members,
    with_times,
)
from tongpin.channels.schedule import Recurrence

AT = datetime(2026, 3, 4, 11, 40, tzinfo=UTC)
OWNERS: dict[str, str | None] = {"police-1": "gongan", "urban-1": "chengguan", "fire-1": "xiaofang", "all": None}
HOUR = timedelta(hours=1)


def channel(**more: Any) -> JointChannel:
    members = tuple(Member(MemberKind.TALK_GROUP, group) for group in OWNERS)
    made = JointChannel("jc-1", "Boy on a ledge", "rescue", members, "duty", AT, AT + HOUR)
    return replace(made, **more)


def agreement(*agencies: str, centre: bool = True) -> Agreement:
    return Agreement("ag-1", "Joint service", agencies, centre, "chief", AT - HOUR)


def proposed(*agreements: Agreement, proposer: str | None = None, **more: Any) -> JointChannel:
    return propose(with_members(channel(proposer=proposer, **more), OWNERS, agreements, AT))


def agreed(**more: Any) -> JointChannel:
    found = proposed(agreement("gongan", "chengguan", "xiaofang"), **more)
    assert found.state is JointState.SCHEDULED
    return found


def yes(record: JointChannel, agency: str, at: datetime = AT) -> JointChannel:
    return decide(record, agency, is_granted=True, by=f"{agency}-duty", reason=None, at=at)


def no(record: JointChannel, agency: str, at: datetime = AT) -> JointChannel:
    return decide(record, agency, is_granted=False, by=f"{agency}-duty", reason="no crew", at=at)


# -- consents --------------------------------------------------------------------------------------------------------


def test_one_agreement_and_two_consents_make_it_agreed() -> None:
    record = proposed(agreement("chengguan"))
    assert (record.state, record.awaited) == (JointState.PROPOSED, ("gongan", "xiaofang"))
    assert record.ready_groups == ("all", "urban-1")
    record = yes(record, "gongan")
    assert record.state is JointState.PROPOSED
    record = yes(record, "xiaofang")
    assert record.state is JointState.SCHEDULED
    bases = {consent.agency: (consent.basis, consent.by, consent.at) for consent in record.consents}
    assert bases == {
        "chengguan": (Basis.AGREEMENT, "ag-1", AT),
        "gongan": (Basis.PERSON, "gongan-duty", AT),
        "xiaofang": (Basis.PERSON, "xiaofang-duty", AT),
    }


def test_whoever_proposes_has_consented_for_its_own_agency_only() -> None:
    record = proposed(proposer="gongan")
    assert record.consents[1].basis is Basis.OWN
    assert record.awaited == ("chengguan", "xiaofang")


@pytest.mark.parametrize(
    ("made", "proposer", "holds"),
    [
        (agreement("gongan", "chengguan"), "gongan", True),
        (agreement("gongan", "chengguan", centre=False), None, False),
        (agreement("chengguan"), "gongan", False),
        (agreement("gongan"), "gongan", False),
        (replace(agreement("gongan", "chengguan"), ended_at=AT), "gongan", False),
        (replace(agreement("gongan", "chengguan"), valid_from=AT), "gongan", True),
        (replace(agreement("gongan", "chengguan"), valid_from=AT + HOUR), "gongan", False),
        (replace(agreement("gongan", "chengguan"), valid_until=AT), "gongan", False),
    ],
)
def test_an_agreement_holds_between_its_parties_in_its_time(made: Agreement, proposer: str | None, holds: bool) -> None:
    assert made.covers("chengguan", proposer, AT) is holds


def test_a_refusal_ends_a_proposal_with_its_reason() -> None:
    record = no(yes(proposed(), "gongan"), "xiaofang")
    assert (record.state, record.closed_by) == (JointState.REFUSED, "xiaofang-duty")
    assert [consent.reason for consent in record.consents if consent.decision is Decision.REFUSED] == ["no crew"]


def test_a_consent_can_be_taken_back_before_the_start() -> None:
    assert no(agreed(starts_at=AT + HOUR / 2), "gongan").state is JointState.REFUSED


def test_while_it_stands_a_refusal_takes_out_ones_own_groups_and_a_consent_brings_them_back() -> None:
    record = no(start(agreed(), AT), "gongan")
    assert record.state is JointState.ACTIVE
    assert "police-1" not in record.ready_groups
    assert "police-1" in yes(record, "gongan").ready_groups


def test_an_agency_whose_group_comes_later_is_asked_and_one_that_has_left_is_not() -> None:
    record = with_members(channel(proposer="gongan"), {"police-1": "gongan", "all": None}, (), AT)
    record = start(propose(record), AT)
    record = with_members(record, OWNERS, (), AT)
    assert record.awaited == ("chengguan", "xiaofang")
    assert record.ready_groups == ("all", "police-1")
    record = with_members(yes(record, "xiaofang"), {"police-1": "gongan", "fire-1": "xiaofang"}, (), AT)
    assert record.ready_groups == ("fire-1", "police-1")


def test_what_is_not_asked_or_said_twice_is_refused() -> None:
    record = yes(proposed(), "gongan")
    with pytest.raises(AlreadyDecidedError):
        yes(record, "gongan")
    with pytest.raises(ConsentNotAskedError):
        yes(record, "nix")
    with pytest.raises(WrongStateError):
        yes(channel(), "gongan")
    with pytest.raises(WrongStateError):
        yes(end(start(agreed(), AT), "duty", AT), "gongan")


# -- who leads -------------------------------------------------------------------------------------------------------


def test_the_event_names_the_leader_unless_one_is_named() -> None:
    policy = (("fire", "xiaofang"), ("arrest", "gongan"))
    assert channel(event="fire", policy=policy).leader == "xiaofang"
    assert channel(event="arrest", policy=policy).priorities == (("gongan", Priority.HIGH),)
    assert channel(event="flood", policy=policy).leader is None
    assert channel(event="fire", policy=policy, lead_agency="gongan").leader == "gongan"
    assert channel(policy=policy).priorities == ()


# -- time ------------------------------------------------------------------------------------------------------------


def due(record: JointChannel, at: datetime, *, is_warned: bool = False) -> Moment | None:
    return next_moment(record, at, is_warned=is_warned)


def test_it_starts_is_warned_of_its_end_and_runs_out() -> None:
    record = agreed(starts_at=AT + HOUR / 2)
    assert due(record, AT) == Moment(AT + HOUR / 2, Due.START)
    with pytest.raises(WrongStateError):
        start(record, AT)
    record = start(record, AT + HOUR / 2)
    assert due(record, AT + HOUR / 2) == Moment(AT + HOUR - timedelta(minutes=5), Due.WARN)
    assert due(record, AT, is_warned=True) == Moment(AT + HOUR, Due.RUN_OUT)
    record = run_out(record, AT + HOUR)
    assert (record.state, record.closed_at, due(record, AT)) == (JointState.EXPIRED, AT + HOUR, None)


def test_one_of_five_minutes_or_less_is_not_warned_of() -> None:
    record = start(agreed(expires_at=AT + timedelta(minutes=5)), AT)
    assert due(record, AT) == Moment(AT + timedelta(minutes=5), Due.RUN_OUT)


def test_what_nobody_answers_runs_out() -> None:
    record = proposed()
    assert due(record, AT) == Moment(AT + HOUR, Due.RUN_OUT)
    assert due(record, AT + 2 * HOUR) == Moment(AT + HOUR, Due.RUN_OUT)
    assert run_out(record, AT + HOUR).state is JointState.EXPIRED


PEAKS = Recurrence("FREQ=DAILY;BYHOUR=12,18;BYMINUTE=0", "UTC", 1800)


def test_what_recurs_pauses_until_its_last_time() -> None:
    record = agreed(recurrence=PEAKS, expires_at=AT + 8 * HOUR)
    noon, evening = AT.replace(hour=12, minute=0), AT.replace(hour=18, minute=0)
    assert due(record, AT) == Moment(noon, Due.START)
    record = start(record, noon)
    assert record.ends_at == noon + HOUR / 2
    record = run_out(record, noon + HOUR / 2)
    assert record.state is JointState.SCHEDULED
    assert due(record, noon + HOUR / 2) == Moment(evening, Due.START)
    record = run_out(start(record, evening), evening + HOUR / 2)
    assert record.state is JointState.EXPIRED


def test_a_recurrence_that_is_over_runs_out_at_once() -> None:
    record = agreed(recurrence=replace(PEAKS, rule=PEAKS.rule + ";COUNT=1"), expires_at=AT + 8 * HOUR)
    late = AT + 3 * HOUR
    assert due(record, late) == Moment(late, Due.RUN_OUT)


def test_an_extension_moves_the_end_but_not_that_of_an_occurrence() -> None:
    assert with_times(start(agreed(), AT), AT + 2 * HOUR, AT).ends_at == AT + 2 * HOUR
    noon = AT.replace(hour=12, minute=0)
    record = start(agreed(recurrence=PEAKS, expires_at=AT + 8 * HOUR), noon)
    assert with_times(record, AT + 9 * HOUR, noon).ends_at == noon + HOUR / 2
    assert with_times(record, noon + timedelta(minutes=10), noon).ends_at == noon + timedelta(minutes=10)
    assert with_times(agreed(), AT + 2 * HOUR, AT).ends_at is None


# -- take-over -------------------------------------------------------------------------------------------------------


def test_the_later_take_over_has_the_group_and_the_first_has_it_again_after() -> None:
    first = start(agreed(id="jc-a"), AT)
    over = start(agreed(id="jc-b", may_take_over=True), AT + HOUR / 4)
    late = start(agreed(id="jc-c", may_take_over=True), AT + HOUR / 2)
    waiting = agreed(id="jc-d")
    assert set(claims([late, first, waiting, over]).values()) == {late}
    assert set(claims([end(late, "x", AT), first, over]).values()) == {over}
    assert claims([first, end(over, "x", AT)]) == dict.fromkeys(OWNERS, first)


# -- the table -------------------------------------------------------------------------------------------------------


def test_every_state_is_reached_and_every_open_one_can_end() -> None:
    assert set(TRANSITIONS.values()) | {JointState.DRAFT} == set(JointState)
    assert {JointState.CLOSED, JointState.EXPIRED, JointState.REFUSED, JointState.CANCELLED} == FINAL
    for state in set(JointState) - FINAL:
        assert any(following in FINAL for (from_, _), following in TRANSITIONS.items() if from_ is state)
        assert not channel(state=state).is_over
    assert draw().count("-->") == len(TRANSITIONS) + 1 + len(FINAL)


STEPS = ("yes", "no", "start", "end", "run_out", "extend", "leave")


@given(
    st.lists(
        st.tuples(st.sampled_from(STEPS), st.sampled_from(sorted(filter(None, OWNERS.values()))), st.integers(0, 90))
    )
)
def test_promises_hold_in_any_life(steps: list[tuple[str, str, int]]) -> None:
    record, at = proposed(proposer="gongan", recurrence=PEAKS, expires_at=AT + 30 * HOUR), AT
    for step, agency, minutes in steps:
        at += timedelta(minutes=minutes)
        before = record
        try:
            match step:
                case "yes":
                    record = yes(record, agency, at)
                case "no":
                    record = no(record, agency, at)
                case "start":
                    record = start(record, at)
                case "end":
                    record = end(record, "duty", at)
                case "run_out":
                    record = run_out(record, at)
                case "extend":
                    record = with_times(record, record.expires_at + HOUR, at)
                case _:
                    record = with_members(record, {"police-1": "gongan", "fire-1": "xiaofang"}, (), at)
        except JointError:
            assert record is before
            continue
        assert not before.is_over or step in ("extend", "leave"), "nothing moves what is over"
        assert record.is_over == (record.closed_at is not None)
        assert (record.ends_at is not None) == (record.state is JointState.ACTIVE)
        granted = {one.agency for one in record.consents if one.decision is Decision.GRANTED}
        for group in record.ready_groups:
            owner = OWNERS[group]
            assert owner is None or owner in granted, "nobody is joined without consent"
        if record.state is JointState.SCHEDULED:
            assert not record.awaited
        moment = due(record, at)
        assert (moment is None) == record.is_over


def test_a_transition_that_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(WrongStateError) as caught:
        channel().moved(JointEvent.START)
    assert (caught.value.state, caught.value.code) == (JointState.DRAFT, "wrong-state")
