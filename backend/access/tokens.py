"""Which principal a token belongs to, remembered for a few seconds so that no request pays a look-up of its own.

Invariant: a revoked token is refused everywhere within STALE_S; without the database nobody is let in for longer than
that. Only hashes are kept here too, and at most MAX_KEPT of them.
"""

from backend.access.model import Principal
from backend.access.service import find_principal, hash_token
from backend.base.clock import Clock
from backend.db.engine import Database

STALE_S = 5.0
MAX_KEPT = 20_000


class TokenCache:
    """Lives in one event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[bytes, tuple[Principal, float]] = {}

    async def principal(self, token: str) -> Principal | None:
        """Whom the token belongs to, None for nobody. Raises DatabaseAway."""
        key = hash_token(token)
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic_s() - kept[1] < STALE_S:
            return kept[0]
        asked_s = self._clock.monotonic_s()
        found = await self._database.run(find_principal, key)
        if found is None:
            self._kept.pop(key, None)
            return None
        if len(self._kept) >= MAX_KEPT and key not in self._kept:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (found, asked_s)
        return found
