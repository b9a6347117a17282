"""People who log in, access tokens and the settings as rows and words. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from app.core.costs import AmountError, amount_of, typed
from app.core.grid import Cell, Line
from app.core.history import moment_text, moment_tip
from app.core.viewdata import NO_AMOUNT, Tone, count_text, money
from backend.wire.access import OperatorList, OperatorView, Role, SettingView, TokenView
from backend.wire.base import Ledger

ROLE_WORDS: Final[dict[Role, str]] = {
    "admin": "Administrator",
    "helpdesk": "Help desk",
    "auditor": "Auditor",
    "metrics": "Monitoring",
    "provider": "Print server",
}
ROLE_ABOUT: Final[dict[Role, str]] = {
    "admin": "may do everything",
    "helpdesk": "looks people up, moves money within limits, releases and cancels jobs",
    "auditor": "sees everything, the audit log too, and changes nothing",
    "metrics": "reads figures for monitoring, and nothing of people",
    "provider": "a one-time token by which a print server joins",
}
LIFETIMES: Final[dict[int, str]] = {
    0: "until it is revoked",
    86_400: "one day",
    30 * 86_400: "30 days",
    365 * 86_400: "one year",
}

# ---------------------------------------------------------------- operators

OPERATOR_COLUMNS: Final = (
    "Login", "Name", "Role", "May log in", "Most at once", "Most in a day", "Last log-in", "Made",
)  # fmt: skip
OPERATOR_NUMBERS: Final = frozenset({4, 5})


def limit_words(limit: int, default: int, ledger: Ledger) -> str:
    """A limit as it holds: an own one, the settings', or none."""
    if limit < 0:
        return f"{money(default, ledger)}, default" if default else "no limit, default"
    return money(limit, ledger) if limit else "no limit"


def operator_lines(found: OperatorList, now_ms: int) -> list[Line]:
    return [_operator(view, found, now_ms) for view in found.operators]


def _operator(view: OperatorView, found: OperatorList, now_ms: int) -> Line:
    bounded = view.role == "helpdesk"
    each = limit_words(view.limit_each, found.default_limit_each, found.ledger) if bounded else NO_AMOUNT
    daily = limit_words(view.limit_day, found.default_limit_day, found.ledger) if bounded else NO_AMOUNT
    return Line(
        view.name,
        (
            Cell(view.name),
            Cell(view.full_name),
            Cell(ROLE_WORDS[view.role], tip=ROLE_ABOUT[view.role]),
            Cell("no, disabled", "off") if view.disabled else Cell("yes", "ok"),
            Cell(each, muted=not bounded, by=float(view.limit_each)),
            Cell(daily, muted=not bounded, by=float(view.limit_day)),
            moment(view.logged_in_at, now_ms, "never"),
            moment(view.created_at, now_ms),
        ),
    )


def moment(at_ms: int, now_ms: int, none: str = NO_AMOUNT) -> Cell:
    if not at_ms:
        return Cell(none, muted=True, by=0.0)
    now_ms = max(now_ms, at_ms)
    return Cell(moment_text(at_ms, now_ms), muted=True, tip=moment_tip(at_ms, now_ms), by=float(at_ms))


# ---------------------------------------------------------------- tokens

TOKEN_COLUMNS: Final = ("State", "For", "Role", "Kind", "Made", "Ends", "Id")


def token_state(view: TokenView, now_ms: int) -> tuple[str, Tone]:
    if view.revoked_at:
        return "Revoked", "off"
    if view.expires_at and view.expires_at <= now_ms:
        return "Expired", "off"
    return "Valid", "ok"


def token_line(view: TokenView, now_ms: int) -> Line:
    word, tone = token_state(view, now_ms)
    until = moment(view.revoked_at or view.expires_at, now_ms, "until revoked")
    return Line(
        view.token_id,
        (
            Cell(word, tone),
            Cell(view.name),
            Cell(ROLE_WORDS[view.role], tip=ROLE_ABOUT[view.role]),
            Cell("log-in" if view.person else "program", muted=True),
            moment(view.created_at, now_ms),
            until,
            Cell(view.token_id, muted=True),
        ),
    )


# ---------------------------------------------------------------- settings

