"""The simulated primary: the store in memory behind a network, with what PostgreSQL does to transactions.

One money transaction at a time holds the locks; an idle one is ended after a second; a COMMIT takes a while to reach
the disk, and when the primary dies meanwhile it has happened or not. What was answered survives. Term and beat rows
follow `backend.cluster.service`: a take-over waits for those who hold the term row shared, a fence holds it until its
transaction ends.
"""

import copy
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from backend.cluster.machine import Seen
from backend.intake.errors import ConnectionFault
from backend.intake.model import Missing, Reads, Rows, Writes
from backend.intake.store_memory import MemorySession, MemoryStore
from backend.jobs.model import Need, UserRow
from backend.ledger.model import FUNDING, PRINTING, UNASSIGNED, Account
from tests.simulation import access
from tests.simulation.access import AccessTables
from tests.simulation.kernel import GONE, Kernel, Machine, Network, Process

IDLE_S = 1.0
READ_TIMEOUT_S = 3.0
COMMIT_TIMEOUT_S = 2.0

T = TypeVar("T")
Reply = Callable[[Any], None]


class Watcher(Protocol):
    """Who sees every commit: the auditor."""

    def committed(self, store: MemoryStore, users: Mapping[str, UserRow], writes: Writes) -> None: ...

    def renewed(self, job_id: str, now_ms: int) -> None: ...

    def took_over(self, term: int, holder: str) -> None: ...

    def led(self, term: int, holder: str) -> None: ...

    @property
    def access(self) -> access.Watcher: ...


@dataclass
class Transaction:
    """Who holds the locks, under which key; `writes` once its COMMIT has come."""

    key: tuple[str, int, int, int]
    session: MemorySession
    claims: dict[str, str]
    job_ids: list[str]
    users: dict[str, UserRow]
    fenced: bool
    writes: Writes | None = None


@dataclass
class Lease:
    term: int = 0
    holder: str = ""
    beat: int = 0
    shared: dict[str, int] = field(default_factory=dict)  # who holds the term row, in which transaction


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the store in memory waited")


