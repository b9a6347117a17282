"""The store on PostgreSQL: one batch, one transaction, two pipelined round trips.

Order of locks, the same in every batch, so that none deadlock: command ids by INSERT … ON CONFLICT DO NOTHING (sorted),
then jobs, then accounts (each in id order), at the end stripes. What the claimed ids answered before is read in the next
statement, whose snapshot is newer. No answer leaves before a synchronous commit that follows what it read: a batch that
writes nothing commits a logical message. See docs/adr for the measurements behind each of these.
"""

from collections.abc import Iterable, Sequence

from psycopg import pq

from backend.db.arrays import integers, plain, texts
from backend.db.libpq import ConnectionLost, PipelineConnection, Statement, StatementFailed
from backend.intake.errors import BatchRejected, ConnectionFault
from backend.intake.model import Reads, Rows, Writes
from backend.jobs.model import Job, QueueRow, UserRow
from backend.ledger.model import Account, Transfer

CONNECT_TIMEOUT_S = 3.0
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
_JOB_FIXED = ("job_id", "provider_id", "queue_id", "account_id", "user_name", "title", "host", "printing", "created_at")
_JOB_CHANGING = tuple(name for name in JOB_COLUMNS if name not in _JOB_FIXED)
_ACCOUNT_CHANGING = tuple(name for name in ACCOUNT_COLUMNS if name not in ("account_id", "kind", "name"))
_TRANSFER_TYPES = {"kind": "smallint", "job_id": "uuid", "command_id": "uuid"} | dict.fromkeys(
    ("code", "actor", "comment"), "text"
)


class _Parameters:
    """Numbers the parameters of a statement as it is being written."""

    def __init__(self) -> None:
        self.count = 0

    def array(self, sql_type: str) -> str:
        self.count += 1
        return f"${self.count}::{sql_type}[]"

    def unnest(self, columns: Iterable[str], types: dict[str, str], default: str = "bigint") -> str:
        return "unnest(" + ", ".join(self.array(types.get(name, default)) for name in columns) + ")"


def _write_sql() -> str:
    number = _Parameters()
    transfers = number.unnest(Transfer.__struct_fields__, _TRANSFER_TYPES)
    accounts = number.unnest(("account_id", *_ACCOUNT_CHANGING), {"restricted": "boolean"})
    new_jobs = number.unnest(JOB_COLUMNS, _JOB_TYPES)
    changed_jobs = number.unnest(("job_id", *_JOB_CHANGING), _JOB_TYPES)
    stripes = number.unnest(("account_id", "stripe", "credits", "debits"), {"stripe": "integer"})
    events = number.array("text")
    answers = number.unnest(("command_id", "answer"), {"command_id": "uuid"}, "text")
    set_account = ", ".join(f"{name} = u.{name}" for name in _ACCOUNT_CHANGING)
    set_job = ", ".join(f"{name} = u.{name}" for name in _JOB_CHANGING)
    return f"""
    WITH transfers AS (
      INSERT INTO transfer ({", ".join(Transfer.__struct_fields__)}) SELECT * FROM {transfers}
    ), accounts AS (
      UPDATE account SET {set_account}
      FROM {accounts} AS u (account_id, {", ".join(_ACCOUNT_CHANGING)}) WHERE account.account_id = u.account_id
    ), new_jobs AS (
      INSERT INTO job ({", ".join(JOB_COLUMNS)}) SELECT * FROM {new_jobs}
    ), changed_jobs AS (
      UPDATE job SET {set_job}
      FROM {changed_jobs} AS u (job_id, {", ".join(_JOB_CHANGING)}) WHERE job.job_id = u.job_id
    ), stripes AS (
      INSERT INTO account_stripe AS s (account_id, stripe, credits_posted, debits_posted) SELECT * FROM {stripes}
      ON CONFLICT (account_id, stripe) DO UPDATE SET
        credits_posted = s.credits_posted + excluded.credits_posted,
        debits_posted = s.debits_posted + excluded.debits_posted
    ), events AS (
      INSERT INTO event (at, kind, data, term) SELECT {NOW}, 'jobs', d, 0 FROM unnest({events}) AS t (d)
    )
    UPDATE command SET answer = convert_to(u.answer, 'UTF8')
    FROM {answers} AS u (command_id, answer) WHERE command.command_id = u.command_id
    """


