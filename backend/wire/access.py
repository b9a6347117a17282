"""Messages about who may do what: log-in, operators, tokens, settings, and what was done (audit)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.wire.base import Amount, Ledger, Message, Millis, Name, Text

Role = Literal["admin", "helpdesk", "auditor", "metrics", "provider"]
OperatorRole = Literal["admin", "helpdesk", "auditor"]


class Caller(Message, frozen=True, kw_only=True):
    """Whose token it is, so that a program can say beforehand what will be refused.

    `person` says that somebody logged in. `limit_each` and `limit_day` bound what may be moved at once and in a day
    (UTC), None for no limit; `moved_today` counts towards the second. `expires_at` 0: never.
    """

    role: Role
    name: str
    full_name: str = ""
    person: bool = False
    expires_at: Millis = 0
    limit_each: Amount | None = None
    limit_day: Amount | None = None
    moved_today: Amount = 0
    ledger: "Ledger | None" = None


Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Limit = Annotated[int, Meta(ge=-1, le=2**53)]  # -1: the default of the settings; 0: no limit


class LogIn(Message, frozen=True, kw_only=True):
    name: Name
    password: Password


class LogInAnswer(Message, frozen=True, kw_only=True):
    """`token` is the person's own until `expires_at`; it is told this once."""

    token: str
    role: OperatorRole
    name: str
    full_name: str = ""
    expires_at: Millis


class ChangePassword(Message, frozen=True, kw_only=True):
    """The caller's own. All their other tokens end."""

    old: Password
    new: Password


class OperatorView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may log in. `limit_each` and `limit_day` as they were set (-1: the default of the settings)."""

    name: str
    full_name: str
    role: OperatorRole
    disabled: bool
    limit_each: int
    limit_day: int
    created_at: Millis
    logged_in_at: Millis = 0


class OperatorList(Message, frozen=True, kw_only=True):
    """Sorted by name; the defaults are those of the settings (0: no limit)."""

    operators: tuple[OperatorView, ...]
    default_limit_each: int
    default_limit_day: int
    ledger: "Ledger"


class CreateOperator(Message, frozen=True, kw_only=True):
    name: Name
    full_name: Text = ""
    role: OperatorRole
    password: Password
    limit_each: Limit = -1
    limit_day: Limit = -1


class SetOperator(Message, frozen=True, kw_only=True):
    """Change somebody who may log in; None leaves a value as it is. Where anything but name and limits changes, their
    tokens end."""

    full_name: Text | None = None
    role: OperatorRole | None = None
    disabled: bool | None = None
    password: Password | None = None
    limit_each: Limit | None = None
    limit_day: Limit | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, without itself. `person` says that somebody got it by logging in."""

    token_id: str
    role: Role
    name: str
    person: bool
    created_at: Millis
    expires_at: Millis = 0
    revoked_at: Millis = 0


class TokenList(Message, frozen=True, kw_only=True):
    """Newest first, those that are valid before those that are not."""

    tokens: tuple[TokenView, ...]


class CreateToken(Message, frozen=True, kw_only=True):
    """For a program; of the role provider: a one-time enrolment token. `lifetime_s` 0: until it is revoked."""

    role: Role
    name: Name
    lifetime_s: Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)] = 0


class TokenCreated(Message, frozen=True, kw_only=True):
    """`token` is told this once."""

    token: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody (`actor`) did `action` to `subject`."""

    audit_id: int
    at: Millis
    actor: str
    role: str
    action: str
    subject: str
    detail: str = ""


class AuditList(Message, frozen=True, kw_only=True):
    """Newest first."""

    entries: tuple[AuditEntry, ...]


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of the cluster. Of a `secret` one the value is not told, only whether there is one ("set" or "")."""

    key: str
    value: str
    default: str
    secret: bool = False
    fixed: bool = False


class SettingList(Message, frozen=True, kw_only=True):
    settings: tuple[SettingView, ...]


class SetSetting(Message, frozen=True, kw_only=True):
    key: Name
    value: Annotated[str, Meta(max_length=8192)]
