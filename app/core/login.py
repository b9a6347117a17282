"""Logging in, in words: why it did not work and what to do, who is logged in, and when that ends. Pure."""

import math
import re
from dataclasses import dataclass
from typing import Final

from app.core.money import limits_text
from app.core.viewdata import count_text, short_reason
from backend.client.errors import NoServer, ServerProblem
from backend.wire.access import Caller, Role
from backend.wire.base import Ledger

ENDS_SOON_S: Final = 600
LONGEST_WAIT_S: Final = 3600
ROLE_WORDS: Final[dict[Role, str]] = {
    "admin": "administrator",
    "helpdesk": "help desk",
    "auditor": "auditor",
    "metrics": "metrics",
    "provider": "print server",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a log-in did not work; `wait_s` is how long the servers want to be left alone."""

    text: str
    wait_s: int = 0


def refusal(error: Exception) -> Refusal:
    match error:
        case ServerProblem() if error.problem.code == "login-delayed":
            return Refusal("Too many log-ins failed", _wait_s(error))
        case ServerProblem() if error.problem.code == "login-refused":
            return Refusal("The name or the password is wrong.")
        case ServerProblem() if error.problem.code in ("not-found", "method-not-allowed"):
            return Refusal("This server is too old for names and passwords; use an access token.")
        case ServerProblem():
            return Refusal(f"The server refused: {error}.")
        case NoServer():
            return Refusal(f"No server answers: {short_reason(str(error))}. Nothing was changed; try again.")
        case _:
            return Refusal(f"Something went wrong: {type(error).__name__}: {error}.")


def _wait_s(error: ServerProblem) -> int:
    said = re.search(r"(\d+)\s?s\b", error.problem.detail)
    wait_s = error.retry_after_s or (float(said.group(1)) if said else 1.0)
    return min(LONGEST_WAIT_S, max(1, math.ceil(wait_s)))


def wait_text(found: Refusal, left_s: float) -> str:
    """The refusal while it is waited out, and after."""
    left = math.ceil(left_s)
    if found.wait_s == 0:
        return found.text
    return f"{found.text}: wait {left:,} s." if left > 0 else f"{found.text}. Now you may try again."


def who_text(caller: Caller) -> str:
    """ "Maria Berg · help desk" """
    return f"{caller.full_name or caller.name} · {ROLE_WORDS[caller.role]}"


def ends_in_s(caller: Caller | None, now_ms: int) -> float | None:
    """How long the log-in lasts, None where it does not end."""
    return (caller.expires_at - now_ms) / 1000 if caller is not None and caller.expires_at else None


def ends_text(caller: Caller, now_ms: int) -> str:
    """ "the log-in ends in 8 min", "" where it does not end."""
    left_s = ends_in_s(caller, now_ms)
    if left_s is None:
        return ""
    if left_s <= 0:
        return "the log-in has ended"
    minutes = math.ceil(left_s / 60)
    if minutes < 100:
        return f"the log-in ends in {minutes} min"
    return f"the log-in ends in {count_text(round(minutes / 60), 'hour', 'hours')}"


def ends_soon(caller: Caller | None, now_ms: int) -> bool:
    left_s = ends_in_s(caller, now_ms)
    return left_s is not None and left_s < ENDS_SOON_S


def about(caller: Caller, ledger: Ledger | None, now_ms: int) -> str:
    """Who is logged in, what they may move, and until when: one line each."""
    kind = f"{caller.name}, logged in" if caller.person else f"{caller.name}, by an access token"
    lines = (kind, limits_text(caller, ledger), ends_text(caller, now_ms))
    return "\n".join(f"{line[:1].upper()}{line[1:]}" if place else line for place, line in enumerate(lines) if line)