STATEMENTS: dict[bytes, str] = {
    b"begin": "BEGIN ISOLATION LEVEL READ COMMITTED",
    b"claim": f"""INSERT INTO command (command_id, fingerprint, at)
        SELECT i, decode(f, 'hex'), {NOW} FROM unnest($1::uuid[], $2::text[]) AS t (i, f) ON CONFLICT DO NOTHING""",
    b"answered": """SELECT command_id, encode(fingerprint, 'hex'), convert_from(answer, 'UTF8')
        FROM command WHERE command_id = ANY ($1::uuid[]) AND answer IS NOT NULL""",
    b"jobs": f"""SELECT {", ".join(JOB_COLUMNS)} FROM job WHERE job_id = ANY ($1::uuid[]) ORDER BY job_id FOR UPDATE""",
    b"accounts": f"""SELECT {", ".join(ACCOUNT_COLUMNS)} FROM account WHERE account_id IN (
          SELECT account_id FROM users WHERE name = ANY ($1::text[])
          UNION SELECT account_id FROM job WHERE job_id = ANY ($2::uuid[]) UNION SELECT unnest($3::bigint[]))
        ORDER BY account_id FOR UPDATE""",
    b"users": "SELECT name, account_id, disabled, disabled_until FROM users WHERE name = ANY ($1::text[])",
    b"queues": """SELECT q.queue_id, q.provider_id, q.name, p.name, q.disabled, q.disabled_until, q.cost
        FROM unnest($1::bigint[], $2::text[]) AS k (provider_id, name)
        JOIN queue q ON q.provider_id = k.provider_id AND q.name = k.name JOIN provider p ON p.provider_id = q.provider_id""",
    b"now": f"SELECT {NOW}",
    b"write": _write_sql(),
    b"replays": "SELECT pg_logical_emit_message(true, 'inkeeper', 'r')",
    b"commit": "COMMIT",
    b"rollback": "ROLLBACK",
}


class PostgresqlStore:
    """`conninfo` is libpq's, multi-host with target_session_attrs=read-write where there are several."""

    def __init__(self, conninfo: str, lanes: int = 2, commit_timeout_s: float = COMMIT_TIMEOUT_S) -> None:
        self._conninfo = conninfo
        self._lanes = lanes
        self._commit_timeout_s = commit_timeout_s

    @property
    def lanes(self) -> int:
        return self._lanes

    def session(self, stripe: int) -> "PostgresqlSession":
        return PostgresqlSession(self._conninfo, stripe, self._commit_timeout_s)


