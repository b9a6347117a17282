"""Heartbeats of providers, gathered: one write a second for all of them, whatever their number.

A heartbeat is answered from memory; only one that brings news of queues waits for the write, so that what the provider
reads next is there. Its loss costs nothing: the next one comes in two seconds. Queue rows are written when they
changed, when the provider comes (back) to this server, and once a minute; open jobs are renewed once a minute. When all
providers come at once, as after a restart, their news is written in parts that each take a bounded time.

Invariant: while this server cannot write it says so, so that the provider goes to another one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from backend.access.model import Principal
from backend.base.clock import Clock
from backend.db.engine import Database
from backend.db.errors import DatabaseAway, DatabaseError
from backend.jobs.service import renew
from backend.printers.model import Beat
from backend.printers.queries import queue_policies
from backend.printers.service import record_beats
from backend.wire.printers import Heartbeat, QueuePolicy, QueueReport

log = logging.getLogger(__name__)

FLUSH_S = 1.0
REWRITE_S = 60.0
RENEW_S = 60.0
POLICIES_S = 5.0  # so old may be what a provider is told of its queues: it goes by it only while no server answers
AWAY_S = 10.0
FRESH_S = 3.0
FORGET_S = 600.0
MAX_QUEUES = 1_000  # of which there is news in one transaction, but at least one provider's

Waiters = dict[int, list[asyncio.Future[None]]]
Policies = dict[int, tuple[QueuePolicy, ...]]


@dataclass
class _Seen:
    """What this server knows of one provider between two heartbeats."""

    queues: tuple[QueueReport, ...] = ()
    queues_at_s: float = float("-inf")
    seen_at_s: float = float("-inf")
    policies: tuple[QueuePolicy, ...] = ()
    policies_at_s: float = float("-inf")
    renewed_at_s: dict[str, float] = field(default_factory=dict)


class Renewal(msgspec.Struct, frozen=True):
    """These printings of a provider are open."""

    provider_id: int
    job_ids: tuple[str, ...]


class Heartbeats:
    """Lives in one event loop; `server` is this member's name."""

    def __init__(self, database: Database, clock: Clock, server: str) -> None:
        self._database = database
        self._clock = clock
        self._server = server
        self._seen: dict[int, _Seen] = {}
        self._beats: dict[int, Beat] = {}
        self._renewals: dict[int, Renewal] = {}
        self._waiters: Waiters = {}
        self._now = asyncio.Event()
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what waits, as far as the database lets us."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._flush()

    async def take(self, who: Principal, body: Heartbeat) -> tuple[QueuePolicy, ...]:
        """Note a heartbeat; the policies of the provider's queues. Raises DatabaseAway."""
        now_s = self._clock.monotonic_s()
        seen = self._seen.setdefault(who.provider_id, _Seen())
        queues = tuple(sorted(body.queues, key=lambda queue: queue.name))
        returned = now_s - seen.seen_at_s > AWAY_S
        changed = returned or queues != seen.queues
        due = changed or now_s - seen.queues_at_s >= REWRITE_S
        seen.seen_at_s = now_s
        waiting = self._beats.get(who.provider_id)
        news = queues if due else waiting.queues if waiting is not None else None
        self._beats[who.provider_id] = Beat(who.provider_id, who.name, self._server, body, news)
        self._note_open_jobs(who.provider_id, seen, body.open_jobs, now_s)
        if changed:
            await self._wait_for_flush(who.provider_id)
        elif self._trouble:
            raise DatabaseAway(self._trouble)
        return seen.policies

    def _note_open_jobs(self, provider_id: int, seen: _Seen, open_jobs: tuple[str, ...], now_s: float) -> None:
        current = set(open_jobs)
        seen.renewed_at_s = {job_id: at_s for job_id, at_s in seen.renewed_at_s.items() if job_id in current}
        due = tuple(sorted(job_id for job_id in current if now_s - seen.renewed_at_s.get(job_id, -1e9) >= RENEW_S))
        if due:
            self._renewals[provider_id] = Renewal(provider_id, due)

    async def _wait_for_flush(self, provider_id: int) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(provider_id, []).append(waiter)
        self._now.set()
        await waiter

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), FLUSH_S)
            self._now.clear()
            await self._flush()

    async def _flush(self) -> None:
        """Write all that waits now, in parts. When the database goes away everybody is told so."""
        waiting, self._beats = self._beats, {}
        waiters, self._waiters = self._waiters, {}
        while waiting:
            beats = {provider_id: waiting[provider_id] for provider_id in next_part(waiting)}
            renewals = {key: self._renewals.pop(key) for key in beats if key in self._renewals}
            ask = [key for key, beat in beats.items() if self._wants_policies(beat)]
            try:
                policies = await self._database.write(write_beats, tuple(beats.values()), tuple(renewals.values()), ask)
            except DatabaseError as error:
                self._renewals = renewals | self._renewals
                self._failed(waiting, error)
                for provider_id in waiters:
                    _tell(waiters, provider_id, DatabaseAway(str(error)))
                return
            except Exception as error:
                # Something in them cannot be written. They come again in two seconds; those of others must go on.
                log.exception("heartbeats of %s could not be written", ", ".join(beat.name for beat in beats.values()))
                for provider_id in beats:
                    _tell(waiters, provider_id, error)
            else:
                self._written(beats, renewals, policies)
                for provider_id in beats:
                    _tell(waiters, provider_id, None)
            for provider_id in beats:
                del waiting[provider_id]

    def _wants_policies(self, beat: Beat) -> bool:
        at_s = self._seen[beat.provider_id].policies_at_s
        return beat.queues is not None or self._clock.monotonic_s() - at_s >= POLICIES_S

    def _written(self, beats: dict[int, Beat], renewals: dict[int, Renewal], policies: Policies) -> None:
        self._trouble = ""
        now_s = self._clock.monotonic_s()
        for provider_id, beat in beats.items():
            seen = self._seen[provider_id]
            if provider_id in policies:
                seen.policies, seen.policies_at_s = policies[provider_id], now_s
            if beat.queues is not None:
                seen.queues, seen.queues_at_s = beat.queues, now_s
        for provider_id, renewal in renewals.items():
            self._seen[provider_id].renewed_at_s.update(dict.fromkeys(renewal.job_ids, now_s))
        for provider_id in [key for key, seen in self._seen.items() if now_s - seen.seen_at_s > FORGET_S]:
            del self._seen[provider_id]

    def _failed(self, beats: dict[int, Beat], error: DatabaseError) -> None:
        if not self._trouble:
            log.warning("heartbeats cannot be written: %s", error)
        self._trouble = str(error)
        # An old heartbeat must not be written later as if the provider had just been seen here.
        fresh_s = self._clock.monotonic_s() - FRESH_S
        self._beats = {key: beat for key, beat in beats.items() if self._seen[key].seen_at_s > fresh_s} | self._beats


def _tell(waiters: Waiters, provider_id: int, error: Exception | None) -> None:
    """Let those who wait for this provider's write go on."""
    for waiter in waiters.get(provider_id, ()):
        if waiter.done():
            continue  # its caller went away
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def next_part(waiting: Mapping[int, Beat]) -> list[int]:
    """Which providers to write in the next transaction: all those without news of queues, and of the others, in the
    order in which they came, as many as MAX_QUEUES lets."""
    part: list[int] = []
    room = MAX_QUEUES
    for provider_id, beat in waiting.items():
        size = len(beat.queues) if beat.queues is not None else 0
        if not size or size <= room or room == MAX_QUEUES:
            part.append(provider_id)
            room -= size
    return part


def write_beats(
    conn: sa.Connection, beats: tuple[Beat, ...], renewals: tuple[Renewal, ...], ask: Sequence[int]
) -> Policies:
    """All of it in one transaction; what the queues of the providers `ask` are to do."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL synchronous_commit = off")  # the next heartbeat says it all again
    record_beats(conn, beats)
    for renewal in sorted(renewals, key=lambda renewal: renewal.provider_id):
        renew(conn, renewal.provider_id, renewal.job_ids)
    return queue_policies(conn, ask)
