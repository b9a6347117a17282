"""What was printed on each queue, at a cost that does not grow with the history.

Jobs of the last SETTLED_MS are summed anew each time; older ones once, page by page, and again each RECOUNT_S, since
a late report may still change one of them. So a sum is right within some hours for what is old, and within a fraction
of a second for what is new; each statement reads at most PAGE jobs, or those of a day.

The sum of a day is kept for twenty times as long as it took to make. While the history is counted for the first time
the totals are those of what was counted so far.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from backend.base.clock import Clock
from backend.base.ids import uuid7
from backend.db.engine import Database
from backend.db.errors import DatabaseError
from backend.jobs.queries import page_end, queue_totals

log = logging.getLogger(__name__)

Sums = Mapping[int, tuple[int, int]]

SETTLED_MS: Final = 24 * 3_600_000
RECOUNT_S: Final = 6 * 3600.0
PAGE: Final = 100_000
SUM_WITHIN_S: Final = 4.0
FACTOR: Final = 20.0
LONGEST_S: Final = 300.0
AGAIN_S: Final = 5.0
WAIT_S: Final = 1.0


class QueueTotals:
    """Lives in one event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._old: Sums = {}
        self._new: Sums = {}
        self._end = ""  # the first job that is not among the old
        self._recount_at_s = float("-inf")
        self._until_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def current(self) -> Sums:
        """Queue -> jobs that printed something, and their impressions; older ones where new ones take long."""
        if self._clock.monotonic_s() >= self._until_s and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._sum())
        if self._task is not None:
            await asyncio.wait([self._task], timeout=WAIT_S)
        return added(self._old, self._new)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _sum(self) -> None:
        begun_s = self._clock.monotonic_s()
        try:
            if begun_s >= self._recount_at_s:
                await self._recount()
            begun_s = self._clock.monotonic_s()
            self._new = await self._database.look(SUM_WITHIN_S, queue_totals, self._end)
        except DatabaseError as error:
            log.debug("what was printed cannot be summed: %s", error)
            self._until_s = self._clock.monotonic_s() + AGAIN_S
        else:
            ended_s = self._clock.monotonic_s()
            self._until_s = ended_s + min(LONGEST_S, FACTOR * (ended_s - begun_s) - 0.2)

    async def _recount(self) -> None:
        """Sum the history up to SETTLED_MS ago, page by page. Raises DatabaseError, and then the sums are as before."""
        last = uuid7(max(0, self._clock.now_ms() - SETTLED_MS), 0)
        sums: Sums = {}
        start = ""
        while start < last:
            end = await self._database.look(SUM_WITHIN_S, page_end, start, last, PAGE)
            sums = added(sums, await self._database.look(SUM_WITHIN_S, queue_totals, start, end))
            start = end
        self._old, self._end = sums, last
        self._recount_at_s = self._clock.monotonic_s() + RECOUNT_S


def added(one: Sums, two: Sums) -> dict[int, tuple[int, int]]:
    """Both together, queue by queue."""
    found = dict(one)
    for queue_id, (jobs, impressions) in two.items():
        before = found.get(queue_id, (0, 0))
        found[queue_id] = (before[0] + jobs, before[1] + impressions)
    return found
