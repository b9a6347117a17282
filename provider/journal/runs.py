"""Run files: what the backend wrote down of each run of the real one, read by the daemon.

`NAME.run` holds the records `started` and, in the room kept for it, `ended`; `NAME.log` the real backend's messages and
the zeros of the room kept for more; `NAME.seen` what was kept of a long log, `NAME.doc` the document of a run made
without the daemon. Who prints holds a lock on NAME.run, and a run without an end whose lock is free was killed.
`held-….note` says of a job that a backend had it held in CUPS because there was no daemon to ask: it is to be released.

Invariant: a damaged file is read as far as it is whole. A run of which not even `started` is left is known by its
name, so that its job is not taken for one that never ran.
"""

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from provider.jobs.model import RunRecord
from provider.jobs.rules import read_evidence
from provider.journal.record import Gap, Record, scan

SUFFIXES: Final = (".run", ".log", ".seen", ".seen.new", ".doc")
OFFLINE_MARK: Final = "offline-"
HELD_MARK: Final = "held-"
NOTE_SUFFIX: Final = ".note"
DRAFT_MARK: Final = ".new."
MAX_RUN_BYTES: Final = 64 << 10
MAX_LOG_BYTES: Final = 16 << 20


class _OfJob(msgspec.Struct, frozen=True, kw_only=True):
    """What every file here says of its job."""

    v: int
    boot_id: str = ""
    boot_ms: int = 0
    incarnation: str = ""
    user: str = ""
    title: str = ""
    options: str = ""
    queue: str = ""
    device_uri: str = ""
    content_type: str = ""
    request_root: str = ""
    named_file: bool = False
    ppd: str = ""
    cups_job_id: int = 0
    copies: int = 1
    document_bytes: int = 0


class Started(_OfJob, frozen=True, kw_only=True, tag="started", tag_field="kind"):
    """The backend's word at the start: enough to charge the run though nothing else is left."""

    started_at: int
    pid: int = 0
    job_id: str = ""
    run: int = 0
    attempt: int = 0
    document: int = 1
    offline: bool = False


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended", tag_field="kind"):
    """The backend's word at the end."""

    v: int
    exit_code: int
    canceled: bool = False
    ended_at: int


class HeldNote(_OfJob, frozen=True, kw_only=True, tag="held", tag_field="kind"):
    """The backend's word for a job that it had held in CUPS, without a daemon. `name` is its file's."""

    held_at: int
    name: str = ""


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """A run's files as they are now. `damaged` counts the bytes that were passed over."""

    name: str
    started: Started | None
    ended: Ended | None
    locked: bool
    damaged: int
    record: RunRecord


_DECODER: Final[msgspec.json.Decoder[Started | Ended]] = msgspec.json.Decoder(Started | Ended)


_NOTE_DECODER: Final[msgspec.json.Decoder[HeldNote]] = msgspec.json.Decoder(HeldNote)


def read_words(data: bytes) -> tuple[Started | None, Ended | None, int]:
    """The two words of a run file's bytes, each None where it is not whole, and the bytes passed over. Pure."""
    started: Started | None = None
    ended: Ended | None = None
    damaged = 0
    for part in scan(data):
        if isinstance(part, Gap):
            damaged += 0 if part.blank else part.end - part.start
            continue
        word = _decode(part)
        if isinstance(word, Started):
            started = word
        elif isinstance(word, Ended):
            ended = word
        else:
            damaged += part.end - part.start
    return started, ended, damaged


def _decode(part: Record) -> Started | Ended | None:
    try:
        return _DECODER.decode(part.payload)
    except msgspec.DecodeError:
        return None


def read_run(folder: Path, name: str) -> RunFile | None:
    """The run of that name, None when there is none. Raises OSError when its file cannot be read."""
    path = folder / f"{name}.run"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        locked = not _try_lock(fd)  # before reading: an end written after this is a run that is over all the same
        data = os.read(fd, MAX_RUN_BYTES)
        changed_ms = os.fstat(fd).st_mtime_ns // 1_000_000
    finally:
        os.close(fd)
    started, ended, damaged = read_words(data)
    log = _read_some(folder / f"{name}.seen") + b"\n" + _read_some(folder / f"{name}.log").rstrip(b"\0")
    record = RunRecord(
        number=started.run if started and started.run else _number(name),
        name=name,
        started_at=started.started_at if started else changed_ms,
        boot_id=started.boot_id if started else "",
        boot_ms=started.boot_ms if started else 0,
        attempt=started.attempt if started else 0,
        document=max(1, started.document) if started else 1,
        incarnation=started.incarnation if started else "",
        offline=started is not None and started.offline,
        ended_at=ended.ended_at if ended else None,
        exit_code=ended.exit_code if ended else None,
        canceled=ended is not None and ended.canceled,
        evidence=read_evidence(log),
    )
    return RunFile(name=name, started=started, ended=ended, locked=locked, damaged=damaged, record=record)


