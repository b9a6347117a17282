"""What a server remembers of tokens: whose they are, since when it is known, and what is to be looked up anew. Pure:
the time is given, by the server's own clock that only grows.

Invariant: what is remembered is as old as the look-up's beginning, not its end: a token that was ended while its
look-up was under way is not remembered for longer than one that was ended before. Only hashes are kept, and at most
MAX_KEPT.
"""

import itertools
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Final

from backend.access.model import Principal

STALE_S: Final = 5.0
RENEW_AFTER_S: Final = 2.5
REMEMBERED_S: Final = 12 * 3600.0
MAX_KEPT: Final = 20_000


@dataclass
class _Kept:
    """A principal as it was found at `found_s`, last asked for at `used_s`."""

    principal: Principal
    found_s: float
    used_s: float


class Remembered:
    """By the tokens' hashes."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}

    def fresh(self, key: bytes, now_s: float) -> Principal | None:
        """Whose it is, where that was looked up lately; it counts as used."""
        kept = self._kept.get(key)
        if kept is None or now_s - kept.found_s >= STALE_S:
            return None
        kept.used_s = now_s
        return kept.principal

    def of_late(self, key: bytes, now_s: float) -> Principal | None:
        """Whose it was when it was looked up within REMEMBERED_S."""
        kept = self._kept.get(key)
        return None if kept is None or now_s - kept.found_s >= REMEMBERED_S else kept.principal

    def forget(self, key: bytes) -> None:
        """It was ended: it is looked up anew when it is used again."""
        self._kept.pop(key, None)

    def to_renew(self, asked: Container[bytes], most: int, now_s: float) -> list[bytes]:
        """What else was used since it was found and is not new any more, at most so many."""
        old_s = now_s - RENEW_AFTER_S
        old = (key for key, kept in self._kept.items() if kept.used_s > kept.found_s <= old_s and key not in asked)
        return list(itertools.islice(old, most))

    def keep(
        self, asked: Collection[bytes], renewed: Collection[bytes], found: Mapping[bytes, Principal], asked_s: float
    ) -> None:
        """What a look-up found that was begun at `asked_s`. What was forgotten meanwhile stays so, unless it was asked
        for."""
        for key in renewed:
            principal = found.get(key)
            if principal is None:
                self._kept.pop(key, None)
            elif key in self._kept:
                self._kept[key] = _Kept(principal, asked_s, asked_s)
        for key in asked:
            self._kept.pop(key, None)
            principal = found.get(key)
            if principal is not None:
                while len(self._kept) >= MAX_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = _Kept(principal, asked_s, asked_s)
