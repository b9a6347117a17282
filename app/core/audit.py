"""The audit log as rows, the details of an entry in words. Pure.

A server writes them for programs: names of fields, values, JSON for what was changed of a queue. What is not known here
stays as it was written, so that nothing is ever hidden.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from app.core.access import ROLE_WORDS, Form, duration_words, meaning, moment
from app.core.costs import KINDS, rule_words
from app.core.facts import OFFLINE_WORDS, PARTIAL_WORDS
from app.core.grid import Cell, Line
from app.core.users import DETAILS, day
from app.core.viewdata import money
from backend.wire.access import AuditEntry
from backend.wire.base import Ledger
from backend.wire.pricing import CostRule, StandardCost

CELLS: Final = 6
"""So many changed prices of a table are told one by one."""

Tell = Callable[[AuditEntry, Ledger], str]

AUDIT_COLUMNS: Final = ("When", "Who", "Role", "What", "Whom or what", "Details")
DENIED: Final = frozenset({"refused", "login-refused", "login-failed", "login-delayed"})


def who(entry: AuditEntry) -> str:
    """The name alone where the role, which stands beside it, says the rest."""
    role, _, name = entry.actor.partition(":")
    return name if name and role == entry.role else entry.actor


def audit_line(entry: AuditEntry, now_ms: int, ledger: Ledger) -> Line:
    refused = entry.action in DENIED or "refused" in entry.action
    details = detail_words(entry, ledger)
    what = entry.action.replace("-", " ").replace("_", " ")
    return Line(
        str(entry.audit_id),
        (
            moment(entry.at, now_ms),
            Cell(who(entry), tip=entry.actor),
            Cell(ROLE_WORDS.get(entry.role, entry.role), muted=True),  # type: ignore[call-overload]
            Cell(f"{what[:1].upper()}{what[1:]}", "warning" if refused else None, tip=entry.action),
            Cell(entry.subject, tip=entry.subject),
            Cell(details, muted=True, tip=details),
        ),
    )


# ---------------------------------------------------------------- details


def detail_words(entry: AuditEntry, ledger: Ledger) -> str:
    """The details for people; as they were written where they are of no kind that is known."""
    tell = _KINDS.get(entry.action)
    if tell is None or not entry.detail:
        return entry.detail
    try:
        return tell(entry, ledger) or entry.detail
    except (msgspec.DecodeError, TypeError, KeyError, ValueError):  # another version's server wrote it: shown as it is
        return entry.detail


# ---------------------------------------------------------------- queues


def _queue(entry: AuditEntry, ledger: Ledger) -> str:
    changes = msgspec.json.decode(entry.detail, type=dict[str, Any])
    return "; ".join(_queue_change(name, value, ledger) for name, value in changes.items() if _told(name, value))


def _told(name: str, value: Any) -> bool:
    """An end of the switching off that nobody set says nothing."""
    return name != "disabled_until" or any(value if isinstance(value, list) else [value])


def _queue_change(name: str, value: Any, ledger: Ledger) -> str:
    """Old → new; a server of an earlier version told the new value alone."""
    words, tell = _QUEUE[name]
    if not isinstance(value, list):
        return f"{words}: {tell(value, ledger)}"
    old, new = value
    if name == "cost":
        return f"{words}: {_costs(_rule(old), _rule(new), ledger)}"
    return f"{words}: {tell(old, ledger)} → {tell(new, ledger)}"


def _rule(text: str) -> CostRule:
    rule: CostRule = msgspec.json.decode(text, type=CostRule)
    return rule


def _costs(old: CostRule, new: CostRule, ledger: Ledger) -> str:
    """Of a table that stays a table, the prices that differ."""
    cells = list(_cells(old, new, ledger)) if isinstance(old, StandardCost) and isinstance(new, StandardCost) else []
    more = f" and {len(cells) - CELLS} more" if len(cells) > CELLS else ""
    words = rule_words(old, ledger), rule_words(new, ledger)
    if not cells:
        return " → ".join(words)
    told = ", ".join(cells[:CELLS]) + more
    return told if words[0] == words[1] else f"{' → '.join(words)} ({told})"


def _cells(old: StandardCost, new: StandardCost, ledger: Ledger) -> Iterator[str]:
    before = {"other paper": old.default, **{row.media: row.cost for row in old.media}}
    after = {"other paper": new.default, **{row.media: row.cost for row in new.media}}
    for media in dict.fromkeys((*before, *after)):
        if media not in after:
            yield f"{media} taken away"
        elif media not in before:
            yield f"{media} added"
        else:
            for kind, words in KINDS.items():
                was, now = getattr(before[media], kind), getattr(after[media], kind)
                if was != now:
                    yield f"{media} {words[:1].lower()}{words[1:]} {money(was, ledger)} → {money(now, ledger)}"


def _yes(value: Any, _: Ledger) -> str:
    return "yes" if value else "no"


_QUEUE: Final[dict[str, tuple[str, Callable[[Any, Ledger], str]]]] = {
    "cost": ("price", lambda text, ledger: rule_words(_rule(text), ledger)),
    "disabled": ("printing switched off", _yes),
    "disabled_until": ("until", lambda at, _: day(at) if at else "no end"),
    "hold_jobs": ("holds its jobs", _yes),
    "offline_policy": ("while no server answers", lambda policy, _: OFFLINE_WORDS.get(policy, policy)),
    "partial_charge": ("a print that broke off", lambda rule, _: PARTIAL_WORDS.get(rule, rule)),
}

# ---------------------------------------------------------------- people, settings


def _fields(entry: AuditEntry, _: Ledger) -> str:
    """Which details of a user were changed; their values are the person's own and are not kept."""
    titles = {name: text.replace("&", "").lower() for name, text in DETAILS.items()}
    titles |= {"disabled": "printing switched off or on", "disabled_until": "until when it is switched off"}
    return ", ".join(titles.get(name, name.replace("_", " ")) for name in entry.detail.split(", "))


