"""Keeping reservations alive, finding those whose provider has been silent too long, and what is decided of jobs that
wait. Functions of a connection, run by `Database.write` and `Database.run`.

A reservation belongs to a print server that is alive: its heartbeat names the printings that are open in its journal,
and each of these is renewed. Who is silent for the grace period loses the reservation, never the charge: a later
report is taken all the same.
"""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from backend.db.engine import now_ms
from backend.jobs.model import Need
from backend.jobs.tables import job, job_need
from backend.ledger.tables import account
from backend.people.service import delete_user
from backend.wire.errors import REFUSALS
from backend.wire.jobs import JobDecision
from backend.wire.people import UserDeleted

CHUNK = 500
MAX_SILENT = 200
MAX_HELD = 200
MAX_DECISIONS = 10_000

Decisions = Mapping[int, tuple[JobDecision, ...]]
"""Provider -> what it has to carry out."""


def renew(conn: sa.Connection, provider_id: int, job_ids: Sequence[str]) -> None:
    """Note that this provider has these printings open. A job that is being changed right now is left for the next
    time."""
    now = now_ms(conn)
    ordered = sorted(job_ids)
    for start in range(0, len(ordered), CHUNK):
        mine = sa.select(job.c.job_id).where(
            job.c.job_id.in_(ordered[start : start + CHUNK]), job.c.provider_id == provider_id
        )
        # In id order and without waiting: the intake locks jobs in that order too, and it must never wait for us.
        locked = mine.order_by(job.c.job_id).with_for_update(skip_locked=True)
        ids = list(conn.scalars(locked))
        conn.execute(sa.update(job).where(job.c.job_id.in_(ids)).values(renewed_at=now))


def silent_jobs(conn: sa.Connection, grace_ms: int) -> tuple[tuple[str, ...], int]:
    """The jobs with an open reservation that nobody renewed for `grace_ms`, at most MAX_SILENT of them; and the moment
    before which that was.

    Only accounts that have something reserved are looked at, so this needs no index that every charge would pay for.
    """
    since = now_ms(conn) - grace_ms
    statement = (
        sa.select(job.c.job_id)
        .select_from(account.join(job, job.c.account_id == account.c.account_id))
        .where(account.c.debits_pending > 0, job.c.reserved_sequence != 0, job.c.renewed_at < since)
        .limit(MAX_SILENT)
    )
    return tuple(conn.scalars(statement)), since


def overdue_holds(conn: sa.Connection, timeout_ms: int) -> tuple[tuple[str, ...], int]:
    """The jobs that were held more than `timeout_ms` ago and wait still, at most MAX_HELD of them; and the moment
    before which that was."""
    before = now_ms(conn) - timeout_ms
    needs = job_need.c
    statement = sa.select(needs.job_id).where(needs.need == Need.RELEASE, needs.since < before).limit(MAX_HELD)
    return tuple(conn.scalars(statement)), before


def decisions(conn: sa.Connection) -> Decisions:
    """What was decided of jobs and not yet carried out, of all providers."""
    both = job_need.join(job, job.c.job_id == job_need.c.job_id)
    statement = (
        sa.select(job_need.c.provider_id, job_need.c.job_id, job_need.c.reason, job.c.state, job.c.code)
        .select_from(both)
        .where(job_need.c.need == Need.CARRY_OUT)
        .order_by(job_need.c.job_id)
        .limit(MAX_DECISIONS)
    )
    found: dict[int, list[JobDecision]] = {}
    for provider_id, job_id, reason, state, code in conn.execute(statement):
        released = state == "released"
        found.setdefault(provider_id, []).append(
            JobDecision(
                job_id=job_id,
                decision="release" if released else "cancel",
                reason="" if released else _why(code, reason),
            )
        )
    return {provider_id: tuple(decided) for provider_id, decided in found.items()}


def forget_user(conn: sa.Connection, name: str, *, redact: bool, actor: str, role: str) -> UserDeleted:
    """Delete a user; with `redact` the person goes out of account and jobs too. Raises UserUnknown, UserBusy."""
    account_id, kept = delete_user(conn, name, redact=redact, actor=actor, role=role)
    if redact:
        redact_jobs(conn, account_id, kept)
    balance = sa.select(account.c.credits_posted - account.c.debits_posted).where(account.c.account_id == account_id)
    return UserDeleted(account_id=account_id, account_name=kept, balance=conn.scalars(balance).one())


def redact_jobs(conn: sa.Connection, account_id: int, name: str) -> None:
    """Take the person out of an account's jobs: `name` for the user's, no title, no host. Counts and money stay."""
    blank = {"user_name": name, "title": "", "host": ""}
    conn.execute(sa.update(job).where(job.c.account_id == account_id).values(**blank))


def _why(code: str, reason: str) -> str:
    """For the person whose job was canceled."""
    text = REFUSALS["hold-expired" if code == "hold-expired" else "canceled-by-operator"]
    return f"{text}: {reason}" if reason else f"{text}."
