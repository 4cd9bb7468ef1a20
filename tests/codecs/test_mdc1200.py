"""MDC1200: the reference encoder's bits, every call, damage, noise, and what can never be sent.

REFERENCE: bytes on the air and tones (1 = 1800 Hz) that the reference implementation, mdc-encode-decode, makes,
as published with the tests of the GopherTrunk project (package mdc1200).
"""

import numpy as np
import pytest

from tests.codecs.sounds import noisy, silence, voice_events, within_silence
from tongpin.codecs import mdc1200
from tongpin.codecs.errors import SignallingError
from tongpin.codecs.frame import SAMPLE_RATE_HZ
from tongpin.codecs.mdc1200 import MdcCall, MdcHeard, MdcKind, crc16, decode_block, encode_block
from tongpin.codecs.mdc1200_modem import MdcDecoder, encode_mdc

REFERENCE = {
    "01801234": "5555555555555507092a446f8e942a2e06992204001c18a22c88",
    "6300abcd": "5555555555555507092a446f969380c93eb63ce6002cb4569086",
    "35000777": "5555555555555507092a446f8e920847ae62342bb0539e260432",
}
REFERENCE_TONES = (
    "01111111111111111111111111111111111111111111111111111111100001001000110110111111011001100101100001001001110111100"
    "01111110011100100000101110101011011001100000110000000000001001000010100111100110011101011001100"
)
CALLS = [
    MdcCall(MdcKind.PTT_ID, 0x1234),
    MdcCall(MdcKind.EMERGENCY, 0xFFFE),
    MdcCall(MdcKind.STATUS, 0x0001, 7),
    MdcCall(MdcKind.ACKNOWLEDGE, 0x8001),
    MdcCall(MdcKind.SELCALL, 0x5678, caller=0x1234),
]


def heard_in(sound: np.ndarray) -> list[MdcHeard]:
    return voice_events(MdcDecoder().push, sound)


def soft(block: bytes) -> np.ndarray:
    return 1.0 - 2.0 * np.unpackbits(np.frombuffer(block, np.uint8))


def tones_of(sound: np.ndarray) -> str:
    """One character for each of the bits: whether a cell of 40 samples holds one and a half cycles, or one."""
    cells = sound.reshape(-1, 40).astype(float)
    place = np.arange(40) + 1
    same, change = (np.abs(cells @ np.exp(-2j * np.pi * hertz / 48_000 * place)) for hertz in (1200, 1800))
    return "".join("1" if changed else "0" for changed in change > same)


def test_the_bits_are_the_reference_encoders() -> None:
    for data, burst in REFERENCE.items():
        assert (mdc1200.LEADER + mdc1200.SYNC + encode_block(bytes.fromhex(data))).hex() == burst
    assert MdcCall(MdcKind.PTT_ID, 0x1234).burst().hex() == REFERENCE["01801234"]
    assert crc16(bytes.fromhex("01801234")) == 0x3E2E
    assert crc16(bytes.fromhex("6300abcd")) == 0x1568


def test_the_tones_are_the_reference_encoders() -> None:
    assert tones_of(encode_mdc(MdcCall(MdcKind.PTT_ID, 0x1234))) == REFERENCE_TONES


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.kind)
@pytest.mark.parametrize("factor", [1.0, -1.0, 0.03], ids=["plain", "inverted", "faint"])
def test_every_call_is_understood(call: MdcCall, factor: float) -> None:
    (heard,) = heard_in(within_silence(factor * encode_mdc(call)))
    assert (heard.kind, heard.unit, heard.wrong_bits) == (call.kind, call.unit, 0)
    assert heard.caller == (call.unit if call.caller is None else call.caller)
    assert heard.kind is not MdcKind.STATUS or heard.arg == call.number
    assert abs(heard.at_samples - (4800 + 56 * 40)) <= 12


@pytest.mark.parametrize("degrees", [45, 90, 135])
def test_a_channel_that_turns_the_phase_changes_nothing(degrees: int) -> None:
    """De-emphasis of flat audio turns the tones by up to 90 degrees."""
    spectrum = np.fft.rfft(within_silence(encode_mdc(CALLS[0])))
    (heard,) = heard_in(np.fft.irfft(spectrum * np.exp(1j * np.radians(degrees))))
    assert heard.unit == 0x1234


def test_a_constant_offset_changes_nothing() -> None:
    (heard,) = heard_in(within_silence(encode_mdc(CALLS[0], -30.0)) + 9000)
    assert heard.unit == 0x1234


@pytest.mark.parametrize("ppm", [-500, 500])
def test_a_sound_card_that_runs_wrong(ppm: int) -> None:
    sound = within_silence(encode_mdc(CALLS[4]))
    places = np.arange(0, sound.size - 1, 1 + ppm / 1e6)
    (heard,) = heard_in(np.interp(places, np.arange(sound.size), sound))
    assert heard.caller == 0x1234


