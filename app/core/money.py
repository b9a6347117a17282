"""What moving money would come to, before it is asked for: amounts as they are typed, the new balance, and what the own
limits leave. Pure.

The server decides; this is told beforehand so that nobody sends what is certainly refused, and sees what will be. A
limit may have been used up elsewhere since it was read: then the server's refusal stands in place of this preview.
"""

import re
from dataclasses import dataclass
from typing import Final

from app.core.viewdata import SPACES, Tone, count_text, money
from backend.wire.access import Caller
from backend.wire.base import Ledger
from backend.wire.jobs import JobView
from backend.wire.money import TransferView
from backend.wire.people import UserView
from backend.wire.pricing import MAX_AMOUNT, minor_units

REVERSIBLE: Final = frozenset({"adjustment", "set-balance", "refund"})


class AmountError(ValueError):
    """What was typed is no amount; the words say what to type."""


@dataclass(frozen=True, slots=True)
class Preview:
    """`amount` is what would be moved, signed as the person sees it; `problem` says why it cannot be asked for. `lines`
    tell what it would come to."""

    amount: int = 0
    problem: str = ""
    lines: tuple[tuple[Tone, str], ...] = ()

    @property
    def possible(self) -> bool:
        return not self.problem


def read_amount(text: str, ledger: Ledger) -> int:
    """An amount as people type it: "2.50", "2,5", "+10", "−1 EUR", "1 000". Minor units; raises AmountError.

    A comma or point may stand before the decimals; where it might as well separate thousands, that is asked back
    rather than guessed: it is money.
    """
    plain = text.strip().removesuffix(ledger.currency).strip() if ledger.currency else text.strip()
    plain = plain.replace("−", "-").translate(SPACES)
    if not plain.strip("+-"):
        raise AmountError("type an amount")
    if not re.fullmatch(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)", plain):
        raise AmountError("type an amount like 2.50")
    whole, separator, decimals = plain.replace(",", ".").partition(".")
    if "," in plain and len(decimals) == 3:
        raise AmountError(f"type {whole}{decimals} or {whole}.{decimals}: with a comma it may be read as either")
    if len(decimals.rstrip("0")) > ledger.decimals:
        raise AmountError(_too_fine(ledger))
    try:
        return minor_units(f"{whole}{separator}{decimals}" if decimals else whole, ledger.decimals)
    except ValueError as error:
        raise AmountError("that is more than an account can hold") from error


def _too_fine(ledger: Ledger) -> str:
    if not ledger.decimals:
        return f"type whole {ledger.currency or 'units'}"
    return f"at most {count_text(ledger.decimals, 'decimal', 'decimals')}"


# ---------------------------------------------------------------- what it would come to


def preview_adjust(user: UserView, amount: int, caller: Caller | None, ledger: Ledger) -> Preview:
    return _preview(user, amount, caller, ledger, "0 moves nothing")


def preview_set(user: UserView, balance: int, caller: Caller | None, ledger: Ledger) -> Preview:
    amount = balance - user.balance
    return _preview(user, amount, caller, ledger, "that is the balance already")


def preview_refund(
    job: JobView,
    user: UserView | None,
    caller: Caller | None,
    ledger: Ledger,
    amount: int | None = None,
    pages: int | None = None,
) -> Preview:
    """An amount, the part for so many pages, or (neither) all that is left. `user` is the person, where they are
    known."""
    left = job.charged - job.refunded
    given = refund_lines(job, ledger)
    if left <= 0:
        return Preview(problem="nothing is left of what this job was charged", lines=given)
    if pages is not None:
        most = pages_of(job)
        if not 1 <= pages <= most:
            return Preview(problem=f"type 1 to {most:,} pages", lines=given)
        amount = part(job.charged, pages, most)
    wanted = left if amount is None else amount
    if wanted <= 0:
        text = "type an amount above 0" if pages is None else "these pages cost nothing"
        return Preview(problem=text, lines=given)
    if wanted > left:
        text = f"that is more than the {money(left, ledger)} that are left of its charge"
        return Preview(wanted, text, given)
    problem = over_limit(wanted, caller, ledger)
    after = (("plain", f"Gives back {money(wanted, ledger)}"), *(_balance_lines(user, wanted, ledger) if user else ()))
    return Preview(wanted, problem, (*given, *after, *limit_lines(caller, wanted, ledger)))


