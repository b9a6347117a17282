"""The bridge: work on its own loop, results on the GUI thread, nothing after cancel, nothing after close."""

import asyncio
import gc
import threading

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.qt.bridge import THREAD_NAME, AsyncBridge


async def answer(value: int, wait_s: float = 0.0) -> int:
    await asyncio.sleep(wait_s)
    return value


async def fail() -> int:
    raise ValueError("no")


def network_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def test_work_runs_on_the_loops_thread_and_results_come_on_the_gui_thread(bridge: AsyncBridge, qtbot: QtBot) -> None:
    seen: list[str] = []

    async def where() -> str:
        return threading.current_thread().name

    bridge.submit(where(), lambda name: seen.extend((name, threading.current_thread().name)))
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == [THREAD_NAME, threading.main_thread().name]


def test_a_failure_reaches_who_asked(bridge: AsyncBridge, qtbot: QtBot) -> None:
    errors: list[Exception] = []
    bridge.submit(fail(), lambda _: None, errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert isinstance(errors[0], ValueError)


def test_a_failure_nobody_waits_for_is_logged(
    bridge: AsyncBridge, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    bridge.submit(fail())
    qtbot.waitUntil(lambda: "work in the background failed" in caplog.text)
    caplog.clear()


def test_a_result_already_on_its_way_is_dropped_after_cancel(bridge: AsyncBridge, qtbot: QtBot) -> None:
    seen: list[int] = []
    finished = threading.Event()

    async def work() -> int:
        asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(finished.set))
        return 1

    handle = bridge.submit(work(), seen.append)
    assert finished.wait(10)  # on the loop's thread, while no Qt event is handled here
    handle.cancel()
    bridge.submit(answer(2), seen.append)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [2]


def test_cancel_ends_the_work_itself(bridge: AsyncBridge, qtbot: QtBot) -> None:
    ended: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append("ended")

    handle = bridge.submit(long())
    seen: list[int] = []
    bridge.submit(answer(1), seen.append)
    qtbot.waitUntil(lambda: bool(seen))
    handle.cancel()
    qtbot.waitUntil(lambda: ended == ["ended"])


def test_a_result_for_an_owner_that_is_gone_is_dropped(bridge: AsyncBridge, qtbot: QtBot) -> None:
    seen: list[int] = []
    owner = QObject()
    bridge.submit(answer(1, 0.05), seen.append, owner=owner)
    owner.deleteLater()
    bridge.submit(answer(2, 0.1), seen.append)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [2]


def test_close_cancels_runs_the_last_word_and_leaves_no_thread(qtbot: QtBot) -> None:
    bridge = AsyncBridge()
    told: list[str] = []
    seen: list[int] = []

    async def last() -> None:
        told.append("closed")

    bridge.submit(answer(1, 600), seen.append)
    assert bridge.close(last())
    assert told == ["closed"]
    assert not network_threads()
    assert bridge.submit(answer(2), seen.append).cancelled
    bridge.post(lambda: seen.append(3))
    qtbot.wait(30)
    assert seen == []
    assert bridge.close()


def test_garbage_is_collected_by_the_gui_thread_only(qtbot: QtBot) -> None:
    threads: list[str] = []

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            threads.append(threading.current_thread().name)

    async def busy() -> int:
        for _ in range(3000):
            Cycle()
        return 1

    bridge = AsyncBridge()
    seen: list[int] = []
    bridge.submit(busy(), seen.append)
    qtbot.waitUntil(lambda: bool(seen) and len(threads) > 2000, timeout=10_000)
    assert set(threads) == {threading.main_thread().name}
    assert not gc.isenabled()
    assert bridge.close()
    assert gc.isenabled()


def test_opening_and_closing_over_and_over_leaks_nothing(qtbot: QtBot) -> None:
    for _ in range(25):
        bridge = AsyncBridge()
        bridge.submit(answer(1, 600))
        assert bridge.close()
    assert not network_threads()
