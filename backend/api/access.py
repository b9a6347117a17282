"""Operations about who may do what: logging in, people who log in, tokens, settings, the audit log."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta
from starlette.types import Scope

from backend.access import operators
from backend.access.audit import find_audit
from backend.access.errors import OperatorUnknown
from backend.access.model import ADMIN, ANYBODY, AUDITORS, Principal
from backend.access.passwords import TooBusy
from backend.access.service import create_enrolment, create_token, hash_token, list_tokens, revoke_token
from backend.access.settings import list_settings, write_setting
from backend.api.operation import operation
from backend.api.problems import ApiProblem
from backend.api.reading import bearer
from backend.api.services import Services
from backend.people.queries import moved_today
from backend.wire.access import (
    AuditList,
    Caller,
    ChangePassword,
    CreateOperator,
    CreateToken,
    LogIn,
    LogInAnswer,
    OperatorList,
    OperatorView,
    SetOperator,
    SetSetting,
    SettingList,
    TokenCreated,
    TokenList,
)
from backend.wire.base import Millis, Name
from backend.wire.names import map_user_name

Limit = Annotated[int, Meta(ge=1, le=500)]
TokenId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Words = Annotated[str, Meta(max_length=255)]
CHECKS: Final = 3  # of one password, where another hash of it is kept each time

T = TypeVar("T")


class AuditQuery(msgspec.Struct, frozen=True):
    """`query` is anywhere in subject or detail, among the newest 50,000 of the rest; `actor`, `action` and `subject`
    are exact. `before`: only entries older than the one of this id; 0 from the newest."""

    limit: Limit = 50
    before: Annotated[int, Meta(ge=0, le=2**53)] = 0
    query: Words = ""
    actor: Words = ""
    action: Words = ""
    subject: Words = ""
    since: Millis = 0
    until: Millis = 0


# ---------------------------------------------------------------- logging in


@operation("POST", "/api/v1/login", roles=None, errors=("login-refused", "login-delayed", "overloaded"))
async def log_in(services: Services, scope: Scope, body: LogIn) -> LogInAnswer:
    """A personal token that expires, for name and password.

    After several failures an attempt must wait; the header Retry-After says how long.
    """
    if services.refusing:
        raise ApiProblem("draining")
    name, address = map_user_name(body.name), _address(scope)

    async def complete(kept: str) -> tuple[str, OperatorView, int]:
        return await services.database.write(operators.complete_login, name, address, kept)

    token, who, expires_at = await _by_password(services, name, address, body.password, complete)
    return LogInAnswer(
        token=token, role=who.role, name=who.name, full_name=who.full_name, expires_at=expires_at
    )  # fmt: skip


@operation("POST", "/api/v1/logout", roles=ANYBODY)
async def log_out(services: Services, who: Principal, scope: Scope) -> Caller:
    """The token of this request is not valid any more, within some seconds on every server. A program's token stays."""
    token = bearer(scope)
    if who.person:
        await services.database.write(
            revoke_token, hash_token(token).hex()[:16], actor=who.actor, role=who.role
        )  # fmt: skip
        services.tokens.forget(token)
    return Caller(role=who.role, name=who.name)


@operation("GET", "/api/v1/me", roles=ANYBODY)
async def show_me(services: Services, who: Principal) -> Caller:
    """Whose token this is, its role, what they may move and have moved today."""
    moved = await services.database.run(moved_today, who.actor) if who.limit_day else 0
    return Caller(
        role=who.role,
        name=who.name,
        full_name=who.full_name,
        person=who.person,
        expires_at=who.expires_at,
        limit_each=who.limit_each or None,
        limit_day=who.limit_day or None,
        moved_today=moved,
        ledger=services.ledger,
    )


@operation("POST", "/api/v1/me/password", roles=ANYBODY, errors=("login-refused", "overloaded"))
async def change_password(services: Services, who: Principal, scope: Scope, body: ChangePassword) -> Caller:
    """Another password for who is logged in; all their other tokens end."""
    if not who.person:
        raise ApiProblem("forbidden", "a program's token has no password")
    operators.check_password(body.new)
    address, keep = _address(scope), hash_token(bearer(scope))

    async def change(kept: str) -> None:
        new = await services.passwords.hash(body.new)
        await services.database.write(operators.change_own_password, who.name, address, kept, new, keep)

    await _by_password(services, who.name, address, body.old, change, "the old password is wrong")
    return Caller(role=who.role, name=who.name)


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


