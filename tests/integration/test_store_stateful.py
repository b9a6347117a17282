"""The stores against a model of a few dictionaries, by random commands; and concurrent sessions on real PostgreSQL.

The model is written from the promises' words, not from the rules: a job's net is the price of its newest report, a
reservation
is open between an authorise and what ends it, a command counts once.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backend.db.engine import Database
from backend.intake.batch import Outcome
from backend.intake.errors import BatchRejected
from backend.intake.model import Body
from backend.intake.store_postgresql import PostgresqlStore
from backend.wire.jobs import Authorise, Report
from backend.wire.money import Adjust
from tests.support.books import assert_sound
from tests.support.postgresql import Postgres
from tests.support.stores import (
    CONFLICT,
    PRICE,
    DatabaseHarness,
    Harness,
    MemoryHarness,
    authorise,
    database_harness,
    new_id,
    postgresql_harness,
    report,
    run,
    sqlite_harness,
)

USERS = {"ada": (True, 20 * PRICE), "bob": (False, 0), "cy": (True, 0)}
RUNS = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class ModelJob:
    def __init__(self, user: str) -> None:
        self.user = user
        self.attempt = 0
        self.revision = 0
        self.reserved = 0
        self.charged = 0


class Model:
    """Balances and jobs, by the promises' words."""

    def __init__(self) -> None:
        self.balance = {name: balance for name, (_, balance) in USERS.items()}
        self.jobs: dict[str, ModelJob] = {}
        self.seen: dict[str, tuple[Body, Outcome]] = {}

    def reserved(self, user: str) -> int:
        return sum(job.reserved for job in self.jobs.values() if job.user == user)

    def expect(self, body: Body, outcome: Outcome) -> None:
        """Check one outcome and take the command in."""
        before = self.seen.get(body.command_id)
        if before is not None:
            assert outcome == (before[1] if before[0] == body else CONFLICT)
            return
        assert isinstance(outcome, str)
        self.seen[body.command_id] = (body, outcome)
        answer = msgspec.json.decode(outcome)
        if isinstance(body, Authorise):
            assert answer["decision"] == self._authorise(body)
        elif isinstance(body, Report):
            self._report(body)
            assert answer["charged"] == self.jobs[body.job_id].charged
        else:
            assert isinstance(body, Adjust)
            assert (answer["code"] == "") == self._adjust(body)

    def _authorise(self, body: Authorise) -> str:
        job = self.jobs.setdefault(body.job_id, ModelJob(body.user_name))
        if body.attempt <= job.attempt:
            return "superseded"
        job.attempt, job.reserved = body.attempt, 0
        due = max(0, body.facts.impressions * PRICE - job.charged)
        restricted = USERS[job.user][0]
        if due and restricted and self.balance[job.user] - self.reserved(job.user) < due:
            return "denied"
        job.reserved = due
        return "authorised"

    def _report(self, body: Report) -> None:
        job = self.jobs.setdefault(body.job_id, ModelJob(body.user_name))
        if body.revision <= job.revision:
            return
        job.revision = body.revision
        if body.attempt >= job.attempt:
            job.attempt, job.reserved = body.attempt, 0
        due = body.printed.impressions * PRICE - job.charged
        job.charged += due
        self.balance[job.user] -= due

    def _adjust(self, body: Adjust) -> bool:
        user = body.user_name
        if body.only_if_available and body.amount < 0 and self.balance[user] - self.reserved(user) + body.amount < 0:
            return False
        self.balance[user] += body.amount
        return True


class StoreMachine(RuleBasedStateMachine):
    """Random batches; `opened` is set by the test that runs it."""

    opened: "AbstractContextManager[Harness]"

    def __init__(self) -> None:
        super().__init__()
        self._context = self.make()
        self.harness = self._context.__enter__()
        for name, (restricted, balance) in USERS.items():
            self.harness.add_user(name, restricted=restricted, balance=balance)
        self.harness.add_queue("q")
        self.model = Model()
        self.loop = asyncio.new_event_loop()
        self.session = self.harness.store.session(0)
        self.waiting: list[Body] = []
        self.known: list[Body] = []
        self.job_ids = [new_id() for _ in range(4)]

    def make(self) -> "AbstractContextManager[Harness]":
        raise NotImplementedError("a subclass says which store")

    @rule(
        job=st.integers(0, 3), user=st.sampled_from(sorted(USERS)), pages=st.integers(0, 9), attempt=st.integers(1, 4)
    )
    def ask(self, job: int, user: str, pages: int, attempt: int) -> None:
        self._queue(authorise(self.job_ids[job], user, pages, attempt=attempt))

    @rule(
        job=st.integers(0, 3),
        user=st.sampled_from(sorted(USERS)),
        pages=st.integers(0, 9),
        attempt=st.integers(1, 4),
        revision=st.integers(1, 4),
    )
    def tell(self, job: int, user: str, pages: int, attempt: int, revision: int) -> None:
        self._queue(report(self.job_ids[job], user, pages, attempt=attempt, revision=revision))

    @rule(user=st.sampled_from(sorted(USERS)), amount=st.integers(-9, 9), careful=st.booleans())
    def adjust(self, user: str, amount: int, careful: bool) -> None:
        body = Adjust(command_id=new_id(), user_name=user, amount=amount * PRICE, only_if_available=careful)
        self._queue(body)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        self.waiting.append(data.draw(st.sampled_from(self.known)))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def conflict(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.known))
        self.waiting.append(Adjust(command_id=old.command_id, user_name="bob", amount=4711))

    @precondition(lambda self: self.waiting)
    @rule()
    def run_batch(self) -> None:
        bodies, self.waiting = self.waiting, []
        outcomes = self.loop.run_until_complete(run(self.session, *bodies))
        for body, outcome in zip(bodies, outcomes, strict=True):
            self.model.expect(body, outcome)

    @invariant()
    def balances_agree(self) -> None:
        if self.waiting:
            return
        contents = self.harness.contents()
        assert {name: contents.accounts[name].balance for name in USERS} == self.model.balance
        reserved = {name: self.model.reserved(name) for name in USERS}
        assert {name: contents.accounts[name].debits_pending for name in USERS} == reserved
        assert_sound(contents)

    def teardown(self) -> None:
        self.loop.run_until_complete(self.session.close())
        self.loop.close()
        self._context.__exit__(None, None, None)

    def _queue(self, body: Body) -> None:
        self.waiting.append(body)
        self.known.append(body)


