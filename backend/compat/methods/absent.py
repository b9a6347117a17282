"""What Inkeeper has none of, told as none where that is the truth: groups beside those that PaperCut makes of all
users, and shared accounts. What would change one of these is refused (`table.NOT_HERE`)."""

from typing import Final

from backend.compat.faults import Code, Fault, user_unknown
from backend.compat.methods.caller import Caller
from backend.compat.queries import internal_names, user_exists, user_names

ALL_USERS: Final = "!!All Users!!"
INTERNAL_USERS: Final = "!!Internal Users!!"


async def is_group(caller: Caller, group: str) -> bool:
    return group.strip() in (ALL_USERS, INTERNAL_USERS)


async def list_groups(caller: Caller, offset: int, limit: int) -> list[str]:
    return []


async def group_members(caller: Caller, group: str, offset: int, limit: int) -> list[str]:
    if not group.strip():
        raise Fault(Code.GROUP_NAME_BLANK, "The group name is blank")
    if not await is_group(caller, group):
        raise Fault(Code.GROUP_UNKNOWN, f'Group "{group[:255]}" cannot be found')
    names = user_names if group.strip() == ALL_USERS else internal_names
    return await caller.read(names, offset, limit)


async def groups_of(caller: Caller, user: str) -> list[str]:
    await _check(caller, user)
    return []


async def is_shared_account(caller: Caller, account: str) -> bool:
    return False


async def list_shared_accounts(caller: Caller, offset: int, limit: int) -> list[str]:
    return []


async def shared_accounts_of(
    caller: Caller, user: str, offset: int, limit: int, ignore_account_mode: bool = False
) -> list[str]:
    await _check(caller, user)
    return []


async def charge_personal(caller: Caller, user: str, popup: bool = False) -> bool:
    """Every job is charged to the personal account and nobody is asked: that is how it is already."""
    await _check(caller, user)
    if popup:
        raise Fault(Code.GENERAL, "Users are not asked before a job is charged here")
    return True


async def _check(caller: Caller, user: str) -> None:
    if not await caller.read(user_exists, user):
        raise user_unknown(user)
