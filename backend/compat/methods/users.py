"""Users: who is there, what is known of them, and making new ones."""

import asyncio

import msgspec

from backend.access.passwords import hash_secret
from backend.base.ids import uuid7
from backend.compat.faults import Code, Fault, user_unknown
from backend.compat.methods.caller import Caller
from backend.compat.properties import (
    MAX_LINE,
    Account,
    Balance,
    Detail,
    checked_email,
    checked_line,
    user_change,
    user_property,
)
from backend.compat.queries import count_users, user_exists, user_names
from backend.people.errors import AliasTaken, CardTaken, NameTaken, UserUnknown
from backend.people.model import UserChange
from backend.people.service import create_user, update_user
from backend.wire.messages import ConfigureAccount, SetBalance

MAX_PIN = 32
SET_COMMENT = "Set by setUserProperty"


async def exists(caller: Caller, user: str) -> bool:
    return await caller.read(user_exists, user)


async def total(caller: Caller) -> int:
    return await caller.read(count_users)


async def list_accounts(caller: Caller, offset: int, limit: int) -> list[str]:
    return await caller.read(user_names, offset, limit)


async def get_property(caller: Caller, user: str, name: str) -> str:
    return user_property(await caller.user(user), name)


async def get_properties(caller: Caller, user: str, names: list[str]) -> list[str]:
    """In the order asked for; "" for a name that is not known: a client that asks for 32 gets the other 31."""
    record = await caller.user(user)
    values: list[str] = []
    for name in names:
        try:
            values.append(user_property(record, name))
        except Fault:
            values.append("")
    return values


async def set_property(caller: Caller, user: str, name: str, value: str) -> bool:
    match user_change(name, value, caller.ledger.decimals):
        case Balance(units):
            body = SetBalance(command_id=uuid7(), user_name=user, balance=units, comment=SET_COMMENT)
            await caller.command(body)
        case Account() as change:
            await caller.command(_configure(user, change))
        case Detail() as detail:
            await _update(caller, user, _change(detail))
    return True


async def add_internal(
    caller: Caller,
    user: str,
    password: str,
    full_name: str,
    email: str,
    card_number: str,
    pin: str,
    send_email: bool = False,
) -> bool:
    """`send_email` is taken and does nothing: this server sends no mail."""
    if not password:
        raise Fault(Code.PASSWORD_BLANK, "The password is blank")
    if len(user) > MAX_LINE or any(ord(character) < 32 for character in user):
        raise Fault(Code.GENERAL, f"A user name has at most {MAX_LINE} characters and no control characters")
    details = UserChange(
        full_name=checked_line("full name", full_name),
        email=checked_email(email),
        card_number=checked_line("card number", card_number),
        card_pin_hash=await _hashed_pin(pin.strip()),
        password_hash=await asyncio.to_thread(hash_secret, password),
    )
    await _create(caller, user, details)
    return True


async def _hashed_pin(pin: str) -> str | None:
    if not pin:
        return None
    if not (pin.isascii() and pin.isdigit() and len(pin) <= MAX_PIN):
        raise Fault(Code.PIN_INVALID, f"The PIN must be 1 to {MAX_PIN} digits")
    return await asyncio.to_thread(hash_secret, pin)


async def _create(caller: Caller, user: str, details: UserChange) -> None:
    try:
        await caller.write(create_user, user, details, internal=True, actor=caller.actor, role=caller.role)
    except NameTaken as error:
        raise Fault(Code.GENERAL, f'The user "{user}" exists already') from error
    except CardTaken as error:
        raise _card_taken(user, details) from error


async def _update(caller: Caller, user: str, change: UserChange) -> None:
    try:
        await caller.write(update_user, user, change, actor=caller.actor, role=caller.role)
    except UserUnknown as error:
        raise user_unknown(user) from error
    except CardTaken as error:
        raise _card_taken(user, change) from error
    except AliasTaken as error:
        raise Fault(Code.ALIAS_TAKEN, f'The alias "{change.alias}" is another user\'s') from error


def _card_taken(user: str, change: UserChange) -> Fault:
    """A PHP client reads the number out of this text by `/.* number for user .* Card number: (.*)/`."""
    cards = ", ".join(filter(None, (change.card_number, change.card_number2)))
    text = f'The card number for user "{user}" belongs to another user. Card number: {cards}'
    return Fault(Code.GENERAL, text)


def _configure(user: str, change: Account) -> ConfigureAccount:
    fields = {"command_id": uuid7(), "user_name": user, change.field: change.value}
    return msgspec.convert(fields, ConfigureAccount)


def _change(detail: Detail) -> UserChange:
    fields: dict[str, str | bool | int] = {detail.column: detail.value}
    if detail.column == "disabled":
        fields["disabled_until"] = 0  # for ever, whatever end an earlier switch had
    return msgspec.convert(fields, UserChange)
