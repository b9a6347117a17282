"""Passwords and PINs as they are kept: Argon2id (RFC 9106) with a salt of its own each.

The text carries its parameters, so that they can be raised later and old ones still checked. Slow on purpose (some
30 ms and 19 MiB): call it in a worker thread, outside any transaction. What strangers may ask for goes through
`Passwords`, which does a few at once and lets a few more wait, so that guesses cannot eat a server's memory and time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

AT_ONCE: Final = 2
MAX_WAITING: Final = 32

_HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class TooBusy(Exception):
    """So many passwords wait to be checked that one more would wait too long."""


def hash_secret(secret: str) -> str:
    """`$argon2id$v=…$m=…,t=…,p=…$SALT$HASH` for a secret."""
    return _HASHER.hash(secret)


def is_secret(secret: str, kept: str) -> bool:
    """Whether this is the secret that was kept; nothing is when none was kept."""
    try:
        return bool(kept) and _HASHER.verify(kept, secret)
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """Checks and makes hashes in threads of its own. Lives in one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobodys = ""

    async def check(self, secret: str, kept: str) -> bool:
        """`is_secret`, as slow for somebody who is not there (`kept` is "") as for somebody who is. Raises TooBusy."""
        if not self._nobodys:
            self._nobodys = await self.hash("nobody's")
        right = await self._run(lambda: is_secret(secret, kept or self._nobodys))
        return right and bool(kept)

    async def hash(self, secret: str) -> str:
        """`hash_secret`. Raises TooBusy."""
        return await self._run(lambda: hash_secret(secret))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise TooBusy(f"{MAX_WAITING} passwords wait to be checked")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
