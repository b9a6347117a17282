"""Held jobs on every store: released or canceled by people, ended by time, and what the ledger holds after it."""

import asyncio

import msgspec
import pytest

from backend.intake.model import Cancel, EndHold, Expire, Release
from backend.jobs.model import Need
from backend.wire.jobs import AuthoriseAnswer, JobActionAnswer, ReportAnswer
from backend.wire.money import MoneyAnswer, SetBalance
from backend.wire.pricing import SimpleCost
from tests.integration.test_store_conformance import answer, batches, harness
from tests.support.books import assert_sound
from tests.support.stores import PRICE, Harness, authorise, new_id, report, run

__all__ = ["harness"]  # the fixture


def release(job_id: str) -> Release:
    return Release(command_id=new_id(), job_id=job_id)


def cancel(job_id: str, reason: str = "") -> Cancel:
    return Cancel(command_id=new_id(), job_id=job_id, reason=reason)


def held(harness: Harness, *, balance: int = 10, impressions: int = 2) -> str:
    """A job of ada's that waits on a queue that holds jobs."""
    harness.add_user("ada", restricted=True, balance=balance * PRICE)
    harness.add_queue("q", hold_jobs=True)
    job_id = new_id()
    (outcomes,) = batches(harness, (authorise(job_id, "ada", impressions),))
    found = answer(outcomes[0], AuthoriseAnswer)
    assert (found.decision, found.code, found.cost) == ("held", "held-for-release", impressions * PRICE)
    return job_id


def need(harness: Harness, job_id: str) -> int:
    found = harness.wants().get(job_id)
    return Need.NOBODY if found is None else found.need


def test_a_held_job_reserves_nothing_until_it_is_released_and_asks_again(harness: Harness) -> None:
    job_id = held(harness)
    contents = harness.contents()
    assert (contents.jobs[job_id].state, contents.jobs[job_id].code) == ("held", "held-for-release")
    assert contents.accounts["ada"].debits_pending == 0
    assert need(harness, job_id) == Need.RELEASE
    ((released,),) = batches(harness, (release(job_id),))
    assert answer(released, JobActionAnswer) == JobActionAnswer(state="released")
    assert need(harness, job_id) == Need.CARRY_OUT
    ((asked,),) = batches(harness, (authorise(job_id, "ada", attempt=2),))
    assert answer(asked, AuthoriseAnswer).decision == "authorised"
    assert need(harness, job_id) == Need.NOBODY
    ((charged,),) = batches(harness, (report(job_id, "ada", attempt=2),))
    found = answer(charged, ReportAnswer)
    assert (found.charged, found.balance, found.available) == (2 * PRICE, 8 * PRICE, 8 * PRICE)
    assert found.marks == ("released",)
    assert_sound(harness.contents())


@pytest.mark.parametrize("change", ["impressions", "copies", "color", "queue"])
def test_what_is_not_what_was_released_is_held_again(harness: Harness, change: str) -> None:
    job_id = held(harness)
    harness.add_queue("r", hold_jobs=True)
    other = authorise(job_id, "ada", 3 if change == "impressions" else 2, attempt=2)
    if change == "copies":
        other = msgspec.structs.replace(other, facts=msgspec.structs.replace(other.facts, copies=2))
    elif change == "color":
        other = msgspec.structs.replace(other, facts=msgspec.structs.replace(other.facts, color_impressions=1))
    elif change == "queue":
        other = msgspec.structs.replace(other, queue="r")
    _, (again,), (released,), (asked,) = batches(
        harness,
        (release(job_id),),
        (other,),
        (release(job_id),),
        (msgspec.structs.replace(other, attempt=3, command_id=new_id()),),
    )
    assert answer(again, AuthoriseAnswer).decision == "held"
    assert answer(released, JobActionAnswer).code == ""
    assert answer(asked, AuthoriseAnswer).decision == "authorised"
    assert_sound(harness.contents())


def test_a_release_stays_through_a_run_after_a_crash(harness: Harness) -> None:
    job_id = held(harness)
    _, (first,), (second,) = batches(
        harness,
        (release(job_id),),
        (authorise(job_id, "ada", attempt=2),),
        (authorise(job_id, "ada", attempt=3),),
    )
    assert answer(first, AuthoriseAnswer).decision == answer(second, AuthoriseAnswer).decision == "authorised"
    assert harness.contents().accounts["ada"].debits_pending == 2 * PRICE
    assert_sound(harness.contents())


