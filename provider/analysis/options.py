"""CUPS's option string (argv[5] of a backend) as a dict, by the quoting rules of cupsParseOptions().

Written from the behaviour of libcups 2.4 and held to it by a test that runs both on the same strings. The rules:

- options are separated by white space; one pair of braces around the whole string is dropped;
- `name=value` sets a value, `name` alone means "true", `noname` alone means that `name` is "false";
- in a value a backslash makes the next character plain, white space included; '…' and "…" group, and are dropped;
- `{…}` is a collection: kept with its braces, white space in it belongs to it, braces nest;
- names are compared without case, the last one wins and keeps the first one's spelling.

Invariant: any text whatever gives a dict; nothing raises. Pure.
"""

from collections.abc import Mapping
from typing import Final

_SPACE: Final = " \f\n\r\t\v"
_NAME_END: Final = _SPACE + "="


def parse_options(text: str) -> dict[str, str]:
    """The options in a CUPS option string, in order of their first appearance."""
    text = text.split("\0", 1)[0]
    if len(text) > 1 and text[0] == "{" and text[-1] == "}":
        text = text[1:-1]
    options: dict[str, str] = {}
    spelling: dict[str, str] = {}
    position = _skip_space(text, 0)
    while position < len(text):
        name, value, position = _option(text, position)
        if not name and value is None:
            break  # an "=" without a name: libcups stops reading here
        if name:
            options[spelling.setdefault(_fold(name), name)] = value or ""
    return options


def option(options: Mapping[str, str], *names: str) -> str:
    """The value of the first of these names that is there and not empty, whatever its case; "" when none is."""
    folded = {_fold(name): value for name, value in options.items()}
    return next((value for name in names if (value := folded.get(_fold(name), ""))), "")


def _fold(name: str) -> str:
    """ASCII lower case, as _cups_strcasecmp() compares."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _option(text: str, start: int) -> tuple[str, str | None, int]:
    """One option at `start`: name, value and where the next begins. Name "" with value None: nothing more to read."""
    end = start
    while end < len(text) and text[end] not in _NAME_END:
        end += 1
    if end == start:
        return "", None, len(text)
    name, position = text[start:end], _skip_space(text, end)
    if position < len(text) and text[position] == "=":
        value, position = _value(text, position + 1)
        return name, value, _skip_space(text, position)
    if _fold(name[:2]) == "no":
        return name[2:], "false", position
    return name, "true", position


def _value(text: str, position: int) -> tuple[str, int]:
    parts: list[str] = []
    while position < len(text) and text[position] not in _SPACE:
        if text[position] == ",":
            parts.append(",")
            position += 1
        elif text[position] in "'\"":
            position = _quoted(text, position, parts)
        elif text[position] == "{":
            position = _collection(text, position, parts)
        else:
            position = _plain(text, position, parts)
    return "".join(parts), position


def _quoted(text: str, position: int, parts: list[str]) -> int:
    quote = text[position]
    position += 1
    while position < len(text) and text[position] != quote:
        position = _character(text, position, parts)
    return position + 1


def _collection(text: str, position: int, parts: list[str]) -> int:
    depth = 0
    while position < len(text):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position = _character(text, position, parts)
        if depth == 0:
            break
    return position


def _plain(text: str, position: int, parts: list[str]) -> int:
    while position < len(text) and text[position] not in _SPACE:
        position = _character(text, position, parts)
    return position


def _character(text: str, position: int, parts: list[str]) -> int:
    """Take one character, or the one behind a backslash (a backslash at the very end stays)."""
    if text[position] == "\\" and position + 1 < len(text):
        position += 1
    parts.append(text[position])
    return position + 1
