"""Operations about the people who print: their details, their money."""

from typing import Annotated

import msgspec
from msgspec import Meta

from backend.access.model import ADMIN, MONEY, Principal
from backend.api.commands import give
from backend.api.operation import Raw, operation
from backend.api.problems import ApiProblem
from backend.api.services import Services
from backend.intake.model import Reverse
from backend.jobs.service import forget_user
from backend.people import bulk
from backend.people.model import UserChange
from backend.people.queries import get_user, reversal_of
from backend.people.service import create_user, rename_user, update_user
from backend.wire.base import Name
from backend.wire.money import Adjust, ConfigureAccount, MoneyAnswer, ReverseTransfer, SetBalance
from backend.wire.names import map_user_name
from backend.wire.people import (
    CreateUser,
    DeleteUser,
    ImportAnswer,
    ImportUsers,
    RenameUser,
    SetUser,
    UserDeleted,
    UserDetails,
    UserList,
)

Sequence = Annotated[int, Meta(ge=1, le=2**53)]
COMMAND_ERRORS = ("command-conflict", "overloaded", "outcome-unknown")


@operation("POST", "/api/v1/users/import", roles=ADMIN)
async def import_users(services: Services, who: Principal, body: ImportUsers) -> ImportAnswer:
    """Make or change many users, all that can be; why a row was refused is told beside its number.

    The same rows again change nothing, so a lost answer is simply asked for again.
    """
    database = services.database
    do = database.run if body.dry_run else database.write
    return await do(
        bulk.import_users, body.rows, update=body.update, dry_run=body.dry_run, actor=who.actor, role=who.role
    )


@operation("POST", "/api/v1/users", roles=ADMIN, errors=("name-taken",))
async def make_user(services: Services, who: Principal, body: CreateUser) -> UserList:
    """Make a user, who starts with what the settings say."""
    name = map_user_name(body.name)
    await services.database.write(
        create_user, name, change_of(body.details), internal=False, actor=who.actor, role=who.role
    )
    return await _user(services, name)


@operation("POST", "/api/v1/users/{name}", roles=ADMIN, errors=("not-found", "name-taken"))
async def change_user(services: Services, who: Principal, name: Name, body: SetUser) -> UserList:
    """Change a user's details."""
    mapped = map_user_name(name)
    await services.database.write(update_user, mapped, change_of(body.details), actor=who.actor, role=who.role)
    return await _user(services, mapped)


@operation("POST", "/api/v1/users/{name}/rename", roles=ADMIN, errors=("not-found", "name-taken"))
async def rename_user_account(services: Services, who: Principal, name: Name, body: RenameUser) -> UserList:
    """Give a user another name. Account, balance, cards and transfers stay; jobs keep the name they came under."""
    new_name = map_user_name(body.new_name)
    await services.database.write(rename_user, map_user_name(name), new_name, actor=who.actor, role=who.role)
    return await _user(services, new_name)


@operation("POST", "/api/v1/users/{name}/delete", roles=ADMIN, errors=("not-found",))
async def delete_user_account(services: Services, who: Principal, name: Name, body: DeleteUser) -> UserDeleted:
    """Delete a user. Account, balance, transfers and jobs stay, on request without the person's name.

    Refused while jobs of the user hold money that is reserved.
    """
    return await services.database.write(
        forget_user, map_user_name(name), redact=body.redact, actor=who.actor, role=who.role
    )


@operation("POST", "/api/v1/users/{name}/account", roles=ADMIN, errors=COMMAND_ERRORS)
async def configure_account(
    services: Services, who: Principal, name: Name, body: ConfigureAccount
) -> MoneyAnswer | Raw:
    """Restrict a user, or set an overdraft. A refusal is an answer with a `code`, not a problem."""
    return await _on_account(services, who, name, body)


@operation("POST", "/api/v1/users/{name}/adjust", roles=MONEY, errors=COMMAND_ERRORS)
async def adjust_balance(services: Services, who: Principal, name: Name, body: Adjust) -> MoneyAnswer | Raw:
    """Add to a user's balance, or take away. A refusal is an answer with a `code`, not a problem."""
    return await _on_account(services, who, name, body)


@operation("POST", "/api/v1/users/{name}/balance", roles=MONEY, errors=COMMAND_ERRORS)
async def set_balance(services: Services, who: Principal, name: Name, body: SetBalance) -> MoneyAnswer | Raw:
    """Make a user's balance what is said. A refusal is an answer with a `code`, not a problem."""
    return await _on_account(services, who, name, body)


@operation(
    "POST",
    "/api/v1/users/{name}/transfers/{sequence}/reverse",
    roles=MONEY,
    errors=("not-found", *COMMAND_ERRORS),
)
async def reverse_transfer(
    services: Services, who: Principal, name: Name, sequence: Sequence, body: ReverseTransfer
) -> MoneyAnswer | Raw:
    """Undo an adjustment, a set balance or a refund by a transfer the other way. A refusal is an answer with a
    `code`."""
    found = await services.database.run(reversal_of, map_user_name(name), sequence)
    if found is None:
        raise ApiProblem("not-found", f"there is no user {name}")
    account_id, job_id = found
    asked = Reverse(
        command_id=body.command_id, account_id=account_id, sequence=sequence, job_id=job_id, comment=body.comment
    )
    return Raw(await give(services, who, asked))


def change_of(details: UserDetails) -> UserChange:
    """Details as they are kept. Raises ApiProblem `invalid`."""
    for name in ("full_name", "email", "department", "office", "card_number", "card_number2", "alias"):
        text = getattr(details, name)
        if text is not None and (len(text) > 255 or not text.isprintable()):
            raise ApiProblem("invalid", f"{name}: at most 255 printable characters")
    values = {name: getattr(details, name) for name in details.__struct_fields__}
    for name in ("card_number", "card_number2"):
        if values[name] is not None:
            values[name] = values[name].strip()
    if values["alias"]:
        values["alias"] = map_user_name(values["alias"])
    if details.disabled is not None and details.disabled_until is None:
        values["disabled_until"] = 0
    return UserChange(**values)


async def _on_account(
    services: Services, who: Principal, name: str, body: Adjust | SetBalance | ConfigureAccount
) -> Raw:
    user_name = map_user_name(name)
    if map_user_name(body.user_name) != user_name:
        raise ApiProblem("invalid", "the user in the path is not the user in the body")
    return Raw(await give(services, who, msgspec.structs.replace(body, user_name=user_name)))


async def _user(services: Services, name: str) -> UserList:
    found = await services.database.run(get_user, name)
    if found is None:
        raise ApiProblem("not-found", f"there is no user {name}")
    return UserList(users=(found[0],), total=1, ledger=services.ledger, as_of=found[1])
