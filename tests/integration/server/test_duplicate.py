"""Two running servers that call themselves the same: one serves, the other steps aside, says so, and comes back."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.app_server import AppServer
from tests.support.postgresql import Postgres
from tests.support.processes import Process, wait_until

NAME = "twin"
WAIT_S = 90
SETTINGS = "[cluster]\nheartbeat_s = 0.2\nlease_s = 1.0\ndrain_grace_s = 0.2\n"

Twins = tuple[AppServer, AppServer]


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    name = postgres.new_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture
def twins(tmp_path: Path, postgres: Postgres, database: str) -> Iterator[Twins]:
    """Two servers with one name, not started; what is left running is ended."""
    made = []
    for word in ("first", "second"):
        (tmp_path / word).mkdir()
        made.append(AppServer(tmp_path / word, database_url=postgres.url(database), name=NAME, more=SETTINGS))
    first, second = made
    yield first, second
    for server in made:
        if server.process.running:
            server.process.signal(signal.SIGCONT)
        if server.process in Process.live:
            server.stop()


def ready(server: AppServer) -> bool:
    return httpx.get(f"{server.url}/health/ready", timeout=30, trust_env=False).status_code == 200


def leads(server: AppServer) -> bool:
    return httpx.get(f"{server.url}/health/leader", timeout=30, trust_env=False).status_code == 200


def told(postgres: Postgres, database: str) -> list[str]:
    rows = postgres.execute("SELECT cause FROM cluster_event WHERE kind = 'member-duplicate'", database)
    return [str(cause) for (cause,) in rows]


def freeze_past_its_name(server: AppServer, other: AppServer) -> None:
    """The other is let in while this one stands still, and then both run."""
    server.process.signal(signal.SIGSTOP)
    other.start()
    wait_until(lambda: leads(other), WAIT_S, "the newer one to lead")
    server.process.signal(signal.SIGCONT)


def test_who_comes_back_to_a_taken_name_steps_aside_until_it_is_free(
    twins: Twins, postgres: Postgres, database: str
) -> None:
    old, new = twins
    old.start()
    wait_until(lambda: leads(old), WAIT_S, "the first to lead")
    freeze_past_its_name(old, new)
    wait_until(lambda: not ready(old), WAIT_S, "the older one to step aside")
    wait_until(lambda: told(postgres, database), WAIT_S, "it to be told")
    assert ready(new)
    assert leads(new)
    assert not leads(old)
    (cause,) = told(postgres, database)
    assert old.url in cause
    assert new.url in cause
    assert new.url in old.process.written()  # and what to do, in its own log
    rows = postgres.execute("SELECT url, state FROM member", database)
    assert rows == [(new.url, "serving")]  # one row, of the one that serves: clients and DNS are led there
    new.stop()
    wait_until(lambda: ready(old) and leads(old), WAIT_S, "the older one to serve again")
    members = "SELECT url, state FROM member"
    wait_until(lambda: postgres.execute(members, database) == [(old.url, "serving")], WAIT_S, "it to say so")
    assert len(told(postgres, database)) == 1


def test_when_the_newer_one_dies_the_older_one_takes_its_name_back(
    twins: Twins, postgres: Postgres, database: str
) -> None:
    old, new = twins
    old.start()
    wait_until(lambda: leads(old), WAIT_S, "the first to lead")
    freeze_past_its_name(old, new)
    wait_until(lambda: not ready(old), WAIT_S, "the older one to step aside")
    new.process.kill9()
    wait_until(lambda: ready(old) and leads(old), WAIT_S, "the older one to serve again")
    members = "SELECT url, state FROM member"
    wait_until(lambda: postgres.execute(members, database) == [(old.url, "serving")], WAIT_S, "it to say so")


def test_of_two_that_start_at_once_one_serves(twins: Twins, postgres: Postgres, database: str) -> None:
    """Both may find the name free. Then one of them steps aside; or one of them is not let in at all."""
    twins[0].command("migrate")
    for server in twins:
        server.process.start()

    def running() -> list[AppServer]:
        return [server for server in twins if server.process.running]

    def settled() -> bool:
        return sorted(map(is_ready, running())) in ([True], [False, True])

    def is_ready(server: AppServer) -> bool:
        try:
            return ready(server)
        except httpx.TransportError:
            return False

    wait_until(settled, WAIT_S, "one of them to serve")
    beats = "SELECT max(seen_at) FROM member"
    before = postgres.execute(beats, database)[0][0]
    assert isinstance(before, int)
    wait_until(lambda: postgres.execute(beats, database)[0][0] > before + 3000, WAIT_S, "some beats")  # type: ignore[operator]
    wait_until(settled, WAIT_S, "it to stay so")
    (row,) = postgres.execute("SELECT url, state FROM member", database)
    assert row == (next(server.url for server in running() if is_ready(server)), "serving")
    if len(running()) == 2:
        assert len(told(postgres, database)) == 1
