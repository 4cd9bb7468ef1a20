"""Stands for the gateway in a process of its own: keys one leg, says so, and holds the key until it is killed.

Run as ``python standin.py LEG_CONFIG_JSON``; prints ``keyed PID_OF_WORKER`` when the leg is.
"""

import asyncio
import sys

from tongpin.channels.ids import PartyId
from tongpin.config.models import LegConfig
from tongpin.gateway.media.packet import Packet
from tongpin.gateway.radio.messages import Signalled
from tongpin.gateway.radio.supervisor import LegStatus, LegSupervisor


class Speaker:
    """Keys the leg when it comes on line and reports when it is keyed."""

    def __init__(self, config: LegConfig) -> None:
        self.leg = LegSupervisor(config, self)

    def gate_moved(self, party: PartyId, is_open: bool, cause: str) -> None:
        """Not what this is for."""

    def packet(self, party: PartyId, packet: Packet) -> None:
        """Not what this is for."""

    def status(self, party: PartyId, status: LegStatus) -> None:
        """Not what this is for."""

    def online(self, party: PartyId, is_online: bool, reason: str) -> None:
        if is_online:
            self.leg.key()

    def keyed(self, party: PartyId, is_keyed: bool, cause: str) -> None:
        if is_keyed:
            print("keyed", self.leg.worker_pid, flush=True)

    def signalled(self, party: PartyId, signal: Signalled) -> None:
        """Not what this is for."""


if __name__ == "__main__":
    asyncio.run(Speaker(LegConfig.model_validate_json(sys.argv[1])).leg.run())
