"""People as plain values: what a new user starts with, and what may be changed of one."""

import msgspec

from backend.ledger.model import DEFAULT_OVERDRAFT


class UserDefaults(msgspec.Struct, frozen=True):
    """What a user gets who is met for the first time. Amounts in minor units; the overdraft is the setting's, also when
    that is changed later."""

    restricted: bool = False
    overdraft: int = DEFAULT_OVERDRAFT
    initial_credit: int = 0


class UserChange(msgspec.Struct, frozen=True, kw_only=True):
    """New details of a user; None leaves one as it is. The account is changed through the intake only."""

    full_name: str | None = None
    email: str | None = None
    department: str | None = None
    office: str | None = None
    notes: str | None = None
    card_number: str | None = None
    card_number2: str | None = None
    alias: str | None = None
    card_pin_hash: str | None = None
    password_hash: str | None = None
    disabled: bool | None = None
    disabled_until: int | None = None


def is_disabled(disabled: bool, disabled_until: int, now: int) -> bool:
    """Whether a switch that may be off for a time is off now (`disabled_until` 0: for ever)."""
    return disabled and not 0 < disabled_until <= now