def test_a_released_job_is_denied_when_the_money_is_gone(harness: Harness) -> None:
    job_id = held(harness)
    spent = SetBalance(command_id=new_id(), user_name="ada", balance=PRICE)
    _, _, (asked,) = batches(harness, (release(job_id),), (spent,), (authorise(job_id, "ada", attempt=2),))
    assert answer(asked, AuthoriseAnswer).code == "account-limit-reached"
    assert need(harness, job_id) == Need.NOBODY
    assert_sound(harness.contents())


def test_a_canceled_job_is_told_until_its_print_server_says_that_it_is_over(harness: Harness) -> None:
    job_id = held(harness)
    ((canceled,),) = batches(harness, (cancel(job_id, "wrong printer"),))
    assert answer(canceled, JobActionAnswer).state == "canceled"
    want = harness.wants()[job_id]
    assert (want.need, want.reason) == (Need.CARRY_OUT, "wrong printer")
    ((asked,),) = batches(harness, (report(job_id, "ada", 0),))
    assert answer(asked, ReportAnswer).charged == 0
    job = harness.contents().jobs[job_id]
    assert (job.state, job.code) == ("canceled", "canceled-by-operator")
    assert need(harness, job_id) == Need.NOBODY


def test_a_job_that_asks_after_it_was_canceled_is_denied_for_that_reason(harness: Harness) -> None:
    job_id = held(harness)
    _, (asked,), (again,) = batches(
        harness, (cancel(job_id),), (authorise(job_id, "ada", attempt=2),), (authorise(job_id, "ada", attempt=3),)
    )
    for outcome in (asked, again):
        found = answer(outcome, AuthoriseAnswer)
        assert (found.decision, found.code) == ("denied", "canceled-by-operator")
    assert harness.contents().jobs[job_id].state == "canceled"
    assert need(harness, job_id) == Need.NOBODY


