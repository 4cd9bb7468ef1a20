"""The slots of one peer: which talk takes which."""

from tongpin.channels.ids import GroupId, PartyId
from tongpin.gateway.media.fanout import Stream
from tongpin.gateway.media.ports import Talk
from tongpin.gateway.webrtc.slots import Slot, SlotPool


def talk(number: int) -> Talk:
    return Talk(number, PartyId("leg:a"), GroupId("g"))


def _pool(count: int, *, newest_wins: bool = False) -> SlotPool:
    return SlotPool([Slot(number, Stream(77 + number), 111) for number in range(count)], newest_wins)


def test_the_slot_that_was_free_longest_is_taken() -> None:
    pool = _pool(2)
    first, _ = pool.begin(talk(1), 0)
    second, _ = pool.begin(talk(2), 0)
    assert first is not None
    assert second is not None
    assert pool.end(2, 10) is second
    assert pool.end(1, 20) is first
    assert pool.begin(talk(3), 30) == (second, None)


def test_with_no_slot_free_nobody_is_cut_off() -> None:
    pool = _pool(1)
    first, _ = pool.begin(talk(1), 0)
    assert pool.begin(talk(2), 0) == (None, None)
    assert pool.refused == 1
    assert pool.of(1) is first
    assert pool.of(2) is None
    assert pool.end(2, 0) is None


def test_a_simple_player_hears_the_newest() -> None:
    pool = _pool(1, newest_wins=True)
    pool.begin(talk(1), 0)
    slot, replaced = pool.begin(talk(2), 5)
    assert slot is not None
    assert (slot.talk, replaced) == (talk(2), talk(1))
    assert pool.of(1) is None
    assert pool.end(1, 6) is None
