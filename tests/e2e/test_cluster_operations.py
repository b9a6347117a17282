"""Three servers on one PostgreSQL under a steady load of print jobs: drain, undrain, switchover, rolling restart,
SIGKILL and SIGSTOP of the leader. No request fails, every job is charged once, a leader of the past changes nothing.

The times away are printed (`pytest -s`), not asserted.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backend.client.client import ApiClient
from backend.client.errors import NoServer, ServerProblem
from backend.wire.cluster import ClusterAction, ClusterEvent, ClusterEventList, ClusterVerb, Plan
from backend.wire.jobs import AuthoriseAnswer, ReportAnswer
from backend.wire.money import TransferList
from backend.wire.printers import Enroll, EnrollAnswer, MemberList
from tests.support.api import SECRET, authorise, eventually, report
from tests.support.app_server import AppServer

USER = "anna"
WORKERS = 4
REQUEST_S = 15.0
WAIT_S = 90.0

pytestmark = pytest.mark.xdist_group("alone")


@pytest.fixture
def servers(tmp_path: Path, postgres_url: str) -> Iterator[dict[str, AppServer]]:
    made = {name: AppServer(tmp_path, database_url=postgres_url, name=name) for name in ("one", "two", "three")}
    with contextlib.ExitStack() as stack:
        for server in made.values():
            server.config.write_text(server.config.read_text() + "\n[cluster]\ndrain_grace_s = 1.0\n")
            stack.enter_context(server)
        yield made


@dataclass
class Load:
    """Jobs that are authorised and reported one after the other, by clients that started at random servers."""

    urls: list[str]
    asked: int = 0
    charged: int = 0
    failed: list[str] = field(default_factory=list)
    longest_s: dict[str, float] = field(default_factory=dict)
    phase: str = "start"
    stopped: bool = False

    async def run(self) -> None:
        client = ApiClient(self.urls, SECRET)
        while not self.stopped:
            job = authorise(USER, 2)
            await self._ask(client, "jobs/authorise", job, AuthoriseAnswer)
            done = await self._ask(client, "jobs/report", report(job), ReportAnswer)
            self.charged += done.charged if isinstance(done, ReportAnswer) else 0
        await client.aclose()

    async def _ask(self, client: ApiClient, path: str, body: object, kind: type) -> object:
        began_s = time.monotonic()
        self.asked += 1
        try:
            return await client.call("POST", path, body, kind, timeout_s=REQUEST_S)  # type: ignore[arg-type]
        except (NoServer, ServerProblem) as error:
            self.failed.append(f"{self.phase}: {error}")
            return None
        finally:
            took_s = time.monotonic() - began_s
            self.longest_s[self.phase] = max(took_s, self.longest_s.get(self.phase, 0.0))


class Scene:
    """The cluster as an administrator sees it."""

    def __init__(self, servers: dict[str, AppServer], admin: ApiClient, load: Load) -> None:
        self.servers = servers
        self.admin = admin
        self.load = load

    async def act(self, action: ClusterVerb, subject: str = "") -> Plan:
        body = ClusterAction(action=action, subject=subject)
        found = await self.admin.call("POST", "cluster/actions", body, Plan, timeout_s=30, patient=True)
        assert found.done, found
        return found

    async def events(self) -> tuple[ClusterEvent, ...]:
        found = await self.admin.call(
            "GET", "cluster/events", None, ClusterEventList, timeout_s=30, patient=True, query={"limit": 500}
        )
        return found.events

    async def leader(self) -> ClusterEvent:
        return [event for event in await self.events() if event.kind == "leader-changed"][-1]

    async def new_leader(self, after: int) -> ClusterEvent:
        async def is_there() -> ClusterEvent | None:
            found = await self.leader()
            return found if found.term > after else None

        return await eventually(is_there, WAIT_S)  # type: ignore[arg-type]

    async def until(self, state: str, *names: str) -> None:
        async def are() -> bool:
            found = await self.admin.call("GET", "members", None, MemberList, timeout_s=30, patient=True)
            return all(row.state == state for row in found.members if row.name in names)

        await eventually(are, WAIT_S)

    async def happened(self, kind: str, subject: str, after: str) -> ClusterEvent:
        async def found() -> ClusterEvent | None:
            events = await self.events()
            later = [event for event in events if event.at > 0 and _later(event.event_id, after)]
            return next((event for event in later if (event.kind, event.subject) == (kind, subject)), None)

        return await eventually(found, WAIT_S)  # type: ignore[arg-type]

    async def some_load(self, count: int) -> None:
        """Let the load go on for so many requests more."""
        aim = self.load.asked + count

        async def is_done() -> bool:
            return self.load.asked >= aim

        await eventually(is_done, WAIT_S * 10)

    def enter(self, phase: str) -> None:
        self.load.phase = phase


def _later(one: str, other: str) -> bool:
    return [int(part) for part in one.split(".")] > [int(part) for part in other.split(".")]


@contextlib.asynccontextmanager
async def scene(servers: dict[str, AppServer]) -> AsyncIterator[Scene]:
    one = servers["one"]
    token = await asyncio.to_thread(one.command, "token", "create", "--role", "admin", "--name", "a")
    enrolment = await asyncio.to_thread(one.command, "token", "create", "--role", "provider", "--name", "print1")
    urls = [server.url for server in servers.values()]
    async with contextlib.aclosing(ApiClient(urls, token)) as admin:
        body = Enroll(token=enrolment, secret=SECRET, name="print1")
        await admin.call("POST", "enroll", body, EnrollAnswer, timeout_s=30, patient=True)
        load = Load(urls)
        made = Scene(servers, admin, load)
        await made.new_leader(0)
        await made.until("serving", *servers)
        workers = [asyncio.create_task(load.run()) for _ in range(WORKERS)]
        try:
            yield made
        finally:
            load.stopped = True
            await asyncio.gather(*workers)
        assert load.failed == []
        path = f"users/{USER}/transfers"
        found = await admin.call("GET", path, None, TransferList, timeout_s=30, patient=True)
        assert found.transfers[0].balance == -load.charged  # each job once, whatever was asked twice
        tell(load, await made.events())


def tell(load: Load, events: tuple[ClusterEvent, ...]) -> None:
    """The times away, for people."""
    print(f"\n{load.asked} requests, none failed; the longest, by what was done meanwhile:")
    for phase, seconds in load.longest_s.items():
        print(f"  {phase:<24} {seconds:.2f} s")
    for event in events:
        if event.kind == "leader-changed" and event.away_ms is not None:
            print(f"  led again after {event.away_ms / 1000:.2f} s ({event.cause})")


async def drain_each_in_turn(play: Scene, requests: int) -> None:
    for name in play.servers:
        play.enter("drain")
        mark = (await play.events())[-1].event_id
        await play.act("drain", name)
        await play.happened("member-drained", name, mark)
        await play.some_load(requests)
        play.enter("undrain")
        await play.act("undrain", name)
        await play.until("serving", *play.servers)
        await play.some_load(requests)


async def switch_over(play: Scene, requests: int) -> None:
    play.enter("switchover")
    before = await play.leader()
    await play.act("switchover")
    after = await play.new_leader(before.term)
    assert (after.cause, after.subject != before.subject) == ("handed over", True)
    await play.some_load(requests)


async def restart_each_in_turn(play: Scene, requests: int) -> None:
    """As an upgrade does it."""
    for name, server in play.servers.items():
        play.enter("rolling restart")
        mark = (await play.events())[-1].event_id
        await play.act("drain", name)
        await play.happened("member-drained", name, mark)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await play.act("undrain", name)
        await play.until("serving", *play.servers)
        await play.some_load(requests)


async def kill_the_leader(play: Scene, requests: int) -> None:
    play.enter("leader killed")
    before = await play.leader()
    victim = play.servers[before.subject]
    victim.process.kill9()
    after = await play.new_leader(before.term)
    assert after.cause == "lease expired"
    await play.happened("member-gone", before.subject, before.event_id)
    await play.some_load(requests)
    await asyncio.to_thread(victim.start)
    back = await play.happened("member-restarted", before.subject, after.event_id)
    assert back.cause == "started again after it had died"
    await play.until("serving", *play.servers)


async def freeze_the_leader(play: Scene, requests: int) -> None:
    """P10: stopped past its lease and resumed, it changes nothing more as the leader that it was."""
    play.enter("leader frozen")
    before = await play.leader()
    victim = play.servers[before.subject]
    victim.process.signal(signal.SIGSTOP)
    try:
        after = await play.new_leader(before.term)
        await play.happened("member-gone", before.subject, before.event_id)
        await play.some_load(requests)
    finally:
        victim.process.signal(signal.SIGCONT)
    play.enter("leader resumed")
    await play.happened("member-returned", before.subject, after.event_id)
    await play.until("serving", *play.servers)
    await play.some_load(requests)
    later = [event for event in await play.events() if _later(event.event_id, after.event_id)]
    assert [event for event in later if event.term == before.term] == []
    assert (await play.leader()).term == after.term  # it did not even try


@pytest.mark.timeout(900)
def test_no_request_fails_while_the_cluster_is_operated_and_its_leader_dies(servers: dict[str, AppServer]) -> None:
    async def run() -> None:
        async with scene(servers) as play:
            await play.some_load(40)
            await drain_each_in_turn(play, 20)
            await switch_over(play, 20)
            await restart_each_in_turn(play, 20)
            await kill_the_leader(play, 20)
            await freeze_the_leader(play, 20)

    asyncio.run(run())


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_ten_thousand_requests_while_servers_are_drained_and_the_lead_goes_round(servers: dict[str, AppServer]) -> None:
    async def run() -> None:
        async with scene(servers) as play:
            while play.load.asked < 10_000:
                await drain_each_in_turn(play, 200)
                await switch_over(play, 200)

    asyncio.run(run())
