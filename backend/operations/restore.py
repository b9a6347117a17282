"""`inkeeper-server restore FILE`: a backup becomes the database, whichever engine either of them has.

One transaction: the database is the backup's afterwards, or what it was. Nobody may be using it meanwhile. What makes
the providers tell again what was printed since the backup is the cluster's *generation*: it becomes higher than that of
the backup and of the database that is replaced. The leader's term rises likewise, so that nobody who led before leads.

Invariants: nothing is committed whose rows are not those that were backed up (count and SHA-256 of each table) and
whose balances are not the sums of its transfers; a database in use, one that holds data (unless told to replace it) and
one of a newer version stay as they are.
"""

import argparse
import base64
import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.access.tables import access_token, operator
from backend.base import cli
from backend.base.cli import Failure
from backend.cluster import history
from backend.cluster.service import TAKEN_MS
from backend.cluster.tables import cluster, cluster_event, member, term
from backend.db import migrate
from backend.db.bulk import patient, restart_sequences, take_long, tidy, write_rows
from backend.db.engine import Database, DatabaseSettings, now_ms
from backend.db.lockfile import ServerLock
from backend.db.metadata import metadata
from backend.jobs.tables import job
from backend.ledger.tables import account, transfer
from backend.operations.archive import ArchiveReader, Manifest, TableEntry
from backend.operations.backup import chosen_tables
from backend.operations.interrupts import interruptible
from backend.operations.progress import Progress
from backend.operations.sums import TABLES as SUMMED
from backend.operations.sums import Sums
from backend.people.tables import user
from backend.printers.tables import provider

FIRST_CUSTOMER: Final = 100  # as the first migration has it: accounts below are the system's
SHOWN_FAULTS: Final = 3
_HELD_DATA: Final = (user, job, transfer, provider, operator, access_token)


