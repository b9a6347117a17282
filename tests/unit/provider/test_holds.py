"""What the keeper of held jobs does when: a table of what CUPS lists, what the record says and what servers decided."""

from dataclasses import dataclass
from typing import Literal

import pytest

from backend.wire.jobs import Printing
from provider.jobs.holds import AGAIN_S, MOST_AT_ONCE, Decided, Step, steps
from provider.jobs.model import HeldFor, JobRecord


@dataclass(frozen=True)
class Job:
    held: bool = True
    time_at_creation: int = 100


def record(number: int = 1, held_for: HeldFor = "release", created_at: int = 0) -> JobRecord:
    return JobRecord(
        job_id=f"job-{number}",
        printing=Printing(spool_id="s", cups_job_id=number, time_at_creation=100),
        queue="q",
        user_name="anna",
        created_at=created_at,
        held_for=held_for,
    )


DECISION = Literal["release", "cancel"]


@pytest.mark.parametrize(
    ("held_for", "job", "decision", "answering", "act"),
    [
        ("release", Job(), None, True, None),
        ("release", Job(), "release", True, "release"),
        ("release", Job(held=False), "release", True, None),  # its backend has not left yet, or a person let it go
        ("release", Job(), "cancel", True, "cancel"),
        ("release", None, None, True, "look"),
        ("release", Job(time_at_creation=99), "release", True, "look"),  # another job has its number now
        ("server", Job(), None, False, None),
        ("server", Job(), None, True, "release"),
        ("server", Job(held=False), None, True, None),
        ("server", None, None, False, "look"),
        ("", Job(held=False), None, True, None),
        ("", Job(held=False), "cancel", True, "cancel"),  # it prints: stopped as a person would
        ("", Job(), "release", True, None),  # held by a person, not by us
        ("", None, "cancel", True, None),
        ("", Job(time_at_creation=99), "cancel", True, None),
    ],
)
def test_what_is_done(
    held_for: HeldFor, job: Job | None, decision: DECISION | None, answering: bool, act: str | None
) -> None:
    decided = Decided(answering, {"job-1": decision} if decision else {})
    found = steps([record(held_for=held_for)], {1: job} if job else {}, decided, {}, 0.0)
    assert [(step.job_id, step.cups_job_id, step.act) for step in found] == ([("job-1", 1, act)] if act else [])


@pytest.mark.parametrize(
    ("held_for", "job", "waits", "act"),
    [
        ("release", Job(), True, "refuse"),
        ("release", Job(), False, "cancel"),  # without a daemon its queue would print it
        ("release", Job(held=False), True, "cancel"),  # on its way already
        ("server", Job(), True, "cancel"),
        ("", Job(), True, "cancel"),
    ],
)
def test_who_waits_for_a_release_is_denied_with_the_reason_where_no_fault_can_let_it_print(
    held_for: HeldFor, job: Job, waits: bool, act: str
) -> None:
    decided = Decided(True, {"job-1": "cancel"}, frozenset({"q"} if waits else {"other"}))
    assert [step.act for step in steps([record(held_for=held_for)], {1: job}, decided, {}, 0.0)] == [act]


def test_the_oldest_go_first_and_not_all_at_once() -> None:
    records = [record(number, "server", created_at=1000 - number) for number in range(1, 40)]
    found = steps(records, {number: Job() for number in range(1, 40)}, Decided(True, {}), {}, 0.0)
    assert [step.cups_job_id for step in found] == list(range(39, 39 - MOST_AT_ONCE, -1))


def test_what_was_tried_is_left_alone_for_a_moment_and_gives_others_its_place() -> None:
    records = [record(number, "server", created_at=number) for number in (1, 2)]
    listed = {1: Job(), 2: Job()}
    assert steps(records, listed, Decided(True, {}), {"job-1": 10.0}, 10.0 + AGAIN_S - 1) == (
        Step("job-2", 2, "release"),
    )
    assert len(steps(records, listed, Decided(True, {}), {"job-1": 10.0}, 10.0 + AGAIN_S)) == 2
