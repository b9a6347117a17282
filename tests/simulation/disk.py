"""A print server's disk: what was not synced is lost with the power, whole, in part, or not at all.

A file's writes and a folder's names are kept apart, as the kernel does: a synced file may be without its name, and a
name may come back that was removed. Killing a process loses nothing.
"""

import errno
from typing import Final

from tests.simulation.kernel import Kernel, Process

TORN: Final = 0.4


class File:
    """An inode. `dirty` are the writes since the last sync, in order; holders keep its lock."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = b""
        self.dirty: list[tuple[int, bytes]] = []
        self.holders: list[tuple[Process, int]] = []

    def lock(self, holder: Process) -> None:
        self.holders.append((holder, holder.life))

    @property
    def locked(self) -> bool:
        return any(process.alive and process.life == life for process, life in self.holders)


class Disk:
    """One folder of files by name."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.full = False
        self.files: dict[str, File] = {}
        self._durable: dict[str, File] = {}

    def create(self, name: str) -> File:
        """Raises FileExistsError."""
        if name in self.files:
            raise FileExistsError(errno.EEXIST, name)
        file = self.files[name] = File()
        return file

    def create_with_room(self, name: str) -> File:
        """With room for all that will be written to it. Raises OSError on a full disk, and FileExistsError."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.create(name)

    def write(self, file: File, place: int, data: bytes, *, room: bool = False) -> None:
        """At this place; `room`: into space that the file has already. Raises OSError on a full disk."""
        if self.full and not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.data[len(file.data) :] = bytes(max(0, place - len(file.data)))
        file.data[place : place + len(data)] = data
        file.dirty.append((place, data))

    def append(self, file: File, data: bytes) -> None:
        self.write(file, len(file.data), data)

    def truncate(self, file: File, size: int) -> None:
        """Cut off what a failed write left."""
        del file.data[size:]

    def sync(self, file: File) -> None:
        file.durable = bytes(file.data)
        file.dirty.clear()

    def link(self, old: str, new: str) -> None:
        """Raises FileExistsError."""
        if new in self.files:
            raise FileExistsError(errno.EEXIST, new)
        self.files[new] = self.files[old]

    def unlink(self, name: str) -> None:
        self.files.pop(name, None)

    def sync_folder(self) -> None:
        self._durable = dict(self.files)

    def read(self, name: str) -> bytes:
        """What is there, b"" for no file."""
        file = self.files.get(name)
        return bytes(file.data) if file is not None else b""

    def lose_power(self) -> None:
        """Only what was synced is sure to be there afterwards."""
        kernel = self._kernel
        names: dict[str, File] = {}
        for name in dict.fromkeys((*self._durable, *self.files)):
            before, now = self._durable.get(name), self.files.get(name)
            kept = now if before is now or kernel.chance(0.5) else before
            if kept is not None:
                names[name] = kept
        done: list[File] = []
        for file in names.values():
            if all(file is not other for other in done):
                self._tear(file)
                done.append(file)
        self.files, self._durable = names, dict(names)
        self.full = False

    def _tear(self, file: File) -> None:
        data = bytearray(file.durable)
        for place, written in file.dirty:
            if self._kernel.chance(0.5):
                continue
            kept = written
            if self._kernel.chance(TORN):
                kept = written[: self._kernel.rng.randint(0, len(written))]
                if self._kernel.chance(0.5):  # the file's size had been written, the rest of its content had not
                    kept += bytes(len(written) - len(kept))
            if kept:
                data[len(data) :] = bytes(max(0, place - len(data)))
                data[place : place + len(kept)] = kept
        file.data, file.durable = data, bytes(data)
        file.dirty.clear()
        file.holders.clear()