class Marks(NamedTuple):
    """What only rises: of the database that is replaced, 0 where there is none."""

    generation: int = 0
    term: int = 0


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The words behind `restore`."""
    parser.add_argument("file", metavar="FILE", type=Path, help="the backup")
    parser.add_argument("--check", action="store_true", help="only read it and tell whether it is sound")
    parser.add_argument("--replace", action="store_true", help="replace what the database holds")
    parser.add_argument(
        "--generation",
        type=int,
        default=0,
        metavar="N",
        help="the cluster's generation from now on, at least; for a backup that was restored before",
    )


def run(options: argparse.Namespace, settings: DatabaseSettings, person: str) -> int:
    """Check the file, or restore it; say what was done."""
    progress = Progress()
    begun_s = time.monotonic()
    try:
        with interruptible(), ArchiveReader(options.file) as archive:
            if options.check:
                sums = check(archive, progress)
                print(f"{options.file}: sound; {summary(archive.manifest)}, {sums.accounts:,} accounts")
                return cli.EXIT_OK
            with _database(settings) as database:
                generation = _restore(database, archive, options, person, progress)
                progress.tell("restore: tidying the tables")
                tidy(database, [table for table, _, _ in _plan(archive.manifest)])
    finally:
        progress.end()
    took_s = time.monotonic() - begun_s
    print(f"restored {summary(archive.manifest)}, in {took_s:.1f} s; the cluster's generation is now {generation}")
    return cli.EXIT_OK


def summary(manifest: Manifest) -> str:
    """What a backup is of, for people."""
    at = datetime.fromtimestamp(manifest.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{manifest.rows:,} rows of {at}, generation {manifest.generation}, tables of version {manifest.schema}"


def check(archive: ArchiveReader, progress: Progress) -> Sums:
    """Read all of a backup. Raises Failure where it is not as it was written, or its books are not sound."""
    sums = Sums()
    for table, entry, columns in _plan(archive.manifest):
        for _ in _portions(archive, table, entry, columns, sums, progress):
            pass
    _refuse_faults(sums)
    return sums


@contextlib.contextmanager
def _database(settings: DatabaseSettings) -> Iterator[Database]:
    """The database to restore into, for this process alone. A SQLite file that was not there before is gone again
    where the restore fails."""
    database = Database(settings.url)
    if not database.is_sqlite:
        database = Database(patient(database.url))
    path = database.url.path
    fresh = database.is_sqlite and not path.exists()
    with contextlib.ExitStack() as stack:
        if database.is_sqlite:
            stack.enter_context(ServerLock(path))
        try:
            yield database
        except BaseException:
            database.close()
            if fresh:
                for ending in ("", "-wal", "-shm", ".lock"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
            raise
        database.close()


def _restore(
    database: Database, archive: ArchiveReader, options: argparse.Namespace, person: str, progress: Progress
) -> int:
    with database.connect(writing=True) as conn:
        take_long(conn)
        migrate.claim(conn)
        before = _clear(conn, replace=options.replace)
        least = max(before.generation + 1, options.generation)
        return restore(conn, archive, Marks(least, before.term), person, progress)


def restore(conn: sa.Connection, archive: ArchiveReader, least: Marks, person: str, progress: Progress) -> int:
    """Fill a database without tables of ours in the caller's transaction. `least`: the cluster's generation becomes
    this or a higher one, its term a higher one. The generation. Raises Failure, DatabaseError: then roll back."""
    manifest = archive.manifest
    planned = _plan(manifest)
    migrate.make(conn, manifest.schema)
    for table in reversed(chosen_tables()):
        if any(table is chosen for chosen, _, _ in planned):
            conn.execute(sa.delete(table))  # the rows that every new database has
    sums = Sums()
    for table, entry, columns in planned:
        write_rows(conn, table, columns, _portions(archive, table, entry, columns, sums, progress))
        restart_sequences(conn, table, FIRST_CUSTOMER - 1 if table is account else 0)
    _refuse_faults(sums)
    migrate.make(conn)
    generation = max(manifest.generation + 1, least.generation)
    _begin_anew(conn, manifest, generation, max(manifest.term, least.term) + 1, person)
    return generation


def _clear(conn: sa.Connection, *, replace: bool) -> Marks:
    """Make room. Raises Failure where that must not be."""
    found = migrate.state(conn)
    if found == "empty":
        return Marks()
    if found in ("newer", "compatible"):
        raise Failure("the database was made by a newer version of Inkeeper: restore with that version")
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("LOCK TABLE member IN ACCESS EXCLUSIVE MODE")
        _refuse_alive(conn)
    marks = Marks(
        conn.execute(sa.select(cluster.c.generation)).scalar_one(), conn.execute(sa.select(term.c.term)).scalar_one()
    )
    if not replace and _holds_data(conn):
        raise Failure("the database holds data: give --replace to put the backup in its place")
    migrate.drop_all(conn)
    return marks


def _refuse_alive(conn: sa.Connection) -> None:
    """By the database's clock, on which every member's beat is written."""
    now = now_ms(conn)
    columns = (member.c.name, member.c.url, member.c.seen_at)
    alive = sa.select(*columns).where(member.c.state != "gone", member.c.seen_at > now - TAKEN_MS)
    for row in conn.execute(alive.order_by(member.c.name)):
        ago_s = max(0, now - row.seen_at) / 1000
        raise Failure(f"server {row.name} at {row.url} was alive {ago_s:.1f} s ago: stop all servers first")


def _holds_data(conn: sa.Connection) -> bool:
    there = set(sa.inspect(conn).get_table_names())
    kept = [table for table in _HELD_DATA if table.name in there]
    return any(conn.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() for table in kept)


Planned = tuple[sa.Table, TableEntry, list[sa.Column[Any]]]


def _plan(manifest: Manifest) -> list[Planned]:
    """Which stream goes into which columns of which table. Raises Failure where this program does not know them."""
    if not migrate.is_known(manifest.schema):
        raise Failure(
            f"the backup was made by a newer version of Inkeeper ({manifest.program_version}): restore it with that"
        )
    entries = {entry.name: entry for entry in manifest.tables}
    strangers = sorted(entries.keys() - metadata.tables.keys())
    if strangers:
        raise Failure(f"the backup has a table that this program does not know: {strangers[0]}")
    found: list[Planned] = []
    for table in chosen_tables():
        entry = entries.get(table.name)
        if entry is None or not entry.columns:  # there was none yet
            continue
        if unknown := sorted(set(entry.columns) - set(table.columns.keys())):
            raise Failure(f"the backup's table {table.name} has a column that this program does not know: {unknown[0]}")
        found.append((table, entry, [table.columns[name] for name in entry.columns]))
    if not {"account", "cluster", "transfer", "term"} <= {table.name for table, _, _ in found}:
        raise Failure("the backup has no ledger")
    return found


def _portions(
    archive: ArchiveReader,
    table: sa.Table,
    entry: TableEntry,
    columns: Sequence[sa.Column[Any]],
    sums: Sums,
    progress: Progress,
) -> Iterator[list[list[Any]]]:
    """A table's rows as the database is to have them, added up on their way."""
    names = [column.name for column in columns]
    binary = [at for at, column in enumerate(columns) if isinstance(column.type, sa.LargeBinary)]
    # Transactions of another database, or of this one's past: what was stays before what comes.
    xid = names.index("xid") if table is cluster_event else None
    count = 0
    for portion in archive.rows(entry):
        for row in portion:
            if table.name in SUMMED:
                sums.add(table.name, dict(zip(names, row, strict=True)))
            for at in binary:
                row[at] = None if row[at] is None else base64.b64decode(row[at])
            if xid is not None:
                row[xid] = 0
        yield portion
        count += len(portion)
        progress.tell(f"restore: table {table.name}, {count:,} of {entry.rows:,} rows")


def _refuse_faults(sums: Sums) -> None:
    faults = list(itertools.islice(sums.faults(), SHOWN_FAULTS))
    if faults:
        raise Failure(f"the backup's books are not sound: {'; '.join(faults)}")


def _begin_anew(conn: sa.Connection, manifest: Manifest, generation: int, new_term: int, person: str) -> None:
    """A cluster that nobody is in yet, of a higher generation and term than any before. Who had logged in logs in
    anew."""
    conn.execute(sa.update(cluster).values(generation=generation))
    conn.execute(sa.update(term).values(term=new_term, holder="", member_name="", given_to=""))
    conn.execute(sa.delete(access_token).where(access_token.c.operator != ""))
    at = datetime.fromtimestamp(manifest.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    cause = f"a backup of {at}"
    detail: dict[str, str | int] = {"generation": generation}
    history.record(conn, "database-restored", "database", actor=person, cause=cause, detail=detail)
    write_audit(conn, person, "admin", "database-restored", f"generation {generation}", cause)
