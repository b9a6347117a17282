"""The journal's front in the event loop: what is written at the same time shares one fsync, without waiting for
company.

A thread does the writing, since a disk may take its time. What nobody waits for (`write_soon`) is kept until the
disk takes it, so that a full disk loses no record while the daemon lives; its number is bounded by that of the open
jobs.

Invariant: records reach the disk in the order in which they were given, so the newest one of a job counts.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from provider.errors import JournalError
from provider.journal.file import JournalFile, Label

RETRY_S = 1.0

Item = tuple[Label, bytes]
Numbered = tuple[int, Item]  # in the order in which they were given
Waiter = tuple[Numbered, "asyncio.Future[None]"]


class GroupCommit:
    """Serialises all writing to one journal. Belongs to one event loop."""

    def __init__(self, journal: JournalFile, on_dropped: Callable[[list[str]], None]) -> None:
        self._journal = journal
        self._on_dropped = on_dropped
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._numbers = itertools.count()
        self._waiting: list[Waiter] = []
        self._soon: dict[str, Numbered] = {}
        self._unsaved: dict[str, bytes] = {}
        self._running: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self.trouble = ""

    async def write(self, label: Label, payload: bytes) -> None:
        """Returns when the record is on the disk. Raises JournalError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((next(self._numbers), (label, payload)), done))
        self._start()
        await done

    def write_soon(self, label: Label, payload: bytes) -> None:
        """Write without waiting; a newer record of the same key takes the place of one that is still to be written."""
        self._soon[label.key] = (next(self._numbers), (label, payload))
        self._unsaved[label.key] = payload
        self._start()

    async def close(self) -> None:
        """Write what is still to be written, as far as the disk takes it."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._soon:
            await self._commit([], self._soon)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.close)
        self._thread.shutdown()

    async def read(self, key: str) -> bytes | None:
        """The newest payload of a key."""
        if key in self._unsaved:
            return self._unsaved[key]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._journal.read, key)

    def _start(self) -> None:
        self._wake.set()
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while self._waiting or self._soon:
            batch, self._waiting = self._waiting, []
            soon, self._soon = self._soon, {}
            if await self._commit(batch, soon):
                continue
            self._soon = {**soon, **self._soon}
            if not self._waiting:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), RETRY_S)

    async def _commit(self, batch: list[Waiter], soon: dict[str, Numbered]) -> bool:
        items = [item for _, item in sorted([*soon.values(), *(numbered for numbered, _ in batch)], key=_number)]
        loop = asyncio.get_running_loop()
        try:
            dropped = await loop.run_in_executor(self._thread, self._journal.append, items, bool(batch))
        except JournalError as error:
            self.trouble = str(error)
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return False
        self.trouble = ""
        for label, payload in items:
            if self._unsaved.get(label.key) is payload:
                del self._unsaved[label.key]
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        if dropped:
            self._on_dropped(dropped)
        return True


def _number(numbered: Numbered) -> int:
    return numbered[0]
