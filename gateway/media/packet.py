"""The one thing that moves through the gateway."""

from dataclasses import dataclass

PACKET_SAMPLES = 960
"""Samples of 48 kHz that one packet holds: 20 ms."""


@dataclass(slots=True)
class Packet:
    """One Opus packet of 20 ms, mono. Written once by its source, read by every sink, changed by none.

    Attributes:
        payload: Opus bytes, 1–1275.
        sequence: 0–65535, by one per packet within a talk; a jump is a loss. The source's own numbering.
        timestamp: 0–2^32-1, samples at 48 kHz. The source's own origin.
    """

    payload: bytes
    sequence: int
    timestamp: int