SETTING_COLUMNS: Final = ("Setting", "Value", "What it means", "Default", "Key")
Form = Literal["amount", "duration", "switch", "text", "fixed"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A setting in words; `form` is how its value is written, `zero` what 0 stands for."""

    title: str
    about: str
    form: Form = "text"
    zero: str = ""


MEANINGS: Final[dict[str, Meaning]] = {
    "users.initial-credit": Meaning("Initial credit", "What a new user starts with.", "amount"),
    "users.default-restricted": Meaning(
        "New users are restricted", "Whether new users may not print more than their credit covers.", "switch"
    ),
    "users.default-overdraft": Meaning(
        "Overdraft", "How far below zero restricted users may go who have no overdraft of their own.", "amount"
    ),
    "users.create-at-first-print": Meaning(
        "Create users at first print", "Whether unknown users are made when they first print; else they are refused.",
        "switch",
    ),
    "printers.default-cost": Meaning("Price of new queues", "What a page costs on a queue that is new.", "amount"),
    "helpdesk.limit-per-adjustment": Meaning(
        "Help desk, at once", "The most that the help desk may move at once, unless somebody has a limit of their own.",
        "amount", "no limit",
    ),
    "helpdesk.limit-per-day": Meaning(
        "Help desk, in a day", "The most that one of them may move in a day (UTC), unless somebody has an own limit.",
        "amount", "no limit",
    ),
    "access.token-lifetime-s": Meaning("A log-in lasts", "How long somebody stays logged in.", "duration"),
    "jobs.held-timeout-s": Meaning(
        "Held jobs wait", "How long a held job waits for its release before it is canceled.", "duration", "for ever"
    ),
    "auth.webservices.auth-token": Meaning("XML-RPC token", "What scripts send that use the XML-RPC interface."),
    "auth.webservices.allowed-addresses": Meaning(
        "XML-RPC addresses", "From which addresses the XML-RPC interface may be used; empty: from this machine."
    ),
    "health.api.key": Meaning("Health key", "What monitoring sends that reads the health interface."),
    "ledger.currency": Meaning("Currency", "The word behind amounts; never changes.", "fixed"),
    "ledger.decimals": Meaning("Decimals", "How finely amounts are counted; never changes.", "fixed"),
}  # fmt: skip


def meaning(key: str) -> Meaning:
    return MEANINGS.get(key, Meaning(key, "A setting that this console does not know."))


def value_words(view: SettingView, value: str, ledger: Ledger) -> str:
    """A value for people."""
    told = meaning(view.key)
    if view.secret:
        return "is set" if value else "not set"
    if told.zero and value == "0":
        return told.zero
    match told.form:
        case "amount" if value.lstrip("-").isdigit():
            return money(int(value), ledger)
        case "duration" if value.isdigit():
            return duration_words(int(value))
        case "switch":
            return {"true": "yes", "false": "no"}.get(value, value)
        case _:
            return value or "–"


def duration_words(seconds: int) -> str:
    for size, one, many in ((86_400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")):
        if seconds >= size and seconds % size == 0:
            return count_text(seconds // size, one, many)
    return count_text(seconds, "second", "seconds")


def setting_line(view: SettingView, ledger: Ledger) -> Line:
    told = meaning(view.key)
    changed = view.value != view.default and not view.fixed and not view.secret
    value = value_words(view, view.value, ledger)
    default = "" if view.secret or view.fixed else value_words(view, view.default, ledger)
    return Line(
        view.key,
        (
            Cell(told.title),
            Cell(value, "active" if changed else None, muted=view.fixed),
            Cell(told.about, muted=True, tip=told.about),
            Cell(default, muted=True),
            Cell(view.key, muted=True, tip=view.key),
        ),
    )


def as_typed(view: SettingView, ledger: Ledger) -> str:
    """A value as it stands in a field."""
    if view.secret:
        return ""
    if meaning(view.key).form == "amount" and view.value.lstrip("-").isdigit():
        return typed(int(view.value), ledger)
    return view.value


def to_store(key: str, text: str, ledger: Ledger) -> str:
    """What was typed as the setting's value. Raises AmountError with what is wrong."""
    if meaning(key).form != "amount":
        return text.strip()
    amount = amount_of(text, ledger)
    if amount < 0:
        raise AmountError("it cannot be below zero")
    return str(amount)
