"""Balances. A user has one personal account; its name is "" in PaperCut's terms."""

from decimal import Decimal

from backend.base.ids import uuid7
from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import MAX_COMMENT, Caller
from backend.compat.properties import money
from backend.wire.messages import Adjust, SetBalance

LIMIT = "account-limit-reached"


async def get_balance(caller: Caller, user: str, account: str = "") -> Decimal:
    _default_only(account)
    return money((await caller.user(user)).balance, caller.ledger.decimals)


async def adjust(caller: Caller, user: str, adjustment: int, comment: str, account: str = "") -> bool:
    _default_only(account)
    body = Adjust(command_id=uuid7(), user_name=user, amount=adjustment, comment=comment[:MAX_COMMENT])
    await caller.command(body)
    return True


async def adjust_if_available(caller: Caller, user: str, adjustment: int, comment: str, account: str = "") -> bool:
    """False, and nothing moved, where less than that is available."""
    _default_only(account)
    answer = await caller.command(
        Adjust(
            command_id=uuid7(),
            user_name=user,
            amount=adjustment,
            comment=comment[:MAX_COMMENT],
            only_if_available=True,
        )
    )
    return answer.code != LIMIT


async def set_balance(caller: Caller, user: str, balance: int, comment: str, account: str = "") -> bool:
    _default_only(account)
    body = SetBalance(command_id=uuid7(), user_name=user, balance=balance, comment=comment[:MAX_COMMENT])
    await caller.command(body)
    return True


def _default_only(account: str) -> None:
    if account.strip():
        raise Fault(
            Code.GENERAL, f'There is no personal account "{account[:255]}": users have their default account only'
        )
