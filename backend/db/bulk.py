"""Whole tables out of a database and into one: for backups, which read and write millions of rows.

A reading sees one snapshot from its first row to its last, however long it takes, while servers go on writing; rows
come in portions, in the order in which they were written as far as the engine keeps it. A writing is fast: COPY on
PostgreSQL, one prepared INSERT on SQLite. Both run in the caller's transaction.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg import sql

from backend.db.dialect import storable
from backend.db.engine import Database, translated
from backend.db.errors import DatabaseAway, DatabaseRefused
from backend.db.url import DatabaseUrl

PORTION: Final = 2000
# A checkpoint may keep the other side from reading for longer than a server's own connections put up with.
_PATIENCE: Final = {"tcp_user_timeout": "60000", "keepalives_count": "10", "connect_timeout": "10"}

Row = Sequence[Any]


def patient(url: DatabaseUrl) -> DatabaseUrl:
    """The same database for long work: a connection that is slow for a while is not given up."""
    return dataclasses.replace(url, parameters={**_PATIENCE, **url.parameters})


def begin_snapshot(conn: sa.Connection) -> None:
    """The first thing in a transaction: what is read from here on is of one moment, and may take long."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        take_long(conn)
        conn.exec_driver_sql("SET LOCAL synchronize_seqscans = off")  # a table from its beginning on


def take_long(conn: sa.Connection) -> None:
    """Lift the limits of a server's sessions for this transaction."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def read_rows(conn: sa.Connection, columns: Sequence[sa.Column[Any]]) -> Iterator[list[tuple[Any, ...]]]:
    """All rows of a table (these columns of it), a portion at a time."""
    result = conn.execution_options(yield_per=PORTION).execute(sa.select(*columns))
    for portion in result.partitions(PORTION):
        yield [tuple(row) for row in portion]


def write_rows(
    conn: sa.Connection, table: sa.Table, columns: Sequence[sa.Column[Any]], portions: Iterable[Sequence[Row]]
) -> int:
    """Add rows, values in the columns' order; how many. Raises DatabaseRefused where the database will not have one,
    DatabaseAway."""
    try:
        if conn.dialect.name == "sqlite":
            return _insert(conn, table, columns, portions)
        return _copy(conn, table, columns, portions)
    except psycopg.OperationalError as error:
        raise DatabaseAway(_told(error)) from error
    except (psycopg.Error, sa.exc.IntegrityError) as error:
        raise DatabaseRefused(f"table {table.name}: {_told(error)}") from error


def _insert(conn: sa.Connection, table: sa.Table, columns: Sequence[sa.Column[Any]], portions: Any) -> int:
    names = ", ".join(f'"{column.name}"' for column in columns)
    statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({", ".join("?" * len(columns))})'
    count = 0
    for portion in portions:
        if portion:
            conn.exec_driver_sql(statement, [tuple(row) for row in portion])
            count += len(portion)
    return count


def _copy(conn: sa.Connection, table: sa.Table, columns: Sequence[sa.Column[Any]], portions: Any) -> int:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
    count = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for portion in portions:
            for row in portion:
                copy.write_row([_clean(value) for value in row])
            count += len(portion)
    return count


def _clean(value: Any) -> Any:
    """SQLite keeps a NUL in a text, PostgreSQL does not."""
    return storable(value) if isinstance(value, str) and "\x00" in value else value


def restart_sequences(conn: sa.Connection, table: sa.Table, at_least: int) -> None:
    """After rows with ids were added: the next id that the database gives is a new one, and above `at_least`. (SQLite
    sees to that by itself.)"""
    if conn.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        sequence = conn.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
        if sequence is not None:
            newest = conn.scalar(sa.select(sa.func.max(column))) or 0
            conn.execute(sa.select(sa.func.setval(sequence, max(newest, at_least, 1), max(newest, at_least) > 0)))


def tidy(database: Database, tables: Sequence[sa.Table]) -> None:
    """After many rows were committed: what PostgreSQL would do by itself within the hour, so that look-ups are fast at
    once (statistics, the visibility map, the summaries of the index over time). Raises DatabaseError: the rows are
    there all the same."""
    if database.is_sqlite:
        return
    with translated(), database.engine.connect() as conn:
        session = conn.execution_options(isolation_level="AUTOCOMMIT")
        session.exec_driver_sql("SET statement_timeout = 0")
        for table in tables:
            session.exec_driver_sql(f'VACUUM (ANALYZE) "{table.name}"')
        session.invalidate()  # the session's settings go with it


def _told(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return lines[0] if lines else type(original).__name__
