"""Two servers on one PostgreSQL: one of them dies, freezes or returns, and clients, leadership and picture go on."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend.base.ids import uuid7
from backend.client.client import ApiClient
from backend.client.events import events
from backend.wire.cluster import Topology
from backend.wire.jobs import AuthoriseAnswer, JobList, ReportAnswer
from backend.wire.money import Adjust, MoneyAnswer, TransferList
from backend.wire.printers import Enroll, EnrollAnswer, MemberList
from tests.support.api import SECRET, authorise, eventually, report
from tests.support.app_server import AppServer
from tests.support.processes import wait_until


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str) -> Iterator[tuple[AppServer, AppServer]]:
    one = AppServer(tmp_path, database_url=postgres_url, name="one")
    two = AppServer(tmp_path, database_url=postgres_url, name="two")
    with one, two:
        wait_until(lambda: leader_of(one, two), 20, "one of them to lead")
        yield one, two


def leads(server: AppServer) -> str:
    """The term a server leads, "" when it does not or does not answer."""
    try:
        answer = httpx.get(f"{server.url}/health/leader", timeout=1, trust_env=False)
    except httpx.HTTPError:
        return ""
    return str(answer.json()["detail"]) if answer.status_code == 200 else ""


def leader_of(*servers: AppServer) -> AppServer | None:
    found = [server for server in servers if leads(server)]
    assert len(found) <= 1
    return found[0] if found else None


def other(pair: tuple[AppServer, AppServer], server: AppServer) -> AppServer:
    return pair[1] if server is pair[0] else pair[0]


def term(server: AppServer) -> int:
    return int(leads(server).removeprefix("term ") or 0)


def test_another_leads_after_kill_9_with_a_higher_term(pair: tuple[AppServer, AppServer]) -> None:
    first = leader_of(*pair)
    assert first is not None
    before, second = term(first), other(pair, first)
    first.process.kill9()
    wait_until(lambda: leads(second), 30, "the other one to lead")
    assert term(second) > before


def test_a_server_that_ends_in_good_order_hands_over_at_once(pair: tuple[AppServer, AppServer]) -> None:
    first = leader_of(*pair)
    assert first is not None
    second = other(pair, first)
    first.stop()
    wait_until(lambda: leads(second), 30, "the other one to lead")
    token = second.command("token", "create", "--role", "admin", "--name", "a")
    headers = {"Authorization": f"Bearer {token}"}
    seen = httpx.get(f"{second.url}/api/v1/topology", headers=headers, trust_env=False).json()
    gone = next(server for server in seen["servers"] if server["name"] == first.process.name)
    assert (gone["state"], gone["leader"]) == ("gone", False)
    assert gone["detail"].startswith("stopped")


def test_a_leader_that_was_frozen_past_its_lease_leads_no_more(pair: tuple[AppServer, AppServer]) -> None:
    first = leader_of(*pair)
    assert first is not None
    before, second = term(first), other(pair, first)
    first.process.signal(signal.SIGSTOP)
    wait_until(lambda: leads(second), 30, "the other one to lead")
    first.process.signal(signal.SIGCONT)
    wait_until(lambda: httpx.get(f"{first.url}/health/live", trust_env=False).status_code == 200, 10, "it to go on")
    assert leader_of(*pair) is second
    assert term(second) > before


def client_of(token: str, *servers: AppServer) -> ApiClient:
    """A client that begins with the first server."""
    client = ApiClient([servers[0].url], token)
    client.set_servers([server.url for server in servers])
    return client


async def enrolled(one: AppServer, two: AppServer) -> ApiClient:
    token = await asyncio.to_thread(one.command, "token", "create", "--role", "provider", "--name", "print1")
    client = client_of(SECRET, one, two)
    body = Enroll(token=token, secret=SECRET, name="print1")
    answer = await client.call("POST", "enroll", body, EnrollAnswer, timeout_s=10)
    assert {member.url for member in answer.members} == {one.url, two.url}
    return client


def test_printing_goes_on_while_servers_freeze_and_die(pair: tuple[AppServer, AppServer]) -> None:
    """The same commands under the same ids, sent anew to another server, charge each job once."""
    one, two = pair

    async def play() -> None:
        client = await enrolled(one, two)
        wanted = [authorise("anna", 2) for _ in range(12)]
        for at, job in enumerate(wanted):
            if at == 3:
                one.process.signal(signal.SIGSTOP)
            if at == 6:
                one.process.signal(signal.SIGCONT)
                two.process.kill9()
            if at == 9:
                await asyncio.to_thread(two.start)
                one.process.kill9()
            answer = await client.call("POST", "jobs/authorise", job, AuthoriseAnswer, timeout_s=10, patient=True)
            assert answer.decision == "authorised"
            done = await client.call("POST", "jobs/report", report(job), ReportAnswer, timeout_s=10, patient=True)
            assert done.charged == 1000
        again = await client.call("POST", "jobs/authorise", wanted[0], AuthoriseAnswer, timeout_s=10, patient=True)
        assert again.decision == "authorised"  # the first answer, though the job has long been printed
        await client.aclose()
        token = await asyncio.to_thread(two.command, "token", "create", "--role", "admin", "--name", "a")
        admin = client_of(token, two)
        found = await admin.call("GET", "users/anna/transfers", None, TransferList, timeout_s=10)
        assert found.transfers[0].balance == -12_000
        jobs = await admin.call("GET", "jobs", None, JobList, timeout_s=10)
        assert len(jobs.jobs) == 12
        await admin.aclose()

    asyncio.run(play())


def test_a_console_follows_events_across_the_death_of_its_server(pair: tuple[AppServer, AppServer]) -> None:
    one, two = pair

    async def play() -> None:
        provider = await enrolled(two, one)
        token = await asyncio.to_thread(one.command, "token", "create", "--role", "admin", "--name", "a")
        console = client_of(token, one, two)
        seen: list[str] = []
        states: list[tuple[str, str]] = []
        started = asyncio.Event()

        async def follow() -> None:
            source = events(console, on_state=note)
            async for _, event in source:
                assert event.kind != "reset"
                seen.extend(job.job_id for job in event.jobs)

        def note(url: str, reason: str) -> None:
            states.append((url, reason))
            started.set()

        task = asyncio.create_task(follow())
        await asyncio.wait_for(started.wait(), 10)
        wanted = [authorise() for _ in range(6)]
        for at, job in enumerate(wanted):
            if at == 3:
                await until(lambda: len(seen) == 3)
                one.process.kill9()
            await provider.call("POST", "jobs/authorise", job, AuthoriseAnswer, timeout_s=10, patient=True)
        await until(lambda: len(seen) == 6)
        assert seen == [job.job_id for job in wanted]
        assert states[0] == (one.url, "")
        assert states[-1] == (two.url, "")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        members = await console.call("GET", "members", None, MemberList, timeout_s=10)
        assert {member.name for member in members.members} == {"one", "two"}
        body = Adjust(command_id=uuid7(), user_name="anna", amount=5)
        done = await console.call("POST", "users/anna/adjust", body, MoneyAnswer, timeout_s=10)
        assert done.amount == 5
        await eventually(lambda: tells_of_the_loss(console), 30)
        await console.aclose()
        await provider.aclose()

    asyncio.run(play())


async def tells_of_the_loss(console: ApiClient) -> bool:
    seen = await console.call("GET", "topology", None, Topology, timeout_s=10)
    return seen.health in ("warning", "error") and "one" in seen.verdict


async def until(probe: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return probe()

    await eventually(asked, 30)
