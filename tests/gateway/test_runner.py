"""The runner: effects in order, one timer, media asked for only when it matters."""

import asyncio

import pytest

from tongpin.channels import commands as c
from tongpin.channels import effects as e
from tongpin.channels.errors import UnknownPartyError
from tongpin.channels.ids import GroupId, PartyId, PartyKind, PatchId, ReleaseCause
from tongpin.channels.switchboard import Switchboard
from tongpin.gateway.runner import Runner

GROUP, WHO = GroupId("g"), PartyId("session:x")


def party(end_of_media_s: float = 4.0) -> c.AttachParty:
    return c.AttachParty(WHO, PartyKind.SESSION, "X", end_of_media_s=end_of_media_s)


def set_up(runner: Runner, end_of_media_s: float = 4.0) -> None:
    for command in (c.DefineGroup(GROUP, "G"), party(end_of_media_s), c.SetMembership(WHO, GROUP)):
        runner.apply(command)


async def test_effects_are_carried_out_in_order_by_every_handler_even_after_a_failure() -> None:
    runner = Runner(Switchboard(), lambda party: float("-inf"))
    told: list[e.Effect] = []

    def broken(effect: e.Effect, now: float) -> None:
        raise ValueError("a defect")

    runner.add_handler(broken)
    runner.add_handler(lambda effect, now: told.append(effect))
    set_up(runner)
    effects = runner.apply(c.RequestFloor(WHO, GROUP))
    assert [type(effect) for effect in effects] == [e.RouteInstalled, e.FloorGranted]
    assert told[-2:] == effects
    runner.close()


async def test_a_command_from_a_handler_comes_after_what_is_waiting() -> None:
    runner = Runner(Switchboard(), lambda party: float("-inf"))
    told: list[type] = []

    def answer(effect: e.Effect, now: float) -> None:
        if isinstance(effect, e.RouteInstalled):
            runner.apply(c.ReleaseFloor(WHO))

    runner.add_handler(answer)
    runner.add_handler(lambda effect, now: told.append(type(effect)))
    set_up(runner)
    runner.apply(c.RequestFloor(WHO, GROUP))
    assert told[-4:] == [e.RouteInstalled, e.FloorGranted, e.RouteRemoved, e.FloorReleased]
    runner.close()


async def test_an_illegal_command_changes_nothing_and_arms_nothing() -> None:
    runner = Runner(Switchboard(), lambda party: float("-inf"))
    with pytest.raises(UnknownPartyError):
        runner.apply(c.ReleaseFloor(WHO))
    assert runner.applied == 0
    runner.close()


async def test_a_silent_talker_is_released_by_the_timer_and_one_who_talks_is_not() -> None:
    last = float("-inf")
    runner = Runner(Switchboard(), lambda party: last)
    ended = asyncio.Event()
    causes: list[ReleaseCause] = []

    def handle(effect: e.Effect, now: float) -> None:
        if isinstance(effect, e.FloorReleased):
            causes.append(effect.cause)
            ended.set()

    runner.add_handler(handle)
    set_up(runner, end_of_media_s=0.05)
    loop = asyncio.get_running_loop()
    runner.apply(c.RequestFloor(WHO, GROUP))
    started = loop.time()
    while loop.time() - started < 0.3:
        # Media flows: the hub would say so when it is asked.
        last = started + (loop.time() - started)
        await asyncio.sleep(0.01)
        assert not causes
    async with asyncio.timeout(2):
        await ended.wait()
    assert causes == [ReleaseCause.END_OF_MEDIA]
    assert runner.view().nets[0].floor.holder is None
    runner.close()


async def test_check_tells_and_changes_nothing() -> None:
    runner = Runner(Switchboard(), lambda party: float("-inf"))
    runner.apply(c.DefineGroup(GROUP, "G"))
    runner.apply(c.DefineGroup(GroupId("h"), "H"))
    before = runner.view()
    effects = runner.check(c.InstallPatch(PatchId("jc"), "J", (GROUP, GroupId("h"))))
    assert [type(effect) for effect in effects] == [e.PatchInstalled]
    assert runner.view() == before
    runner.close()
