"""The leg link's wire: what goes in comes out, and nothing that comes in can hurt."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.gateway.errors import PeerError
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.radio import messages as m

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(min_value=0, max_value=2**40)
STATUS = st.builds(
    m.Status,
    rx_dbfs=FLOATS,
    tx_dbfs=FLOATS,
    cos=st.none() | st.booleans(),
    is_keyed=st.booleans(),
    gate_open=st.booleans(),
    playout_frames=COUNTS,
    jitter_packets=COUNTS,
    received=COUNTS,
    lost=COUNTS,
    concealed=COUNTS,
    recovered=COUNTS,
    late=COUNTS,
    rx_overruns=COUNTS,
    tx_underruns=COUNTS,
    dropped=COUNTS,
    last_rx_s_ago=st.none() | FLOATS,
    last_tx_s_ago=st.none() | FLOATS,
    is_device_online=st.booleans(),
    is_line_online=st.booleans(),
    capture_ppm=st.none() | FLOATS,
    playout_ppm=st.none() | FLOATS,
    rx_envelope=st.text(),
    tx_envelope=st.text(),
)
CONTROLS = st.one_of(
    STATUS,
    st.builds(m.Configure, st.text()),
    st.builds(m.KeyLease, FLOATS),
    st.builds(m.Unkey, st.booleans()),
    st.builds(m.TalkBegan, COUNTS),
    st.builds(m.TalkEnded, COUNTS),
    st.builds(m.Stop),
    st.builds(m.Hello, COUNTS, COUNTS),
    st.builds(m.GateMoved, st.booleans(), st.text()),
    st.builds(m.KeyMoved, st.booleans(), st.text()),
    st.builds(m.DeviceMoved, st.booleans(), st.text()),
    st.builds(m.Signalled, st.text(), st.text(), st.text(), st.text()),
    st.builds(m.Failure, st.text()),
)


@given(CONTROLS)
def test_control_messages_come_back_as_they_were(message: m.Control) -> None:
    assert m.decode(m.encode(message)) == message


@given(
    st.integers(0, 2**32 - 1),
    st.binary(min_size=1, max_size=m.MAX_PAYLOAD_BYTES),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
)
def test_audio_comes_back_as_it_was(talk: int, payload: bytes, sequence: int, timestamp: int) -> None:
    packet = Packet(payload, sequence, timestamp)
    assert m.decode(m.encode_audio(talk, packet)) == m.Audio(talk, packet)


@given(st.binary(max_size=2000) | st.binary(max_size=60).map(lambda tail: b"\xa1" + tail))
def test_garbage_is_a_message_or_a_peer_error(data: bytes) -> None:
    try:
        message = m.decode(data)
    except PeerError:
        return
    assert isinstance(message, m.Audio | m.Control)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)
TAGS = st.sampled_from(["Hello", "KeyLease", "Status", "Stop", "Unkey", "GateMoved", "Audio", "object"])
NAMES = st.sampled_from(["pid", "version", "talk", "lease_s", "drain", "is_open", "cause", "x"])


@given(st.dictionaries(NAMES, JSON, max_size=4), TAGS)
def test_json_of_the_wrong_shape_is_a_peer_error_or_a_true_message(members: dict[str, object], tag: str) -> None:
    try:
        message = m.decode(json.dumps({**members, "t": tag}).encode())
    except PeerError:
        return
    assert not isinstance(message, m.Audio)
    if isinstance(message, m.KeyLease):
        assert math.isfinite(message.lease_s)
    if isinstance(message, m.Unkey):
        assert type(message.drain) is bool


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}",
        b"\xa1",
        b"\xa1" + bytes(12),
        b"\xa1\x01" + bytes(11) + b"x",
        b"\xa1" + bytes(12) + bytes(1276),
        b'{"t":"Stop","more":1}',
        b'{"t":"KeyLease","lease_s":NaN}',
        b'{"t":"KeyLease","lease_s":1e999}',
        b'{"t":"KeyLease","lease_s":true}',
        b'{"t":"TalkEnded","talk":' + b"9" * 5000 + b"}",
        b'{"t":' + b"[" * 60_000,
        b'{"t":"Unkey","drain":1}',
        b'{"t":["Stop"]}',
        b'{"t":"Failure","text":"\xff"}',
        b"{" * (m.MAX_MESSAGE_BYTES + 1),
    ],
)
def test_wrong_bytes_are_peer_errors(data: bytes) -> None:
    with pytest.raises(PeerError):
        m.decode(data)
