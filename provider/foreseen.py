"""Questions that are being answered before they are asked.

A backend that was seen starting (provider.cups.starts) gets a session as if it had asked: its document is looked at,
the record is on the disk, a server is asked; which job it is, is guessed while cupsd is asked. When it comes (the same
process, the same question, the same file) and cupsd said what was guessed, it is given that session. When it asks
anything else, or does not come within COME_S, the session is gone, which for a job is the same as a backend that died
before its run began: nothing was printed, and the reservation is voided.

Invariant: every session that was begun here is either claimed or `gone`, once.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from provider.cups.starts import Start
from provider.errors import ProviderError
from provider.jobs.desk import Session
from provider.local.protocol import Question

COME_S: Final = 5.0
MOST: Final = 64

_log = logging.getLogger(__name__)


async def _is_right() -> bool:
    return True


@dataclass(frozen=True)
class Early:
    """A session that was begun by what is likely; `is_right` tells in the end whether it is so."""

    session: Session
    is_right: Callable[[], Awaitable[bool]] = _is_right


@dataclass
class _Entry:
    question: Question
    document: int
    task: "asyncio.Task[None] | None" = None
    timer: asyncio.TimerHandle | None = None
    early: Early | None = None


class Foreseen:
    """Sessions of backends that have not asked yet. Belongs to one event loop."""

    def __init__(
        self,
        begin: Callable[[Question, int], Awaitable[Early]],
        enter: Callable[[Session], Awaitable[None]],
        gone: Callable[[Session], None],
    ) -> None:
        self._begin = begin
        self._enter = enter
        self._gone = gone
        self._entries: dict[int, _Entry] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    def note(self, start: Start) -> None:
        """A backend has been started."""
        if start.pid in self._entries or len(self._entries) >= MOST or not start.question.document_bytes:
            return
        try:
            document = os.open(start.document, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            _log.debug("backend %d: %s cannot be read: %s", start.pid, start.document, error.strerror)
            return
        entry = self._entries[start.pid] = _Entry(start.question, document)
        loop = asyncio.get_running_loop()
        entry.task = loop.create_task(self._prepare(entry))
        entry.timer = loop.call_later(COME_S, self._not_come, start.pid)

    async def claim(self, pid: int, question: Question, document: int) -> Session | None:
        """The session that was begun for this backend, entered already; None when there is none for this question."""
        entry = self._entries.pop(pid, None)
        if entry is None or entry.task is None:
            return None
        claimed = False
        try:
            if entry.question == question and _same_file(entry.document, document):
                await asyncio.shield(entry.task)
                claimed = entry.early is not None and await entry.early.is_right()
        finally:
            if claimed:
                self._release(entry)
            else:
                await self._drop(entry)
        return entry.early.session if claimed and entry.early is not None else None

    async def close(self) -> None:
        """Leave everything as it is."""
        for entry in self._entries.values():
            self._release(entry)
            if entry.task is not None:
                entry.task.cancel()
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        self._entries.clear()
        await asyncio.gather(*tasks, *self._dropping, return_exceptions=True)

    async def _prepare(self, entry: _Entry) -> None:
        try:
            entry.early = await self._begin(entry.question, entry.document)
            await self._enter(entry.early.session)
        except ProviderError as error:
            _log.debug("job %d was not begun before it asked: %s", entry.question.cups_job_id, error)

    def _not_come(self, pid: int) -> None:
        entry = self._entries.pop(pid, None)
        if entry is not None:
            _log.info("the backend of job %d was started and did not ask", entry.question.cups_job_id)
            task = asyncio.get_running_loop().create_task(self._drop(entry))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    async def _drop(self, entry: _Entry) -> None:
        self._release(entry)
        if entry.task is not None:
            entry.task.cancel()
            await asyncio.gather(entry.task, return_exceptions=True)
        if entry.early is not None:
            self._gone(entry.early.session)

    def _release(self, entry: _Entry) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        if entry.document >= 0:
            os.close(entry.document)  # the analysis has a descriptor of its own
            entry.document = -1


def _same_file(one: int, other: int) -> bool:
    """The same file as it was: whoever writes into it in between shows by its times."""
    a, b = os.fstat(one), os.fstat(other)
    return (a.st_dev, a.st_ino, a.st_size, a.st_mtime_ns) == (b.st_dev, b.st_ino, b.st_size, b.st_mtime_ns)
