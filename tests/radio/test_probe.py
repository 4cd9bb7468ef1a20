"""The leg test as a machine of frames: what it measures, and what it calls wrong."""

import numpy as np
import pytest

from tongpin.codecs.frame import FRAME_SAMPLES
from tongpin.gateway.errors import PeerError
from tongpin.gateway.radio.probe import Probe, Report, Step, tone_frames, tone_part_dbfs
from tongpin.gateway.radio.ring import Frame, new_frame


def noise(dbfs: float, seed: int = 1) -> Frame:
    pcm = np.random.default_rng(seed).normal(0, 32_768 * 10 ** (dbfs / 20), FRAME_SAMPLES)
    return np.clip(pcm, -32_768, 32_767).astype(np.int16)


class Radio:
    """Answers a probe: keys after some frames, goes on the air after more, hears itself for a while afterwards."""

    def __init__(
        self,
        key_after: int = 2,
        air_after: int | None = 3,
        returns: int = 0,
        sticks: bool = False,
        is_inverted: bool = False,
        loops_after: int | None = None,
        spoken: list[Frame] | None = None,
        tail: int = 0,
    ) -> None:
        self.key_after, self.air_after, self.returns, self.sticks = key_after, air_after, returns, sticks
        self.is_inverted, self.loops_after, self.tail = is_inverted, loops_after, tail
        self.spoken = list(spoken or [])
        self.played: list[Frame] = []
        self._wanted_for = self._keyed_for = 0
        self._since = 10_000

    def run(self, probe: Probe, limit: int = 5_000) -> Report:
        for tick in range(limit):
            if probe.is_done:
                return probe.report()
            self._wanted_for = self._wanted_for + 1 if probe.wants_key else 0
            was_keyed = self._keyed_for > 0
            is_keyed = (was_keyed and self.sticks) or self._wanted_for > self.key_after
            self._keyed_for = self._keyed_for + 1 if is_keyed else 0
            self._since = 0 if is_keyed else self._since + 1
            on_air = None
            if self.air_after is not None:
                on_air = (self._keyed_for > self.air_after) != self.is_inverted
            frame = probe.next_frame()
            if probe.step is Step.TALK:
                self.played.append(frame)
            heard, cos = noise(-70, tick), False
            if probe.step is Step.LISTEN and self.spoken:
                heard, cos = self.spoken.pop(0), True
            elif probe.step is Step.LISTEN and self.tail > 0:
                self.tail -= 1
                heard = noise(-15, tick)
            elif probe.step is Step.WATCH and self._since <= self.returns:
                heard, cos = noise(-20, tick), True
            if self.loops_after is not None and len(self.played) > self.loops_after and probe.step is Step.TALK:
                heard = self.played[-1 - self.loops_after]
            probe.hear(heard, cos, is_keyed, on_air)
        raise AssertionError(f"the test does not end: {probe.step}")


def probe(listen_s: float = 0.0, parrots: bool = True, can_key: bool = True) -> Probe:
    return Probe(listen_s, 0.5, parrots, lead_ms=60, deaf_ms=250, can_key=can_key, has_cos=True)


def test_a_healthy_leg_is_green() -> None:
    radio = Radio()
    report = radio.run(probe())
    assert report.is_green
    assert report.quiet_dbfs == pytest.approx(-70, abs=1)
    assert report.key_ms == 60
    assert report.tx_detect_ms == 60
    assert report.unkey_ms is not None and report.unkey_ms <= 40
    assert report.returns_ms == 0
    assert report.polarity is True
    assert report.loop_ms is None
    said = np.concatenate(radio.played)
    assert max(tone_part_dbfs(frame) for frame in radio.played) == pytest.approx(-18, abs=0.1)
    assert np.count_nonzero(said) > 0.4 * 48_000


def test_what_was_heard_is_played_back_and_measured() -> None:
    spoken = [noise(-18, seed) for seed in range(60)]
    radio = Radio(spoken=spoken, tail=4)
    report = radio.run(probe(listen_s=5.0))
    assert report.heard_ms == 60 * 20
    assert report.heard_dbfs == pytest.approx(-18, abs=0.5)
    assert report.tail_ms == 80
    assert report.tone_dbfs is None
    assert np.array_equal(np.concatenate(radio.played[: len(spoken)]), np.concatenate(spoken))


def test_a_tone_from_a_service_monitor_is_measured_for_calibration() -> None:
    report = Radio(spoken=tone_frames(1.0)).run(probe(listen_s=5.0, parrots=False))
    assert report.tone_dbfs == pytest.approx(-18, abs=0.2)


@pytest.mark.parametrize(
    ("radio", "why"),
    [
        (Radio(key_after=10_000), "not keyed within 2 s"),
        (Radio(sticks=True), "still keyed 2 s after"),
        (Radio(air_after=9_999), "keyed, but not on the air"),
        (Radio(is_inverted=True), "on the air without a key"),
        (Radio(returns=25), "hears itself for 480 ms: set gate.start_delay_ms"),
        (Radio(returns=5_000), "stays open after our transmission"),
    ],
    ids=["no key", "sticks", "no air", "inverted", "ping-pong", "loop"],
)
def test_what_is_wrong_is_said(radio: Radio, why: str) -> None:
    report = radio.run(probe())
    assert not report.is_green
    assert any(why in problem for problem in report.problems), report.problems


def test_nobody_and_too_loud_are_wrong() -> None:
    assert "nobody was heard" in Radio().run(probe(listen_s=1.0)).problems[0]
    loud = Radio(spoken=[noise(-3, seed) for seed in range(30)]).run(probe(listen_s=5.0))
    assert any("turn the receiver or rx_gain_db down" in problem for problem in loud.problems)


def test_a_loop_is_timed() -> None:
    report = Radio(loops_after=4).run(probe())
    assert report.loop_ms is not None
    assert 80 <= report.loop_ms <= 140


def test_a_receive_only_leg_is_never_keyed() -> None:
    under_test = probe(can_key=False)
    report = Radio().run(under_test)
    assert report.key_ms is None
    assert not under_test.wants_key


def test_cos_that_never_rests_is_wrong() -> None:
    under_test = probe(can_key=False)
    while not under_test.is_done:
        under_test.hear(new_frame(), True, False, None)
    assert "COS says that something is received" in under_test.report().problems[0]


def test_a_report_survives_the_link_and_garbage_does_not() -> None:
    report = Radio(returns=25).run(probe())
    assert Report.parse(report.text()) == report
    for garbage in ("", "[]", "{}", '{"problems": [], "colour": 1}'):
        with pytest.raises(PeerError):
            Report.parse(garbage)
