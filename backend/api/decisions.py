"""What was decided of jobs that wait, told to the print servers that ask each half second. From memory: however many
ask, the database is read once in KEEP_S, and not at all while nobody asks.

Invariant: what this server itself has committed is in the next answer that it gives.
"""

import asyncio

from backend.base.clock import Clock
from backend.db.engine import Database
from backend.jobs.service import Decisions, decisions
from backend.wire.jobs import JobDecision

KEEP_S = 0.25


class Desk:
    """Lives in one event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: Decisions = {}
        self._until_s = float("-inf")
        self._news = 0

    def note(self) -> None:
        """Something was decided here: what is known is not all any more."""
        self._news += 1
        self._until_s = float("-inf")

    async def decided(self, provider_id: int) -> tuple[JobDecision, ...]:
        """All that this provider has to carry out. Raises DatabaseAway."""
        async with self._lock:
            if self._clock.monotonic_s() >= self._until_s:
                news = self._news
                self._known = await self._database.run(decisions)
                if news == self._news:  # else it may have been read before that was committed
                    self._until_s = self._clock.monotonic_s() + KEEP_S
            return self._known.get(provider_id, ())
