"""Text work on offers and answers: limits, foreign m-lines, Opus only, and how we want it sent."""

import re
from dataclasses import dataclass

from tongpin.gateway.errors import CallerError

MAX_BYTES = 32 * 1024
MAX_SECTIONS = 20
FMTP = "minptime=20;useinbandfec=1;stereo=0;sprop-stereo=0;maxaveragebitrate=40000;usedtx=0"
"""Mono, FEC, no DTX. 40 kbit/s and no maxplaybackrate: wide-band clean speech scores PESQ > 3.8 after one encoding."""

_RTPMAP_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000/2\s*$", re.IGNORECASE | re.MULTILINE)
_PAYLOAD_LINE = re.compile(r"^a=(?:rtpmap|fmtp|rtcp-fb):(\d+)\b")
_MID = re.compile(r"^a=mid:(\S+)\s*$", re.MULTILINE)
_DIRECTION = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line of an offer. ``is_ours`` = audio with Opus; anything else is turned down."""

    media: str
    mid: str | None
    direction: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that aiortc can take.

    Attributes:
        sdp: the text with only our m-lines, Opus only.
        sections: all m-lines of the original, in order.
    """

    sdp: str
    sections: tuple[Section, ...]

    @property
    def ours(self) -> list[Section]:
        return [section for section in self.sections if section.is_ours]


def read_offer(text: str) -> Offer:
    """Check and prepare an offer.

    Raises:
        CallerError: 413 too large; 422 not an SDP offer with an Opus audio m-line.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise CallerError(413, "sdp-too-large", f"the offer is larger than {MAX_BYTES} bytes")
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if not lines or lines[0] != "v=0":
        raise CallerError(422, "sdp-malformed", "the offer is not SDP: it must begin with v=0")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    if not starts:
        raise CallerError(422, "sdp-without-media", "the offer has no m-line")
    if len(starts) > MAX_SECTIONS:
        raise CallerError(422, "sdp-too-many-sections", f"the offer has more than {MAX_SECTIONS} m-lines")
    head = lines[: starts[0]]
    session_direction = _DIRECTION.search("\n".join(head))
    sections: list[Section] = []
    kept: list[str] = []
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        part = lines[start:end]
        words = part[0][2:].split()
        if len(words) < 4:
            raise CallerError(422, "sdp-malformed", f"m-line {len(sections) + 1} of the offer is cut short")
        body = "\n".join(part)
        mid = _MID.search(body)
        direction = _DIRECTION.search(body) or session_direction
        payloads = set(_RTPMAP_OPUS.findall(body)) & set(words[3:])
        is_ours = words[0] == "audio" and "SAVPF" in words[2] and words[1] != "0" and bool(payloads)
        sections.append(
            Section(words[0], mid.group(1) if mid else None, direction.group(1) if direction else "sendrecv", is_ours)
        )
        if is_ours:
            kept += _opus_only(part, words, payloads)
    if not any(section.is_ours for section in sections):
        raise CallerError(422, "no-opus-audio", "the offer has no audio m-line with Opus")
    mids = [section.mid for section in sections if section.is_ours and section.mid is not None]
    head = [line for line in head if not line.startswith("a=group:")]
    if mids:
        head.append("a=group:BUNDLE " + " ".join(mids))
    return Offer("\r\n".join([*head, *kept]) + "\r\n", tuple(sections))


def _opus_only(part: list[str], words: list[str], payloads: set[str]) -> list[str]:
    first = min(payloads, key=words.index)
    out = ["m=" + " ".join([*words[:3], first])]
    for line in part[1:]:
        payload = _PAYLOAD_LINE.match(line)
        if payload is None or payload.group(1) == first:
            out.append(line)
    return out


def finish_answer(text: str, offer: Offer) -> str:
    """Say how we want Opus sent, and turn down the foreign m-lines in their places."""
    blocks = re.split(r"(?m)^(?=m=)", text.replace("\r\n", "\n"))
    ours = iter(blocks[1:])
    out = [blocks[0]]
    for index, section in enumerate(offer.sections):
        if section.is_ours:
            out.append(_with_fmtp(next(ours)))
        else:
            mid = section.mid if section.mid is not None else str(index)
            out.append(f"m={section.media} 0 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 0.0.0.0\na=inactive\na=mid:{mid}\n")
    return "".join(out).replace("\n", "\r\n")


def _with_fmtp(block: str) -> str:
    found = _RTPMAP_OPUS.search(block)
    if found is None:
        return block
    payload = found.group(1)
    lines = [line for line in block.split("\n") if line and not line.startswith((f"a=fmtp:{payload} ", "a=ptime:"))]
    at = lines.index(found.group(0).rstrip())
    lines[at + 1 : at + 1] = [f"a=fmtp:{payload} {FMTP}", "a=ptime:20", "a=maxptime:20"]
    return "\n".join(lines) + "\n"