class Database(Process):
    """The primary of the moment: what was committed is the same whoever it is."""

    def __init__(self, kernel: Kernel, machine: Machine, watcher: Watcher) -> None:
        super().__init__(kernel, "database", machine)
        self.store = MemoryStore(machine.now_ms)
        self.access = AccessTables(machine.now_ms, watcher.access)
        self.lease = Lease()
        self.watcher = watcher
        self._held_by: Transaction | None = None
        self._queue: list[tuple[tuple[str, int, int, int], Reads, Reply]] = []
        self._committing: dict[int, Callable[[], Any]] = {}
        self._waiting_for_term: list[Callable[[], None]] = []
        self._next = 0
        for account_id, name in ((PRINTING, "printing"), (FUNDING, "funding"), (UNASSIGNED, "unassigned")):
            self.store.accounts[account_id] = _account(account_id, "system", name)

    def add_user(self, name: str, *, restricted: bool = False, overdraft: int = 0) -> None:
        key = 97 + len(self.store.accounts)
        self.store.accounts[key] = _account(key, "user", name, restricted, overdraft)
        self.store.users[name] = UserRow(name, key, False, 0)

    # ------------------------------------------------------------ money

    def open_transaction(self, key: tuple[str, int, int, int], reads: Reads, reply: Reply) -> None:
        """Claim, lock and read, as soon as nobody else holds the locks."""
        self.close_transaction(key[:3])
        self._queue.append((key, reads, reply))
        self._grant()

    def commit(self, key: tuple[str, int, int, int], writes: Writes, reply: Reply) -> None:
        held = self._held_by
        if held is None or held.key != key or held.writes is not None:
            reply(GONE)
            return
        held.writes = writes
        self.after(self.kernel.rng.uniform(0.0005, 0.01), lambda: self._finish(held, reply))

    def close_transaction(self, connection: tuple[str, int, int], number: int = -1) -> None:
        """The connection is closed or begins anew: what is not being committed is rolled back."""
        self._queue = [
            entry for entry in self._queue if entry[0][:3] != connection or (number >= 0 and entry[0][3] != number)
        ]
        held = self._held_by
        if held is not None and held.key[:3] == connection and number in (-1, held.key[3]) and held.writes is None:
            self._release(held)

    def drop_client(self, name: str, life: int) -> None:
        """A server's process is dead and its connections are closed."""
        for lane in range(2):
            self.close_transaction((name, life, lane))
        self._drop_share(name)

    def provide(self, missing: Missing, create_users: bool) -> None:
        for name in missing.users if create_users else ():
            if name not in self.store.users:
                self.add_user(name)

    def _grant(self) -> None:
        if self._held_by is not None or not self._queue:
            return
        key, reads, reply = self._queue.pop(0)
        session = MemorySession(self.store)
        rows = at_once(session.begin(reads))
        held = self._held_by = Transaction(
            key, session, dict(reads.claims), reads.job_ids, dict(self.store.users), reads.fenced
        )
        self.after(IDLE_S, lambda: self._end_idle(held))
        reply(rows)

    def _end_idle(self, held: Transaction) -> None:
        if self._held_by is held and held.writes is None:
            self.tell(f"ends an idle transaction of {held.key[0]}")
            self._release(held)

    def _finish(self, held: Transaction, reply: Reply) -> None:
        self._apply(held)
        reply(True)
        self._held_by = None
        self._grant()

    def _apply(self, held: Transaction) -> None:
        assert held.writes is not None
        at_once(held.session.commit(held.writes))
        self.watcher.committed(self.store, held.users, held.writes)

    def _release(self, held: Transaction) -> None:
        at_once(held.session.abort())
        self._held_by = None
        self._grant()

    # ------------------------------------------------------------ whatever else commits

    def change(self, do: Callable[[], Any], reply: Reply) -> None:
        """One small transaction: done and answered when it is on the disk."""
        self._next += 1
        number = self._next
        self._committing[number] = do

        def finish() -> None:
            del self._committing[number]
            reply(do())

        self.after(self.kernel.rng.uniform(0.0005, 0.01), finish)

    def renew_jobs(self, provider_id: int, job_ids: tuple[str, ...]) -> bool:
        """A job that is being changed right now is left for the next time."""
        now = self.store.now()
        locked = self._held_by.job_ids if self._held_by is not None else []
        for job_id in job_ids:
            job = self.store.jobs.get(job_id)
            if job is not None and job.provider_id == provider_id and job_id not in locked:
                job.renewed_at = now
                self.watcher.renewed(job_id, now)
        return True

    def silent_jobs(self, grace_ms: int) -> tuple[tuple[str, ...], int]:
        since = self.store.now() - grace_ms
        jobs = self.store.jobs.values()
        return tuple(job.job_id for job in jobs if job.reserved_sequence and job.renewed_at < since), since

    def held_jobs(self, timeout_ms: int) -> tuple[tuple[str, ...], int]:
        before = self.store.now() - timeout_ms
        jobs = self.store.jobs.values()
        return tuple(job.job_id for job in jobs if job.state == "held" and job.updated_at < before), before

    def decisions(self, provider_id: int) -> str:
        """What was decided of this provider's jobs and not carried out: JSON of job ids and decisions."""
        wants = [want for want in self.store.wants.values() if want.provider_id == provider_id]
        found = {
            want.job_id: "release" if self.store.jobs[want.job_id].state == "released" else "cancel"
            for want in wants
            if want.need == Need.CARRY_OUT
        }
        return msgspec.json.encode(found).decode()

    # ------------------------------------------------------------ the lease

    def take_over(self, term: int, beat: int, process: str, reply: Reply) -> None:
        def locked() -> None:
            self.change(lambda: self._take_over(term, beat, process), reply)

        if self.lease.shared:
            self._waiting_for_term.append(locked)
        else:
            locked()

    def _take_over(self, term: int, beat: int, process: str) -> int | None:
        lease = self.lease
        fenced = self._held_by is not None and self._held_by.fenced
        if (lease.term, lease.beat) != (term, beat) or lease.shared or fenced:
            return None
        lease.term, lease.holder, lease.beat = term + 1, process, beat + 1
        self.store.term = lease.term
        self.watcher.took_over(lease.term, process)
        return lease.term

    def seen(self) -> Seen:
        return Seen(self.lease.term, self.lease.beat, not self.lease.holder)

    def renew(self, term: int, process: str) -> bool:
        if (self.lease.term, self.lease.holder) != (term, process):
            return False
        self.lease.beat += 1
        return True

    def resign(self, term: int, process: str) -> bool:
        if (self.lease.term, self.lease.holder) == (term, process):
            self.lease.holder = ""
        return True

    def fence(self, name: str, term: int, process: str, reply: Reply) -> None:
        """Begin a leader's transaction: `SELECT … FOR SHARE`; None when the term is another's."""
        if (self.lease.term, self.lease.holder) != (term, process):
            reply(None)
            return
        self._next += 1
        number = self.lease.shared[name] = self._next
        self.after(IDLE_S, lambda: self._drop_share(name, number))
        reply(number)

    def fenced_write(self, name: str, number: int, term: int, process: str, reply: Reply) -> None:
        """End it with a write of the leader's, should it still be there."""

        def do() -> bool:
            if self.lease.shared.get(name) != number:
                return False
            self.watcher.led(term, process)
            self._drop_share(name, number)
            return True

        self.change(do, reply)

    def _drop_share(self, name: str, number: int | None = None) -> None:
        if name in self.lease.shared and number in (None, self.lease.shared[name]):
            del self.lease.shared[name]
        if not self.lease.shared:
            waiting, self._waiting_for_term = self._waiting_for_term, []
            for locked in waiting:
                locked()

    # ------------------------------------------------------------ the end

    def ended(self, silently: bool) -> None:
        """What was on its way to the disk is there or is not; nobody is told."""
        held, self._held_by = self._held_by, None
        if held is not None and held.writes is not None and self.kernel.chance(0.5):
            self.tell("dies in a COMMIT, which has happened")
            self._apply(held)
        elif held is not None:
            at_once(held.session.abort())
        pending, self._committing = self._committing, {}
        for do in pending.values():
            if self.kernel.chance(0.5):
                do()
        self._queue.clear()
        self.lease.shared.clear()
        self._waiting_for_term.clear()


