"""What a console and scripts do all day: balances changed over JSON and XML-RPC, pictures read, the stream followed.

Every JSON command has an id made before it was sent; what was not answered is asked again under it at the end. An
XML-RPC call is sent once, and known by its comment. All of it runs in a thread of its own, so that the test's own can
start and kill programs meanwhile. Times are on the monotonic clock.
"""

import asyncio
import contextlib
import http.client
import itertools
import random
import threading
import time
import xmlrpc.client
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

from backend.base.ids import uuid7
from backend.checker.model import Command
from backend.client.client import ApiClient
from backend.client.errors import NoServer
from backend.client.events import events
from backend.wire.base import CommandId
from backend.wire.cluster import ClusterEvent, ClusterEventList, Topology
from backend.wire.money import Adjust, MoneyAnswer
from tests.support.processes import wait_until
from tests.support.rpc import Rpc

WRITERS = 3
CALL_S = 12.0
PAUSE_S = 0.1
RPC_PAUSE_S = 0.3
READ_PAUSE_S = 1.0
DECIMALS = 10_000
PAGE = 500
NOTHING_DONE = "nothing was changed"


class Answered(NamedTuple):
    """A command that was acknowledged, by which way, and how long that took."""

    at_s: float
    took_s: float
    way: str


class Refusal(NamedTuple):
    """A call that no server answered, and why."""

    at_s: float
    reason: str


