"""WAV in any rate becomes 48 kHz mono; a growing file can be read at any moment."""

import wave
from pathlib import Path

import numpy as np
import pytest

from tongpin.gateway.errors import CallerError
from tongpin.gateway.radio.wavefile import WavWriter, read_wav


def write_tone(path: Path, rate_hz: int, channels: int, seconds: float = 0.5) -> None:
    time_s = np.arange(int(rate_hz * seconds)) / rate_hz
    tone = np.rint(12_000 * np.sin(2 * np.pi * 1000 * time_s)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(tone, channels).tobytes())


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_comes_out_as_the_same_tone_at_48_khz(tmp_path: Path, rate_hz: int, channels: int) -> None:
    write_tone(tmp_path / "in.wav", rate_hz, channels)
    pcm = read_wav(tmp_path / "in.wav")
    assert abs(pcm.size - 24_000) <= 6
    time_s = np.arange(pcm.size) / 48_000
    expected = 12_000 * np.sin(2 * np.pi * 1000 * time_s)
    middle = slice(2_400, 21_600)
    error = pcm[middle].astype(float) - expected[middle]
    assert 20 * np.log10(np.sqrt(np.mean(error**2)) / (12_000 / np.sqrt(2))) < -55


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=r"nothing\.wav"):
        read_wav(tmp_path / "nothing.wav")
    (tmp_path / "text.wav").write_text("this is not sound")
    with pytest.raises(CallerError, match="cannot be read as WAV"):
        read_wav(tmp_path / "text.wav")
    with wave.open(str(tmp_path / "eight.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(80))
    with pytest.raises(CallerError, match="8-bit"):
        read_wav(tmp_path / "eight.wav")


def test_an_empty_file_is_no_sound(tmp_path: Path) -> None:
    write_tone(tmp_path / "empty.wav", 8_000, 1, 0)
    assert read_wav(tmp_path / "empty.wav").size == 0


def test_a_growing_file_is_readable_after_every_write_and_can_be_continued(tmp_path: Path) -> None:
    path = tmp_path / "grow.wav"
    block = np.arange(960, dtype=np.int16)
    writer = WavWriter(path)
    assert read_wav(path).size == 0
    for count in range(1, 4):
        writer.write(block)
        assert (read_wav(path) == np.tile(block, count)).all()
    writer.close()
    again = WavWriter(path)
    again.write(block)
    again.close()
    assert (read_wav(path) == np.tile(block, 4)).all()
