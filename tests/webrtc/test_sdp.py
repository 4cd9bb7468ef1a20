"""Offers from outside: what is taken, what is turned down, what is refused; and what is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.gateway.errors import CallerError
from tongpin.gateway.webrtc.sdp import (
    AUDIO_LEVEL,
    FMTP,
    MAX_BYTES,
    Answered,
    candidate_lines,
    read_candidate,
    read_offer,
    write_answer,
)

PASSWORD = "p" * 22
HEAD = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=ice-ufrag:abcd\r\n"
    f"a=ice-pwd:{PASSWORD}\r\na=fingerprint:SHA-256 AA:BB\r\na=setup:actpass\r\n"
)
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 63 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendrecv\r\n"
    f"a=extmap:14 {AUDIO_LEVEL}\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=rtpmap:63 red/48000/2\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=fmtp:63 111/111\r\n"
    "a=rtcp-fb:111 transport-cc\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n"
    "a=candidate:2 1 udp 2130706431 0dcf.local 50001 typ host\r\na=candidate:3 1 tcp 1 192.0.2.7 9 typ host\r\n"
)
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 H265/90000\r\n"
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n"


def test_only_opus_audio_is_ours_and_its_sender_is_read() -> None:
    """Session-level ICE and DTLS attributes, as OBS sends them, count."""
    offer = read_offer(HEAD + VIDEO + AUDIO + DATA)
    assert [(section.media, section.is_ours) for section in offer.sections] == [
        ("video", False),
        ("audio", True),
        ("application", False),
    ]
    audio = offer.ours[0]
    assert (audio.mid, audio.direction, audio.payload_type, audio.level_id) == ("1", "sendrecv", 111, 14)
    assert (offer.fragment, offer.password, offer.setup) == ("abcd", PASSWORD, "actpass")
    assert offer.fingerprints == {"sha-256": "AA:BB"}
    assert offer.candidates == (("192.0.2.7", 50_000),), "no names, no TCP"


def test_what_the_m_line_says_goes_before_the_session() -> None:
    offer = read_offer(HEAD + AUDIO + f"a=ice-ufrag:wxyz\r\na=ice-pwd:{'q' * 24}\r\na=setup:active\r\n")
    assert (offer.fragment, offer.password, offer.setup) == ("wxyz", "q" * 24, "active")


def test_the_answer_turns_foreign_lines_down_in_their_places() -> None:
    offer = read_offer(HEAD + VIDEO + AUDIO + DATA)
    answer = write_answer(
        offer,
        [Answered("sendrecv", 77)],
        fragment="0123456789abcdef",
        password="f" * 32,
        fingerprint="CC:DD",
        setup="passive",
        candidates=candidate_lines(["127.0.0.1", "::1"], 4000, "203.0.113.9"),
        port=4000,
        name="x",
    )
    lines = [line for line in answer.split("\r\n") if line.startswith(("m=", "a=mid"))]
    assert lines == [
        "m=video 0 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 111",
        "a=mid:1",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "a=mid:2",
    ]
    assert f"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 {FMTP}\r\na=ptime:20\r\na=maxptime:20\r\n" in answer
    assert "a=group:BUNDLE 1\r\n" in answer
    assert f"a=extmap:14 {AUDIO_LEVEL}\r\na=msid:x x-1\r\na=ssrc:77 cname:x\r\n" in answer
    assert "a=candidate:3 1 udp 1694498815 203.0.113.9 4000 typ srflx raddr 127.0.0.1 rport 4000\r\n" in answer
    assert "sdes:mid" not in answer


def test_a_public_address_that_is_ours_is_told_once() -> None:
    assert candidate_lines(["192.0.2.1"], 5, "192.0.2.1").count("192.0.2.1") == 1


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 422, "sdp-malformed"),
        ("hello", 422, "sdp-malformed"),
        (HEAD, 422, "sdp-without-media"),
        (HEAD + VIDEO, 422, "no-opus-audio"),
        (HEAD + "m=audio 9\r\n", 422, "sdp-malformed"),
        (HEAD + AUDIO + "a=candidate:x\r\n", 422, "sdp-malformed"),
        (HEAD + AUDIO.replace("m=audio 9", "m=audio 0"), 422, "no-opus-audio"),
        (HEAD + VIDEO * 21, 422, "sdp-too-many-sections"),
        (HEAD + "a=x:" + "y" * MAX_BYTES, 413, "sdp-too-large"),
        (HEAD.replace("a=ice-ufrag:abcd\r\n", "") + AUDIO, 422, "sdp-without-ice"),
        (HEAD.replace(PASSWORD, "short") + AUDIO, 422, "sdp-without-ice"),
        (HEAD.replace("a=fingerprint:", "a=x:") + AUDIO, 422, "sdp-without-dtls"),
        (HEAD.replace("actpass", "holdconn") + AUDIO, 422, "sdp-malformed"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, status: int, code: str) -> None:
    with pytest.raises(CallerError) as caught:
        read_offer(text)
    assert (caught.value.status, caught.value.code) == (status, code)


def test_candidates_that_are_none_are_told_from_those_we_do_not_use() -> None:
    assert read_candidate("1 1 UDP 1 2001:db8::1 9 typ host") == ("2001:db8::1", 9)
    for unused in ("1 1 udp 1 224.0.0.1 9 typ host", "1 1 udp 1 0.0.0.0 9 typ host", "1 1 udp 1 1.2.3.4 0 typ host"):
        assert read_candidate(unused) is None
    with pytest.raises(ValueError, match="candidate"):
        read_candidate("garbage")


@given(st.text(max_size=300), st.integers(0, 500))
def test_any_text_is_read_or_refused(noise: str, at: int) -> None:
    text = HEAD + AUDIO
    for candidate in (noise, text[:at] + noise + text[at:], text[:at]):
        try:
            offer = read_offer(candidate)
        except CallerError:
            continue
        assert any(section.is_ours for section in offer.sections)
