"""What the screen says: words, amounts, the one-sentence verdict, and rows for jobs and people. Pure.

Widgets print these strings and paint these tones; they decide nothing. Each tone is always accompanied by a word and a
glyph, so that no meaning hangs on colour alone.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from app.core import freshness
from app.core.reducer import State
from backend.wire.base import Ledger
from backend.wire.cluster import Health
from backend.wire.errors import REFUSALS
from backend.wire.jobs import JobState, JobView
from backend.wire.money import TransferView
from backend.wire.people import UserView
from backend.wire.pricing import money_text

Tone = Literal["ok", "warning", "error", "draining", "unknown", "plain", "active", "waiting", "off"]

HEALTH_WORDS: Final[dict[Health, str]] = {
    "ok": "Healthy",
    "warning": "Degraded",
    "error": "Down",
    "draining": "Draining",
    "unknown": "No data",
}

JOB_WORDS: Final[dict[JobState, tuple[str, Tone]]] = {
    "received": ("Received", "plain"),
    "analysed": ("Analysed", "plain"),
    "held": ("Held", "draining"),
    "released": ("Released", "waiting"),
    "authorised": ("Authorised", "waiting"),
    "printing": ("Printing", "active"),
    "completed": ("Completed", "ok"),
    "canceled": ("Canceled", "off"),
    "aborted": ("Aborted", "warning"),
    "denied": ("Denied", "error"),
    "in_doubt": ("In doubt", "warning"),
}

MARK_WORDS: Final[dict[str, tuple[str, str]]] = {
    "estimated": ("estimated", "The count comes from a rule, not from the document"),
    "offline": ("offline", "Printed while no server answered, charged afterwards"),
    "late": ("late", "Reported after its reservation had expired"),
    "possible_duplicate": (
        "maybe twice",
        "A crash hid how the first run ended; it may be on paper twice, it is charged once",
    ),
    "excess": ("over reserve", "More was printed than had been reserved"),
    "unassigned": ("unassigned", "Fits no account; charged to the account “unassigned”"),
    "released": ("released", "Somebody of the help desk let it print"),
    "in_doubt": ("print in doubt", "Nobody can tell how much of it was printed; the queue’s rule decided"),
    "looked_at": ("looked at", "Somebody of the help desk has looked at its charge"),
    "cancel_requested": ("cancel asked for", "Its print server has not said yet that it is over"),
}

CODE_WORDS: Final[dict[str, str]] = {
    "held-for-release": "Waits to be released",
    "canceled-by-operator": "Canceled by the help desk",
    "hold-expired": "Not released in time",
    "cancel-requested": "Its print server is told to cancel it",
}
"""Shorter than the words for the person who prints, and of what is not said to that person at all."""

MANY: Final = 1000
"""Servers stop counting matches here."""

NO_AMOUNT: Final = "–"

SPACES: Final = str.maketrans("", "", " '’_\N{NO-BREAK SPACE}\N{THIN SPACE}\N{NARROW NO-BREAK SPACE}")
"""What may stand between the digits that somebody types or pastes."""

GROUPED_FROM: Final = 5
"""Digits before the point."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The sentence on top. `source` names who says so and how old it is."""

    health: Health
    text: str
    detail: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Indicator:
    """The connection, as shown beside the title."""

    tone: Tone
    word: str
    endpoint: str


@lru_cache(maxsize=4096)
def money(amount: int, ledger: Ledger | None) -> str:
    """An amount with its currency and a real minus sign; a dash while the ledger's scale is not known yet. From five
    digits on they stand in groups of three (ISO 80000-1: a narrow space, for point and comma are decimal signs)."""
    if ledger is None:
        return NO_AMOUNT
    number = money_text(amount, ledger.decimals, "")
    sign, digits = ("−", number[1:]) if number.startswith("-") else ("", number)
    whole, point, fraction = digits.partition(".")
    if len(whole) >= GROUPED_FROM:
        whole = f"{int(whole):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{sign}{whole}{point}{fraction} {ledger.currency}".rstrip()


