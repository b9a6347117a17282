"""The store in memory: the simulator's and the fold tests'. Keeps rows as the other stores do, and passes the same
suite.

A transaction sees a copy of the rows and replaces them at commit; one at a time.
"""

import asyncio
import copy
from collections.abc import Callable

from backend.intake.model import Audit, Reads, Rows, Writes
from backend.jobs.model import Job, QueueRow, UserRow, Want
from backend.ledger.model import Account, Earlier, Stripe, Transfer
from backend.ledger.rules import REVERSAL


class MemoryStore:
    """`now` gives the database's clock in milliseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.commands: dict[str, tuple[str, str]] = {}
        self.accounts: dict[int, Account] = {}
        self.users: dict[str, UserRow] = {}
        self.queues: dict[tuple[int, str], QueueRow] = {}
        self.jobs: dict[str, Job] = {}
        self.transfers: list[Transfer] = []
        self.stripes: dict[int, Stripe] = {}
        self.events: list[str] = []
        self.wants: dict[str, Want] = {}
        self.audits: list[Audit] = []
        self.spent: dict[tuple[str, int], int] = {}
        self.term = 0
        self.one_at_a_time = asyncio.Lock()

    @property
    def lanes(self) -> int:
        return 1

    def find_transfer(self, account_id: int, sequence: int) -> Earlier | None:
        """A transfer as one that is to be undone."""
        mine = [row for row in self.transfers if row.account_id == account_id]
        found = next((row for row in mine if row.sequence == sequence), None)
        if found is None:
            return None
        amount = found.amount if found.credit_account_id == account_id else -found.amount
        is_reversed = any(row.pending_sequence == sequence and row.code == REVERSAL for row in mine)
        return Earlier(account_id, sequence, found.kind, found.code, amount, found.job_id, is_reversed)

    def session(self, stripe: int) -> "MemorySession":
        return MemorySession(self)


class MemorySession:
    """One transaction at a time on the shared rows."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._claims: dict[str, str] | None = None

    async def begin(self, reads: Reads) -> Rows:
        await self.abort()
        store = self._store
        await store.one_at_a_time.acquire()
        self._claims = dict(reads.claims)
        users = {name: store.users[name] for name in reads.user_names if name in store.users}
        jobs = {job_id: copy.copy(store.jobs[job_id]) for job_id in reads.job_ids if job_id in store.jobs}
        locked = {user.account_id for user in users.values()}
        return Rows(
            now=store.now(),
            answers={key: store.commands[key] for key in self._claims if key in store.commands},
            jobs=jobs,
            users=users,
            queues={key: store.queues[key] for key in reads.queues if key in store.queues},
            accounts={key: copy.copy(store.accounts[key]) for key in sorted(locked | set(reads.account_ids))},
            term=store.term if reads.fenced else 0,
            earlier={key: found for key in reads.earlier if (found := store.find_transfer(*key)) is not None},
            spent={key: moved for key, moved in store.spent.items() if key[0] in reads.spenders},
        )

    async def commit(self, writes: Writes) -> None:
        store, claims = self._store, self._claims
        assert claims is not None
        for command_id, answer in writes.answers:
            store.commands[command_id] = (claims[command_id], answer)
        store.transfers += writes.transfers
        store.accounts.update({account.account_id: account for account in writes.accounts})
        store.jobs.update({job.job_id: job for job in (*writes.new_jobs, *writes.changed_jobs)})
        for account_id, moved in writes.stripes.items():
            total = store.stripes.setdefault(account_id, Stripe())
            total.credits += moved.credits
            total.debits += moved.debits
        if writes.event:
            store.events.append(writes.event)
        for want in writes.wants:
            store.wants.pop(want.job_id, None)
            if want.need:
                store.wants[want.job_id] = want
        store.audits += writes.audits
        store.spent.update(writes.spent)
        await self.abort()

    async def abort(self) -> None:
        if self._claims is not None:
            self._claims = None
            self._store.one_at_a_time.release()

    async def close(self) -> None:
        await self.abort()
