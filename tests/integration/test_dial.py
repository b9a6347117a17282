"""Finding the primary among hosts that are dead, frozen, read-only or promoted meanwhile."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import pq

from backend.db.dial import HANDOVER_S, Dialer
from backend.db.engine import Database, now_ms
from backend.db.errors import DatabaseAway
from tests.support.api import eventually
from tests.support.postgresql import Postgres
from tests.support.processes import free_port, wait_until

Way = Callable[[Dialer], pq.abc.PGconn]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose owner takes connections and says nothing, like a frozen server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture
def swallowed() -> Iterator[int]:
    """A port to which no connection comes about: its queue is full, and what asks is dropped without a word."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        yield address[1]


@pytest.fixture(params=["thread", "event loop"])
def dial(request: pytest.FixtureRequest) -> Way:
    if request.param == "thread":
        return lambda dialer: dialer.dial()
    return lambda dialer: asyncio.run(dialer.dial_async())


def dialer(*ports: int, host: str = "127.0.0.1", **more: str) -> Dialer:
    hosts = {"host": ",".join([host] * len(ports)), "port": ",".join(map(str, ports))}
    return Dialer({"user": "postgres", "target_session_attrs": "read-write", **hosts, **more})


def test_a_frozen_and_a_dead_host_in_front_cost_nothing(postgres: Postgres, silent: int, dial: Way) -> None:
    way = dialer(silent, free_port(), postgres.port, connect_timeout="60")  # a time-out that no test would outlast
    for _ in range(3):
        dial(way).finish()
        assert way.primary == ("127.0.0.1", str(postgres.port))


def test_a_primary_that_froze_since_costs_a_moment_only(postgres: Postgres, silent: int, dial: Way) -> None:
    way = dialer(silent, postgres.port, connect_timeout="60")
    way._primary = ("127.0.0.1", str(silent))
    dial(way).finish()
    assert way.primary == ("127.0.0.1", str(postgres.port))


def test_a_primary_whose_network_swallows_packets_costs_a_moment_only(
    postgres: Postgres, swallowed: int, dial: Way
) -> None:
    way = dialer(swallowed, postgres.port, connect_timeout="60")
    way._primary = ("127.0.0.1", str(swallowed))
    dial(way).finish()
    assert way.primary == ("127.0.0.1", str(postgres.port))


def test_a_host_that_did_not_confirm_a_commit_is_dialled_after_the_others(
    postgres: Postgres, scratch: Path, postgres_template: Path, dial: Way
) -> None:
    """Two that take writes, one of them left behind: nobody looks after it any more."""
    here, other = ("127.0.0.1", str(postgres.port)), Postgres(scratch / "o", template=postgres_template)
    way = dialer(postgres.port, other.port, connect_timeout="60")
    dial(way).finish()
    assert way.primary == here
    way.suspect(unconfirmed=True)
    dial(way).finish()
    assert way.primary == here  # it is the only one
    with other:
        dial(way).finish()
        assert way.primary == here  # and still the favourite
        way.suspect(unconfirmed=True)
        dial(way).finish()
        assert way.primary == ("127.0.0.1", str(other.port))


def test_what_a_primary_left_behind_does_not_confirm_goes_to_the_next(scratch: Path, postgres_template: Path) -> None:
    """It is alive, takes writes and answers: only the standby that it waits for leads a life of its own."""
    with (
        Postgres(scratch / "p", template=postgres_template) as primary,
        primary.make_standby(scratch / "s", "s1") as standby,
    ):
        primary.wait_for_standbys("s1")
        database = Database(f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres")

        def table(conn: sa.Connection, name: str) -> None:
            conn.exec_driver_sql(f"CREATE TABLE {name} (i int)")

        async def three() -> bool:
            try:
                await database.write(table, "three")
            except DatabaseAway:
                return False
            return True

        async def play() -> None:
            await database.write(table, "one")
            assert database.primary == ("127.0.0.1", str(primary.port))
            await asyncio.to_thread(primary.set_synchronous_standbys, "s1")
            await asyncio.to_thread(standby.promote)
            with pytest.raises(DatabaseAway):
                await database.write(table, "two")
            await eventually(three, 60)
            assert database.primary == ("127.0.0.1", str(standby.port))

        try:
            asyncio.run(play())
        finally:
            database.close()


def test_a_name_is_looked_up(postgres: Postgres, dial: Way) -> None:
    dial(dialer(postgres.port, host="localhost")).finish()


def test_nobody_there_is_one_line(silent: int, dial: Way) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no host takes writes: .*refused.*does not answer"):
        dial(dialer(free_port(), silent, connect_timeout="1"))


def test_a_standby_is_not_taken_and_its_promotion_is_seen_while_dialling(
    scratch: Path, postgres_template: Path, silent: int, dial: Way
) -> None:
    with (
        Postgres(scratch / "p", template=postgres_template) as primary,
        primary.make_standby(scratch / "s", "s1") as standby,
    ):
        primary.kill9()
        way = dialer(primary.port, standby.port)
        assert not way.changing()
        with pytest.raises(psycopg.OperationalError, match="is read-only"):
            dial(way)
        assert way.changing()
        assert not way.changing(time.monotonic() + HANDOVER_S)

        frozen = dialer(silent, standby.port, connect_timeout="60")
        promotion = threading.Timer(0.5, standby.promote)
        promotion.start()
        dial(frozen).finish()
        promotion.join()
        assert frozen.primary == ("127.0.0.1", str(standby.port))
        dial(way).finish()
        assert not way.changing()


def test_calls_wait_for_the_next_primary_of_a_living_cluster(scratch: Path, postgres_template: Path) -> None:
    """A planned switchover fails no request: the work is begun once there is a primary."""
    with (
        Postgres(scratch / "p", template=postgres_template) as primary,
        primary.make_standby(scratch / "s", "s1") as standby,
    ):
        primary.wait_for_standbys("s1")
        database = Database(f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres")

        async def play() -> None:
            await database.run(now_ms)
            await asyncio.to_thread(primary.stop)
            asking = [asyncio.create_task(database.run(now_ms)) for _ in range(5)]
            await asyncio.sleep(0.3)
            assert not any(ask.done() for ask in asking)
            assert await database.answers(1.0)  # it will, in a moment
            await asyncio.to_thread(standby.promote)
            await asyncio.gather(*asking)

        try:
            asyncio.run(play())
            wait_until(lambda: database.primary == ("127.0.0.1", str(standby.port)), 5, "the new primary")
        finally:
            database.close()
