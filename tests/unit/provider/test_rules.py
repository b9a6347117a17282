"""What a run put on paper, by its evidence; what that comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend.wire.base import PartialCharge
from backend.wire.jobs import JobFacts, Printing
from backend.wire.pricing import Printed
from provider.jobs import rules
from provider.jobs.model import Cursor, Evidence, JobRecord, PrinterWord, RunRecord, Verdict

FACTS = JobFacts(impressions=10, sheets=5, color_impressions=3)

LOG = b"""\
INFO: Connecting to printer.
DEBUG: Connected to 127.0.0.1:6611...
DEBUG: job-state enum pending-held
DEBUG: Print job accepted - job ID 17.
DEBUG: Sending file 1 using chunking...
STATE: +cups-waiting-for-job-completed
DEBUG: (monitor) job-state = completed
DEBUG: job-impressions-completed integer 4
DEBUG: job-state enum processing
DEBUG: job-impressions-completed integer 10
DEBUG: job-state enum completed
"""


def run(**values: object) -> RunRecord:
    return replace(RunRecord(number=1, name="r.1", started_at=0, facts=FACTS), **values)


def evidence(**values: object) -> Evidence:
    return replace(Evidence(spoke=True, connected=True, sending=True, waited=True, printer_job_id=17), **values)


def test_the_last_word_of_the_messages_counts_and_the_monitor_is_not_believed() -> None:
    assert rules.read_evidence(LOG) == Evidence(
        spoke=True,
        connected=True,
        sending=True,
        waited=True,
        printer_job_id=17,
        printer_state="completed",
        impressions_completed=10,
    )
    assert rules.read_evidence(b"DEBUG: (monitor) job-state = completed\n").printer_state == ""
    assert rules.read_evidence(b"") == Evidence()


@given(st.binary(max_size=400))
def test_no_log_whatever_makes_reading_it_fail(noise: bytes) -> None:
    rules.read_evidence(LOG + noise)


@pytest.mark.parametrize(
    ("uri", "exit_code", "canceled", "found", "expected"),
    [
        ("ipp", 0, False, evidence(printer_state="completed"), "printed"),
        ("ipp://p/?waitjob=false", 0, False, evidence(waited=False), "printed"),
        ("ipp://p/?a=b+waitjob=off", 0, False, evidence(waited=False), "printed"),
        ("ipp://p/?waitjob=true", 0, False, evidence(waited=False), ""),
        ("ipp", 0, False, evidence(waited=False), ""),  # a full disk may have swallowed that it waited, and for what
        ("ipp://p/?waitjob=false", 0, False, evidence(waited=False, printer_state="canceled"), ""),
        ("ipp", 0, False, evidence(printer_state="processing"), ""),  # ended with 0 although the printer aborted it
        ("ipp", 0, False, evidence(printer_state="aborted"), ""),
        ("ipp", 0, False, evidence(as_raster=True), "nothing"),  # CUPS runs it again as raster
        (
            "ipp",
            0,
            True,
            evidence(connected=False, sending=False, waited=False),
            "nothing",
        ),  # canceled before it reached the printer
        # a full disk swallowed that it sent something, not what came of it
        ("ipp", 0, True, Evidence(spoke=True, printer_state="canceled", impressions_completed=2), ""),
        ("ipp", 1, False, Evidence(spoke=True, waited=True), ""),
        ("ipp", 0, True, evidence(sending=False, waited=False), ""),  # a full disk may have swallowed what came after
        ("ipp", 0, False, evidence(connected=False, sending=False, waited=False), ""),
        ("ipp", 0, True, evidence(printer_state="processing"), ""),
        ("ipp", 1, False, evidence(connected=False, sending=False, waited=False), "nothing"),
        ("ipp", 1, False, evidence(sending=False, waited=False), ""),
        ("ipp", 1, False, evidence(), ""),
        ("ipps", None, False, evidence(sending=False, waited=False), ""),  # killed: the messages may have been lost
        ("ipp", 0, False, Evidence(), ""),  # no messages at all: lost with the machine
        ("ipp", 4, False, Evidence(spoke=True, unstarted=True), "nothing"),
        ("socket", 0, False, evidence(), "printed"),
        ("socket", 0, True, evidence(connected=False), "nothing"),
        ("socket", 0, True, evidence(), "unknown"),
        ("socket", None, False, evidence(), "unknown"),
        ("usb", 1, False, Evidence(spoke=True), "unknown"),
        ("file", 0, False, Evidence(), "printed"),
        ("file", None, False, Evidence(), "unknown"),
    ],
)
def test_what_a_run_s_own_files_prove(
    uri: str, exit_code: int | None, canceled: bool, found: Evidence, expected: str
) -> None:
    assert rules.judge(run(exit_code=exit_code, canceled=canceled, evidence=found), uri) == expected


@pytest.mark.parametrize(
    ("word", "sending", "verdict", "printed"),
    [
        (PrinterWord(state="completed"), True, "printed", 10),
        (PrinterWord(state="processing"), True, "", 0),
        (PrinterWord(state="pending-held", data_insufficient=True), False, "nothing", 0),
        (PrinterWord(state="canceled", impressions_completed=4), True, "partly", 4),
        (PrinterWord(state="canceled", impressions_completed=99), True, "partly", 10),
        (PrinterWord(state="aborted", impressions_completed=0), True, "nothing", 0),
        (PrinterWord(state="aborted"), True, "unknown", 10),
        (PrinterWord(known=False), False, "nothing", 0),
        (PrinterWord(known=False), True, "unknown", 10),  # printers forget
        (PrinterWord(reached=False), False, "unknown", 10),
    ],
)
def test_the_printer_s_word(word: PrinterWord, sending: bool, verdict: str, printed: int) -> None:
    heard = rules.hear_printer(run(evidence=evidence(sending=sending, waited=sending)), word)
    assert heard.verdict == verdict
    if verdict:
        amount, estimated = rules.printed_by(heard)
        assert amount.impressions == printed
        assert estimated == (verdict == "unknown")


def test_a_run_that_sent_nothing_is_not_charged_because_the_printer_is_away() -> None:
    unreached = PrinterWord(reached=False)
    assert (
        rules.hear_printer(run(exit_code=0, evidence=evidence(sending=False, waited=False)), unreached).verdict
        == "nothing"
    )
    assert rules.hear_printer(run(exit_code=0, evidence=Evidence()), unreached).verdict == "unknown"


def test_a_run_that_heard_of_its_job_has_sent_something_whatever_its_messages_lack() -> None:
    heard = run(exit_code=0, evidence=Evidence(spoke=True, printer_state="canceled"))
    assert rules.hear_printer(heard, PrinterWord(reached=False)).verdict == "unknown"
    assert rules.hear_printer(heard, PrinterWord(known=False)).verdict == "unknown"


@pytest.mark.parametrize(
    ("state", "count", "verdict", "impressions"),
    [
        ("completed", 10, "printed", None),
        ("aborted", 4, "partly", 4),
        ("canceled", 3, "partly", 3),
        ("canceled", 0, "nothing", None),
        ("canceled", None, "unknown", None),
        ("processing", 5, "unknown", None),
    ],
)
def test_what_the_printer_had_told_counts_where_it_cannot_be_asked_any_more(
    state: str, count: int | None, verdict: str, impressions: int | None
) -> None:
    told = evidence(printer_state=state, impressions_completed=count)
    heard = rules.hear_printer(run(exit_code=1, evidence=told), PrinterWord(reached=False))
    assert (heard.verdict, heard.impressions) == (verdict, impressions)


@pytest.mark.parametrize("reached", [True, False])
@pytest.mark.parametrize(
    ("state", "count", "verdict"),
    [("canceled", 0, "unknown"), ("aborted", 0, "unknown"), ("aborted", 4, "partly"), ("completed", 0, "printed")],
)
def test_the_0_of_a_printer_that_never_counts_says_nothing(state: str, count: int, verdict: str, reached: bool) -> None:
    told = evidence(printer_state=state, impressions_completed=count)
    word = PrinterWord(state=state, impressions_completed=count, counts=False, reached=reached)
    heard = rules.hear_printer(run(exit_code=1, evidence=told), word)
    assert heard.verdict == verdict
    assert rules.is_in_doubt([heard]) == (verdict == "unknown")


@pytest.mark.parametrize(
    ("runs", "counts"),
    [
        ([("printed", "completed", 0)], False),
        ([("printed", "completed", 3)], True),
        ([("printed", "completed", 0), ("printed", "completed", 10)], True),
        ([("printed", "completed", None)], None),
        ([("nothing", "canceled", 0)], None),
        ([("partly", "aborted", 2)], None),
        ([("printed", "", 0)], None),  # left before the printer was done
        ([], None),
    ],
)
def test_whether_a_printer_counts_is_seen_from_what_it_completed(
    runs: list[tuple[Verdict, str, int | None]], counts: bool | None
) -> None:
    found = [
        run(verdict=verdict, evidence=evidence(printer_state=state, impressions_completed=count))
        for verdict, state, count in runs
    ]
    assert rules.counted(found) == counts
    blank = [replace(one, facts=replace(FACTS, impressions=0)) for one in found]
    assert rules.counted(blank) is None


@pytest.mark.parametrize(("rule", "impressions"), [("whole", 10), ("nothing", 0)])
def test_the_queue_s_rule_decides_what_nobody_can_tell(rule: PartialCharge, impressions: int) -> None:
    printed, estimated = rules.charge([run(verdict="unknown")], rule)
    assert (printed.impressions, estimated) == (impressions, True)
    printed, estimated = rules.charge([run(verdict="unknown"), run(name="r.2", verdict="partly", impressions=3)], rule)
    assert printed.impressions == max(impressions, 3)
    assert rules.charge([run(verdict="printed")], rule) == (rules.whole(FACTS), False)


def test_in_doubt_is_a_document_that_may_have_come_out_farther_than_is_known() -> None:
    assert rules.is_in_doubt([run(verdict="unknown")])
    assert rules.is_in_doubt([run(verdict="printed"), run(name="r.2", document=2, verdict="unknown")])
    assert not rules.is_in_doubt([run(verdict="unknown"), run(name="r.2", verdict="printed")])
    assert rules.is_in_doubt([run(verdict="unknown"), run(name="r.2", verdict="partly", impressions=9)])
    assert not rules.is_in_doubt([run(verdict="partly", impressions=2), run(name="r.2", verdict="nothing")])
    assert not rules.is_in_doubt([])


def test_two_runs_of_a_document_that_both_printed_are_seen() -> None:
    twice = [run(verdict="printed"), run(name="r.2", verdict="partly", impressions=1)]
    assert rules.came_out_twice(twice)
    assert not rules.came_out_twice([twice[0], run(name="r.2", verdict="nothing"), run(document=2, verdict="printed")])


def test_a_part_is_charged_with_the_sheets_and_colour_it_can_hold() -> None:
    assert rules.part_of(FACTS, 3) == Printed(impressions=3, sheets=2, color_impressions=3)
    assert rules.part_of(FACTS, 1) == Printed(impressions=1, sheets=1, color_impressions=1)
    assert rules.part_of(JobFacts(impressions=0, sheets=0), 3) == Printed(impressions=0, sheets=0)


def test_the_largest_run_counts_never_the_sum() -> None:
    runs = [
        run(verdict="partly", impressions=4),
        run(name="r.2", verdict="printed"),
        run(name="r.3", verdict="nothing"),
    ]
    assert rules.charge(runs) == (Printed(impressions=10, sheets=5, color_impressions=3), False)
    assert rules.charge([]) == (rules.NOTHING, False)
    assert rules.charge([run(verdict="unknown")])[1]


def test_each_document_of_a_job_counts() -> None:
    runs = [run(verdict="printed"), run(document=2, verdict="printed"), run(document=2, verdict="unknown")]
    assert rules.charge(runs)[0].impressions == 20


def record(**values: object) -> JobRecord:
    printing = Printing(spool_id="s", cups_job_id=1, time_at_creation=1)
    return replace(
        JobRecord(job_id="j", printing=printing, queue="q", user_name="u", created_at=0, document_facts=FACTS), **values
    )


@pytest.mark.parametrize(
    ("cups", "runs", "expected"),
    [
        ("completed", (run(verdict="printed"),), "completed"),
        ("canceled", (run(verdict="printed"),), "completed"),  # the cancel came too late
        ("canceled", (run(verdict="partly", impressions=2),), "canceled"),
        ("canceled", (), "canceled"),
        ("completed", (), "aborted"),  # CUPS calls a job completed whose backend was killed
        ("completed", (run(verdict="unknown"),), "completed"),
        ("unknown", (), "aborted"),
        ("aborted", (run(verdict="nothing"),), "aborted"),
    ],
)
def test_outcome(cups: str, runs: tuple[RunRecord, ...], expected: str) -> None:
    assert rules.outcome_of(record(runs=runs), cups) == expected  # type: ignore[arg-type]


def test_documents_follow_one_another_within_one_life_of_cupsd() -> None:
    first = record(documents=3, cursor=Cursor(incarnation="a"))
    assert rules.next_cursor(first, "a") == Cursor(incarnation="a", document=1)
    out = replace(first, runs=(run(incarnation="a", verdict="printed"),))
    assert rules.next_cursor(out, "a").document == 2
    assert rules.next_cursor(out, "b") == Cursor(incarnation="b", document=1)  # cupsd began again
    told = replace(out, cursor=Cursor(incarnation="b", document=1, done=True))
    assert rules.next_cursor(told, "b").document == 2
    failed = replace(first, runs=(run(incarnation="a", verdict="nothing"),))
    assert rules.next_cursor(failed, "a").document == 1
    single = replace(out, documents=1)
    assert rules.next_cursor(single, "a").document == 1


def test_an_attempt_for_a_later_document_covers_those_before_it() -> None:
    known = record(documents=2, runs=(run(verdict="printed"),))
    facts = rules.job_facts(known, 2, JobFacts(impressions=1, sheets=1, estimated=True, estimate_reason="why"))
    assert (facts.impressions, facts.sheets, facts.estimated, facts.estimate_reason) == (11, 6, True, "why")
    assert rules.job_facts(known, 1, FACTS).impressions == 10
