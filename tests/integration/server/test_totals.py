"""What was printed on each queue: the same whether it is old or new, counted in pages or at once."""

import asyncio

import pytest
import sqlalchemy as sa

from backend.api import totals
from backend.api.totals import QueueTotals, added
from backend.base.clock import ManualClock
from backend.base.ids import uuid7
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.jobs.queries import queue_totals
from backend.jobs.tables import job

NOW = 1_795_000_000_000
DAY = 86_400_000


def add(conn: sa.Connection, at_ms: int, queue_id: int, impressions: int) -> str:
    job_id = uuid7(at_ms)
    texts = dict.fromkeys(("user_name", "title", "host", "code", "rule", "facts", "printing"), "")
    numbers = {
        column.name: 0 for column in job.columns if column.name not in texts and column.name not in ("job_id", "state")
    }
    counted = {"queue_id": queue_id, "counted_impressions": impressions}
    conn.execute(sa.insert(job).values(job_id=job_id, state="completed", **{**texts, **numbers, **counted}))
    return job_id


def test_old_and_new_jobs_are_all_counted_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "PAGE", 3)
    database = Database(url)
    migrate(database)
    with database.connect(writing=True) as conn:
        for number in range(20):
            add(conn, NOW - number * DAY // 5, number % 3, number)
    clock = ManualClock(NOW)

    async def play() -> None:
        kept = QueueTotals(database, clock)
        with database.connect() as conn:
            assert await kept.current() == queue_totals(conn)
        with database.connect(writing=True) as conn:
            late = add(conn, NOW - 3 * DAY, 1, 100)
            add(conn, NOW, 1, 7)
        clock.advance(totals.LONGEST_S)
        jobs, impressions = (await kept.current())[1]
        with database.connect() as conn:
            exact = queue_totals(conn)
        assert (jobs, impressions) == (exact[1][0] - 1, exact[1][1] - 100), late  # what is old is counted again later
        clock.advance(totals.RECOUNT_S)
        assert await kept.current() == exact
        await kept.close()

    asyncio.run(play())
    database.close()


def test_sums_are_added_queue_by_queue() -> None:
    assert added({1: (2, 3), 2: (1, 1)}, {2: (4, 5), 3: (1, 9)}) == {1: (2, 3), 2: (5, 6), 3: (1, 9)}
