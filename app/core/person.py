"""A person's day in words for the person at the desk: why a job was denied, held or charged so, and a summary to paste
into a ticket. Pure.

What was left when a job was denied is not kept with the job; it is read off the transfers, and said only where those
that are known reach back to that moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.core.viewdata import (
    JOB_WORDS,
    MARK_WORDS,
    Tone,
    code_text,
    count_text,
    money,
    person_title,
    standing,
    transfer_word,
)
from backend.wire.base import Ledger
from backend.wire.jobs import JobView
from backend.wire.money import TransferView
from backend.wire.people import UserView

SUMMARY_JOBS: Final = 8
SUMMARY_TRANSFERS: Final = 8


@dataclass(frozen=True, slots=True)
class Past:
    """The transfers known of a person, newest first; `whole` says that there are no older ones."""

    transfers: tuple[TransferView, ...] = ()
    whole: bool = False


def available_at(past: Past, moment: int) -> int | None:
    """What was available at a moment (ms): the posted balance less what was reserved. None where it is not known."""
    older = [found for found in past.transfers if found.at <= moment]
    if not older:
        return 0 if past.whole else None
    reserved = {found.sequence: -found.amount for found in older if found.kind == "pending"}
    settled = {found.earlier for found in older if found.kind != "pending"}
    over = {found.job_id for found in older if found.kind != "pending" and found.job_id and not found.earlier}
    jobs = {found.sequence: found.job_id for found in older}
    held = sum(amount for key, amount in reserved.items() if key not in settled and jobs[key] not in over)
    return older[0].balance - held


def why_lines(
    job: JobView, ledger: Ledger | None, past: Past = Past(), user: UserView | None = None
) -> tuple[tuple[Tone, str], ...]:  # fmt: skip
    """Why this job stands as it does, one line each, the most important first."""
    lines = [*_decision(job, ledger, past, user), *_charge(job, ledger)]
    lines += [("warning" if mark in GRAVE else "plain", _mark(mark)) for mark in job.marks if mark in MARK_WORDS]
    return tuple(lines)


GRAVE: Final = frozenset({"possible_duplicate", "in_doubt", "unassigned", "excess"})
_MARKS: Final[Mapping[str, str]] = {
    "offline": "Printed while no server answered, charged afterwards",
    "late": "Reported long after it was printed: its reservation had expired",
    "possible_duplicate": "A crash hid how the first run ended: it may be on paper twice, and is charged once",
    "excess": "More was printed than had been reserved for it",
    "estimated": "The number of pages is estimated: it comes from a rule, not from the document",
    "released": "Somebody of the help desk let it print",
    "in_doubt": "Nobody can tell how much of it was printed; the queue’s rule decided what it costs",
    "unassigned": "It fits no account; it is charged to the account “unassigned”",
    "cancel_requested": "Its print server was told to cancel it, and has not said yet that it is over",
}


def _mark(mark: str) -> str:
    return _MARKS.get(mark, MARK_WORDS[mark][1] or MARK_WORDS[mark][0])


def _decision(job: JobView, ledger: Ledger | None, past: Past, user: UserView | None) -> list[tuple[Tone, str]]:
    if job.state == "denied":
        return [("error", f"Denied: {_why_denied(job, ledger, past, user)}")]
    if job.state == "held":
        cost = f"; it would cost {money(job.cost, ledger)}" if job.cost else ""
        return [("draining", f"Held: {lower(code_text(job) or 'it waits')}{cost}")]
    if job.code:
        return [(JOB_WORDS[job.state][1], f"{JOB_WORDS[job.state][0]}: {lower(code_text(job))}")]
    return []


def _why_denied(job: JobView, ledger: Ledger | None, past: Past, user: UserView | None) -> str:
    if job.code != "account-limit-reached":
        return lower(code_text(job)) or "no reason was told"
    cost = f"it would have cost {money(job.cost, ledger)}" if job.cost else "the account did not cover it"
    left = available_at(past, job.updated_at)
    if left is None:
        return cost
    overdraft = user.overdraft if user is not None else 0
    if left < 0:
        return f"{cost}, the account stood at {money(left, ledger)}"
    if left == 0 and not overdraft:
        return f"{cost}, nothing was left"
    more = f" and {money(overdraft, ledger)} overdraft" if overdraft else ""
    return f"{cost}, {money(left, ledger)}{more} was left"


def _charge(job: JobView, ledger: Ledger | None) -> list[tuple[Tone, str]]:
    if job.state in ("authorised", "printing"):
        return [("waiting", f"{money(job.reserved, ledger)} are reserved until it is printed")] if job.reserved else []
    if not job.charged:
        nothing = job.state in ("canceled", "aborted", "denied")
        return [("off", "Nothing was charged")] if nothing else []
    lines: list[tuple[Tone, str]] = [("plain", f"Charged {money(job.charged, ledger)} for {printed_text(job)}")]
    if job.refunded:
        kept = job.charged - job.refunded
        rest = f"; {money(kept, ledger)} stay charged" if kept else ", all of it"
        lines.append(("ok", f"{money(job.refunded, ledger)} were given back{rest}"))
    return lines


def printed_text(job: JobView) -> str:
    """What came out: "12 pages (of 20), 3 in colour, 6 sheets, two-sided, A4"."""
    printed = job.printed or job.impressions
    parts = [count_text(printed, "page", "pages")]
    if printed < job.impressions:
        parts[0] += f" of {job.impressions:,}"
    if job.color_impressions:
        parts.append(f"{job.color_impressions:,} in colour")
    if job.sheets and job.sheets != printed:
        parts.append(count_text(job.sheets, "sheet", "sheets"))
    if job.copies > 1:
        parts.append(f"{job.copies:,} copies")
    if job.sides.startswith("two-sided"):
        parts.append("two-sided")
    if job.media:
        parts.append(media_text(job.media))
    return ", ".join(parts)


def media_text(media: str) -> str:
    """A PWG 5101.1 name as people say it: "iso_a4_210x297mm" → "A4"."""
    parts = media.split("_")
    return parts[1].upper() if len(parts) == 3 and len(parts[1]) <= 3 else parts[1] if len(parts) == 3 else media


def lower(text: str) -> str:
    """The beginning of a sentence in the middle of one."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def remark(job: JobView, ledger: Ledger | None, past: Past, user: UserView | None) -> str:
    """The most important line, short, for a table."""
    lines = why_lines(job, ledger, past, user)
    marked = [
        text for tone, text in lines if not text.startswith(("Charged ", "Nothing was charged")) and tone != "waiting"
    ]
    return marked[0].removeprefix("Denied: ").removeprefix("Held: ") if marked else ""


