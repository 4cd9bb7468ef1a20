"""Offers from outside: what is taken, what is turned down, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongpin.gateway.errors import CallerError
from tongpin.gateway.webrtc.sdp import FMTP, MAX_BYTES, finish_answer, read_offer

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=ice-ufrag:abcd\r\n"
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 63 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendrecv\r\n"
    "a=rtpmap:63 red/48000/2\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=fmtp:63 111/111\r\n"
    "a=rtcp-fb:111 transport-cc\r\na=rtpmap:0 PCMU/8000\r\n"
)
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 H265/90000\r\n"
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n"


def test_only_opus_audio_is_kept_in_its_order() -> None:
    offer = read_offer(HEAD + VIDEO + AUDIO + DATA)
    assert [(section.media, section.is_ours) for section in offer.sections] == [
        ("video", False),
        ("audio", True),
        ("application", False),
    ]
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" in offer.sdp
    assert "a=group:BUNDLE 1\r\n" in offer.sdp
    for foreign in ("H265", "PCMU", "red/48000", "sctp", "fmtp:63"):
        assert foreign not in offer.sdp
    assert "a=fmtp:111 minptime=10" in offer.sdp
    assert "a=ice-ufrag:abcd" in offer.sdp, "session-level attributes, as OBS sends them, stay"


def test_the_answer_turns_foreign_lines_down_in_their_places() -> None:
    offer = read_offer(HEAD + VIDEO + AUDIO + DATA)
    answer = "v=0\r\ns=-\r\nm=audio 5 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=rtpmap:111 opus/48000/2\r\n"
    finished = finish_answer(answer, offer)
    lines = [line for line in finished.split("\r\n") if line.startswith(("m=", "a=mid"))]
    assert lines == [
        "m=video 0 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "m=audio 5 UDP/TLS/RTP/SAVPF 111",
        "a=mid:1",
        "m=application 0 UDP/TLS/RTP/SAVPF 0",
        "a=mid:2",
    ]
    assert f"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 {FMTP}\r\na=ptime:20\r\na=maxptime:20\r\n" in finished


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 422, "sdp-malformed"),
        ("hello", 422, "sdp-malformed"),
        (HEAD, 422, "sdp-without-media"),
        (HEAD + VIDEO, 422, "no-opus-audio"),
        (HEAD + "m=audio 9\r\n", 422, "sdp-malformed"),
        (HEAD + AUDIO.replace("m=audio 9", "m=audio 0"), 422, "no-opus-audio"),
        (HEAD + VIDEO * 21, 422, "sdp-too-many-sections"),
        (HEAD + "a=x:" + "y" * MAX_BYTES, 413, "sdp-too-large"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(text: str, status: int, code: str) -> None:
    with pytest.raises(CallerError) as caught:
        read_offer(text)
    assert (caught.value.status, caught.value.code) == (status, code)


@given(st.text(max_size=300), st.integers(0, 500))
def test_any_text_is_read_or_refused(noise: str, at: int) -> None:
    text = HEAD + AUDIO
    for candidate in (noise, text[:at] + noise + text[at:], text[:at]):
        try:
            offer = read_offer(candidate)
        except CallerError:
            continue
        assert any(section.is_ours for section in offer.sections)
