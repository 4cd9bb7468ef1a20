"""The same battery over every kind of keying line; then what only some lines have."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.radio.lines import (
    PYSERIAL_WARNINGS,
    Bench,
    GpioBench,
    HamlibBench,
    HidBench,
    Rfc2217Bench,
    RigctlBench,
    SimBench,
    leg_on,
)
from tongpin.config.keyers import NoKeyer, VoxKeyer
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.drivers import drive_inactive, make_line
from tongpin.gateway.radio.drivers.line import NO_INPUTS, KeyLine, LineInputs
from tongpin.gateway.radio.keyer import MAX_LEASE_S, Keyer

LIMIT_S = 10.0
pytestmark = PYSERIAL_WARNINGS


class Watch:
    """Keeps what a keyer says and lets a test wait for it."""

    def __init__(self) -> None:
        self.moves: list[tuple[bool, str, float]] = []
        self.lines: list[tuple[bool, str]] = []
        self._changed = threading.Condition()

    def key_moved(self, is_keyed: bool, cause: str) -> None:
        with self._changed:
            self.moves.append((is_keyed, cause, monotonic()))
            self._changed.notify_all()

    def line_moved(self, is_online: bool, reason: str) -> None:
        with self._changed:
            self.lines.append((is_online, reason))
            self._changed.notify_all()

    def wait(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, LIMIT_S), (self.moves, self.lines)

    def wait_keyed(self, is_keyed: bool) -> None:
        self.wait(lambda: bool(self.moves) and self.moves[-1][0] is is_keyed)

    def wait_online(self, is_online: bool) -> None:
        self.wait(lambda: bool(self.lines) and self.lines[-1][0] is is_online)


@pytest.fixture(params=["sim", "serial", "serial-active-low", "cm108", "cm108-active-low", "rigctl", "hamlib", "gpio"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made: Bench
    match request.param:
        case "sim":
            made = SimBench(tmp_path)
        case "serial":
            made = Rfc2217Bench()
        case "serial-active-low":
            made = Rfc2217Bench(is_active_low=True)
        case "cm108":
            made = HidBench(tmp_path)
        case "cm108-active-low":
            made = HidBench(tmp_path, is_active_low=True)
        case "rigctl":
            made = RigctlBench()
        case "hamlib":
            made = HamlibBench()
        case _:
            made = GpioBench(monkeypatch)
    yield made
    made.close()


@pytest.fixture
def serial_bench() -> Iterator[Rfc2217Bench]:
    made = Rfc2217Bench()
    yield made
    made.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def start(watch: Watch) -> Iterator[Callable[..., Keyer]]:
    started: list[Keyer] = []

    def go(line: KeyLine, limit_s: float = 60.0, rest_s: float = 0.0) -> Keyer:
        keyer = Keyer(line, limit_s, watch.key_moved, watch.line_moved, rest_s)
        started.append(keyer)
        keyer.start()
        watch.wait_online(True)
        return keyer

    yield go
    for keyer in started:
        keyer.close()


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = monotonic() + LIMIT_S
    pause = threading.Event()
    while not is_so():
        assert monotonic() < deadline
        pause.wait(0.005)


class TestEveryLine:
    def test_starting_leaves_it_inactive(self, bench: Bench, start: Callable[..., Keyer], watch: Watch) -> None:
        keyer = start(make_line(leg_on(bench.config)))
        eventually(lambda: bench.level() is False)
        assert not keyer.is_keyed
        assert watch.moves == []

    def test_a_lease_keys_and_running_out_unkeys(self, bench: Bench, start: Callable[..., Keyer], watch: Watch) -> None:
        keyer = start(make_line(leg_on(bench.config)))
        asked_at = monotonic()
        keyer.lease(60.0)
        watch.wait_keyed(True)
        eventually(lambda: bench.level() is True)
        watch.wait_keyed(False)
        eventually(lambda: bench.level() is False)
        _, cause, unkeyed_at = watch.moves[-1]
        assert cause == "the lease ran out"
        assert unkeyed_at - asked_at >= MAX_LEASE_S

    def test_renewing_keeps_it_keyed_without_a_break(
        self, bench: Bench, start: Callable[..., Keyer], watch: Watch
    ) -> None:
        keyer = start(make_line(leg_on(bench.config)))
        until = monotonic() + 3 * MAX_LEASE_S
        pause = threading.Event()
        while monotonic() < until:
            keyer.lease(0.5)
            pause.wait(0.05)
        watch.wait_keyed(True)
        assert len(watch.moves) == 1
        assert bench.level() is True

    def test_unkeying_is_at_once(self, bench: Bench, start: Callable[..., Keyer], watch: Watch) -> None:
        keyer = start(make_line(leg_on(bench.config)))
        keyer.lease(0.5)
        watch.wait_keyed(True)
        keyer.unkey("released")
        watch.wait_keyed(False)
        eventually(lambda: bench.level() is False)
        assert watch.moves[-1][1] == "released"

    def test_the_limit_unkeys_and_locks_until_an_unkey(
        self, bench: Bench, start: Callable[..., Keyer], watch: Watch
    ) -> None:
        keyer = start(make_line(leg_on(bench.config)), 0.3)
        pause = threading.Event()
        deadline = monotonic() + LIMIT_S
        while not (watch.moves and not watch.moves[-1][0]):
            assert monotonic() < deadline
            keyer.lease(0.5)
            pause.wait(0.02)
        assert watch.moves[-1][1] == "talk limit of the keyer"
        eventually(lambda: bench.level() is False)
        keyer.lease(0.5)
        assert not pause.wait(0.1)
        assert bench.level() is False
        keyer.unkey("released")
        keyer.lease(0.5)
        watch.wait_keyed(True)

    def test_closing_while_keyed_leaves_it_inactive(
        self, bench: Bench, start: Callable[..., Keyer], watch: Watch
    ) -> None:
        keyer = start(make_line(leg_on(bench.config)))
        keyer.lease(0.5)
        watch.wait_keyed(True)
        keyer.close()
        eventually(lambda: bench.level() is False)
        assert watch.moves[-1][:2] == (False, "the worker ends")
        assert not keyer.is_alive
        keyer.lease(0.5)
        assert not keyer.is_keyed

    def test_it_can_be_made_inactive_from_outside(self, bench: Bench) -> None:
        line = make_line(leg_on(bench.config))
        line.open()
        line.set(True)
        eventually(lambda: bench.level() is True)
        if isinstance(bench, Rfc2217Bench):
            bench.break_connection()
        drive_inactive(leg_on(bench.config))
        eventually(lambda: bench.level() is False)
        line.close()


class FailingLine:
    """A line that fails when told to, as a USB plug that is pulled."""

    can_key = True
    poll_s = 0.02

    def __init__(self) -> None:
        self.is_broken = False
        self.opened = 0
        self.level = False

    def _check(self) -> None:
        if self.is_broken:
            raise DeviceError("pulled out")

    def open(self) -> None:
        self._check()
        self.opened += 1
        self.level = False

    def set(self, is_active: bool) -> None:
        self._check()
        self.level = is_active

    def read(self) -> LineInputs:
        self._check()
        return NO_INPUTS

    def close(self) -> None:
        self.level = False


def test_a_line_that_fails_unkeys_and_comes_back_without_keying(start: Callable[..., Keyer], watch: Watch) -> None:
    line = FailingLine()
    keyer = start(line)
    keyer.lease(0.5)
    watch.wait_keyed(True)
    line.is_broken = True
    watch.wait_online(False)
    assert watch.lines[-1] == (False, "pulled out")
    assert watch.moves[-1][:2] == (False, "the keying line failed")
    assert not keyer.is_keyed
    line.is_broken = False
    watch.wait_online(True)
    assert line.opened == 2
    assert line.level is False


def test_cos_follows_the_serial_input(serial_bench: Rfc2217Bench, start: Callable[..., Keyer]) -> None:
    keyer = start(make_line(leg_on(serial_bench.config)))
    eventually(lambda: keyer.inputs.cos is False)
    serial_bench.port.cts = True
    eventually(lambda: keyer.inputs.cos is True)
    serial_bench.port.cts = False
    eventually(lambda: keyer.inputs.cos is False)


def test_opening_a_serial_port_never_raises_the_line(serial_bench: Rfc2217Bench) -> None:
    line = make_line(leg_on(serial_bench.config))
    serial_bench.port.history.clear()
    line.open()
    eventually(lambda: ("rts", False) in serial_bench.port.history)
    assert ("rts", True) not in serial_bench.port.history
    assert ("dtr", True) not in serial_bench.port.history
    line.close()


def test_a_lost_serial_connection_is_made_again(
    serial_bench: Rfc2217Bench, start: Callable[..., Keyer], watch: Watch
) -> None:
    keyer = start(make_line(leg_on(serial_bench.config)))
    keyer.lease(0.5)
    watch.wait_keyed(True)
    serial_bench.break_connection()
    watch.wait_online(False)
    watch.wait_online(True)
    watch.wait_keyed(False)
    eventually(lambda: serial_bench.level() is False)
    assert not keyer.is_keyed


def test_a_serial_port_that_is_not_there_is_a_device_error() -> None:
    bench = Rfc2217Bench()
    bench.close()
    with pytest.raises(DeviceError, match="cannot be opened"):
        drive_inactive(leg_on(bench.config))


def test_a_keying_file_that_cannot_be_made_is_a_device_error(tmp_path: Path) -> None:
    bench = SimBench(tmp_path / "missing")
    with pytest.raises(DeviceError, match="cannot be opened"):
        drive_inactive(leg_on(bench.config))


def test_a_vox_radio_is_keyed_by_the_lease_alone(start: Callable[..., Keyer], watch: Watch) -> None:
    keyer = start(make_line(leg_on(VoxKeyer(kind="vox"))))
    keyer.lease(0.5)
    watch.wait_keyed(True)
    watch.wait_keyed(False)


def test_a_receive_only_leg_is_never_keyed(start: Callable[..., Keyer], watch: Watch) -> None:
    keyer = start(make_line(leg_on(NoKeyer(kind="none"))))
    keyer.lease(0.5)
    keyer.close()
    assert watch.moves == []


def test_keying_anew_does_not_evade_the_limit(start: Callable[..., Keyer], watch: Watch) -> None:
    """Short transmissions with short pauses count together; after the limit only a rest helps."""
    keyer = start(FailingLine(), 0.4, 30.0)
    pause = threading.Event()
    deadline = monotonic() + LIMIT_S
    while not any(cause == "talk limit of the keyer" for _, cause, _ in watch.moves):
        assert monotonic() < deadline
        keyer.lease(0.5)
        watch.wait_keyed(True)
        pause.wait(0.1)
        keyer.unkey("released")
        watch.wait_keyed(False)
    keyer.unkey("released")
    count = len(watch.moves)
    keyer.lease(0.5)
    assert not pause.wait(0.1)
    assert len(watch.moves) == count
    ups = [at for is_keyed, _, at in watch.moves if is_keyed]
    downs = [at for is_keyed, _, at in watch.moves if not is_keyed]
    assert sum(down - up for up, down in zip(ups, downs, strict=True)) < 1.0


def test_a_rest_gives_the_whole_limit_back(start: Callable[..., Keyer], watch: Watch) -> None:
    keyer = start(FailingLine(), 0.3, 0.05)
    pause = threading.Event()
    for _ in range(4):
        keyer.lease(0.5)
        watch.wait_keyed(True)
        pause.wait(0.15)
        keyer.unkey("released")
        watch.wait_keyed(False)
        pause.wait(0.1)
    assert [cause for is_keyed, cause, _ in watch.moves if not is_keyed] == ["released"] * 4
