"""The store on PostgreSQL: one batch, one transaction, two pipelined round trips.

Order of locks, the same in every batch, so that none deadlock: advisory locks on the ids of commands and jobs (sorted
by key; a job that is not there yet has no row to lock), then the rows of accounts in id order, at the end stripes. What
the claimed ids answered before is read in the next statement, whose snapshot is newer; primary keys hold even against
a writer that took no advisory lock. No answer leaves before a synchronous commit that follows what it read: a batch
that writes nothing commits a logical message. See docs/adr for the measurements behind each of these.
"""

import hashlib
import operator
from collections.abc import Sequence
from typing import Any

from psycopg import pq

from backend.db.arrays import Encode, bigints, encoder, texts, uuids
from backend.db.dial import Dialer
from backend.db.libpq import ConnectionLost, PipelineConnection, Statement, StatementFailed
from backend.intake.errors import BatchRejected, ConnectionFault
from backend.intake.model import DAY_MS, Audit, Reads, Rows, Writes
from backend.jobs.model import Job, QueueRow, UserRow, Want
from backend.ledger.model import Account, Earlier, Transfer
from backend.ledger.rules import REVERSAL

PREPARE_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 4.0  # beyond the session's statement_timeout, which ends a wait for a lock first
COMMIT_TIMEOUT_S = 2.0
# A connection of class 08/57P0x or a read-only server (25006) means another primary; the rest is the batch's own data.
CONNECTION_SQLSTATES = ("08", "57P0", "25006", "53", "57014", "55P03", "25P03", "58")

SESSION_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        "synchronous_commit=on",
        "statement_timeout=3000",
        "lock_timeout=2000",
        "idle_in_transaction_session_timeout=1000",
        "enable_seqscan=off",  # every statement finds its rows by key, whatever the statistics of a young table say
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "plan_cache_mode=force_generic_plan",
        "jit=off",
        "application_name=inkeeper-intake",
    )
)

JOB_COLUMNS = Job.__struct_fields__
ACCOUNT_COLUMNS = Account.__struct_fields__
NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint"

_JOB_TYPES = {
    "job_id": "uuid",
    **dict.fromkeys(("user_name", "title", "host", "state", "code", "rule", "facts", "printing"), "text"),
}
_JOB_FIXED = ("job_id", "provider_id", "account_id", "user_name", "printing", "created_at")
_JOB_CHANGING = tuple(name for name in JOB_COLUMNS if name not in _JOB_FIXED)
# A job's host, facts and printing are long and never needed again: they are written, not read. "" leaves host and
# facts as they are.
_JOB_KEPT = ("host", "facts")
JOB_READ = tuple(name for name in JOB_COLUMNS if name not in ("facts", "printing", "host"))
_ACCOUNT_READ = ", ".join(f"a.{name}" for name in ACCOUNT_COLUMNS)
_ACCOUNT_CHANGING = tuple(name for name in ACCOUNT_COLUMNS if name not in ("account_id", "kind", "name"))
_ACCOUNT_TYPES = {"kind": "text", "name": "text", "restricted": "boolean"}
_TRANSFER_TYPES = {"kind": "smallint", "job_id": "uuid", "command_id": "uuid"} | dict.fromkeys(
    ("code", "actor", "comment"), "text"
)


_WANT_TYPES = {"job_id": "uuid", "need": "smallint", "reason": "text"}


class _Parameters:
    """Numbers the parameters of a statement as it is being written."""

    def __init__(self) -> None:
        self.count = 0

    def array(self, sql_type: str) -> str:
        self.count += 1
        return f"${self.count}::{sql_type}[]"

    def rows(self, columns: Sequence[str], types: dict[str, str], default: str = "bigint") -> str:
        """A SELECT of one row for each place of the arrays, one array a column. Half the work of `unnest` with as many
        arguments, which fills a table for each of them and joins them."""
        arrays = [self.array(types.get(name, default)) for name in columns]
        named = ", ".join(f"({array})[i] AS {name}" for array, name in zip(arrays, columns, strict=True))
        return f"SELECT {named} FROM generate_series(1, cardinality({arrays[0]})) AS n (i)"


