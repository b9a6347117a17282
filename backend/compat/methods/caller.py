"""Who calls, and what a method may use to do what it is asked for.

Every money call is one command under an id made here: it happens once or not at all. When its outcome is not known the
client is told so in words, since it cannot ask again under the id it has never seen.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from backend.compat.faults import Code, Fault, user_unknown
from backend.compat.properties import UserRecord
from backend.compat.queries import user_record
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.intake.service import Intake
from backend.wire.messages import Adjust, ConfigureAccount, Ledger, MoneyAnswer, SetBalance

P = ParamSpec("P")
R = TypeVar("R")

MAX_COMMENT = 1024
AGAIN_WITHIN_S = 1.0


async def read(
    database: Database, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """What `work` reads, tried again at once where a connection broke: these clients have no other server to ask."""
    asked = time.monotonic()
    try:
        return await database.run(work, *args, **kwargs)
    except DatabaseAway:
        if time.monotonic() - asked > AGAIN_WITHIN_S:
            raise
        return await database.run(work, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class Caller:
    """`actor` is the name in the ledger and in the audit log of whoever holds the token, `role` what it may do."""

    actor: str
    role: str
    database: Database
    intake: Intake
    ledger: Ledger

    async def read(self, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` reads. Methods read first and change things last: after a DatabaseError nothing is changed."""
        return await read(self.database, work, *args, **kwargs)

    async def write(self, work: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A change that is not of money. Raises Fault where it may or may not have been made."""
        try:
            return await self.database.write(work, *args, **kwargs)
        except DatabaseAway as error:
            text = "The database went away, it is not known whether the change was made; look before repeating it"
            raise Fault(Code.GENERAL, text) from error

    async def user(self, name: str) -> UserRecord:
        """The user's record. Raises Fault 262."""
        record = await self.read(user_record, name, self.ledger.decimals)
        if record is None:
            raise user_unknown(name)
        return record

    async def command(self, body: Adjust | SetBalance | ConfigureAccount) -> MoneyAnswer:
        """What the one door answered. Raises Fault 262 and 275; a limit that was reached is left to the caller."""
        answer = await self.intake.ask(body, MoneyAnswer, actor=self.actor)
        if answer.code == "user-unknown":
            raise user_unknown(body.user_name)
        if answer.code == "amount-invalid":
            raise Fault(Code.BALANCE_INVALID, "The balance would leave the range that the ledger can hold")
        return answer
