"""Bugs to plant in logging in: `tests.simulation.plants` has the rest of them, and the rules."""

from functools import wraps
from typing import Any

import pytest
import sqlalchemy as sa

from backend.access import attempts, operators, remembered, service
from backend.access.audit import write_audit
from backend.access.tables import login_attempt, operator

Patch = pytest.MonkeyPatch


def ended_token_honoured(patch: Patch) -> None:
    patch.setattr(remembered, "STALE_S", 60.0)


def age_of_the_answer(patch: Patch) -> None:
    """What a look-up found is taken for as new as if it had been asked a while later."""
    keep = remembered.Remembered.keep

    def younger(self: Any, asked: Any, renewed: Any, found: Any, asked_s: float) -> None:
        keep(self, asked, renewed, found, asked_s + 3.0)

    patch.setattr(remembered.Remembered, "keep", younger)


def tokens_outlive_a_change(patch: Patch) -> None:
    """Whoever is disabled, or gets another role or password, stays logged in."""
    patch.setattr(operators, "end_tokens", lambda conn, name, except_hash=b"": None)


def attempt_not_counted(patch: Patch) -> None:
    """A failure is not written before the password is checked, so nothing is known of it where the server dies."""
    begin = operators.begin_login

    @wraps(begin)
    def forgetful(conn: sa.Connection, name: str, address: str) -> Any:
        found = begin(conn, name, address)
        conn.execute(sa.update(login_attempt).values(failures=sa.func.max(login_attempt.c.failures - 1, 0)))
        return found

    patch.setattr(operators, "begin_login", forgetful)


def strangers_lock_out(patch: Patch) -> None:
    """That somebody is known at an address is not looked at."""
    wait_ms = attempts.wait_ms
    patch.setattr(
        operators,
        "wait_ms",
        lambda found, now: wait_ms(attempts.Attempts(found.pair, found.address, found.account), now),
    )


def clock_set_back_locks_out(patch: Patch) -> None:
    for module in (attempts, operators):
        patch.setattr(module, "AHEAD_MS", 2**50)


def old_password_lets_in(patch: Patch) -> None:
    """That the password was changed while it was checked is not looked at."""
    complete = operators.complete_login

    @wraps(complete)
    def careless(conn: sa.Connection, name: str, address: str, checked_hash: str) -> Any:
        now = conn.scalar(sa.select(operator.c.password_hash).where(operator.c.name == name))
        return complete(conn, name, address, now or "")

    patch.setattr(operators, "complete_login", careless)


def limits_forgotten(patch: Patch) -> None:
    principal = service._principal
    patch.setattr(
        service, "_principal", lambda row, by_setting: _without_limits(principal(row, by_setting))
    )  # fmt: skip


def _without_limits(who: Any) -> Any:
    return type(who)(role=who.role, name=who.name, expires_at=who.expires_at, person=who.person)


def log_in_not_noted(patch: Patch) -> None:
    note = write_audit

    def careless(conn: sa.Connection, actor: str, role: str, action: str, subject: str, detail: str = "") -> None:
        if action != "logged-in":
            note(conn, actor, role, action, subject, detail)

    patch.setattr(operators, "write_audit", careless)
