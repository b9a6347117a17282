"""The topology as this server sees it: read at most a few times a second however many consoles ask, and watched while
somebody listens, so that a change is told within about a second.

What was printed on each queue is summed over the whole history of jobs; the sum is kept for twenty times as long as it
took to make, which keeps it fresh where the history is short and cheap where it is long.
"""

import asyncio
import logging
from collections.abc import Callable

import sqlalchemy as sa

from backend.base.clock import Clock
from backend.cluster import databases, topology
from backend.cluster.agent import ClusterAgent
from backend.cluster.events import EventHub
from backend.cluster.model import Snapshot
from backend.cluster.patroni import Patroni, Seen
from backend.cluster.service import read_snapshot
from backend.db.engine import Database, now_ms
from backend.db.errors import DatabaseError
from backend.jobs.queries import queue_totals
from backend.printers.queries import Totals, list_providers, list_queues
from backend.wire.messages import Event, Ledger, QueueView, Topology

log = logging.getLogger(__name__)

KEEP_S = 0.5
WATCH_S = 1.0
WATCH_FACTOR = 20.0
WATCH_LONGEST_S = 2.5
TOTALS_FACTOR = 20.0
TOTALS_LONGEST_S = 300.0


class Picture:
    """Lives in one event loop."""

    def __init__(
        self, database: Database, agent: ClusterAgent, hub: EventHub, clock: Clock, ledger: Ledger, patroni: Patroni
    ) -> None:
        self._database = database
        self._agent = agent
        self._hub = hub
        self._clock = clock
        self._ledger = ledger
        self._patroni = patroni
        self._lock = asyncio.Lock()
        self._kept: Topology | None = None
        self._kept_until_s = 0.0
        self._totals: Totals = {}
        self._totals_until_s = float("-inf")
        self._told = b""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def topology(self) -> Topology:
        """The picture, at most KEEP_S old. Raises DatabaseAway."""
        async with self._lock:
            if self._kept is None or self._clock.monotonic_s() >= self._kept_until_s:
                self._kept = await self._read()
                self._kept_until_s = self._clock.monotonic_s() + KEEP_S
            return self._kept

    async def queues(self, queue_id: int | None = None) -> tuple[QueueView, ...]:
        """The queues as they are now, with what was printed on them. Raises DatabaseAway."""
        return await self._database.run(list_queues, await self._current_totals(), queue_id)

    async def _current_totals(self) -> Totals:
        begun_s = self._clock.monotonic_s()
        if begun_s >= self._totals_until_s:
            self._totals = await self._database.run(queue_totals)
            ended_s = self._clock.monotonic_s()
            self._totals_until_s = ended_s + min(TOTALS_LONGEST_S, TOTALS_FACTOR * (ended_s - begun_s) - 0.2)
        return self._totals

    async def _read(self) -> Topology:
        snapshot = self._agent.snapshot
        seen = await self._patroni.look()
        age_s = max(0.0, self._clock.monotonic_s() - seen.at_s) if seen is not None else 0.0
        totals = await self._current_totals()
        return await self._database.run(
            read_topology,
            totals,
            snapshot.heartbeat_s,
            self._agent.identity.name,
            self._database.url.name,
            self._ledger,
            self._agent.seen,
            seen,
            age_s,
        )

    async def _watch(self) -> None:
        pause_s = WATCH_S
        while True:
            await asyncio.sleep(pause_s)
            if not self._hub.listened_to:
                continue
            begun_s = self._clock.monotonic_s()
            try:
                seen = await self.topology()
            except DatabaseError as error:
                log.debug("the topology cannot be read: %s", error)
                continue
            except Exception:
                log.exception("the topology cannot be watched")
                continue
            finally:
                # A large site's picture takes long to draw; it may be a little older, but not eat up a processor.
                took_s = self._clock.monotonic_s() - begun_s
                pause_s = min(WATCH_LONGEST_S, max(WATCH_S, WATCH_FACTOR * took_s))
            print_of_it = topology.fingerprint(seen)
            if print_of_it != self._told:
                self._told = print_of_it
                self._hub.tell(Event(kind="topology", at=seen.as_of, detail=seen.verdict))


def read_topology(
    conn: sa.Connection,
    totals: Totals,
    heartbeat_s: float,
    seen_by: str,
    database_name: str,
    ledger: Ledger,
    corrected: Callable[[Snapshot], Snapshot],
    seen: Seen | None,
    age_s: float,
) -> Topology:
    """Everything the picture needs, from one transaction and what Patroni told `age_s` ago; the members' ages by the
    reader's own clock."""
    snapshot = corrected(read_snapshot(conn, heartbeat_s))
    return topology.build(
        snapshot,
        seen_by,
        now_ms(conn),
        list_providers(conn),
        list_queues(conn, totals),
        databases.views(database_name, databases.read_facts(conn), seen, age_s),
        ledger,
    )
