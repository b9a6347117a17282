"""The settings that are kept in the database, so that every server of a cluster goes by the same.

`KNOWN` names those that Inkeeper reads, with what they are when nobody set them; other keys are kept for the programs
that put them there. Amounts are whole numbers in minor units.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.access.tables import setting
from backend.db.dialect import upsert
from backend.db.engine import now_ms
from backend.wire.access import SettingView
from backend.wire.pricing import MAX_AMOUNT

MAX_KEY = 255
INITIAL_CREDIT: Final = "users.initial-credit"
DEFAULT_RESTRICTED: Final = "users.default-restricted"
DEFAULT_OVERDRAFT: Final = "users.default-overdraft"
DEFAULT_COST: Final = "printers.default-cost"
CREATE_USERS: Final = "users.create-at-first-print"
LIMIT_EACH: Final = "helpdesk.limit-per-adjustment"  # 0: none
LIMIT_DAY: Final = "helpdesk.limit-per-day"  # 0: none
TOKEN_LIFETIME_S: Final = "access.token-lifetime-s"  # of who logs in
HELD_TIMEOUT_S: Final = "jobs.held-timeout-s"  # 0: a held job waits for ever


class SettingInvalid(Exception):
    """The value does not fit the setting; the text says what does."""


@dataclass(frozen=True)
class Known:
    """A setting that Inkeeper reads. `check` raises SettingInvalid; `secret` ones are not written to the audit log."""

    default: str
    check: Callable[[str, str], None]
    secret: bool = False


def _text(key: str, value: str) -> None:
    """Anything."""


def _amount(key: str, value: str) -> None:
    if not value.isdecimal() or int(value) > MAX_AMOUNT:
        raise SettingInvalid(f"{key} is a whole number of minor units, 0 or more")


def _seconds(key: str, value: str) -> None:
    if not value.isdecimal() or int(value) > 10 * 366 * 86_400:
        raise SettingInvalid(f"{key} is a whole number of seconds, 0 or more")


def _lifetime(key: str, value: str) -> None:
    if not value.isdecimal() or not 60 <= int(value) <= 366 * 86_400:
        raise SettingInvalid(f"{key} is a whole number of seconds, from a minute to a year")


def _switch(key: str, value: str) -> None:
    if value not in ("true", "false"):
        raise SettingInvalid(f"{key} is true or false")


def _fixed(key: str, value: str) -> None:
    raise SettingInvalid(f"{key} is what the first server of the cluster was started with, and never changes")


KNOWN: Final[Mapping[str, Known]] = {
    INITIAL_CREDIT: Known("0", _amount),
    DEFAULT_RESTRICTED: Known("false", _switch),
    DEFAULT_OVERDRAFT: Known("0", _amount),
    DEFAULT_COST: Known("500", _amount),
    HELD_TIMEOUT_S: Known("86400", _seconds),
    CREATE_USERS: Known("true", _switch),
    LIMIT_EACH: Known("0", _amount),
    LIMIT_DAY: Known("0", _amount),
    TOKEN_LIFETIME_S: Known("43200", _lifetime),
    "auth.webservices.auth-token": Known("", _text, secret=True),
    "auth.webservices.allowed-addresses": Known("", _text),
    "health.api.key": Known("", _text, secret=True),
    "ledger.currency": Known("", _fixed),
    "ledger.decimals": Known("", _fixed),
}


def read_settings(conn: sa.Connection, *keys: str) -> dict[str, str]:
    """The settings of these keys; known ones that nobody set have their default, others are left out."""
    rows = conn.execute(sa.select(setting.c.key, setting.c.value).where(setting.c.key.in_(keys)))
    found = {key: KNOWN[key].default for key in keys if key in KNOWN}
    return found | {row.key: row.value for row in rows}


def list_settings(conn: sa.Connection) -> tuple[SettingView, ...]:
    """Those that Inkeeper reads, by name; of secret ones not the value."""
    values = read_settings(conn, *KNOWN)
    return tuple(
        SettingView(
            key=key,
            value=("set" if values[key] else "") if known.secret else values[key],
            default=known.default,
            secret=known.secret,
            fixed=known.check is _fixed,
        )
        for key, known in sorted(KNOWN.items())
    )


def default_overdraft(conn: sa.Connection) -> int:
    """The overdraft of those that have none of their own."""
    return int(read_settings(conn, DEFAULT_OVERDRAFT)[DEFAULT_OVERDRAFT])


def write_setting(conn: sa.Connection, key: str, value: str, actor: str, role: str) -> None:
    """Set one. Raises SettingInvalid."""
    if not 0 < len(key) <= MAX_KEY or not key.isprintable() or key != key.strip():
        raise SettingInvalid(f"a setting's name has 1 to {MAX_KEY} printable characters")
    known = KNOWN.get(key)
    if known is not None:
        known.check(key, value)
    row = {"key": key, "value": value, "updated_at": now_ms(conn)}
    upsert(conn, setting, [setting.c.key], [row], ["value", "updated_at"])
    write_audit(conn, actor, role, "setting-changed", key, "" if known is None or known.secret else value)
