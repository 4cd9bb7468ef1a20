"""Makes peers, and does for all of them together what would otherwise be tasks of each: silence tails, RTCP."""

import asyncio
from collections.abc import Callable
from time import monotonic

from tongpin.channels.ids import PartyId
from tongpin.codecs.opus import silence_packet
from tongpin.config.models import WebrtcConfig
from tongpin.gateway.errors import CallerError
from tongpin.gateway.webrtc import seam
from tongpin.gateway.webrtc.peer import MediaPeer, OnPacket, OnSlot

TICK_S = 0.02
REPORT_EVERY_S = 1.0


class MediaEngine:
    """Event-loop thread only. :meth:`run` must be a task while peers live.

    Args:
        max_peers: further peers are refused with 503.
    """

    def __init__(self, config: WebrtcConfig, max_peers: int = 1_000) -> None:
        seam.check_versions()
        seam.choose_addresses(config.interfaces, include_loopback=config.include_loopback)
        self._config = config
        self._max_peers = max_peers
        self._silence = silence_packet()
        self._peers: dict[PartyId, MediaPeer] = {}
        self._owing: set[MediaPeer] = set()
        self._has_tails = asyncio.Event()

    @property
    def peers(self) -> tuple[MediaPeer, ...]:
        return tuple(self._peers.values())

    def create_peer(
        self,
        party: PartyId,
        on_packet: OnPacket,
        on_slot: OnSlot,
        on_closed: Callable[[str], None],
        *,
        slots: int | None = None,
        newest_wins: bool = False,
    ) -> MediaPeer:
        """A peer for a party that has none. ``on_closed`` is told when it goes by itself; it still has to be closed.

        Raises:
            CallerError: 503 when there are as many peers as this gateway takes.
        """
        if len(self._peers) >= self._max_peers:
            raise CallerError(503, "too-many-peers", f"this gateway takes {self._max_peers} connections at most")
        peer = MediaPeer(
            party,
            self._config.slots if slots is None else slots,
            self._silence,
            self._config.ice_servers,
            on_packet,
            on_slot,
            on_closed,
            self._tail_owed,
            self._forget,
            newest_wins=newest_wins,
        )
        self._peers[party] = peer
        return peer

    async def run(self) -> None:
        """The shared ticks: 20 ms while silence is owed, RTCP once a second. Ends by cancellation."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_tails())
            tasks.create_task(self._run_reports())

    async def close(self) -> None:
        for peer in self.peers:
            await peer.close()

    def _forget(self, peer: MediaPeer) -> None:
        if self._peers.get(peer.party) is peer:
            del self._peers[peer.party]
        self._owing.discard(peer)

    def _tail_owed(self, peer: MediaPeer) -> None:
        self._owing.add(peer)
        self._has_tails.set()

    async def _run_tails(self) -> None:
        due = 0.0
        while True:
            if not self._owing:
                self._has_tails.clear()
                await self._has_tails.wait()
                due = monotonic() + TICK_S
            await asyncio.sleep(max(0.0, due - monotonic()))
            due = max(due + TICK_S, monotonic() - TICK_S)
            self._owing = {peer for peer in self._owing if peer.send_tails()}

    async def _run_reports(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            now = monotonic()
            for peer in self.peers:
                peer.report(now)
