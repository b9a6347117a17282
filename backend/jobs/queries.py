"""Reading jobs. Functions of a connection, run by `Database.run`.

Newest first is by job id, which is made at the job's first record and begins with the time: the order costs no index of
its own. A print server with a wrong clock gets its jobs listed at the wrong place, nothing else.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from backend.jobs.model import Job, view
from backend.jobs.tables import job
from backend.printers.tables import provider, queue
from backend.wire.messages import JobView

MAX_LIMIT = 500

_JOBS = job.outerjoin(queue, queue.c.queue_id == job.c.queue_id).outerjoin(
    provider, provider.c.provider_id == job.c.provider_id
)
_COLUMNS = (*job.c, provider.c.name.label("provider_name"), queue.c.name.label("queue_name"))


def newest_jobs(conn: sa.Connection, limit: int, before: str, account_id: int | None = None) -> tuple[JobView, ...]:
    """Jobs of all accounts or of one, newest first, those before the job `before` ("": from the newest)."""
    statement = sa.select(*_COLUMNS).select_from(_JOBS).order_by(job.c.job_id.desc()).limit(min(limit, MAX_LIMIT))
    if before:
        statement = statement.where(job.c.job_id < before)
    if account_id is not None:
        statement = statement.where(job.c.account_id == account_id)
    return tuple(_view(row) for row in conn.execute(statement))


def get_job(conn: sa.Connection, job_id: str) -> JobView | None:
    row = conn.execute(sa.select(*_COLUMNS).select_from(_JOBS).where(job.c.job_id == job_id)).one_or_none()
    return None if row is None else _view(row)


def describe_jobs(conn: sa.Connection, job_ids: Sequence[str]) -> list[JobView]:
    """The jobs of these ids that there are, in no order."""
    found: list[JobView] = []
    for start in range(0, len(job_ids), MAX_LIMIT):
        wanted = job.c.job_id.in_(job_ids[start : start + MAX_LIMIT])
        found += [_view(row) for row in conn.execute(sa.select(*_COLUMNS).select_from(_JOBS).where(wanted))]
    return found


def queue_totals(conn: sa.Connection) -> dict[int, tuple[int, int]]:
    """For each queue: jobs that printed something, and their impressions. Reads the whole history."""
    printed = sa.select(job.c.queue_id, sa.func.count(), sa.func.sum(job.c.counted_impressions))
    rows = conn.execute(printed.where(job.c.counted_impressions > 0).group_by(job.c.queue_id))
    return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}


def _view(row: sa.Row[*tuple[Any, ...]]) -> JobView:
    values = row._mapping
    found = Job(**{name: values[name] for name in Job.__struct_fields__})
    return view(found, row.provider_name or "", row.queue_name or "")
