"""The arguments of a call: which a method takes, and from what a client sent to what the method works with. Pure.

Texts are taken from any scalar by the characters that were sent: Perl's clients send a user name `007` as an int.
Numbers are taken from numbers only: a text where money was expected is a mistake that must not be guessed at. `nil`,
which some clients send for an argument they leave out, is the empty text.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from backend.compat.faults import Code, Fault
from backend.compat.xmlrpc import Scalar, Value
from backend.people.names import map_name
from backend.wire.pricing import minor_units

MAX_TEXT = 64 * 1024
MAX_COUNT = 2**31 - 1
MAX_MINUTES = 100 * 366 * 24 * 60


class Kind(enum.Enum):
    """What an argument is; the value is its name in texts for people."""

    USER = "user"
    TEXT = "string"
    TEXTS = "[string]"
    COUNT = "int"
    FLAG = "boolean"
    MINUTES = "int minutes"
    MONEY = "double"
    PAIRS = "[[string, string]]"


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Signature:
    """What a method takes after the token; those from `required` on may be left out, from the end."""

    arguments: tuple[Argument, ...]
    required: int

    def __str__(self) -> str:
        """As the documentation shows it: `user, adjustment double, comment[, account]`."""
        text = ""
        for number, argument in enumerate(self.arguments):
            word = argument.name
            if argument.kind not in (Kind.USER, Kind.TEXT):
                word += f" {argument.kind.value}"
            word = f", {word}" if number else word
            text += f"[{word}]" if number >= self.required else word
        return text


def taken(wanted: Signature, given: Sequence[Value], decimals: int) -> list[object]:
    """The arguments as the method takes them, left-out ones not included. Raises Fault that says which one is wrong."""
    if not wanted.required <= len(given) <= len(wanted.arguments):
        words = ", ".join(filter(None, ("authToken", str(wanted))))
        raise Fault(Code.GENERAL, f"This method takes ({words}), it was given {len(given)} after the token")
    return [_read(argument, value, decimals) for argument, value in zip(wanted.arguments, given, strict=False)]


def _read(argument: Argument, value: Value, decimals: int) -> object:
    match argument.kind:
        case Kind.USER:
            return user_name(_text(argument, value))
        case Kind.TEXT:
            return _text(argument, value)
        case Kind.TEXTS:
            return _texts(argument, value)
        case Kind.COUNT:
            return _count(argument, value)
        case Kind.FLAG:
            return _flag(argument, value)
        case Kind.MINUTES:
            return _minutes(argument, value)
        case Kind.MONEY:
            return _money(argument, value, decimals)
        case Kind.PAIRS:
            return _pairs(argument, value)


def user_name(text: str) -> str:
    """The user's name as it is stored. Raises Fault 259 for a blank one."""
    name = map_name(text)
    if not name:
        raise Fault(Code.USER_NAME_BLANK, "The user name is blank")
    return name


def _text(argument: Argument, value: Value) -> str:
    if value is None:
        return ""
    if not isinstance(value, Scalar):
        raise _wrong(argument, value)
    if len(value.text) > MAX_TEXT:
        raise Fault(Code.GENERAL, f"The argument {argument.name} is longer than {MAX_TEXT} characters")
    return value.text


def _texts(argument: Argument, value: Value) -> list[str]:
    if not isinstance(value, list):
        raise _wrong(argument, value)
    return [_text(argument, item) for item in value]


def _pairs(argument: Argument, value: Value) -> list[tuple[str, str]]:
    """An array of pairs, as most clients send it, or a struct."""
    if isinstance(value, dict):
        return [(name, _text(argument, item)) for name, item in value.items()]
    if not isinstance(value, list):
        raise _wrong(argument, value)
    pairs = [_texts(argument, item) for item in value]
    if any(len(pair) != 2 for pair in pairs):
        raise Fault(Code.GENERAL, f"The argument {argument.name} must be an array of pairs [name, value]")
    return [(name, text) for name, text in pairs]


def _minutes(argument: Argument, value: Value) -> int:
    """-1 for ever."""
    if isinstance(value, Scalar) and value.kind == "int" and value.text.lstrip("+") == "-1":
        return -1
    number = _count(argument, value)
    if not 0 < number <= MAX_MINUTES:
        raise Fault(Code.GENERAL, f"The argument {argument.name} must be -1 (for ever) or 1 to {MAX_MINUTES} minutes")
    return number


def _count(argument: Argument, value: Value) -> int:
    if not isinstance(value, Scalar) or value.kind != "int":
        raise _wrong(argument, value)
    number = int(value.text)
    if not 0 <= number <= MAX_COUNT:
        raise Fault(Code.GENERAL, f"The argument {argument.name} must be from 0 to {MAX_COUNT}, it is {number}")
    return number


def _flag(argument: Argument, value: Value) -> bool:
    if not isinstance(value, Scalar) or value.kind != "boolean":
        raise _wrong(argument, value)
    return value.text == "true"


def _money(argument: Argument, value: Value, decimals: int) -> int:
    if not isinstance(value, Scalar) or value.kind not in ("double", "int"):
        raise _wrong(argument, value)
    try:
        return minor_units(value.text, decimals)
    except ValueError as error:
        raise Fault(Code.BALANCE_INVALID, f"The argument {argument.name} is out of range") from error


def _wrong(argument: Argument, value: Value) -> Fault:
    given = value.kind if isinstance(value, Scalar) else {type(None): "nil", list: "array", dict: "struct"}[type(value)]
    text = f"The argument {argument.name} must be of type {argument.kind.value}, it is of type {given}"
    return Fault(Code.GENERAL, text)
