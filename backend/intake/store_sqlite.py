"""The store on SQLite: one writer, one thread, BEGIN IMMEDIATE, WAL, synchronous FULL.

The same rows and the same fold as on PostgreSQL. SQLite calls block, so the session's one thread makes them; a
batch costs one fsync, as there.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from backend.intake.errors import BatchRejected, ConnectionFault
from backend.intake.model import DAY_MS, Audit, Reads, Rows, Writes
from backend.jobs.model import Job, QueueRow, UserRow
from backend.ledger.model import Account, Earlier, Transfer
from backend.ledger.rules import REVERSAL

BUSY_TIMEOUT_S = 3.0
NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

JOB_COLUMNS = Job.__struct_fields__
ACCOUNT_COLUMNS = Account.__struct_fields__
TRANSFER_COLUMNS = Transfer.__struct_fields__

Result = TypeVar("Result")


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _update(table: str, key: str, columns: Sequence[str]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = ?{n + 2}' for n, name in enumerate(columns))} WHERE {key} = ?1"


INSERT_TRANSFER = _insert("transfer", TRANSFER_COLUMNS)
INSERT_JOB = _insert("job", JOB_COLUMNS)
UPDATE_JOB = _update("job", "job_id", JOB_COLUMNS[1:])
UPDATE_ACCOUNT = _update("account", "account_id", ACCOUNT_COLUMNS[1:])
ADD_STRIPE = """INSERT INTO account_stripe (account_id, stripe, credits_posted, debits_posted) VALUES (?, ?, ?, ?)
    ON CONFLICT (account_id, stripe) DO UPDATE SET credits_posted = credits_posted + excluded.credits_posted,
      debits_posted = debits_posted + excluded.debits_posted"""
PUT_WANT = """INSERT OR REPLACE INTO job_need (job_id, provider_id, need, reason, since) VALUES (?, ?, ?, ?, ?)"""
DROP_WANT = "DELETE FROM job_need WHERE job_id = ?"
PUT_AUDIT = "INSERT INTO audit (at, actor, role, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?)"
READ_USERS = """SELECT name, account_id, disabled, disabled_until FROM users
    WHERE name IN (SELECT value FROM json_each(?))"""
LOCK_ACCOUNTS = f"""SELECT {", ".join(ACCOUNT_COLUMNS)} FROM account WHERE account_id IN (
    SELECT account_id FROM users WHERE name IN (SELECT value FROM json_each(?))
    UNION SELECT value FROM json_each(?)) ORDER BY account_id"""
READ_QUEUES = """SELECT q.queue_id, q.provider_id, q.name, p.name, q.disabled, q.disabled_until, q.cost,
      q.hold_jobs
    FROM json_each(?) k JOIN queue q ON q.provider_id = k.value ->> 0 AND q.name = k.value ->> 1
    JOIN provider p ON p.provider_id = q.provider_id"""


READ_EARLIER = f"""SELECT t.account_id, t.sequence, t.kind, t.code,
      CASE WHEN t.credit_account_id = t.account_id THEN t.amount ELSE -t.amount END, t.job_id,
      EXISTS (SELECT 1 FROM transfer r WHERE r.account_id = t.account_id AND r.sequence > t.sequence
        AND r.pending_sequence = t.sequence AND r.code = '{REVERSAL}')
    FROM json_each(?) k JOIN transfer t ON t.account_id = k.value ->> 0 AND t.sequence = k.value ->> 1"""
READ_SPENT = """SELECT actor, day, moved FROM actor_day
    WHERE actor IN (SELECT value FROM json_each(?1)) AND day >= ?2"""
PUT_SPENT = "INSERT OR REPLACE INTO actor_day (actor, day, moved) VALUES (?, ?, ?)"


class SqliteStore:
    """`path` is a migrated database file; the caller holds the lock that keeps a second server away."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def lanes(self) -> int:
        return 1

    def session(self, stripe: int) -> "SqliteSession":
        return SqliteSession(self._path, stripe)


