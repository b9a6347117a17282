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
from typing import Any, NamedTuple

import msgspec

from backend.base.clock import Clock
from backend.cluster import machine, service, watch
from backend.cluster.model import MemberRow, Snapshot, state_of
from backend.db import migrate
from backend.db.engine import Database
from backend.db.errors import DatabaseError
from backend.wire.base import VERSION as PROTOCOL

log = logging.getLogger(__name__)


class ClusterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds between two beats; after how many seconds of silence another member may lead; how long a member that is
    to drain goes on taking work, so that load balancers see it coming; how far a joining server's clock may be off."""

    heartbeat_s: float = 1.0
    lease_s: float = 4.0
    drain_grace_s: float = 3.0
    clock_tolerance_s: float = 300.0


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
    host: str = ""
    serves: str = ""


class Load(NamedTuple):
    """Requests under way, and event streams among them."""

    requests: int = 0
    streams: int = 0


class ClusterAgent:
    """Start it in the event loop; read `snapshot`, `leads`, `draining` and `refusing` at any time.

    `draining`: this member leads no more and wants its clients to go; `refusing`: it takes no new work.
    """

    def __init__(self, database: Database, identity: Identity, settings: ClusterSettings, clock: Clock) -> None:
        self.identity = identity
        self.snapshot = Snapshot(heartbeat_s=settings.heartbeat_s)
        self.on_drain: Callable[[], None] = lambda: None  # called when this member begins to drain
        self.load: Callable[[], Load] = Load
        self._database = database
        self._settings = settings
        self._clock = clock
        self._state: machine.State = machine.Following()
        self._tasks: list[asyncio.Task[None]] = []
        self._duties: list[Duty] = []
        self._sights: watch.Sights = {}
        self._beaten = False
        self._stopping = False
        self._draining_since_s: float | None = None
        self._drained = False
        self._name_taken = False
        self._last_trouble = ""

    @property
    def leads(self) -> bool:
        """Whether this member is the leader now, by its own clock."""
        return machine.leads(self._state, self._clock.monotonic_s())

    @property
    def term(self) -> int:
        """The term this member leads, 0 when it does not."""
        return self._state.term if isinstance(self._state, machine.Leading) and self.leads else 0

    @property
    def drain_grace_s(self) -> float:
        """How long a member that is to drain goes on taking work."""
        return self._settings.drain_grace_s

    @property
    def draining(self) -> bool:
        """Whether clients should go to another member: it ends, or somebody drains it, or its name is another's."""
        return self._stopping or self._draining_since_s is not None

    @property
    def refusing(self) -> bool:
        """Whether new work is refused: a while after a drain began, so that load balancers have seen it."""
        since_s = self._draining_since_s
        grace_s = self._settings.drain_grace_s
        return self._stopping or (since_s is not None and self._clock.monotonic_s() >= since_s + grace_s)

    def seen(self, snapshot: Snapshot) -> Snapshot:
        """A snapshot with the members' ages as this member's own clock tells them."""
        rows = watch.corrected(self._sights, snapshot.members, self._clock.monotonic_s())
        return msgspec.structs.replace(snapshot, members=rows)

    def start(self, duties: Sequence[Duty]) -> None:
        """Begin to beat, to stand for the lease, and, while leading, to do the duties."""
        self._duties = list(duties)
        loops: list[Coroutine[Any, Any, None]] = [
            self._forever(self._beat, lambda: self._settings.heartbeat_s),
            self._forever(self._lease, self._until_next_look_s),
        ]
        loops += [self._do(duty) for duty in self._duties]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def drain(self) -> None:
        """The process ends: say that this member takes no new work and leads no more."""
        self._stopping = True
        with contextlib.suppress(DatabaseError):
            await self._beat()
        await self._resign("stopping")

    async def close(self, state: str = "gone") -> None:
        """End the loops, give the lease back and say good-bye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._resign("stopping")
        if self._beaten and not self._name_taken:
            with contextlib.suppress(DatabaseError):
                await self._database.write(service.write_member, self._row(state), False, self._clock.now_ms())

    async def refresh(self) -> None:
        """Beat once, now. Raises DatabaseError."""
        await self._beat()

    async def _forever(self, once: Callable[[], Awaitable[None]], longest_s: Callable[[], float]) -> None:
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
            await asyncio.sleep(max(0.05, min(self._settings.heartbeat_s - spent_s, longest_s())))

    def _until_next_look_s(self) -> float:
        settings = self._settings
        return machine.pause_s(self._state, self._clock.monotonic_s(), settings.lease_s, settings.heartbeat_s)

    def _trouble(self, reason: str) -> None:
        if reason and not self._last_trouble:
            log.warning("this member cannot beat: %s", reason)
        self._last_trouble = reason

    async def _beat(self) -> None:
        row, clock_ms = self._row(self._own_state()), self._clock.now_ms()
        beaten = await self._database.write(service.write_member, row, not self._beaten, clock_ms)
        await self._heed_name(beaten)
        self._beaten = True
        snapshot = await self._database.run(service.read_snapshot, self._settings.heartbeat_s)
        self._sights = watch.look(self._sights, snapshot.members, self._clock.monotonic_s())
        self.snapshot = self.seen(snapshot)
        await self._heed_wish()

    async def _heed_name(self, beaten: service.Beaten) -> None:
        """Another server took this one's name: two cannot go by one, and the newer one was let in."""
        taken = not beaten.ours
        if taken and not self._name_taken:
            who = self.identity
            log.error("the server at %s calls itself %r too; this one serves no more: give it another [server] name",
                      beaten.other, who.name)  # fmt: skip
            await self._database.write(service.duplicate, who.name, who.url, beaten.other)
        self._name_taken = taken

    async def _heed_wish(self) -> None:
        """Begin or end to drain, as is wanted of this member."""
        mine = next((row for row in self.snapshot.members if row.process == self.identity.process), None)
        wanted = self._name_taken or (mine is not None and mine.wanted == "draining")
        if wanted and self._draining_since_s is None:
            log.info("draining: clients are sent to other servers")
            self._draining_since_s = self._clock.monotonic_s()
            self.on_drain()
        elif not wanted and self._draining_since_s is not None:
            log.info("serving again")
            self._draining_since_s, self._drained = None, False
        if self.draining:
            await self._resign("draining")

    def _own_state(self) -> str:
        if not self.draining:
            return "serving"
        # Whoever comes later (XML-RPC callers know no other server) is answered, but is no reason to wait.
        self._drained = self._drained or (self.refusing and self.load().requests == 0)
        return "drained" if self._drained and not self._stopping else "draining"

    async def _lease(self) -> None:
        if self.draining:
            await self._resign("draining")
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
            lease = await self._database.write(service.renew, todo.term, process)
            if lease is None:
                log.warning("another member leads now; term %d is over", todo.term)
                return machine.refused()
            if machine.is_to_hand_over(lease.given_to, process):
                await self._resign("switchover")
                return machine.refused()
            return machine.renewed(self._state, asked_at_s, lease_s)
        if isinstance(todo, machine.TakeOver):
            return await self._take_over(todo.expected, asked_at_s)
        lease = await self._database.run(service.read_lease)
        # SQLite has one server at a time, by a lock of the kernel: whoever held the lease is dead.
        vacant = machine.is_vacant(lease.holder, lease.given_to, process) or self._database.is_sqlite
        seen = machine.Seen(lease.term, lease.beat, vacant)
        return machine.observed(self._state, seen, self._clock.monotonic_s())

    async def _take_over(self, seen: machine.Seen, asked_at_s: float) -> machine.State:
        silent_ms = machine.silent_ms(self._state, asked_at_s)
        who = self.identity
        term = await self._database.write(
            service.take_over, seen.term, seen.beat, who.process, who.name, silent_ms
        )  # fmt: skip
        if term is None:
            return machine.refused()
        log.info("this member leads now, term %d", term)
        return machine.taken_over(term, asked_at_s, self._settings.lease_s)

    async def _resign(self, cause: str) -> None:
        if isinstance(self._state, machine.Leading):
            term, self._state = self._state.term, machine.Following()
            with contextlib.suppress(DatabaseError):
                await self._database.write(service.resign, term, self.identity.process, cause)

    async def note_gone(self, term: int) -> None:
        """The leader's duty: record which members have gone silent. Raises DatabaseError."""
        rows = [row for row in self.snapshot.members if not row.noticed_at and row.state != "gone"]
        gone = [row for row in rows if state_of(row, self._settings.heartbeat_s) == "gone"]
        if gone:
            await self._database.write(service.note_gone, term, self.identity.process, gone)

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
        who, load = self.identity, self.load()
        return MemberRow(
            name=who.name,
            process=who.process,
            url=who.url,
            state=state,
            program_version=who.program_version,
            age_ms=0,
            load=load.requests,
            connections=load.streams,
            host=who.host,
            serves=who.serves,
            schema_revision=migrate.NEWEST,
            protocol=PROTOCOL,
        )
