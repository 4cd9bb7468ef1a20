"""Programs that are not ours: multimon-ng reads our tones, sox and minimodem make tones for us to read."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codecs.sounds import voice_events, within_silence
from tests.codecs.test_mdc1200 import REFERENCE_TONES, tones_of
from tongpin.codecs.dtmf import DtmfDecoder, encode_dtmf
from tongpin.codecs.mdc1200 import MdcCall, MdcKind
from tongpin.codecs.mdc1200_modem import MdcDecoder, encode_mdc
from tongpin.codecs.selcall import SelcallDecoder, SelcallKind, encode_selcall

RAW_48K = ["-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1"]
RAW_22K = ["-t", "raw", "-r", "22050", "-e", "signed", "-b", "16", "-c", "1"]


def ran(command: list[str], fed: bytes = b"") -> bytes:
    return subprocess.run(command, input=fed, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def multimon(kind: str, sound: NDArray[np.int16]) -> str:
    """What multimon-ng reads, without its labels."""
    pcm = within_silence(sound, 200, 500).astype(np.int16).tobytes()
    said = ran(
        ["multimon-ng", "-q", "-c", "-a", kind, *RAW_22K[:2], "-"], ran(["sox", *RAW_48K, "-", *RAW_22K, "-"], pcm)
    )
    return "".join(line.partition(f"{kind}: ")[2] for line in said.decode().splitlines())


def sox(arguments: list[str]) -> NDArray[np.int16]:
    return np.frombuffer(ran(["sox", "-R", "-n", *RAW_48K, "-", *arguments]), np.int16)


def test_multimon_reads_our_keys() -> None:
    assert multimon("DTMF", encode_dtmf("123A456B789C*0#D")) == "123A456B789C*0#D"


@pytest.mark.parametrize("kind", list(SelcallKind))
def test_multimon_reads_our_calls(kind: SelcallKind) -> None:
    for code, sent in (("12345", "12345"), ("11235", "1E235"), ("67890", "67890"), ("A9A9F", "A9A9F")):
        assert multimon(kind.upper(), encode_selcall(kind, code)) == sent


def test_we_read_keys_that_sox_makes() -> None:
    """Q.23's frequencies, typed anew: 1, 6, 0 and D."""
    keys = [(697, 1209), (770, 1477), (941, 1336), (941, 1633)]
    sounds = [
        sox(["synth", "0.08", "sin", str(row), "sin", str(column), "remix", "-", "gain", "-10", "pad", "0.06", "0.06"])
        for row, column in keys
    ]
    heard = voice_events(DtmfDecoder().push, np.concatenate(sounds))
    assert "".join(event.key for event in heard) == "160D"


@pytest.mark.parametrize(
    ("kind", "seconds", "tones"),
    [
        (SelcallKind.ZVEI1, "0.07", [1060, 2600, 1270, 2400, 2000]),
        (SelcallKind.CCIR, "0.1", [1124, 2110, 1275, 1981, 1747]),
    ],
)
def test_we_read_calls_that_sox_makes(kind: SelcallKind, seconds: str, tones: list[int]) -> None:
    sound = np.concatenate([sox(["synth", seconds, "sin", str(tone), "gain", "-10"]) for tone in tones])
    heard = voice_events(SelcallDecoder(kind).push, within_silence(sound))
    assert [event.code for event in heard] == ["11308"]


def test_we_read_a_burst_that_minimodem_modulates(tmp_path: Path) -> None:
    """The reference encoder's tone sequence (a 1 is 1800 Hz), sent by minimodem as plain FSK at 48 kHz."""
    bits = np.frombuffer(REFERENCE_TONES.encode(), np.uint8) - ord("0")
    file = tmp_path / "burst.wav"
    fsk = ["-M", "1800", "-S", "1200", "-8", "--startbits", "0", "--stopbits", "0", "-R", "48000", "1200"]
    ran(["minimodem", "--tx", "-f", str(file), *fsk], np.packbits(bits, bitorder="little").tobytes())
    sound = np.frombuffer(ran(["sox", str(file), *RAW_48K, "-"]), np.int16)
    (heard,) = voice_events(MdcDecoder().push, within_silence(sound))
    assert (heard.kind, heard.unit, heard.wrong_bits) == (MdcKind.PTT_ID, 0x1234, 0)


def test_minimodem_reads_our_burst(tmp_path: Path) -> None:
    """Its bits are the tones of our burst: found again whole, whatever it makes of the silence around."""
    call = MdcCall(MdcKind.STATUS, 0xBEEF, 3)
    sound = encode_mdc(call)
    pcm = within_silence(sound, 0, 100).astype(np.int16).tobytes()
    file = tmp_path / "burst.wav"
    ran(["sox", *RAW_48K, "-", str(file)], pcm)
    fsk = ["-M", "1800", "-S", "1200", "--binary-raw", "8", "--startbits", "0", "--stopbits", "0", "1200"]
    said = ran(["minimodem", "--rx", "-q", "-c", "1.0", "-f", str(file), *fsk]).decode().replace("\n", "")
    assert tones_of(sound)[56:] in said
