"""One asyncio loop in one background thread, its results by queued signals into the GUI thread.

All networking runs there, so painting never delays a heartbeat and a slow server never freezes the window. Work
goes in by `submit`, results come back on the GUI thread; a result whose handle was cancelled, or whose owner is
gone, is dropped even when it was already under way in the event queue.

Invariants: no callback ever runs off the GUI thread; after `close` no thread is left and nothing is delivered any
more.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

THREAD_NAME = "inkeeper-net"

T = TypeVar("T")

log = logging.getLogger(__name__)


class Handle:
    """One piece of work under way. `cancel` may be called at any time and any number of times, on the GUI thread."""

    def __init__(self) -> None:
        self._cancelled = False
        self._future: Future[Any] | None = None

    def attach(self, future: "Future[Any]") -> None:
        self._future = future

    def cancel(self) -> None:
        self._cancelled = True
        if self._future is not None:
            self._future.cancel()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def done(self) -> bool:
        """Nothing runs any more; the callback may still be on its way."""
        return self._future is None or self._future.done()


class AsyncBridge(QObject):
    """Owns the loop and its thread. Made and closed on the GUI thread."""

    _posted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._posted.connect(self._run, Qt.ConnectionType.QueuedConnection)
        self._closed = False
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
        """Run a coroutine on the loop; then one of the callbacks on the GUI thread, unless cancelled or the owner
        is gone.
        """
        handle = Handle()
        if self._closed:
            work.close()
            handle.cancel()
            return handle
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        handle.attach(future)
        tie = owner.destroyed.connect(handle.cancel) if owner is not None else None

        def arrive() -> None:
            if tie is not None:
                QObject.disconnect(tie)
            _deliver(handle, future, on_done, on_error)

        future.add_done_callback(lambda _: self.post(arrive))
        return handle

    def post(self, call: Callable[[], None]) -> None:
        """Run `call` on the GUI thread, soon. From any thread."""
        if not self._closed:
            self._posted.emit(call)

    def _run(self, call: Callable[[], None]) -> None:
        if not self._closed:
            call()

    def close(self, last: Coroutine[Any, Any, None] | None = None, timeout_s: float = 3.0) -> bool:
        """Cancel everything, run `last` (closing the client), stop the loop, join the thread. True when all went in
        time.
        """
        if self._closed:
            if last is not None:
                last.close()
            return not self._thread.is_alive()
        self._closed = True
        ending = asyncio.run_coroutine_threadsafe(self._wind_up(last, timeout_s), self._loop)
        ending.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        self._thread.join(timeout_s + 1.0)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _wind_up(self, last: Coroutine[Any, Any, None] | None, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s / 2
        # In rounds, because what is cancelled may start other work while it cleans up.
        while (tasks := _others()) and time.monotonic() < deadline_s:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=max(0.0, deadline_s - time.monotonic()))
        if last is not None:
            try:
                await asyncio.wait_for(last, timeout_s / 2)
            except TimeoutError:
                log.warning("the connection did not close in time")


def _others() -> "list[asyncio.Task[Any]]":
    """All tasks of this loop but the one that asks."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def _deliver(
    handle: Handle,
    future: "Future[T]",
    on_done: Callable[[T], None] | None,
    on_error: Callable[[Exception], None] | None,
) -> None:
    if handle.cancelled:
        return
    try:
        result = future.result(timeout=0)
    except CancelledError:
        return
    except Exception as error:
        if on_error is None:
            log.error("work in the background failed", exc_info=error)
        else:
            on_error(error)
        return
    if on_done is not None:
        on_done(result)
