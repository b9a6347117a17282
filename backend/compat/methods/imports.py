"""Batch imports: a file on the server's machine, read in the background, and how far that is.

The call answers once the file is found readable; the work is a task (`operations.tasks`) that every server can tell of.
Running an import again changes nothing that is as it should be, so one that was broken off is simply repeated.

A token of the web services must not become a way to read the machine's files: only files that are called as lists are
(`.txt`, `.csv`, `.tsv`, `.tab`), wherever a link leads, are read.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from backend.base.ids import uuid7
from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import Caller
from backend.db.errors import DatabaseError
from backend.intake.errors import IntakeError
from backend.ledger.tables import account
from backend.operations.tasks import Status, TaskUnderWay, begin_task, latest_task, note_task
from backend.people.bulk import MAX_ROWS, import_users
from backend.people.tables import user as user_table
from backend.wire.messages import ConfigureAccount, ImportRow, SetBalance
from backend.wire.userfile import CARDS, PAPERCUT, FileRefused, read_listing, text_of

SUFFIXES: Final = (".txt", ".csv", ".tsv", ".tab")
NOTE_EVERY_S: Final = 5.0
DETAIL: Final = "Line "  # begins what only those with a token are told

log = logging.getLogger(__name__)


async def users(caller: Caller, file: str, create: bool) -> bool:
    return await _begin(caller, "batchImportUsers", file, PAPERCUT, create=create)


async def card_numbers(caller: Caller, file: str, overwrite_pin: bool = False) -> bool:
    """`overwrite_pin` is taken and does nothing: PINs of files are not kept."""
    return await _begin(caller, "batchImportUserCardIdNumbers", file, CARDS, create=False)


async def task_status(caller: Caller) -> dict[str, bool | str]:
    """Of the task that was begun last. Who has no token is told no line that names somebody."""
    status = await caller.read(latest_task)
    if status is None:
        return {"completed": True, "message": ""}
    message = _told(status, everything=bool(caller.role))
    return {"completed": status.completed or status.broken_off, "message": message}


def _told(status: Status, *, everything: bool) -> str:
    lines = status.message.splitlines()
    if not everything:
        lines = [line for line in lines if not line.startswith(DETAIL)]
    if status.broken_off:
        lines.append(f"{status.kind} was broken off with its server: run it again, nothing is done twice")
    return "\n".join(lines)


async def _begin(caller: Caller, kind: str, file: str, columns: Sequence[str], *, create: bool) -> bool:
    path = await asyncio.to_thread(_readable, file.strip())
    try:
        task_id = await caller.write(begin_task, kind, caller.actor)
    except TaskUnderWay as error:
        raise Fault(Code.GENERAL, str(error)) from error
    work = asyncio.create_task(_Import(caller, task_id, kind, create).run(path, columns))
    caller.background.add(work)  # a task that nobody holds may be collected
    work.add_done_callback(caller.background.discard)
    return True


def _readable(name: str) -> Path:
    """The file, if it may be read. Raises Fault, which tells nothing of other files than that they are not lists."""
    path = Path(name)
    if not path.is_absolute():
        raise Fault(Code.GENERAL, "The import file must be named with its whole path on the server")
    real = path.resolve()
    if real.suffix.lower() not in SUFFIXES:
        raise Fault(Code.GENERAL, f"An import file's name must end with one of {', '.join(SUFFIXES)}")
    try:
        with real.open("rb") as found:
            found.read(1)
    except OSError as error:
        raise Fault(Code.GENERAL, f"The import file cannot be read ({error.strerror})") from error
    return real


class _Import:
    """One import's work. Whatever ends it, its task says so."""

    def __init__(self, caller: Caller, task_id: int, kind: str, create: bool) -> None:
        self._caller = caller
        self._task_id = task_id
        self._kind = kind
        self._create = create
        self._counts = {"created": 0, "changed": 0, "unchanged": 0, "refused": 0}
        self._lines: list[str] = []
        self._noted_s = time.monotonic()

    async def run(self, path: Path, columns: Sequence[str]) -> None:
        try:
            await self._run(path, columns)
        except FileRefused as error:
            end = f"The file was refused, {error}"
        except (DatabaseError, IntakeError) as error:
            end = f"The import was broken off, {error}; run it again, nothing is done twice"
        else:
            end = ", ".join(f"{count} {word}" for word, count in self._counts.items())
        log.info("%s by %s: %s", self._kind, self._caller.actor, end)
        try:
            await self._note(f"{end[:1].upper()}{end[1:]}", completed=True)
        except DatabaseError as error:
            log.warning("%s: its end could not be noted: %s", self._kind, error)

    async def _run(self, path: Path, columns: Sequence[str]) -> None:
        decimals = self._caller.ledger.decimals
        content = await asyncio.to_thread(path.read_bytes)
        listing = await asyncio.to_thread(lambda: read_listing(text_of(content), decimals, columns))
        for trouble in listing.troubles:
            self._refused(trouble.row, trouble.text)
        for start in range(0, len(listing.rows), MAX_ROWS):
            await self._batch(listing.rows[start : start + MAX_ROWS])
            if time.monotonic() > self._noted_s + NOTE_EVERY_S:
                await self._note(f"{start + MAX_ROWS} of {len(listing.rows)} users")

    async def _batch(self, rows: Sequence[ImportRow]) -> None:
        caller = self._caller
        answer = await caller.database.write(
            import_users,
            rows,
            update=True,
            create=self._create,
            dry_run=False,
            actor=caller.actor,
            role=caller.role,
        )
        self._counts["created"] += answer.created
        self._counts["changed"] += answer.updated
        self._counts["unchanged"] += answer.unchanged
        for trouble in answer.troubles:
            self._refused(trouble.row, trouble.text)
        refused = {trouble.row for trouble in answer.troubles}
        await self._accounts([row for row in rows if row.row not in refused])

    async def _accounts(self, rows: Sequence[ImportRow]) -> None:
        """Balance and restriction of those whose are another than the file says: of users that were there."""
        wanted = {row.name: row for row in rows if row.balance is not None or row.restricted is not None}
        caller = self._caller
        for name, balance, restricted in await caller.database.run(_money_of, list(wanted)):
            row = wanted[name]
            if row.restricted is not None and row.restricted != restricted:
                await caller.command(ConfigureAccount(command_id=uuid7(), user_name=name, restricted=row.restricted))
            if row.balance is not None and row.balance != balance:
                await caller.command(
                    SetBalance(command_id=uuid7(), user_name=name, balance=row.balance, comment=self._kind)
                )

    def _refused(self, row: int, text: str) -> None:
        self._counts["refused"] += 1
        self._lines.append(f"{DETAIL}{row}: {text}")

    async def _note(self, line: str, *, completed: bool = False) -> None:
        lines = "\n".join([*self._lines, line])
        self._lines.clear()
        self._noted_s = time.monotonic()
        await self._caller.database.write(note_task, self._task_id, lines, completed=completed)


def _money_of(conn: sa.Connection, names: Sequence[str]) -> list[tuple[str, int, bool]]:
    """(name, balance, restricted) of those of these users that are there."""
    joined = user_table.join(account, account.c.account_id == user_table.c.account_id)
    balance = account.c.credits_posted - account.c.debits_posted
    statement = sa.select(user_table.c.name, balance, account.c.restricted).select_from(joined)
    return [tuple(row) for row in conn.execute(statement.where(user_table.c.name.in_(names)))]
