"""Run files: read as far as they are whole, at whatever byte they are cut and whatever bit is flipped."""

import fcntl
import os
import posix
from pathlib import Path

import pytest

from provider.cups_backend import inkeeper as backend
from provider.jobs.rules import read_evidence
from provider.journal import runs

LOG = b"DEBUG: Connected to x\nDEBUG: Print job accepted - job ID 5.\nDEBUG: Sending file 1 using chunking...\n"


def run_bytes(ended: bool = True) -> tuple[bytes, int]:
    """A run file's bytes, and where its first record ends."""
    started = backend.record(
        {"kind": "started", "v": 1, "started_at": 10, "job_id": "j", "run": 3, "attempt": 2, "document": 1}
    )
    end = backend.record({"kind": "ended", "v": 1, "exit_code": 0, "canceled": False, "ended_at": 20})
    room = bytes(backend.ROOM_FOR_END)
    return started + (end + room[len(end) :] if ended else room), len(started)


def test_a_whole_run_is_read_with_its_evidence(tmp_path: Path) -> None:
    (tmp_path / "j.3.run").write_bytes(run_bytes()[0])
    (tmp_path / "j.3.seen").write_bytes(LOG[:30])
    (tmp_path / "j.3.log").write_bytes(LOG[30:])
    found = runs.read_run(tmp_path, "j.3")
    assert found is not None
    assert (found.locked, found.damaged) == (False, 0)
    record = found.record
    assert (record.number, record.attempt, record.exit_code, record.ended_at) == (3, 2, 0, 20)
    assert record.evidence.printer_job_id == 5
    assert record.evidence.sending
    assert runs.read_run(tmp_path, "j.4") is None


def test_cut_at_every_byte(tmp_path: Path) -> None:
    data, first = run_bytes()
    whole_end = first + len(
        backend.record({"kind": "ended", "v": 1, "exit_code": 0, "canceled": False, "ended_at": 20})
    )
    for cut in range(len(data) + 1):
        (tmp_path / "j.3.run").write_bytes(data[:cut])
        found = runs.read_run(tmp_path, "j.3")
        assert found is not None
        assert (found.started is not None) == (cut >= first), cut
        assert (found.ended is not None) == (cut >= whole_end), cut
        assert found.record.number == 3  # by its name, whatever is left


def test_every_flipped_bit(tmp_path: Path) -> None:
    data, first = run_bytes()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        started, ended, damaged = runs.read_words(bytes(flipped))
        in_first = bit // 8 < first
        assert (started is None) == in_first, bit
        assert damaged > 0
        if in_first:
            assert ended is not None, bit


def test_a_held_lock_means_that_somebody_prints(tmp_path: Path) -> None:
    path = tmp_path / "j.1.run"
    path.write_bytes(run_bytes(ended=False)[0])
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    inherited = os.dup(holder)
    os.close(holder)
    found = runs.read_run(tmp_path, "j.1")
    assert found is not None
    assert found.locked
    assert found.ended is None
    os.close(inherited)
    assert not runs.is_locked(path)


def test_names_and_numbers(tmp_path: Path) -> None:
    for name in ("j.1.run", "j.1.log", "j.2.log", "j.10.run", "other.1.run", "offline-7-ab.run", "offline-70-cd.run"):
        (tmp_path / name).write_bytes(b"")
    assert runs.names_of(tmp_path, "j") == ["j.1", "j.2", "j.10"]
    assert runs.highest_number(runs.names_of(tmp_path, "j")) == 10
    assert runs.offline_names(tmp_path) == ["offline-7-ab", "offline-70-cd"]
    assert runs.offline_names(tmp_path, 7) == ["offline-7-ab"]
    runs.remove(tmp_path, ["j.1", "j.2", "j.9"])
    assert runs.names_of(tmp_path, "j") == ["j.10"]


