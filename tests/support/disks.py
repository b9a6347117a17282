"""A small disk of its own for one program, to be filled to the last byte and emptied again. Needs root."""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import run

BLOCK = 64 << 10


class SmallDisk:
    """A file system in memory mounted at `folder`, its owner's as before. Mount it before the programs start that use
    it: a host of the test's own sees what was mounted when it was entered."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._megabytes = megabytes
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        owner = self.folder.stat()
        options = f"size={self._megabytes}m,mode=755,uid={owner.st_uid},gid={owner.st_gid}"
        run(["mount", "-t", "tmpfs", "-o", options, "inkeeper-test", self.folder])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(["umount", "--lazy", self.folder], check=False)

    def fill(self) -> None:
        """Take all the room there is. What others free meanwhile is theirs to use."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (BLOCK, 1):
                _write_till_full(ballast.fileno(), bytes(size))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


def _write_till_full(descriptor: int, block: bytes) -> None:
    try:
        while os.write(descriptor, block) == len(block):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