def cluster_text(name: str) -> str:
    """A cluster's name; of one that was never given a name, the beginning of its id."""
    return f"cluster {name[:8]}" if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name) else name


def count_text(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def host_text(url: str) -> str:
    """A server's address without the scheme: what people call it by."""
    return url.split("://", 1)[-1].rstrip("/")


def database_now_ms(state: State, now: float, wall_ms: int) -> int:
    """The database's time now: as it was when last read, plus what passed since. `wall_ms` serves until one was
    read.
    """
    if state.topology is None:
        return wall_ms
    return state.topology.as_of + int((now - state.topology_at) * 1000)


def snapshot_age_s(state: State, now: float) -> float:
    return max(0.0, now - state.topology_at) if state.topology is not None else 0.0


# ---------------------------------------------------------------- connection and verdict


def short_reason(reason: str) -> str:
    """Why no server answers, short enough for one line: hosts for addresses, without the system's own words in
    brackets.
    """
    parts = (re.sub(r"\s*\(.*\)$", "", part.strip()) for part in reason.split("; "))
    return "; ".join(re.sub(r"https?://", "", part) for part in parts if part)


def indicator(state: State, now: float) -> Indicator:
    connection = state.connection
    endpoint = host_text(connection.endpoint) if connection.endpoint else ""
    match connection.phase:
        case "live":
            return Indicator("ok", "Live", endpoint)
        case "connecting":
            return Indicator("waiting", "Connecting", count_text(len(connection.servers), "server", "servers"))
        case "reconnecting":
            if connection.retry_at is None:
                return Indicator("warning", "Reconnecting", endpoint)
            wait = max(1, round(connection.retry_at - now))
            return Indicator("warning", f"Reconnecting in {wait} s", endpoint)
        case "failed":
            return Indicator("error", "Not connected", endpoint)
        case "idle":
            return Indicator("unknown", "No cluster", "")


def verdict(state: State, now: float) -> Verdict:
    """One sentence for the whole cluster; what is wrong with the console's own view of it comes first."""
    connection, topology = state.connection, state.topology
    age = snapshot_age_s(state, now)
    if connection.phase == "failed" and connection.code == "unauthenticated":
        return Verdict("error", "The log-in has ended, or the access token is not accepted.", "Log in again to go on.")
    if connection.phase == "failed":
        return Verdict("error", f"{connection.reason or 'The connection failed'}.")
    if connection.phase == "connecting":
        return Verdict("unknown", "Connecting …", ", ".join(map(host_text, connection.servers)))
    if connection.phase == "reconnecting" and (topology is None or freshness.is_stale(age, freshness.SNAPSHOT_LIMIT_S)):
        seen = f" Shown is what was known {freshness.ago_text(age)}." if topology is not None else ""
        return Verdict("error", f"No server answers.{seen}", short_reason(connection.reason))
    if "topology" in state.forbidden:
        return Verdict("unknown", "This access token may not see the cluster’s health.")
    if topology is None:
        return Verdict("unknown", "Nothing is known yet.")
    source = f"as seen by {topology.seen_by}, {freshness.ago_text(age)}"
    if freshness.is_stale(age, freshness.SNAPSHOT_LIMIT_S):
        return Verdict("unknown", f"This picture is {freshness.age_text(age)} old.", topology.verdict, source)
    return Verdict(topology.health, topology.verdict, "", source)


# ---------------------------------------------------------------- jobs


def job_tone(job: JobView) -> Tone:
    return JOB_WORDS[job.state][1]


def job_word(job: JobView) -> str:
    return JOB_WORDS[job.state][0]


def job_cost_text(job: JobView, ledger: Ledger | None) -> str:
    """What it cost, what is reserved for it while it prints, what it would cost while it waits. A dash where none of
    these applies."""
    if job.state in ("held", "released"):
        return money(job.cost, ledger)
    if job.state in ("authorised", "printing"):
        return f"{money(job.reserved, ledger)} res." if job.reserved else NO_AMOUNT
    if job.state in ("received", "analysed", "denied"):
        return NO_AMOUNT
    return money(job.charged, ledger)


def mark_words(job: JobView) -> tuple[str, ...]:
    return tuple(MARK_WORDS.get(mark, (mark.replace("_", " "), ""))[0] for mark in job.marks)


def why_text(job: JobView, ledger: Ledger | None = None) -> str:
    """Why a job was refused, and what its marks mean, one line each; "" for an ordinary job."""
    lines = [code_text(job)] if job.code else []
    if job.state == "denied" and job.cost and ledger is not None:
        lines.append(f"It would have cost {money(job.cost, ledger)}")
    lines += [f"{MARK_WORDS[mark][0]}: {MARK_WORDS[mark][1]}" for mark in job.marks if mark in MARK_WORDS]
    return "\n".join(lines)


def job_remark(job: JobView) -> str:
    """The short text of the last column: the reason of a refusal, else the marks."""
    if job.code:
        return code_text(job)
    return ", ".join(mark_words(job))


SHORT: Final[dict[str, str]] = {
    "account-limit-reached": "not enough credit",
    "account-unknown": "no such account",
    "canceled-by-operator": "by the help desk",
    "cancel-requested": "is being told",
    "held-for-release": "to be released",
    "hold-expired": "not released",
    "printer-disabled": "queue is off",
    "user-disabled": "user is off",
    "user-unknown": "user unknown",
}


def short_remark(job: JobView) -> str:
    """The same for a narrow column; the whole of it is in the tool tip."""
    return SHORT.get(job.code) or job_remark(job)


def code_text(job: JobView) -> str:
    """A job's code in words: why it was refused, canceled, or what it waits for."""
    return CODE_WORDS.get(job.code) or REFUSALS.get(job.code, job.code)


def job_age_s(job: JobView, database_ms: int) -> float:
    return max(0.0, (database_ms - job.created_at) / 1000)


# ---------------------------------------------------------------- people


def person_subtitle(user: UserView) -> str:
    """The line below a person's name; the login comes first because that is what they are asked for."""
    parts = (user.name, user.department, user.email, f"card {user.card_number}" if user.card_number else "")
    return "  ·  ".join(part for part in parts if part)


def person_title(user: UserView) -> str:
    return user.full_name or user.name


def standing(user: UserView) -> tuple[tuple[str, Tone], ...]:
    """The chips beside a person's name: what they may do, each with its tone."""
    chips: list[tuple[str, Tone]] = []
    if user.disabled:
        chips.append(("Printing switched off", "error"))
    chips.append(("Restricted to credit", "plain") if user.restricted else ("Unrestricted", "plain"))
    if user.restricted and user.available <= -user.overdraft:
        chips.append(("No credit left", "error"))
    return tuple(chips)


def transfer_word(transfer: TransferView, settled: bool = False) -> str:
    """The code as words, and what a transfer that moved nothing was: "print-job", pending → "Print job, reserved"."""
    text = transfer.code.replace("-", " ").replace("_", " ").strip() or "transfer"
    text = text[:1].upper() + text[1:]
    match transfer.kind:
        case "posted":
            return text
        case "pending":
            return f"{text}, was reserved" if settled else f"{text}, reserved"
        case "voided":
            return f"{text}, released"
        case "expired":
            return f"{text}, expired"


def actor_text(actor: str) -> str:
    """Who did it: "provider:print-01" → "by print-01"."""
    return f"by {actor.partition(':')[2] or actor}" if actor else ""


def found_text(shown: int, total: int) -> str:
    """How many were found, and whether all are on the screen."""
    if total == 0:
        return ""
    if shown < total:
        many = f"{total:,} or more" if total >= MANY else f"{total:,}"
        return f"{shown:,} of {many} people — type more to narrow it down"
    return count_text(total, "person", "people")