def _upsert(table: str, columns: Sequence[str], rows: str, setting: str) -> str:
    """Change rows that are there, each found by its key in the primary key's index.

    An UPDATE … FROM would leave it to a plan how the two sides are joined: without hash and merge joins each row is
    compared with each key, and a plan made from the statistics of an empty table may read all of it later on.
    """
    return f"""INSERT INTO {table} AS old ({", ".join(columns)}) {rows}
      ON CONFLICT ({columns[0]}) DO UPDATE SET {setting}"""


def _write_sql() -> str:
    """All writes of a batch."""
    number = _Parameters()
    transfers = number.rows(Transfer.__struct_fields__, _TRANSFER_TYPES)
    accounts = number.rows(ACCOUNT_COLUMNS, _ACCOUNT_TYPES)
    new_jobs = number.rows(JOB_COLUMNS, _JOB_TYPES)
    changed_jobs = number.rows(JOB_COLUMNS, _JOB_TYPES)
    stripes = number.rows(("account_id", "stripe", "credits", "debits"), {"stripe": "integer"})
    events = number.rows(("data",), {}, "text")
    answers = number.rows(("command_id", "fingerprint", "answer"), {"command_id": "uuid"}, "text")
    set_account = ", ".join(f"{name} = excluded.{name}" for name in _ACCOUNT_CHANGING)
    set_job = ", ".join(f"{name} = excluded.{name}" for name in _JOB_CHANGING if name not in _JOB_KEPT)
    set_kept = ", ".join(
        f"{name} = CASE WHEN excluded.{name} = '' THEN old.{name} ELSE excluded.{name} END" for name in _JOB_KEPT
    )
    return f"""
    WITH transfers AS (
      INSERT INTO transfer ({", ".join(Transfer.__struct_fields__)}) {transfers}
    ), accounts AS (
      {_upsert("account", ACCOUNT_COLUMNS, accounts, set_account)}
    ), new_jobs AS (
      INSERT INTO job ({", ".join(JOB_COLUMNS)}) {new_jobs}
    ), changed_jobs AS (
      {_upsert("job", JOB_COLUMNS, changed_jobs, f"{set_job}, {set_kept}")}
    ), stripes AS (
      INSERT INTO account_stripe AS s (account_id, stripe, credits_posted, debits_posted) {stripes}
      ON CONFLICT (account_id, stripe) DO UPDATE SET
        credits_posted = s.credits_posted + excluded.credits_posted,
        debits_posted = s.debits_posted + excluded.debits_posted
    ), events AS (
      INSERT INTO event (at, kind, data, term) SELECT {NOW}, 'jobs', data, 0 FROM ({events}) AS e
    )
    INSERT INTO command (command_id, fingerprint, answer, at)
    SELECT command_id, decode(fingerprint, 'hex'), answer, {NOW} FROM ({answers}) AS a
    """


def _desk_sql() -> str:
    """What few batches write: the jobs somebody must do something about, who did something by hand, and how much those
    have moved who have a limit."""
    number = _Parameters()
    wants = number.rows(Want.__struct_fields__, _WANT_TYPES)
    done = number.array("uuid")
    audits = number.rows(Audit.__struct_fields__, {}, "text")
    changing = ", ".join(f"{name} = excluded.{name}" for name in ("provider_id", "need", "since", "reason"))
    spent = number.rows(("actor", "day", "moved"), {"actor": "text"})
    return f"""
    WITH wants AS (
      INSERT INTO job_need ({", ".join(Want.__struct_fields__)}, since) SELECT w.*, {NOW} FROM ({wants}) AS w
      ON CONFLICT (job_id) DO UPDATE SET {changing}
    ), done AS (
      DELETE FROM job_need WHERE job_id = ANY ({done})
    ), spent AS (
      INSERT INTO actor_day (actor, day, moved) {spent}
      ON CONFLICT (actor, day) DO UPDATE SET moved = excluded.moved
    )
    INSERT INTO audit (at, {", ".join(Audit.__struct_fields__)}) SELECT {NOW}, a.* FROM ({audits}) AS a
    """


