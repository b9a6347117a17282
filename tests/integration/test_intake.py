"""The one door: batches under load, the database going away and coming back, bounds, and an orderly end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from backend.db.engine import Database
from backend.intake import service
from backend.intake.errors import CommandConflict, IntakeError, OutcomeUnknown, Overloaded, Unavailable
from backend.intake.model import Policy
from backend.intake.service import Intake
from backend.intake.store_postgresql import PostgresqlStore
from backend.wire.money import Adjust, MoneyAnswer
from tests.support.books import assert_sound
from tests.support.postgresql import Postgres
from tests.support.stores import LEDGER, DatabaseHarness, database_harness, new_id, provide_nothing
from tests.support.tcp_proxy import TcpProxy

READY_S = 10


@pytest.fixture
def place(postgres: Postgres) -> Iterator[tuple[DatabaseHarness, TcpProxy]]:
    name = postgres.new_database()
    with TcpProxy(postgres.port) as proxy:

        def make(_: Database) -> PostgresqlStore:
            return PostgresqlStore(
                f"host=127.0.0.1 port={proxy.port} user=postgres dbname={name}", commit_timeout_s=1.0
            )

        with database_harness(postgres.url(name), make) as harness:
            harness.add_user("ada")
            yield harness, proxy
    postgres.drop_database(name)


def with_intake(harness: DatabaseHarness, work: Callable[[Intake], Awaitable[None]]) -> None:
    """Run `work` with a started intake, and end that in good order."""

    async def run() -> None:
        intake = Intake(harness.store, Policy(ledger=LEDGER), provide_nothing, on_commit=lambda: None)
        intake.start()
        await until(lambda: intake.ready)
        try:
            await work(intake)
        finally:
            await intake.close(2)

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(READY_S):
        while not condition():  # noqa: ASYNC110  (conditions of many kinds, each soon true)
            await asyncio.sleep(0.01)


def adjust(amount: int = 1) -> Adjust:
    return Adjust(command_id=new_id(), user_name="ada", amount=amount)


async def ask(intake: Intake, body: Adjust) -> MoneyAnswer:
    return await intake.ask(body, MoneyAnswer, actor="tester")


def test_many_at_once_share_few_commits(place: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, _ = place

    async def work(intake: Intake) -> None:
        answers = await asyncio.gather(*[ask(intake, adjust()) for _ in range(500)])
        assert sorted(answer.balance for answer in answers) == list(range(1, 501))

    with_intake(harness, work)
    assert harness.contents().accounts["ada"].balance == 500
    assert_sound(harness.contents())


def test_a_conflict_is_named(place: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, _ = place

    async def work(intake: Intake) -> None:
        body = adjust()
        await ask(intake, body)
        with pytest.raises(CommandConflict):
            await ask(intake, Adjust(command_id=body.command_id, user_name="ada", amount=2))

    with_intake(harness, work)


def test_a_lost_answer_to_a_commit_is_asked_for_again_inside(place: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, proxy = place

    async def work(intake: Intake) -> None:
        proxy.cut_after_commit()
        assert (await ask(intake, adjust())).balance == 1
        assert proxy.fired.is_set()

    with_intake(harness, work)
    assert harness.contents().accounts["ada"].balance == 1


def test_without_its_database_it_refuses_at_once_and_comes_back(place: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, proxy = place

    async def work(intake: Intake) -> None:
        await ask(intake, adjust())
        proxy.refuse()
        in_flight = asyncio.create_task(ask(intake, adjust()))
        await until(lambda: not intake.ready)
        with pytest.raises(Unavailable):
            await ask(intake, adjust())
        proxy.accept()
        assert (await in_flight).balance == 2
        await until(lambda: intake.ready)
        assert (await ask(intake, adjust())).balance == 3

    with_intake(harness, work)


def test_past_its_deadline_the_truth_is_told(
    place: tuple[DatabaseHarness, TcpProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness, proxy = place
    monkeypatch.setattr(service, "DEADLINE_S", 0.3)
    body = adjust(7)

    async def work(intake: Intake) -> None:
        await ask(intake, adjust())
        proxy.cut_after_commit()
        unknown = asyncio.create_task(ask(intake, body))
        await until(proxy.fired.is_set)
        proxy.refuse()
        with pytest.raises(OutcomeUnknown):
            await unknown
        proxy.accept()
        await until(lambda: intake.ready)
        assert (await ask(intake, body)).balance == 8

    with_intake(harness, work)
    assert harness.contents().accounts["ada"].balance == 8


def test_the_queue_is_bounded(place: tuple[DatabaseHarness, TcpProxy], monkeypatch: pytest.MonkeyPatch) -> None:
    harness, _ = place
    monkeypatch.setattr(service, "MAX_WAITING", 3)

    async def work(intake: Intake) -> None:
        outcomes = await asyncio.gather(*[ask(intake, adjust()) for _ in range(9)], return_exceptions=True)
        assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 6
        assert sum(isinstance(outcome, MoneyAnswer) for outcome in outcomes) == 3

    with_intake(harness, work)


def test_closing_answers_what_waits_and_refuses_the_rest(place: tuple[DatabaseHarness, TcpProxy]) -> None:
    harness, _ = place

    async def work(intake: Intake) -> None:
        asked = [asyncio.create_task(ask(intake, adjust())) for _ in range(50)]
        await asyncio.sleep(0)
        await intake.close(5)
        assert all(isinstance(outcome, MoneyAnswer) for outcome in await asyncio.gather(*asked))
        with pytest.raises(IntakeError):
            await ask(intake, adjust())

    with_intake(harness, work)
    assert harness.contents().accounts["ada"].balance == 50
