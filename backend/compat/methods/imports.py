"""Batch imports: a file on the server's machine, read in the background.

The call answers once the file is found readable; the work is a task that every server can tell of.
Running an import again changes nothing that is as it should be, so one that was broken off is simply repeated.

A token of the web services must not become a way to read the machine's files: only files that are called as lists are
(`.txt`, `.csv`, `.tsv`, `.tab`), wherever a link leads, are read.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from backend.base.ids import uuid7
from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import Caller
from backend.compat.methods.tasks import DETAIL, NOTE_EVERY_S, Notes, begin
from backend.db.errors import DatabaseError
from backend.intake.errors import IntakeError
from backend.ledger.tables import account
from backend.people.bulk import MAX_ROWS, import_users
from backend.people.tables import user as user_table
from backend.wire.money import ConfigureAccount, SetBalance
from backend.wire.people import ImportRow
from backend.wire.userfile import CARDS, PAPERCUT, FileRefused, read_listing, text_of

SUFFIXES: Final = (".txt", ".csv", ".tsv", ".tab")


async def users(caller: Caller, file: str, create: bool) -> bool:
    return await _begin(caller, "batchImportUsers", file, PAPERCUT, create=create)


async def card_numbers(caller: Caller, file: str, overwrite_pin: bool = False) -> bool:
    """`overwrite_pin` is taken and does nothing: PINs of files are not kept."""
    return await _begin(caller, "batchImportUserCardIdNumbers", file, CARDS, create=False)


async def _begin(caller: Caller, kind: str, file: str, columns: Sequence[str], *, create: bool) -> bool:
    path = await asyncio.to_thread(_readable, file.strip())
    return await begin(caller, kind, lambda notes: _Import(caller, notes, kind, create).run(path, columns))


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
    """One import's work."""

    def __init__(self, caller: Caller, notes: Notes, kind: str, create: bool) -> None:
        self._caller = caller
        self._notes = notes
        self._kind = kind
        self._create = create
        self._counts = {"created": 0, "changed": 0, "unchanged": 0, "refused": 0}
        self._noted_s = time.monotonic()

    async def run(self, path: Path, columns: Sequence[str]) -> str:
        """How it ended, in a sentence."""
        try:
            await self._run(path, columns)
        except FileRefused as error:
            return f"the file was refused, {error}"
        except (DatabaseError, IntakeError) as error:
            return f"the import was broken off, {error}; run it again, nothing is done twice"
        return ", ".join(f"{count} {word}" for word, count in self._counts.items())

    async def _run(self, path: Path, columns: Sequence[str]) -> None:
        decimals = self._caller.ledger.decimals
        content = await asyncio.to_thread(path.read_bytes)
        listing = await asyncio.to_thread(lambda: read_listing(text_of(content), decimals, columns))
        for trouble in listing.troubles:
            self._refused(trouble.row, trouble.text)
        for start in range(0, len(listing.rows), MAX_ROWS):
            await self._batch(listing.rows[start : start + MAX_ROWS])
            if time.monotonic() > self._noted_s + NOTE_EVERY_S:
                await self._notes.write(f"{start + MAX_ROWS} of {len(listing.rows)} users")
                self._noted_s = time.monotonic()

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
        self._notes.add(f"{DETAIL}{row}: {text}")


def _money_of(conn: sa.Connection, names: Sequence[str]) -> list[tuple[str, int, bool]]:
    """(name, balance, restricted) of those of these users that are there."""
    joined = user_table.join(account, account.c.account_id == user_table.c.account_id)
    balance = account.c.credits_posted - account.c.debits_posted
    statement = sa.select(user_table.c.name, balance, account.c.restricted).select_from(joined)
    return [tuple(row) for row in conn.execute(statement.where(user_table.c.name.in_(names)))]
