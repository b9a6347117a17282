"""Keeps the one door to what the settings in the database say: whether unknown users get an account, and the overdraft
of those that have none of their own.

Each server looks every EVERY_S, so for that long two servers may go by different settings. While the database cannot be
read the last ones hold.
"""

import msgspec

from backend.access.settings import CREATE_USERS, DEFAULT_OVERDRAFT, read_settings
from backend.db.engine import Database
from backend.db.periodic import Periodic
from backend.intake.service import Intake

EVERY_S = 2.0


class PolicyWatch:
    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake
        self._rounds = Periodic(self.look, EVERY_S, "reading the settings")

    def start(self) -> None:
        self._rounds.start()

    async def close(self) -> None:
        await self._rounds.close()

    async def look(self) -> None:
        """Look once. Raises DatabaseError."""
        found = await self._database.run(read_settings, CREATE_USERS, DEFAULT_OVERDRAFT)
        self._intake.policy = msgspec.structs.replace(
            self._intake.policy,
            create_users=found[CREATE_USERS] == "true",
            default_overdraft=int(found[DEFAULT_OVERDRAFT]),
        )
