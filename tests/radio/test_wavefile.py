"""WAV in any rate becomes 48 kHz mono; a growing file can be read at any moment."""

import subprocess
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
    with pytest.raises(CallerError, match="is not a WAV file"):
        read_wav(tmp_path / "text.wav")
    (tmp_path / "cut.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    with pytest.raises(CallerError, match="cut off"):
        read_wav(tmp_path / "cut.wav")
    write_tone(tmp_path / "odd.wav", 8_000, 1)
    for at, value, told in (
        (20, 6, "format 6 with 16 bits"),
        (24, 0, "0 Hz"),
        (34, 0, "no bits"),
        (22, 0, "0 channels"),
    ):
        data = bytearray((tmp_path / "odd.wav").read_bytes())
        data[at : at + 2] = value.to_bytes(2, "little")
        (tmp_path / "bad.wav").write_bytes(data)
        with pytest.raises(CallerError, match=told):
            read_wav(tmp_path / "bad.wav")


SIGNED, UNSIGNED, FLOAT = "signed-integer", "unsigned-integer", "floating-point"


@pytest.mark.parametrize(("encoding", "bits"), [(UNSIGNED, 8), (SIGNED, 24), (SIGNED, 32), (FLOAT, 32)])
def test_what_sox_writes_is_read(encoding: str, bits: int, tmp_path: Path) -> None:
    """24 and 32 bit are WAVE_FORMAT_EXTENSIBLE there."""
    write_tone(tmp_path / "in.wav", 48_000, 1)
    out = tmp_path / "out.wav"
    subprocess.run(
        ["sox", "-D", str(tmp_path / "in.wav"), "-e", encoding, "-b", str(bits), str(out)], check=True, timeout=30
    )
    coarse = 256 if bits == 8 else 1
    wanted, got = read_wav(tmp_path / "in.wav").astype(int), read_wav(out).astype(int)
    assert np.abs(wanted - got).max() <= coarse


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
