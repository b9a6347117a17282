"""What every store must keep, on PostgreSQL, SQLite and in memory alike."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backend.intake.batch import Outcome
from backend.intake.model import Body, Expire
from backend.ledger.model import Kind
from backend.wire.jobs import AuthoriseAnswer, ReportAnswer
from backend.wire.money import Adjust, ConfigureAccount, MoneyAnswer, SetBalance
from tests.support.books import assert_sound
from tests.support.stores import (
    CONFLICT,
    PRICE,
    Harness,
    MemoryHarness,
    authorise,
    new_id,
    postgresql_harness,
    report,
    run,
    sqlite_harness,
)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    if request.param == "memory":
        yield MemoryHarness()
    elif request.param == "sqlite":
        with contextmanager(sqlite_harness)(tmp_path) as found:
            yield found
    else:
        with contextmanager(postgresql_harness)(request.getfixturevalue("postgres_url")) as found:
            yield found


def batches(harness: Harness, *groups: tuple[Body, ...], create_users: bool = True) -> list[list[Outcome]]:
    """Each group as one batch, on one session."""

    async def work() -> list[list[Outcome]]:
        session = harness.store.session(0)
        try:
            return [await run(session, *group, create_users=create_users) for group in groups]
        finally:
            await session.close()

    return asyncio.run(work())


def answer(outcome: Outcome, kind: type[Any]) -> Any:
    assert isinstance(outcome, str), outcome
    return msgspec.json.decode(outcome, type=kind)


def test_a_job_is_reserved_then_charged(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=10 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    first, second = batches(harness, (authorise(job_id, "ada", 3),), (report(job_id, "ada", 3),))
    granted = answer(first[0], AuthoriseAnswer)
    assert (granted.decision, granted.cost, granted.available) == ("authorised", 3 * PRICE, 7 * PRICE)
    assert granted.balance == 10 * PRICE
    charged = answer(second[0], ReportAnswer)
    assert (charged.state, charged.charged, charged.balance) == ("completed", 3 * PRICE, 7 * PRICE)
    contents = harness.contents()
    assert [row.kind for row in contents.transfers if row.job_id] == [Kind.PENDING, Kind.POSTED]
    account = contents.accounts["ada"]
    assert (account.print_jobs, account.print_impressions, account.debits_pending) == (1, 3, 0)
    assert contents.event_count == 2
    assert_sound(contents)


def test_the_same_command_again_gets_the_first_answer(harness: Harness) -> None:
    harness.add_user("ada", balance=10 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    body = authorise(job_id, "ada")
    adjust = Adjust(command_id=new_id(), user_name="ada", amount=7)
    first, later, same_batch = batches(harness, (body, adjust), (body, adjust), (adjust, body, adjust))
    assert later == first
    assert same_batch == [first[1], first[0], first[1]]
    contents = harness.contents()
    assert len([row for row in contents.transfers if row.code != "initial-credit"]) == 2
    assert_sound(contents)


def test_a_command_twice_in_one_batch_happens_once(harness: Harness) -> None:
    harness.add_user("ada")
    adjust = Adjust(command_id=new_id(), user_name="ada", amount=7)
    (outcomes,) = batches(harness, (adjust, adjust))
    assert outcomes[0] == outcomes[1]
    assert harness.contents().accounts["ada"].balance == 7


def test_the_same_id_with_other_content_is_a_conflict_and_moves_nothing(harness: Harness) -> None:
    harness.add_user("ada")
    command_id = new_id()
    one = Adjust(command_id=command_id, user_name="ada", amount=7)
    other = Adjust(command_id=command_id, user_name="ada", amount=8)
    first, second, third = batches(harness, (one,), (other,), (other, one))
    assert second == [CONFLICT]
    assert third == [CONFLICT, first[0]]
    assert harness.contents().accounts["ada"].balance == 7


def test_what_the_account_does_not_cover_is_denied(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=3 * PRICE, overdraft=PRICE)
    harness.add_queue("q")
    first, second, third = new_id(), new_id(), new_id()
    (outcomes,) = batches(
        harness, (authorise(first, "ada", 3), authorise(second, "ada", 2), authorise(third, "ada", 1))
    )
    assert [answer(outcome, AuthoriseAnswer).decision for outcome in outcomes] == ["authorised", "denied", "authorised"]
    denied = answer(outcomes[1], AuthoriseAnswer)
    assert denied.code == "account-limit-reached"
    assert "0.10 EUR" in denied.message
    assert "0.05 EUR" in denied.message
    contents = harness.contents()
    assert contents.jobs[second].state == "denied"
    assert contents.accounts["ada"].available == -PRICE
    assert_sound(contents)


def test_an_unrestricted_account_may_go_below_zero(harness: Harness) -> None:
    harness.add_user("ada")
    harness.add_queue("q")
    (outcomes,) = batches(harness, (authorise(new_id(), "ada", 5),))
    assert answer(outcomes[0], AuthoriseAnswer).available == -5 * PRICE


def test_a_canceled_job_costs_nothing(harness: Harness) -> None:
    harness.add_user("ada", balance=5 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    batches(harness, (authorise(job_id, "ada", 3),), (report(job_id, "ada", 0),))
    contents = harness.contents()
    assert [row.kind for row in contents.transfers if row.job_id] == [Kind.PENDING, Kind.VOIDED]
    assert contents.accounts["ada"].balance == 5 * PRICE
    assert contents.jobs[job_id].state == "canceled"
    assert_sound(contents)


def test_more_printed_than_reserved_is_posted_and_summed(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=2 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    _, (outcome,) = batches(harness, (authorise(job_id, "ada", 2),), (report(job_id, "ada", 3),))
    assert answer(outcome, ReportAnswer).marks == ("excess",)
    contents = harness.contents()
    account = contents.accounts["ada"]
    assert (account.balance, account.excess_total) == (-PRICE, PRICE)
    assert_sound(contents)


def test_a_report_may_come_before_its_authorise(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=5 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    late = authorise(job_id, "ada", 2)
    _, (outcome,) = batches(harness, (report(job_id, "ada", 2, offline=True),), (late,))
    assert answer(outcome, AuthoriseAnswer).decision == "superseded"
    contents = harness.contents()
    account = contents.accounts["ada"]
    assert (account.balance, account.debits_pending, account.offline_total) == (3 * PRICE, 0, 2 * PRICE)
    assert_sound(contents)


def test_a_new_attempt_replaces_the_reservation(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=50 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    batches(harness, (authorise(job_id, "ada", 2),), (authorise(job_id, "ada", 50, attempt=2),))
    contents = harness.contents()
    assert [row.kind for row in contents.transfers if row.job_id] == [Kind.PENDING, Kind.VOIDED, Kind.PENDING]
    assert contents.accounts["ada"].available == 0
    assert contents.jobs[job_id].copies == 1
    assert_sound(contents)


def test_reports_are_absolute_and_the_newest_counts(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    batches(
        harness,
        (authorise(job_id, "ada", 4),),
        (report(job_id, "ada", 4, revision=2),),
        (report(job_id, "ada", 9, revision=1),),
        (report(job_id, "ada", 1, revision=3),),
    )
    contents = harness.contents()
    assert contents.jobs[job_id].charged == PRICE
    assert contents.accounts["ada"].balance == 49 * PRICE
    assert contents.accounts["ada"].print_impressions == 1
    assert_sound(contents)


def test_a_rerun_of_a_charged_job_charges_the_larger_run_only(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    batches(
        harness,
        (authorise(job_id, "ada", 4),),
        (report(job_id, "ada", 3),),
        (authorise(job_id, "ada", 4, attempt=2),),
        (report(job_id, "ada", 4, attempt=2, revision=2),),
    )
    contents = harness.contents()
    assert contents.accounts["ada"].balance == 46 * PRICE
    assert contents.accounts["ada"].print_jobs == 1
    assert_sound(contents)


def test_a_report_of_an_older_attempt_leaves_the_newer_reservation_open(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    batches(
        harness,
        (authorise(job_id, "ada", 4),),
        (authorise(job_id, "ada", 4, attempt=2),),
        (report(job_id, "ada", 4, attempt=1),),
    )
    contents = harness.contents()
    assert contents.jobs[job_id].reserved == 4 * PRICE
    assert contents.jobs[job_id].state == "authorised"
    batches(harness, (report(job_id, "ada", 4, attempt=2, revision=2),))
    contents = harness.contents()
    assert contents.accounts["ada"].balance == 46 * PRICE
    assert contents.accounts["ada"].debits_pending == 0
    assert_sound(contents)


def test_an_expired_reservation_is_in_doubt_and_a_late_report_still_charges(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=2 * PRICE)
    harness.add_queue("q")
    harness.lead(7)
    job_id = new_id()
    expire = Expire(command_id=new_id(), job_id=job_id, term=7)
    again = Expire(command_id=new_id(), job_id=job_id, term=7)
    _, _, (second,), (late,) = batches(
        harness, (authorise(job_id, "ada", 2),), (expire,), (again,), (report(job_id, "ada", 2),)
    )
    assert answer(second, MoneyAnswer).code == "superseded"
    assert answer(late, ReportAnswer).marks == ("late",)
    contents = harness.contents()
    kinds = [(row.kind, row.term) for row in contents.transfers if row.job_id]
    assert kinds == [(Kind.PENDING, 0), (Kind.EXPIRED, 7), (Kind.POSTED, 0)]
    assert contents.accounts["ada"].late_total == 2 * PRICE
    assert_sound(contents)


def test_a_leader_of_the_past_ends_no_reservation(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=2 * PRICE)
    harness.add_queue("q")
    harness.lead(8)
    job_id = new_id()
    stale = Expire(command_id=new_id(), job_id=job_id, term=7)
    current = Expire(command_id=new_id(), job_id=job_id, term=8)
    _, (refused,), (done,) = batches(harness, (authorise(job_id, "ada", 2),), (stale,), (current,))
    assert answer(refused, MoneyAnswer).code == "superseded"
    assert answer(done, MoneyAnswer).code == ""
    assert [row.term for row in harness.contents().transfers if row.kind == Kind.EXPIRED] == [8]
    assert_sound(harness.contents())


def test_a_user_nobody_may_create_is_denied_but_what_was_printed_is_kept(harness: Harness) -> None:
    harness.add_queue("q")
    first, second = new_id(), new_id()
    (outcomes,) = batches(harness, (authorise(first, "eve"), report(second, "eve", 3)), create_users=False)
    assert answer(outcomes[0], AuthoriseAnswer).code == "user-unknown"
    assert "unassigned" in answer(outcomes[1], ReportAnswer).marks
    contents = harness.contents()
    assert contents.accounts["unassigned"].balance == -3 * PRICE
    assert_sound(contents)


def test_a_disabled_user_is_denied(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.disable_user("ada")
    harness.add_queue("q")
    (outcomes,) = batches(harness, (authorise(new_id(), "ada"),))
    assert answer(outcomes[0], AuthoriseAnswer).code == "user-disabled"


def test_money_moved_by_people(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=10)
    if_available = Adjust(command_id=new_id(), user_name="ada", amount=-11, only_if_available=True)
    leaving = Adjust(command_id=new_id(), user_name="ada", amount=-8, only_if_available=True, leave=3)
    plain = Adjust(command_id=new_id(), user_name="ada", amount=-11, comment="lost card")
    to_five = SetBalance(command_id=new_id(), user_name="ada", balance=5)
    overdraft = ConfigureAccount(command_id=new_id(), user_name="ada", overdraft=20, restricted=False)
    nobody = Adjust(command_id=new_id(), user_name="eve", amount=1)
    (outcomes,) = batches(harness, (if_available, leaving, plain, to_five, overdraft, nobody))
    answers = [answer(outcome, MoneyAnswer) for outcome in outcomes]
    assert [found.code for found in answers] == [
        "account-limit-reached",
        "account-limit-reached",
        "",
        "",
        "",
        "user-unknown",
    ]
    assert [found.balance for found in answers[:4]] == [10, 10, -1, 5]
    contents = harness.contents()
    assert [(row.amount, row.balance_after) for row in contents.transfers] == [(10, 10), (11, -1), (6, 5)]
    assert contents.transfers[1].comment == "lost card"
    account = contents.accounts["ada"]
    assert (account.overdraft, account.restricted) == (20, False)
    assert_sound(contents)


def test_giving_money_is_never_refused(harness: Harness) -> None:
    harness.add_user("ada", restricted=True)
    debt = Adjust(command_id=new_id(), user_name="ada", amount=-50)
    gift = Adjust(command_id=new_id(), user_name="ada", amount=10, only_if_available=True)
    (outcomes,) = batches(harness, (debt, gift))
    assert answer(outcomes[1], MoneyAnswer).balance == -40


def test_text_that_people_write_survives(harness: Harness) -> None:
    harness.add_user("ada")
    wicked = 'Ćwiczenie "7" \\ {a,b} NULL; €5 \U0001f4c4\ttab'
    (outcomes,) = batches(harness, (Adjust(command_id=new_id(), user_name="ada", amount=1, comment=wicked),))
    assert answer(outcomes[0], MoneyAnswer).balance == 1
    assert harness.contents().transfers[-1].comment == wicked


def test_users_and_queues_that_a_job_meets_first_are_made(harness: Harness) -> None:
    async def provide(missing: Any) -> None:
        for name in missing.users:
            harness.add_user(name)
        for _, name in missing.queues:
            harness.add_queue(name)

    async def work() -> list[Outcome]:
        session = harness.store.session(0)
        try:
            return await run(session, authorise(new_id(), "new"), report(new_id(), "newer"), provide=provide)
        finally:
            await session.close()

    outcomes = asyncio.run(work())
    assert answer(outcomes[0], AuthoriseAnswer).decision == "authorised"
    assert answer(outcomes[1], ReportAnswer).state == "completed"
    assert_sound(harness.contents())
