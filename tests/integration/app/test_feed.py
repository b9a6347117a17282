"""Following real servers while they die, freeze, refuse and return."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.core.reducer import Changes
from app.qt.session import Session
from backend.wire.cluster import Event
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_cluster import TOKEN, Cluster
from tests.support.console_world import NOW_MS, job, queue, small_topology


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two servers over one world."""
    with Cluster(tmp_path, 2) as made:
        yield made


@pytest.fixture
def connect(session: Session, cluster: Cluster, qtbot: QtBot) -> Callable[[], None]:
    def act() -> None:
        session.open(Profile(cluster.urls, TOKEN))
        qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)

    return act


def current(session: Session, cluster: Cluster) -> int:
    return cluster.urls.index(session.store.state.connection.endpoint)


def jobs_known(session: Session) -> set[str]:
    return set(session.store.state.jobs)


def test_it_connects_reads_and_streams(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    assert session.store.state.topology is not None
    qtbot.waitUntil(lambda: len(session.store.state.jobs) == 8, timeout=DEADLINE_MS)
    cluster.put_job(job(50, updated_at=NOW_MS + 1))
    qtbot.waitUntil(lambda: job(50).job_id in jobs_known(session), timeout=DEADLINE_MS)


def test_the_first_server_may_be_dead_from_the_start(session: Session, cluster: Cluster, qtbot: QtBot) -> None:
    cluster.servers[0].kill9()
    session.open(Profile(cluster.urls, TOKEN))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    assert session.store.state.connection.endpoint == cluster.urls[1]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_when_its_server_goes_the_next_one_carries_on_without_a_gap(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot, fault: signal.Signals
) -> None:
    connect()
    seen: list[str] = []

    def note(changes: Changes) -> None:
        seen.extend(sorted(changes.jobs))

    session.store.changed.connect(note)
    first = current(session, cluster)
    cluster.put_job(job(50, updated_at=NOW_MS + 1))
    qtbot.waitUntil(lambda: job(50).job_id in seen, timeout=DEADLINE_MS)
    cluster.servers[first].signal(fault)
    for number in range(51, 56):
        cluster.put_job(job(number, updated_at=NOW_MS + number))
    qtbot.waitUntil(lambda: job(55).job_id in seen, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    assert current(session, cluster) == 1 - first
    assert "events after 1.1.1\n" in cluster.servers[1 - first].written()
    assert [key for key in seen if key > job(49).job_id] == [job(number).job_id for number in range(50, 56)]
    cluster.put_job(job(60, updated_at=NOW_MS + 60))
    qtbot.waitUntil(lambda: job(60).job_id in seen, timeout=DEADLINE_MS)


def test_with_every_server_dead_it_says_so_keeps_its_picture_and_comes_back(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    for server in cluster.servers:
        server.kill9()
    qtbot.waitUntil(lambda: session.store.state.connection.retry_at is not None, timeout=DEADLINE_MS)
    assert session.store.state.connection.phase == "reconnecting"
    assert "cannot be reached" in session.store.state.connection.reason
    assert session.store.state.topology is not None
    cluster.servers[1].start()
    cluster.put_job(job(70, updated_at=NOW_MS + 70))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: job(70).job_id in jobs_known(session), timeout=DEADLINE_MS)


def test_a_refused_token_is_final_and_f5_tries_again(
    session: Session, cluster: Cluster, qtbot: QtBot, connect: Callable[[], None]
) -> None:
    cluster.change(refuse=True)
    session.open(Profile(cluster.urls, TOKEN))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "failed", timeout=DEADLINE_MS)
    assert session.store.state.connection.code == "unauthenticated"
    cluster.change(refuse=False)
    session.reload()
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)


def test_a_token_taken_away_meanwhile_ends_the_session(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    cluster.change(refuse=True)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "failed", timeout=DEADLINE_MS)


def test_a_role_that_may_not_see_everything_sees_the_rest(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    cluster.change(forbidden=["topology"])
    connect()
    assert session.store.state.forbidden == {"topology"}
    assert len(session.store.state.jobs) == 8


def test_a_reset_reads_everything_anew(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    qtbot.waitUntil(lambda: len(session.store.state.jobs) == 8, timeout=DEADLINE_MS)
    cluster.change(jobs=[job(90, updated_at=NOW_MS + 90)])
    cluster.announce(Event(kind="reset", at=NOW_MS))
    qtbot.waitUntil(lambda: jobs_known(session) == {job(90).job_id}, timeout=DEADLINE_MS)


def test_a_changed_topology_is_read_at_once(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    view = small_topology(cluster.urls[0], queues=(queue(9, "print-01", "brand-new"),))
    cluster.change(topology=view)
    cluster.announce(Event(kind="topology", at=NOW_MS))

    def arrived() -> bool:
        topology = session.store.state.topology
        return topology is not None and [found.name for found in topology.queues] == ["brand-new"]

    qtbot.waitUntil(arrived, timeout=DEADLINE_MS)


def test_leaving_one_cluster_for_another_shows_nothing_of_the_first(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    session.open(Profile(("http://127.0.0.1:9",), TOKEN))
    assert session.store.state.topology is None
    assert not session.store.state.jobs
    cluster.put_job(job(99, updated_at=NOW_MS + 99))
    qtbot.waitUntil(lambda: session.store.state.connection.retry_at is not None, timeout=DEADLINE_MS)
    assert not session.store.state.jobs


def test_unanswered_questions_do_not_hold_up_the_end(session: Session, cluster: Cluster, qtbot: QtBot) -> None:
    cluster.freeze(0)
    cluster.freeze(1)
    session.open(Profile(cluster.urls, TOKEN))
    qtbot.wait(50)
    assert session.close()


def test_while_the_database_is_away_the_picture_goes_on_and_the_rest_waits(
    connect: Callable[[], None], session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    connect()
    known = len(session.store.state.jobs)
    away = small_topology(cluster.urls[0], age_s=7.0, verdict="The database has no primary.", health="error")
    cluster.change(topology=away, unavailable=["jobs", "history"])

    def verdict() -> str:
        topology = session.store.state.topology
        return topology.verdict if topology is not None else ""

    qtbot.waitUntil(lambda: verdict() == "The database has no primary.", timeout=DEADLINE_MS)
    session.reload()
    seen = session.store.state.topology_at
    qtbot.waitUntil(lambda: session.store.state.topology_at > seen + 3, timeout=DEADLINE_MS)
    assert session.store.state.connection.phase == "live"
    assert len(session.store.state.jobs) == known
    cluster.change(topology=small_topology(cluster.urls[0]), unavailable=[], jobs=[*cluster.world.jobs, job(90)])
    qtbot.waitUntil(lambda: job(90).job_id in jobs_known(session), timeout=DEADLINE_MS)
