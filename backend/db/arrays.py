"""PostgreSQL arrays in their binary form, made by hand: one parameter a column carries a whole batch.

Binary is half the work of text on both sides: numbers need no digits and texts no quoting, and a column of numbers is
one call of `struct`. The form is that of `array_recv` (PostgreSQL, src/backend/utils/adt/arrayfuncs.c): dimensions,
whether there are NULLs, the elements' type, length, lower bound; then each element's length and bytes, all big-endian.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

_HEADER: Final = struct.Struct(">iiIii")
_EMPTY: Final = struct.Struct(">iiI")
_LENGTH: Final = struct.Struct(">i").pack
_NULL: Final = _LENGTH(-1)
# The type's number in pg_type, struct's letter for a value of it, and its length in bytes.
_NUMBERS: Final = {
    "boolean": (16, "?", 1),
    "bigint": (20, "q", 8),
    "smallint": (21, "h", 2),
    "integer": (23, "i", 4),
}
_TEXT: Final = 25
_UUID: Final = 2950

Encode = Callable[[Sequence[Any]], bytes]


def encoder(sql_type: str) -> Encode:
    """What makes a parameter of type `sql_type`[] of a sequence of values. Numbers and uuids may be None: NULL."""
    if sql_type == "text":
        return texts
    if sql_type == "uuid":
        return uuids
    oid, letter, size = _NUMBERS[sql_type]
    one = struct.Struct(f">i{letter}").pack

    def numbers(values: Sequence[Any]) -> bytes:
        count = len(values)
        if None in values:
            return _head(oid, count, True) + b"".join([_NULL if v is None else one(size, v) for v in values])
        if _is_one(values, count):
            return _head(oid, count, False) + one(size, values[0]) * count
        flat: list[Any] = [size] * (2 * count)
        flat[1::2] = values
        return _head(oid, count, False) + _pairs(letter, count).pack(*flat)

    return numbers


def texts(values: Sequence[str]) -> bytes:
    """A text[]. PostgreSQL stores no NUL; it becomes U+FFFD. An unpaired surrogate becomes `?`."""
    count = len(values)
    if _is_one(values, count):
        return _head(_TEXT, count, False) + _text(values[0]) * count
    return _head(_TEXT, count, False) + b"".join(map(_text, values))


def uuids(values: Sequence[str | None]) -> bytes:
    """A uuid[] of uuids in hexadecimal."""
    if None in values:
        parts = [_NULL if v is None else b"\x00\x00\x00\x10" + _uuid_bytes(v) for v in values]
        return _head(_UUID, len(values), True) + b"".join(parts)
    if not values:
        return _head(_UUID, 0, False)
    text = "00000010" + "00000010".join(values)  # type: ignore[arg-type]  # no None is among them
    return _head(_UUID, len(values), False) + _uuid_bytes(text)


bigints: Encode = encoder("bigint")


def _is_one(values: Sequence[Any], count: int) -> bool:
    """Whether it is one value all along, as in most columns of a batch: then it is encoded once."""
    return count > 1 and values.count(values[0]) == count


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    if b"\x00" in data:
        data = data.replace(b"\x00", "\ufffd".encode())
    return _LENGTH(len(data)) + data


def _uuid_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def _head(oid: int, count: int, nulls: bool) -> bytes:
    return _HEADER.pack(1, nulls, oid, count, 1) if count else _EMPTY.pack(0, 0, oid)


@lru_cache(2048)
def _pairs(letter: str, count: int) -> struct.Struct:
    return struct.Struct(">" + f"i{letter}" * count)
