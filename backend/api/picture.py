"""The topology as this server sees it: read at most a few times a second however many consoles ask, and watched while
somebody listens, so that a change is told within about a second.

While the database is away the picture says so within a few seconds, shows what Patroni tells, and the rest as it was
last known (`cluster.away`). So that something is known then, it is read now and then though nobody listens.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from backend.api.totals import QueueTotals
from backend.base.clock import Clock
from backend.cluster import away as without_database
from backend.cluster import databases, topology
from backend.cluster.agent import ClusterAgent
from backend.cluster.away import Away
from backend.cluster.events import EventHub
from backend.cluster.model import Snapshot
from backend.cluster.patroni import Patroni, Seen
from backend.cluster.service import read_snapshot
from backend.db.engine import Database, now_ms
from backend.db.errors import DatabaseAway, DatabaseError
from backend.printers.model import ProviderSeen
from backend.printers.queries import Totals, list_providers, list_queues
from backend.wire.base import Ledger
from backend.wire.cluster import Event, Topology
from backend.wire.printers import QueueView

log = logging.getLogger(__name__)

KEEP_S = 0.5
READ_WITHIN_S = 2.0
REMEMBER_S = 30.0
WATCH_S = 1.0
WATCH_FACTOR = 20.0
WATCH_LONGEST_S = 2.5


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
        self._known: Topology | None = None  # the last that the database told, and when
        self._known_at_s = float("-inf")
        self._totals = QueueTotals(database, clock)
        self._told = b""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._totals.close()

    async def topology(self) -> Topology:
        """The picture, at most KEEP_S old; also while the database is away."""
        async with self._lock:
            if self._kept is None or self._clock.monotonic_s() >= self._kept_until_s:
                self._kept = await self._read()
                self._kept_until_s = self._clock.monotonic_s() + KEEP_S
            return self._kept

    async def queues(self, queue_id: int | None = None) -> tuple[QueueView, ...]:
        """The queues as they are now, with what was printed on them. Raises DatabaseAway."""
        return await self._database.run(list_queues, await self._totals.current(), queue_id)

    async def _read(self) -> Topology:
        looking = asyncio.create_task(self._patroni.look())
        try:
            totals = await self._totals.current()
            reading = await self._database.look(READ_WITHIN_S, read, totals, self._agent.snapshot.heartbeat_s)
        except DatabaseAway as error:
            log.debug("the picture is drawn without the database: %s", error)
            return self._without_database(await looking)
        except BaseException:
            looking.cancel()
            raise
        seen = await looking
        self._known = await asyncio.to_thread(self._drawn, reading, seen, self._age_s(seen))
        self._known_at_s = self._clock.monotonic_s()
        return self._known

    def _age_s(self, seen: Seen | None) -> float:
        return max(0.0, self._clock.monotonic_s() - seen.at_s) if seen is not None else 0.0

    def _drawn(self, found: "Reading", seen: Seen | None, age_s: float) -> Topology:
        return topology.build(
            self._agent.seen(found.snapshot),  # the members' ages by this server's own clock
            self._agent.identity.name,
            found.now,
            found.providers,
            found.queues,
            databases.views(self._database.url.name, found.facts, seen, age_s),
            self._ledger,
        )

    def _without_database(self, seen: Seen | None) -> Topology:
        snapshot, now_ms = self._agent.snapshot, self._clock.now_ms()
        before, age_s = self._known, self._clock.monotonic_s() - self._known_at_s
        if before is None:  # never read: the members are known by this server's own beats at most
            facts = databases.Facts("sqlite" if self._database.is_sqlite else "postgresql")
            nothing = Reading(snapshot, now_ms, (), (), facts)
            before, age_s = self._drawn(nothing, None, 0.0), 0.0
        away = Away(self._database.away_since or now_ms, age_s, seen, self._age_s(seen))
        own = self._agent.identity.process
        return without_database.picture(before, away, snapshot, self._agent.seen(snapshot).members, own)

    async def _watch(self) -> None:
        pause_s = WATCH_S
        while True:
            await asyncio.sleep(pause_s)
            if not self._hub.listened_to and self._clock.monotonic_s() - self._known_at_s < REMEMBER_S:
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


class Reading(NamedTuple):
    """What one transaction read, as of `now` by the database's clock."""

    snapshot: Snapshot
    now: int
    providers: Sequence[ProviderSeen]
    queues: Sequence[QueueView]
    facts: databases.Facts


def read(conn: sa.Connection, totals: Totals, heartbeat_s: float) -> Reading:
    """Everything of the picture that the database knows."""
    return Reading(
        read_snapshot(conn, heartbeat_s),
        now_ms(conn),
        list_providers(conn),
        list_queues(conn, totals),
        databases.read_facts(conn),
    )
