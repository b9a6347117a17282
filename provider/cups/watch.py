"""Seeing at once that cupsd was killed, and clearing away what it was writing.

cupsd 2.4 writes a job's control file as `c00012.N` and renames it. Killed in between, it leaves that file, and its
next life reads it as a second job 12: the job is printed twice, and the queue then hangs. So the daemon watches the
process by a descriptor, and removes such leftovers before the next cupsd reads the spool. What was written after
the death is not touched. Where we come too late, `Cupsd.listed` tells the copy from a person's wish.
"""

import asyncio
import logging
import os
import re
import socket
import struct
import time
from pathlib import Path
from typing import Final

from provider.files import write_whole

MOST_ROOTS: Final = 16
_UNFINISHED = re.compile(r"c\d{5,}\.N")

_log = logging.getLogger(__name__)


class CupsdWatch:
    """Watches every cupsd that asked us something, and the one behind our socket. Belongs to one event loop."""

    def __init__(self, roots_file: Path) -> None:
        self._roots_file = roots_file
        self._roots = _read_roots(roots_file)
        self._watched: dict[int, int] = {}

    def note_spool(self, request_root: str) -> None:
        """A spool of a cupsd here; remembered over restarts, for its cupsd may die before it asks again."""
        if request_root and request_root not in self._roots:
            self._roots = [*self._roots, request_root][-MOST_ROOTS:]
            try:
                write_whole(self._roots_file, "".join(f"{root}\n" for root in self._roots).encode())
            except OSError as error:
                _log.warning("the list of spools cannot be kept: %s", error)

    def note_process(self, pid: int) -> None:
        """A cupsd that lives."""
        if pid <= 1 or pid in self._watched:
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return  # it is gone already, or the kernel is too old to tell
        self._watched[pid] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._died, pid)

    def note_server(self, server: str) -> None:
        """The cupsd that listens at this socket."""
        if server.startswith("/"):
            self.note_process(listener_of(server))

    def close(self) -> None:
        for pid in tuple(self._watched):
            self._forget(pid)

    def _died(self, pid: int) -> None:
        now_s = time.time()
        self._forget(pid)
        for root in self._roots:
            for name in remove_unfinished(Path(root), now_s):
                _log.warning("cupsd (process %d) was killed while it wrote %s/%s: removed", pid, root, name)

    def _forget(self, pid: int) -> None:
        descriptor = self._watched.pop(pid)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def remove_unfinished(request_root: Path, died_at_s: float) -> list[str]:
    """Remove the control files that a cupsd which is dead since `died_at_s` did not finish: their names."""
    removed = []
    try:
        for entry in os.scandir(request_root):
            if _UNFINISHED.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_mtime <= died_at_s:
                os.unlink(entry.path)
                removed.append(entry.name)
    except OSError as error:
        _log.info("%s cannot be cleared: %s", request_root, error)
    return removed


def listener_of(path: str) -> int:
    """The process that listens at a unix socket, 0 when none does."""
    size = struct.calcsize("3i")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(path)
            pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        except OSError:
            return 0
    return int(pid)


def _read_roots(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.startswith("/")][-MOST_ROOTS:]
    except OSError:
        return []
