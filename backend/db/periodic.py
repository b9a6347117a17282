"""Something that is done again and again in the background, whatever one round of it meets.

That the database is away is expected, and told by those who need it; anything else is logged and does not end the
rounds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from backend.db.errors import DatabaseError

log = logging.getLogger(__name__)


class Periodic:
    """`work` each `every_s` seconds; `what` it is, for the log. Lives in one event loop."""

    def __init__(self, work: Callable[[], Awaitable[None]], every_s: float, what: str) -> None:
        self._work = work
        self._every_s = every_s
        self._what = what
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        """No further round; one that is under way is broken off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._work()
            except DatabaseError as error:
                log.debug("%s: not now: %s", self._what, error)
            except Exception:
                log.exception("%s failed", self._what)