# ---------------------------------------------------------------- a person


def overdraft_text(user: UserView, ledger: Ledger | None) -> str:
    text = money(user.overdraft, ledger)
    return f"{text} (individual)" if user.overdraft_mode == "individual" and user.overdraft else text


def match_hint(user: UserView, text: str) -> str:
    """Why somebody was found, where login and name do not show it: "card 0471 2290", "e-mail m.novak@…", "alias x"."""
    words = text.lower().split()
    if not words:
        return ""
    obvious = (user.name.lower(), *_words(user.full_name))
    if all(any(found.startswith(word) for found in obvious) for word in words):
        return ""
    for name, value in (
        ("card", user.card_number),
        ("card", user.card_number2),
        ("alias", user.alias),
        ("e-mail", user.email),
    ):
        if value and any(_begins(value, word) for word in words):
            return f"{name} {value}"
    return ""


def _words(text: str) -> list[str]:
    return text.lower().replace("-", " ").replace(".", " ").split()


def _begins(value: str, word: str) -> bool:
    plain = value.lower()
    return plain.startswith(word) or any(part.startswith(word) for part in _words(plain.replace("@", " ")))


def is_number(user: UserView, text: str) -> bool:
    """Whether this is somebody's whole login, alias or card number, however the card's digits are grouped."""
    wanted = text.lower().replace(" ", "")
    values = (user.name, user.alias, user.card_number, user.card_number2)
    return wanted != "" and any(value.lower().replace(" ", "") == wanted for value in values if value)


# ---------------------------------------------------------------- for a ticket


def summary(
    user: UserView,
    jobs: Sequence[JobView],
    past: Past,
    ledger: Ledger | None,
    *,
    read_from: str,
    when: Mapping[int, str],
    now: str,
) -> str:
    """A person and what happened lately, as plain text. `when` gives the moments that occur as text, `now` when this
    was read."""
    lines = [f"{person_title(user)} ({user.name})"]
    known = (user.department, user.office, user.email)
    lines.append(", ".join(part for part in known if part))
    lines.append(
        f"Balance {money(user.balance, ledger)}, available {money(user.available, ledger)}, "
        f"reserved {money(user.reserved, ledger)}, overdraft {overdraft_text(user, ledger)}"
    )
    lines.append("; ".join(word for word, _ in standing(user)))
    lines.append(f"As of {now}, from {read_from}")
    if jobs:
        lines += ["", "Jobs:", *(_job_line(job, ledger, past, user, when) for job in jobs[:SUMMARY_JOBS])]
    if past.transfers:
        rows = [found for found in past.transfers if found.kind == "posted"][:SUMMARY_TRANSFERS]
        lines += ["", "Transfers:", *(_transfer_line(found, ledger, when) for found in rows)]
    return "\n".join(line for place, line in enumerate(lines) if line or place > 4) + "\n"


def _job_line(
    job: JobView, ledger: Ledger | None, past: Past, user: UserView, when: Mapping[int, str]
) -> str:  # fmt: skip
    why = "; ".join(text for _, text in why_lines(job, ledger, past, user))
    title = job.title or "(no name)"
    text = f"- {when.get(job.created_at, '')}  {job.queue}  “{title}”  "
    word = JOB_WORDS[job.state][0]
    return text + (why if why.startswith(word) else f"{word}: {why}" if why else f"{word}, {printed_text(job)}")


def _transfer_line(found: TransferView, ledger: Ledger | None, when: Mapping[int, str]) -> str:
    sign = "+" if found.amount > 0 else ""
    text = f"- {when.get(found.at, '')}  {transfer_word(found)}  {sign}{money(found.amount, ledger)}"
    note = f"  {found.comment}" if found.comment else ""
    who = f" ({found.actor})" if found.actor else ""
    return f"{text}  → {money(found.balance, ledger)}{note}{who}"
