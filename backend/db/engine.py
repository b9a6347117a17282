"""The database as the server's domains see it: a function of a connection, run in a worker thread inside one
transaction.

Services and queries are plain synchronous functions `(conn, …)`; `Database.run` gives them a transaction, a deadline
and one error to expect when the database is away. Money does not go this way (backend.intake does), everything else
does.

Invariants: a call never waits longer than its deadline; connections of a primary that failed are not used again (the
first error empties the pool); while a database cluster has no primary but lives, calls wait for the next one instead of
failing, for a few seconds at most.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
import psycopg
import sqlalchemy as sa
from psycopg.adapt import AdaptersMap
from sqlalchemy.engine.interfaces import DBAPIConnection

from backend.db.dial import AGAIN_S, Dialer
from backend.db.errors import DatabaseAway, DatabaseRefused, WriteConflict
from backend.db.lockfile import refuse_network_file_system
from backend.db.url import DatabaseUrl, parse

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

DEADLINE_S = 4.0
WORKERS = 8
MAX_WAITING = 256
_IMMEDIATE = "inkeeper_immediate"
_AGE = "inkeeper_pool_age"
# Another primary, a server going down, no more connections, disk full, a wait that was ended: not the statement's
# fault.
_SQLITE_AWAY = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_LOST_STATES = ("08", "25006", "57P0", "25P03")
_AWAY_STATES = ("08", "25006", "57P0", "57014", "53", "55P03", "25P03", "58", "40001", "40P01")


class DatabaseSettings(msgspec.Struct, frozen=True):
    """`url` as in backend.db.url; `patroni` the addresses of Patroni's REST, at the database's hosts when empty."""

    url: str = "sqlite:////var/lib/inkeeper/inkeeper.db"
    patroni: tuple[str, ...] = ()


class Database:
    """A pool of connections to one database. `run` and `write` are for the event loop, `connect` for the command
    line."""

    def __init__(self, url: str | DatabaseUrl) -> None:
        self.url = parse(url) if isinstance(url, str) else url
        self._dialer = Dialer(self.url.connect_parameters())
        self._engine = self._sqlite() if self.url.engine == "sqlite" else self._postgresql()
        self._age = 0  # of the pool: how often it was emptied
        sa.event.listen(self._engine, "connect", self._made)
        sa.event.listen(self._engine, "checkin", self._came_back)
        self._threads = concurrent.futures.ThreadPoolExecutor(WORKERS, thread_name_prefix="database")
        self._calls: set[concurrent.futures.Future[Any]] = set()
        self._breaker = Breaker()
        self._away_since_s: float | None = None
        self._away_since_ms = 0
        self._last_outage = (float("-inf"), 0.0)  # when it ended, and how long it was

    @property
    def is_sqlite(self) -> bool:
        return self.url.engine == "sqlite"

    @property
    def engine(self) -> sa.Engine:
        return self._engine

    async def run(self, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`work(conn, *args)` in one transaction, in a worker thread; reads (on SQLite they see one snapshot and
        never wait).

        Raises DatabaseAway, also when the deadline passes; what the work itself raises comes through.
        """
        bound: Callable[[sa.Connection], R] = lambda conn: work(conn, *args, **kwargs)  # noqa: E731
        return await self._patiently(functools.partial(self._transaction, False, bound), reading=True)

    async def write(self, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same for work that writes: on SQLite it begins as the one writer (BEGIN IMMEDIATE)."""
        bound: Callable[[sa.Connection], R] = lambda conn: work(conn, *args, **kwargs)  # noqa: E731
        return await self._patiently(functools.partial(self._transaction, True, bound), reading=False)

    async def look(
        self, within_s: float, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`run` for who would rather know soon that there is no answer than wait for the next primary."""
        bound: Callable[[sa.Connection], R] = lambda conn: work(conn, *args, **kwargs)  # noqa: E731
        return await self._in_thread(functools.partial(self._transaction, False, bound), within_s)

    @property
    def away_since(self) -> int | None:
        """Since when the database is known to be away, milliseconds by this machine's clock; None while it answers."""
        return self._away_since_ms if self._away_since_s is not None else None

    async def answers(self, within_s: float) -> bool:
        """Does the database answer a query within this time, or is its next primary to be expected in a moment?"""
        try:
            await self._in_thread(functools.partial(self._transaction, False, now_ms), within_s)
        except DatabaseAway:
            since_s = self._away_since_s or time.monotonic()
            return time.monotonic() < since_s + self._dialer.wait_s()
        return True

    @property
    def primary(self) -> tuple[str, str] | None:
        """Host and port that took writes when last dialled; None for SQLite and before the first connection."""
        return self._dialer.primary

    @contextmanager
    def connect(self, *, writing: bool = False) -> Iterator[sa.Connection]:
        """One transaction in the calling thread; commits at the end of the block."""
        with translated(), self._engine.connect() as connection, self._begun(connection, writing) as begun:
            yield begun

    @contextmanager
    def _begun(self, connection: sa.Connection, writing: bool) -> Iterator[sa.Connection]:
        if writing:
            connection = connection.execution_options(**{_IMMEDIATE: True})
        with connection.begin():
            yield connection

    @property
    def busy(self) -> bool:
        """Whether calls are under way in worker threads."""
        return bool(self._calls)

    def close(self, within_s: float = 1.0) -> None:
        """Close all connections, once the calls under way have ended or the time is over."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        concurrent.futures.wait(list(self._calls), within_s)
        self._empty_pool()

    async def _patiently(self, work: Callable[["_Call"], R], *, reading: bool) -> R:
        """Once more, as long as the cluster changes its primary: what only reads, and what surely was not done."""
        failed_s = float("inf")
        while True:
            try:
                return await self._in_thread(work, DEADLINE_S)
            except DatabaseAway as away:
                failed_s = min(failed_s, time.monotonic())
                # Where a connection broke, or another's dial found the new primary meanwhile, trying again tells.
                untold = away.lost or (away.unreachable and not away.begun)
                patience_s = self._dialer.wait_s() if untold or self._dialer.changing() else 0.0
                if (away.begun and not reading) or time.monotonic() >= failed_s + patience_s:
                    raise
            await asyncio.sleep(AGAIN_S / 2)

    async def _in_thread(self, work: Callable[["_Call"], R], deadline_s: float) -> R:
        if len(self._calls) >= MAX_WAITING:
            raise DatabaseAway(f"{MAX_WAITING} requests are waiting for the database")
        trial = self._breaker.enter(time.monotonic())
        call = _Call()
        future = self._threads.submit(work, call)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(_heard)
        try:
            answer = await asyncio.wait_for(asyncio.shield(waiting), deadline_s)
        except TimeoutError as error:
            call.abort()
            if call.committing and not self.is_sqlite:
                self._dialer.suspect(unconfirmed=True)
                self._empty_pool()
            away = DatabaseAway(
                f"the database did not answer within {deadline_s:g} s", unreachable=call.started, begun=call.begun
            )
            self._note(away, trial)
            raise away from error
        except asyncio.CancelledError:
            self._breaker.left(trial)
            raise
        except Exception as error:
            self._note(error, trial)
            raise
        self._answered()
        return answer

    def _note(self, error: Exception, trial: bool) -> None:
        """What an error tells of the database: that it is away, or that it answers."""
        if isinstance(error, DatabaseAway) and error.unreachable:
            self._breaker.failed(str(error), time.monotonic(), trial)
            if self._away_since_s is None:
                self._away_since_s, self._away_since_ms = time.monotonic(), round(time.time() * 1000)
        elif isinstance(error, DatabaseAway):
            self._breaker.left(trial)  # one connection, or one statement: nothing is told of the next
        else:
            self._answered()

    def _answered(self) -> None:
        self._breaker.answered()
        if self._away_since_s is not None:
            now_s = time.monotonic()
            self._last_outage, self._away_since_s = (now_s, now_s - self._away_since_s), None

    def last_outage_ms(self, within_s: float = 60.0) -> int | None:
        """How long no connection to a primary could be had, the last time that was so; None where it is long ago. As
        this server saw it, which asks about once a second when nobody else does."""
        ended_s, lasted_s = self._last_outage
        return round(1000 * lasted_s) if time.monotonic() - ended_s <= within_s else None

    def _transaction(self, writing: bool, work: Callable[[sa.Connection], R], call: "_Call") -> R:
        """A kept connection may be dead without our knowing: what broke before COMMIT was sent is done once more."""
        try:
            return self._attempt(writing, work, call)
        except DatabaseAway as error:
            error.begun = call.committing
            if not error.lost or not call.begun or call.committing or call.aborted:
                raise
        try:
            return self._attempt(writing, work, call)
        except DatabaseAway as error:
            error.begun = call.committing
            raise

    def _attempt(self, writing: bool, work: Callable[[sa.Connection], R], call: "_Call") -> R:
        call.started = True
        with translated(), self._engine.connect() as connection:
            call.begin(connection)
            try:
                with self._begun(connection, writing) as begun:
                    result = work(begun)
                    call.committing = True
            finally:
                call.end()
        return result

    def _empty_pool(self) -> None:
        """Close all connections; those that are in use when they come back."""
        self._age += 1
        self._engine.dispose()

    def _made(self, connection: DBAPIConnection, record: Any) -> None:
        record.info[_AGE] = self._age

    def _came_back(self, connection: DBAPIConnection | None, record: Any) -> None:
        """The pool that it comes back to may be one that was emptied: nobody would take it from there, or close it."""
        if connection is not None and record.info.get(_AGE) != self._age:
            connection.close()

    def _sqlite(self) -> sa.Engine:
        refuse_network_file_system(self.url.path.parent)
        engine = sa.create_engine(
            self.url.sqlalchemy_url(), pool_size=WORKERS, max_overflow=0, connect_args={"check_same_thread": False}
        )
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _postgresql(self) -> sa.Engine:
        engine = sa.create_engine(
            self.url.sqlalchemy_url(), pool_size=WORKERS, max_overflow=0, pool_timeout=2.0, pool_pre_ping=False
        )
        sa.event.listen(engine, "do_connect", self._dial)
        sa.event.listen(engine, "handle_error", _empty_pool_when_lost)
        return engine

    def _dial(self, dialect: Any, record: Any, args: Any, parameters: dict[str, Any]) -> Any:
        options = f"{POSTGRESQL_OPTIONS} {self.url.parameters.get('options', '')}".strip()
        connection = psycopg.Connection[Any](self._dialer.dial(application_name="inkeeper", options=options))
        connection._adapters = AdaptersMap(parameters["context"].adapters)  # as `connect(context=…)` would set them
        return connection


def _heard(waiting: "asyncio.Future[Any]") -> None:
    """What a call came to after its deadline was told when the deadline passed."""
    if not waiting.cancelled():
        waiting.exception()


class Breaker:
    """While the database is known to be away, calls fail at once instead of waiting each for itself; one at a time is
    let through to find out whether it is back. Decisions only; the time is given."""

    PAUSE_S = 0.25

    def __init__(self) -> None:
        self._reason = ""
        self._until_s = 0.0
        self._trying = False

    def enter(self, now_s: float) -> bool:
        """Whether this call is the one that finds out. Raises DatabaseAway where it is not let through."""
        if not self._reason:
            return False
        if self._trying or now_s < self._until_s:
            raise DatabaseAway(self._reason, unreachable=True)
        self._trying = True
        return True

    def failed(self, reason: str, now_s: float, trial: bool) -> None:
        """The database did not answer."""
        self._reason, self._until_s = reason, now_s + self.PAUSE_S
        self.left(trial)

    def answered(self) -> None:
        """The database answered, whatever it said."""
        self._reason, self._trying = "", False

    def left(self, trial: bool) -> None:
        """A call ended without telling anything."""
        self._trying = self._trying and not trial


class _Call:
    """What the waiting side may do to a call in a worker thread: cut its connection, so that the thread comes free.

    No cancel request is sent: a canceled wait for a standby makes a visible commit that is not replicated.
    """

    def __init__(self) -> None:
        self.started = False  # a thread has taken it up
        self.begun = False  # a connection was had
        self.committing = False
        self.aborted = False
        self._driver: object = None
        self._lock = threading.Lock()  # a connection that went back to the pool is another call's, and must not be cut

    def begin(self, connection: sa.Connection) -> None:
        with self._lock:
            if self.aborted:
                raise DatabaseAway("the deadline had passed before the work began")
            self._driver, self.begun = connection.connection.driver_connection, True

    def end(self) -> None:
        with self._lock:
            self._driver = None

    def abort(self) -> None:
        with self._lock:
            self.aborted = True
            if isinstance(self._driver, psycopg.Connection) and not self._driver.closed:
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._driver.fileno())) as twin:
                    twin.shutdown(socket.SHUT_RDWR)


POSTGRESQL_OPTIONS = (
    "-c statement_timeout=3000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=1000 -c timezone=UTC"
)


def now_ms(conn: sa.Connection) -> int:
    """The database's clock, milliseconds since 1970 UTC."""
    if conn.dialect.name == "sqlite":
        statement = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    else:
        statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    return int(conn.exec_driver_sql(statement).scalar_one())


@contextmanager
def translated() -> Iterator[None]:
    """Turn what drivers raise into this package's errors; anything that is a fault of ours comes through as it is."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise WriteConflict(_first_line(error)) from error
    except (sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        raise DatabaseAway(_first_line(error)) from error
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated or _says_away(error.orig):
            lost = error.connection_invalidated
            raise DatabaseAway(
                _first_line(error), lost=lost, unreachable=not lost and _is_without_connection(error.orig)
            ) from error
        if _says_no_table(error.orig):
            raise DatabaseRefused("the database has no tables yet: run `inkeeper-server migrate`") from error
        raise


def _says_away(original: BaseException | None) -> bool:
    if isinstance(original, sqlite3.Error):
        return vars(original).get("sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    if isinstance(original, psycopg.Error):
        return original.sqlstate is None or original.sqlstate.startswith(_AWAY_STATES)
    return False


def _is_without_connection(original: BaseException | None) -> bool:
    """psycopg gives no SQLSTATE where it did not even get to ask."""
    return isinstance(original, psycopg.Error) and original.sqlstate is None


def _empty_pool_when_lost(context: sa.engine.ExceptionContext) -> None:
    """A server that is no primary any more, or is going down, is as gone as one that closed the connection."""
    original = context.original_exception
    if isinstance(original, psycopg.Error) and (original.sqlstate or "").startswith(_LOST_STATES):
        context.is_disconnect = True


def _says_no_table(original: BaseException | None) -> bool:
    if isinstance(original, sqlite3.OperationalError):
        return "no such table" in str(original)
    return isinstance(original, psycopg.errors.UndefinedTable)


def _first_line(error: sa.exc.SQLAlchemyError) -> str:
    original = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    lines = str(original).strip().splitlines()
    return lines[0] if lines else type(original).__name__


def _set_up_sqlite(connection: DBAPIConnection, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None  # BEGIN is ours to send
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 3000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
