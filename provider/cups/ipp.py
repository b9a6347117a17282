"""IPP messages as bytes and back: RFC 8010 (encoding) with the value types of RFC 8011. Pure.

Only what a print-accounting provider needs is easy to say here: a request with operation attributes, an answer with
its groups. A collection (RFC 8010 §3.1.6) is a group within a group. Invariant: `decode` of any bytes whatever gives a
Message or raises IppError; lengths are checked before they are used, and nothing nests deeper than MAX_DEPTH.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from provider.errors import CupsError

PRINT_JOB: Final = 0x0002
CANCEL_JOB: Final = 0x0008
GET_JOB_ATTRIBUTES: Final = 0x0009
GET_JOBS: Final = 0x000A
GET_PRINTER_ATTRIBUTES: Final = 0x000B
RELEASE_JOB: Final = 0x000D
CUPS_GET_PRINTERS: Final = 0x4002

OPERATION_NAMES: Final = {
    PRINT_JOB: "Print-Job",
    CANCEL_JOB: "Cancel-Job",
    GET_JOB_ATTRIBUTES: "Get-Job-Attributes",
    GET_JOBS: "Get-Jobs",
    GET_PRINTER_ATTRIBUTES: "Get-Printer-Attributes",
    RELEASE_JOB: "Release-Job",
    CUPS_GET_PRINTERS: "CUPS-Get-Printers",
}

NOT_FOUND: Final = 0x0406
LAST_SUCCESS: Final = 0x00FF

END_GROUP: Final = 0x03
OPERATION_GROUP: Final = 0x01
JOB_GROUP: Final = 0x02
PRINTER_GROUP: Final = 0x04
UNSUPPORTED_GROUP: Final = 0x05

INTEGER: Final = 0x21
BOOLEAN: Final = 0x22
ENUM: Final = 0x23
_TEXT_WITH_LANGUAGE: Final = 0x35
_NAME_WITH_LANGUAGE: Final = 0x36
BEGIN_COLLECTION: Final = 0x34
_END_COLLECTION: Final = 0x37
_MEMBER_NAME: Final = 0x4A
_OUT_OF_BAND: Final = range(0x10, 0x20)
_TEXTS: Final = range(0x41, 0x4A)
NAME: Final = 0x42
KEYWORD: Final = 0x44
URI: Final = 0x45
_CHARSET: Final = 0x47
_LANGUAGE: Final = 0x48
MIME_TYPE: Final = 0x49

MAX_ATTRIBUTES: Final = 100_000

MAX_DEPTH: Final = 8

Value: TypeAlias = "int | bool | str | bytes | Group | None"
"""None is an out-of-band value (unknown, no-value), a Group a collection."""


class IppError(CupsError):
    """These bytes are no IPP message."""


@dataclass(frozen=True)
class Tagged:
    """Values with the tag they are sent under."""

    tag: int
    values: tuple[int | bool | str, ...]


@dataclass
class Group:
    """An attribute group or a collection: its tag and the attributes by name, each with all of its values."""

    tag: int
    attributes: dict[str, list[Value]] = field(default_factory=dict)

    def texts(self, name: str) -> list[str]:
        return [value for value in self.attributes.get(name, ()) if isinstance(value, str)]

    def collections(self, name: str) -> "list[Group]":
        return [value for value in self.attributes.get(name, ()) if isinstance(value, Group)]

    def text(self, name: str, default: str = "") -> str:
        return next(iter(self.texts(name)), default)

    def number(self, name: str) -> int | None:
        """The first whole number of that name; a boolean is none."""
        values = self.attributes.get(name, ())
        return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)

    def flag(self, name: str, default: bool) -> bool:
        return next((value for value in self.attributes.get(name, ()) if isinstance(value, bool)), default)


@dataclass(frozen=True)
class Message:
    """`code` is the operation of a request and the status of an answer. `rest` is what follows: a document."""

    code: int
    request_id: int
    groups: tuple[Group, ...]
    rest: bytes = b""

    def of(self, tag: int) -> list[Group]:
        return [group for group in self.groups if group.tag == tag]


def encode_request(operation: int, request_id: int, attributes: Mapping[str, Tagged], rest: bytes = b"") -> bytes:
    """An IPP/2.0 request with these operation attributes after charset and language, which come first (RFC 8011
    §4.1.4).
    """
    leading = {
        "attributes-charset": Tagged(_CHARSET, ("utf-8",)),
        "attributes-natural-language": Tagged(_LANGUAGE, ("en",)),
    }
    parts = [struct.pack(">BBHIB", 2, 0, operation, request_id, OPERATION_GROUP)]
    for name, tagged in {**leading, **attributes}.items():
        parts.append(_attribute(name, tagged))
    return b"".join([*parts, bytes([END_GROUP]), rest])


def _attribute(name: str, tagged: Tagged) -> bytes:
    parts, label = [], name.encode()
    for value in tagged.values:
        data = _value_bytes(value)
        parts.append(struct.pack(">BH", tagged.tag, len(label)) + label + struct.pack(">H", len(data)) + data)
        label = b""  # further values of a set carry no name
    return b"".join(parts)


def _value_bytes(value: int | bool | str) -> bytes:
    if isinstance(value, bool):
        return bytes([value])
    if isinstance(value, int):
        return struct.pack(">i", value)
    return value.encode()[:32767]


class _Reader:
    """Bytes taken from the front, never past the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            raise IppError(f"an IPP message ends in the middle of an attribute, at byte {len(self.data)}")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


