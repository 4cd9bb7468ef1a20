"""Real PortAudio on virtual cards: a leg's worker hears what is played into its plug and plays what it is sent."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.radio.hotplug import cycles
from tests.radio.legs import Ear, SimFolder, edges_off_s, encode, likeness, running, transmit, write_voice
from tests.radio.pulse import PulseBench
from tongpin.config.models import LegConfig
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.devices import SoundDevice, find_device, list_serial_ports, stable_id
from tongpin.gateway.radio.supervisor import LegSupervisor


@pytest.fixture
def pulse(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseBench]:
    with PulseBench(tmp_path_factory.mktemp("pa")) as bench:
        for name, value in bench.env.items():
            monkeypatch.setenv(name, value)
        yield bench


def card_leg(folder: Path, **changes: object) -> LegConfig:
    return SimFolder(folder).config(card={"kind": "soundcard", "device": "radio-a"}, has_cos=False, **changes)


@pytest.mark.exclusive
async def test_what_is_played_into_the_plug_is_heard(pulse: PulseBench, tmp_path: Path) -> None:
    source = write_voice(tmp_path / "voice.wav", 3.0)
    async with running(card_leg(tmp_path)) as (leg, ear):
        player = pulse.play(tmp_path / "voice.wav", "radio-a")
        await ear.wait_gate(True)
        await ear.wait_gate(False)
        assert await asyncio.to_thread(player.wait, 10) == 0
        heard = ear.heard()
        overruns = leg.status.rx_overruns
    _, scores = likeness(source, heard)
    assert min(scores) > 0.8, scores
    assert overruns == 0


@pytest.mark.exclusive
async def test_what_is_sent_comes_out_of_the_plug(pulse: PulseBench, tmp_path: Path) -> None:
    source = write_voice(tmp_path / "voice.wav", 2.0)
    async with running(card_leg(tmp_path)) as (leg, ear):
        recording = pulse.record("radio-a", 4.0, tmp_path / "out.wav")
        await transmit(leg, encode(source))
        await ear.wait_keyed(False)
        recorded = await asyncio.to_thread(recording.finish)
    _, scores = likeness(source, recorded)
    assert min(scores) > 0.9, scores
    assert max(edges_off_s(source, recorded)) <= 0.02


@pytest.mark.exclusive
async def test_a_card_that_goes_silent_is_missing_and_comes_back(pulse: PulseBench, tmp_path: Path) -> None:
    async with running(card_leg(tmp_path)) as (leg, ear):
        pid = leg.worker_pid
        pulse.pause_daemon()
        await ear.wait_online(False)
        assert "silent" in leg.status.reason
        pulse.resume_daemon()
        await ear.wait_online(True)
        assert leg.worker_pid == pid
        seen = len(ear.statuses)
        await ear.wait(lambda: len(ear.statuses) > seen + 2 and ear.statuses[-1].rx_dbfs <= -100)


@pytest.mark.exclusive
async def test_a_card_that_is_pulled_out_comes_back_by_itself(pulse: PulseBench, tmp_path: Path) -> None:
    """Five times; fifty are ``python -m tests.bench.bench_hotplug``, which measures how soon."""
    found = await cycles(pulse, tmp_path, 5)
    print(found)
    assert len(found) == 5


@pytest.mark.exclusive
async def test_a_card_of_an_unknown_name_is_offline_with_the_names_there_are(pulse: PulseBench, tmp_path: Path) -> None:

    config = SimFolder(tmp_path).config(card={"kind": "soundcard", "device": "radio-x"})
    ear = Ear()
    leg = LegSupervisor(config, ear)
    task = asyncio.create_task(leg.run())
    try:
        await ear.wait(lambda: bool(ear.statuses) and "radio-b" in leg.status.reason)
        assert not leg.status.is_online
    finally:
        await leg.stop()
        await task


@pytest.mark.exclusive
def test_the_cards_are_listed_once_by_their_names(pulse: PulseBench) -> None:
    listing = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "from tongpin.gateway.radio.devices import list_sound_devices\n"
            "print(*(d.name for d in list_sound_devices() if d.can_capture and d.can_play), sep='\\n')",
        ],
        env=pulse.env,
        capture_output=True,
        text=True,
        check=True,
    )
    names = listing.stdout.splitlines()
    assert names.count("radio-a") == 1
    assert names.count("radio-b") == 1


def device(index: int, name: str, capture: bool = True, play: bool = True) -> SoundDevice:
    return SoundDevice(index, name, f"id-{index}", "ALSA", capture, play)


class TestLookingUpByName:
    devices = (
        device(0, "USB Audio Device: - (hw:1,0)"),
        device(1, "USB Audio Device: - (hw:2,0)", capture=False),
        device(2, "radio-a"),
        device(3, "radio-ab"),
        device(4, "radio-a"),
    )

    def test_an_exact_name_wins_over_parts_and_the_first_host_api_over_others(self) -> None:
        assert find_device(self.devices, "radio-a", "capture").index == 2

    def test_a_stable_id_is_a_name(self) -> None:
        assert find_device(self.devices, "id-3", "playout").index == 3

    def test_a_part_that_only_one_device_has_is_enough_in_any_case(self) -> None:
        assert find_device(self.devices, "RADIO-AB", "capture").index == 3

    def test_only_devices_of_the_direction_count(self) -> None:
        assert find_device(self.devices, "USB Audio", "capture").index == 0

    @pytest.mark.parametrize(
        ("wanted", "why"),
        [
            ("USB Audio", lambda text: "several playout devices" in text and "hw:1,0" in text and "hw:2,0" in text),
            ("nothing", lambda text: "no playout device" in text and "radio-ab" in text),
        ],
    )
    def test_what_is_not_clear_is_refused_with_the_names(self, wanted: str, why: Callable[[str], bool]) -> None:
        with pytest.raises(DeviceError) as caught:
            find_device(self.devices, wanted, "playout")
        assert why(str(caught.value))


def test_a_name_without_a_usb_card_is_its_own_id() -> None:
    assert stable_id("radio-a") == "radio-a"
    assert stable_id("No Such Card (hw:97,0)") == "No Such Card (hw:97,0)"


def test_serial_ports_are_listed_without_error() -> None:
    assert all(port.device and port.stable_id for port in list_serial_ports())


def test_silence_is_not_a_voice() -> None:
    """Guards the measure that the tests above rest on."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1000, 96_000).astype(np.int16)
    _, scores = likeness(noise[:48_000], rng.normal(0, 1000, 96_000).astype(np.int16))
    assert max(scores) < 0.5