def test_only_what_nobody_uses_is_swept(tmp_path: Path) -> None:
    for name in (".new.1.1", ".new.2.2", "offline-1-a.doc", "offline-2-b.doc", "offline-2-b.run", "offline-3-c.doc"):
        (tmp_path / name).write_bytes(b"")
    os.utime(tmp_path / "offline-1-a.doc", (0, 0))
    os.utime(tmp_path / "offline-2-b.doc", (0, 0))
    held = os.open(tmp_path / ".new.2.2", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    runs.sweep(tmp_path)
    os.close(held)
    assert sorted(os.listdir(tmp_path)) == [".new.2.2", "offline-2-b.doc", "offline-2-b.run", "offline-3-c.doc"]


def test_a_link_in_the_place_of_a_run_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(run_bytes()[0])
    (tmp_path / "j.1.run").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        runs.read_run(tmp_path, "j.1")


def test_the_messages_are_on_the_disk_before_the_end_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the simulator: after a loss of power a run that had ended well was without the proof that it printed."""
    run = backend.Run(str(tmp_path), "j.1")
    run.begin({"kind": "started", "v": 1, "started_at": 1}, float("inf"))
    messages = backend.Messages(run.path)
    done: list[tuple[str, int]] = []
    write, sync = posix.pwrite, posix.fdatasync

    def pwrite(fd: int, data: bytes, place: int) -> int:
        done.append(("write", fd))
        return write(fd, data, place)

    def fdatasync(fd: int) -> None:
        done.append(("sync", fd))
        sync(fd)

    monkeypatch.setattr(posix, "pwrite", pwrite)
    monkeypatch.setattr(posix, "fdatasync", fdatasync)
    run.finish(0, False, messages.fd)
    assert done == [("sync", messages.fd), ("write", run.fd), ("sync", run.fd)]
    os.close(run.fd)
    os.close(messages.fd)


def held_question(cups_job_id: str) -> dict[str, str]:
    words = ["inkeeper", cups_job_id, "anna", "Über\n", "3", "time-at-creation=5"]
    return backend.describe(words, {"PRINTER": "hall", "DEVICE_URI": "inkeeper:/ipp://p/"}, 9)


def test_notes_of_held_jobs_are_read_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at_ms, cups_job_id in ((30, "4"), (10, "42"), (20, "4")):
        monkeypatch.setattr(backend, "now_ms", lambda at_ms=at_ms: at_ms)
        backend.leave_note(str(tmp_path), held_question(cups_job_id))
    (tmp_path / "held-5-x.note").write_bytes(b"IKJ1 torn")
    found = runs.read_notes(tmp_path)
    assert [(note.held_at, note.cups_job_id) for note in found] == [(10, 42), (20, 4), (30, 4)]
    assert (found[0].user, found[0].title, found[0].queue, found[0].copies) == ("anna", "Über\n", "hall", 3)
    assert [note.held_at for note in runs.read_notes(tmp_path, 4)] == [20, 30]
    assert runs.damaged_notes(tmp_path) == ["held-5-x.note"]
    for note in found:
        runs.remove_note(tmp_path, note.name)
        runs.remove_note(tmp_path, note.name)
    runs.sweep(tmp_path)
    assert os.listdir(tmp_path) == ["held-5-x.note"]


def test_a_long_log_is_not_emptied_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "LOG_LIMIT", 10)
    monkeypatch.setattr(backend, "tell", lambda data: None)
    messages = backend.Messages(str(tmp_path / "j.1"))
    real, late = posix.rename, [b"DEBUG: job-state enum completed\n"]

    def rename(source: str, target: str) -> None:
        real(source, target)
        if late:
            os.write(messages.fd, late.pop())

    monkeypatch.setattr(posix, "rename", rename)
    os.write(messages.fd, LOG)
    messages.forward()
    assert os.fstat(messages.fd).st_size > 0
    messages.forward()
    assert os.fstat(messages.fd).st_size == 0
    os.close(messages.fd)
    evidence = read_evidence((tmp_path / "j.1.seen").read_bytes())
    assert (evidence.printer_job_id, evidence.sending, evidence.printer_state) == (5, True, "completed")
