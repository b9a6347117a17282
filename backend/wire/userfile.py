"""From a list of users that somebody saved as a file to the rows that are written, and what is wrong with the others.
Pure.

Taken as spreadsheets and directories write them: UTF-8 or UTF-16 (a byte order mark tells), any line ends, columns
parted by tabs, semicolons or commas, quoted where they hold one. The first line names the columns. A column whose name
is not known refuses the whole file: a column that is left out without a word is a mistake that is found in a year.
PaperCut's own files have no names but an order (`PAPERCUT`). An empty cell leaves a value as it is.

Invariants: a row is either whole or refused with its line and what to do, never half taken; one name, one card, one
alias stands for one user in the whole file, the first that has it.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from backend.wire.names import map_user_name
from backend.wire.people import ImportRow, ImportTrouble, UserDetails
from backend.wire.pricing import minor_units

MAX_BYTES: Final = 256 << 20
MAX_LINE: Final = 255
MAX_NOTES: Final = 8192
_YES: Final = frozenset({"y", "yes", "true", "1", "on"})
_NO: Final = frozenset({"n", "no", "false", "0", "off"})

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": ("name", "user", "username", "login", "userid", "samaccountname", "uid"),
    "full_name": ("fullname", "displayname", "cn"),
    "email": ("email", "mail", "emailaddress"),
    "department": ("department",),
    "office": ("office",),
    "notes": ("notes", "comment"),
    "card_number": ("cardnumber", "card", "primarycardnumber", "cardid", "id"),
    "card_number2": ("cardnumber2", "card2", "secondarycardnumber"),
    "alias": ("alias", "usernamealias", "secondaryusername"),
    "disabled": ("disabled",),
    "balance": ("balance", "creditbalance", "credit"),
    "restricted": ("restricted", "restrictedstatus"),
    "overdraft": ("overdraft", "overdraftamount"),
}
"""What a column may be called (without case, blanks, `-`, `_`) and what it is."""

PAPERCUT: Final = (
    "name", "balance", "restricted", "full_name", "email", "department", "office", "card_number", "", "notes",
    "card_number2", "", "alias",
)  # fmt: skip
"""The columns of PaperCut's batch import by their order; "" for what Inkeeper does not have (PIN, other addresses)."""

CARDS: Final = ("name", "card_number")
"""The columns of PaperCut's import of card numbers."""


class FileRefused(Exception):
    """The file cannot be read as a list of users; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a file holds: rows in its order, and why the others were refused."""

    rows: list[ImportRow]
    troubles: list[ImportTrouble]


def text_of(content: bytes) -> str:
    """The file's text. Raises FileRefused."""
    if len(content) > MAX_BYTES:
        raise FileRefused(f"the file is larger than {MAX_BYTES >> 20} MiB: split it")
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileRefused(f"line {line} is neither UTF-8 nor UTF-16: save the file as UTF-8") from error


def read_listing(text: str, decimals: int, columns: Sequence[str] = ()) -> Listing:
    """The users of a file. With `columns` it has no line of names and is parted by tabs. Raises FileRefused."""
    delimiter = "\t" if columns else _delimiter(text)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False)
    rows: list[tuple[int, list[str]]] = []
    try:
        names = list(columns) or _columns(next(lines, []))
        rows = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise FileRefused(f"line {lines.line_num} cannot be read: {error}") from error
    read = [_row(number, cells, names, decimals, exact=not columns) for number, cells in rows]
    good = [row for row in read if isinstance(row, ImportRow)]
    kept, doubled = without_doubles(good)
    troubles = [row for row in read if isinstance(row, ImportTrouble)] + doubled
    return Listing(kept, sorted(troubles, key=lambda trouble: trouble.row))


def checked(row: ImportRow) -> ImportRow | ImportTrouble:
    """The row as it is kept: blanks round its texts gone, names mapped. Or what is wrong with it."""
    name = map_user_name(row.name)
    try:
        if not name:
            raise _Wrong("the name is blank")
        values = {key: _kept(key, value) for key, value in msgspec.structs.asdict(row.details).items()}
    except _Wrong as wrong:
        return ImportTrouble(row=row.row, name=row.name, text=str(wrong))
    return msgspec.structs.replace(row, name=name, details=msgspec.convert(values, UserDetails))


