"""What the help desk does to jobs and money: what may be asked for, and how what was asked for stands, in words. Pure.

Invariant: nothing is called done but by a server's answer. Where none came it is *unknown*, and it is asked again with
the very id it was asked with first (core/outbox.py).
"""

from collections.abc import Sequence
from typing import Final, Literal

from app.core.outbox import OPEN, Item, Verb
from app.core.reducer import Rights
from app.core.viewdata import Tone, count_text, job_cost_text, money
from backend.wire.base import Ledger
from backend.wire.jobs import JobView

Choice = Literal["all", "held", "look"]

CHOICES: Final[dict[Choice, str]] = {"all": "All jobs", "held": "Held jobs", "look": "Jobs to look at"}
LISTED: Final = 4
MAY_BE_CANCELED: Final = frozenset({"held", "released", "authorised", "printing"})
LOOK_MARKS: Final = frozenset({"excess", "in_doubt", "possible_duplicate", "unassigned"})
"""Marks that bring a job onto the list of those to look at (as the servers choose it)."""


def why_not(verb: Verb, jobs: Sequence[JobView], rights: Rights | None) -> str:
    """Why this cannot be done to these jobs now, "" where it can."""
    if rights is None:
        return "whether this access token may do it is not known yet"
    if rights.desk:
        return rights.desk
    if not jobs:
        return "choose a job first"
    return "" if able(verb, jobs) else NOT_THESE[verb]


NOT_THESE: Final[dict[Verb, str]] = {
    "release": "no chosen job is held",
    "cancel": "the chosen jobs are over",
    "tick-off": "no chosen job waits to be looked at",
    "refund": "nothing is left of what the chosen job was charged",
}


def able(verb: Verb, jobs: Sequence[JobView]) -> list[JobView]:
    """Those of the jobs that it makes sense for."""
    match verb:
        case "release":
            return [job for job in jobs if job.state == "held"]
        case "cancel":
            return [job for job in jobs if job.state in MAY_BE_CANCELED]
        case "tick-off":
            return [job for job in jobs if needs_a_look(job)]
        case _:
            return [job for job in jobs if job.charged - job.refunded > 0]


def needs_a_look(job: JobView) -> bool:
    """Whether its charge is in doubt and nobody has looked at it yet."""
    return not LOOK_MARKS.isdisjoint(job.marks) and "looked_at" not in job.marks


# ---------------------------------------------------------------- in words


def sentence(items: Sequence[Item], ledger: Ledger | None = None) -> tuple[Tone, str]:
    """How what was asked for last stands, in one sentence."""
    if len(items) == 1:
        return _one(items[0], ledger)
    done = [item for item in items if item.phase == "done"]
    refused = [item for item in items if item.phase == "refused"]
    unknown = [item for item in items if item.phase == "unknown"]
    asked = [item for item in items if item.phase == "open"]
    verbs = {item.entry.verb for item in done}
    word = DONE[done[0].entry.verb].lower() if len(verbs) == 1 else "done"
    parts = [f"{len(done):,} {word}"] if done else []
    if refused:
        parts.append(f"{len(refused):,} refused: {refused[0].text}")
    if unknown:
        parts.append(f"{len(unknown):,} unknown: no server answered; asked again under the same id")
    if asked:
        parts.append(f"{len(asked):,} being asked for")
    tone: Tone = "warning" if unknown else "error" if refused else "waiting" if asked else "ok"
    return tone, f"{'. '.join(parts)}."


DONE: Final[dict[Verb, str]] = {
    "release": "Released",
    "cancel": "Canceled",
    "tick-off": "Ticked off",
    "adjust": "Adjusted",
    "set-balance": "Balance set",
    "refund": "Refunded",
    "reverse": "Undone",
}
ASKING: Final[dict[Verb, str]] = {
    "release": "Releasing",
    "cancel": "Canceling",
    "tick-off": "Ticking off",
    "adjust": "Adjusting",
    "set-balance": "Setting the balance of",
    "refund": "Refunding",
    "reverse": "Undoing",
}


def subject(item: Item, ledger: Ledger | None) -> str:
    """What a command is about: a job, or an amount and a person."""
    entry = item.entry
    match entry.verb:
        case "adjust":
            return f"{signed(entry.amount or 0, ledger)} for {entry.user_name}"
        case "set-balance":
            return f"{entry.user_name} to {money(entry.amount or 0, ledger)}"
        case "reverse":
            return f"transfer {entry.sequence:,} of {entry.user_name}"
        case _:
            return f"“{entry.title}” of {entry.user_name}"


def signed(amount: int, ledger: Ledger | None) -> str:
    """An amount with its sign, also where it is more."""
    return f"+{money(amount, ledger)}" if amount > 0 else money(amount, ledger)


def _one(item: Item, ledger: Ledger | None) -> tuple[Tone, str]:
    which, verb = subject(item, ledger), item.entry.verb
    match item.phase:
        case "done":
            return "ok", _done(item, which, ledger)
        case "refused":
            return "error", f"Not {DONE[verb].lower()}: {which}. {item.text}."
        case _ if item.barred:
            return "warning", f"Waits for {item.entry.owner.name} to log in again: {which}. {item.text}."
        case "unknown":
            text = f"Unknown whether {which} was {DONE[verb].lower()}; it is asked again under the same id"
            return "warning", f"{text}: {_why_unknown(item)}."
        case _:
            return "waiting", f"{ASKING[verb]} {which} …"


def _why_unknown(item: Item) -> str:
    return item.text.rstrip(".") or "no server answered"


def _done(item: Item, which: str, ledger: Ledger | None) -> str:
    ending = item.ending
    assert ending is not None  # what is done has a server's word
    if item.entry.verb == "cancel" and ending.state in ("authorised", "printing"):
        return f"Its print server is told to stop {which}; what was printed by then is charged."
    if ending.balance is None:
        return f"{DONE[item.entry.verb]}: {which}."
    amount = f" {signed(ending.amount or 0, ledger)}" if item.entry.verb in ("refund", "reverse") else ""
    return f"{DONE[item.entry.verb]}{amount}: {which}. The balance is {money(ending.balance, ledger)} now."


def open_text(items: Sequence[Item]) -> str:
    """How much is not answered yet, "" for nothing."""
    count = sum(item.phase in OPEN for item in items)
    return f"{count_text(count, 'command', 'commands')} not answered yet" if count else ""


def foreign_text(items: Sequence[Item]) -> str:
    """Whose commands wait on this computer for their owners, "" for nobody's."""
    if not items:
        return ""
    names = ", ".join(dict.fromkeys(item.entry.owner.name for item in items))
    waits = "command waits" if len(items) == 1 else "commands wait"
    return f"{len(items):,} {waits} on this computer until {names} logs in"


def job_facts(job: JobView, ledger: Ledger | None) -> str:
    """A job in one line, for the question whether it is to be canceled."""
    pages = count_text(job.impressions, "page", "pages")
    cost = job_cost_text(job, ledger).removesuffix(" res.")
    return f"“{job.title or '(no name)'}” of {job.user_name}: {pages} on {job.queue}, {cost}"


def listed(jobs: Sequence[JobView], ledger: Ledger | None) -> list[str]:
    """The jobs' facts, the first few of them."""
    found = [job_facts(job, ledger) for job in jobs[:LISTED]]
    return [*found, f"and {len(jobs) - LISTED:,} more"] if len(jobs) > LISTED else found
