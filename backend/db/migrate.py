"""Bring a database's tables to this program's version, and tell how far they are.

Both engines change tables inside transactions, so a migration happens whole or not at all. Servers of one cluster may
find an empty database at the same moment: an advisory lock lets one of them make it.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from backend.db.engine import Database
from backend.db.errors import DatabaseAway, DatabaseRefused
from backend.db.lockfile import ServerLock
from backend.db.metadata import metadata

_ADVISORY_LOCK = 0x494B4A31  # "IKJ1"

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each look at the version

NEWEST: Final = "0005"  # the newest revision that this program knows

TRIES: Final = 6  # where servers that serve meanwhile and this wait for each other

State = Literal["empty", "older", "current", "compatible", "newer"]


def state(conn: sa.Connection) -> State:
    """How the database's tables stand to this program. "compatible": a newer program made them, and left in them all
    that this one uses (it says so in `cluster.oldest_schema`), so that servers can be upgraded one after the other."""
    found = revision(conn)
    script = ScriptDirectory.from_config(_config(conn))
    if found is None:
        return "empty"
    if found == script.get_current_head():
        return "current"
    known = {revision.revision for revision in script.walk_revisions()}
    if found in known:
        return "older"
    oldest = conn.exec_driver_sql("SELECT oldest_schema FROM cluster").scalar_one()
    return "compatible" if oldest <= NEWEST else "newer"


def migrate(database: Database, check: Callable[[State], None] = lambda _: None) -> bool:
    """Bring the tables to this version; True when something was changed. Raises DatabaseRefused.

    `check` sees the state before anything is done, inside the same transaction, and may refuse by raising.
    """
    lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if database.is_sqlite:
        with database.connect() as conn:
            if state(conn) in ("current", "compatible"):
                return False
        lock = ServerLock(database.url.path)  # a server that runs on other tables must end first
    with lock:
        return _upgraded(database, check)


def _upgraded(database: Database, check: Callable[[State], None]) -> bool:
    for left in reversed(range(TRIES)):
        try:
            with database.connect(writing=True) as conn:
                return upgrade(conn, check)
        except DatabaseAway as error:
            if not left or not _is_deadlock(error):
                raise
    raise AssertionError("unreachable")


def _is_deadlock(error: DatabaseAway) -> bool:
    """Whether the servers that go on meanwhile and this waited for each other; then all of it is done once more."""
    cause = error.__cause__
    return getattr(getattr(cause, "orig", None), "sqlstate", "") == "40P01"


def upgrade(conn: sa.Connection, check: Callable[[State], None] = lambda _: None) -> bool:
    """`migrate` on a connection whose caller made sure that nobody else does the same on SQLite."""
    claim(conn)
    found = state(conn)
    check(found)
    if found == "newer":
        raise DatabaseRefused("the database was made by a newer version of Inkeeper; upgrade this program")
    if found in ("current", "compatible"):
        return False
    make(conn)
    return True


def revision(conn: sa.Connection) -> str | None:
    """The revision of the database's tables; None where there are none."""
    return MigrationContext.configure(conn).get_current_revision()


def is_known(wanted: str) -> bool:
    """Whether this program has that revision's tables."""
    script = ScriptDirectory(str(Path(__file__).with_name("migrations")))
    return wanted in {found.revision for found in script.walk_revisions()}


def claim(conn: sa.Connection) -> None:
    """Nobody else makes or changes tables until this transaction ends. (On SQLite the caller sees to that.)"""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def drop_all(conn: sa.Connection) -> None:
    """Drop every table of ours (the caller has imported all that define some); the database is "empty" then."""
    metadata.drop_all(conn)
    conn.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")


def make(conn: sa.Connection, wanted: str = "head") -> None:
    """Bring the tables up to a revision that this program knows; the caller has claimed them."""
    command.upgrade(_config(conn), wanted)


def _config(conn: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = conn
    return config
