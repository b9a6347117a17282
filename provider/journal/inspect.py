"""Looking at the journal and the run files from outside: `journal show` and `journal verify`.

Whoever looks must not disturb the daemon, which may be at work: nothing is opened for writing and no lock is taken, not
even the shared one by which provider.journal.runs finds out who still prints. The segments are held open from the
start, so that what is read is the journal of one moment, whatever the daemon rewrites or removes meanwhile; the names
of runs are taken before, since a job's record is on the disk before any run of it begins.

Invariant: memory is bounded by one segment and a few numbers for each job. A file that a crash left cut off is no
damage: the daemon never appends to what an earlier life of it wrote, so a record cut off at a segment's end is what it
was writing when it died, and `append` had not returned.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

import msgspec

from provider.errors import JournalError
from provider.jobs.model import JobRecord
from provider.journal import runs
from provider.journal.file import SUFFIX
from provider.journal.record import HEADER, MAGIC, MAX_PAYLOAD_BYTES, Gap, Record, scan

MAX_SEGMENT_BYTES: Final = 256 << 20
LOOKS: Final = 10
_SEGMENT_NAME: Final = re.compile(rf"[0-9]{{8,12}}{re.escape(SUFFIX)}")
_DRAFT_NAME: Final = re.compile(r"[0-9]{8,12}\.new")
_OVER: Final = ("settled", "denied")
_RANKS: Final = {"open": 0, "ended": 1, "denied": 2, "settled": 2}
_DECODER: Final = msgspec.json.Decoder(JobRecord)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """One line about the journal. An `error` says that something was lost or is not as the daemon writes it."""

    kind: Literal["error", "note"]
    text: str

    def __str__(self) -> str:
        text = "".join(letter if letter.isprintable() else "?" for letter in self.text)
        return f"{self.kind}: {text}"


@dataclass(frozen=True)
class Segment:
    """A segment held open."""

    number: int
    fd: int


@dataclass(frozen=True)
class Place:
    """Where a job's newest record stands, and what the order of jobs goes by."""

    created_at: int
    fd: int
    start: int
    length: int


@dataclass(frozen=True)
class Standing:
    """How far a job had come by one of its records. None of the three numbers ever falls, and a phase only goes back
    when one of them rises."""

    attempt: int
    revision: int
    runs: int
    rank: int

    def may_follow(self, older: "Standing") -> bool:
        steady = self.attempt >= older.attempt and self.revision >= older.revision and self.runs >= older.runs
        moved = (self.attempt, self.revision, self.runs) != (older.attempt, older.revision, older.runs)
        return steady and (moved or self.rank >= older.rank)

    def __str__(self) -> str:
        phase = next(name for name, rank in _RANKS.items() if rank == self.rank)
        return f"{phase}, attempt {self.attempt}, revision {self.revision}, {self.runs} runs"


def standing_of(record: JobRecord) -> Standing:
    revision = record.ending.revision if record.ending is not None else 0
    return Standing(record.attempt, revision, len(record.runs), _RANKS[record.phase])


# ---------------------------------------------------------------- show


def newest(
    folder: Path, job_id: str = "", only_open: bool = False, complain: Callable[[str], None] = lambda _text: None
) -> Iterator[bytes]:
    """The newest record of each job as JSON, oldest job first; of one job, or of those that are not over. Damage that
    is passed over is told to `complain`. Raises JournalError."""
    with _segments(folder) as (segments, _foreign):
        places: dict[str, Place] = {}
        for segment in segments:
            data = _read(segment)
            for part in scan(data):
                record = _decode(part) if isinstance(part, Record) else None
                if record is not None:
                    wanted = job_id in ("", record.job_id) and not (only_open and record.phase in _OVER)
                    places.pop(record.job_id, None)
                    if wanted:
                        place = Place(record.created_at, segment.fd, part.start, part.end - part.start)
                        places[record.job_id] = place
                elif not (isinstance(part, Gap) and part.blank):
                    found = _damage(segment, data, part)
                    if found.kind == "error":
                        complain(found.text)
        for place in sorted(places.values(), key=lambda place: place.created_at):
            yield os.pread(place.fd, place.length, place.start)[HEADER.size :]


# ---------------------------------------------------------------- verify


