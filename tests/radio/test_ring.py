"""The frame ring: order, marks, oldest dropped and counted, and two threads at once."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tongpin.gateway.radio.ring import Frame, FrameRing


def frame(value: int) -> Frame:
    return np.full(960, value, np.int16)


def test_frames_come_out_in_order_with_their_marks() -> None:
    ring = FrameRing(4)
    out = frame(0)
    assert ring.read_into(out) is None
    ring.write(frame(7), 1)
    ring.write(frame(8), -1)
    assert ring.depth == 2
    assert ring.read_into(out) == 1
    assert (out == 7).all()
    assert ring.read_into(out) == -1
    assert (out == 8).all()
    assert ring.read_into(out) is None
    assert ring.dropped == 0


def test_the_oldest_goes_and_is_counted() -> None:
    ring = FrameRing(3)
    for value in range(10):
        ring.write(frame(value), value)
    out = frame(0)
    assert ring.depth == 3
    assert [ring.read_into(out) for _ in range(4)] == [7, 8, 9, None]
    assert ring.dropped == 7


def test_clearing_empties_without_counting_a_drop() -> None:
    ring = FrameRing(3)
    ring.write(frame(1))
    ring.write(frame(2))
    assert ring.clear() == 2
    assert ring.depth == 0
    assert ring.dropped == 0
    assert ring.read_into(frame(0)) is None


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_it_behaves_like_a_bounded_queue(capacity: int, steps: list[bool]) -> None:
    ring = FrameRing(capacity)
    model: list[int] = []
    dropped = 0
    out = frame(0)
    for number, is_write in enumerate(steps):
        if is_write:
            ring.write(frame(number), number)
            model.append(number)
        else:
            excess = max(0, len(model) - capacity)
            dropped += excess
            del model[:excess]
            expected = model.pop(0) if model else None
            assert ring.read_into(out) == expected
            assert expected is None or (out == expected).all()
            assert ring.dropped == dropped
        assert ring.depth == min(len(model), capacity)


def test_a_fast_writer_never_tears_a_frame_or_loses_the_count() -> None:
    ring = FrameRing(2)
    total = 20_000
    is_done = threading.Event()

    def write() -> None:
        block = frame(0)
        for number in range(total):
            block[:] = number % 32_768
            ring.write(block, number)
        is_done.set()

    writer = threading.Thread(target=write)
    writer.start()
    out = frame(0)
    last, seen = -1, 0
    while True:
        was_done = is_done.is_set()
        mark = ring.read_into(out)
        if mark is None:
            if was_done:
                break
            continue
        assert mark > last
        assert (out == mark % 32_768).all()
        last, seen = mark, seen + 1
    writer.join()
    assert last == total - 1
    assert seen + ring.dropped == total
