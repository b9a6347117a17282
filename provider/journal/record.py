"""Records on disk: bytes to records and back, for the journal and for the run files alike. Pure.

A record is `IKJ1 | u8 version | u32 length | u32 crc32 | payload`, big-endian; the CRC covers version, length and
payload, so no flipped bit passes for content. Whatever stands between two records that are whole is passed over and
told as a gap: a torn write, a damaged sector, the zeros of space kept for later.

Invariant: `scan` yields every record that is whole, in order, whatever is wrong around it, and never raises. A
payload cannot pass for a record inside a damaged one: it is JSON, which holds no control characters, and every
header does.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

MAGIC: Final = b"IKJ1"
VERSION: Final = 1
MAX_PAYLOAD_BYTES: Final = 1 << 20
HEADER: Final = struct.Struct(">4sBII")
_CHECKED: Final = struct.Struct(">BI")


@dataclass(frozen=True)
class Record:
    """A whole record; `start` and `end` are its places in the scanned bytes."""

    version: int
    payload: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Gap:
    """Bytes from `start` to `end` that are no record. `blank` says that all of them are zero, which is no damage."""

    start: int
    end: int
    blank: bool


def encode(payload: bytes) -> bytes:
    """The record that carries this payload. Raises ValueError for one that no reader would take."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record of {len(payload)} bytes is longer than the {MAX_PAYLOAD_BYTES} a reader takes")
    return HEADER.pack(MAGIC, VERSION, len(payload), _check(VERSION, payload)) + payload


def scan(data: bytes) -> Iterator[Record | Gap]:
    """Every whole record in `data` with the gaps between them, in order; together they cover all of it."""
    gap_start = position = 0
    while position < len(data):
        found = data.find(MAGIC, position)
        record = _record_at(data, found) if found >= 0 else None
        if record is not None:
            if gap_start < record.start:
                yield _gap(data, gap_start, record.start)
            yield record
            gap_start = position = record.end
        elif found < 0:
            break
        else:
            position = found + 1
    if gap_start < len(data):
        yield _gap(data, gap_start, len(data))


def _record_at(data: bytes, start: int) -> Record | None:
    if len(data) - start < HEADER.size:
        return None
    _, version, length, check = HEADER.unpack_from(data, start)
    end = start + HEADER.size + length
    if length > MAX_PAYLOAD_BYTES or end > len(data):
        return None
    payload = data[start + HEADER.size : end]
    return Record(version, payload, start, end) if _check(version, payload) == check else None


def _check(version: int, payload: bytes) -> int:
    return crc32(payload, crc32(_CHECKED.pack(version, len(payload))))


def _gap(data: bytes, start: int, end: int) -> Gap:
    return Gap(start, end, blank=data.count(0, start, end) == end - start)
