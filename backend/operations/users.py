"""`inkeeper-server users import FILE`: a list of users from a file, through the database, on any machine that has the
settings, also while servers run.

Some hundreds of users are one transaction, so a server waits for us no longer than that takes; on SQLite, where there
is one writer, we stand back for as long after each. An import that was broken off is run again: what was done is found
unchanged.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backend.base import cli
from backend.base.cli import Failure
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.operations.progress import Progress
from backend.people.bulk import MAX_ROWS, import_users
from backend.wire.people import ImportAnswer, ImportRow, ImportTrouble
from backend.wire.pricing import minor_units
from backend.wire.userfile import PAPERCUT, FileRefused, read_listing, text_of

BATCH: Final = MAX_ROWS
MAX_TOLD: Final = 100
STAND_BACK: Final = 0.5  # of the time that a batch took


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The words below `users`; each sets `users_run`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="ACTION")
    words = verbs.add_parser(
        "import", help="make or change the users of a list (CSV); exit code 1 when rows were refused"
    )
    words.add_argument("file", metavar="FILE", help="the first line names the columns; - reads standard input")
    words.add_argument("--dry-run", action="store_true", help="only tell what it would do")
    words.add_argument(
        "--update", action=argparse.BooleanOptionalAction, default=True, help="change users that are there (default)"
    )
    words.add_argument("--initial-credit", metavar="AMOUNT", help="what new users start with, before the setting's")
    words.add_argument("--papercut", action="store_true", help="a file of PaperCut's batch import: no names, tabs")
    words.set_defaults(users_run=run_import)


def run_import(options: argparse.Namespace, database: Database, decimals: int, person: str) -> int:
    """Import, tell how far it is on stderr and what came of it on stdout."""
    credit = _credit(options.initial_credit, decimals)
    try:
        listing = read_listing(text_of(_content(options.file)), decimals, PAPERCUT if options.papercut else ())
    except FileRefused as error:
        raise Failure(f"{options.file}: {error}") from error
    total = _import(database, listing.rows, options, credit, person)
    troubles = sorted([*listing.troubles, *total.troubles], key=lambda trouble: trouble.row)
    _tell(troubles)
    summary = f"{total.created} created, {total.updated} changed, {total.unchanged} unchanged, {len(troubles)} refused"
    print(f"dry run, nothing was done: {summary}" if options.dry_run else summary)
    return cli.EXIT_FAILURE if troubles else cli.EXIT_OK


def _credit(text: str | None, decimals: int) -> int | None:
    if text is None:
        return None
    try:
        credit = minor_units(text, decimals)
    except ValueError as error:
        raise cli.UsageError(f"--initial-credit takes an amount such as 12.50, not {text!r}") from error
    if credit < 0:
        raise cli.UsageError("--initial-credit takes an amount that is not negative")
    return credit


def _content(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Failure(f"{name} cannot be read: {error.strerror}") from error


def _import(
    database: Database, rows: Sequence[ImportRow], options: argparse.Namespace, credit: int | None, person: str
) -> ImportAnswer:
    progress, began_all_s = Progress(), time.monotonic()
    created = updated = unchanged = done = 0
    troubles: list[ImportTrouble] = []
    try:
        for start in range(0, len(rows), BATCH):
            began_s = time.monotonic()
            with database.connect(writing=not options.dry_run) as conn:
                answer = import_users(
                    conn,
                    rows[start : start + BATCH],
                    update=options.update,
                    dry_run=options.dry_run,
                    actor=person,
                    role="admin",
                    initial_credit=credit,
                )
            created, updated = created + answer.created, updated + answer.updated
            unchanged += answer.unchanged
            troubles += answer.troubles
            done = min(start + BATCH, len(rows))
            progress.tell(_how_far(done, len(rows), time.monotonic() - began_all_s))
            if database.is_sqlite and not options.dry_run:
                time.sleep(STAND_BACK * (time.monotonic() - began_s))
    except DatabaseAway as error:
        text = f"after {done} of {len(rows)} users: {error}; run the import again, nothing is done twice"
        raise Failure(text) from error
    finally:
        progress.end()
    return ImportAnswer(created=created, updated=updated, unchanged=unchanged, troubles=tuple(troubles))


def _how_far(done: int, total: int, taken_s: float) -> str:
    rate = max(1.0, done / max(0.001, taken_s))
    return f"{done} of {total} users, {rate:.0f} a second, about {(total - done) / rate:.0f} s left"


def _tell(troubles: Sequence[ImportTrouble]) -> None:
    for trouble in troubles[:MAX_TOLD]:
        who = f" ({trouble.name})" if trouble.name else ""
        print(f"line {trouble.row}{who}: {trouble.text}", file=sys.stderr)
    if len(troubles) > MAX_TOLD:
        print(f"… and {len(troubles) - MAX_TOLD} more", file=sys.stderr)
