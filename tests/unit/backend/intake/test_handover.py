"""While a database cluster changes its primary, commands wait for the next; one that is away is said at once."""

import asyncio
import time

import pytest

from backend.intake import service
from backend.intake.errors import ConnectionFault, Unavailable
from backend.intake.model import Policy, Reads, Rows, Writes
from backend.intake.service import DEADLINE_S, LATE_S, Intake
from backend.wire.base import Ledger
from backend.wire.money import Adjust


class Changing:
    """A store whose primary is away; `wait_s` is what a dial would tell."""

    lanes = 1

    def __init__(self) -> None:
        self.wait_s: float | None = 0.0
        self.has_begun = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    def session(self, stripe: int) -> "Changing":
        return self

    async def begin(self, reads: Reads) -> Rows:
        if self.wait_s is not None:
            raise ConnectionFault("no host takes writes", commit_sent=False, wait_s=self.wait_s)
        self.has_begun.set()
        await self.goes_on.wait()
        return Rows(now=1, answers={}, jobs={}, users={}, queues={}, accounts={})

    async def commit(self, writes: Writes) -> None:
        return

    async def abort(self) -> None:
        return

    async def close(self) -> None:
        return


def adjust(number: int) -> Adjust:
    return Adjust(command_id=f"0193a5f0-0000-7000-8000-{number:012d}", user_name="anna", amount=1)


async def started(store: Changing) -> Intake:
    async def provide(missing: object) -> None:
        return

    intake = Intake(store, Policy(ledger=Ledger(currency="EUR", decimals=2)), provide, on_commit=lambda: None)
    intake.start()
    return intake


async def until(holds: bool, intake: Intake) -> None:
    deadline = time.monotonic() + 20
    while intake.ready is not holds:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_command_waits_for_the_next_primary_and_is_answered() -> None:
    async def play() -> None:
        store = Changing()
        store.wait_s = 60.0
        intake = await started(store)
        await until(True, intake)  # nothing answers yet, but it will
        waiting = asyncio.create_task(intake.submit(adjust(1), actor="test"))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        store.wait_s = None
        assert b'"code"' in await asyncio.wait_for(waiting, 20)
        await intake.close()

    asyncio.run(play())


def test_when_no_primary_comes_who_waited_is_told() -> None:
    async def play() -> None:
        store = Changing()
        store.wait_s = 60.0
        intake = await started(store)
        await until(True, intake)
        waiting = asyncio.create_task(intake.submit(adjust(1), actor="test"))
        await asyncio.sleep(0)
        store.wait_s = 0.0
        with pytest.raises(Unavailable, match="no host takes writes"):
            await asyncio.wait_for(waiting, 20)
        assert not intake.ready
        with pytest.raises(Unavailable):
            await intake.submit(adjust(2), actor="test")
        await intake.close()

    asyncio.run(play())


@pytest.mark.parametrize(("beyond_s", "is_done"), [(LATE_S - 1, True), (LATE_S + 1, False)])
def test_what_waited_while_the_server_stood_still_for_long_is_refused(
    beyond_s: float, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gave it may have been logged out since; in the middle of a transaction PostgreSQL ends that."""
    stopped = [0.0]
    real = time.monotonic

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return real() + stopped[0]

    async def play() -> None:
        store = Changing()
        store.wait_s = None
        intake = await started(store)
        await until(True, intake)
        store.goes_on.clear()
        store.has_begun.clear()
        first = asyncio.create_task(intake.submit(adjust(1), actor="test"))
        await asyncio.wait_for(store.has_begun.wait(), 20)
        second = asyncio.create_task(intake.submit(adjust(2), actor="test"))
        await asyncio.sleep(0)  # it waits behind the first
        assert intake.waiting == 1
        stopped[0] = DEADLINE_S + beyond_s
        store.goes_on.set()
        await asyncio.wait_for(first, 20)
        if is_done:
            await asyncio.wait_for(second, 20)
        else:
            with pytest.raises(Unavailable, match="too long"):
                await asyncio.wait_for(second, 20)
        assert b'"code"' in await asyncio.wait_for(intake.submit(adjust(3), actor="test"), 20)
        await intake.close()

    monkeypatch.setattr(service, "time", Clock)
    asyncio.run(play())
