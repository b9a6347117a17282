"""The statements that PostgreSQL and SQLite both know and SQLAlchemy spells by dialect."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

CHUNK = 500  # values in one statement; SQLite takes 32766 parameters, PostgreSQL 65535


def storable(text: str) -> str:
    """The text without NUL, which PostgreSQL stores in no text and JSON may hold."""
    return text.replace("\x00", "\ufffd")


def lock_texts(conn: sa.Connection, *texts: str) -> None:
    """Until the transaction ends nobody else has any of these locks. SQLite has one writer anyway."""
    if conn.dialect.name != "postgresql":
        return
    keys = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    for key in sorted(int.from_bytes(key, signed=True) for key in keys):
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def insert_or_nothing(
    conn: sa.Connection, table: sa.Table, key: Sequence[sa.Column[Any]]
) -> postgresql.Insert | sqlite.Insert:
    """INSERT that does nothing where a row of that unique key is there."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(key))
    return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(key))


def one_of(conn: sa.Connection, column: sa.Column[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """`column IN (values)`, for some hundreds of texts. PostgreSQL compares each row with each parameter of a long list
    where it does not take an index; an array that is joined has neither fault."""
    if conn.dialect.name == "sqlite":
        return column.in_(values)
    array = sa.cast(sa.literal(list(values), postgresql.ARRAY(sa.Text)), postgresql.ARRAY(sa.Text))
    return column.in_(sa.select(sa.func.unnest(array)))


def upsert(
    conn: sa.Connection,
    table: sa.Table,
    key: Sequence[sa.Column[Any]],
    rows: Sequence[Mapping[str, Any]],
    update: Sequence[str],
) -> None:
    """INSERT all rows; those of which the key is there get their `update` columns from the new row.

    One short statement for each row, sent together: compiling one long statement for all of them costs many times more
    than running it.
    """
    if not rows:
        return
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    statement: postgresql.Insert | sqlite.Insert = insert(table)
    new = {name: statement.excluded[name] for name in update}
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new), [dict(row) for row in rows])
