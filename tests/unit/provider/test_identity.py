"""Which printing it is, and what cupsd's and a printer's answers mean for it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace as change

from backend.wire.jobs import Printing
from provider.cups.client import Cupsd, CupsJob
from provider.cups.identity import guess, identify, judge_note, judge_state, ppd_defaults, printing_of_run, question_of
from provider.cups.ipp import JOB_GROUP, Group, Value
from provider.cups.printer import UNKNOWN, UNREACHED, Wanted, choose
from provider.cups.spool import spool_id
from provider.jobs.model import PrinterWord
from provider.jobs.user_names import UserNames
from provider.journal.runs import HeldNote, Started

PRINTING = Printing(spool_id="s", cups_job_id=7, time_at_creation=100)
AGAIN = Printing(spool_id="s", cups_job_id=7, time_at_creation=100, time_at_completed=150)


def cups_job(state: int, created: int = 100, completed: int = 0) -> CupsJob:
    return CupsJob(7, state, created, completed, "anna", "desk", 1)


@pytest.mark.parametrize(
    ("job", "printing", "expected"),
    [
        (None, PRINTING, "unknown"),
        (cups_job(5), PRINTING, "alive"),
        (cups_job(4), PRINTING, "alive"),
        (cups_job(7, completed=120), PRINTING, "canceled"),
        (cups_job(8, completed=120), PRINTING, "aborted"),
        (cups_job(9, completed=120), PRINTING, "completed"),
        (cups_job(5, created=101), PRINTING, "unknown"),  # the spool was emptied, the number is another job's
        (cups_job(5, completed=150), PRINTING, "completed"),  # a person has it printed again: that is not this one
        (cups_job(5, completed=150), AGAIN, "alive"),
    ],
)
def test_what_cupsd_s_job_means(job: CupsJob | None, printing: Printing, expected: str) -> None:
    assert judge_state(job, printing) == expected


@pytest.mark.parametrize(
    ("job", "options", "expected"),
    [
        (cups_job(4), "time-at-creation=100", "held"),
        (cups_job(4), "", "held"),
        (cups_job(5), "time-at-creation=100", "not yet"),
        (cups_job(3), "time-at-creation=100", "over"),
        (cups_job(9), "time-at-creation=100", "over"),
        (cups_job(4, created=101), "time-at-creation=100", "over"),
        (None, "time-at-creation=100", "over"),
    ],
)
def test_when_a_job_that_was_held_without_the_daemon_is_released(
    job: CupsJob | None, options: str, expected: str
) -> None:
    assert judge_note(job, HeldNote(v=1, held_at=1, cups_job_id=7, options=options)) == expected


def started(options: str) -> Started:
    return Started(v=1, started_at=99_500, cups_job_id=7, options=options, user="Anna", title="t", queue="q")


def test_a_run_without_the_daemon_is_known_by_what_cupsd_wrote_into_its_options() -> None:
    written = started("job-uuid=x time-at-creation=100 time-at-completed=150 title='time-at-completed=1'")
    assert printing_of_run(written, "s", cups_job(9, completed=200)) == AGAIN
    bare = started("")
    assert printing_of_run(bare, "s", cups_job(9)).time_at_creation == 100
    assert printing_of_run(bare, "s", None).time_at_creation == 99
    assert question_of(written).user == "Anna"


class Told:
    """A cupsd that tells of one job."""

    def __init__(self, job: CupsJob | None) -> None:
        self._job = job

    async def job(self, _job_id: int) -> CupsJob | None:
        return self._job


OPTIONS = "job-uuid=x job-originating-host-name=desk time-at-creation=100 time-at-processing=101"


@pytest.mark.parametrize(
    ("job", "right"),
    [
        (cups_job(5), True),
        (None, True),  # cupsd does not answer
        (cups_job(5, created=101), False),
        (replace(cups_job(5), documents=2), False),
    ],
)
def test_what_is_guessed_counts_only_where_cupsd_says_the_same(
    tmp_path: Path, job: CupsJob | None, right: bool
) -> None:
    root = tmp_path / "spool"
    root.mkdir()
    question = question_of(change(started(OPTIONS), request_root=str(root), device_uri="ipp://a:b@p/"))
    told = asyncio.run(identify(cast("Cupsd", Told(job)), question, UserNames()))
    guessed = guess(question, UserNames())
    assert guessed is not None
    assert (guessed == told) is right


def test_a_job_that_was_printed_before_is_not_guessed(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.mkdir()
    for options in (f"{OPTIONS} time-at-completed=150", "job-uuid=x"):
        question = question_of(change(started(options), request_root=str(root)))
        asyncio.run(identify(cast("Cupsd", Told(cups_job(5))), question, UserNames()))
        assert guess(question, UserNames()) is None
    unseen = question_of(change(started(OPTIONS), request_root=str(tmp_path / "elsewhere")))
    assert guess(unseen, UserNames()) is None


def test_an_option_cannot_smuggle_a_time_in() -> None:
    smuggled = started(r"job-name=x\ time-at-completed=1 note='time-at-creation=5' time-at-creation=100")
    assert printing_of_run(smuggled, "s", None) == PRINTING


def test_the_spool_s_id_is_made_once(tmp_path: Path) -> None:
    first = spool_id(f"{tmp_path}/spool")
    assert first == spool_id(f"{tmp_path}/spool/")
    assert first != spool_id(f"{tmp_path}/other")
    (tmp_path / "bad.inkeeper-id").write_text("nonsense")
    with pytest.raises(OSError, match="is damaged"):
        spool_id(f"{tmp_path}/bad")


def test_the_queue_s_own_values(tmp_path: Path) -> None:
    ppd = tmp_path / "q.ppd"
    ppd.write_text('*PPD-Adobe: "4.3"\n*DefaultDuplex: DuplexNoTumble\n*Duplex None/Off: ""\n*DefaultPageSize: A4\n')
    assert ppd_defaults(str(ppd)) == {"Duplex": "DuplexNoTumble", "PageSize": "A4"}
    assert ppd_defaults("") == ppd_defaults(str(tmp_path / "none.ppd")) == {}


# ---------------------------------------------------------------- the printer's list


WANTED = Wanted(printer_job_id=0, title="letter", user_name="anna", age_s=20)
UP_TIME = 1000


def printer_job(job_id: int = 5, name: str = "letter", user: str = "anna", created: int = 985, state: int = 9) -> Group:
    values: dict[str, list[Value]] = {
        "job-id": [job_id],
        "job-name": [name],
        "job-originating-user-name": [user],
        "job-state": [state],
        "time-at-creation": [created],
        "job-impressions-completed": [2],
    }
    return Group(JOB_GROUP, values)


COMPLETED = PrinterWord(state="completed", impressions_completed=2)


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([], UNKNOWN),
        ([printer_job()], COMPLETED),
        ([printer_job(name="17 - letter")], COMPLETED),  # a printer without Create-Job
        ([printer_job(name="other")], UNKNOWN),
        ([printer_job(user="ben")], UNKNOWN),
        ([printer_job(created=900)], UNKNOWN),  # older than the run: the same letter of yesterday
        ([printer_job(created=900), printer_job(6)], COMPLETED),
        ([printer_job(5), printer_job(6)], COMPLETED),  # two that say the same
        ([printer_job(5), printer_job(6, state=7)], UNREACHED),  # two that do not: neither is believed
        ([printer_job(name="", user="")], COMPLETED),  # it hides them
    ],
)
def test_which_of_the_printer_s_jobs_it_was(jobs: list[Group], expected: PrinterWord) -> None:
    assert choose(jobs, WANTED, UP_TIME) == expected


def test_jobs_of_other_runs_are_not_it() -> None:
    wanted = Wanted(0, "letter", "anna", 20, others=frozenset({5}))
    assert choose([printer_job(5), printer_job(6, state=5)], wanted, UP_TIME).state == "processing"


def test_after_a_restart_a_job_that_looks_too_old_may_be_it_all_the_same() -> None:
    """Found by the simulator: a clock set back while the machine was off made the run look younger than its job."""
    after_restart = Wanted(0, "letter", "anna", 20, doubt_s=7200)
    assert choose([printer_job(created=900)], after_restart, UP_TIME) == UNREACHED
    assert choose([printer_job(created=900), printer_job(6)], after_restart, UP_TIME) == COMPLETED
    assert choose([printer_job(created=-7000)], after_restart, UP_TIME) == UNKNOWN
    known = Wanted(5, "letter", "anna", 20, doubt_s=7200)
    assert choose([printer_job(5, created=900)], known, UP_TIME) == COMPLETED  # number, name and user all fit


def test_a_job_that_waits_for_its_document_says_so() -> None:
    waiting = printer_job(state=4)
    waiting.attributes["job-state-reasons"] = ["job-data-insufficient"]
    assert choose([waiting], WANTED, UP_TIME).data_insufficient
