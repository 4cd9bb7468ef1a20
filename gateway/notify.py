"""What systemd wants to hear of a ``Type=notify`` service: one datagram each (sd_notify(3))."""

import asyncio
import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Tell the service manager, if one listens. Never fails: a service must not die of its manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
        sender.send(state.encode())


def watchdog_s() -> float | None:
    """How often the service manager wants a sign of life, or None when it wants none of this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        limit_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return limit_us / 3e6 if limit_us > 0 else None


async def keep_alive() -> None:
    """Say that the event loop turns, until cancelled. Ends at once when nobody wants to hear it."""
    interval_s = watchdog_s()
    while interval_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
