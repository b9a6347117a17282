"""Work that is done again and again for as long as the daemon lives, each time as if for the first."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)


async def rounds(pause_s: float, look: Callable[[], Awaitable[None]], complaint: str) -> None:
    """For ever: a pause, then `look`. A round that fails unforeseen is told in the log and is not the last."""
    while True:
        await asyncio.sleep(pause_s)
        try:
            await look()
        except Exception:  # noqa: BLE001  # the edge of a loop that must outlive whatever one round meets
            _log.exception("%s", complaint)
