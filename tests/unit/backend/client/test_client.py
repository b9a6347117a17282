"""Calls across servers of which some refuse, hang, die or are not ours; in-process, over a transport that routes by
host."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import msgspec
import pytest

from backend.client.client import ApiClient
from backend.client.errors import NoServer, ServerProblem
from backend.client.events import events
from backend.wire.base import DRAINING_HEADER, GENERATION_HEADER
from backend.wire.cluster import Event
from backend.wire.errors import problem
from backend.wire.printers import MemberList

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]
LIST = MemberList(generation=1, members=())


class Hosts(httpx.AsyncBaseTransport):
    """Each host answers by a function of its own; a host without one refuses connections."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        if request.url.host not in self.answers:
            raise httpx.ConnectError("refused") from ConnectionRefusedError(111, "Connection refused")
        return await self.answers[request.url.host](request)


def reply(body: object, status: int = 200, generation: int = 1) -> Answer:
    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=msgspec.json.encode(body), headers={GENERATION_HEADER: str(generation)})

    return answer


async def hang(_: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError("never")


def ask(hosts: Hosts, first: str, *others: str, idempotent: bool = True, timeout_s: float = 5.0) -> MemberList:
    return asyncio.run(_ask(hosts, first, others, idempotent, timeout_s))


async def _ask(hosts: Hosts, first: str, others: tuple[str, ...], idempotent: bool, timeout_s: float) -> MemberList:
    client = client_of(hosts, first, *others)
    try:
        return await client.call("GET", "members", None, MemberList, timeout_s=timeout_s, idempotent=idempotent)
    finally:
        await client.aclose()


def client_of(hosts: Hosts, first: str, *others: str) -> ApiClient:
    client = ApiClient([f"http://{first}"], "ik_test", transport=hosts)
    client.set_servers([f"http://{name}" for name in (first, *others)])
    return client


def test_a_server_that_cannot_be_reached_costs_nothing() -> None:
    hosts = Hosts(b=reply(LIST))
    assert ask(hosts, "a", "b") == LIST
    assert hosts.asked == ["a", "b"]


def test_a_server_that_wants_its_clients_to_go_is_left_after_its_answer() -> None:
    async def leaving(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=msgspec.json.encode(LIST), headers={DRAINING_HEADER: "1"})

    async def run() -> list[str]:
        hosts = Hosts(a=leaving, b=reply(LIST))
        client = client_of(hosts, "a", "b")
        for _ in range(3):
            assert await client.call("GET", "members", None, MemberList, timeout_s=5) == LIST
        await client.aclose()
        return hosts.asked

    assert asyncio.run(run()) == ["a", "b", "b"]


@pytest.mark.parametrize("code", ["unavailable", "overloaded", "draining", "outcome-unknown", "internal"])
def test_a_server_that_cannot_serve_makes_the_next_one_be_asked(code: str) -> None:
    found = problem(code)
    hosts = Hosts(a=reply(found, found.status), b=reply(LIST))
    assert ask(hosts, "a", "b") == LIST


def test_a_silent_server_is_hedged_under_the_same_id() -> None:
    hosts = Hosts(a=hang, b=reply(LIST))
    assert ask(hosts, "a", "b") == LIST
    assert hosts.asked == ["a", "b"]


def test_a_refusal_is_final() -> None:
    hosts = Hosts(a=reply(problem("forbidden"), 403), b=reply(LIST))
    with pytest.raises(ServerProblem) as caught:
        ask(hosts, "a", "b")
    assert caught.value.problem.code == "forbidden"
    assert hosts.asked == ["a"]


def test_what_is_not_idempotent_goes_to_a_second_server_only_when_the_first_cannot_have_done_it() -> None:
    assert ask(Hosts(b=reply(LIST)), "a", "b", idempotent=False) == LIST
    assert ask(Hosts(a=reply(problem("draining"), 503), b=reply(LIST)), "a", "b", idempotent=False) == LIST
    for code in ("internal", "outcome-unknown"):
        hosts = Hosts(a=reply(problem(code), problem(code).status), b=reply(LIST))
        with pytest.raises(NoServer) as caught:
            ask(hosts, "a", "b", idempotent=False)
        assert hosts.asked == ["a"]
        assert caught.value.in_doubt


def test_whether_an_unanswered_command_may_have_been_done_is_told() -> None:
    draining = reply(problem("draining"), 503)
    for hosts, in_doubt in ((Hosts(a=hang), True), (Hosts(), False), (Hosts(a=draining), False)):
        with pytest.raises(NoServer) as caught:
            ask(hosts, "a", timeout_s=0.3, idempotent=False)
        assert caught.value.in_doubt is in_doubt


def test_no_server_says_why_for_each() -> None:
    with pytest.raises(NoServer) as caught:
        ask(Hosts(b=hang, c=reply(problem("draining"), 503)), "a", "b", "c", timeout_s=1.5)
    reasons = caught.value.reasons
    assert reasons["http://a"] == "cannot be reached (connection refused)"
    assert reasons["http://b"] == "did not answer in time"
    assert reasons["http://c"].startswith("This server is being drained")


def test_no_server_known() -> None:
    with pytest.raises(NoServer, match="no server is known"):
        asyncio.run(ApiClient([], "t").call("GET", "members", None, MemberList, timeout_s=1))


def test_something_else_on_the_port_is_not_believed() -> None:
    async def web_page(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<html>")

    assert ask(Hosts(a=web_page, b=reply(LIST)), "a", "b") == LIST


def test_older_data_than_seen_before_is_refused() -> None:
    async def scene() -> None:
        client = client_of(Hosts(a=reply(LIST, generation=2), b=reply(LIST, generation=3)), "a")
        client.generation = 3
        with pytest.raises(NoServer, match="serves generation 2"):
            await client.call("GET", "members", None, MemberList, timeout_s=1)
        client.set_servers(["http://a", "http://b"])
        assert await client.call("GET", "members", None, MemberList, timeout_s=1) == LIST
        assert client.generation == 3
        await client.aclose()

    asyncio.run(scene())


def test_a_patient_call_waits_for_a_server_to_come() -> None:
    async def scene() -> MemberList:
        hosts = Hosts()
        client = client_of(hosts, "a")
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, hosts.answers.__setitem__, "a", reply(LIST))
        found = await client.call("GET", "members", None, MemberList, timeout_s=20, patient=True)
        await client.aclose()
        return found

    assert asyncio.run(scene()) == LIST


def stream(*texts: str, seen: list[str]) -> Answer:
    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Last-Event-ID", ""))
        return httpx.Response(200, content="".join(texts).encode(), headers={"Content-Type": "text/event-stream"})

    return answer


def sse(event_id: str, at: int) -> str:
    return f"event: topology\nid: {event_id}\ndata: {msgspec.json.encode(Event(kind='topology', at=at)).decode()}\n\n"


def test_events_resume_at_the_next_server_from_the_last_one_seen() -> None:
    async def scene() -> None:
        seen: list[str] = []
        states: list[tuple[str, str]] = []
        hosts = Hosts(
            a=stream(": ping\n\n", sse("1.0.1", 1), sse("1.0.2", 2), seen=seen), b=stream(sse("1.0.3", 3), seen=seen)
        )
        client = client_of(hosts, "a", "b")
        found = []
        source = events(client, "1.0.0", on_state=lambda url, reason: states.append((url, reason)))
        async for event_id, event in source:
            found.append((event_id, event.at))
            if len(found) == 3:
                break
        await source.aclose()
        await client.aclose()
        assert found == [("1.0.1", 1), ("1.0.2", 2), ("1.0.3", 3)]
        assert seen == ["1.0.0", "1.0.2"]
        assert states == [("http://a", ""), ("http://a", "ended the stream"), ("http://b", "")]

    asyncio.run(scene())


def test_events_end_when_the_token_is_refused() -> None:
    async def scene() -> None:
        client = client_of(Hosts(a=reply(problem("unauthenticated"), 401)), "a")
        with pytest.raises(ServerProblem):
            await anext(events(client))
        await client.aclose()

    asyncio.run(scene())