class PostgresqlSession:
    """One lane: a connection that is made when it is needed and thrown away at its first fault."""

    def __init__(self, conninfo: str, stripe: int, commit_timeout_s: float) -> None:
        self._conninfo = f"{conninfo} options='{SESSION_OPTIONS}'"
        self._stripe = stripe
        self._commit_timeout_s = commit_timeout_s
        self._connection: PipelineConnection | None = None
        self._open = False

    async def begin(self, reads: Reads) -> Rows:
        connection = await self._connected()
        self._open = True
        results = await self._run(connection, _begin_statements(reads), READ_TIMEOUT_S)
        answered, jobs, accounts, users, queues, now = results[2:]
        return Rows(
            now=int(now.get_value(0, 0) or 0),
            answers={row[0]: (row[1], row[2]) for row in _rows(answered)},
            jobs={row[0]: _job(row) for row in _rows(jobs)},
            users={row[0]: UserRow(row[0], int(row[1]), row[2] == "t", int(row[3])) for row in _rows(users)},
            queues={(int(row[1]), row[2]): _queue(row) for row in _rows(queues)},
            accounts={int(row[0]): _account(row) for row in _rows(accounts)},
        )

    async def commit(self, writes: Writes) -> None:
        connection = self._connection
        assert connection is not None and self._open
        write: Statement = (b"write", _write_params(writes, self._stripe)) if writes.answers else (b"replays", ())
        connection.warnings.clear()
        self._open = False
        try:
            results = await connection.run((write, (b"commit", ())), self._commit_timeout_s)
        except ConnectionLost as error:
            self._drop()
            raise ConnectionFault(str(error), commit_sent=True) from error
        except StatementFailed as error:
            raise await self._fault(connection, error) from error
        if connection.warnings or results[-1].command_status != b"COMMIT":
            self._drop()
            raise ConnectionFault(f"COMMIT: {'; '.join(connection.warnings) or 'rolled back'}", commit_sent=True)

    async def abort(self) -> None:
        if self._open and self._connection is not None:
            self._open = False
            await self._run(self._connection, [(b"rollback", ())], READ_TIMEOUT_S)

    async def close(self) -> None:
        self._drop()

    async def _connected(self) -> PipelineConnection:
        if self._connection is not None and self._open:
            await self.abort()
        if self._connection is None:
            try:
                self._connection = await PipelineConnection.connect(self._conninfo, STATEMENTS, CONNECT_TIMEOUT_S)
            except (ConnectionLost, StatementFailed) as error:
                raise ConnectionFault(str(error), commit_sent=False) from error
        return self._connection

    async def _run(
        self, connection: PipelineConnection, statements: Sequence[Statement], timeout_s: float
    ) -> list[pq.abc.PGresult]:
        try:
            return await connection.run(statements, timeout_s)
        except ConnectionLost as error:
            self._drop()
            raise ConnectionFault(str(error), commit_sent=False) from error
        except StatementFailed as error:
            raise await self._fault(connection, error) from error

    async def _fault(self, connection: PipelineConnection, error: StatementFailed) -> BatchRejected | ConnectionFault:
        """A statement was refused, so nothing was committed: roll back, and say whether another try elsewhere makes sense."""
        self._open = False
        if error.sqlstate.startswith(CONNECTION_SQLSTATES):
            self._drop()
            return ConnectionFault(str(error), commit_sent=False)
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
    command_ids = plain([claim[0] for claim in reads.claims])
    job_ids = plain(reads.job_ids)
    names = texts(reads.user_names)
    return [
        (b"begin", ()),
        (b"claim", (command_ids, plain([claim[1] for claim in reads.claims]))),
        (b"answered", (command_ids,)),
        (b"jobs", (job_ids,)),
        (b"accounts", (names, job_ids, integers(reads.account_ids))),
        (b"users", (names,)),
        (b"queues", (integers([key[0] for key in reads.queues]), texts([key[1] for key in reads.queues]))),
        (b"now", ()),
    ]


def _write_params(writes: Writes, stripe: int) -> list[bytes]:
    stripes = sorted(writes.stripes.items())
    return [
        *_columns(writes.transfers, Transfer.__struct_fields__, ("actor", "comment")),
        *_columns(writes.accounts, ("account_id", *_ACCOUNT_CHANGING), ()),
        *_columns(writes.new_jobs, JOB_COLUMNS, ("user_name", "title", "host", "rule", "facts", "printing", "code")),
        *_columns(writes.changed_jobs, ("job_id", *_JOB_CHANGING), ("rule", "facts", "code")),
        integers([account_id for account_id, _ in stripes]),
        integers([stripe for _ in stripes]),
        integers([moved.credits for _, moved in stripes]),
        integers([moved.debits for _, moved in stripes]),
        texts([writes.event] if writes.event else []),
        plain([command_id for command_id, _ in writes.answers]),
        texts([answer for _, answer in writes.answers]),
    ]


def _columns(rows: Sequence[object], names: Sequence[str], quoted: Sequence[str]) -> list[bytes]:
    """The rows, column by column. Columns not `quoted` hold numbers, uuids and code words."""
    columns: list[bytes] = []
    for name in names:
        values = [getattr(row, name) for row in rows]
        columns.append(texts(values) if name in quoted else integers(values))
    return columns


def _rows(result: pq.abc.PGresult) -> Iterable[list[str]]:
    columns = range(result.nfields)
    for row in range(result.ntuples):
        yield [(result.get_value(row, column) or b"").decode() for column in columns]


_JOB_IS_TEXT = tuple(name in _JOB_TYPES for name in JOB_COLUMNS)


def _job(row: list[str]) -> Job:
    return Job(*[value if is_text else int(value) for value, is_text in zip(row, _JOB_IS_TEXT, strict=True)])  # type: ignore[arg-type]


def _account(row: list[str]) -> Account:
    return Account(int(row[0]), row[1], row[2], row[3] == "t", *map(int, row[4:]))


def _queue(row: list[str]) -> QueueRow:
    return QueueRow(int(row[0]), int(row[1]), row[2], row[3], row[4] == "t", int(row[5]), row[6])
