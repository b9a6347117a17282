"""Passwords and PINs as they are kept: scrypt (RFC 7914) with a salt of its own each, from the standard library.

The text carries its parameters, so that they can be raised later and old ones still checked. Slow on purpose (some
50 ms): call it in a worker thread, outside any transaction.
"""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from typing import Final

_COST: Final = 14  # log2 of N
_BLOCKS: Final = 8
_LANES: Final = 1
_SALT_BYTES: Final = 16


def hash_secret(secret: str, salt: bytes | None = None) -> str:
    """`scrypt$COST$BLOCKS$LANES$SALT$HASH` for a secret; the salt is for tests."""
    used = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = _scrypt(secret, used, _COST, _BLOCKS, _LANES)
    return f"scrypt${_COST}${_BLOCKS}${_LANES}${b64encode(used).decode()}${b64encode(digest).decode()}"


def is_secret(secret: str, kept: str) -> bool:
    """Whether this is the secret that was kept, compared in constant time; nothing is when none was kept."""
    parts = kept.split("$")
    if len(parts) != 6 or parts[0] != "scrypt":
        return False
    cost, blocks, lanes = (int(part) for part in parts[1:4])
    return hmac.compare_digest(_scrypt(secret, b64decode(parts[4]), cost, blocks, lanes), b64decode(parts[5]))


def _scrypt(secret: str, salt: bytes, cost: int, blocks: int, lanes: int) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=1 << cost, r=blocks, p=lanes, maxmem=1 << 26, dklen=32)
