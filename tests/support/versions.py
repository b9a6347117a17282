"""`python -m tests.support.versions WORD …`: `inkeeper-server` as it is one schema back, or will be one schema on.

A rolling upgrade has servers of two versions on one database. Releases to take the other one from are not always at
hand (there is none yet, and a clone may be shallow), so it is made of this one: `previous` does not know the newest
migration and reads and writes nothing of what that one added, `next` knows one more, which expands tables that are
written all the time, and writes what it added. What this cannot show is a difference of code that no table shows; the
contract's golden messages watch over that.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.ext.compiler import compiles

from backend import main
from backend.access import operators
from backend.access import service as access
from backend.access.tables import operator
from backend.base import cli
from backend.cluster import service
from backend.db import dialect, migrate
from backend.db.migrations.versions import m0005_help_desk
from backend.intake import store_postgresql
from backend.people import service as people
from backend.printers import service as printers

Added = Mapping[str, Mapping[str, tuple[Any, str]]]
Word = Literal["previous", "current", "next"]
REPOSITORY: Final = Path(__file__).parents[2]
VERSIONS: Final = Path(migrate.__file__).with_name("migrations") / "versions"
NEXT: Final = '''"""What a version after this one may do to tables while this one works on them: add, with defaults."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{next}", "{newest}", None, None


def upgrade() -> None:
    for table in ("member", "job", "account", "transfer", "event", "provider", "queue"):
        op.add_column(table, sa.Column("of_next", sa.String(40), nullable=False, server_default="-"))
    op.create_index("ix_job_of_next", "job", ["of_next"])
    op.create_table("only_next", sa.Column("one", sa.Integer(), primary_key=True))
'''


def revision(word: Word) -> str:
    """The newest revision that this version knows."""
    newest = int(migrate.NEWEST)
    return f"{newest + {'previous': -1, 'current': 0, 'next': 1}[word]:04}"


def argv(word: Word) -> list[str | Path]:
    """What runs this version's `inkeeper-server`, options follow."""
    return [sys.executable, "-m", __name__, word]


def environment(base: dict[str, str]) -> dict[str, str]:
    return {**base, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, [base.get("PYTHONPATH", "")])])}


def become(word: Word, folder: Path) -> None:
    """Make this process the other version; `folder` is for its migrations."""
    versions = folder / "versions"
    shutil.copytree(VERSIONS, versions, ignore=shutil.ignore_patterns("__pycache__"))
    if word == "previous":
        (newest,) = versions.glob(f"m{migrate.NEWEST}_*.py")
        newest.unlink()
        _know_nothing_of(m0005_help_desk.ADDED)
    elif word == "next":
        text = NEXT.format(next=revision("next"), newest=migrate.NEWEST)
        (versions / f"m{revision('next')}_next.py").write_text(text)
        _write_what_was_added()
    config = migrate._config

    def other(conn: sa.Connection) -> Config:
        found = config(conn)
        found.set_main_option("version_locations", str(versions))
        return found

    migrate._config, migrate.NEWEST = other, revision(word)  # type: ignore[misc]


def _write_what_was_added() -> None:
    write = service.write_member

    def both(conn: sa.Connection, row: Any, first: bool, clock_ms: int) -> service.Beaten:
        beaten = write(conn, row, first, clock_ms)
        conn.execute(
            sa.text("UPDATE member SET of_next = :now WHERE name = :name"), {"now": str(clock_ms), "name": row.name}
        )
        return beaten

    service.write_member = both


def _know_nothing_of(added: Added) -> None:
    """Read what the newest migration added as its default, and write none of it."""

    @compiles(sa.Column)
    def column(element: sa.Column[Any], compiler: Any, **more: Any) -> str:
        known = added.get(str(element.table), {}).get(element.name)
        if known is None:
            return str(compiler.visit_column(element, **more))
        if (tell := more.get("add_to_result_map")) is None:
            return known[1]
        tell(element.name, element.name, (element, element.name, element.key), element.type)
        return f"{known[1]} AS {element.name}"

    write = dialect.upsert

    def upsert(conn: Any, table: sa.Table, key: Any, rows: Sequence[Mapping[str, Any]], update: Sequence[str]) -> None:
        new = added.get(table.name, {})
        old_rows = [{name: value for name, value in row.items() if name not in new} for row in rows]
        write(conn, table, key, old_rows, [name for name in update if name not in new])

    printers.upsert = upsert  # type: ignore[attr-defined]
    _keep_jobs_without("refunded")
    _keep_no_limits()
    _know_no_new_tables()


def _know_no_new_tables() -> None:
    """Before the newest migration there was nobody who logs in, no card or alias that was noted."""
    nothing = (sa.cast(sa.null(), column.type).label(column.name) for column in operator.columns)
    access.operator = sa.select(*nothing).where(sa.false()).subquery("operator")  # type: ignore[attr-defined,assignment]
    operators.forget_old = lambda conn: None
    people.alias_owners = lambda conn, names: {}  # type: ignore[attr-defined]
    people.keep = lambda conn, user_id, details: None  # type: ignore[attr-defined]
    people._set_words = lambda conn, user_id, details: None


def _keep_no_limits() -> None:
    """The door's statements without those of a table that the newest migration makes."""
    store = store_postgresql
    del store.STATEMENTS[b"spent"]
    desk, params = store.STATEMENTS[b"desk"], store._desk_params
    start, end = desk.index(", spent AS ("), desk.index("INSERT INTO audit")
    store.STATEMENTS[b"desk"] = f"{desk[:start]}\n{desk[end:]}"
    store._desk_params = lambda writes: params(writes)[:-3]


def _keep_jobs_without(name: str) -> None:
    """The door's statements as they were while jobs had no such (last) column."""
    store = store_postgresql
    read = store.STATEMENTS[b"jobs"]
    assert f", {name}" in read
    store.STATEMENTS[b"jobs"] = read.replace(f", {name}", ", 0")
    store.JOB_COLUMNS = tuple(column for column in store.JOB_COLUMNS if column != name)
    store._JOB_CHANGING = tuple(column for column in store._JOB_CHANGING if column != name)
    store._JOBS = store._Columns(store.JOB_COLUMNS, store._JOB_TYPES)
    store.STATEMENTS[b"write"] = store._write_sql()


def heads() -> tuple[str, ...]:
    """For a test of this file: what the migrations known here lead to."""
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    return tuple(ScriptDirectory.from_config(config).get_heads())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        become(sys.argv[1], Path(name))  # type: ignore[arg-type]
        code = main.main(sys.argv[2:])
    sys.exit(code if code else cli.EXIT_OK)
