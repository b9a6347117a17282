"""What the pages for administrators ask: queues and their rules, users, operators, tokens, the audit log, settings.

Reading may be asked for twice. What sets absolute values may be sent to a second server too; what makes something new
is sent once (`idempotent=False`), and where its answer is lost that is told.
"""

import time
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from app.core.queries import TIMEOUT_S, Read
from backend.base.ids import uuid7
from backend.client.client import ApiClient
from backend.client.errors import NoServer, ServerProblem
from backend.wire.access import (
    AuditList,
    CreateOperator,
    CreateToken,
    OperatorList,
    SetOperator,
    SetSetting,
    SettingList,
    TokenCreated,
    TokenList,
)
from backend.wire.jobs import JobList
from backend.wire.money import ConfigureAccount, MoneyAnswer
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
from backend.wire.printers import QueueList, RuleList, SetQueue, SetQueues

ACT_S: Final = 20.0
IMPORT_S: Final = 60.0
AUDIT_ROWS: Final = 100
USER_ROWS: Final = 100
HELD_ROWS: Final = 100

UserSort = Literal["name", "full_name", "balance"]
UserFilter = Literal["", "disabled", "restricted", "negative"]


# ---------------------------------------------------------------- queues


async def change_queues(client: ApiClient, queue_ids: tuple[int, ...], change: SetQueue) -> QueueList:
    """Set what is given on all of these queues; as they are now."""
    body = SetQueues(queue_ids=queue_ids, change=change)
    return await client.call("POST", "queues", body, QueueList, timeout_s=ACT_S)


async def read_rules(client: ApiClient, queue_id: int) -> RuleList:
    """Every cost rule that a queue had."""
    return await client.call("GET", f"queues/{queue_id}/rules", None, RuleList, timeout_s=TIMEOUT_S)


# ---------------------------------------------------------------- users


@dataclass(frozen=True, slots=True)
class UserQuestion:
    """Which users, in which order."""

    text: str = ""
    filter: UserFilter = ""
    sort: UserSort = "name"
    descending: bool = False

    def query(self, offset: int) -> dict[str, str | int]:
        order = "desc" if self.descending else "asc"
        query: dict[str, str | int] = {"query": self.text.strip(), "sort": self.sort, "order": order}
        return query | {"filter": self.filter, "limit": USER_ROWS, "offset": offset}


async def read_users(client: ApiClient, question: UserQuestion, offset: int) -> Read[UserList]:
    answer = await client.call("GET", "users", None, UserList, timeout_s=TIMEOUT_S, query=question.query(offset))
    return Read(answer, client.current, time.monotonic())


async def create_user(client: ApiClient, name: str, details: UserDetails) -> UserList:
    body = CreateUser(name=name, details=details)
    return await client.call("POST", "users", body, UserList, timeout_s=ACT_S, idempotent=False)


async def set_user(client: ApiClient, name: str, details: UserDetails) -> UserList:
    path = f"users/{quote(name, safe='')}"
    return await client.call("POST", path, SetUser(details=details), UserList, timeout_s=ACT_S)


async def rename_user(client: ApiClient, name: str, new_name: str, *, alias: bool) -> str:
    """Give a user another login; with `alias` the old one stays as an alias. Why that is not so, else ""."""
    path = f"users/{quote(name, safe='')}/rename"
    body = RenameUser(new_name=new_name)
    answer = await client.call("POST", path, body, UserList, timeout_s=ACT_S, idempotent=False)
    if not alias:
        return ""
    try:
        await set_user(client, answer.users[0].name, UserDetails(alias=name))
    except (ServerProblem, NoServer) as error:
        return str(error)
    return ""


async def read_held(client: ApiClient, name: str) -> int:
    """How many jobs of a user wait to be released."""
    query: dict[str, str | int] = {"user": name, "state": "held", "limit": HELD_ROWS}
    return len((await client.call("GET", "jobs", None, JobList, timeout_s=TIMEOUT_S, query=query)).jobs)


async def delete_user(client: ApiClient, name: str, *, redact: bool) -> UserDeleted:
    path = f"users/{quote(name, safe='')}/delete"
    return await client.call("POST", path, DeleteUser(redact=redact), UserDeleted, timeout_s=ACT_S, idempotent=False)


async def configure_account(
    client: ApiClient, name: str, *, restricted: bool | None, overdraft: int | None, individual: bool | None
) -> MoneyAnswer:
    """What the account may do; `individual` False goes back to the setting's overdraft."""
    body = ConfigureAccount(
        command_id=uuid7(),
        user_name=name,
        restricted=restricted,
        overdraft=overdraft if individual else None,
        overdraft_mode=None if individual is None else "individual" if individual else "default",
    )
    path = f"users/{quote(name, safe='')}/account"
    return await client.call("POST", path, body, MoneyAnswer, timeout_s=ACT_S)


async def import_users(client: ApiClient, batch: ImportUsers) -> ImportAnswer:
    """Each row is absolute, so a batch may be sent twice: what is there already is found unchanged."""
    return await client.call("POST", "users/import", batch, ImportAnswer, timeout_s=IMPORT_S)


# ---------------------------------------------------------------- who may log in, and programs


async def read_operators(client: ApiClient) -> OperatorList:
    return await client.call("GET", "operators", None, OperatorList, timeout_s=TIMEOUT_S)


async def create_operator(client: ApiClient, body: CreateOperator) -> OperatorList:
    return await client.call("POST", "operators", body, OperatorList, timeout_s=ACT_S, idempotent=False)


async def set_operator(client: ApiClient, name: str, change: SetOperator) -> OperatorList:
    return await client.call("POST", f"operators/{quote(name, safe='')}", change, OperatorList, timeout_s=ACT_S)


async def read_tokens(client: ApiClient) -> TokenList:
    return await client.call("GET", "tokens", None, TokenList, timeout_s=TIMEOUT_S)


async def create_token(client: ApiClient, body: CreateToken) -> TokenCreated:
    return await client.call("POST", "tokens", body, TokenCreated, timeout_s=ACT_S, idempotent=False)


async def revoke_token(client: ApiClient, token_id: str) -> TokenList:
    path = f"tokens/{quote(token_id, safe='')}/revoke"
    return await client.call("POST", path, None, TokenList, timeout_s=ACT_S)


# ---------------------------------------------------------------- audit and settings


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Which entries; bounds in milliseconds, 0 for none."""

    text: str = ""
    actor: str = ""
    since_ms: int = 0
    until_ms: int = 0

    def query(self, before: int) -> dict[str, str | int]:
        said: dict[str, str | int] = {
            "query": self.text.strip(),
            "actor": self.actor.strip(),
            "since": self.since_ms,
            "until": self.until_ms,
            "before": before,
        }
        return {"limit": AUDIT_ROWS, **{name: value for name, value in said.items() if value}}


async def read_audit(client: ApiClient, question: AuditQuestion, before: int = 0) -> AuditList:
    return await client.call("GET", "audit", None, AuditList, timeout_s=TIMEOUT_S, query=question.query(before))


async def read_settings(client: ApiClient) -> SettingList:
    return await client.call("GET", "settings", None, SettingList, timeout_s=TIMEOUT_S)


async def set_setting(client: ApiClient, key: str, value: str) -> SettingList:
    return await client.call("POST", "settings", SetSetting(key=key, value=value), SettingList, timeout_s=ACT_S)
