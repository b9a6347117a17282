"""Users as rows, the form of one user, and the import of many from a file. Pure but for the import, which runs on the
network thread.

Only what was touched is sent: another administrator's change of the same user to something else stays.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from app.core.administration import UserFilter, import_users
from app.core.tables import harmless, lines
from app.core.viewdata import Tone, count_text, money
from backend.client.client import ApiClient
from backend.wire.base import Ledger
from backend.wire.people import ImportAnswer, ImportRow, ImportTrouble, ImportUsers, UserDeleted, UserDetails, UserView
from backend.wire.userfile import PAPERCUT, read_listing, text_of

BATCH: Final = 500
"""As many rows as a server takes at once."""

FILTERS: Final[dict[UserFilter, str]] = {
    "": "All users",
    "disabled": "Switched off",
    "restricted": "Restricted to credit",
    "negative": "Below zero",
}
DETAILS: Final[dict[str, str]] = {
    "full_name": "Full &name",
    "email": "&E-mail",
    "department": "&Department",
    "office": "&Office",
    "card_number": "&Card number",
    "card_number2": "Second card n&umber",
    "alias": "A&lias",
    "notes": "No&tes",
}


def standing(user: UserView, now_ms: int) -> tuple[str, Tone]:
    """Whether this user may print now."""
    if user.disabled:
        return "Switched off", "error"
    if user.disabled_until > now_ms:
        return f"Off until {day(user.disabled_until)}", "off"
    if user.restricted and user.available <= -user.overdraft:
        return "No credit left", "warning"
    return "May print", "ok"


def day(at_ms: int) -> str:
    """A moment as a day, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"


def until_ms(text: str) -> int:
    """When a day that somebody typed begins, UTC; 0 for none. Raises ValueError."""
    if not text.strip():
        return 0
    typed = date.fromisoformat(text.strip())
    return int(datetime(typed.year, typed.month, typed.day, tzinfo=UTC).timestamp() * 1000)


def overdraft_text(user: UserView, ledger: Ledger) -> str:
    text = money(user.overdraft, ledger)
    return f"{text}, default" if user.overdraft_mode == "default" else text


def cards_text(user: UserView) -> str:
    return ", ".join(card for card in (user.card_number, user.card_number2) if card)


def touched(user: UserView, values: dict[str, str]) -> UserDetails:
    """What differs from the user as it was shown."""
    changes = {name: text.strip() for name, text in values.items() if text.strip() != getattr(user, name)}
    return UserDetails(**changes)  # type: ignore[arg-type]


def found(total: int, loaded: bool) -> str:
    return count_text(total, "user", "users") if loaded else ""


# ---------------------------------------------------------------- another login, deletion

RENAMED: Final = "Balance, cards and transfers stay with the user. Jobs keep the login that they came under."


def old_name_text(user: UserView, kept: bool) -> str:
    """What comes of jobs under the old login, held ones too; `kept` as an alias."""
    if kept:
        return "Jobs that come under the old login, held ones too, are still this user’s."
    return f"Held jobs of {user.name} will be refused when they are released; what is new is somebody else’s."


def deletion_lines(user: UserView, ledger: Ledger, held: int | None) -> tuple[tuple[Tone, str], ...]:
    """What becomes of what a user has; `held` jobs wait to be released (None: not known yet)."""
    jobs = count_text(user.print_jobs, "job", "jobs")
    balance = money(user.balance, ledger)
    return (
        ("warning", f"The balance of {balance} stays in the books and is nobody’s: set it to zero first if it is due.")
        if user.balance
        else ("plain", "The balance is zero."),
        *_deletion_of_jobs(user, ledger, held),
        ("plain", f"History: transfers and {jobs} stay, and so does the audit log."),
        ("plain", "Details, cards and alias go, and the look-up finds this person no more."),
        ("plain", f"Whoever prints as {user.name} later is a new user, who may get the initial credit."),
    )


def _deletion_of_jobs(user: UserView, ledger: Ledger, held: int | None) -> tuple[tuple[Tone, str], ...]:
    found: list[tuple[Tone, str]] = []
    if user.reserved:
        reserved = money(user.reserved, ledger)
        found.append(("error", f"{reserved} are reserved for jobs on their way: deleting is refused until these end."))
    if held is None:
        found.append(("waiting", "Whether jobs are held is being asked …"))
    elif held:
        waits = "1 held job waits" if held == 1 else f"{held:,} held jobs wait"
        found.append(("warning", f"{waits} to be released, and will be refused then: release or cancel first."))
    else:
        found.append(("plain", "No job is held."))
    return tuple(found)


def removed_text(left: UserDeleted, ledger: Ledger) -> str:
    """What stays of somebody who is deleted."""
    return f"The account stays as “{left.account_name}” with {money(left.balance, ledger)}."


# ---------------------------------------------------------------- import


@dataclass
class Import:
    """How far an import is; written by the network thread, looked at by the window's. `stopped` is set by the window:
    what was done by then stays, and doing it again changes nothing."""

    total: int = 0
    done: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stopped: bool = False
    troubles: list[ImportTrouble] = field(default_factory=list)

    def take(self, answer: ImportAnswer, rows: int) -> None:
        self.done += rows
        self.created += answer.created
        self.updated += answer.updated
        self.unchanged += answer.unchanged
        self.troubles += answer.troubles


def progress_text(told: Import, dry_run: bool) -> str:
    """How far it is, for people."""
    doing = "Checking" if dry_run else "Importing"
    return f"{doing} … {told.done:,} of {told.total:,} rows" if told.total else f"{doing} …"


def summary(told: Import, dry_run: bool) -> tuple[Tone, str]:
    """What came of it."""
    words = ("would be created", "would be changed") if dry_run else ("created", "changed")
    text = f"{told.created:,} {words[0]}, {told.updated:,} {words[1]}, {told.unchanged:,} unchanged"
    if told.troubles:
        text += f", {len(told.troubles):,} refused"
    if told.stopped:
        text = f"Stopped after {told.done:,} of {told.total:,} rows: {text}"
    return "warning" if told.troubles or told.stopped else "ok", f"{text}."


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What is to be done with a file. `papercut`: it has no line of names but PaperCut's order of columns."""

    path: Path
    update: bool = True
    dry_run: bool = True
    papercut: bool = False


async def run_import(client: ApiClient, order: ImportOrder, decimals: int, told: Import) -> Import:
    """Send the file's rows, some hundreds at a time. Raises OSError, FileRefused, ServerProblem, NoServer."""
    rows, troubles = await asyncio.to_thread(_read, order, decimals)
    told.total = len(rows)
    told.troubles += troubles
    for start in range(0, len(rows), BATCH):
        if told.stopped:
            break
        batch = rows[start : start + BATCH]
        body = ImportUsers(rows=tuple(batch), update=order.update, dry_run=order.dry_run)
        told.take(await import_users(client, body), len(batch))
    told.troubles.sort(key=lambda trouble: trouble.row)
    return told


def _read(order: ImportOrder, decimals: int) -> tuple[list[ImportRow], list[ImportTrouble]]:
    listing = read_listing(text_of(order.path.read_bytes()), decimals, PAPERCUT if order.papercut else ())
    return listing.rows, listing.troubles


def troubles_csv(troubles: Sequence[ImportTrouble]) -> str:
    """The refused rows as a table."""
    rows = [(trouble.row, harmless(trouble.name), harmless(trouble.text)) for trouble in troubles]
    return lines([("line", "name", "why"), *rows])