async def _by_password(
    services: Services,
    name: str,
    address: str,
    password: str,
    then: Callable[[str], Awaitable[T]],
    wrong: str = "",
) -> T:
    """What the password lets its owner do, which is told by which hash it was right; where that was replaced meanwhile
    (the same password may have been set once more), the password is checked anew. Raises ApiProblem."""
    for _ in range(CHECKS):
        early_ms, kept = await services.database.write(operators.begin_login, name, address)
        if early_ms:
            seconds = -(-early_ms // 1000)
            raise ApiProblem("login-delayed", f"too many log-ins failed; try again in {seconds} s", retry_s=seconds)
        if not await _checked(services, password, kept):
            break
        with contextlib.suppress(OperatorUnknown):
            return await then(kept)
    raise ApiProblem("login-refused", wrong)


async def _checked(services: Services, password: str, kept: str) -> bool:
    try:
        return await services.passwords.check(password, kept)
    except TooBusy as error:
        raise ApiProblem("overloaded", str(error)) from error


# ---------------------------------------------------------------- who may log in


@operation("GET", "/api/v1/operators", roles=ADMIN)
async def list_operators(services: Services, who: Principal) -> OperatorList:
    """Who may log in."""
    return await _operators(services)


@operation("POST", "/api/v1/operators", roles=ADMIN, errors=("name-taken", "overloaded"))
async def create_operator(services: Services, who: Principal, body: CreateOperator) -> OperatorList:
    """Make somebody who may log in."""
    operators.check_password(body.password)
    made = await services.passwords.hash(body.password)
    await services.database.write(operators.create_operator, body, made, actor=who.actor, role=who.role)
    return await _operators(services)


@operation("POST", "/api/v1/operators/{name}", roles=ADMIN, errors=("not-found", "overloaded"))
async def change_operator(services: Services, who: Principal, name: Name, body: SetOperator) -> OperatorList:
    """Change somebody who may log in. With another role or password, or disabled, they are logged out."""
    made = None
    if body.password is not None:
        operators.check_password(body.password)
        made = await services.passwords.hash(body.password)
    mapped = map_user_name(name)
    await services.database.write(operators.set_operator, mapped, body, made, actor=who.actor, role=who.role)
    return await _operators(services)


async def _operators(services: Services) -> OperatorList:
    found, each, day = await services.database.run(operators.list_operators)
    return OperatorList(operators=found, default_limit_each=each, default_limit_day=day, ledger=services.ledger)


# ---------------------------------------------------------------- tokens, settings, audit


@operation("GET", "/api/v1/tokens", roles=ADMIN)
async def show_tokens(services: Services, who: Principal) -> TokenList:
    """Access tokens, without themselves."""
    return TokenList(tokens=await services.database.run(list_tokens))


@operation("POST", "/api/v1/tokens", roles=ADMIN, errors=("name-taken",))
async def make_token(services: Services, who: Principal, body: CreateToken) -> TokenCreated:
    """A token for a program, told this once; of the role provider, one to enrol with."""
    name = body.name.strip()
    if not name or not name.isprintable():
        raise ApiProblem("invalid", "a token's name has 1 to 255 printable characters")
    if body.role == "provider":
        return TokenCreated(token=await services.database.write(create_enrolment, name, who.actor))
    return TokenCreated(
        token=await services.database.write(create_token, body.role, name, who.actor, body.lifetime_s)
    )  # fmt: skip


@operation("POST", "/api/v1/tokens/{token_id}/revoke", roles=ADMIN, errors=("not-found",))
async def end_token(services: Services, who: Principal, token_id: TokenId) -> TokenList:
    """End a token: it is refused everywhere within some seconds."""
    await services.database.write(revoke_token, token_id, actor=who.actor, role=who.role)
    return TokenList(tokens=await services.database.run(list_tokens))


@operation("GET", "/api/v1/settings", roles=ADMIN)
async def show_settings(services: Services, who: Principal) -> SettingList:
    """The cluster's settings; of secret ones not the value."""
    return SettingList(settings=await services.database.run(list_settings))


@operation("POST", "/api/v1/settings", roles=ADMIN)
async def change_setting(services: Services, who: Principal, body: SetSetting) -> SettingList:
    """Change a setting of the cluster."""
    await services.database.write(write_setting, body.key, body.value, who.actor, who.role)
    return SettingList(settings=await services.database.run(list_settings))


@operation("GET", "/api/v1/audit", roles=AUDITORS)
async def list_audit(services: Services, who: Principal, query: AuditQuery) -> AuditList:
    """Who changed what, who looked at whom, who was refused; newest first."""
    found = await services.database.run(
        find_audit,
        text=query.query,
        actor=query.actor,
        action=query.action,
        subject=query.subject,
        since=query.since,
        until=query.until,
        before=query.before,
        limit=query.limit,
    )
    return AuditList(entries=found)