def preview_reverse(
    user: UserView, transfer: TransferView, caller: Caller | None, ledger: Ledger
) -> Preview:  # fmt: skip
    amount = -transfer.amount
    reason = why_not_reversed(transfer)
    if reason:
        return Preview(amount, reason)
    return _preview(user, amount, caller, ledger, "it moved nothing")


def why_not_reversed(transfer: TransferView | None) -> str:
    """Why this transfer cannot be undone, "" where it can."""
    if transfer is None:
        return "choose a transfer first"
    if transfer.reversed:
        return "this transfer was undone already"
    if transfer.kind != "posted" or transfer.code not in REVERSIBLE:
        return "only adjustments, set balances and refunds can be undone"
    return ""


def _preview(user: UserView, amount: int, caller: Caller | None, ledger: Ledger, nothing: str) -> Preview:
    if amount == 0:
        return Preview(0, nothing)
    if abs(user.balance + amount) > MAX_AMOUNT:
        return Preview(amount, "that is more than an account can hold")
    lines = (*_balance_lines(user, amount, ledger), *limit_lines(caller, amount, ledger))
    return Preview(amount, over_limit(amount, caller, ledger), lines)


def _balance_lines(user: UserView, amount: int, ledger: Ledger) -> tuple[tuple[Tone, str], ...]:
    after, available = user.balance + amount, user.available + amount
    lines: list[tuple[Tone, str]] = [
        ("error" if after < 0 else "plain", f"Balance {money(user.balance, ledger)} → {money(after, ledger)}")
    ]
    if user.restricted:
        can = available + user.overdraft
        none: Tone = "warning" if can <= 0 else "plain"
        text = f"may print for {money(can, ledger)} then" if can > 0 else "may print nothing then"
        lines.append((none, f"{user.full_name or user.name} {text}"))
    return tuple(lines)


# ---------------------------------------------------------------- limits


def over_limit(amount: int, caller: Caller | None, ledger: Ledger) -> str:
    """Why so much may not be moved, "" where it may as far as is known."""
    if caller is None:
        return ""
    if caller.limit_each is not None and abs(amount) > caller.limit_each:
        return f"you may move at most {money(caller.limit_each, ledger)} at once"
    left = left_today(caller)
    if left is not None and abs(amount) > left:
        return f"you may move only {money(left, ledger)} more today"
    return ""


def left_today(caller: Caller) -> int | None:
    """What is left of the limit of the day, None for no limit."""
    return None if caller.limit_day is None else max(0, caller.limit_day - caller.moved_today)


def limit_lines(caller: Caller | None, amount: int, ledger: Ledger) -> tuple[tuple[Tone, str], ...]:
    """What is left of one's own limit of the day after that."""
    left = left_today(caller) if caller is not None else None
    if left is None or left < abs(amount):
        return ()
    return (("off", f"Of what you may move today, {money(left - abs(amount), ledger)} would be left (until 0:00 UTC)"),)


def limits_text(caller: Caller, ledger: Ledger | None) -> str:
    """What somebody may move, in a few words; "" where nothing limits them."""
    parts = []
    if caller.limit_each is not None:
        parts.append(f"{money(caller.limit_each, ledger)} at once")
    if caller.limit_day is not None:
        left = money(left_today(caller) or 0, ledger)
        parts.append(f"{money(caller.limit_day, ledger)} a day, {left} left today")
    return f"may move {', '.join(parts)}" if parts else ""


# ---------------------------------------------------------------- refunds


def pages_of(job: JobView) -> int:
    """The impressions that its charge was for."""
    return job.printed or job.impressions


def part(charged: int, pages: int, of_pages: int) -> int:
    """What so many of a job's pages cost, half to even, as the server rounds it."""
    whole, rest = divmod(charged * pages, of_pages)
    return whole + (2 * rest > of_pages or (2 * rest == of_pages and whole % 2 == 1))


def refund_lines(job: JobView, ledger: Ledger) -> tuple[tuple[Tone, str], ...]:
    charged = f"Charged {money(job.charged, ledger)} for {count_text(pages_of(job), 'page', 'pages')}"
    if not job.refunded:
        return (("plain", charged),)
    left = money(job.charged - job.refunded, ledger)
    return (("plain", f"{charged}; {money(job.refunded, ledger)} given back already, {left} left"),)
