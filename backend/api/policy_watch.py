"""Keeps the one door to what the settings in the database say: whether unknown users get an account, and the overdraft
of those that have none of their own.

Each server looks every EVERY_S, so for that long two servers may go by different settings. While the database cannot be
read the last ones hold.
"""

import asyncio
import logging

import msgspec

from backend.access.settings import CREATE_USERS, DEFAULT_OVERDRAFT, read_settings
from backend.db.engine import Database
from backend.db.errors import DatabaseError
from backend.intake.service import Intake

EVERY_S = 2.0

log = logging.getLogger(__name__)


class PolicyWatch:
    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Look once. Raises DatabaseError."""
        found = await self._database.run(read_settings, CREATE_USERS, DEFAULT_OVERDRAFT)
        self._intake.policy = msgspec.structs.replace(
            self._intake.policy,
            create_users=found[CREATE_USERS] == "true",
            default_overdraft=int(found[DEFAULT_OVERDRAFT]),
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except DatabaseError as error:
                log.debug("the settings cannot be read: %s", error)
            except Exception:
                log.exception("the settings cannot be watched")
