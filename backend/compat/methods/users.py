"""Users: who is there, what is known of them, and making new ones."""

import asyncio

import msgspec
import sqlalchemy as sa

from backend.access.audit import write_audit
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
from backend.compat.queries import count_users, overdraft_is_individual, user_exists, user_names
from backend.db.engine import now_ms
from backend.jobs.service import forget_user
from backend.people.errors import AliasTaken, CardTaken, NameTaken, UserBusy, UserUnknown
from backend.people.model import UserChange
from backend.people.service import create_user, rename_user, update_user, user_defaults
from backend.wire.money import ConfigureAccount, SetBalance

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


async def set_properties(caller: Caller, user: str, pairs: list[tuple[str, str]]) -> bool:
    """All are looked at before any is set; then details, account and balance, in this order and each in one step."""
    changes = [user_change(name, value, caller.ledger.decimals) for name, value in pairs]
    details = [change for change in changes if isinstance(change, Detail)]
    accounts = [change for change in changes if isinstance(change, Account)]
    balances = [change for change in changes if isinstance(change, Balance)]
    if not await exists(caller, user):
        raise user_unknown(user)
    if details:
        await _update(caller, user, _change(*details))
    if accounts:
        await caller.command(_configure(user, *accounts))
    if balances:
        units = balances[-1].units
        body = SetBalance(command_id=uuid7(), user_name=user, balance=units, comment="Set by setUserProperties")
        await caller.command(body)
    return True


async def add(caller: Caller, user: str) -> bool:
    """A user without a password. Somebody who is there already stays as they are."""
    _check_name(user)
    if not await exists(caller, user):
        await _create(caller, user, UserChange(), internal=False)
    return True


async def delete(caller: Caller, user: str, redact: bool = False) -> bool:
    """The account stays, with its balance, transfers and jobs."""
    try:
        await caller.write(forget_user, user, redact=redact, actor=caller.actor, role=caller.role)
    except UserUnknown as error:
        raise user_unknown(user) from error
    except UserBusy as error:
        raise Fault(Code.GENERAL, f'User "{user}" cannot be deleted now, {error}') from error
    return True


async def rename(caller: Caller, user: str, new_user: str) -> bool:
    _check_name(new_user)
    try:
        await caller.write(rename_user, user, new_user, actor=caller.actor, role=caller.role)
    except UserUnknown as error:
        raise user_unknown(user) from error
    except NameTaken as error:
        raise Fault(Code.GENERAL, f'User "{user}" cannot be renamed, {error}') from error
    return True


async def disable(caller: Caller, user: str, minutes: int) -> bool:
    """For so many minutes, -1 for ever."""
    try:
        await caller.write(_disable, user, minutes, caller.actor, caller.role)
    except UserUnknown as error:
        raise user_unknown(user) from error
    return True


async def get_overdraft_mode(caller: Caller, user: str) -> str:
    individual = await caller.read(overdraft_is_individual, user)
    if individual is None:
        raise user_unknown(user)
    return "individual" if individual else "default"


async def set_overdraft_mode(caller: Caller, user: str, mode: str) -> bool:
    """An overdraft that becomes individual is what it was by default."""
    match mode.strip().lower():
        case "default":
            body = ConfigureAccount(command_id=uuid7(), user_name=user, overdraft_mode="default")
        case "individual":
            overdraft = (await caller.user(user)).overdraft
            body = ConfigureAccount(command_id=uuid7(), user_name=user, overdraft=overdraft)
        case _:
            raise Fault(Code.OVERDRAFT_INVALID, "The overdraft mode must be individual or default")
    await caller.command(body)
    return True


async def reset_counts(caller: Caller, user: str, reset_by: str) -> bool:
    """Jobs and pages of the user's statistics; what was printed stands in the jobs."""
    body = ConfigureAccount(command_id=uuid7(), user_name=user, print_jobs=0, print_impressions=0)
    await caller.command(body)
    await caller.write(write_audit, caller.actor, caller.role, "user-counts-reset", user, reset_by[:255])
    return True


async def reapply_initial(caller: Caller, user: str) -> bool:
    """What a new user starts with: restricted or not, the overdraft by default, the initial credit as the balance."""
    defaults = await caller.read(user_defaults)
    body = ConfigureAccount(
        command_id=uuid7(), user_name=user, restricted=defaults.restricted, overdraft_mode="default"
    )
    await caller.command(body)
    credit = defaults.initial_credit
    await caller.command(
        SetBalance(command_id=uuid7(), user_name=user, balance=credit, comment="Initial settings applied again")
    )
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
    _check_name(user)
    details = UserChange(
        full_name=checked_line("full name", full_name),
        email=checked_email(email),
        card_number=checked_line("card number", card_number),
        card_pin_hash=await _hashed_pin(pin.strip()),
        password_hash=await asyncio.to_thread(hash_secret, password),
    )
    await _create(caller, user, details, internal=True)
    return True


def _check_name(user: str) -> None:
    if len(user) > MAX_LINE or any(ord(character) < 32 for character in user):
        raise Fault(Code.GENERAL, f"A user name has at most {MAX_LINE} characters and no control characters")


def _disable(conn: sa.Connection, user: str, minutes: int, actor: str, role: str) -> None:
    until = 0 if minutes < 0 else now_ms(conn) + 60_000 * minutes
    update_user(conn, user, UserChange(disabled=True, disabled_until=until), actor=actor, role=role)


async def _hashed_pin(pin: str) -> str | None:
    if not pin:
        return None
    if not (pin.isascii() and pin.isdigit() and len(pin) <= MAX_PIN):
        raise Fault(Code.PIN_INVALID, f"The PIN must be 1 to {MAX_PIN} digits")
    return await asyncio.to_thread(hash_secret, pin)


async def _create(caller: Caller, user: str, details: UserChange, *, internal: bool) -> None:
    try:
        await caller.write(create_user, user, details, internal=internal, actor=caller.actor, role=caller.role)
    except NameTaken as error:
        raise Fault(Code.GENERAL, f'The user "{user}" exists already, or it is another user\'s alias') from error
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


def _configure(user: str, *changes: Account) -> ConfigureAccount:
    fields = {change.field: change.value for change in changes}
    return msgspec.convert({"command_id": uuid7(), "user_name": user, **fields}, ConfigureAccount)


def _change(*details: Detail) -> UserChange:
    fields: dict[str, str | bool | int] = {detail.column: detail.value for detail in details}
    if "disabled" in fields:
        fields["disabled_until"] = 0  # for ever, whatever end an earlier switch had
    return msgspec.convert(fields, UserChange)
