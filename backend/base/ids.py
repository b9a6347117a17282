"""Ids that clients make: UUIDv7 (RFC 9562, section 5.7), opaque everywhere.

The time in front keeps new rows of an index next to each other, and lists and bounds jobs by time; nothing that decides
reads it back. The 74 random bits make an id
that two machines with the same wrong clock still never share.
"""

import secrets
import time


def uuid7(now_ms: int | None = None, random_bits: int | None = None) -> str:
    """A new id as lower-case text. The arguments (milliseconds since 1970, 74 random bits) are for tests and
    simulation."""
    moment = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    noise = secrets.randbits(74) if random_bits is None else random_bits
    value = (
        (moment & (1 << 48) - 1) << 80 | 0x7 << 76 | (noise >> 62 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