def test_a_printing_job_is_canceled_by_its_print_server(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, balance=10 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    _, (canceled,) = batches(harness, (authorise(job_id, "ada", 4),), (cancel(job_id, "smoke"),))
    assert answer(canceled, JobActionAnswer) == JobActionAnswer(state="authorised")
    job = harness.contents().jobs[job_id]
    assert (job.state, job.code, job.reserved) == ("authorised", "cancel-requested", 4 * PRICE)
    assert harness.wants()[job_id].reason == "smoke"
    part = msgspec.structs.replace(report(job_id, "ada", 1), outcome="canceled")
    ((charged,),) = batches(harness, (part,))
    assert answer(charged, ReportAnswer).charged == PRICE
    job = harness.contents().jobs[job_id]
    assert (job.state, job.code) == ("canceled", "canceled-by-operator")
    assert need(harness, job_id) == Need.NOBODY
    assert_sound(harness.contents())


def test_a_cancel_that_comes_too_late_leaves_the_job_completed(harness: Harness) -> None:
    harness.add_user("ada")
    harness.add_queue("q")
    job_id = new_id()
    batches(harness, (authorise(job_id, "ada"),), (cancel(job_id),), (report(job_id, "ada"),))
    job = harness.contents().jobs[job_id]
    assert (job.state, job.code, job.charged) == ("completed", "", 2 * PRICE)
    ((late,), (gone,)) = batches(harness, (cancel(job_id),), (cancel(new_id()),))
    assert answer(late, JobActionAnswer).code == "job-not-held"
    assert answer(gone, JobActionAnswer).code == "job-unknown"
    assert need(harness, job_id) == Need.NOBODY


def test_only_a_held_job_is_released_and_a_lost_answer_is_told_again(harness: Harness) -> None:
    job_id = held(harness)
    one = release(job_id)
    (first,), (replayed,), (second,) = batches(harness, (one,), (one,), (release(job_id),))
    assert replayed == first
    assert answer(second, JobActionAnswer).code == "job-not-held"
    assert [row.action for row in harness.audits()] == ["job-released"]


def test_a_hold_ends_by_time_only_under_the_leader_and_only_if_it_is_that_old(harness: Harness) -> None:
    job_id = held(harness)
    harness.lead(8)

    def end(term: int, held_before: int) -> EndHold:
        return EndHold(command_id=new_id(), job_id=job_id, term=term, held_before=held_before)

    late = 2**50
    (stale,), (young,), (ended,), (again,) = batches(
        harness, (end(7, late),), (end(8, 1),), (end(8, late),), (end(8, late),)
    )
    assert [answer(found, JobActionAnswer).code for found in (stale, young, ended, again)] == [
        "superseded",
        "superseded",
        "",
        "superseded",
    ]
    job = harness.contents().jobs[job_id]
    assert (job.state, job.code, job.term) == ("canceled", "hold-expired", 8)
    assert need(harness, job_id) == Need.CARRY_OUT


def test_released_and_canceled_at_once_by_two_servers_one_wins_and_the_books_hold(harness: Harness) -> None:
    job_id = held(harness)

    async def work() -> tuple[JobActionAnswer, JobActionAnswer]:
        one, other = harness.store.session(0), harness.store.session(1)
        try:
            released, canceled = await asyncio.gather(run(one, release(job_id)), run(other, cancel(job_id)))
            (asked,) = await run(one, authorise(job_id, "ada", attempt=2))
            assert answer(asked, AuthoriseAnswer).code == "canceled-by-operator"
        finally:
            await one.close()
            await other.close()
        return answer(released[0], JobActionAnswer), answer(canceled[0], JobActionAnswer)

    released, canceled = asyncio.run(work())
    assert released.code in ("", "job-not-held")  # before the cancel or after it
    assert canceled == JobActionAnswer(state="canceled")
    contents = harness.contents()
    assert contents.jobs[job_id].state == "canceled"
    assert contents.accounts["ada"].available == 10 * PRICE
    assert_sound(contents)


def test_a_job_is_charged_by_the_rule_that_priced_it_offline(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.add_queue("q")
    rule = SimpleCost(per_impression=70, version=3)
    body = msgspec.structs.replace(report(new_id(), "ada", 4, offline=True), offline_rule=rule)
    ((charged,),) = batches(harness, (body,))
    assert answer(charged, ReportAnswer).charged == 280
    assert msgspec.json.decode(harness.contents().jobs[body.job_id].rule, type=SimpleCost) == rule
    assert_sound(harness.contents())


def test_a_moved_job_is_of_its_new_queue_and_priced_by_it(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.add_queue("q")
    harness.add_queue("dear", '{"model":"simple","per_impression":900,"version":1}')
    job_id, offline, stays = new_id(), new_id(), new_id()
    moved = msgspec.structs.replace(
        authorise(job_id, "ada", attempt=2, queue="dear"), title="Renamed.pdf", host="elsewhere"
    )
    _, (asked,), (charged,) = batches(
        harness,
        (authorise(job_id, "ada"), authorise(offline, "ada"), authorise(stays, "ada")),
        (moved,),
        (report(offline, "ada", attempt=2, queue="dear"),),
    )
    assert answer(asked, AuthoriseAnswer).cost == 1800
    assert answer(charged, ReportAnswer).charged == 1800
    jobs = harness.contents().jobs
    assert jobs[job_id].queue_id == jobs[offline].queue_id != jobs[stays].queue_id
    assert (jobs[job_id].title, jobs[job_id].host) == ("Renamed.pdf", "elsewhere")
    batches(harness, (report(job_id, "ada", attempt=2, queue="dear"),))
    assert harness.contents().jobs[job_id].host == "elsewhere"
    assert_sound(harness.contents())


def test_what_nobody_can_tell_of_is_for_the_help_desk(harness: Harness) -> None:
    harness.add_user("ada", balance=50 * PRICE)
    harness.add_queue("q")
    sure, lost, doubled, counted = (new_id() for _ in range(4))
    unseen = msgspec.structs.replace(report(lost, "ada"), estimated=True, in_doubt=True, outcome="aborted")
    again = msgspec.structs.replace(report(doubled, "ada"), possible_duplicate=True)
    by_rule = msgspec.structs.replace(report(counted, "ada"), estimated=True)
    batches(harness, (report(sure, "ada"), unseen, again, by_rule))
    assert [need(harness, job_id) for job_id in (sure, lost, doubled, counted)] == [0, Need.LOOK, Need.LOOK, 0]


def test_a_job_in_doubt_is_for_the_help_desk_until_it_is_reported(harness: Harness) -> None:
    harness.add_user("ada")
    harness.add_queue("q")
    harness.lead(1)
    job_id = new_id()
    expire = Expire(command_id=new_id(), job_id=job_id, term=1)
    _, (expired,) = batches(harness, (authorise(job_id, "ada"),), (expire,))
    assert answer(expired, MoneyAnswer).code == ""
    assert need(harness, job_id) == Need.LOOK
    batches(harness, (report(job_id, "ada"),))
    assert need(harness, job_id) == Need.NOBODY
