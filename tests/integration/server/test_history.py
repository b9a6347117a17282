"""The cluster's history: what is recorded is read and streamed, once and in the order of the commits."""

import asyncio
import threading

import pytest
import sqlalchemy as sa

from backend.cluster import history
from backend.cluster.model import KEEP_HISTORY_MS
from backend.cluster.tables import cluster_event
from backend.cluster.tables import event as event_table
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.wire.cluster import ClusterEvent, ClusterEventList
from tests.integration.server.test_events import Reader, reading, true_when
from tests.support.api import Api, api, eventually, scene

MARK = "the test's own"


def add(conn: sa.Connection, subject: str) -> ClusterEvent:
    return history.record(conn, "member-gone", subject, cause=MARK, away_ms=5, term=3, detail={"silent_ms": 5000})


def ours(events: tuple[ClusterEvent, ...]) -> list[str]:
    return [found.subject for found in events if found.cause == MARK]


def streamed(reader: Reader) -> list[str]:
    return [found.cluster.subject for _, _, found in reader.got if found.cluster and found.cluster.cause == MARK]


def test_what_is_recorded_is_read_page_by_page(url: str) -> None:
    async def play(server: Api) -> None:
        database = server.services.database
        told = [await database.write(add, f"s{at}") for at in range(5)]
        found = await server.ask("GET", "/api/v1/cluster/events", ClusterEventList)
        assert ours(found.events) == [f"s{at}" for at in range(5)]
        assert all(event in found.events for event in told)
        page = await server.ask(
            "GET", f"/api/v1/cluster/events?limit=2&after={told[1].event_id}", ClusterEventList, role="auditor"
        )
        assert ours(page.events) == ["s2", "s3"]
        path = f"/api/v1/cluster/events?limit=2&before={told[3].event_id}"
        assert ours((await server.ask("GET", path, ClusterEventList)).events) == ["s1", "s2"]
        both = f"/api/v1/cluster/events?before={told[3].event_id}&after={told[0].event_id}"
        assert ours((await server.ask("GET", both, ClusterEventList)).events) == ["s1", "s2"]
        first = (await server.ask("GET", "/api/v1/cluster/events?limit=500", ClusterEventList)).events[0]
        path = f"/api/v1/cluster/events?before={first.event_id}"
        assert (await server.ask("GET", path, ClusterEventList)).events == ()
        assert (await server.refused("GET", "/api/v1/cluster/events?after=x")).code == "invalid"

    scene(url, play)


def test_it_is_streamed_and_caught_up_with_after_a_break(url: str) -> None:
    async def play(server: Api) -> None:
        database = server.services.database
        async with reading(server) as first:
            await database.write(add, "a")
            await eventually(lambda: true_when(streamed(first) == ["a"]))
        await database.write(add, "b")
        async with reading(server, first.cursor) as second:
            await database.write(add, "c")
            await eventually(lambda: true_when(streamed(second) == ["b", "c"]))

    scene(url, play)


def test_what_was_rolled_back_is_neither_kept_nor_told(url: str) -> None:
    async def play(server: Api) -> None:
        def fail(conn: sa.Connection) -> None:
            add(conn, "never")
            raise ZeroDivisionError

        async with reading(server) as reader:
            with pytest.raises(ZeroDivisionError):
                await server.services.database.write(fail)
            await server.services.database.write(add, "then")
            await eventually(lambda: true_when(streamed(reader) == ["then"]))
        found = await server.ask("GET", "/api/v1/cluster/events", ClusterEventList)
        assert ours(found.events) == ["then"]

    scene(url, play)


def test_a_slow_writer_is_waited_for_by_readers_and_streams(postgres_url: str) -> None:
    async def run() -> None:
        async with api(postgres_url) as server:
            slow, quick = Database(postgres_url), Database(postgres_url)
            start = (await server.ask("GET", "/api/v1/cluster/events", ClusterEventList)).events
            after = start[-1].event_id if start else "0.0"
            path = f"/api/v1/cluster/events?after={after}"
            async with reading(server) as reader:
                with slow.connect(writing=True) as first:
                    add(first, "slow")
                    with quick.connect(writing=True) as second:
                        add(second, "quick")
                    assert ours((await server.ask("GET", path, ClusterEventList)).events) == []
                await eventually(lambda: true_when(streamed(reader) == ["slow", "quick"]))
            assert ours((await server.ask("GET", path, ClusterEventList)).events) == ["slow", "quick"]
            slow.close()
            quick.close()

    asyncio.run(run())


def test_many_writers_at_once_leave_no_gap_and_no_double_to_a_follower(postgres_url: str) -> None:
    """A reader that pages on while four sessions write, each at its own pace, sees every row once."""
    database = Database(postgres_url)
    migrate(database)
    wanted = {f"{writer}-{at}" for writer in range(4) for at in range(40)}

    def write(writer: int) -> None:
        for at in range(40):
            with database.connect(writing=True) as conn:
                add(conn, f"{writer}-{at}")
                if at % 3 == writer % 3:
                    conn.exec_driver_sql("SELECT pg_sleep(0.004)")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    after = "0.0"
    while True:
        running = any(thread.is_alive() for thread in threads)
        with database.connect() as conn:
            page = history.read(conn, after, 7)
        seen += ours(page)
        after = page[-1].event_id if page else after
        if not page and not running:
            break
    assert len(seen) == len(wanted)
    assert set(seen) == wanted
    database.close()


def test_only_what_is_old_is_dropped(url: str) -> None:
    database = Database(url)
    migrate(database)
    with database.connect(writing=True) as conn:
        add(conn, "old")
        conn.execute(sa.update(cluster_event).values(at=cluster_event.c.at - KEEP_HISTORY_MS - 1))
        add(conn, "new")
        assert history.prune(conn) == 1
    with database.connect() as conn:
        assert ours(history.read(conn, "", 10)) == ["new"]
        assert conn.execute(sa.select(event_table.c.kind)).scalars().all() == ["cluster", "cluster"]
    database.close()