def without_doubles(rows: Sequence[ImportRow]) -> tuple[list[ImportRow], list[ImportTrouble]]:
    """The rows but for those that name a user, a card or an alias that a row before them has."""
    seen: dict[tuple[str, str], int] = {}
    kept: list[ImportRow] = []
    troubles: list[ImportTrouble] = []
    for row in rows:
        claims = _claims(row)
        double = next(((word, value) for word, value in claims if (word, value) in seen), None)
        if double is None:
            kept.append(row)
            seen.update(dict.fromkeys(claims, row.row))
        else:
            text = f"the {double[0]} {double[1]!r} stands in line {seen[double]} already: remove one of them"
            troubles.append(ImportTrouble(row=row.row, name=row.name, text=text))
    return kept, troubles


# ---------------------------------------------------------------- reading


class _Wrong(Exception):
    """A row cannot be taken, and why."""


def _delimiter(text: str) -> str:
    first = text.lstrip("\r\n").partition("\n")[0]
    return max("\t;,", key=first.count)


def _columns(header: Sequence[str]) -> list[str]:
    known = {spelling: column for column, spellings in COLUMNS.items() for spelling in spellings}
    names: list[str] = []
    for cell in header:
        plain = "".join(char for char in cell.lower() if char.isalnum())
        column = known.get(plain)
        if column is None:
            raise FileRefused(
                f"the column {cell.strip()!r} is not known: name it one of {', '.join(COLUMNS)}, or remove it"
            )
        if column in names:
            raise FileRefused(f"two columns are the {column}: remove one of them")
        names.append(column)
    if "name" not in names:
        raise FileRefused(f"there is no column `name`: the first line must name the columns ({', '.join(COLUMNS)})")
    return names


def _row(
    number: int, cells: Sequence[str], names: Sequence[str], decimals: int, *, exact: bool
) -> ImportRow | ImportTrouble:
    """A line of the file. `exact`: it must have as many cells as there are names."""
    found = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}
    written = found.get("name", "")
    try:
        if exact and len(cells) != len(names):
            raise _Wrong(f"{len(cells)} columns where the first line names {len(names)}: quote what holds a delimiter")
        values: dict[str, Any] = {"row": number, "name": written[:1024]}
        details: dict[str, Any] = {}
        for name, cell in found.items():
            if name in _READERS and cell:
                (details if name == "disabled" else values)[name] = _READERS[name](cell, decimals)
            elif name not in _READERS and name != "name" and cell:
                details[name] = cell
    except _Wrong as wrong:
        return ImportTrouble(row=number, name=written[:MAX_LINE], text=str(wrong))
    return checked(ImportRow(**values, details=UserDetails(**details)))


def _kept(column: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if column == "notes":
        if len(value) > MAX_NOTES:
            raise _Wrong(f"the notes are longer than {MAX_NOTES} characters")
        return value.replace("\x00", "\ufffd")
    text = value.strip()
    what = column.replace("_", " ")
    if len(text) > MAX_LINE:
        raise _Wrong(f"the {what} is longer than {MAX_LINE} characters")
    if any(ord(character) < 32 for character in text):
        raise _Wrong(f"the {what} holds control characters")
    if column == "email" and text and not _is_email(text):
        raise _Wrong(f"{text!r} is no e-mail address")
    return map_user_name(text) if column == "alias" and text else text


def _is_email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain) and " " not in text


def _amount(what: str, cell: str, decimals: int) -> int:
    try:
        return minor_units(cell, decimals)
    except ValueError as error:
        raise _Wrong(f"the {what} {cell[:40]!r} is no amount such as 12.50") from error


def _overdraft(cell: str, decimals: int) -> int:
    amount = _amount("overdraft", cell, decimals)
    if amount < 0:
        raise _Wrong("the overdraft must not be negative")
    return amount


def _flag(what: str, cell: str) -> bool:
    word = cell.lower()
    if word not in _YES | _NO:
        raise _Wrong(f"{what} is {cell[:40]!r}: write yes or no")
    return word in _YES


_READERS: Final[Mapping[str, Callable[[str, int], Any]]] = {
    "balance": lambda cell, decimals: _amount("balance", cell, decimals),
    "overdraft": _overdraft,
    "restricted": lambda cell, _decimals: _flag("restricted", cell),
    "disabled": lambda cell, _decimals: _flag("disabled", cell),
}


def _claims(row: ImportRow) -> list[tuple[str, str]]:
    """What only one row may have, as (what it is, value)."""
    details = row.details
    claims = [("user", row.name)]
    claims += [("card", card) for card in dict.fromkeys((details.card_number, details.card_number2)) if card]
    if details.alias:
        claims.append(("alias", details.alias))
    return claims
