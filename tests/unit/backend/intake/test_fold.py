"""What a batch reads, what it finds missing, and the fingerprint that tells one command from another."""

from hypothesis import given
from hypothesis import strategies as st

from backend.intake import fold
from backend.intake.model import Rows, command
from backend.jobs import machine
from backend.jobs.model import QueueRow, UserRow
from backend.ledger.model import UNASSIGNED
from backend.wire.money import Adjust
from tests.support.stores import COST, PROVIDER_ID, authorise, new_id, report


def empty_rows() -> Rows:
    return Rows(now=1, answers={}, jobs={}, users={}, queues={}, accounts={})


def test_reads_are_sorted_and_each_thing_once() -> None:
    job = new_id()
    commands = [command(body, "t", PROVIDER_ID) for body in (authorise(job, "b"), report(job, "a"), report(job, "b"))]
    reads = fold.reads([*commands, commands[0]])
    assert [claim[0] for claim in reads.claims] == sorted(one.command_id for one in commands)
    assert reads.job_ids == [job]
    assert reads.user_names == ["a", "b"]
    assert reads.queues == [(PROVIDER_ID, "q")]


def test_only_jobs_make_users_and_queues() -> None:
    rows = empty_rows()
    adjust = command(Adjust(command_id=new_id(), user_name="typo", amount=1), "t")
    assert not fold.missing([adjust], rows, create_users=True)
    job = command(authorise(new_id(), "new"), "t", PROVIDER_ID)
    missing = fold.missing([adjust, job], rows, create_users=True)
    assert (missing.users, missing.queues) == (("new",), ((PROVIDER_ID, "q"),))
    assert not fold.missing([job], rows, create_users=False).users


def test_an_answered_job_needs_nothing_made() -> None:
    job = command(authorise(new_id(), "gone"), "t", PROVIDER_ID)
    rows = empty_rows()
    rows.answers[job.command_id] = (job.fingerprint, "{}")
    assert not fold.missing([job], rows, create_users=True)


def test_a_job_without_an_account_locks_unassigned() -> None:
    rows = empty_rows()
    rows.queues[PROVIDER_ID, "q"] = QueueRow(1, PROVIDER_ID, "q", "p", False, 0, COST)
    job = command(report(new_id(), "nobody"), "t", PROVIDER_ID)
    assert fold.unlocked([job], rows) == [UNASSIGNED]
    rows.users["nobody"] = UserRow("nobody", 100, False, 0)
    assert fold.unlocked([job], rows) == []


@given(st.integers(-100, 100), st.integers(-100, 100), st.text(max_size=5), st.text(max_size=5))
def test_fingerprints_differ_exactly_with_the_content(one: int, two: int, first: str, second: str) -> None:
    command_id = new_id()
    a = command(Adjust(command_id=command_id, user_name="u", amount=one, comment=first), "x")
    b = command(Adjust(command_id=command_id, user_name="u", amount=two, comment=second), "y")
    assert (a.fingerprint == b.fingerprint) == ((one, first) == (two, second))


def test_the_provider_is_part_of_the_content() -> None:
    body = authorise(new_id(), "u")
    assert command(body, "x", 1).fingerprint != command(body, "x", 2).fingerprint


def test_a_switch_may_be_off_for_a_time() -> None:
    assert machine.is_open(False, 0, 10)
    assert not machine.is_open(True, 0, 10)
    assert not machine.is_open(True, 11, 10)
    assert machine.is_open(True, 10, 10)