class SqliteSession:
    """The one writer. Every call runs in the session's own thread."""

    def __init__(self, path: str, stripe: int) -> None:
        self._path = path
        self._stripe = stripe
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-intake")
        self._connection: sqlite3.Connection | None = None
        self._claims: dict[str, str] = {}

    async def begin(self, reads: Reads) -> Rows:
        return await self._call(lambda: self._begin(reads), commit_sent=False)

    async def commit(self, writes: Writes) -> None:
        await self._call(lambda: self._commit(writes), commit_sent=True)

    async def abort(self) -> None:
        await self._call(self._rollback, commit_sent=False)

    async def close(self) -> None:
        await self._call(self._close, commit_sent=False)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], Result], *, commit_sent: bool) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.IntegrityError as error:
            await self.abort()
            raise BatchRejected(str(error)) from error
        except (sqlite3.Error, OSError) as error:  # locked, disk full, I/O error: try again, the id tells what happened
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            raise ConnectionFault(f"SQLite: {error}", commit_sent=commit_sent) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            uri = f"file:{self._path}?mode=rw"
            self._connection = sqlite3.connect(uri, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=True)
            self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
        return self._connection

    def _begin(self, reads: Reads) -> Rows:
        connection = self._open()
        self._rollback()
        connection.execute("BEGIN IMMEDIATE")
        now = int(connection.execute(f"SELECT {NOW}").fetchone()[0])
        ids = json.dumps([claim[0] for claim in reads.claims])
        answered = connection.execute(
            "SELECT command_id, fingerprint, answer FROM command WHERE command_id IN (SELECT value FROM json_each(?))",
            [ids],
        ).fetchall()
        self._claims = dict(reads.claims)
        return self._read(connection, reads, now, {row[0]: (row[1].hex(), row[2]) for row in answered})

    def _read(
        self, connection: sqlite3.Connection, reads: Reads, now: int, answers: dict[str, tuple[str, str]]
    ) -> Rows:
        job_ids, names = json.dumps(reads.job_ids), json.dumps(reads.user_names)
        jobs = connection.execute(
            f"SELECT {', '.join(JOB_COLUMNS)} FROM job WHERE job_id IN (SELECT value FROM json_each(?))", [job_ids]
        )
        users = connection.execute(READ_USERS, [names])
        queues = connection.execute(READ_QUEUES, [json.dumps(reads.queues)])
        accounts = connection.execute(LOCK_ACCOUNTS, [names, json.dumps(reads.account_ids)])
        return Rows(
            now=now,
            answers=answers,
            jobs={row[0]: Job(*row) for row in jobs},
            users={row[0]: UserRow(row[0], row[1], bool(row[2]), row[3]) for row in users},
            queues={(row[1], row[2]): _queue(*row) for row in queues},
            accounts={row[0]: Account(row[0], row[1], row[2], bool(row[3]), *row[4:14]) for row in accounts},
            term=int(connection.execute("SELECT term FROM term").fetchone()[0]) if reads.fenced else 0,
            earlier=_earlier(connection, reads) if reads.earlier else {},
            spent=_spent(connection, reads, now) if reads.spenders else {},
        )

    def _commit(self, writes: Writes) -> None:
        connection = self._connection
        assert connection is not None
        assert connection.in_transaction
        connection.executemany(INSERT_TRANSFER, _tuples(writes.transfers, TRANSFER_COLUMNS))
        connection.executemany(UPDATE_ACCOUNT, _tuples(writes.accounts, ACCOUNT_COLUMNS))
        connection.executemany(INSERT_JOB, _tuples(writes.new_jobs, JOB_COLUMNS))
        connection.executemany(UPDATE_JOB, _tuples(writes.changed_jobs, JOB_COLUMNS))
        connection.executemany(
            ADD_STRIPE, [(key, self._stripe, moved.credits, moved.debits) for key, moved in writes.stripes.items()]
        )
        if writes.event:
            connection.execute(f"INSERT INTO event (at, kind, data, term) VALUES ({NOW}, 'jobs', ?, 0)", [writes.event])
        for want in writes.wants:
            if want.need:
                values = (want.job_id, want.provider_id, want.need, want.reason, writes.now)
                connection.execute(PUT_WANT, values)
            else:
                connection.execute(DROP_WANT, (want.job_id,))
        audits = [(writes.now, *row) for row in _tuples(writes.audits, Audit.__struct_fields__)]
        connection.executemany(PUT_AUDIT, audits)
        connection.executemany(PUT_SPENT, [(*key, moved) for key, moved in writes.spent.items()])
        connection.executemany(
            "INSERT INTO command (command_id, fingerprint, answer, at) VALUES (?, ?, ?, ?)",
            [(key, bytes.fromhex(self._claims[key]), answer, writes.now) for key, answer in writes.answers],
        )
        connection.execute("COMMIT")

    def _rollback(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()  # rolls an open transaction back
            self._connection = None


def _earlier(connection: sqlite3.Connection, reads: Reads) -> dict[tuple[int, int], Earlier]:
    rows = connection.execute(READ_EARLIER, [json.dumps(reads.earlier)])
    return {(row[0], row[1]): Earlier(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6])) for row in rows}


def _spent(connection: sqlite3.Connection, reads: Reads, now: int) -> dict[tuple[str, int], int]:
    rows = connection.execute(READ_SPENT, [json.dumps(reads.spenders), now // DAY_MS - 1])
    return {(row[0], row[1]): row[2] for row in rows}


def _queue(*row: Any) -> QueueRow:
    return QueueRow(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6], bool(row[7]))


def _tuples(rows: Iterable[object], names: Sequence[str]) -> list[tuple[object, ...]]:
    return [tuple([getattr(row, name) for name in names]) for row in rows]
