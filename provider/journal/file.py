"""The journal on disk: append-only segments of records, of which the newest of each job counts.

A record is whole in itself, so what a segment lost is healed by the next record of the job, and a segment can be
rewritten without what newer records replaced. `append` returns when the records are on the disk; a full disk raises
JournalError, the torn end is cut off, and the next append may well succeed.

Bound: at each rotation, segments of which more than half is superseded or settled for longer than `keep_ms` are
rewritten without it. A segment with damage in its middle is left as it is, for whoever wants to look at it, until
all in it is old.

Invariants: what `append` returned from survives a crash at any later moment; replay reads every whole record,
whatever is around it. One thread at a time; the daemon's lock file keeps other processes out.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from provider.errors import JournalError
from provider.journal.record import Gap, Record, encode, scan

SEGMENT_BYTES: Final = 8 << 20
KEEP_MS: Final = 35 * 86_400_000
REWRITES_A_ROTATION: Final = 2
SUFFIX: Final = ".journal"


@dataclass(frozen=True)
class Label:
    """What the journal knows of a payload: whose it is, and since when it need not be kept (None: it must be kept)."""

    key: str
    settled_at_ms: int | None = None


@dataclass(frozen=True)
class Place:
    """Where the newest record of a key stands."""

    segment: int
    start: int
    length: int
    settled_at_ms: int | None


@dataclass(frozen=True)
class Damage:
    """Bytes that replay passed over. `torn` says that they are a segment's end, as a crash leaves it."""

    segment: int
    start: int
    length: int
    torn: bool


@dataclass
class _Segment:
    size: int = 0
    live: int = 0
    damaged: bool = False


@dataclass
class _Output:
    fd: int
    number: int
    good: int


