"""The store when PostgreSQL's connection, machine or standby goes away in the worst moment.

A command that was answered is there for ever; one that was not happened once or not at all, and asking again under its
id tells which.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.db.engine import Database
from backend.intake.batch import Outcome
from backend.intake.errors import ConnectionFault
from backend.intake.model import Body
from backend.intake.store_postgresql import PostgresqlStore
from backend.wire.money import Adjust
from tests.support.books import assert_sound
from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres
from tests.support.processes import wait_until
from tests.support.stores import DatabaseHarness, database_harness, new_id, run
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def proxied(postgres: Postgres) -> Iterator[tuple[DatabaseHarness, TcpProxy]]:
    """A store whose connections pass a proxy, in a database reached directly."""
    name = postgres.new_database()
    with TcpProxy(postgres.port) as proxy:

        def make(_: Database) -> PostgresqlStore:
            return PostgresqlStore(f"host=127.0.0.1 port={proxy.port} user=postgres dbname={name}")

        with database_harness(postgres.url(name), make) as harness:
            harness.add_user("ada")
            yield harness, proxy
    postgres.drop_database(name)


def _adjust(amount: int = 1) -> Adjust:
    return Adjust(command_id=new_id(), user_name="ada", amount=amount)


def ask(store: PostgresqlStore, *bodies: Body) -> list[Outcome]:
    async def work() -> list[Outcome]:
        session = store.session(0)
        try:
            return await run(session, *bodies)
        finally:
            await session.close()

    return asyncio.run(work())


def _store(harness: DatabaseHarness) -> PostgresqlStore:
    assert isinstance(harness.store, PostgresqlStore)
    return harness.store


def test_cut_before_the_commit_arrives(proxied: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, proxy = proxied
    body = _adjust()
    proxy.cut_before_commit()
    with pytest.raises(ConnectionFault) as fault:
        ask(_store(harness), body)
    assert fault.value.commit_sent
    assert harness.contents().accounts["ada"].balance == 0
    assert isinstance(ask(_store(harness), body)[0], str)
    assert harness.contents().accounts["ada"].balance == 1
    assert_sound(harness.contents())


def test_cut_after_the_commit_before_its_answer(proxied: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, proxy = proxied
    body = _adjust()
    proxy.cut_after_commit()
    with pytest.raises(ConnectionFault) as fault:
        ask(_store(harness), body)
    assert fault.value.commit_sent
    assert harness.contents().accounts["ada"].balance == 1
    first = ask(_store(harness), body)
    assert isinstance(first[0], str)
    assert harness.contents().accounts["ada"].balance == 1
    assert_sound(harness.contents())


def test_cut_while_reading_changes_nothing(proxied: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, proxy = proxied
    ask(_store(harness), _adjust(5))

    async def work() -> None:
        session = harness.store.session(0)
        await run(session, _adjust(6))
        proxy.cut_after_bytes(40)
        with pytest.raises(ConnectionFault) as fault:
            await run(session, _adjust(7))
        assert not fault.value.commit_sent
        await session.close()

    asyncio.run(work())
    assert harness.contents().accounts["ada"].balance == 11


def test_a_network_that_swallows_ends_by_the_sessions_own_clock(proxied: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, proxy = proxied

    async def work() -> None:
        session = harness.store.session(0)
        await run(session, _adjust(1))
        proxy.freeze()
        with pytest.raises(ConnectionFault):
            await run(session, _adjust(2))
        proxy.thaw()
        assert isinstance((await run(session, _adjust(3)))[0], str)
        await session.close()

    asyncio.run(work())
    assert_sound(harness.contents())


@contextmanager
def _replicated(template: Path) -> Iterator[tuple[Postgres, Postgres]]:
    """A primary that waits for its one standby."""
    with scratch_folder("ik-pg-") as folder, Postgres(folder / "a", template=template, fsync=True) as primary:
        standby = primary.make_standby(folder / "b", "s1")
        with standby:
            primary.wait_for_standbys("s1")
            primary.set_synchronous_standbys("FIRST 1 (s1)")
            yield primary, standby


def _cancel_waiting_commits(primary: Postgres) -> None:
    """What an impatient administrator does; the commit becomes visible though no standby has it."""
    statement = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    wait_until(lambda: primary.execute(statement)[0][0] == 1, 10, "a commit that waits for the standby")


def _store_at(server: Postgres) -> PostgresqlStore:
    return PostgresqlStore(Database(server.url()).url.conninfo(), commit_timeout_s=1.0)


def test_nothing_is_acknowledged_that_the_standby_does_not_have(postgres_template: Path) -> None:
    """Cut the standby, cancel the wait, ask again elsewhere, kill the primary: all that was acknowledged is there."""
    acknowledged, in_doubt = _adjust(1), _adjust(10)
    with _replicated(postgres_template) as (primary, standby):
        with database_harness(primary.url(), lambda _: _store_at(primary)) as harness:
            harness.add_user("ada")
            assert isinstance(ask(_store(harness), acknowledged)[0], str)
            standby.kill9()
            with pytest.raises(ConnectionFault) as first:
                ask(_store_at(primary), in_doubt)
            assert first.value.commit_sent
            _cancel_waiting_commits(primary)
            balance = "SELECT credits_posted FROM account WHERE name = 'ada'"
            wait_until(lambda: primary.execute(balance)[0][0] == 11, 10, "the canceled commit to be visible")
            with pytest.raises(ConnectionFault):
                ask(_store_at(primary), in_doubt)  # its answer is there to be read, and must not be given
        primary.kill9()
        standby.start()
        standby.promote()
        assert standby.execute(balance) == [(1,)], "the acknowledged command survived, the other never happened"
        again = ask(_store_at(standby), in_doubt, acknowledged)
        assert all(isinstance(outcome, str) for outcome in again)
        assert standby.execute(balance) == [(11,)]


def test_a_warning_on_commit_is_no_acknowledgement(postgres_template: Path) -> None:
    with _replicated(postgres_template) as (primary, standby):
        store = PostgresqlStore(Database(primary.url()).url.conninfo(), commit_timeout_s=8.0)
        with database_harness(primary.url(), lambda _: store) as harness:
            harness.add_user("ada")
            standby.kill9()

            async def work() -> None:
                session = store.session(0)
                asked = asyncio.create_task(run(session, _adjust(10)))
                await asyncio.to_thread(_cancel_waiting_commits, primary)
                with pytest.raises(ConnectionFault, match="canceling wait for synchronous replication"):
                    await asked
                await session.close()

            asyncio.run(work())