def highest_number(names: Iterable[str]) -> int:
    """The highest run number among the names of files of one job, whatever is left of a run; 0 for none."""
    return max((_number(name) for name in names), default=0)


def names_of(folder: Path, job_id: str) -> list[str]:
    """The names of the runs of a job, also of those that have no run file (yet)."""
    found = {_stem(entry) for entry in os.listdir(folder) if entry.startswith(f"{job_id}.")}
    return sorted(found, key=_number)


def all_names(folder: Path) -> list[str]:
    """The runs that have a run file."""
    return sorted(entry[:-4] for entry in os.listdir(folder) if entry.endswith(".run"))


def offline_names(folder: Path, cups_job_id: int | None = None) -> list[str]:
    """The runs that backends made without the daemon, of one CUPS job or of all."""
    mark = OFFLINE_MARK if cups_job_id is None else f"{OFFLINE_MARK}{cups_job_id}-"
    return sorted(entry[:-4] for entry in os.listdir(folder) if entry.startswith(mark) and entry.endswith(".run"))


def read_notes(folder: Path, cups_job_id: int | None = None) -> list[HeldNote]:
    """The jobs that backends had held without the daemon, oldest first; of one CUPS job or of all. A note that is
    damaged is passed over: `damaged_notes` has it. Raises OSError."""
    notes = [note for name in _note_names(folder, cups_job_id) if (note := _read_note(folder / name)) is not None]
    return sorted(notes, key=lambda note: (note.held_at, note.cups_job_id, note.name))


def damaged_notes(folder: Path) -> list[str]:
    """The names of notes that nobody can read: their jobs are to be released by hand. Raises OSError."""
    return [name for name in _note_names(folder, None) if (folder / name).exists() and not _read_note(folder / name)]


def remove_note(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)


def _note_names(folder: Path, cups_job_id: int | None) -> list[str]:
    mark = HELD_MARK if cups_job_id is None else f"{HELD_MARK}{cups_job_id}-"
    return sorted(entry for entry in os.listdir(folder) if entry.startswith(mark) and entry.endswith(NOTE_SUFFIX))


def _read_note(path: Path) -> HeldNote | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RUN_BYTES)
    except FileNotFoundError:
        return None
    return read_note(data, path.name)


def read_note(data: bytes, name: str) -> HeldNote | None:
    """The note in a file's bytes, None when it is not whole. Pure."""
    for part in scan(data):
        if isinstance(part, Record):
            try:
                return replace(_NOTE_DECODER.decode(part.payload), name=name)
            except msgspec.DecodeError:
                continue
    return None


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove all that is left of these runs; the run file goes last, since it says that the others are there."""
    for name in names:
        for suffix in reversed(SUFFIXES):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed backends left unfinished: drafts nobody locks, documents and logs without a run."""
    for entry in os.listdir(folder):
        path = folder / entry
        if entry.startswith(DRAFT_MARK):
            if not is_locked(path):
                path.unlink(missing_ok=True)
        elif entry.startswith(OFFLINE_MARK) and not (folder / f"{_stem(entry)}.run").exists() and _is_old(path):
            path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether anybody holds the file's lock. A file that is gone is not locked."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)


def holders(path: Path) -> list[int]:
    """The processes that have this file open, us excepted: who still prints the run. Linux's /proc tells."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return []
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]
    return [pid for pid in pids if _has_open(pid, wanted)]


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        return any(os.path.samestat(os.stat(f"{folder}/{fd}"), wanted) for fd in os.listdir(folder))
    except OSError:
        return False  # it ended while we looked, or is not ours to look at


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_some(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_LOG_BYTES)
    except FileNotFoundError:
        return b""


def _stem(entry: str) -> str:
    suffix = next((suffix for suffix in SUFFIXES if entry.endswith(suffix)), "")
    return entry.removesuffix(suffix)


def _number(name: str) -> int:
    tail = name.rpartition(".")[2]
    return int(tail) if tail.isascii() and tail.isdigit() else 0


def _is_old(path: Path) -> bool:
    """Older than any backend would still be at it."""
    try:
        return time.time() - path.stat().st_mtime > 3600
    except FileNotFoundError:
        return False
