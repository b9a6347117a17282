"""A pipelined PostgreSQL connection for the intake: prepared statements, two round trips a batch, an own clock.

psycopg's cursors are made for comfort; here each microsecond a command counts, and three things must be ours: a
COMMIT is bounded by our timer and then the socket is closed, *never* canceled (a canceled wait for the standby makes
a visible commit that is not replicated); a WARNING on COMMIT is noticed; nothing blocks the event loop. So this
drives libpq through `psycopg.pq`, on connections that `dial` made.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from backend.db.dial import Dialer

Params = Sequence[bytes | None]
Statement = tuple[bytes, Params]

MAX_PARAMS = 128
_BINARY = [pq.Format.BINARY] * MAX_PARAMS

_OK = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)


class ConnectionLost(Exception):
    """The connection is gone or did not answer in time; it has been closed."""


class StatementFailed(Exception):
    """The server refused a statement; the transaction must be rolled back."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(f"{sqlstate}: {text}")
        self.sqlstate = sqlstate


class PipelineConnection:
    """One libpq connection in pipeline mode, used by one task at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[object]) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._transformer = Transformer(connection)
        self.warnings: list[str] = []
        self._pg.notice_handler = self._notice
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()

    @classmethod
    async def connect(
        cls, way: Dialer | str, statements: Mapping[bytes, str], timeout_s: float, **more: str
    ) -> "PipelineConnection":
        """Connect and prepare; `way` is a dialer or libpq's connection string, `more` further parameters of libpq.
        Raises ConnectionLost."""
        dialer = way if isinstance(way, Dialer) else Dialer(way)
        try:
            connection = psycopg.AsyncConnection[object](await dialer.dial_async(**more))
        except (psycopg.Error, OSError) as error:
            raise ConnectionLost(str(error)) from error
        self = cls(connection)
        try:
            for name, sql in statements.items():
                self._pg.send_prepare(name, sql.encode())
            self._pg.pipeline_sync()
            await self._results(len(statements), timeout_s)
        except BaseException:  # also when the task is canceled: a half-made connection is of no use to anybody
            self.close()
            raise
        return self

    async def run(self, statements: Sequence[Statement], timeout_s: float) -> list[pq.abc.PGresult]:
        """Send all, one round trip; their results. Raises StatementFailed for the first refused, ConnectionLost."""
        try:
            for name, params in statements:
                self._pg.send_query_prepared(name, params, _BINARY[: len(params)], pq.Format.BINARY)
            self._pg.pipeline_sync()
        except psycopg.Error as error:
            self.close()
            raise ConnectionLost(str(error)) from error
        return await self._results(len(statements), timeout_s)

    def rows(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        """A result's rows as Python values, by psycopg's own loaders."""
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def close(self) -> None:
        """Close the socket. Sends no cancel request."""
        self._pg.finish()

    @property
    def closed(self) -> bool:
        return self._pg.status == pq.ConnStatus.BAD

    async def _results(self, count: int, timeout_s: float) -> list[pq.abc.PGresult]:
        deadline = time.monotonic() + timeout_s
        try:
            while self._pg.flush():
                await self._wait(deadline, writing=True)
            results = [await self._one(deadline) for _ in range(count)]
            synced = await self._result(deadline)
        except (psycopg.Error, OSError, TimeoutError) as error:
            self.close()
            raise ConnectionLost(str(error) or "the database did not answer in time") from error
        if synced is None or synced.status != pq.ExecStatus.PIPELINE_SYNC:
            self.close()
            raise ConnectionLost("the database answered out of step")
        for result in results:
            if result.status not in _OK:
                raise _failed(result)
        return results

    async def _one(self, deadline: float) -> pq.abc.PGresult:
        result = await self._result(deadline)
        if result is None:
            raise OSError("the connection was closed by the database")
        await self._result(deadline)  # the None that ends a statement's results
        return result

    async def _result(self, deadline: float) -> pq.abc.PGresult | None:
        while self._pg.is_busy():
            await self._wait(deadline, writing=False)
            self._pg.consume_input()
        return self._pg.get_result()

    async def _wait(self, deadline: float, *, writing: bool) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        socket = self._pg.socket
        timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), _time_out, future)
        (self._loop.add_writer if writing else self._loop.add_reader)(socket, _wake, future)
        try:
            await future
        finally:
            timer.cancel()
            (self._loop.remove_writer if writing else self._loop.remove_reader)(socket)

    def _notice(self, result: pq.abc.PGresult) -> None:
        if result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) == b"WARNING":
            self.warnings.append((result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode())


def _failed(result: pq.abc.PGresult) -> StatementFailed:
    sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"?????").decode()
    return StatementFailed(sqlstate, result.error_message.decode(errors="replace").strip())


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _time_out(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(TimeoutError("the database did not answer in time"))
