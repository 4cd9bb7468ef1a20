"""What joint channels do: consent, time, take-over; and that store and switchboard say the same whatever fails."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.joint.centre import AT, CENTRE, HOUR, Centre, agree, of, proposal
from tongpin.channels import commands as c
from tongpin.channels.errors import GroupInOtherNetError
from tongpin.channels.ids import GroupId, PatchId, Priority
from tongpin.channels.joint import JointChannel, JointState, Member, MemberKind
from tongpin.channels.schedule import Recurrence
from tongpin.gateway.errors import CallerError, StoreError
from tongpin.gateway.joint.requests import Wish

MINUTE = timedelta(minutes=1)


async def say(centre: Centre, channel: JointChannel, agency: str, *, is_granted: bool = True) -> JointChannel:
    reason = None if is_granted else "no crew"
    return await centre.channels.decide(channel.id, None, None, of(agency), is_granted=is_granted, reason=reason)


async def stored(centre: Centre, channel: JointChannel) -> JointChannel:
    found = await centre.store.channel(channel.id)
    assert found is not None
    return found


async def refused(status: int, code: str, work: object) -> CallerError:
    with pytest.raises(CallerError) as caught:
        await work  # type: ignore[misc]
    assert (caught.value.status, caught.value.code) == (status, code)
    return caught.value


# -- consent ---------------------------------------------------------------------------------------------------------


async def test_with_agreements_it_stands_at_once(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal(), CENTRE)
    assert channel.state is JointState.ACTIVE
    assert centre.nets == {"Rescue": ["police-1", "urban-1"]}
    assert await stored(centre, channel) == channel
    assert centre.kinds() == ["active"]
    assert await centre.audit() == [
        *("created by duty", "proposed by duty", "consented by system", "consented by system", "activated by duty")
    ]


async def test_it_stands_with_the_last_consent_and_not_before(centre: Centre) -> None:
    await agree(centre, "chengguan")
    channel = await centre.channels.create(proposal("police-1", "urban-1", "fire-1"), CENTRE)
    assert channel.awaited == ("gongan", "xiaofang")
    assert centre.nets == {}
    await say(centre, channel, "gongan")
    assert centre.nets == {}
    channel = await say(centre, channel, "xiaofang")
    assert channel.state is JointState.ACTIVE
    assert centre.nets == {"Rescue": ["fire-1", "police-1", "urban-1"]}
    assert await stored(centre, channel) == channel
    assert centre.kinds() == ["proposed", "proposed", "active"]


async def test_nobody_consents_for_others(centre: Centre) -> None:
    channel = await centre.channels.create(proposal(), of("gongan"))
    assert channel.awaited == ("chengguan",)
    decide = centre.channels.decide
    await refused(403, "not-allowed", decide(channel.id, "chengguan", None, CENTRE, is_granted=True, reason=None))
    await refused(403, "not-allowed", decide(channel.id, "chengguan", None, of("gongan"), is_granted=True, reason=None))
    await refused(422, "no-agency", decide(channel.id, None, None, CENTRE, is_granted=True, reason=None))
    await refused(
        409, "consent-not-asked", decide(channel.id, None, None, of("xiaofang"), is_granted=True, reason=None)
    )
    await refused(409, "already-decided", decide(channel.id, None, None, of("gongan"), is_granted=True, reason=None))
    assert centre.nets == {}


async def test_a_refusal_ends_the_proposal(centre: Centre) -> None:
    channel = await centre.channels.create(proposal(), of("gongan"))
    channel = await say(centre, channel, "chengguan", is_granted=False)
    assert (channel.state, channel.consents[0].reason) == (JointState.REFUSED, "no crew")
    assert centre.nets == {}
    await refused(409, "wrong-state", say(centre, channel, "chengguan"))


async def test_an_agency_leaves_and_comes_back_while_it_stands(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal("police-1", "urban-1", "fire-1"), CENTRE)
    channel = await say(centre, channel, "xiaofang", is_granted=False)
    assert centre.nets == {"Rescue": ["police-1", "urban-1"]}
    channel = await say(centre, channel, "xiaofang")
    assert centre.nets == {"Rescue": ["fire-1", "police-1", "urban-1"]}
    await say(centre, channel, "xiaofang", is_granted=False)
    channel = await say(centre, channel, "chengguan", is_granted=False)
    assert channel.state is JointState.CLOSED, "one agency alone is no joint channel"
    assert centre.nets == {}


async def test_a_draft_asks_nobody_until_it_is_proposed(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal(is_draft=True), CENTRE)
    assert channel.state is JointState.DRAFT
    channel = await centre.channels.propose(channel.id, channel.version, CENTRE)
    assert channel.state is JointState.ACTIVE
    await refused(409, "wrong-state", centre.channels.propose(channel.id, None, CENTRE))


# -- time ------------------------------------------------------------------------------------------------------------


async def test_it_starts_warns_and_runs_out_at_its_times(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal(starts_at=AT + 10 * MINUTE), CENTRE)
    await centre.move(9 * MINUTE)
    assert centre.nets == {}
    await centre.move(MINUTE)
    assert list(centre.nets) == ["Rescue"]
    await centre.move(44 * MINUTE)
    assert centre.kinds() == ["scheduled", "active"]
    await centre.move(MINUTE)
    assert centre.told[-1] == {
        "kind": "joint_channel_ending",
        "joint_channel": channel.id,
        "name": "Rescue",
        "left_s": 300.0,
    }
    await centre.move(10 * MINUTE)
    assert centre.nets == {}
    assert centre.kinds() == ["scheduled", "active", "joint_channel_ending", "expired"]
    assert (await stored(centre, channel)).closed_at == AT + HOUR


async def test_an_extension_is_warned_of_again(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal(), CENTRE)
    await centre.move(58 * MINUTE)
    await centre.channels.change(channel.id, None, Wish(expires_at=AT + 2 * HOUR), CENTRE)
    await centre.move(60 * MINUTE)
    assert list(centre.nets) == ["Rescue"]
    assert centre.kinds() == ["active", "joint_channel_ending", "active", "joint_channel_ending"]
    await centre.move(2 * MINUTE)
    assert centre.nets == {}


async def test_what_recurs_looks_its_members_up_each_time(centre: Centre) -> None:
    await agree(centre)
    centre.grids["g3", "gongan"] = ["police-1"]
    members = (Member(MemberKind.GRID, "g3", "gongan"), Member(MemberKind.TALK_GROUP, "urban-1"))
    peaks = Recurrence("FREQ=DAILY;BYHOUR=12,18;BYMINUTE=0", "UTC", 1800)
    wanted = proposal(members=members, recurrence=peaks, expires_at=AT + 9 * HOUR)
    channel = await centre.channels.create(wanted, CENTRE)
    assert (channel.state, centre.nets) == (JointState.SCHEDULED, {})
    await centre.move(HOUR / 2)
    assert centre.nets == {"Rescue": ["police-1", "urban-1"]}
    await centre.move(HOUR)
    assert centre.nets == {}
    centre.grids["g3", "gongan"] = ["police-2"]
    await centre.move(5 * HOUR)
    assert centre.nets == {"Rescue": ["police-2", "urban-1"]}
    await centre.move(HOUR)
    assert (await stored(centre, channel)).state is JointState.EXPIRED
    assert centre.kinds() == [
        *("scheduled", "active", "joint_channel_ending", "scheduled", "active", "joint_channel_ending", "expired")
    ]


async def test_what_recurs_asks_an_agency_that_comes_into_its_grid_later(centre: Centre) -> None:
    centre.grids["g3", None] = ["police-1", "police-2"]
    peaks = Recurrence("FREQ=DAILY;BYHOUR=12,18;BYMINUTE=0", "UTC", 1800)
    wanted = proposal(members=(Member(MemberKind.GRID, "g3"),), recurrence=peaks, expires_at=AT + 9 * HOUR)
    channel = await centre.channels.create(wanted, of("gongan"))
    centre.grids["g3", None] = ["police-1", "police-2", "fire-1"]
    await centre.move(HOUR / 2)
    assert centre.nets == {"Rescue": ["police-1", "police-2"]}
    assert (await stored(centre, channel)).awaited == ("xiaofang",)
    await say(centre, channel, "xiaofang")
    assert centre.nets == {"Rescue": ["fire-1", "police-1", "police-2"]}


async def test_members_by_leg_are_its_talk_group(centre: Centre) -> None:
    await agree(centre)
    members = (Member(MemberKind.LEG, "police-radio"), Member(MemberKind.TALK_GROUP, "urban-1"))
    await centre.channels.create(proposal(members=members), CENTRE)
    assert centre.nets == {"Rescue": ["police-1", "urban-1"]}
    unknown = proposal(members=(*members, Member(MemberKind.LEG, "nix"), Member(MemberKind.GRID, "nowhere")))
    error = await refused(404, "no-such-member", centre.channels.create(unknown, CENTRE))
    assert error.extra["missing"] == ["leg 'nix'", "grid 'nowhere'"]


async def test_what_is_in_the_way_at_the_start_is_told_and_tried_again_when_it_has_gone(centre: Centre) -> None:
    await agree(centre)
    first = await centre.channels.create(proposal("police-1", "fire-1", name="Fire"), CENTRE)
    second = await centre.channels.create(proposal(starts_at=AT + 5 * MINUTE), CENTRE)
    await centre.move(10 * MINUTE)
    assert list(centre.nets) == ["Fire"]
    blocked = {"kind": "joint_channel_blocked", "joint_channel": second.id, "name": "Rescue"}
    assert centre.told[-1] == {**blocked, "talk_group": "police-1", "by": first.id}
    assert centre.kinds().count("joint_channel_blocked") == 1
    await centre.channels.close(first.id, None, CENTRE)
    await centre.move(timedelta(0))
    assert list(centre.nets) == ["Rescue"]


async def test_one_that_stays_blocked_runs_out(centre: Centre) -> None:
    await agree(centre)
    await centre.channels.create(proposal("police-1", "fire-1", name="Fire", expires_at=AT + 3 * HOUR), CENTRE)
    second = await centre.channels.create(proposal(starts_at=AT + 5 * MINUTE), CENTRE)
    await centre.move(2 * HOUR)
    assert (await stored(centre, second)).state is JointState.EXPIRED
    assert list(centre.nets) == ["Fire"]


# -- restarts --------------------------------------------------------------------------------------------------------


async def test_after_a_restart_everything_is_as_it_should_be_by_now(centre: Centre) -> None:
    await agree(centre)
    kept = await centre.channels.create(proposal("police-1", "fire-1", name="Fire", lead_agency="xiaofang"), CENTRE)
    over = await centre.channels.create(proposal("police-2", "urban-1", expires_at=AT + 10 * MINUTE), CENTRE)
    late = proposal("police-2", "urban-1", name="Late", starts_at=AT + 20 * MINUTE)
    await centre.channels.create(late, CENTRE)
    centre.clock.moment += 30 * MINUTE
    again = Centre(centre.database, centre.clock)
    await again.channels.restore()
    assert again.nets == {"Fire": ["fire-1", "police-1"], "Late": ["police-2", "urban-1"]}
    assert await stored(again, over) == replace(
        over, state=JointState.EXPIRED, closed_at=AT + 10 * MINUTE, ends_at=None, version=2
    )
    assert await stored(again, kept) == kept
    (net,) = [net for net in again.runner.view().nets if net.patch_name == "Fire"]
    assert net.priorities == (("xiaofang", Priority.HIGH),)
    await again.move(HOUR)
    assert again.nets == {}
    again.runner.close()


# -- take-over -------------------------------------------------------------------------------------------------------


async def test_a_take_over_is_told_to_both_and_given_back_at_its_end(centre: Centre) -> None:
    await agree(centre)
    first = await centre.channels.create(proposal("police-1", "urban-1", "fire-1"), CENTRE)
    urgent = proposal("police-1", "police-2", name="Shots", expires_at=AT + HOUR / 2, may_take_over=True)
    second = await centre.channels.create(urgent, CENTRE)
    assert centre.nets == {"Rescue": ["fire-1", "urban-1"], "Shots": ["police-1", "police-2"]}
    shift = {"source": first.id, "target": second.id, "talk_groups": ["police-1"]}
    assert centre.told[-1] == {"kind": "joint_channel_taken_over", **shift}
    await centre.move(HOUR / 2)
    assert centre.nets == {"Rescue": ["fire-1", "police-1", "urban-1"]}
    back = {"source": second.id, "target": first.id, "talk_groups": ["police-1"]}
    assert centre.told[-1] == {"kind": "joint_channel_given_back", **back}
    assert {"taken-over by system", "given-back by system"} <= set(await centre.audit())


async def test_a_channel_that_is_left_with_one_group_waits_for_the_other(centre: Centre) -> None:
    await agree(centre)
    await centre.channels.create(proposal(), CENTRE)
    second = await centre.channels.create(proposal("police-1", "fire-1", name="Fire", may_take_over=True), CENTRE)
    assert list(centre.nets) == ["Fire"]
    await centre.channels.close(second.id, None, CENTRE)
    assert centre.nets == {"Rescue": ["police-1", "urban-1"]}


async def test_what_was_closed_meanwhile_gets_nothing_back(centre: Centre) -> None:
    await agree(centre)
    first = await centre.channels.create(proposal(), CENTRE)
    second = await centre.channels.create(proposal("police-1", "fire-1", name="Fire", may_take_over=True), CENTRE)
    await centre.channels.close(first.id, None, CENTRE)
    await centre.channels.close(second.id, None, CENTRE)
    assert centre.nets == {}
    assert "joint_channel_given_back" not in centre.kinds()


async def test_an_agency_takes_over_its_own_groups_only(centre: Centre) -> None:
    await agree(centre)
    first = await centre.channels.create(proposal(), CENTRE)
    mine = proposal("police-1", "fire-1", name="Mine", may_take_over=True)
    error = await refused(409, "group-in-other-net", centre.channels.create(mine, of("xiaofang")))
    assert error.extra["path"] == f"/api/v1/joint-channels/{first.id}"
    await centre.channels.create(mine, of("gongan"))
    assert centre.nets == {"Mine": ["fire-1", "police-1"]}


# -- changes ---------------------------------------------------------------------------------------------------------


async def test_members_come_and_go_and_another_leads(centre: Centre) -> None:
    await agree(centre)
    policy = (("arrest", "gongan"), ("fire", "xiaofang"))
    channel = await centre.channels.create(proposal(event="fire", policy=policy), CENTRE)
    fire, urban = Member(MemberKind.TALK_GROUP, "fire-1"), Member(MemberKind.TALK_GROUP, "urban-1")
    channel = await centre.channels.change(channel.id, 1, Wish(add=(fire,)), CENTRE)
    assert centre.nets == {"Rescue": ["fire-1", "police-1", "urban-1"]}
    channel = await centre.channels.change(channel.id, 2, Wish(remove=(urban,), event="arrest"), CENTRE)
    assert centre.nets == {"Rescue": ["fire-1", "police-1"]}
    (net,) = [net for net in centre.runner.view().nets if net.patch is not None]
    assert net.priorities == (("gongan", Priority.HIGH),)
    channel = await centre.channels.change(channel.id, 3, Wish(lead_agency="chengguan", name="Arrest"), CENTRE)
    assert (channel.leader, list(centre.nets)) == ("chengguan", ["Arrest"])
    assert (await centre.audit()).count("changed by duty") == 3
    await refused(404, "no-such-member", centre.channels.change(channel.id, None, Wish(remove=(urban,)), CENTRE))
    await refused(422, "too-few-talk-groups", centre.channels.change(channel.id, None, Wish(remove=(fire,)), CENTRE))
    await refused(412, "changed-meanwhile", centre.channels.change(channel.id, 3, Wish(name="x"), CENTRE))
    assert await stored(centre, channel) == channel


async def test_a_group_of_another_net_cannot_be_added(centre: Centre) -> None:
    await agree(centre)
    await centre.channels.create(proposal("police-2", "fire-1", name="Fire"), CENTRE)
    channel = await centre.channels.create(proposal(), CENTRE)
    wish = Wish(add=(Member(MemberKind.TALK_GROUP, "fire-1"),))
    error = await refused(409, "group-in-other-net", centre.channels.change(channel.id, None, wish, CENTRE))
    assert error.extra["joint_channel_name"] == "Fire"
    outlook = await centre.channels.foresee_change(channel.id, None, wish, CENTRE)
    assert [conflict.group for conflict in outlook.conflicts] == ["fire-1"]
    assert await stored(centre, channel) == channel


async def test_whoever_leads_or_proposed_runs_it(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal(lead_agency="chengguan"), of("gongan"))
    await refused(403, "not-allowed", centre.channels.close(channel.id, None, of("xiaofang")))
    await centre.channels.change(channel.id, None, Wish(name="Ours"), of("chengguan"))
    await centre.channels.close(channel.id, None, of("gongan"))
    await refused(409, "already-ended", centre.channels.close(channel.id, None, CENTRE))
    await refused(409, "already-ended", centre.channels.change(channel.id, None, Wish(name="x"), CENTRE))
    await refused(404, "no-such-joint-channel", centre.channels.close("jc-nix", None, CENTRE))


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"expires_at": AT}, 422, "expired-already"),
        ({"expires_at": AT + HOUR, "starts_at": AT + HOUR}, 422, "ends-before-start"),
        ({"expires_at": AT + timedelta(days=2000)}, 422, "too-long"),
        ({"recurrence": Recurrence("FREQ=SECONDLY", "UTC", 60)}, 422, "bad-recurrence"),
        ({"members": (Member(MemberKind.TALK_GROUP, "police-1"),)}, 422, "too-few-talk-groups"),
        ({"members": (Member(MemberKind.TALK_GROUP, "nix"),)}, 404, "no-such-member"),
        ({"lead_agency": "nix"}, 422, "unknown-reference"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    more: dict[str, Any], status: int, code: str, centre: Centre
) -> None:
    await agree(centre)
    await refused(status, code, centre.channels.create(proposal(**more), CENTRE))
    assert (centre.nets, centre.told, list(await centre.store.standing())) == ({}, [], [])
    assert await centre.audit() == []


# -- what fails ------------------------------------------------------------------------------------------------------


async def test_nothing_is_applied_when_the_store_fails(centre: Centre) -> None:
    await agree(centre)
    channel = await centre.channels.create(proposal(), CENTRE)
    centre.store.is_away = True
    for work in (
        centre.channels.create(proposal("police-2", "fire-1"), CENTRE),
        centre.channels.change(channel.id, None, Wish(name="x"), CENTRE),
        centre.channels.close(channel.id, None, CENTRE),
        say(centre, channel, "gongan", is_granted=False),
    ):
        with pytest.raises(StoreError):
            await work
    assert centre.nets == {"Rescue": ["police-1", "urban-1"]}
    assert list(centre.channels.standing) == [channel]
    assert centre.kinds() == ["active"]


async def test_an_end_is_kept_though_the_store_is_away_and_recorded_when_it_is_back(centre: Centre) -> None:
    await agree(centre)
    await centre.channels.create(proposal("police-1", "urban-1", "fire-1", expires_at=AT + 3 * HOUR), CENTRE)
    short = await centre.channels.create(proposal("police-1", "police-2", name="Shots", may_take_over=True), CENTRE)
    centre.store.is_away = True
    with pytest.raises(StoreError):
        await centre.move(HOUR)
    assert centre.nets == {"Rescue": ["fire-1", "police-1", "urban-1"]}, "given back all the same"
    centre.store.is_away = False
    await centre.move(MINUTE)
    kept = await stored(centre, short)
    assert (kept.state, kept.closed_at) == (JointState.EXPIRED, AT + HOUR)


async def test_when_the_switchboard_refuses_the_store_says_so(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    await agree(centre)
    waiting = await centre.channels.create(proposal(starts_at=AT + MINUTE), CENTRE)

    def refuse(command: c.Command) -> None:
        raise GroupInOtherNetError(GroupId("police-1"), PatchId("x"), "x")

    with monkeypatch.context() as patched:
        patched.setattr(centre.runner, "apply", refuse)
        await refused(409, "refused", centre.channels.create(proposal("police-2", "fire-1"), CENTRE))
        centre.clock.moment += MINUTE
        with pytest.raises(CallerError):
            await centre.channels.tick()
    (left,) = await centre.store.standing()
    assert (left.id, left.state) == (waiting.id, JointState.SCHEDULED)
    assert (await centre.audit()).count("reverted by system") == 2
    await centre.move(timedelta(0))
    assert list(centre.nets) == ["Rescue"], "tried again"
    assert [channel.version for channel in centre.channels.standing] == [4]