def test_it_says_that_a_burst_is_under_way() -> None:
    decoder = MdcDecoder()
    burst = within_silence(encode_mdc(CALLS[0]))
    assert voice_events(decoder.push, burst[: 48 * 200]) == []
    assert decoder.since_samples is not None
    assert abs(decoder.since_samples - 4800) <= 12
    decoder = MdcDecoder()
    assert len(voice_events(decoder.push, burst)) == 1
    assert decoder.since_samples is None


def test_bursts_in_a_row() -> None:
    sound = np.concatenate([part for call in CALLS for part in (silence(30), encode_mdc(call))] + [silence(100)])
    assert [heard.kind for heard in heard_in(sound)] == [call.kind for call in CALLS]


def test_a_damaged_second_block_leaves_the_first() -> None:
    burst = encode_mdc(CALLS[4])
    burst[-100 * 40 :] = 0
    (heard,) = heard_in(within_silence(burst))
    assert (heard.kind, heard.unit, heard.second, heard.caller) == (MdcKind.SELCALL, 0x5678, None, 0x5678)


def test_other_emergencies_and_other_ops_are_reported() -> None:
    assert MdcHeard(0x00, 0x81, 1, None, 0, 0).kind is MdcKind.EMERGENCY
    assert MdcHeard(0x2B, 0x00, 1, None, 0, 0).kind is MdcKind.OTHER
    assert MdcHeard(0x46, 0x0F, 1, None, 0, 0).kind is MdcKind.STATUS
    assert MdcHeard(0x55, 0x00, 1, bytes(4), 0, 0).kind is MdcKind.OTHER


def test_the_code_corrects_errors() -> None:
    """Wrong bits at random places, all of them sure of themselves: exact counts for a seed."""
    random = np.random.default_rng(2)
    right = dict.fromkeys((4, 8, 12), 0)
    for wrong in right:
        for _ in range(100):
            data = random.bytes(4)
            bits = soft(encode_block(data))
            bits[random.permutation(112)[:wrong]] *= -1
            block = decode_block(bits)
            if block is not None:
                assert (block.data, block.wrong_bits) == (data, wrong)
                right[wrong] += 1
    assert right == {4: 99, 8: 80, 12: 39}


def test_ten_wrong_bits_in_a_row_are_corrected() -> None:
    bits = soft(encode_block(b"\x01\x80\x12\x34"))
    bits[40:50] *= -1
    block = decode_block(bits)
    assert block is not None
    assert block.data == b"\x01\x80\x12\x34"


def test_nonsense_is_no_block() -> None:
    random = np.random.default_rng(4)
    assert [decode_block(random.normal(0, 1, 112)) for _ in range(300)] == [None] * 300


@pytest.mark.parametrize(("snr_db", "expected"), [(6, 50), (0, 50), (-3, 49), (-6, 26)])
def test_bursts_in_noise(snr_db: float, expected: int) -> None:
    """White noise of 4 kHz. The decoder never answers with another unit."""
    random = np.random.default_rng(8)
    right = 0
    for unit in range(1, 51):
        sound = within_silence(encode_mdc(MdcCall(MdcKind.PTT_ID, unit), -24.0), 20, 60)
        heard = heard_in(noisy(sound, random, -24.0, snr_db, 4000))
        assert [event.unit for event in heard] in ([unit], [])
        right += bool(heard)
    assert right == expected


def test_noise_says_nothing() -> None:
    assert heard_in(np.random.default_rng(3).normal(0, 3000, 60 * SAMPLE_RATE_HZ)) == []


def test_nothing_that_can_be_sent_disables_a_radio() -> None:
    """Every kind with every number: op 2B is in no burst, and there is no other way to make one."""
    sent = set()
    for kind in MdcKind:
        for number in range(-1, 17):
            for caller in (None, 0x2B00):
                try:
                    call = MdcCall(kind, 0x2B2B, number, caller)
                except SignallingError:
                    continue
                for block in range(12, len(call.burst()), 14):
                    decoded = decode_block(soft(call.burst()[block : block + 14]))
                    assert decoded is not None
                    sent.add((block, decoded.data[0]))
    assert {op for block, op in sent if block == 12} == {0x01, 0x00, 0x46, 0x23, 0x35}
    assert {op for block, op in sent if block == 26} == {0x82}
    assert encode_mdc.__annotations__["call"] in (MdcCall, "MdcCall"), "the modem takes calls, not bytes"


@pytest.mark.parametrize(
    ("kind", "unit", "number", "caller"),
    [
        (MdcKind.OTHER, 1, 0, None),
        (MdcKind.PTT_ID, 0, 0, None),
        (MdcKind.PTT_ID, 0xFFFF, 0, None),
        (MdcKind.PTT_ID, 1, 1, None),
        (MdcKind.STATUS, 1, 16, None),
        (MdcKind.PTT_ID, 1, 0, 2),
        (MdcKind.SELCALL, 1, 0, None),
        (MdcKind.SELCALL, 1, 0, 0x10000),
    ],
)
def test_what_cannot_be_sent(kind: MdcKind, unit: int, number: int, caller: int | None) -> None:
    with pytest.raises(SignallingError):
        MdcCall(kind, unit, number, caller)
