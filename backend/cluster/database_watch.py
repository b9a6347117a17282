"""Looks at the database cluster about once a second; what has changed goes into the history while this member leads.

Every member looks, so that one that becomes the leader in the middle of a failover knows what was before it.
"""

import time
from collections.abc import Callable

from backend.cluster import databases
from backend.cluster.databases import Mark
from backend.cluster.patroni import Patroni
from backend.db.engine import Database
from backend.db.periodic import Periodic

EVERY_S = 1.0
NAME_WITHIN_S = 10.0  # so long Patroni may take to tell the name of a new primary that takes writes already


class DatabaseWatch:
    """`term` gives the term this member leads, 0 while it does not; `process` is who holds it."""

    def __init__(self, database: Database, patroni: Patroni, term: Callable[[], int], process: str) -> None:
        self._database = database
        self._patroni = patroni
        self._term = term
        self._process = process
        self._before: Mark | None = None  # of the last look at which the history was up to date, or nothing changed
        self._noted: tuple[int, Mark] | None = None
        self._unnamed_since_s: float | None = None
        self._rounds = Periodic(self.look, EVERY_S, "looking at the database cluster")

    def start(self) -> None:
        if not self._database.is_sqlite:  # one file has no history
            self._rounds.start()

    async def close(self) -> None:
        await self._rounds.close()
        await self._patroni.close()

    async def look(self) -> None:
        """Look once, and write down what changed. Raises DatabaseError."""
        seen = await self._patroni.look()
        now = databases.still_named(databases.mark(await self._database.run(databases.read_facts), seen), self._before)
        if not now.timeline:
            return
        term = self._term()
        if self._is_to_be_named(now):
            return
        if term and self._noted != (term, now):
            away_ms = self._database.last_outage_ms()
            await self._database.write(databases.note, term, self._process, now, self._before, away_ms)
            self._noted, self._before = (term, now), now
        elif not term and (self._before is None or self._before.timeline == now.timeline):
            self._before = now

    def _is_to_be_named(self, now: Mark) -> bool:
        """Whether a change is told a little later, by the new primary's name instead of its address."""
        changed = self._before is not None and self._before.timeline != now.timeline
        if now.named or not changed or not self._patroni.has_addresses:
            self._unnamed_since_s = None
            return False
        now_s = time.monotonic()
        self._unnamed_since_s = self._unnamed_since_s or now_s
        return now_s - self._unnamed_since_s < NAME_WITHIN_S