_OPERATOR: Final[dict[str, tuple[str, Form]]] = {
    "role": ("role", "text"),
    "full_name": ("name", "text"),
    "disabled": ("disabled", "switch"),
    "limit_each": ("at once", "amount"),
    "limit_day": ("in a day", "amount"),
    "password": ("another password", "fixed"),
}


def _operator(entry: AuditEntry, ledger: Ledger) -> str:
    return ", ".join(_operator_change(part, ledger) for part in entry.detail.split(", "))


def _operator_change(part: str, ledger: Ledger) -> str:
    name, _, value = part.partition("=")
    words, form = _OPERATOR[name]
    match form:
        case "fixed":
            return words
        case "amount":
            told = "the default" if int(value) < 0 else money(int(value), ledger) if int(value) else "no limit"
        case "switch":
            told = "yes" if value == "True" else "no"
        case _:
            told = _role(value)
    return f"{words}: {told}"


def _role(value: str) -> str:
    return next((words for role, words in ROLE_WORDS.items() if role == value), value)


def _setting(entry: AuditEntry, ledger: Ledger) -> str:
    """A secret's value is not kept and not here."""
    told, value = meaning(entry.subject), entry.detail
    if told.zero and value == "0":
        value = told.zero
    elif told.form == "amount":
        value = money(int(value), ledger)
    elif told.form == "duration":
        value = duration_words(int(value))
    elif told.form == "switch":
        value = {"true": "yes", "false": "no"}[value]
    return f"{told.title}: {value}"


_KINDS: Final[dict[str, Tell]] = {
    "queue-changed": _queue,
    "user-changed": _fields,
    "user-renamed": lambda entry, _: f"now {entry.detail}",
    "user-deleted": lambda entry, _: "name and documents taken out of what stays" if entry.detail == "redacted" else "",
    "operator-created": lambda entry, _: _role(entry.detail),
    "operator-changed": _operator,
    "token-created": lambda entry, _: _role(entry.detail),
    "token-revoked": lambda entry, _: _role(entry.detail),
    "setting-changed": _setting,
}
