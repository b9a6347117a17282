"""Three application servers on a database cluster of three nodes, a steady load of commands, and what came of each.

The load is what a provider sends: authorise, then report, each under an id made before it was first sent. What was
acknowledged is written down with the time; what was not is asked again under its id once the fault is over. The
away-time of a fault is the longest time without one acknowledged command around it.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backend.checker.check import check_books
from backend.checker.commands import effects
from backend.checker.model import Command, Fault, Ledger
from backend.client.client import ApiClient
from backend.client.errors import NoServer
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.wire.cluster import ClusterEvent, ClusterEventList, DatabaseSwitchover, Plan
from backend.wire.jobs import Authorise, AuthoriseAnswer, Report, ReportAnswer
from backend.wire.printers import Enroll, EnrollAnswer
from tests.support.api import authorise, report
from tests.support.app_server import AppServer
from tests.support.patroni import Node, PatroniCluster
from tests.support.processes import wait_until
from tests.support.site import read_ledger

CALL_S = 40.0  # a planned switchover of a busy machine may take long; that it fails nothing is what counts
CLIENTS = 6
PAUSE_S = 0.02
USERS = 12
Asked = Authorise | Report


class Campaign:
    """`folder` must be one that user postgres can walk into."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.cluster = PatroniCluster(folder / "cluster")
        addresses = ", ".join(f'"{url}"' for url in self.cluster.rest_urls())
        self.servers = [
            AppServer(
                folder, database_url=self.cluster.url(), name=f"server-{number}", more=f"patroni = [{addresses}]\n"
            )
            for number in (1, 2, 3)
        ]
        self.acknowledged: list[float] = []  # when, by the monotonic clock
        self.told: dict[str, tuple[Asked, AuthoriseAnswer | ReportAnswer]] = {}
        self.open: dict[str, Asked] = {}  # no answer came
        self.refused: list[str] = []
        self.away_s: list[tuple[str, float]] = []
        self._stop = asyncio.Event()

    # ------------------------------------------------ life

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.cluster)
            for server in self.servers:
                stack.enter_context(server)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    async def run(self, script: Callable[["Campaign"], Awaitable[None]]) -> None:
        """The script of faults, with the load going on meanwhile; afterwards every open command is asked again, and the
        books are read: programs started again from a thread of this loop end with the loop."""
        token = await asyncio.to_thread(
            self.servers[0].command, "token", "create", "--role", "provider", "--name", "print1"
        )
        self.admin = self._client(
            await asyncio.to_thread(self.servers[0].command, "token", "create", "--role", "admin", "--name", "a")
        )
        secret = "the-provider-made-this-secret-before-it-asked"
        await self.admin.call(
            "POST", "enroll", Enroll(token=token, secret=secret, name="print1", host="h"), EnrollAnswer, timeout_s=20
        )
        clients = [self._client(secret) for _ in range(CLIENTS)]
        loads = [asyncio.create_task(self._load(client, number)) for number, client in enumerate(clients)]
        try:
            await self.answered("the start")
            await script(self)
        finally:
            self._stop.set()
            await asyncio.gather(*loads)
        for asked in list(self.open.values()):
            await self._ask(clients[0], asked, patient=True)
        for asked, answer in [*self.told.values()][-20:]:  # asked again, elsewhere: the first answer again
            again = await clients[-1].call("POST", _path(asked), asked, type(answer), timeout_s=CALL_S, patient=True)
            assert again == answer, asked
        self.history = (await self.admin.call("GET", "cluster/events", None, ClusterEventList, timeout_s=20)).events
        self.books = await asyncio.to_thread(self._read_ledger)
        for client in (*clients, self.admin):
            await client.aclose()

    # ------------------------------------------------ faults

    async def fault(self, name: str, do: Callable[[], None], *, moves: bool) -> None:
        """Let it happen, wait until commands are answered again, and mend the cluster. `moves`: another node must
        lead then."""
        before = await asyncio.to_thread(self.cluster.primary)
        begun_s = time.monotonic()
        await asyncio.to_thread(do)
        if moves:
            await self._until(lambda: self._moved(before), 90, f"{name}: another primary")
        await self.answered(name)
        self._note(name, begun_s)
        await asyncio.to_thread(self.cluster.mend)
        await self.answered(name)

    async def switchover(self) -> None:
        """Planned, through a server of ours. No request fails."""
        before, failed = await asyncio.to_thread(self.cluster.primary), len(self.refused)
        begun_s = time.monotonic()
        plan = await self.admin.call(
            "POST", "cluster/database/switchover", DatabaseSwitchover(), Plan, timeout_s=60, idempotent=False
        )
        assert plan.done, plan
        await self.answered("switchover")
        self._note("planned switchover", begun_s)
        await asyncio.to_thread(self.cluster.wait_whole)
        assert (await asyncio.to_thread(self.cluster.primary)) is not before
        refused = self.refused[failed:]
        assert not refused, refused

    async def answered(self, what: str) -> None:
        """Wait until further commands are acknowledged."""
        wanted = len(self.acknowledged) + 2 * CLIENTS
        await self._until(lambda: len(self.acknowledged) >= wanted, 120, f"commands to be answered after {what}")

    def _moved(self, before: Node) -> bool:
        members = self.cluster.cluster().get("members", [])
        return any(member["role"] == "leader" and member["name"] != before.name for member in members)

    async def _until(self, probe: Callable[[], bool], timeout_s: float, what: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not await asyncio.to_thread(probe):
            assert time.monotonic() < deadline_s, f"waited in vain for {what}"
            await asyncio.sleep(0.1)

    def _note(self, name: str, begun_s: float) -> None:
        times = [at for at in self.acknowledged if at >= begun_s - 1.0]
        away_s = max(later - earlier for earlier, later in itertools.pairwise(times))
        self.away_s.append((name, away_s))
        print(f"away: {name}: {away_s:.2f} s", flush=True)

    # ------------------------------------------------ load

    def _client(self, token: str) -> ApiClient:
        return ApiClient([server.url for server in self.servers], token)

    async def _load(self, client: ApiClient, number: int) -> None:
        chance = random.Random(self.random.random())
        while not self._stop.is_set():
            wish = authorise(user=f"user{chance.randrange(USERS)}", impressions=chance.randint(1, 9))
            if await self._ask(client, wish):
                await self._ask(client, report(wish, impressions=chance.randint(0, wish.facts.impressions)))
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, client: ApiClient, asked: Asked, *, patient: bool = False) -> bool:
        """Whether it was answered."""
        kind: Any = AuthoriseAnswer if isinstance(asked, Authorise) else ReportAnswer
        self.open[asked.command_id] = asked
        try:
            answer = await client.call(
                "POST", _path(asked), asked, kind, timeout_s=60 if patient else CALL_S, patient=patient
            )
        except NoServer as error:
            self.refused.append(str(error))
            return False
        del self.open[asked.command_id]
        self.told[asked.command_id] = (asked, answer)
        self.acknowledged.append(time.monotonic())
        return True

    # ------------------------------------------------ what came of it

    def _read_ledger(self) -> Ledger:
        database = Database(self.cluster.url())

        def read() -> Ledger | None:
            try:
                with database.connect() as conn:
                    return read_ledger(conn)
            except DatabaseAway:
                return None  # a busy machine may have made Patroni hand over once more

        try:
            return wait_until(read, 120, "the ledger to be read")
        finally:
            database.close()

    def faults(self) -> list[Fault]:
        """Every promise that was broken: each acknowledged command is there exactly once, sums are balances."""
        assert not self.open
        commands = map(_as_command, self.told.values())
        return [*check_books(self.books), *effects(commands, self.books)]

    def changes(self) -> Sequence[ClusterEvent]:
        return [event for event in self.history if event.kind == "database-changed"]


def _path(asked: Asked) -> str:
    return "jobs/authorise" if isinstance(asked, Authorise) else "jobs/report"


def _as_command(told: tuple[Asked, AuthoriseAnswer | ReportAnswer]) -> Command:
    asked, answer = told
    amount = answer.cost if isinstance(answer, AuthoriseAnswer) else answer.charged
    return Command(
        kind="authorise" if isinstance(asked, Authorise) else "report",
        outcome="done",
        amount=amount,
        user=asked.user_name,
        command_id=asked.command_id,
        job_id=asked.job_id,
    )
