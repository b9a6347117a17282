"""Who calls, and what a method may use to do what it is asked for.

Every money call is one command under an id made here: it happens once or not at all. When its outcome is not known the
client is told so in words, since it cannot ask again under the id it has never seen.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
import sqlalchemy as sa

from backend.compat.faults import Code, Fault, user_unknown
from backend.compat.properties import UserRecord
from backend.compat.queries import user_record
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.intake.model import NO_LIMITS, Limits
from backend.intake.service import Intake
from backend.operations.online_backup import OnlineBackup
from backend.wire.base import Ledger
from backend.wire.money import Adjust, ConfigureAccount, MoneyAnswer, SetBalance

P = ParamSpec("P")
R = TypeVar("R")

LIMIT = "account-limit-reached"
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
    """`actor` is the name in the ledger and in the audit log of whoever holds the token, `role` what it may do.
    `background` holds the work that goes on after the answer, `backup` makes one, `limits` bound what is moved."""

    actor: str
    role: str
    database: Database
    intake: Intake
    ledger: Ledger
    background: set[asyncio.Task[None]]
    backup: OnlineBackup
    limits: Limits = NO_LIMITS

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
        """What the one door answered. Raises Fault 262, 275, and 257 where the caller may not move so much; what is not
        available is left to the caller."""
        content = await self.intake.submit(body, actor=self.actor, role=self.role, limits=self.limits)
        answer = msgspec.json.decode(content, type=MoneyAnswer)
        if answer.code == "user-unknown":
            raise user_unknown(body.user_name)
        if answer.code == "amount-invalid":
            raise Fault(Code.BALANCE_INVALID, "The balance would leave the range that the ledger can hold")
        if answer.code not in ("", LIMIT):
            raise Fault(Code.GENERAL, answer.message)
        return answer
