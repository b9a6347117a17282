"""Keeping reservations alive, and finding those whose provider has been silent too long. Functions of a connection, run
by `Database.write` and `Database.run`.

A reservation belongs to a print server that is alive: its heartbeat names the printings that are open in its journal,
and each of these is renewed. Who is silent for the grace period loses the reservation, never the charge: a later
report is taken all the same.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from backend.db.engine import now_ms
from backend.jobs.tables import job
from backend.ledger.tables import account

CHUNK = 500
MAX_SILENT = 200


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
