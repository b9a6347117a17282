"""Reading jobs. Functions of a connection, run by `Database.run`.

Newest first is by job id, which is made at the job's first record and begins with the time: the order costs no index of
its own. A print server with a wrong clock gets its jobs listed at the wrong place, nothing else.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from backend.base.ids import uuid7
from backend.jobs.model import Job, Need, view
from backend.jobs.tables import job, job_need
from backend.printers.tables import provider, queue
from backend.wire.jobs import JobView

MAX_LIMIT = 500
LOOKED_AT = 20_000

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


class Chosen(msgspec.Struct, frozen=True):
    """Which jobs a person wants to see; `account_id` None: of everybody; `since` and `until` in milliseconds, 0: not
    bounded, by the time in the jobs' ids."""

    state: str = ""
    attention: bool = False
    queue: str = ""
    provider: str = ""
    account_id: int | None = None
    since: int = 0
    until: int = 0


def choose_jobs(conn: sa.Connection, limit: int, before: str, chosen: Chosen) -> tuple[JobView, ...]:
    """The newest of these jobs that came before the job `before` ("": from the newest).

    What somebody must do something about stands in a table of its own, and a user's jobs in an index. For the rest the
    newest LOOKED_AT jobs are looked at and no more, so that a rare one costs no walk through years of history.
    """
    need = Need.LOOK if chosen.attention else _NEED_OF_STATE.get(chosen.state)
    found = sa.select(job.c.job_id)
    key: sa.Column[str] = job.c.job_id
    if need is not None:
        key = job_need.c.job_id
        found = sa.select(key).join(job, job.c.job_id == key).where(job_need.c.need == need)
    if before:
        found = found.where(key < before)
    if chosen.since:
        found = found.where(key >= uuid7(chosen.since, 0))
    if chosen.until:
        found = found.where(key < uuid7(chosen.until, 0))
    if chosen.account_id is not None:
        found = found.where(job.c.account_id == chosen.account_id)
    found = found.order_by(key.desc())
    if chosen.state or chosen.queue or chosen.provider:
        found = _among(found.limit(LOOKED_AT), chosen)
    ids = list(conn.scalars(found.limit(min(limit, MAX_LIMIT))))
    views = {view.job_id: view for view in describe_jobs(conn, ids)}
    return tuple(views[job_id] for job_id in ids if job_id in views)


def _among(near: sa.Select[tuple[str]], chosen: Chosen) -> sa.Select[tuple[str]]:
    """Those of the jobs `near` that are in the state and of the queue."""
    looked = near.subquery()
    found = sa.select(looked.c.job_id).join(job, job.c.job_id == looked.c.job_id).order_by(looked.c.job_id.desc())
    if chosen.state:
        found = found.where(job.c.state == chosen.state)
    if chosen.queue or chosen.provider:
        found = found.join(queue, queue.c.queue_id == job.c.queue_id)
    if chosen.queue:
        found = found.where(queue.c.name == chosen.queue)
    if chosen.provider:
        found = found.join(provider, provider.c.provider_id == queue.c.provider_id)
        found = found.where(provider.c.name == chosen.provider)
    return found


_NEED_OF_STATE: Final = {"held": Need.RELEASE, "released": Need.CARRY_OUT, "in_doubt": Need.LOOK}


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


def page_end(conn: sa.Connection, start: str, last: str, rows: int) -> str:
    """The id that stands `rows` jobs behind `start` ("": the first), or `last` where that comes before it."""
    found = sa.select(job.c.job_id).where(job.c.job_id < last).order_by(job.c.job_id).offset(rows).limit(1)
    if start:
        found = found.where(job.c.job_id >= start)
    return conn.scalar(found) or last


def queue_totals(conn: sa.Connection, start: str = "", end: str = "") -> dict[int, tuple[int, int]]:
    """For each queue: jobs that printed something, and their impressions; of the jobs from `start` to before `end`
    ("": not bounded)."""
    printed = sa.select(job.c.queue_id, sa.func.count(), sa.func.sum(job.c.counted_impressions))
    printed = printed.where(job.c.counted_impressions > 0)
    if start:
        printed = printed.where(job.c.job_id >= start)
    if end:
        printed = printed.where(job.c.job_id < end)
    rows = conn.execute(printed.group_by(job.c.queue_id))
    return {int(row[0]): (int(row[1]), int(row[2])) for row in rows}


def _view(row: sa.Row[*tuple[Any, ...]]) -> JobView:
    values = row._mapping
    found = Job(**{name: values[name] for name in Job.__struct_fields__})
    return view(found, row.provider_name or "", row.queue_name or "")
