"""`journal show`, `verify`: whatever was flipped, cut or laid beside is told; nothing is changed, nothing is locked."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from backend.wire.jobs import Printing
from backend.wire.pricing import Printed
from provider.cups_backend import inkeeper as backend
from provider.errors import JournalError
from provider.jobs.model import Ending, JobRecord, RunRecord
from provider.journal.file import JournalFile, Label
from provider.journal.inspect import Inspection, newest
from provider.journal.record import MAGIC, encode
from tests.support.runfiles import write_run


def job_id(number: int) -> str:
    return f"0190a5c4-0000-7000-8000-{number:012d}"


def record(number: int, **values: Any) -> JobRecord:
    printing = Printing(spool_id="s", cups_job_id=number, time_at_creation=1, time_at_completed=0)
    return JobRecord(
        job_id=job_id(number), printing=printing, queue="q", user_name="anna", created_at=1000 - number, **values
    )


def ending(revision: int) -> Ending:
    printed = Printed(impressions=1, sheets=1)
    return Ending(command_id="c", revision=revision, outcome="completed", printed=printed, estimated=False)


class Site:
    """A journal of three segments: a job under way, one to be reported, one settled; and its run files."""

    def __init__(self, folder: Path) -> None:
        self.journal, self.runs = folder / "journal", folder / "runs"
        self.runs.mkdir()
        run = RunRecord(number=1, name="r", started_at=1)
        self.write(record(1, attempt=1), record(2, attempt=1))
        self.write(record(2, attempt=2), record(3, attempt=1))
        ended = record(2, attempt=2, runs=(run,), ending=ending(1), phase="ended")
        self.write(ended, record(3, attempt=1, ending=ending(1), phase="settled", settled_at=9))

    def write(self, *records: JobRecord) -> None:
        """A segment of their own, as a daemon's life leaves one."""
        file = JournalFile(self.journal, lambda _payload: Label("x"), lambda: 0)
        file.open()
        file.append([(Label(one.job_id), msgspec.json.encode(one)) for one in records])
        file.close()

    def segment(self, number: int) -> Path:
        return self.journal / f"{number:08d}.journal"

    def verify(self) -> tuple[list[str], str, str]:
        inspection = Inspection(self.journal, self.runs)
        found = [str(one) for one in inspection.findings()]
        return found, inspection.summary, inspection.reason

    def errors(self) -> list[str]:
        return [line for line in self.verify()[0] if line.startswith("error: ")]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_sound_journal_tells_what_is_open_and_what_waits_to_be_reported(site: Site) -> None:
    write_run(site.runs, f"{job_id(1)}.1", exit_code=None)
    found, summary, reason = site.verify()
    assert (summary, reason) == ("3 jobs in 3 segments, 2 open, 0 damaged", "")
    assert found == [
        f"note: job {job_id(1)} (anna on q) is open since 1970-01-01 00:00:00 UTC, attempt 1",
        f"note: job {job_id(2)} (anna on q) waits to be reported: completed, revision 1",
    ]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_flipped_bit_is_told_with_its_segment(site: Site, number: int) -> None:
    whole = site.segment(number).read_bytes()
    length = whole.rindex(MAGIC) + len(MAGIC) + 1
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        site.segment(number).write_bytes(damaged)
        told = [line for line in site.verify()[0] if f"segment {number} at byte " in line]
        assert len(told) == 1, place
        # Only a length that now points past the end makes the last record look cut off.
        assert told[0].startswith("error: ") or ("torn" in told[0] and length <= place < length + 4), place


def test_a_record_cut_off_at_the_end_is_a_note_and_a_hole_elsewhere_an_error(site: Site) -> None:
    whole = site.segment(3).read_bytes()
    site.segment(3).write_bytes(whole[:-1])
    found, summary, reason = site.verify()
    assert any("note: segment 3 at byte" in line and "are torn" in line for line in found)
    assert (summary, reason) == ("3 jobs in 3 segments, 3 open, 0 damaged", "")
    site.segment(3).write_bytes(whole[:-40] + bytes(40))  # the file grew, its last page never reached the disk
    assert site.errors() == []
    site.segment(3).write_bytes(whole[:20] + whole[40:])
    (error,) = site.errors()
    assert error.startswith("error: segment 3 at byte 0: ")
    assert site.verify()[2] == f"the journal in {site.journal} is damaged in 1 place"


def test_garbage_at_the_end_is_no_torn_record(site: Site) -> None:
    with site.segment(2).open("ab") as file:
        file.write(b"garbage")
    assert [line.rpartition(": ")[2] for line in site.errors()] == ["7 damaged bytes"]


@pytest.mark.parametrize("payload", [b"{}", b"[1]", b'{"job_id":', msgspec.json.encode(replace(record(9), job_id="x"))])
def test_a_record_that_cannot_be_decoded_is_told(site: Site, payload: bytes) -> None:
    size = site.segment(1).stat().st_size
    with site.segment(1).open("ab") as file:
        file.write(encode(payload))
    (error,) = site.errors()
    assert error.startswith(f"error: segment 1 at byte {size}: a record of ")
    assert error.endswith("cannot be decoded")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"attempt": 2}, {"attempt": 1}),
        ({"ending": ending(2), "phase": "ended"}, {"ending": ending(1), "phase": "settled"}),
        ({"phase": "settled", "attempt": 1}, {"phase": "open", "attempt": 1}),
        ({"runs": (RunRecord(number=1, name="r", started_at=1),)}, {}),
    ],
)
def test_a_job_that_goes_backwards_is_told(tmp_path: Path, older: dict[str, Any], newer: dict[str, Any]) -> None:
    site = Site(tmp_path)
    site.write(record(5, **older), record(5, **newer))
    (error,) = site.errors()
    assert f"job {job_id(5)} goes backwards" in error