@dataclass
class Inspection:
    """One look at everything: `findings`, then `summary` and `reason`."""

    folder: Path
    runs_dir: Path
    progress: Progress = lambda _text: None
    damaged: int = 0
    segments: int = 0
    jobs: dict[int, Standing] = field(default_factory=dict)
    _unsettled: dict[int, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        counted = f"{_count(len(self.jobs), 'job')} in {_count(self.segments, 'segment')}"
        return f"{counted}, {len(self._unsettled)} open, {self.damaged} damaged"

    @property
    def reason(self) -> str:
        """Why the journal is not sound, "" when it is."""
        return f"the journal in {self.folder} is damaged in {_count(self.damaged, 'place')}" if self.damaged else ""

    def findings(self) -> Iterator[Finding]:
        """Everything worth a line, as it is found. Raises JournalError."""
        for found in self._look():
            self.damaged += found.kind == "error"
            yield found

    def _look(self) -> Iterator[Finding]:
        names = _list(self.runs_dir) if self.runs_dir.is_dir() else []
        with _segments(self.folder) as (segments, foreign):
            self.segments = len(segments)
            yield from foreign
            for place, segment in enumerate(segments, 1):
                self.progress(f"segment {place} of {len(segments)}, {len(self.jobs)} jobs")
                yield from self._read_segment(segment)
        yield from (Finding("note", text) for text in self._unsettled.values())
        for place, name in enumerate(names):
            if place % 100 == 0:
                self.progress(f"run files: {place} of {len(names)}")
            yield from self._read_run_file(name)

    def _read_segment(self, segment: Segment) -> Iterator[Finding]:
        data = _read(segment)
        for part in scan(data):
            if isinstance(part, Gap):
                if not part.blank:
                    yield _damage(segment, data, part)
                continue
            record = _decode(part)
            if record is None:
                yield _damage(segment, data, part)
            else:
                yield from self._take(record, f"segment {segment.number} at byte {part.start}")

    def _take(self, record: JobRecord, where: str) -> Iterator[Finding]:
        key, now = UUID(record.job_id).int, standing_of(record)
        before = self.jobs.get(key)
        if before is not None and not now.may_follow(before):
            yield Finding("error", f"{where}: job {record.job_id} goes backwards: {now}; before: {before}")
        self.jobs[key] = now
        self._unsettled.pop(key, None)
        if record.phase not in _OVER:
            self._unsettled[key] = _unsettled_line(record)

    def _read_run_file(self, name: str) -> Iterator[Finding]:
        path = self.runs_dir / name
        try:
            if name.startswith(runs.DRAFT_MARK):
                return
            if name.endswith(".run"):
                yield from self._look_at_run(path)
            elif name.startswith(runs.HELD_MARK) and name.endswith(runs.NOTE_SUFFIX):
                yield _look_at_note(path)
            elif not name.endswith(runs.SUFFIXES):
                yield Finding("note", f"{name} in {self.runs_dir} is no run file of ours")
        except FileNotFoundError:
            return  # the daemon has taken it in meanwhile
        except OSError as error:
            yield Finding("error", f"{name} in {self.runs_dir} cannot be read: {error.strerror or error}")

    def _look_at_run(self, path: Path) -> Iterator[Finding]:
        started, ended, damaged = runs.read_words(_read_small(path))
        if damaged:  # it may have been read while its end was written
            started, ended, damaged = runs.read_words(_read_small(path))
        if started is None:
            yield Finding("error", f"run file {path.name} is damaged: what it printed cannot be charged by it")
        elif damaged:
            lost = "its end is lost" if ended is None else f"{damaged} bytes of it are no record"
            yield Finding("error", f"run file {path.name} is damaged: {lost}")
        if path.name.startswith(runs.OFFLINE_MARK):
            yield Finding("note", f"run {path.stem} was made without the daemon and is not taken in yet")
        elif not self._knows(path.stem.rpartition(".")[0]):
            yield Finding("error", f"run {path.stem} has no record in the journal")

    def _knows(self, job_id: str) -> bool:
        try:
            return UUID(job_id).int in self.jobs
        except ValueError:
            return False


def _look_at_note(path: Path) -> Finding:
    note = runs.read_note(_read_small(path), path.name)
    if note is None:
        return Finding("error", f"note {path.name} is damaged: its job is to be released by hand")
    return Finding(
        "note", f"job {note.cups_job_id} of queue {note.queue} is held since {_time(note.held_at)} by its backend"
    )


def _unsettled_line(record: JobRecord) -> str:
    whose = f"job {record.job_id} ({record.user_name} on {record.queue})"
    if record.phase == "open":
        held = f", held for a {record.held_for}" if record.held_for else ""
        return f"{whose} is open since {_time(record.created_at)}, attempt {record.attempt}{held}"
    refused = f"; servers refuse it: {record.refusal}" if record.refusal else ""
    told = f"{record.ending.outcome}, revision {record.ending.revision}" if record.ending is not None else "no ending"
    return f"{whose} waits to be reported: {told}{refused}"


# ---------------------------------------------------------------- reading


@contextmanager
def _segments(folder: Path) -> Iterator[tuple[list[Segment], list[Finding]]]:
    """All segments of one moment, held open, in their order, and what else lies there."""
    if not folder.is_dir():
        raise JournalError(f"there is no journal in {folder}")
    for _ in range(LOOKS):
        names = [name for name in _list(folder) if not _DRAFT_NAME.fullmatch(name)]
        with ExitStack() as stack:
            try:
                opened = [(name, _open(folder / name, stack)) for name in names]
            except FileNotFoundError:
                continue  # rewritten or removed while we opened them
            except OSError as error:
                raise _unreadable(folder, error) from error
            if names == [name for name in _list(folder) if not _DRAFT_NAME.fullmatch(name)]:
                good = {name: fd for name, fd in opened if fd is not None and _SEGMENT_NAME.fullmatch(name)}
                segments = [Segment(int(name.removesuffix(SUFFIX)), fd) for name, fd in good.items()]
                foreign = [_foreign(folder, name) for name in names if name not in good]
                yield sorted(segments, key=lambda segment: segment.number), foreign
                return
    raise JournalError(f"the journal in {folder} changes too fast to be read")


def _foreign(folder: Path, name: str) -> Finding:
    """What is named like a segment is one to the daemon, and stops it when it cannot be read."""
    return Finding("error" if name.endswith(SUFFIX) else "note", f"{name} in {folder} is no segment of ours")


def _open(path: Path, stack: ExitStack) -> int | None:
    """A file to read, None for what is none (a folder, a link, a pipe)."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return None
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    stack.callback(os.close, fd)
    return fd


def _list(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from error


def _read(segment: Segment) -> bytes:
    """The whole segment as it is now. Raises JournalError."""
    try:
        size = os.fstat(segment.fd).st_size
        if size > MAX_SEGMENT_BYTES:
            raise JournalError(f"segment {segment.number} has {size} bytes: no daemon writes one as long")
        return os.pread(segment.fd, size, 0)
    except OSError as error:
        raise JournalError(f"segment {segment.number} cannot be read: {error.strerror or error}") from error


def _read_small(path: Path) -> bytes:
    with ExitStack() as stack:
        fd = _open(path, stack)
        return b"" if fd is None else os.read(fd, runs.MAX_RUN_BYTES)


def _decode(part: Record) -> JobRecord | None:
    """The record, None for one that the daemon could not take."""
    try:
        record = _DECODER.decode(part.payload)
        UUID(record.job_id)
    except ValueError:
        return None
    return record


def _damage(segment: Segment, data: bytes, part: Record | Gap) -> Finding:
    where, length = f"segment {segment.number} at byte {part.start}", part.end - part.start
    if isinstance(part, Record):
        return Finding("error", f"{where}: a record of {length} bytes cannot be decoded")
    if part.end == len(data) and _is_torn(data[part.start :]):
        return Finding("note", f"{where}: the last {length} bytes are torn, as a crash leaves them")
    return Finding("error", f"{where}: {length} damaged bytes")


def _is_torn(tail: bytes) -> bool:
    """Whether these are the first bytes of a record that ends too early, or that never reached the disk: its text holds
    no zeros. Pure."""
    if len(tail) < HEADER.size:
        return tail[: len(MAGIC)] == MAGIC[: len(tail)]
    magic, _version, length, _check = HEADER.unpack_from(tail)
    cut = length <= MAX_PAYLOAD_BYTES and HEADER.size + length > len(tail)
    return bool(magic == MAGIC) and (cut or tail.endswith(b"\0"))


def _time(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "a time that is none"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _unreadable(folder: Path, error: OSError) -> JournalError:
    return JournalError(f"the journal in {folder} cannot be read: {error.strerror or error}")