STATEMENTS: dict[bytes, str] = {
    b"begin": "BEGIN ISOLATION LEVEL READ COMMITTED",
    b"claim": "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS t (k)",
    b"answered": """SELECT command_id::text, encode(fingerprint, 'hex'), answer
        FROM command WHERE command_id = ANY ($1::uuid[])""",
    b"jobs": f"""SELECT {", ".join(f"{name}::text" if name == "job_id" else name for name in JOB_READ)}
        FROM job WHERE job_id = ANY ($1::uuid[])""",
    b"accounts": f"""SELECT u.name, u.disabled, u.disabled_until, {_ACCOUNT_READ}
        FROM users u JOIN account a ON a.account_id = u.account_id
        WHERE u.name = ANY ($1::text[]) ORDER BY a.account_id FOR NO KEY UPDATE OF a""",
    b"more_accounts": f"""SELECT u.name, u.disabled, u.disabled_until, {_ACCOUNT_READ}
        FROM account a LEFT JOIN users u ON u.account_id = a.account_id AND u.name = ANY ($1::text[])
        WHERE a.account_id IN (
          SELECT account_id FROM users WHERE name = ANY ($1::text[]) UNION SELECT unnest($2::bigint[]))
        ORDER BY a.account_id FOR NO KEY UPDATE OF a""",
    b"queues": """SELECT q.queue_id, q.provider_id, q.name, p.name, q.disabled, q.disabled_until, q.cost,
          q.hold_jobs
        FROM unnest($1::bigint[], $2::text[]) AS k (provider_id, name)
        JOIN queue q ON q.provider_id = k.provider_id AND q.name = k.name JOIN provider p ON p.provider_id =
        q.provider_id""",
    b"now": f"SELECT {NOW}",
    b"earlier": f"""SELECT t.account_id, t.sequence, t.kind, t.code,
          CASE WHEN t.credit_account_id = t.account_id THEN t.amount ELSE -t.amount END, t.job_id::text,
          EXISTS (SELECT 1 FROM transfer r WHERE r.account_id = t.account_id AND r.sequence > t.sequence
            AND r.pending_sequence = t.sequence AND r.code = '{REVERSAL}')
        FROM unnest($1::bigint[], $2::bigint[]) AS k (account_id, sequence)
        JOIN transfer t ON t.account_id = k.account_id AND t.sequence = k.sequence""",
    b"spent": f"""SELECT actor, day, moved FROM actor_day
        WHERE actor = ANY ($1::text[]) AND day >= {NOW} / {DAY_MS} - 1""",
    b"term": "SELECT term FROM term WHERE one = 1 FOR SHARE",
    b"write": _write_sql(),
    b"desk": _desk_sql(),
    b"replays": "SELECT pg_logical_emit_message(true, 'inkeeper', 'r')",
    b"commit": "COMMIT",
    b"rollback": "ROLLBACK",
}


class PostgresqlStore:
    """`conninfo` is libpq's, multi-host with target_session_attrs=read-write where there are several."""

    def __init__(self, conninfo: str, lanes: int = 2, commit_timeout_s: float = COMMIT_TIMEOUT_S) -> None:
        self._dialer = Dialer(conninfo)
        self._lanes = lanes
        self._commit_timeout_s = commit_timeout_s

    @property
    def lanes(self) -> int:
        return self._lanes

    def session(self, stripe: int) -> "PostgresqlSession":
        return PostgresqlSession(self._dialer, stripe, self._commit_timeout_s)