class CommandTraffic:
    """`token` is an administrator's."""

    def __init__(self, urls: Sequence[str], token: str, rpcs: Sequence[Rpc], users: Sequence[str], seed: int) -> None:
        self._urls, self._token, self._rpcs, self._users = urls, token, rpcs, users
        self._chance = random.Random(f"{seed} commands")
        self.answered: list[Answered] = []
        self.refusals: list[Refusal] = []  # calls of all kinds that no server answered
        self.told: dict[str, tuple[Adjust, MoneyAnswer]] = {}
        self.open: dict[str, Adjust] = {}
        self.calls: list[Command] = []  # XML-RPC
        self.followed: list[ClusterEvent] = []
        self.resets = 0
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._play, daemon=True)

    # ------------------------------------------------ life

    def start(self) -> None:
        self._thread.start()

    def wait_answered(self, what: str, timeout_s: float = 120) -> None:
        """Wait until every kind of writer has had commands acknowledged that it gave after now."""
        begun_s = time.monotonic()
        ways = {f"json{number}" for number in range(WRITERS)} | {"rpc"}

        def done() -> bool:
            self._raise()
            recent = itertools.takewhile(lambda one: one.at_s >= begun_s, reversed(self.answered))
            return ways <= {one.way for one in recent if one.at_s - one.took_s >= begun_s}

        wait_until(done, timeout_s, f"commands of every client to be answered after {what}", 0.1)

    def stop(self) -> None:
        """End the traffic; what is open is asked again until it is answered."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(180)
        self._raise()

    def _raise(self) -> None:
        """What ended the traffic's thread is the test's to know."""
        if self._failure is not None:
            raise self._failure

    def _play(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as error:  # noqa: BLE001  # handed over to the test's own thread
            self._failure = error

    # ------------------------------------------------ the clients

    async def _run(self) -> None:
        client = ApiClient(self._urls, self._token)
        follower = asyncio.create_task(self._follow())
        loops: list[Coroutine[Any, Any, None]] = [self._write(number) for number in range(WRITERS)]
        await asyncio.gather(*loops, self._call_rpc(), self._read())
        for asked in list(self.open.values()):
            await self._ask(client, asked, "late", patient=True)
        await asyncio.sleep(2 * READ_PAUSE_S)  # for the last events: the stream has no end that could be waited for
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await client.aclose()

    async def _write(self, number: int) -> None:
        chance = random.Random(self._chance.random())
        client = ApiClient(self._urls, self._token)
        while not self._stop.is_set():
            asked = Adjust(
                command_id=CommandId(uuid7()),
                user_name=chance.choice(self._users),
                amount=chance.choice((-3, -1, 1, 2, 5)) * 500,
                comment="json",
                only_if_available=chance.random() < 0.5,
            )
            await self._ask(client, asked, f"json{number}")
            await asyncio.sleep(chance.uniform(0, 2 * PAUSE_S))
        await client.aclose()

    async def _ask(self, client: ApiClient, asked: Adjust, way: str, *, patient: bool = False) -> None:
        self.open[asked.command_id] = asked
        begun_s = time.monotonic()
        path, timeout_s = f"users/{asked.user_name}/adjust", 60 if patient else CALL_S
        try:
            answer = await client.call("POST", path, asked, MoneyAnswer, timeout_s=timeout_s, patient=patient)
        except NoServer as error:
            self._refused(f"{way}: {error}")
            return
        now_s = time.monotonic()
        del self.open[asked.command_id]
        self.told[asked.command_id] = (asked, answer)
        self.answered.append(Answered(now_s, now_s - begun_s, way))

    def _refused(self, reason: str) -> None:
        self.refusals.append(Refusal(time.monotonic(), reason))

    async def _call_rpc(self) -> None:
        chance = random.Random(self._chance.random())
        number = 0
        while not self._stop.is_set():
            number += 1
            user, units = chance.choice(self._users), chance.choice((-2, 1, 3))
            await asyncio.to_thread(self._call_once, chance.choice(self._rpcs), user, units * 500, f"rpc {number}")
            await asyncio.sleep(chance.uniform(0, 2 * RPC_PAUSE_S))

    def _call_once(self, rpc: Rpc, user: str, amount: int, comment: str) -> None:
        begun_s = time.monotonic()
        outcome: Any = "unknown"
        try:
            done = rpc.call("adjustUserAccountBalance", user, amount / DECIMALS, comment)
            outcome = "done" if done is True else "refused"
        except xmlrpc.client.Fault as fault:
            outcome = "refused" if NOTHING_DONE in fault.faultString else "unknown"
            self._refused(f"rpc: {fault.faultString}")
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            self._refused(f"rpc: {error}")
        now_s = time.monotonic()
        if outcome == "done":
            self.answered.append(Answered(now_s, now_s - begun_s, "rpc"))
        self.calls.append(Command(kind="adjust", outcome=outcome, amount=amount, user=user, comment=comment))

    async def _read(self) -> None:
        client = ApiClient(self._urls, self._token)
        while not self._stop.is_set():
            try:
                await client.call("GET", "topology", None, Topology, timeout_s=CALL_S)
            except NoServer as error:
                self._refused(f"read: {error}")
            await asyncio.sleep(READ_PAUSE_S)
        await client.aclose()

    async def _follow(self) -> None:
        """The history as a console sees it come in."""
        client = ApiClient(self._urls, self._token)
        async with contextlib.aclosing(events(client)) as stream:
            async for _, event in stream:
                if event.kind == "reset":
                    self.resets += 1
                elif event.cluster is not None:
                    self.followed.append(event.cluster)

    # ------------------------------------------------ what came of it

    def commands(self) -> list[Command]:
        """All that was given, as the outside checker wants it."""
        return [_as_command(asked, answer) for asked, answer in self.told.values()] + self.calls

    def again(self, count: int) -> list[str]:
        """Ask the last `count` answered commands once more, elsewhere: each whose answer differs is a fault."""
        return asyncio.run(self._again(count))

    async def _again(self, count: int) -> list[str]:
        client = ApiClient(self._urls, self._token)
        faults = []
        for asked, answer in [*self.told.values()][-count:]:
            path = f"users/{asked.user_name}/adjust"
            found = await client.call("POST", path, asked, MoneyAnswer, timeout_s=60, patient=True)
            if found != answer:
                faults.append(f"P8 adjust {asked.command_id}: was told {answer}, asked again {found}")
        await client.aclose()
        return faults

    def history(self) -> list[ClusterEvent]:
        """The whole of it, as it stands."""
        return asyncio.run(self._history())

    async def _history(self) -> list[ClusterEvent]:
        client = ApiClient(self._urls, self._token)
        found: list[ClusterEvent] = []
        while True:
            query: dict[str, str | int] = {"limit": PAGE, "after": found[-1].event_id if found else "0.0"}
            page = await client.call(
                "GET", "cluster/events", None, ClusterEventList, timeout_s=60, patient=True, query=query
            )
            found += page.events
            if len(page.events) < PAGE:
                await client.aclose()
                return found


def _as_command(asked: Adjust, answer: MoneyAnswer) -> Command:
    return Command(
        kind="adjust",
        outcome="refused" if answer.code else "done",
        amount=answer.amount if not answer.code else asked.amount,
        user=asked.user_name,
        command_id=asked.command_id,
    )
