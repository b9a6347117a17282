"""Concurrent sessions of the PostgreSQL store on few accounts and jobs, their connections cut around COMMIT, and what
must hold of it; one seed, one campaign.

Nothing is forgiven that is healed further up: a statement that PostgreSQL refused (a deadlock, a second row for one id)
is a fault here, though the batch would be run again one by one. Seeds with an odd number cut connections.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from backend.db.engine import Database
from backend.db.libpq import StatementFailed
from backend.db.migrate import migrate
from backend.intake.batch import Outcome
from backend.intake.errors import BatchRejected, ConnectionFault
from backend.intake.model import Body
from backend.intake.store_postgresql import PostgresqlSession, PostgresqlStore
from backend.intake.tables import command
from backend.wire.money import Adjust
from tests.support.books import assert_sound
from tests.support.postgresql import Postgres
from tests.support.processes import wait_until
from tests.support.stores import CONFLICT, PRICE, DatabaseHarness, authorise, new_id, report, run
from tests.support.tcp_proxy import TcpProxy

USERS = ("ada", "bob", "cy")
JOBS = 24
SESSIONS = 4
LARGEST_BATCH = 12
CUTS = 6
MOST_TRIES = 60
OPENING = 60 * PRICE


class Ground:
    """An empty migrated database with users and a queue, to be copied for each campaign."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self._template = postgres.new_database()
        with self._harness(self._template, "") as harness:
            harness.add_provider()
            for name in USERS:
                harness.add_user(name, restricted=True, balance=OPENING)
            harness.add_queue("q")

    def close(self) -> None:
        self.postgres.drop_database(self._template)

    @contextmanager
    def copy(self, port: int) -> Iterator[DatabaseHarness]:
        """A copy, whose store reaches it through `port`."""
        name = self.postgres.new_database(self._template)
        try:
            with self._harness(name, f"host=127.0.0.1 port={port} user=postgres dbname={name}") as harness:
                yield harness
        finally:
            self.postgres.drop_database(name)

    @contextmanager
    def _harness(self, name: str, conninfo: str) -> Iterator[DatabaseHarness]:
        database = Database(self.postgres.url(name))
        migrate(database)
        try:
            yield DatabaseHarness(database, PostgresqlStore(conninfo or database.url.conninfo()))
        finally:
            database.close()


def traffic(rng: random.Random) -> list[Body]:
    """Many commands for each of a few jobs, near each other, most of them twice; some ids with other content."""
    bodies: list[Body] = []
    for _ in range(JOBS):
        job_id, user = new_id(), rng.choice(USERS)
        for attempt in (1, 2, 3):
            pages = rng.randint(0, 4)
            bodies.append(authorise(job_id, user, pages, attempt=attempt))
            bodies.append(report(job_id, user, rng.choice((pages, 0)), attempt=attempt, revision=attempt))
        bodies.append(Adjust(command_id=new_id(), user_name=user, amount=rng.randint(-9, 3), only_if_available=True))
    clashing = [Adjust(command_id=body.command_id, user_name=rng.choice(USERS), amount=1) for body in bodies[::17]]
    everything = bodies + rng.sample(bodies, 2 * len(bodies) // 3) + clashing
    # Near, not far: commands for one job, and one command twice, must meet in sessions that run at the same time.
    places = {body.command_id: number for number, body in enumerate(bodies)}
    return sorted(everything, key=lambda body: places[body.command_id] + rng.uniform(0, 14), reverse=True)


def campaign(ground: Ground, seed: int) -> str:
    """Play one seed; what broke, "" for nothing."""
    rng = random.Random(seed)
    refused: list[str] = []
    with TcpProxy(ground.postgres.port) as proxy, ground.copy(proxy.port) as harness:
        bodies = traffic(rng)
        with noted(refused):
            try:
                outcomes = asyncio.run(play(harness.store, bodies, rng, proxy if seed % 2 else None))
            except AssertionError as error:
                return f"{error}; PostgreSQL refused: {refused}"
        try:
            assert refused == [], f"PostgreSQL refused: {refused}"
            judge(harness, bodies, outcomes)
        except AssertionError as error:
            return str(error)
    return ""


@contextmanager
def noted(refused: list[str]) -> Iterator[None]:
    """Keep what PostgreSQL refused of the stores' statements."""
    fault = PostgresqlSession._fault

    async def note(
        self: PostgresqlSession, connection: object, error: StatementFailed
    ) -> BatchRejected | ConnectionFault:
        refused.append(str(error).splitlines()[0])
        return await fault(self, connection, error)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresqlSession, "_fault", note)
        yield


async def play(store: object, bodies: list[Body], rng: random.Random, proxy: TcpProxy | None) -> list[Outcome]:
    """Everything answered in the end: what a cut connection left open is asked again under its id."""
    assert isinstance(store, PostgresqlStore)
    outcomes: list[Outcome] = [None] * len(bodies)
    waiting = list(range(len(bodies)))
    cuts = CUTS if proxy is not None else 0

    async def work(stripe: int) -> None:
        nonlocal cuts
        session = store.session(stripe)
        while waiting:
            taken = [waiting.pop() for _ in range(min(len(waiting), rng.randint(1, LARGEST_BATCH)))]
            if proxy is not None and cuts and rng.random() < 0.3:
                cuts -= 1
                rng.choice((proxy.cut_before_commit, proxy.cut_after_commit))()
            for index, outcome in zip(taken, await _answered(session, [bodies[n] for n in taken]), strict=True):
                outcomes[index] = outcome
        await session.close()

    await asyncio.gather(*[work(stripe) for stripe in range(SESSIONS)])
    return outcomes


async def _answered(session: object, bodies: Sequence[Body]) -> list[Outcome]:
    assert isinstance(session, PostgresqlSession)
    for _ in range(MOST_TRIES):
        try:
            outcomes = await run(session, *bodies)
        except ConnectionFault:
            await asyncio.sleep(0.02)
            continue
        if not any(isinstance(outcome, ConnectionFault) for outcome in outcomes):
            return outcomes
    raise AssertionError(f"no answer in {MOST_TRIES} tries")


def judge(harness: DatabaseHarness, bodies: list[Body], outcomes: list[Outcome]) -> None:
    """Each id has one answer, which stands in the database; jobs cost what was reported last; the books are sound."""
    answers: dict[str, set[str]] = {}
    for body, outcome in zip(bodies, outcomes, strict=True):
        if outcome is not CONFLICT:
            assert isinstance(outcome, str), f"{type(body).__name__}: {outcome!r}"
            answers.setdefault(body.command_id, set()).add(outcome)
    twice = [command_id for command_id, found in answers.items() if len(found) > 1]
    assert not twice, f"{len(twice)} ids have two answers"
    # A commit that nobody waited for may be on its way still.
    wait_until(lambda: _is_quiet(harness), 20, "the database to be quiet")
    with harness.database.connect() as conn:
        kept = {
            str(row.command_id): row.answer for row in conn.execute(sa.select(command.c.command_id, command.c.answer))
        }
    lost = [command_id for command_id, found in answers.items() if kept.get(command_id) not in found]
    assert not lost, f"{len(lost)} of {len(answers)} acknowledged commands are not there"
    contents = harness.contents()
    assert_sound(contents)
    for name in USERS:
        account = contents.accounts[name]
        exceptions = account.offline_total + account.late_total + account.excess_total
        assert account.available >= -exceptions, f"{name} has less than nothing"


def _is_quiet(harness: DatabaseHarness) -> bool:
    with harness.database.connect() as conn:
        statement = """SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"""
        return not conn.exec_driver_sql(statement).scalar_one()