class PostgresqlSession:
    """One lane: a connection that is made when it is needed and thrown away at the first fault of any lane."""

    def __init__(self, dialer: Dialer, stripe: int, commit_timeout_s: float) -> None:
        self._dialer = dialer
        self._made_at_fault = 0
        self._stripe = stripe
        self._commit_timeout_s = commit_timeout_s
        self._connection: PipelineConnection | None = None
        self._open = False
        self._claims: dict[str, str] = {}

    async def begin(self, reads: Reads) -> Rows:
        connection = await self._connected()
        self._open = True
        self._claims = dict(reads.claims)
        results = await self._run(connection, _begin_statements(reads), READ_TIMEOUT_S)
        answered, jobs, accounts, queues, now, *more = map(connection.rows, results[2:])
        term = more.pop(0) if reads.fenced else []
        earlier = more.pop(0) if reads.earlier else []
        spent = more.pop(0) if reads.spenders else []
        return Rows(
            now=now[0][0],
            answers={row[0]: (row[1], row[2]) for row in answered},
            jobs={row[0]: _job(row) for row in jobs},
            users={row[0]: UserRow(row[0], row[3], row[1], row[2]) for row in accounts if row[0] is not None},
            queues={(row[1], row[2]): QueueRow(*row) for row in queues},
            accounts={row[3]: Account(*row[3:]) for row in accounts},
            term=term[0][0] if term else 0,
            earlier={(row[0], row[1]): Earlier(*row) for row in earlier},
            spent={(row[0], row[1]): row[2] for row in spent},
        )

    async def commit(self, writes: Writes) -> None:
        connection = self._connection
        assert connection is not None
        assert self._open
        write: Statement = (
            (b"write", _write_params(writes, self._claims, self._stripe)) if writes.answers else (b"replays", ())
        )
        desk: list[Statement] = (
            [(b"desk", _desk_params(writes))] if writes.wants or writes.audits or writes.spent else []
        )
        connection.warnings.clear()
        self._open = False
        try:
            results = await connection.run([write, *desk, (b"commit", ())], self._commit_timeout_s)
        except ConnectionLost as error:
            raise self._lost(str(error), commit_sent=True) from error
        except StatementFailed as error:
            raise await self._fault(connection, error) from error
        if connection.warnings or results[-1].command_status != b"COMMIT":
            raise self._lost(f"COMMIT: {'; '.join(connection.warnings) or 'rolled back'}", commit_sent=True)

    async def abort(self) -> None:
        if self._open and self._connection is not None:
            self._open = False
            await self._run(self._connection, [(b"rollback", ())], READ_TIMEOUT_S)

    async def close(self) -> None:
        self._drop()

    async def _connected(self) -> PipelineConnection:
        if self._connection is not None and self._open:
            await self.abort()
        if self._connection is not None and self._made_at_fault != self._dialer.faults:
            self._drop()
        if self._connection is None:
            self._made_at_fault = self._dialer.faults
            try:
                self._connection = await PipelineConnection.connect(
                    self._dialer, STATEMENTS, PREPARE_TIMEOUT_S, options=SESSION_OPTIONS
                )
            except (ConnectionLost, StatementFailed) as error:
                raise ConnectionFault(str(error), commit_sent=False, wait_s=self._dialer.wait_s()) from error
        return self._connection

    def _lost(self, reason: str, *, commit_sent: bool) -> ConnectionFault:
        """The connection is not to be used again, nor are those of the other lanes."""
        self._drop()
        self._dialer.suspect(unconfirmed=commit_sent)
        return ConnectionFault(
            reason, commit_sent=commit_sent, wait_s=max(self._dialer.settle_s, self._dialer.wait_s())
        )

    async def _run(
        self, connection: PipelineConnection, statements: Sequence[Statement], timeout_s: float
    ) -> list[pq.abc.PGresult]:
        try:
            return await connection.run(statements, timeout_s)
        except ConnectionLost as error:
            raise self._lost(str(error), commit_sent=False) from error
        except StatementFailed as error:
            raise await self._fault(connection, error) from error

    async def _fault(self, connection: PipelineConnection, error: StatementFailed) -> BatchRejected | ConnectionFault:
        """A statement was refused, so nothing was committed: roll back, and say whether another try elsewhere
        makes sense."""
        self._open = False
        if error.sqlstate.startswith(CONNECTION_SQLSTATES):
            return self._lost(str(error), commit_sent=False)
        try:
            await connection.run([(b"rollback", ())], READ_TIMEOUT_S)
        except (ConnectionLost, StatementFailed):
            self._drop()  # the server rolls back what it has lost
        return BatchRejected(str(error))

    def _drop(self) -> None:
        self._open = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _begin_statements(reads: Reads) -> list[Statement]:
    command_ids = [claim[0] for claim in reads.claims]
    names = texts(reads.user_names)
    accounts: Statement = (b"accounts", (names,))
    if reads.account_ids:
        accounts = (b"more_accounts", (names, bigints(reads.account_ids)))
    return [
        (b"begin", ()),
        (b"claim", (bigints(_lock_keys(reads)),)),
        (b"answered", (uuids(command_ids),)),
        (b"jobs", (uuids(reads.job_ids),)),
        accounts,
        (b"queues", (bigints([key[0] for key in reads.queues]), texts([key[1] for key in reads.queues]))),
        (b"now", ()),
        *([(b"term", ())] if reads.fenced else []),
        *([(b"earlier", _pairs(reads.earlier))] if reads.earlier else []),
        *([(b"spent", (texts(reads.spenders),))] if reads.spenders else []),
    ]