@dataclass
class JournalFile:
    """`read_label` tells a payload's label, or None for one that it cannot read, which then counts as damage."""

    folder: Path
    read_label: Callable[[bytes], Label | None]
    now_ms: Callable[[], int]
    segment_bytes: int = SEGMENT_BYTES
    keep_ms: int = KEEP_MS
    damage: list[Damage] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    _segments: dict[int, _Segment] = field(default_factory=dict)
    _output: _Output | None = None

    def open(self) -> None:
        """Make the folder if need be, and replay. Raises JournalError."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for leftover in self.folder.glob("*.new"):
                leftover.unlink()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self.replay()

    def replay(self) -> None:
        """Read everything; `read_label` sees every payload in the order in which they were written. Changes nothing."""
        try:
            for path in sorted(self.folder.glob(f"*{SUFFIX}")):
                if path.stem.isdigit():
                    self._replay(int(path.stem), path.read_bytes())
        except OSError as error:
            raise JournalError(f"the journal in {self.folder} cannot be read: {error.strerror or error}") from error

    def append(self, records: Sequence[tuple[Label, bytes]], durable: bool = True) -> list[str]:
        """Write records and, if `durable`, wait for the disk. The keys that rotation dropped. Raises JournalError."""
        encoded = [encode(payload) for _, payload in records]
        try:
            output = self._open_output()
            self._write(output, b"".join(encoded), durable)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        for (label, _), data in zip(records, encoded, strict=True):
            self._place(label, output.number, output.good, len(data))
            output.good += len(data)
        self._segments[output.number].size = output.good
        if output.good < self.segment_bytes:
            return []
        self.close()
        try:
            return self.shrink()
        except JournalError:
            return []  # the records are safe; the next rotation tries again

    def shrink(self) -> list[str]:
        """Drop what is settled for long enough and rewrite the oldest segments that are worth it: the dropped keys.

        A record may go for its age only while nothing older of its job stands in a segment before it: else replay
        would find the job as it was then.
        """
        settled = self._settled_before(self.now_ms() - self.keep_ms)
        dropped: list[str] = []
        clean, rewrites = True, 0
        try:
            for number, segment in sorted(self._segments.items()):
                if self._output is not None and number == self._output.number:
                    break
                old = settled.get(number, []) if clean else []
                left = segment.live - sum(self.places[key].length for key in old)
                worth = left * 2 <= segment.size and not segment.damaged and rewrites < REWRITES_A_ROTATION
                if left == 0 or worth:
                    for key in old:
                        del self.places[key]
                    dropped += old
                    rewrites += left > 0
                    self._rewrite(number)
                clean = clean and (number not in self._segments or segment.live == segment.size)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return dropped

    def _settled_before(self, horizon_ms: int) -> dict[int, list[str]]:
        """The keys that may go for their age, by segment."""
        found: dict[int, list[str]] = {}
        for key, place in self.places.items():
            if place.settled_at_ms is not None and place.settled_at_ms < horizon_ms:
                found.setdefault(place.segment, []).append(key)
        return found

    def read(self, key: str) -> bytes | None:
        """The newest payload of a key, None when there is none or it is damaged."""
        place = self.places.get(key)
        if place is None:
            return None
        with self._path(place.segment).open("rb") as file:
            file.seek(place.start)
            data = file.read(place.length)
        return next((part.payload for part in scan(data) if isinstance(part, Record)), None)

    def close(self) -> None:
        """Close the segment being written; the next append begins another."""
        if self._output is not None:
            os.close(self._output.fd)
            self._output = None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}{SUFFIX}"

    def _replay(self, number: int, data: bytes) -> None:
        segment = self._segments[number] = _Segment(size=len(data))
        for part in scan(data):
            label = self.read_label(part.payload) if isinstance(part, Record) else None
            if label is not None:
                self._place(label, number, part.start, part.end - part.start)
            elif not (isinstance(part, Gap) and part.blank):
                torn = isinstance(part, Gap) and part.end == len(data)
                segment.damaged = segment.damaged or not torn
                self.damage.append(Damage(number, part.start, part.end - part.start, torn))

    def _place(self, label: Label, segment: int, start: int, length: int) -> None:
        older = self.places.get(label.key)
        if older is not None:
            self._segments[older.segment].live -= older.length
        self.places[label.key] = Place(segment, start, length, label.settled_at_ms)
        self._segments[segment].live += length

    def _open_output(self) -> _Output:
        """The segment to append to: never one that an earlier life of the daemon wrote, whose end may be torn."""
        if self._output is None:
            number = max(self._segments, default=0) + 1
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._output = _Output(os.open(self._path(number), flags, 0o600), number, 0)
            self._segments[number] = _Segment()
            _sync_folder(self.folder)
        return self._output

    def _write(self, output: _Output, data: bytes, durable: bool) -> None:
        """All of it or nothing: what a failed write left behind is cut off, or the segment is not used any more."""
        try:
            done = 0
            while done < len(data):
                done += os.write(output.fd, data[done:])
            if durable:
                os.fdatasync(output.fd)
        except OSError:
            try:
                os.ftruncate(output.fd, output.good)
            finally:
                self.close()
            raise

    def _rewrite(self, number: int) -> None:
        """Leave in a closed segment what is the newest of its job, or nothing and no segment."""
        path, segment = self._path(number), self._segments[number]
        kept = sorted((place.start, key) for key, place in self.places.items() if place.segment == number)
        if not kept:
            path.unlink()
            del self._segments[number]
            return
        data = path.read_bytes()
        parts = [data[start : start + self.places[key].length] for start, key in kept]
        _replace(path, parts)
        segment.size = segment.live = sum(map(len, parts))
        start = 0
        for (_, key), part in zip(kept, parts, strict=True):
            self.places[key] = replace(self.places[key], start=start)
            start += len(part)


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    draft = path.with_suffix(".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unwritable(folder: Path, error: OSError) -> JournalError:
    return JournalError(f"the journal in {folder} cannot be written: {error.strerror or error}")
