"""Notes who looked at whom, and who was refused, without making them wait for it.

A console reads the person on its screen every few seconds: the same by the same caller is noted once in AGAIN_S. What
is to be noted is written about once a second, and once more at the end; while the database is away at most MAX_WAITING
are kept, the rest is counted in the log.
"""

import logging
from collections import deque

from backend.access.audit import write_audits
from backend.access.model import Principal
from backend.base.clock import Clock
from backend.db.engine import Database
from backend.db.errors import DatabaseError
from backend.db.periodic import Periodic

AGAIN_S = 600.0
REFUSED_AGAIN_S = 10.0
WRITE_EVERY_S = 1.0
MAX_REMEMBERED = 20_000
MAX_WAITING = 10_000
AT_ONCE = 500

log = logging.getLogger(__name__)

Entry = tuple[str, str, str, str, str]


class Looks:
    """Lives in one event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[tuple[str, str, str], float] = {}
        self._waiting: deque[Entry] = deque()
        self._lost = 0
        self._rounds = Periodic(self.write, WRITE_EVERY_S, "noting who looked")

    def start(self) -> None:
        self._rounds.start()

    async def close(self) -> None:
        await self._rounds.close()
        await self.write()

    def looked(self, who: Principal, action: str, subject: str, detail: str = "") -> None:
        """Somebody looked at a person."""
        self._note(who, action, subject, detail, AGAIN_S)

    def refused(self, who: Principal, operation: str, path: str) -> None:
        """Somebody tried what their role may not do."""
        self._note(who, "refused", operation, path, REFUSED_AGAIN_S)

    async def write(self) -> None:
        """Write what waits. What cannot be written now waits on."""
        while self._waiting:
            entries = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            try:
                await self._database.write(write_audits, entries)
            except DatabaseError as error:
                self._waiting.extendleft(reversed(entries))
                log.debug("who looked cannot be noted now: %s", error)
                return
        if self._lost:
            log.warning("%d looks were not noted: the database was away for too long", self._lost)
            self._lost = 0

    def _note(self, who: Principal, action: str, subject: str, detail: str, again_s: float) -> None:
        key, now_s = (who.actor, action, subject), self._clock.monotonic_s()
        noted_s = self._noted.get(key)
        if noted_s is not None and now_s - noted_s < again_s:
            return
        self._noted.pop(key, None)  # so that the oldest stand first
        self._noted[key] = now_s
        if len(self._noted) > MAX_REMEMBERED:
            del self._noted[next(iter(self._noted))]
        if len(self._waiting) >= MAX_WAITING:
            self._lost += 1
            return
        self._waiting.append((who.actor, who.role, action, subject, detail))