def test_a_settled_job_that_is_printed_again_does_not_go_backwards(site: Site) -> None:
    again = record(3, attempt=2, ending=ending(1))
    site.write(
        again, replace(again, phase="ended", ending=ending(2)), replace(again, phase="settled", ending=ending(2))
    )
    assert site.errors() == []


def test_run_files_and_notes_that_are_damaged_or_unknown_are_told(site: Site) -> None:
    write_run(site.runs, f"{job_id(7)}.1", exit_code=0)
    write_run(site.runs, f"{job_id(1)}.1", exit_code=0)
    write_run(site.runs, f"{job_id(1)}.2", exit_code=0)
    write_run(site.runs, "offline-12-abc.1", exit_code=0)
    for number, place in ((1, 5), (2, -110)):  # the start of one, the end of the other
        path = site.runs / f"{job_id(1)}.{number}.run"
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)
    held = {"kind": "held", "v": 1, "held_at": 0, "cups_job_id": 4, "queue": "q\n\x1b[2J"}
    (site.runs / "held-4-aa.note").write_bytes(backend.record(held))
    (site.runs / "held-5-bb.note").write_bytes(backend.record(held)[:-1])
    (site.runs / ".new.1.2").write_bytes(b"a draft of a living backend")
    (site.runs / "letter.txt").write_bytes(b"")
    os.mkfifo(site.runs / f"{job_id(1)}.3.run")
    found = [line for line in site.verify()[0] if "(anna on q)" not in line]
    assert found == [
        f"error: run file {job_id(1)}.1.run is damaged: what it printed cannot be charged by it",
        f"error: run file {job_id(1)}.2.run is damaged: its end is lost",
        f"error: run file {job_id(1)}.3.run is damaged: what it printed cannot be charged by it",
        f"error: run {job_id(7)}.1 has no record in the journal",
        "note: job 4 of queue q??[2J is held since 1970-01-01 00:00:00 UTC by its backend",
        "error: note held-5-bb.note is damaged: its job is to be released by hand",
        f"note: letter.txt in {site.runs} is no run file of ours",
        "note: run offline-12-abc.1 was made without the daemon and is not taken in yet",
    ]
    assert site.verify()[1].endswith(", 5 damaged")


def test_foreign_files_in_the_journal_are_told_and_not_read(site: Site) -> None:
    (site.journal / "00000001.journal.bak").write_bytes(b"IKJ1")
    (site.journal / "7.journal").write_bytes(b"")
    (site.journal / "00000009.journal").mkdir()
    (site.journal / "00000002.new").write_bytes(b"what the daemon is about to put in place")
    found = [line for line in site.verify()[0] if "no segment of ours" in line]
    assert [line.split()[:2] for line in found] == [
        ["note:", "00000001.journal.bak"],
        ["error:", "00000009.journal"],
        ["error:", "7.journal"],
    ]
    assert site.verify()[1] == "3 jobs in 3 segments, 2 open, 2 damaged"


def test_looking_changes_nothing_and_takes_no_lock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(site.runs, f"{job_id(1)}.1", exit_code=None)
    flags: list[int] = []
    real = os.open

    def watched(path: Any, how: int, *more: int) -> int:
        flags.append(how)
        return real(path, how, *more)

    def forbidden(*_: object) -> None:
        raise AssertionError("a lock was asked for")

    monkeypatch.setattr(os, "open", watched)
    monkeypatch.setattr(fcntl, "flock", forbidden)
    monkeypatch.setattr(fcntl, "lockf", forbidden)
    site.verify()
    list(newest(site.journal))
    assert len(flags) == 7
    assert all(how & os.O_ACCMODE == os.O_RDONLY for how in flags)


def test_a_segment_rewritten_while_it_is_read_is_read_as_it_was(site: Site) -> None:
    inspection = Inspection(site.journal, site.runs)
    site.segment(1).write_bytes(b"IKJ1" + site.segment(1).read_bytes())  # something to tell before the others are read
    found = inspection.findings()
    assert "segment 1" in str(next(found))
    for path in list(site.journal.iterdir()):
        path.unlink()
    assert [one for one in found if one.kind == "error"] == []
    assert len(inspection.jobs) == 3


def shown(lines: Iterator[bytes]) -> list[tuple[str, str]]:
    return [(one.job_id, one.phase) for one in (msgspec.json.decode(line, type=JobRecord) for line in lines)]


def test_show_gives_the_newest_record_of_each_job_oldest_first(site: Site) -> None:
    everything = [(job_id(3), "settled"), (job_id(2), "ended"), (job_id(1), "open")]
    assert shown(newest(site.journal)) == everything
    assert shown(newest(site.journal, only_open=True)) == everything[1:]
    assert shown(newest(site.journal, job_id(2))) == [everything[1]]
    assert shown(newest(site.journal, job_id(3), only_open=True)) == []
    assert shown(newest(site.journal, job_id(4))) == []


def test_show_tells_of_damage_that_is_passed_over(site: Site) -> None:
    whole = site.segment(2).read_bytes()
    site.segment(2).write_bytes(b"x" + whole[1:])
    site.segment(3).write_bytes(site.segment(3).read_bytes()[:-5])
    told: list[str] = []
    assert len(shown(newest(site.journal, complain=told.append))) == 3
    assert [text.partition(":")[0] for text in told] == ["segment 2 at byte 0"]


def test_no_journal_and_one_that_is_too_long_are_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal in"):
        list(newest(tmp_path / "nowhere"))
    os.truncate(site.segment(3), 1 << 30)
    with pytest.raises(JournalError, match="segment 3 has 1073741824 bytes"):
        list(Inspection(site.journal, site.runs).findings())
