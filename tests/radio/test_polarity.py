"""A line that has not passed a polarity test is never keyed, and its leg says what to do."""

from pathlib import Path

import pytest

from tests.radio.legs import SimFolder, encode, running, transmit, write_voice
from tests.radio.lines import leg_on
from tongpin.config.keyers import Cm108Keyer, KeyerConfig, NoKeyer, SerialKeyer, SimKeyer, VoxKeyer
from tongpin.config.models import LegConfig, SoundCard
from tongpin.gateway.errors import DeviceError
from tongpin.gateway.radio.polarity import PolarityRecord


def serial(**changes: object) -> LegConfig:
    return leg_on(SerialKeyer.model_validate({"kind": "serial", "port": "/dev/x", **changes}))


def test_a_line_is_unlocked_once_for_its_place_pin_and_polarity(tmp_path: Path) -> None:
    record = PolarityRecord(tmp_path / "data")
    assert record.is_locked(serial())
    record.note_passed(serial())
    again = PolarityRecord(tmp_path / "data")
    assert not again.is_locked(serial())
    assert again.is_locked(serial(is_active_low=True))
    assert again.is_locked(serial(line="dtr"))
    assert again.is_locked(serial(port="/dev/y"))


@pytest.mark.parametrize("keyer", [NoKeyer(kind="none"), VoxKeyer(kind="vox"), SimKeyer(kind="sim")])
def test_what_has_no_polarity_is_never_locked(keyer: KeyerConfig, tmp_path: Path) -> None:
    record = PolarityRecord(tmp_path)
    record.note_passed(leg_on(keyer))
    assert not record.is_locked(leg_on(keyer))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"serial /dev/x rts active high": 1}'])
def test_a_damaged_record_locks(text: str, tmp_path: Path) -> None:
    (tmp_path / "keying-lines.json").write_text(text)
    assert PolarityRecord(tmp_path).is_locked(serial())


def test_a_line_that_nobody_can_name_is_locked(tmp_path: Path) -> None:
    leg = LegConfig(name="a", card=SoundCard(kind="soundcard", device="x"), keyer=Cm108Keyer(kind="cm108"))
    assert PolarityRecord(tmp_path).is_locked(leg)


def test_a_record_that_cannot_be_written_is_a_device_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(DeviceError, match="cannot be written"):
        PolarityRecord(tmp_path / "data").note_passed(serial())


async def test_a_locked_leg_hears_but_is_never_keyed(tmp_path: Path) -> None:
    sim = SimFolder(tmp_path)
    write_voice(tmp_path / "voice.wav", 0.6)
    async with running(sim.config(), is_locked=True) as (leg, ear):
        assert leg.status.keying.endswith("run 'tongpin leg test sim'")
        await transmit(leg, encode(write_voice(tmp_path / "order.wav", 0.6)))
        sim.command(f"say {tmp_path / 'voice.wav'}")
        await ear.wait_gate(True)
        await ear.wait_gate(False)
        assert ear.keys == []
        assert not sim.is_keyed()
        assert leg.status.jitter_packets == 0