def _pairs(keys: Sequence[tuple[int, int]]) -> tuple[bytes, bytes]:
    return bigints([key[0] for key in keys]), bigints([key[1] for key in keys])


def _lock_keys(reads: Reads) -> list[int]:
    """What the batch claims: ids of commands and jobs, and who has a limit for the day."""
    ids = [*(claim[0] for claim in reads.claims), *reads.job_ids]
    return sorted([*map(_lock_key, ids), *(_actor_key(actor) for actor in reads.spenders)])


def _actor_key(actor: str) -> int:
    return int.from_bytes(hashlib.blake2b(actor.encode(), digest_size=8).digest(), signed=True)


def _lock_key(uuid: str) -> int:
    """64 bits of the id for its advisory lock: the low ones, which are random in every version of UUID that
    clients make."""
    return int(uuid[19:23] + uuid[24:], 16) - 2**63


def _write_params(writes: Writes, claims: dict[str, str], stripe: int) -> list[bytes]:
    stripes = sorted(writes.stripes.items())
    return [
        *_TRANSFERS.encode(writes.transfers),
        *_ACCOUNTS.encode(writes.accounts),
        *_JOBS.encode(writes.new_jobs),
        *_JOBS.encode(writes.changed_jobs),
        bigints([account_id for account_id, _ in stripes]),
        _integers([stripe for _ in stripes]),
        bigints([moved.credits for _, moved in stripes]),
        bigints([moved.debits for _, moved in stripes]),
        texts([writes.event] if writes.event else []),
        uuids([command_id for command_id, _ in writes.answers]),
        texts([claims[command_id] for command_id, _ in writes.answers]),
        texts([answer for _, answer in writes.answers]),
    ]


def _desk_params(writes: Writes) -> list[bytes]:
    return [
        *_WANTS.encode([want for want in writes.wants if want.need]),
        uuids([want.job_id for want in writes.wants if not want.need]),
        *_AUDITS.encode(writes.audits),
        texts([actor for actor, _ in writes.spent]),
        bigints([day for _, day in writes.spent]),
        bigints(list(writes.spent.values())),
    ]


class _Columns:
    """Rows as one parameter a column, in the order of `names`."""

    def __init__(self, names: Sequence[str], types: dict[str, str]) -> None:
        self._values = operator.attrgetter(*names)
        self._encoders: list[Encode] = [encoder(types.get(name, "bigint")) for name in names]
        self._empty = [encode(()) for encode in self._encoders]

    def encode(self, rows: Sequence[object]) -> list[bytes]:
        if not rows:
            return self._empty
        columns = zip(*map(self._values, rows), strict=True)
        return [encode(column) for encode, column in zip(self._encoders, columns, strict=True)]


_TRANSFERS = _Columns(Transfer.__struct_fields__, _TRANSFER_TYPES)
_ACCOUNTS = _Columns(ACCOUNT_COLUMNS, _ACCOUNT_TYPES)
_JOBS = _Columns(JOB_COLUMNS, _JOB_TYPES)
_WANTS = _Columns(Want.__struct_fields__, _WANT_TYPES)
_AUDITS = _Columns(Audit.__struct_fields__, dict.fromkeys(Audit.__struct_fields__, "text"))
_integers = encoder("integer")


def _job(row: tuple[Any, ...]) -> Job:
    """The job of a row of JOB_READ, with nothing for what was not read."""
    before_host, after = row[:_HOST], row[_HOST:]
    rule_end = _FACTS - 1 - _HOST  # columns between host and facts
    values: list[Any] = [*before_host, "", *after[:rule_end], "", "", *after[rule_end:]]
    return Job(*values)


_HOST = JOB_COLUMNS.index("host")
_FACTS = JOB_COLUMNS.index("facts")
