"""SRTP sessions of one peer, and the one private name of pylibsrtp that the native fan-out needs."""

from collections.abc import Callable
from typing import cast

import pylibsrtp
from pylibsrtp import Policy, Session, _binding

from tongpin.gateway.webrtc.dtls import SrtpKeys

WINDOW = 1024
"""Packets that a replayed one may lag behind: 20 s of sound."""

Failure = pylibsrtp.Error
"""A packet that is forged, replayed, or cannot be encrypted."""


RxSession = Session


def protect_address() -> int:
    """Where libsrtp's ``srtp_protect`` lies in this process; the native fan-out calls it."""
    ffi = _binding.ffi
    return int(ffi.cast("uintptr_t", ffi.addressof(_binding.lib, "srtp_protect")))


class TxSession:
    """Outgoing; implements :class:`tongpin.gateway.media.destination.Protector`. One thread at a time.

    The fan-out has one for RTP, the event loop another under the same keys for RTCP, so that neither waits.
    """

    __slots__ = ("_session", "handle", "protect", "protect_rtcp")

    def __init__(self, keys: SrtpKeys) -> None:
        policy = Policy(key=keys.ours, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=keys.profile.number)
        # A source's packets may come out of order, and go out as they come.
        policy.allow_repeat_tx = True
        policy.window_size = WINDOW
        self._session = Session(policy)
        self.protect = cast(Callable[[bytes], bytes], self._session.protect)
        self.protect_rtcp = cast(Callable[[bytes], bytes], self._session.protect_rtcp)
        self.handle = int(_binding.ffi.cast("uintptr_t", self._session._srtp[0]))


def rx_session(keys: SrtpKeys) -> RxSession:
    """Incoming, RTP and RTCP: authenticated, decrypted, and never twice the same."""
    policy = Policy(key=keys.theirs, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=keys.profile.number)
    policy.window_size = WINDOW
    return Session(policy)
