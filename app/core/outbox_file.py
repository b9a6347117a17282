"""The outbox on disk: a line for each record, checked by its sum, on the disk before `append` returns.

One console of a profile at a time holds it, by a lock on a file beside it that the system lets go when the process
ends, however it ends. A torn last line is what a crash leaves: it is cut off, as nothing was done upon it. Damage
anywhere else keeps the file aside for whoever wants to look, and what can be read goes on.

Bound: past MAX_BYTES the file is written anew with what is still needed, beside and then renamed; as that is bounded
(outbox.MAX_OPEN), so is the file.
"""

import os
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from app.core.outbox import Record

MAX_BYTES: Final = 256 << 10
REASONS: Final = 12

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class OutboxError(Exception):
    """The disk refused; one line that says what and where."""


class OutboxHeld(OutboxError):
    """Another console with this profile holds it."""


class OutboxFile:
    """Open it with `take`; used by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd = -1
        self._fd = -1
        self.size = 0
        self.damaged = 0

    @property
    def held(self) -> bool:
        return self._lock_fd >= 0

    def take(self) -> list[Record]:
        """Lock it and read it. Raises OutboxHeld, OutboxError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._take_lock()
            return self._open()
        except OutboxError:
            raise
        except OSError as error:
            self.close()
            raise OutboxError(f"the outbox {self.path} cannot be used: {error.strerror}") from error

    def append(self, records: Iterable[Record]) -> None:
        """On the disk when it returns; none of them where it raises OutboxError."""
        content = b"".join(map(_line, records))
        try:
            done = 0
            while done < len(content):
                done += os.write(self._fd, content[done:])
            os.fsync(self._fd)
        except OSError as error:
            self._cut_back()
            raise OutboxError(f"the outbox {self.path} cannot be written: {error.strerror}") from error
        self.size += len(content)

    def rewrite(self, records: Iterable[Record]) -> None:
        """These and nothing else, whole or not at all. Raises OutboxError."""
        beside = self.path.with_suffix(".new")
        try:
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(b"".join(map(_line, records)))
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self.path)
                _sync_folder(self.path.parent)
            finally:
                beside.unlink(missing_ok=True)
            self._reopen()
        except OSError as error:
            raise OutboxError(f"the outbox {self.path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let it go."""
        for descriptor in (self._fd, self._lock_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._lock_fd = -1

    def _take_lock(self) -> None:
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise OutboxHeld("another console with this profile is open") from error
        self._lock_fd = descriptor

    def _open(self) -> list[Record]:
        content = self.path.read_bytes() if self.path.exists() else b""
        found, good, self.damaged = _scan(content)
        if self.damaged:
            aside = os.open(self.path.with_suffix(".damaged"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self.rewrite(found)
            return found
        self._reopen()
        if good < len(content):
            os.ftruncate(self._fd, good)
            os.fsync(self._fd)
            self.size = good
        return found

    def _reopen(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        new = not self.path.exists()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if new:
            _sync_folder(self.path.parent)
        self.size = os.fstat(self._fd).st_size

    def _cut_back(self) -> None:
        """A line half written is no line: the next one must not be glued to it."""
        try:
            os.ftruncate(self._fd, self.size)
        except OSError as error:
            raise OutboxError(f"the outbox {self.path} is torn and cannot be mended: {error.strerror}") from error


def _line(record: Record) -> bytes:
    text = msgspec.json.encode(record)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _scan(content: bytes) -> tuple[list[Record], int, int]:
    """The whole records, where the last of them ends, and how many lines before that cannot be read."""
    found: list[Record] = []
    place = good = damaged = torn = 0
    for line in content.splitlines(keepends=True):
        place += len(line)
        record = _read(line)
        if record is None:
            torn += 1
            continue
        damaged, torn, good = damaged + torn, 0, place
        found.append(record)
    # Only the last line can be torn by a crash; one that ended with its line feed was written whole.
    return found, good, damaged + max(0, torn - (not content.endswith(b"\n")))


def _read(line: bytes) -> Record | None:
    head, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or head != b"%08x" % zlib.crc32(text):
        return None
    try:
        return msgspec.json.decode(text, type=Record)  # type: ignore[no-any-return]  # a union of tagged structs
    except msgspec.DecodeError:
        return None


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