@contextmanager
def _memory() -> Iterator[Harness]:
    yield MemoryHarness()


@contextmanager
def _sqlite() -> Iterator[Harness]:
    with TemporaryDirectory() as folder, contextmanager(sqlite_harness)(Path(folder)) as found:
        yield found


@contextmanager
def _postgresql(server: Postgres) -> Iterator[Harness]:
    name = server.new_database()
    try:
        with contextmanager(postgresql_harness)(server.url(name)) as found:
            yield found
    finally:
        server.drop_database(name)


def _check(make: "type[StoreMachine]", examples: int) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(make, settings=settings(RUNS, max_examples=examples))


def test_memory_agrees_with_the_model() -> None:
    class Machine(StoreMachine):
        def make(self) -> "AbstractContextManager[Harness]":
            return _memory()

    _check(Machine, 150)


def test_sqlite_agrees_with_the_model() -> None:
    class Machine(StoreMachine):
        def make(self) -> "AbstractContextManager[Harness]":
            return _sqlite()

    _check(Machine, 15)


def test_postgresql_agrees_with_the_model(postgres: Postgres) -> None:
    class Machine(StoreMachine):
        def make(self) -> "AbstractContextManager[Harness]":
            return _postgresql(postgres)

    _check(Machine, 15)


# ---------------------------------------------------------------- concurrent sessions on PostgreSQL


def _traffic(rng: random.Random, users: list[str], jobs: int) -> list[Body]:
    """Commands of many jobs, each several times, shuffled; some ids used again with other content."""
    bodies: list[Body] = []
    for _ in range(jobs):
        job_id, user, pages = new_id(), rng.choice(users), rng.randint(0, 4)
        bodies += [authorise(job_id, user, pages), report(job_id, user, rng.choice((pages, 0)))]
        bodies.append(authorise(job_id, user, pages, attempt=2))
        bodies.append(Adjust(command_id=new_id(), user_name=user, amount=rng.randint(-9, 3), only_if_available=True))
    clashing = [Adjust(command_id=body.command_id, user_name=rng.choice(users), amount=1) for body in bodies[::17]]
    everything = bodies + rng.sample(bodies, len(bodies) // 2) + clashing
    rng.shuffle(everything)
    return everything


async def _concurrently(store: PostgresqlStore, traffic: list[Body], workers: int, rng: random.Random) -> list[Outcome]:
    """Run the traffic in batches of random size on concurrent sessions. One outcome for each command of the traffic."""
    outcomes: list[Outcome] = [None] * len(traffic)
    waiting = list(range(len(traffic)))

    async def work(stripe: int) -> None:
        session = store.session(stripe)
        while waiting:
            taken = [waiting.pop() for _ in range(min(len(waiting), rng.randint(1, 40)))]
            for index, outcome in zip(taken, await run(session, *[traffic[n] for n in taken]), strict=True):
                outcomes[index] = outcome
        await session.close()

    await asyncio.gather(*[work(stripe) for stripe in range(workers)])
    return outcomes


@pytest.mark.parametrize("users", [1, 3, 40])
def test_concurrent_sessions_lose_and_double_nothing(postgres_url: str, users: int) -> None:
    rng = random.Random(users)
    names = [f"user{n}" for n in range(users)]

    def make(database: Database) -> PostgresqlStore:
        return PostgresqlStore(database.url.conninfo())

    with database_harness(postgres_url, make) as harness:
        _assert_concurrent(harness, rng, names)


def _assert_concurrent(harness: DatabaseHarness, rng: random.Random, names: list[str]) -> None:
    for name in names:
        harness.add_user(name, restricted=True, balance=60 * PRICE)
    harness.add_queue("q")
    traffic = _traffic(rng, names, 250)
    assert isinstance(harness.store, PostgresqlStore)
    outcomes = asyncio.run(_concurrently(harness.store, traffic, 5, rng))
    assert not [outcome for outcome in outcomes if isinstance(outcome, BatchRejected)]
    answers: dict[str, set[tuple[str, str]]] = {}
    for body, outcome in zip(traffic, outcomes, strict=True):
        if outcome is not CONFLICT:
            assert isinstance(outcome, str)
            answers.setdefault(body.command_id, set()).add((type(body).__name__, outcome))
    assert len(answers) == len({body.command_id for body in traffic})
    assert all(len(found) == 1 for found in answers.values()), "one id, two answers"
    contents = harness.contents()
    assert_sound(contents)
    for name in names:
        account = contents.accounts[name]
        exceptions = account.offline_total + account.late_total + account.excess_total
        assert account.available >= -exceptions
