"""Balances. A user has one personal account; its name is "" in PaperCut's terms."""

from decimal import Decimal

from backend.base.ids import uuid7
from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import LIMIT, MAX_COMMENT, Caller
from backend.compat.properties import money
from backend.compat.queries import card_owner, user_exists
from backend.wire.money import Adjust, SetBalance


async def get_balance(caller: Caller, user: str, account: str = "") -> Decimal:
    _default_only(account)
    return money((await caller.user(user)).balance, caller.ledger.decimals)


async def adjust(caller: Caller, user: str, adjustment: int, comment: str, account: str = "") -> bool:
    _default_only(account)
    body = Adjust(command_id=uuid7(), user_name=user, amount=adjustment, comment=comment[:MAX_COMMENT])
    await caller.command(body)
    return True


async def adjust_by_card(caller: Caller, card: str, adjustment: int, comment: str, account: str = "") -> bool:
    """False where nobody has that card."""
    _default_only(account)
    user = await caller.read(card_owner, card.strip()) if card.strip() else ""
    return await adjust(caller, user, adjustment, comment) if user else False


async def adjust_if_available(caller: Caller, user: str, adjustment: int, comment: str, account: str = "") -> bool:
    """False, and nothing moved, where less than that is available."""
    return await adjust_and_leave(caller, user, adjustment, 0, comment, account)


async def adjust_and_leave(
    caller: Caller, user: str, adjustment: int, leave: int, comment: str, account: str = ""
) -> bool:
    """False, and nothing moved, where less than `leave` would remain available."""
    _default_only(account)
    if leave < 0:
        raise Fault(Code.BALANCE_INVALID, "What is to remain must not be negative")
    answer = await caller.command(
        Adjust(
            command_id=uuid7(),
            user_name=user,
            amount=adjustment,
            comment=comment[:MAX_COMMENT],
            only_if_available=True,
            leave=leave,
        )
    )
    return answer.code != LIMIT


async def use_card(caller: Caller, user: str, card: str) -> str:
    """Top-up cards are not sold here, so none is valid."""
    return "INVALID_CARD_NUMBER" if await caller.read(user_exists, user) else "UNKNOWN_USER"


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
