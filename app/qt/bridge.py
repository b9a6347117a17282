"""One asyncio loop in one background thread, its results by queued signals into the GUI thread.

All networking runs there, so painting never delays a heartbeat and a slow server never freezes the window. Work goes
in by `submit`, results come back on the GUI thread; a result whose handle was cancelled, or whose owner is gone, is
dropped even when it was already under way in the event queue.

Invariants: no callback ever runs off the GUI thread; after `close` no thread is left and nothing is delivered any
more. No Qt object is ever destroyed off the GUI thread: the network thread holds numbers where the GUI thread holds
callbacks, and while it runs, cyclic garbage is collected on the GUI thread only (collector.py).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeVar

from PySide6.QtCore import QMetaObject, QObject, Qt, Signal

from app.qt.collector import Collector

THREAD_NAME: Final = "inkeeper-net"

T = TypeVar("T")

log = logging.getLogger(__name__)


class Handle:
    """One piece of work under way. `cancel` may be called at any time and any number of times, on the GUI thread."""

    def __init__(self, number: int, drop: Callable[[int], None] | None) -> None:
        self.number = number
        self._drop = drop
        self.cancelled = False

    def cancel(self) -> None:
        if not self.cancelled:
            self.cancelled = True
            if self._drop is not None:
                self._drop(self.number)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits for a result; only the GUI thread sees it."""

    on_done: Callable[[Any], None] | None
    on_error: Callable[[Exception], None] | None
    tie: QMetaObject.Connection | None


@dataclass(frozen=True, slots=True)
class _Result:
    number: int
    value: Any
    error: BaseException | None


class AsyncBridge(QObject):
    """Owns the loop and its thread. Made, used and closed on the GUI thread; only `post` may be called from any."""

    _arrived = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._arrived.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self._closed = False
        self._numbers = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}  # only the network thread sees it
        self._collector = Collector(self)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def submit(
        self,
        work: Coroutine[Any, Any, T],
        on_done: Callable[[T], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
        owner: QObject | None = None,
    ) -> Handle:
        """Run a coroutine on the loop; then one of the callbacks on the GUI thread, unless cancelled or the owner is
        gone.
        """
        if self._closed:
            work.close()
            handle = Handle(0, None)
            handle.cancel()
            return handle
        handle = Handle(next(self._numbers), self._drop)
        # Not the handle's bound method: of that Qt would keep a weak reference only.
        tie = owner.destroyed.connect(lambda: handle.cancel()) if owner is not None else None
        self._waiting[handle.number] = _Waiting(on_done, on_error, tie)
        self._loop.call_soon_threadsafe(self._start, handle.number, work)
        return handle

    def running(self, handle: Handle) -> bool:
        """Whether a result of this work may still be delivered."""
        return handle.number in self._waiting

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on the GUI thread, soon."""
        if not self._closed:
            self._arrived.emit(call)

    def close(self, last: Coroutine[Any, Any, None] | None = None, timeout_s: float = 3.0) -> bool:
        """Cancel everything, run `last` (closing the client), stop the loop, join the thread. True when all went in
        time.
        """
        if self._closed:
            if last is not None:
                last.close()
            return not self._thread.is_alive()
        self._closed = True
        self._waiting.clear()
        self._loop.call_soon_threadsafe(self._end, last, timeout_s)
        self._thread.join(timeout_s + 1.0)
        self._collector.stop()
        return not self._thread.is_alive()

    # ---------------------------------------------------------------- on the GUI thread

    def _receive(self, item: object) -> None:
        if self._closed:
            return
        if not isinstance(item, _Result):
            if callable(item):
                item()
            return
        waiting = self._waiting.pop(item.number, None)
        if waiting is not None:
            _deliver(waiting, item)

    def _drop(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            if waiting.tie is not None:
                QObject.disconnect(waiting.tie)
            self._loop.call_soon_threadsafe(self._stop, number)

    # ---------------------------------------------------------------- on the network thread

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _start(self, number: int, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._finished(number, done))

    def _stop(self, number: int) -> None:
        if number in self._tasks:
            self._tasks[number].cancel()

    def _finished(self, number: int, task: "asyncio.Task[Any]") -> None:
        del self._tasks[number]
        if not task.cancelled():
            error = task.exception()
            self._arrived.emit(_Result(number, None if error else task.result(), error))

    def _end(self, last: Coroutine[Any, Any, None] | None, timeout_s: float) -> None:
        ending = self._loop.create_task(self._wind_up(last, timeout_s))
        ending.add_done_callback(lambda _: self._loop.stop())

    async def _wind_up(self, last: Coroutine[Any, Any, None] | None, timeout_s: float) -> None:
        """Cancel what was submitted, and only that: it ends in good order what it has started itself. What is left
        after half of the time is cancelled too.
        """
        middle_s = time.monotonic() + timeout_s / 2
        for task in self._tasks.values():
            task.cancel()
        while (tasks := _others()) and time.monotonic() < middle_s:
            await asyncio.wait(tasks, timeout=max(0.0, middle_s - time.monotonic()))
        for task in _others():
            task.cancel()
        if last is not None:
            try:
                await asyncio.wait_for(last, timeout_s / 2)
            except TimeoutError:
                log.warning("the connection did not close in time")


def _others() -> "list[asyncio.Task[Any]]":
    """All tasks of this loop but the one that asks."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def _deliver(waiting: _Waiting, result: _Result) -> None:
    if waiting.tie is not None:
        QObject.disconnect(waiting.tie)
    if result.error is None:
        if waiting.on_done is not None:
            waiting.on_done(result.value)
    elif waiting.on_error is not None and isinstance(result.error, Exception):
        waiting.on_error(result.error)
    else:
        log.error("work in the background failed", exc_info=result.error)
