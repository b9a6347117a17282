"""The statements that PostgreSQL and SQLite both know and SQLAlchemy spells by dialect."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

CHUNK = 500  # rows a statement; SQLite takes 32766 parameters, PostgreSQL 65535


def storable(text: str) -> str:
    """The text without NUL, which PostgreSQL stores in no text and JSON may hold."""
    return text.replace("\x00", "\ufffd")


def insert_or_nothing(
    conn: sa.Connection, table: sa.Table, key: Sequence[sa.Column[Any]]
) -> postgresql.Insert | sqlite.Insert:
    """INSERT that does nothing where a row of that unique key is there."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(key))
    return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(key))


def upsert(
    conn: sa.Connection,
    table: sa.Table,
    key: Sequence[sa.Column[Any]],
    rows: Sequence[Mapping[str, Any]],
    update: Sequence[str],
) -> None:
    """INSERT all rows, CHUNK at a time; those of which the key is there get their `update` columns from the new row."""
    for start in range(0, len(rows), CHUNK):
        values = [dict(row) for row in rows[start : start + CHUNK]]
        statement: postgresql.Insert | sqlite.Insert
        if conn.dialect.name == "sqlite":
            statement = sqlite.insert(table).values(values)
        else:
            statement = postgresql.insert(table).values(values)
        new = {name: statement.excluded[name] for name in update}
        conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new))
