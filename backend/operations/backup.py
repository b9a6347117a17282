"""`inkeeper-server backup FILE`: everything that must not be lost, in one file, while servers go on.

All tables are read in one snapshot, so that the file is the database as it was at one moment: the sums of its transfers
are its balances. SQLite and PostgreSQL give the same file; either can be restored from it. Left out is what is about
running processes and what people do at this moment: a restored cluster begins with nobody in it.
"""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from backend.access import tables as access_tables
from backend.base import cli
from backend.base.cli import Failure
from backend.cluster import tables as cluster_tables
from backend.cluster.tables import cluster, term
from backend.db import migrate
from backend.db.bulk import begin_snapshot, patient, read_rows
from backend.db.engine import Database, DatabaseSettings, now_ms
from backend.db.metadata import metadata
from backend.intake import tables as intake_tables
from backend.jobs import tables as jobs_tables
from backend.ledger import tables as ledger_tables
from backend.notices import tables as notices_tables
from backend.operations import tables as operations_tables
from backend.operations.archive import FORMAT, PROGRAM, ArchiveWriter, Manifest, TableEntry
from backend.operations.interrupts import interruptible
from backend.operations.progress import Progress
from backend.people import tables as people_tables
from backend.printers import tables as printers_tables

# Whoever defines tables must have been imported: a backup is of all of them.
OWNERS: Final = (
    access_tables,
    cluster_tables,
    intake_tables,
    jobs_tables,
    ledger_tables,
    notices_tables,
    operations_tables,
    people_tables,
    printers_tables,
)

# About running processes (`member`, the leader's `beat`), streamed to those who listened (`event`), or under way.
LEFT_OUT: Final = frozenset({"member", "beat", "event", "login_attempt", "task", "notice", "notice_cursor"})


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The words behind `backup`."""
    parser.add_argument("file", metavar="FILE", type=Path, help="where to write the backup")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def run(options: argparse.Namespace, settings: DatabaseSettings) -> int:
    """Write the backup and say what is in it."""
    path: Path = options.file
    if path.is_dir() or not path.name:
        raise Failure(f"{path} is a folder: give the file's name")
    database = Database(settings.url)
    if database.is_sqlite and not database.url.path.exists():
        raise Failure(f"{database.url.path}: there is no such database")
    if not database.is_sqlite:
        database = Database(patient(database.url))
    progress = Progress()
    begun_s = time.monotonic()
    try:
        with interruptible(), ArchiveWriter(path, force=options.force) as archive:
            manifest = write(database, archive, progress)
    finally:
        progress.end()
        database.close()
    took_s = time.monotonic() - begun_s
    size = path.stat().st_size
    print(f"{path}: {manifest.rows:,} rows, {size:,} bytes, in {took_s:.1f} s")
    return cli.EXIT_OK


def write(database: Database, archive: ArchiveWriter, progress: Progress) -> Manifest:
    """Everything of the database into the archive, which is finished then. Raises DatabaseError, Failure."""
    with database.connect() as conn:
        begin_snapshot(conn)
        manifest = _about(conn)
        entries = [_table(conn, table, archive, progress) for table in chosen_tables()]
    manifest = Manifest(**{name: getattr(manifest, name) for name in _KEPT}, tables=tuple(entries))
    archive.finish(manifest)
    return manifest


_KEPT: Final = tuple(name for name in Manifest.__struct_fields__ if name != "tables")


def chosen_tables() -> list[sa.Table]:
    """The tables of a backup, those that others refer to first."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


def _about(conn: sa.Connection) -> Manifest:
    state = migrate.state(conn)
    if state == "empty":
        raise Failure("the database has no tables yet: there is nothing to back up")
    if state in ("newer", "compatible"):
        raise Failure("the database was made by a newer version of Inkeeper: back it up with that version")
    found = conn.execute(sa.select(cluster.c.cluster_id, cluster.c.generation)).one()
    return Manifest(
        format=FORMAT,
        program=PROGRAM,
        program_version=cli.program_version(),
        at=now_ms(conn),
        engine=conn.dialect.name,
        schema=str(migrate.revision(conn)),
        cluster_id=str(found.cluster_id),
        generation=found.generation,
        term=conn.execute(sa.select(term.c.term)).scalar_one(),
    )


def _table(conn: sa.Connection, table: sa.Table, archive: ArchiveWriter, progress: Progress) -> TableEntry:
    there = _there(conn, table)

    def portions() -> Iterator[list[tuple[Any, ...]]]:
        count = 0
        if there:
            for portion in read_rows(conn, there):
                yield portion
                count += len(portion)
                progress.tell(f"backup: table {table.name}, {count:,} rows")

    return archive.add(str(table.name), [str(column.name) for column in there], portions())


def _there(conn: sa.Connection, table: sa.Table) -> list[sa.Column[Any]]:
    """The table's columns that the database has: one that was not migrated yet lacks the newest."""
    with contextlib.suppress(sa.exc.NoSuchTableError):
        names = {found["name"] for found in sa.inspect(conn).get_columns(table.name)}
        return [column for column in table.columns if column.name in names]
    return []
