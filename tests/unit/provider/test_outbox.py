"""What is sent next: oldest first, all of it in the end, one at a time while nobody answers."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend.wire.jobs import Printing
from provider.jobs.model import Ending, JobRecord
from provider.jobs.rules import NOTHING
from provider.uplink.machine import LONGEST_PAUSE_S, MAX_IN_FLIGHT, REFUSED_PAUSE_S, Outbox
from provider.uplink.messages import is_reportable


def filled(count: int) -> Outbox:
    outbox = Outbox()
    for n in range(count):
        outbox.put(f"job-{n}", 1, n)
    return outbox


def ids(outbox: Outbox, now_s: float) -> list[str]:
    return [parcel.job_id for parcel in outbox.due(now_s)]


def test_oldest_first_and_no_more_than_allowed_at_once() -> None:
    outbox = filled(40)
    assert ids(outbox, 0) == [f"job-{n}" for n in range(MAX_IN_FLIGHT)]
    assert ids(outbox, 0) == []
    outbox.answered("job-3", 1)
    assert ids(outbox, 0) == [f"job-{MAX_IN_FLIGHT}"]
    assert (outbox.backlog, outbox.oldest_since_ms()) == (39, 0)


def test_while_nobody_answers_only_the_oldest_is_tried_ever_more_rarely() -> None:
    outbox = filled(3)
    assert len(ids(outbox, 0)) == 3
    for n in range(3):
        outbox.failed(f"job-{n}", 0, 0.5)
    pauses, now_s = [], 0.0
    for _ in range(12):
        wake = outbox.wake_at_s()
        assert wake is not None
        pauses.append(wake - now_s)
        now_s = wake
        assert ids(outbox, now_s) == ["job-0"]
        assert outbox.wake_at_s() is None
        outbox.failed("job-0", now_s, 1.0)
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    wake = outbox.wake_at_s()
    assert wake is not None
    assert ids(outbox, wake) == ["job-0"]
    outbox.answered("job-0", 1)
    assert ids(outbox, now_s) == ["job-1", "job-2"]


def test_a_refused_report_is_kept_and_holds_nobody_up() -> None:
    outbox = filled(2)
    outbox.due(0)
    outbox.refused("job-0", 1, 0, "command-conflict")
    outbox.answered("job-1", 1)
    assert (outbox.backlog, outbox.oldest_since_ms(), outbox.wake_at_s()) == (1, None, REFUSED_PAUSE_S)
    assert ids(outbox, REFUSED_PAUSE_S) == ["job-0"]


def test_a_newer_revision_takes_the_place_and_is_not_settled_by_the_older_answer() -> None:
    outbox = filled(1)
    outbox.due(0)
    outbox.put("job-0", 2, 99)
    outbox.answered("job-0", 1)
    assert (outbox.backlog, outbox.oldest_since_ms()) == (1, 0)
    assert [parcel.revision for parcel in outbox.due(0)] == [2]
    outbox.put("job-0", 1, 99)
    outbox.answered("job-0", 2)
    assert outbox.backlog == 0


@given(st.lists(st.sampled_from(["answered", "failed", "refused"]), max_size=60), st.integers(1, 30))
def test_everything_is_sent_in_the_end(fates: list[str], count: int) -> None:
    outbox, now_s, delivered = filled(count), 0.0, set()
    fate = iter(fates)
    for _ in range(1000):
        if not outbox.backlog:
            break
        for parcel in outbox.due(now_s):
            match next(fate, "answered"):
                case "answered":
                    outbox.answered(parcel.job_id, parcel.revision)
                    delivered.add(parcel.job_id)
                case "failed":
                    outbox.failed(parcel.job_id, now_s, 0.3)
                case _:
                    outbox.refused(parcel.job_id, parcel.revision, now_s, "invalid")
        now_s = max(now_s, outbox.wake_at_s() or now_s)
    assert len(delivered) == count


def test_a_job_that_may_print_again_is_not_reported_under_its_old_ending() -> None:
    """Found by the simulator: the facts of a new attempt went out under the id of the report before it."""
    ending = Ending(command_id="c", revision=1, outcome="aborted", printed=NOTHING, estimated=False)
    printing = Printing(spool_id="s", cups_job_id=1, time_at_creation=1)
    record = JobRecord(
        job_id="j", printing=printing, queue="q", user_name="u", created_at=0, phase="ended", ending=ending
    )
    assert is_reportable(record)
    assert is_reportable(replace(record, phase="settled"))
    assert not is_reportable(replace(record, phase="open", attempt=2))
    assert not is_reportable(replace(record, ending=None))
    assert not is_reportable(None)
