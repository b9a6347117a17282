"""The properties of users and printers by PaperCut's names: how each is read, and what setting it means. Pure.

Every name that PaperCut documents is known here. One whose meaning Inkeeper does not have reads as what it amounts to
(no home folder: "", no cost adjustment: "-1") and cannot be set, so that a client which asks for all 32 at once gets
them and one that tries to change such a thing is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from backend.compat.faults import Code, Fault, property_invalid
from backend.compat.xmlrpc import is_number, number_text
from backend.wire.names import map_user_name
from backend.wire.pricing import minor_units

MAX_LINE = 255
MAX_NOTES = 16 * 1024
MAX_STATISTIC = 2**31 - 1


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user and the account, as one read gives them; amounts in minor units. `disabled` is as of now."""

    name: str
    full_name: str
    email: str
    department: str
    office: str
    notes: str
    card_number: str
    card_number2: str
    alias: str
    internal: bool
    disabled: bool
    balance: int
    overdraft: int
    restricted: bool
    print_jobs: int
    print_impressions: int
    decimals: int


@dataclass(frozen=True, slots=True)
class PrinterRecord:
    """A queue; `jobs` and `impressions` are filled in where somebody asks for them."""

    queue_id: int
    disabled: bool
    per_impression: int | None  # None: another cost model than SIMPLE
    decimals: int
    jobs: int = 0
    impressions: int = 0


@dataclass(frozen=True, slots=True)
class Detail:
    """Set one of people.model.UserChange's fields."""

    column: str
    value: str | bool


@dataclass(frozen=True, slots=True)
class Balance:
    """Make the balance this, by a transfer."""

    units: int


@dataclass(frozen=True, slots=True)
class Account:
    """Change a field of the account: one of ConfigureAccount's."""

    field: str
    value: int | bool


Change = Detail | Balance | Account


def money(units: int, decimals: int) -> Decimal:
    return Decimal(units).scaleb(-decimals)


def user_property(user: UserRecord, name: str) -> str:
    """A user's property as text. Raises Fault 260 or 261."""
    return _find(USER_PROPERTIES, name).get(user)


def printer_property(printer: PrinterRecord, name: str) -> str:
    """A printer's property as text. Raises Fault 260 or 261."""
    reader = PRINTER_PROPERTIES.get(_known_name(name))
    if reader is None:
        raise property_invalid(name)
    return reader(printer)


def printer_switch(name: str, value: str) -> bool:
    """Whether the printer is to be disabled: the one property that can be set. Raises Fault 260, 261, 257."""
    known = _known_name(name)
    if known not in PRINTER_PROPERTIES:
        raise property_invalid(name)
    if known != "disabled":
        raise Fault(Code.PROPERTY_INVALID, f'Property "{known}" cannot be set here')
    return checked_flag(known, value)


def user_change(name: str, value: str, decimals: int) -> Change:
    """What setting a user's property means. Raises Fault 260, 261, or that of the value."""
    change = _find(USER_PROPERTIES, name).change
    if change is None:
        raise Fault(Code.PROPERTY_INVALID, f'Property "{name}" cannot be set here')
    return change(name.strip(), value, decimals)


# ---------------------------------------------------------------- values


def _flag_text(flag: bool) -> str:
    return "true" if flag else "false"


def _money_text(units: int, decimals: int) -> str:
    return number_text(money(units, decimals))


def _line(column: str) -> Callable[[str, str, int], Change]:
    def change(name: str, value: str, _decimals: int) -> Change:
        return Detail(column, checked_line(name, value))

    return change


def checked_line(name: str, value: str) -> str:
    """A text of one line without the blanks round it. Raises Fault where it is too long or holds control characters."""
    line = value.strip()
    if len(line) > MAX_LINE:
        raise Fault(Code.GENERAL, f"The {name} is longer than {MAX_LINE} characters")
    if any(ord(character) < 32 for character in line):
        raise Fault(Code.GENERAL, f"The {name} holds control characters")
    return line


def checked_email(value: str) -> str:
    """An address, or "" for none. Raises Fault 269."""
    line = checked_line("email", value)
    local, at, domain = line.rpartition("@")
    if line and (not at or not local or not domain or " " in line):
        raise Fault(Code.EMAIL_INVALID, f'The email address "{line}" is not valid')
    return line


def checked_flag(name: str, value: str) -> bool:
    word = value.strip().lower()
    if word not in ("true", "false", "1", "0"):
        raise Fault(Code.GENERAL, f'The value of "{name}" must be TRUE or FALSE')
    return word in ("true", "1")


def _email(_name: str, value: str, _decimals: int) -> Change:
    return Detail("email", checked_email(value))


def _alias(name: str, value: str, _decimals: int) -> Change:
    """Stored as names are, since that is what it stands for; "" for none."""
    line = checked_line(name, value)
    return Detail("alias", map_user_name(line) if line else "")


def _notes(name: str, value: str, _decimals: int) -> Change:
    if len(value) > MAX_NOTES:
        raise Fault(Code.GENERAL, f"The {name} are longer than {MAX_NOTES} characters")
    return Detail("notes", value)


