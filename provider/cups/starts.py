"""Seeing a backend start: while Python is still starting in it, the daemon can be at its job already.

Python needs ten milliseconds to start, half of what tracking adds to a job. cupsd forks the backend and gives it the
job in its arguments and environment, which /proc shows to us; that it is being started an inotify watch of the
backends' folder tells. Both only forewarn: what is seen here is used when the backend itself comes and asks exactly
that, and forgotten when it does not. Where the kernel does not tell (another user's daemon, no inotify), backends are
served as they ask.

Only a job whose document is a file named by cupsd is told of: another one is still being made by CUPS's filters, and
these take longer than Python.
"""

import asyncio
import ctypes
import errno
import logging
import os
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provider.cups.identity import without_password
from provider.local import protocol
from provider.local.protocol import ProtocolError, Question

LOOK_AGAIN_S: Final = (0.0003, 0.0007, 0.002, 0.004)
MAX_ARGUMENTS_BYTES: Final = 256 << 10
_IN_OPEN: Final = 0x20
_EVENT: Final = struct.Struct("iIII")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Start:
    """A backend that has been started, what it will ask, and the file cupsd gave it."""

    pid: int
    question: Question
    document: Path


class BackendStarts:
    """Watches ServerBin's backends for the start of `launcher`. Belongs to one event loop."""

    def __init__(self, launcher: Path, cupsds: Callable[[], Collection[int]], tell: Callable[[Start], None]) -> None:
        self._launcher = launcher
        self._cupsds = cupsds
        self._tell = tell
        self._watch = -1
        self._settled: set[int] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._trouble = 0

    def watch(self) -> None:
        """Begin to watch, or do nothing where that goes on already; to be called again and again, for the folder may
        come later."""
        if self._watch >= 0:
            return
        try:
            self._watch = _inotify(self._launcher.parent, _IN_OPEN)
        except OSError as error:
            if error.errno != self._trouble:
                _log.info("backends are not seen starting: %s: %s", self._launcher.parent, error.strerror)
            self._trouble = error.errno or 0
            return
        asyncio.get_running_loop().add_reader(self._watch, self._opened)

    def close(self) -> None:
        self._stop_watching()
        if self._looking is not None:
            self._looking.cancel()

    def _stop_watching(self) -> None:
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1

    def _opened(self) -> None:
        data = os.read(self._watch, 1 << 16)
        names, lasting = read_events(data)
        if not lasting:
            self._stop_watching()  # the folder is gone; `watch` finds the next one
        if self._launcher.name.encode() in names:
            self._look(0)

    def _look(self, tries: int) -> None:
        """Look at what cupsd has running; once more a little later where a program is just being exchanged."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        children = {child for cupsd in self._cupsds() for child in _children(cupsd)}
        self._settled &= children
        in_between = False
        for pid in children - self._settled:
            words = _words(f"/proc/{pid}/cmdline")
            if not _is_settled(words, self._launcher):
                in_between = True
                continue
            self._settled.add(pid)
            start = self._start_of(pid, words)
            if start is not None:
                self._tell(start)
        if in_between and tries < len(LOOK_AGAIN_S):
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(LOOK_AGAIN_S[tries], self._look, tries + 1)

    def _start_of(self, pid: int, words: list[str]) -> Start | None:
        launcher = str(self._launcher)
        if launcher not in words[1:3] or not _is_ours(pid):
            return None
        arguments = words[words.index(launcher, 1) :]
        if len(arguments) != 7:
            return None
        pairs = (word.partition("=") for word in _words(f"/proc/{pid}/environ"))
        environ = {name: value for name, _, value in pairs}
        if "DEVICE_URI" not in environ:  # we may not look: CAP_SYS_PTRACE is missing
            return None
        document = Path(arguments[6])
        try:
            question = question_of(arguments, environ, document.stat().st_size, incarnation_of(pid))
        except (OSError, ProtocolError) as error:
            _log.debug("backend %d: %s", pid, error)
            return None
        return Start(pid, question, document)


def question_of(arguments: list[str], environ: dict[str, str], size: int, incarnation: str) -> Question:
    """What the backend will ask: the same words as `describe` in the backend's own file. Pure. Raises ProtocolError."""
    fields = {
        "v": protocol.VERSION,
        "kind": "ask",
        "cups_job_id": arguments[1],
        "user": arguments[2],
        "title": arguments[3],
        "copies": arguments[4],
        "options": arguments[5],
        "named_file": "1",
        "queue": environ.get("PRINTER", ""),
        "device_uri": without_password(environ.get("DEVICE_URI", "").partition(":/")[2]),
        "content_type": environ.get("FINAL_CONTENT_TYPE") or environ.get("CONTENT_TYPE", ""),
        "document_bytes": str(size),
        "request_root": environ.get("CUPS_REQUESTROOT", ""),
        "incarnation": incarnation,
        "ppd": environ.get("PPD", ""),
    }
    shown = {
        name: value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name, value in fields.items()
    }
    question = protocol.decode_request(protocol.encode_frame(shown)[4:])
    if not isinstance(question, Question):
        raise ProtocolError("this is no question")
    return question


def incarnation_of(pid: int) -> str:
    """Which life of cupsd started this process, in the backend's own words. Raises OSError when it is gone."""
    parent = _stat(pid)[1]
    return f"{parent}.{_stat(int(parent))[19]}"


def read_events(data: bytes) -> tuple[set[bytes], bool]:
    """The names of the files in inotify's events, and whether the watch goes on after them. Pure."""
    names: set[bytes] = set()
    place, lasting = 0, True
    while place + _EVENT.size <= len(data):
        _, mask, _, length = _EVENT.unpack_from(data, place)
        names.add(data[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0"))
        lasting = lasting and not mask & 0x8000  # IN_IGNORED
        place += _EVENT.size + length
    return names, lasting


def _is_settled(words: list[str], launcher: Path) -> bool:
    """Whether the process is what it will be, as far as we care: not cupsd's fork, nor what makes it our backend."""
    if not words or words[0].endswith("cupsd"):
        return False
    return str(launcher) not in words or str(launcher) in words[1:3]


def _is_ours(pid: int) -> bool:
    """Whether it may ask us at all: see provider.local.server."""
    try:
        return os.stat(f"/proc/{pid}").st_uid in (0, os.geteuid())
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    return [int(word) for word in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _words(path: str) -> list[str]:
    """The words in a file of /proc, as Python's own arguments are; none when it is gone."""
    return [word.decode("utf-8", "surrogateescape") for word in _read(path).split(b"\0")[:-1]]


def _read(path: str) -> bytes:
    """A file of /proc by the plainest calls, since each job needs some; nothing when it is gone or not for us."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    data = b""
    try:
        while len(data) < MAX_ARGUMENTS_BYTES and (part := os.read(fd, MAX_ARGUMENTS_BYTES)):
            data += part
        return data
    except OSError:
        return b""
    finally:
        os.close(fd)


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _inotify(folder: Path, mask: int) -> int:
    """A descriptor that tells of these events in a folder. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise _failure()
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), ctypes.c_uint32(mask)) < 0:
        error = _failure()
        os.close(descriptor)
        raise error
    return descriptor


def _failure() -> OSError:
    number = ctypes.get_errno() or errno.EIO
    return OSError(number, os.strerror(number))