def decode(data: bytes) -> Message:
    """The message in these bytes. Raises IppError."""
    reader = _Reader(data)
    major = reader.number(1)
    reader.take(1)
    if major not in (1, 2):
        raise IppError(f"IPP version {major} is not understood")
    code, request_id = reader.number(2), reader.number(4)
    groups: list[Group] = []
    for _ in range(MAX_ATTRIBUTES):
        tag = reader.number(1)
        if tag == END_GROUP:
            return Message(code, request_id, tuple(groups), data[reader.place :])
        if tag < 0x10:
            groups.append(Group(tag))
        else:
            _read_value(reader, tag, groups)
    raise IppError(f"an IPP message has more than {MAX_ATTRIBUTES} values")


def _read_value(reader: _Reader, tag: int, groups: list[Group]) -> None:
    name = reader.take(reader.number(2)).decode("utf-8", "replace")
    data = reader.take(reader.number(2))
    if not groups:
        raise IppError("an IPP message has an attribute before any group")
    attributes = groups[-1].attributes
    value = _read_collection(reader, 1) if tag == BEGIN_COLLECTION else _decode_value(tag, data)
    if name:
        attributes[name] = [value]
    elif attributes:
        attributes[next(reversed(attributes))].append(value)
    else:
        raise IppError("an IPP message has a further value of no attribute")


def _read_collection(reader: _Reader, depth: int) -> Group:
    """From behind its beginning to its end. A member's name stands as a value of its own before its values."""
    if depth > MAX_DEPTH:
        raise IppError(f"an IPP collection nests deeper than {MAX_DEPTH}")
    found, values = Group(BEGIN_COLLECTION), list[Value]()
    for _ in range(MAX_ATTRIBUTES):
        tag = reader.number(1)
        reader.take(reader.number(2))
        data = reader.take(reader.number(2))
        if tag == _END_COLLECTION:
            return found
        if tag == _MEMBER_NAME:
            values = found.attributes.setdefault(data.decode("utf-8", "replace"), [])
        else:  # what comes before any name is nobody's
            values.append(_read_collection(reader, depth + 1) if tag == BEGIN_COLLECTION else _decode_value(tag, data))
    raise IppError(f"an IPP collection has more than {MAX_ATTRIBUTES} members")


def _decode_value(tag: int, data: bytes) -> Value:
    if tag in (INTEGER, ENUM):
        if len(data) != 4:
            raise IppError(f"an IPP integer of {len(data)} bytes")
        return int.from_bytes(data, "big", signed=True)
    if tag == BOOLEAN:
        if len(data) != 1:
            raise IppError(f"an IPP boolean of {len(data)} bytes")
        return data != b"\x00"
    if tag in (_TEXT_WITH_LANGUAGE, _NAME_WITH_LANGUAGE):
        inner = _Reader(data)
        inner.take(inner.number(2))
        return inner.take(inner.number(2)).decode("utf-8", "replace")
    if tag in _TEXTS:
        return data.decode("utf-8", "replace")
    return None if tag in _OUT_OF_BAND else data


def name(value: str) -> Tagged:
    return Tagged(NAME, (value[:255],))


def uri(value: str) -> Tagged:
    return Tagged(URI, (value,))


def integer(value: int) -> Tagged:
    return Tagged(INTEGER, (value,))


def keywords(values: Sequence[str]) -> Tagged:
    return Tagged(KEYWORD, tuple(values))
