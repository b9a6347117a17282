"""Seeing at once that cupsd was killed, and making its spool readable for its next life.

cupsd 2.4 keeps its list of jobs in `job.cache`, and each job in a control file, which it writes as `c00012.N` and
renames. Killed in between, its next life may take `c00012.N` for a second job 12, or find a job in the list that
has no file and then read the whole spool a second time: jobs are listed twice, printed twice, and queues hang. So
the daemon watches the process by a descriptor. When it is gone, an unfinished file beside a finished one is
removed, and a control file is dated a second later, which makes cupsd read the spool, which is the truth, and not
the list. Nothing is touched that was written after the death, nor, where we were frozen and hear of it late,
after the next life began. Where we come too late, `Cupsd.listed` tells the copy from a person's wish.
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
_CONTROL = re.compile(r"c\d{5,}")

_log = logging.getLogger(__name__)


class CupsdWatch:
    """Watches every cupsd that asked us something, and the one behind our socket. Belongs to one event loop."""

    def __init__(self, roots_file: Path) -> None:
        self._roots_file = roots_file
        self._roots = _read_roots(roots_file)
        self._watched: dict[int, int] = {}
        self._command_lines: dict[int, bytes] = {}

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
        self._command_lines[pid] = _command_line(pid)
        asyncio.get_running_loop().add_reader(descriptor, self._died, pid)

    def processes(self) -> tuple[int, ...]:
        """The cupsds that live."""
        return tuple(self._watched)

    def note_server(self, server: str) -> None:
        """The cupsd that listens at this socket."""
        if server.startswith("/"):
            self.note_process(listener_of(server))

    def close(self) -> None:
        for pid in tuple(self._watched):
            self._forget(pid)

    def _died(self, pid: int) -> None:
        died_at_s = min(time.time(), next_life_s(self._command_lines[pid], pid))
        self._forget(pid)
        for root in self._roots:
            try:
                removed = tidy(Path(root), died_at_s)
            except OSError as error:
                _log.info("the spool %s cannot be tidied: %s", root, error)
                continue
            if removed:
                _log.warning("cupsd (process %d) was killed while it wrote in %s: removed %s", pid, root, removed)

    def _forget(self, pid: int) -> None:
        descriptor = self._watched.pop(pid)
        del self._command_lines[pid]
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def tidy(request_root: Path, died_at_s: float) -> list[str]:
    """Make the spool of a cupsd that is dead since `died_at_s` what its next life reads right: the names of the files
    that were removed. Raises OSError."""
    changed = {entry.name: entry.stat(follow_symlinks=False).st_ctime for entry in os.scandir(request_root)}
    if any(name.startswith("c") and at_s > died_at_s for name, at_s in changed.items()):
        return []  # the next one writes already
    unfinished = [name for name in changed if _UNFINISHED.fullmatch(name) and name.removesuffix(".N") in changed]
    for name in unfinished:
        os.unlink(request_root / name)
    newest = max((name for name in changed if _CONTROL.fullmatch(name)), default=None)
    if newest is not None:
        os.utime(request_root / newest, (died_at_s, died_at_s + 1))
    return sorted(unfinished)


def next_life_s(command_line: bytes, dead_pid: int) -> float:
    """When another process was started by the same command, as `time.time` counts; infinity when none was."""
    if not command_line:
        return float("inf")
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and int(entry) != dead_pid]
    return min((_started_s(pid) for pid in pids if _command_line(pid) == command_line), default=float("inf"))


def _started_s(pid: int) -> float:
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return float("inf")
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s - 1 / os.sysconf("SC_CLK_TCK")


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


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
