"""What systemd is told (sd_notify(3)): ready, stopping, and that the event loop still turns.

Without NOTIFY_SOCKET, which systemd sets for a unit of Type=notify, nothing is said and nothing fails. The watchdog is
pinged from the event loop itself: a loop that is stuck goes silent, and systemd starts the program anew.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(*words: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager, if there is one that wants to know."""
    place = environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as to:
            to.sendto("\n".join(words).encode(), address)
    except OSError as error:
        log.warning("the service manager cannot be told %s: %s", words[0], error.strerror)


def still_starting(within_s: int, status: str) -> None:
    """More time to become ready is needed, and why."""
    notify(f"EXTEND_TIMEOUT_USEC={within_s * 1_000_000}", f"STATUS={status}")


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two signs of life, a third of what the unit's WatchdogSec allows; None where none are wanted."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 3_000_000


async def keep_alive() -> None:
    """Ping the watchdog for ever; ends at once where there is none. A task of the loop that is watched."""
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        notify(WATCHDOG)
        await asyncio.sleep(interval_s)
