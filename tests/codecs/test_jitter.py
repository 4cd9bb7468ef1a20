"""The jitter buffer on emulated networks with a seed: what is lost, concealed, recovered, and the delay afterwards."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tongpin.codecs.jitter import CAPACITY, MAX_CONCEALED, START_TARGET, JitterBuffer, JitterItem, JitterKind


def play(
    arrivals: dict[int, list[int]], ticks: int, end_at: int | None = None, first: int = 0
) -> tuple[JitterBuffer, list[JitterItem]]:
    """Run a buffer: ``arrivals`` says which packet numbers come before which tick."""
    buffer = JitterBuffer()
    items = []
    for tick in range(ticks):
        for number in arrivals.get(tick, []):
            buffer.push((first + number) & 0xFFFF, number.to_bytes(4))
        if tick == end_at:
            buffer.end()
        items.append(buffer.pop())
    return buffer, items


def numbers(items: list[JitterItem]) -> list[int]:
    return [int.from_bytes(item.payload) for item in items if item.kind is JitterKind.PACKET]


def test_a_calm_network_costs_the_start_target_and_nothing_else() -> None:
    buffer, items = play({tick: [tick] for tick in range(100)}, 110, end_at=100, first=65_500)
    assert numbers(items) == list(range(100))
    assert items[0].kind is JitterKind.SILENCE
    assert [item.kind for item in items[START_TARGET - 1 : START_TARGET + 99]] == [JitterKind.PACKET] * 100
    assert buffer.is_drained
    assert (buffer.lost, buffer.concealed, buffer.late, buffer.shrunk) == (0, 0, 0, 0)


def test_losses_are_recovered_from_the_next_packet() -> None:
    lost = {20, 40, 41, 60}
    buffer, items = play({tick: [tick] for tick in range(100) if tick not in lost}, 110, end_at=100)
    kinds = [item.kind for item in items]
    assert buffer.lost == 4
    # The first of the pair has no packet behind it to recover from. The delay that it leaves is within the slack.
    assert kinds.count(JitterKind.FEC) == buffer.recovered == 3
    assert kinds.count(JitterKind.CONCEAL) == buffer.concealed == 1
    assert buffer.shrunk == 0
    assert set(numbers(items)) == set(range(100)) - lost


def test_reordering_and_duplicates_are_put_right() -> None:
    arrivals = {tick: [tick] for tick in range(60)}
    arrivals[20], arrivals[21] = [21], [20, 21]
    buffer, items = play(arrivals, 80, end_at=60)
    assert numbers(items) == list(range(60))
    assert (buffer.duplicate, buffer.lost) == (1, 0)


def test_after_a_burst_of_jitter_the_delay_comes_back() -> None:
    """Packets 50–53 come 4 frames late and all at once; a while later the buffer is as shallow as before."""
    arrivals = {tick: [tick] for tick in range(600)}
    for late in (50, 51, 52, 53):
        arrivals[late] = []
    arrivals[54] = [50, 51, 52, 53, 54]
    buffer = JitterBuffer()
    depths, items = [], []
    for tick in range(600):
        for number in arrivals[tick]:
            buffer.push(number, bytes(20))
        items.append(buffer.pop())
        depths.append(buffer.depth)
    assert max(depths) >= 4
    assert depths[-1] <= START_TARGET
    assert buffer.late == 0
    assert buffer.concealed == [item.kind for item in items].count(JitterKind.CONCEAL) == 2
    assert buffer.shrunk >= 1


def test_random_loss_and_jitter_with_a_seed() -> None:
    rng = random.Random(11)
    arrivals: dict[int, list[int]] = {}
    sent = 2_000
    for number in range(sent):
        if rng.random() >= 0.05:
            arrivals.setdefault(number + rng.choice([0, 0, 0, 1, 1, 2]), []).append(number)
    buffer, items = play(arrivals, sent + 40, end_at=sent + 3)
    played = numbers(items)
    assert played == sorted(set(played))
    assert len(played) + buffer.lost + buffer.shrunk >= sent - 2
    # 5 % is lost on the way; jitter of 40 ms may add a handful while the buffer adapts, not more.
    assert buffer.lost <= 0.05 * sent * 1.3
    assert buffer.late <= 20
    assert buffer.depth == 0


def test_a_lead_in_is_played_whole() -> None:
    """300 ms of keying: nothing of what was said meanwhile is left out."""
    buffer = JitterBuffer()
    items = []
    for tick in range(220):
        if tick < 200:
            buffer.push(tick, tick.to_bytes(4))
        if tick == 200:
            buffer.end()
        if tick < 15:
            buffer.wait()
        else:
            items.append(buffer.pop())
    assert numbers(items) == list(range(200))
    assert buffer.shrunk == 0


def test_a_talker_who_pauses_is_not_concealed_for_ever() -> None:
    arrivals = {tick: [tick] for tick in range(20)} | {tick: [tick - 30] for tick in range(50, 70)}
    buffer, items = play(arrivals, 90, end_at=70)
    assert numbers(items) == list(range(40))
    assert buffer.concealed == MAX_CONCEALED
    assert [item.kind for item in items[30:50]] == [JitterKind.SILENCE] * 20


def test_a_gap_in_the_numbers_is_jumped() -> None:
    arrivals = {tick: [tick] for tick in range(20)} | {tick: [tick + 100] for tick in range(20, 40)}
    buffer, items = play(arrivals, 70, end_at=45)
    assert numbers(items) == [*range(20), *range(120, 140)]
    assert buffer.concealed <= 2 * MAX_CONCEALED


def test_another_stream_of_the_talker_begins_anew() -> None:
    arrivals = {tick: [tick] for tick in range(20)} | {tick: [tick + 30_000] for tick in range(20, 40)}
    _, items = play(arrivals, 70, end_at=45)
    assert set(range(30_020, 30_040)) <= set(numbers(items))


def test_it_is_bounded_and_the_oldest_go() -> None:
    buffer = JitterBuffer()
    for number in range(CAPACITY + 10):
        buffer.push(number, number.to_bytes(4))
    assert buffer.depth == CAPACITY
    assert buffer.dropped == 10
    buffer.end()
    assert int.from_bytes(buffer.pop().payload) == 10


def test_a_single_packet_is_played_after_the_wait() -> None:
    _, items = play({0: [0]}, 10, end_at=None)
    assert numbers(items) == [0]


def test_late_packets_are_counted_not_played() -> None:
    arrivals = {tick: [tick] for tick in range(30) if tick != 10} | {14: [14, 10]}
    buffer, items = play(arrivals, 40, end_at=30)
    assert 10 not in numbers(items)
    assert buffer.late == 1


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 3)), max_size=200))
def test_anything_may_come_and_it_stays_bounded_and_ends(packets: list[tuple[int, int]]) -> None:
    buffer = JitterBuffer()
    for sequence, pops in packets:
        buffer.push(sequence, b"x")
        for _ in range(pops):
            buffer.pop()
        assert buffer.depth <= CAPACITY
    buffer.end()
    for _ in range(20 * CAPACITY):
        if buffer.is_drained:
            break
        buffer.pop()
    assert buffer.is_drained
    assert buffer.pop().kind is JitterKind.SILENCE