class DatabaseSession:
    """A server's lane to the primary: `backend.intake.store.Session` over the simulated network."""

    def __init__(self, network: Network, server: Process, database: Database, lane: int) -> None:
        self._network = network
        self._server = server
        self._database = database
        self._key = (server.name, server.life, lane)
        self._number = 0

    async def begin(self, reads: Reads) -> Rows:
        self._number += 1
        key = (*self._key, self._number)
        copied = copy.copy(reads)
        rows = await self._ask(lambda reply: self._database.open_transaction(key, copied, reply), READ_TIMEOUT_S)
        if not isinstance(rows, Rows):
            await self.abort()
            raise ConnectionFault("the database does not answer", commit_sent=False)
        return rows

    async def commit(self, writes: Writes) -> None:
        key = (*self._key, self._number)
        self._server.effect()
        done = await self._ask(lambda reply: self._database.commit(key, writes, reply), COMMIT_TIMEOUT_S)
        if done is not True:
            await self.abort()
            raise ConnectionFault("the outcome of a COMMIT is unknown", commit_sent=True)

    async def abort(self) -> None:
        connection, number = self._key, self._number
        self._network.send(
            self._server, self._database, lambda: self._database.close_transaction(connection, number), once=True
        )

    async def close(self) -> None:
        await self.abort()

    async def _ask(self, request: Callable[[Reply], None], timeout_s: float) -> Any:
        answer = self._network.call(self._server, self._database, request, once=True)
        await self._server.first([answer], timeout_s)
        return answer.value if answer.done else GONE


def _account(account_id: int, kind: str, name: str, restricted: bool = False, overdraft: int = 0) -> Account:
    return Account(account_id, kind, name, restricted, overdraft, 0, 0, 0, 0, 0, 0, 0, 0, 0)