def _disabled(name: str, value: str, _decimals: int) -> Change:
    return Detail("disabled", checked_flag(name, value))


def _balance(_name: str, value: str, decimals: int) -> Change:
    return Balance(_units(value, decimals, Code.BALANCE_INVALID, "balance"))


def _overdraft(_name: str, value: str, decimals: int) -> Change:
    units = _units(value, decimals, Code.OVERDRAFT_INVALID, "overdraft amount")
    if units < 0:
        raise Fault(Code.OVERDRAFT_INVALID, "The overdraft amount must not be negative")
    return Account("overdraft", units)


def _units(value: str, decimals: int, code: Code, what: str) -> int:
    text = value.strip()
    try:
        if is_number(text):
            return minor_units(text, decimals)
    except ValueError as error:
        raise Fault(code, f"The {what} is out of range") from error
    raise Fault(code, f"The {what} is not a valid number")


def _restricted(name: str, value: str, _decimals: int) -> Change:
    return Account("restricted", checked_flag(name, value))


def _statistic(field: str) -> Callable[[str, str, int], Change]:
    def change(name: str, value: str, _decimals: int) -> Change:
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_STATISTIC):
            raise Fault(Code.GENERAL, f'The value of "{name}" must be a whole number from 0 to {MAX_STATISTIC}')
        return Account(field, int(text))

    return change


# ---------------------------------------------------------------- the tables


@dataclass(frozen=True, slots=True)
class UserProperty:
    """`change` is None where the property cannot be set."""

    get: Callable[[UserRecord], str]
    change: Callable[[str, str, int], Change] | None = None


def _fixed(text: str) -> UserProperty:
    return UserProperty(lambda _user: text)


_CARD = UserProperty(lambda user: user.card_number, _line("card_number"))
_CARD2 = UserProperty(lambda user: user.card_number2, _line("card_number2"))

USER_PROPERTIES: Final[Mapping[str, UserProperty]] = {
    "balance": UserProperty(lambda user: _money_text(user.balance, user.decimals), _balance),
    "primary-card-number": _CARD,
    "card-number": _CARD,
    "secondary-card-number": _CARD2,
    "card-number2": _CARD2,
    "department": UserProperty(lambda user: user.department, _line("department")),
    "disabled-print": UserProperty(lambda user: _flag_text(user.disabled), _disabled),
    "email": UserProperty(lambda user: user.email, _email),
    "full-name": UserProperty(lambda user: user.full_name, _line("full_name")),
    "internal": UserProperty(lambda user: _flag_text(user.internal)),
    "notes": UserProperty(lambda user: user.notes, _notes),
    "office": UserProperty(lambda user: user.office, _line("office")),
    "overdraft-amount": UserProperty(lambda user: _money_text(user.overdraft, user.decimals), _overdraft),
    "print-stats.job-count": UserProperty(lambda user: str(user.print_jobs), _statistic("print_jobs")),
    "print-stats.page-count": UserProperty(lambda user: str(user.print_impressions), _statistic("print_impressions")),
    "restricted": UserProperty(lambda user: _flag_text(user.restricted), _restricted),
    "username-alias": UserProperty(lambda user: user.alias, _alias),
    # What Inkeeper does not have, told as what it amounts to.
    "account-selection.mode": _fixed("AUTO_CHARGE_TO_PERSONAL_ACCOUNT"),
    "account-selection.can-charge-personal": _fixed("true"),
    "account-selection.can-charge-shared-from-list": _fixed("false"),
    "account-selection.can-charge-shared-by-pin": _fixed("false"),
    "auto-release-jobs": _fixed("false"),
    "auto-shared-account": _fixed(""),
    "delegated-groups": _fixed(""),
    "delegated-users": _fixed(""),
    "disabled-net": _fixed("false"),
    "dont-apply-printer-filter-rules": _fixed("false"),
    "dont-archive": _fixed("false"),
    "dont-hold-jobs-in-release-station": _fixed("false"),
    "home": _fixed(""),
    "net-stats.data-mb": _fixed("0.0"),
    "net-stats.time-hours": _fixed("0.0"),
    "other-emails": _fixed(""),
    "printer-cost-adjustment-rate-percent": _fixed("-1"),
    "unauthenticated": _fixed("false"),
}

PRINTER_PROPERTIES: Final[Mapping[str, Callable[[PrinterRecord], str]]] = {
    "cost-model": lambda printer: "SIMPLE" if printer.per_impression is not None else "SIZE_TABLE",
    "disabled": lambda printer: _flag_text(printer.disabled),
    "print-stats.job-count": lambda printer: str(printer.jobs),
    "print-stats.page-count": lambda printer: str(printer.impressions),
    "printer-id": lambda printer: str(printer.queue_id),
    "virtual": lambda _printer: "false",
    **{f"custom-field-{number}": lambda _printer: "" for number in range(1, 7)},
}


def _known_name(name: str) -> str:
    if not name.strip():
        raise Fault(Code.PROPERTY_NAME_BLANK, "The property name is blank")
    return name.strip()


def _find(table: Mapping[str, UserProperty], name: str) -> UserProperty:
    found = table.get(_known_name(name))
    if found is None:
        raise property_invalid(name)
    return found
