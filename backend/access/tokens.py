"""Which principal a token belongs to, remembered for a few seconds so that no request pays a look-up of its own.

Look-ups are shared: what is asked for while one is under way goes together into the next, and each also renews what
was used lately and will soon be stale. So a thousand providers that come back at once, after a restart say, are a few
statements and not a thousand.

Invariant: a revoked token is refused everywhere within STALE_S; without the database nobody is let in for longer than
that, but to see what is known of the database being away: whoever was let in within REMEMBERED_S before may.
"""

import asyncio

from backend.access.model import Principal
from backend.access.remembered import Remembered
from backend.access.service import find_principals, hash_token
from backend.base.clock import Clock
from backend.db.engine import Database
from backend.db.errors import DatabaseAway

REMEMBER_AFTER_S = 0.8  # so long the database is asked first
MAX_ASKED = 1_000  # in one statement


class TokenCache:
    """Lives in one event loop."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known = Remembered()
        self._wanted: dict[bytes, asyncio.Future[Principal | None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def principal(self, token: str) -> Principal | None:
        """Whom the token belongs to, None for nobody. Raises DatabaseAway."""
        key = hash_token(token)
        while True:
            known = self._known.fresh(key, self._clock.monotonic_s())
            if known is not None:
                return known
            future = self._wanted.get(key)
            if future is None:
                future = self._wanted[key] = asyncio.get_running_loop().create_future()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._look_up())
            if await asyncio.shield(future) is None:  # others wait for it too
                return None
            # it is known now, unless this process was stopped meanwhile, and what was found is old

    async def remembered(self, token: str) -> Principal | None:
        """The same, but who was known lately stays so while the database cannot be asked. Raises DatabaseAway."""
        known = self._known.of_late(hash_token(token), self._clock.monotonic_s())
        if known is None:
            return await self.principal(token)
        try:
            return await asyncio.wait_for(self.principal(token), REMEMBER_AFTER_S)
        except (DatabaseAway, TimeoutError):
            return known

    def forget(self, token: str) -> None:
        """It was revoked: look it up anew when it is used again."""
        self._known.forget(hash_token(token))

    async def _look_up(self) -> None:
        """Answer all that is wanted, statement by statement."""
        while self._wanted:
            asked = {key: self._wanted.pop(key) for key in list(self._wanted)[:MAX_ASKED]}
            asked_s = self._clock.monotonic_s()
            renewed = self._known.to_renew(asked, MAX_ASKED - len(asked), asked_s)
            try:
                found = await self._database.run(find_principals, [*asked, *renewed])
            except Exception as error:  # noqa: BLE001  # told to all who asked; those who wait for the next go on
                _fail(asked, error)
            else:
                self._known.keep(asked, renewed, found, asked_s)
                for key, future in asked.items():
                    if not future.done():
                        future.set_result(found.get(key))


def _fail(asked: dict[bytes, asyncio.Future[Principal | None]], error: BaseException) -> None:
    for future in asked.values():
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever asked may be gone, and then nobody looks
