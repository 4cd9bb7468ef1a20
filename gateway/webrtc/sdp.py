"""Text work on offers and answers: limits, what an offer says of its sender, and the answer from a template."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from tongpin.gateway.errors import CallerError

MAX_BYTES = 32 * 1024
MAX_SECTIONS = 20
MAX_CANDIDATES = 16
FMTP = "minptime=20;useinbandfec=1;stereo=0;sprop-stereo=0;maxaveragebitrate=40000;usedtx=0"
"""Mono, FEC, no DTX. 40 kbit/s and no maxplaybackrate: wide-band clean speech scores PESQ > 3.8 after one encoding."""
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

_RTPMAP_OPUS = re.compile(r"^a=rtpmap:(\d+) opus/48000/2\s*$", re.IGNORECASE)
_EXTMAP = re.compile(r"^a=extmap:(\d+)(?:/\w+)? (\S+)")
_FRAGMENT = re.compile(r"[A-Za-z0-9+/_=-]{4,256}")  # browsers keep to ice-char; some libraries do not
_PASSWORD = re.compile(r"[A-Za-z0-9+/_=-]{22,256}")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line of an offer.

    Attributes:
        is_ours: audio with Opus; anything else is turned down.
        payload_type: Opus's number; 0 when it is not ours.
        level_id: the header extension with the audio level, or None.
    """

    media: str
    mid: str | None
    direction: str
    is_ours: bool
    payload_type: int = 0
    level_id: int | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered: one bundle of our m-lines over one transport.

    Attributes:
        sections: all m-lines, in order.
        setup: the DTLS role it offers: ``actpass``, ``active`` or ``passive``.
        fingerprints: by digest name in lower case.
        candidates: addresses and ports; names (mDNS) and TCP are left out.
    """

    sections: tuple[Section, ...]
    fragment: str
    password: str
    setup: str
    fingerprints: Mapping[str, str]
    is_lite: bool
    candidates: tuple[tuple[str, int], ...]

    @property
    def ours(self) -> list[Section]:
        return [section for section in self.sections if section.is_ours]


@dataclass(slots=True)
class _Block:
    """The lines of the session part or of one m-line, by what we look for."""

    words: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    direction: str | None = None
    opus: list[int] = field(default_factory=list)
    level_id: int | None = None
    fingerprints: dict[str, str] = field(default_factory=dict)
    candidates: list[tuple[str, int]] = field(default_factory=list)
    is_lite: bool = False

    def take(self, line: str) -> None:
        if not line.startswith("a="):
            return
        name, _, value = line[2:].partition(":")
        value = value.strip()
        if name in ("mid", "ice-ufrag", "ice-pwd", "setup"):
            self.values.setdefault(name, value)
        elif name in _DIRECTIONS:
            self.direction = name
        elif name == "rtpmap":
            found = _RTPMAP_OPUS.match(line)
            if found is not None:
                self.opus.append(int(found.group(1)))
        elif name == "extmap":
            found = _EXTMAP.match(line)
            if found is not None and found.group(2) == AUDIO_LEVEL and 1 <= int(found.group(1)) <= 255:
                self.level_id = int(found.group(1))
        elif name == "fingerprint":
            digest, _, text = value.partition(" ")
            self.fingerprints[digest.lower()] = text.strip()
        elif name == "candidate" and len(self.candidates) < MAX_CANDIDATES:
            candidate = read_candidate(value)
            if candidate is not None:
                self.candidates.append(candidate)
        elif name == "ice-lite":
            self.is_lite = True


def read_candidate(text: str) -> tuple[str, int] | None:
    """Address and port of a candidate that we may send to; None for names and TCP.

    Raises:
        ValueError: it is no candidate.
    """
    words = text.split()
    if len(words) < 8 or words[6] != "typ" or not words[5].isdigit() or not words[3].isdigit():
        raise ValueError("not a candidate")
    port = int(words[5])
    if words[2].lower() != "udp" or not 1 <= port <= 65_535:
        return None
    try:
        host = ip_address(words[4])
    except ValueError:
        return None
    return None if host.is_multicast or host.is_unspecified else (str(host), port)


def read_offer(text: str) -> Offer:
    """Check an offer.

    Raises:
        CallerError: 413 too large; 422 not an SDP offer with an Opus audio m-line over DTLS-SRTP.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise CallerError(413, "sdp-too-large", f"the offer is larger than {MAX_BYTES} bytes")
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if not lines or lines[0] != "v=0":
        raise CallerError(422, "sdp-malformed", "the offer is not SDP: it must begin with v=0")
    head = _Block()
    blocks: list[_Block] = []
    try:
        for line in lines:
            if line.startswith("m="):
                if len(blocks) == MAX_SECTIONS:
                    raise CallerError(422, "sdp-too-many-sections", f"the offer has more than {MAX_SECTIONS} m-lines")
                blocks.append(_Block(words=line[2:].split()))
                if len(blocks[-1].words) < 4:
                    raise CallerError(422, "sdp-malformed", f"m-line {len(blocks)} of the offer is cut short")
            else:
                (blocks[-1] if blocks else head).take(line)
    except ValueError as error:
        raise CallerError(422, "sdp-malformed", "the offer has a line that cannot be read") from error
    if not blocks:
        raise CallerError(422, "sdp-without-media", "the offer has no m-line")
    sections = tuple(_section(block, head) for block in blocks)
    first = next((block for block, section in zip(blocks, sections, strict=True) if section.is_ours), None)
    if first is None:
        raise CallerError(422, "no-opus-audio", "the offer has no audio m-line with Opus")

    def said(name: str) -> str:
        return first.values.get(name) or head.values.get(name) or ""

    fragment, password = said("ice-ufrag"), said("ice-pwd")
    if not _FRAGMENT.fullmatch(fragment) or not _PASSWORD.fullmatch(password):
        raise CallerError(422, "sdp-without-ice", "the offer has no usable a=ice-ufrag and a=ice-pwd")
    fingerprints = first.fingerprints or head.fingerprints
    if not fingerprints:
        raise CallerError(422, "sdp-without-dtls", "the offer has no a=fingerprint: only DTLS-SRTP is taken")
    setup = said("setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise CallerError(422, "sdp-malformed", f"the offer's a=setup:{setup} cannot be answered")
    candidates = tuple(dict.fromkeys(first.candidates + head.candidates))[:MAX_CANDIDATES]
    return Offer(sections, fragment, password, setup, fingerprints, head.is_lite, candidates)


def _section(block: _Block, head: _Block) -> Section:
    words = block.words
    offered = [int(word) for word in words[3:] if word.isascii() and word.isdigit() and len(word) <= 3]
    payloads = [payload for payload in offered if payload in block.opus and payload <= 127]
    is_ours = words[0] == "audio" and "SAVPF" in words[2] and words[1] != "0" and bool(payloads)
    return Section(
        words[0],
        block.values.get("mid"),
        block.direction or head.direction or "sendrecv",
        is_ours,
        payloads[0] if is_ours else 0,
        block.level_id,
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """What the answer says to one of our m-lines. ``ssrc`` is None when we send nothing there."""

    direction: str
    ssrc: int | None


def write_answer(
    offer: Offer,
    answered: Sequence[Answered],
    *,
    fragment: str,
    password: str,
    fingerprint: str,
    setup: str,
    candidates: str,
    port: int,
    name: str,
) -> str:
    """The answer, with the foreign m-lines turned down in their places.

    Args:
        answered: one for each of ``offer.ours``.
        candidates: their lines, from :func:`candidate_lines`.
        name: groups our tracks (CNAME and stream id).
    """
    mids = [section.mid for section in offer.ours if section.mid is not None]
    transport = (
        f"a=ice-ufrag:{fragment}\r\na=ice-pwd:{password}\r\na=ice-options:trickle\r\n"
        f"a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\n"
    )
    out = [f"v=0\r\no=- {int(fragment[:12], 16)} 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"]
    if mids:
        out.append(f"a=group:BUNDLE {' '.join(mids)}\r\n")
    out.append("a=msid-semantic:WMS *\r\n")
    ours = iter(answered)
    is_first = True
    for index, section in enumerate(offer.sections):
        mid = section.mid if section.mid is not None else str(index)
        if not section.is_ours:
            protocol = "UDP/DTLS/SCTP webrtc-datachannel" if section.media == "application" else "UDP/TLS/RTP/SAVPF 0"
            out.append(f"m={section.media} 0 {protocol}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:{mid}\r\n")
            continue
        said = next(ours)
        payload = section.payload_type
        out.append(
            f"m=audio {port} UDP/TLS/RTP/SAVPF {payload}\r\nc=IN IP4 0.0.0.0\r\na={said.direction}\r\n"
            f"a=mid:{mid}\r\na=rtcp-mux\r\n{transport}"
            f"a=rtpmap:{payload} opus/48000/2\r\na=fmtp:{payload} {FMTP}\r\na=ptime:20\r\na=maxptime:20\r\n"
        )
        if section.level_id is not None:
            out.append(f"a=extmap:{section.level_id} {AUDIO_LEVEL}\r\n")
        if said.ssrc is not None:
            out.append(f"a=msid:{name} {name}-{index}\r\na=ssrc:{said.ssrc} cname:{name}\r\n")
        if is_first:
            out.append(candidates)
            is_first = False
    return "".join(out)


def candidate_lines(addresses: Iterable[str], port: int, public_ip: str | None) -> str:
    """The candidates of this gateway: one host candidate for each address, and the public one behind a NAT."""
    addresses = list(addresses)
    lines = []
    for index, host in enumerate(addresses):
        priority = 126 << 24 | (65_535 - index) << 8 | 255
        lines.append(f"a=candidate:{index + 1} 1 udp {priority} {host} {port} typ host\r\n")
    if public_ip is not None and public_ip not in addresses:
        is_ipv6 = ":" in public_ip
        base = next((host for host in addresses if (":" in host) == is_ipv6), "::" if is_ipv6 else "0.0.0.0")
        priority = 100 << 24 | 65_535 << 8 | 255
        own = f"{len(addresses) + 1} 1 udp {priority} {public_ip} {port}"
        lines.append(f"a=candidate:{own} typ srflx raddr {base} rport {port}\r\n")
    return "".join([*lines, "a=end-of-candidates\r\n"])
