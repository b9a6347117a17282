"""Finding a user by something else than the name. "" where nobody is found, as PaperCut answers."""

from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import Caller
from backend.compat.queries import alias_owner, card_owner, email_owner, users_named
from backend.wire.names import map_user_name


async def by_card(caller: Caller, number: str) -> str:
    """Both of a user's numbers count."""
    return await caller.read(card_owner, _given(number, Code.ID_BLANK, "ID or card number"))


async def by_email(caller: Caller, email: str) -> str:
    return await caller.read(email_owner, _given(email, Code.EMAIL_BLANK, "email"))


async def by_alias(caller: Caller, alias: str) -> str:
    return await caller.read(alias_owner, map_user_name(_given(alias, Code.ALIAS_BLANK, "secondary user name")))


async def by_full_name(caller: Caller, full_name: str) -> list[str]:
    return await caller.read(users_named, _given(full_name, Code.FULL_NAME_BLANK, "full name"))


def _given(text: str, code: Code, what: str) -> str:
    if not text.strip():
        raise Fault(code, f"The {what} is blank")
    return text.strip()
