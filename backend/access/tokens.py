"""Which principal a token belongs to, remembered for a few seconds so that no request pays a look-up of its own.

Look-ups are shared: what is asked for while one is under way goes together into the next, and each also renews what
was used lately and will soon be stale. So a thousand providers that come back at once, after a restart say, are a few
statements and not a thousand.

Invariant: a revoked token is refused everywhere within STALE_S; without the database nobody is let in for longer than
that, but to see what is known of the database being away: whoever was let in within REMEMBERED_S before may. Only
hashes are kept here too, and at most MAX_KEPT of them.
"""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from backend.access.model import Principal
from backend.access.service import find_principals, hash_token
from backend.base.clock import Clock
from backend.db.engine import Database
from backend.db.errors import DatabaseAway

STALE_S = 5.0
RENEW_AFTER_S = 2.5
REMEMBERED_S = 12 * 3600.0
REMEMBER_AFTER_S = 0.8  # so long the database is asked first
MAX_KEPT = 20_000
MAX_ASKED = 1_000  # in one statement


@dataclass
class _Kept:
    """A principal as it was found at `found_s`, last asked for at `used_s`."""

    principal: Principal
    found_s: float
    used_s: float


class TokenCache:
    """Lives in one event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: dict[bytes, _Kept] = {}
        self._wanted: dict[bytes, asyncio.Future[Principal | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def principal(self, token: str) -> Principal | None:
        """Whom the token belongs to, None for nobody. Raises DatabaseAway."""
        key = hash_token(token)
        kept = self._kept.get(key)
        now_s = self._clock.monotonic_s()
        if kept is not None and now_s - kept.found_s < STALE_S:
            kept.used_s = now_s
            return kept.principal
        future = self._wanted.get(key)
        if future is None:
            future = self._wanted[key] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_up())
        return await asyncio.shield(future)  # others wait for it too

    async def remembered(self, token: str) -> Principal | None:
        """The same, but who was known lately stays so while the database cannot be asked. Raises DatabaseAway."""
        kept = self._kept.get(hash_token(token))
        if kept is None or self._clock.monotonic_s() - kept.found_s >= REMEMBERED_S:
            return await self.principal(token)
        try:
            return await asyncio.wait_for(self.principal(token), REMEMBER_AFTER_S)
        except (DatabaseAway, TimeoutError):
            return kept.principal

    def forget(self, token: str) -> None:
        """It was revoked: look it up anew when it is used again."""
        self._kept.pop(hash_token(token), None)

    async def _look_up(self) -> None:
        """Answer all that is wanted, statement by statement."""
        while self._wanted:
            asked = {key: self._wanted.pop(key) for key in list(self._wanted)[:MAX_ASKED]}
            asked_s = self._clock.monotonic_s()
            renewed = self._to_renew(asked, asked_s)
            try:
                found = await self._database.run(find_principals, [*asked, *renewed])
            except Exception as error:  # noqa: BLE001  # told to all who asked; those who wait for the next go on
                _fail(asked, error)
            else:
                self._keep(asked, renewed, found, asked_s)

    def _to_renew(self, asked: Mapping[bytes, object], now_s: float) -> list[bytes]:
        """What else was used since it was found, and is not new any more."""
        old_s = now_s - RENEW_AFTER_S
        old = (key for key, kept in self._kept.items() if kept.used_s > kept.found_s <= old_s and key not in asked)
        return list(itertools.islice(old, MAX_ASKED - len(asked)))

    def _keep(
        self,
        asked: dict[bytes, asyncio.Future[Principal | None]],
        renewed: list[bytes],
        found: dict[bytes, Principal],
        asked_s: float,
    ) -> None:
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
        for key, future in asked.items():
            if not future.done():
                future.set_result(found.get(key))


def _fail(asked: dict[bytes, asyncio.Future[Principal | None]], error: BaseException) -> None:
    for future in asked.values():
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever asked may be gone, and then nobody looks
