"""A member's life in its cluster: beats, the lease, and the leader's work. Loops and effects; the decisions are in
`machine`.

Invariants: a loop never ends by an error of the database; duties run only while this member leads, and each of their
transactions is fenced by the term besides.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from backend.base.clock import Clock
from backend.cluster import machine, service
from backend.cluster.model import MemberRow, Snapshot
from backend.db.engine import Database
from backend.db.errors import DatabaseError

log = logging.getLogger(__name__)


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds between two beats, and after how many seconds of silence another member may lead."""

    heartbeat_s: float = 1.0
    lease_s: float = 5.0


@dataclass(frozen=True)
class Duty:
    """Something that only the leader does, every `every_s`; `work(term)` raises DatabaseError where it could not."""

    name: str
    every_s: float
    work: Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Identity:
    """Who this member is. `process` is a new uuid for each process: a restarted server is another holder."""

    name: str
    url: str
    process: str
    program_version: str


class ClusterAgent:
    """Start it in the event loop; read `snapshot`, `leads` and `draining` at any time."""

    def __init__(self, database: Database, identity: Identity, settings: ClusterSettings, clock: Clock) -> None:
        self.identity = identity
        self.snapshot = Snapshot(heartbeat_s=settings.heartbeat_s)
        self.draining = False
        self._database = database
        self._settings = settings
        self._clock = clock
        self._state: machine.State = machine.Following()
        self._tasks: list[asyncio.Task[None]] = []
        self._duties: list[Duty] = []
        self._beaten = False
        self._last_trouble = ""

    @property
    def leads(self) -> bool:
        """Whether this member is the leader now, by its own clock."""
        return machine.leads(self._state, self._clock.monotonic_s())

    @property
    def term(self) -> int:
        """The term this member leads, 0 when it does not."""
        return self._state.term if isinstance(self._state, machine.Leading) and self.leads else 0

    def start(self, duties: Sequence[Duty]) -> None:
        """Begin to beat, to stand for the lease, and, while leading, to do the duties."""
        self._duties = list(duties)
        loops: list[Coroutine[Any, Any, None]] = [self._forever(self._beat), self._forever(self._lease)]
        loops += [self._do(duty) for duty in self._duties]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def drain(self) -> None:
        """Say that this member takes no new work and leads no more."""
        self.draining = True
        with contextlib.suppress(DatabaseError):
            await self._beat()
        await self._resign()

    async def close(self, state: str = "gone") -> None:
        """End the loops, give the lease back and say good-bye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._resign()
        with contextlib.suppress(DatabaseError):
            await self._database.write(service.write_member, self._row(state), 0)

    async def refresh(self) -> None:
        """Beat once, now. Raises DatabaseError."""
        await self._beat()

    async def _forever(self, once: Callable[[], Awaitable[None]]) -> None:
        while True:
            begun_s = self._clock.monotonic_s()
            try:
                await once()
                self._trouble("")
            except DatabaseError as error:
                self._trouble(str(error))
            except Exception:
                log.exception("this member's beat failed")
            spent_s = self._clock.monotonic_s() - begun_s
            await asyncio.sleep(max(0.05, self._settings.heartbeat_s - spent_s))

    def _trouble(self, reason: str) -> None:
        if reason and not self._last_trouble:
            log.warning("this member cannot beat: %s", reason)
        self._last_trouble = reason

    async def _beat(self) -> None:
        row = self._row("draining" if self.draining else "serving")
        before = await self._database.write(service.write_member, row, 0)
        if self._beaten and before not in ("", self.identity.process):
            log.error("another server calls itself %r too; give each its own [server] name", self.identity.name)
        self._beaten = True
        self.snapshot = await self._database.run(service.read_snapshot, self._settings.heartbeat_s)

    async def _lease(self) -> None:
        if self.draining:
            return
        await self._step()
        # A lease that nobody holds need not wait for the next beat.
        if isinstance(machine.action(self._state, self._clock.monotonic_s(), self._settings.lease_s), machine.TakeOver):
            await self._step()

    async def _step(self) -> None:
        asked_at_s = self._clock.monotonic_s()
        todo = machine.action(self._state, asked_at_s, self._settings.lease_s)
        try:
            self._state = await self._act(todo, asked_at_s)
        except DatabaseError:
            self._state = machine.unknown(self._state, self._clock.monotonic_s())
            raise

    async def _act(self, todo: machine.Action, asked_at_s: float) -> machine.State:
        lease_s, process = self._settings.lease_s, self.identity.process
        if isinstance(todo, machine.Renew):
            if await self._database.write(service.renew, todo.term, process):
                return machine.renewed(self._state, asked_at_s, lease_s)
            log.warning("another member leads now; term %d is over", todo.term)
            return machine.refused()
        if isinstance(todo, machine.TakeOver):
            seen = todo.expected
            term = await self._database.write(
                service.take_over, seen.term, seen.beat, process, self.identity.name
            )  # fmt: skip
            if term is None:
                return machine.refused()
            log.info("this member leads now, term %d", term)
            return machine.taken_over(term, asked_at_s, lease_s)
        lease = await self._database.run(service.read_lease)
        # SQLite has one server at a time, by a lock of the kernel: whoever held the lease is dead.
        vacant = not lease.holder or self._database.is_sqlite
        return machine.observed(
            self._state, machine.Seen(lease.term, lease.beat, vacant), self._clock.monotonic_s()
        )  # fmt: skip

    async def _resign(self) -> None:
        if isinstance(self._state, machine.Leading):
            term, self._state = self._state.term, machine.Following()
            with contextlib.suppress(DatabaseError):
                await self._database.write(service.resign, term, self.identity.process)

    async def _do(self, duty: Duty) -> None:
        while True:
            term = self.term
            if term:
                try:
                    await duty.work(term)
                except DatabaseError as error:
                    log.warning("%s: %s", duty.name, error)
                except Exception:
                    log.exception("%s failed", duty.name)
            await asyncio.sleep(duty.every_s if term else self._settings.heartbeat_s)

    def _row(self, state: str) -> MemberRow:
        who = self.identity
        return MemberRow(who.name, who.process, who.url, state, who.program_version, 0)
