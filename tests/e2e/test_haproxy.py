"""The shipped HAProxy settings in front of real servers: one is killed, one is drained, and no request fails."""

import contextlib
import http.client
import re
import signal
import threading
import xmlrpc.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest

from backend.base.ids import uuid7
from backend.wire.money import Adjust, TransferList
from tests.support.app_server import AppServer
from tests.support.processes import Process, free_port, run, wait_until

SHIPPED = Path(__file__).parents[2] / "packaging/haproxy/haproxy.cfg"
CLIENTS = 3
RPC_TOKEN = "rpc-token"


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


class Proxy:
    """haproxy with the shipped settings, but for the addresses."""

    def __init__(self, folder: Path, servers: list[AppServer]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        text = SHIPPED.read_text()
        shipped = re.findall(r"^    server \S+ \S+\n", text, re.MULTILINE)
        lines = "".join(f"    server {server.process.name} 127.0.0.1:{server.port}\n" for server in servers)
        text = text.replace("".join(shipped), lines).replace("bind :9191", f"bind 127.0.0.1:{self.port}")
        assert len(shipped) == 3
        config = folder / "haproxy.cfg"
        config.write_text(text)
        run(["haproxy", "-c", "-f", config])
        self.process = Process("haproxy", ["haproxy", "-db", "-f", config], log=folder / "haproxy.log")

    def ready(self) -> bool:
        return is_ready(self.url)

    def uses(self, server: AppServer) -> bool:
        """Whether this server takes requests, as HAProxy told last."""
        told = re.findall(rf"Server servers/{server.process.name} is (UP|DOWN)", self.process.written())
        return not told or told[-1] == "UP"


class Load:
    """Clients that ask without pause and take each answer as it comes; each adjusts a user of its own. With `rpc` they
    call by XML-RPC too, which nobody repeats."""

    def __init__(self, url: str, token: str, rpc: bool = False) -> None:
        self._rpc = rpc
        self._url, self._headers = url, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self.faults: list[str] = []
        self.asked = 0
        self.closed = 0
        self.adjusted = [0] * CLIENTS
        self._runs = [self._pool.submit(self._run, number) for number in range(CLIENTS)]

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=30, trust_env=False) as asking:
            while not self._stop.is_set():
                body = Adjust(command_id=uuid7(), user_name=f"user-{number}", amount=1)
                content = msgspec.json.encode(body)
                for method, path, sent in (
                    ("POST", f"/api/v1/users/user-{number}/adjust", content),
                    ("GET", "/api/v1/members", None),
                ):
                    self.asked += 1
                    answer = self._ask(asking, method, path, sent)
                    if answer.status_code != 200:
                        self.faults.append(f"{answer.request.method} {answer.status_code} {answer.text[:200]}")
                self.adjusted[number] += 1
                if self._rpc:
                    self._call(f"user-{number}")

    def _ask(self, asking: httpx.Client, method: str, path: str, sent: bytes | None) -> httpx.Response:
        """A kept connection may be closed instead of answered (RFC 9112, 9.5), and HAProxy does so where the server
        behind it closed its own: HTTP clients then ask again on a new one, once."""
        try:
            return asking.request(method, path, content=sent)
        except httpx.RemoteProtocolError:
            self.closed += 1
            return asking.request(method, path, content=sent)

    def _call(self, user: str) -> None:
        self.asked += 1
        try:
            with xmlrpc.client.ServerProxy(f"{self._url}/rpc/api/xmlrpc") as rpc:
                rpc.api.getUserAccountBalance(RPC_TOKEN, user)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            self.faults.append(f"XML-RPC {error}")

    def goes_on(self, requests: int, timeout_s: float = 120) -> None:
        """Wait until so many more requests were answered."""
        wanted = self.asked + requests
        wait_until(lambda: self.asked >= wanted or self.broken(), timeout_s, f"{requests} more requests")

    def broken(self) -> bool:
        return bool(self.faults) or any(run.done() for run in self._runs)

    def end(self) -> None:
        self._stop.set()
        for found in self._runs:
            found.result(60)
        self._pool.shutdown()


@pytest.fixture
def servers(tmp_path: Path, postgres_url: str) -> Iterator[list[AppServer]]:
    names = ("app-1", "app-2", "app-3")
    found = [AppServer(tmp_path, database_url=postgres_url, name=name) for name in names]
    try:
        for server in found:
            server.start()
        yield found
    finally:
        for server in found:
            server.stop()


@contextlib.contextmanager
def under_load(folder: Path, servers: list[AppServer], rpc: bool = False) -> Iterator[tuple[Load, Proxy]]:
    """The proxy in front of the servers, and clients that ask. In the end no request failed, and what was adjusted is
    what the books say."""
    proxy = Proxy(folder, servers)
    token = servers[0].command("token", "create", "--role", "admin", "--name", "a")
    with proxy.process:
        proxy.process.wait_for(proxy.ready, 60, "haproxy to reach the servers")
        servers[0].command("config", "set", "auth.webservices.auth-token", RPC_TOKEN)
        with xmlrpc.client.ServerProxy(f"{proxy.url}/rpc/api/xmlrpc") as calls:
            for number in range(CLIENTS):
                calls.api.addNewInternalUser(RPC_TOKEN, f"user-{number}", "a-password", "", "", "", "")
        load = Load(proxy.url, token, rpc)
        try:
            yield load, proxy
        finally:
            load.end()
        assert load.faults == []
        for number, adjusted in enumerate(load.adjusted):
            answer = httpx.get(
                f"{proxy.url}/api/v1/users/user-{number}/transfers",
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
            )
            assert answer.status_code == 200, answer.text
            assert msgspec.json.decode(answer.content, type=TransferList).transfers[0].balance == adjusted


@pytest.mark.timeout(300)
def test_no_request_fails_while_servers_are_killed_stopped_and_come_back(
    tmp_path: Path, servers: list[AppServer]
) -> None:
    one, two, three = servers
    with under_load(tmp_path, servers) as (load, proxy):
        load.goes_on(150)
        one.process.kill9()
        wait_until(lambda: not proxy.uses(one), 60, "the first server's death to be noticed")
        load.goes_on(200)
        one.start()
        wait_until(lambda: proxy.uses(one), 60, "the first server to be used again")
        load.goes_on(100)
        two.process.signal(signal.SIGTERM)
        assert two.process.wait_for_end(60) == 0
        wait_until(lambda: not proxy.uses(two), 60, "the second server's end to be noticed")
        load.goes_on(200)
        three.process.kill9()  # of one that just came back and none other, all is well still
        load.goes_on(100)
    print(f"\nhaproxy: {load.asked} requests through 2 kills and 1 stop, 0 failed, {load.closed} asked again")


def operate(servers: list[AppServer], load: Load, requests: int) -> None:
    """Each server is drained and undrained, and the lead handed over, as an administrator does it."""
    for server in servers:
        name = server.process.name
        for words in (["drain", name], ["switchover", "--force"], ["undrain", name]):
            servers[0].command("cluster", *words)
            load.goes_on(requests)


@pytest.mark.timeout(300)
def test_no_request_fails_while_servers_are_drained(tmp_path: Path, servers: list[AppServer]) -> None:
    with under_load(tmp_path, servers, rpc=True) as (load, _):
        operate(servers[1:2], load, 50)
    print(f"\nhaproxy: {load.asked} requests through a drain and a switchover, 0 failed")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_requests_while_servers_are_drained(tmp_path: Path, servers: list[AppServer]) -> None:
    drains = 0
    with under_load(tmp_path, servers, rpc=True) as (load, _):
        while load.asked < 10_000:
            operate(servers, load, 300)
            drains += len(servers)
    print(f"\nhaproxy: {load.asked} requests through {drains} drains and switchovers, 0 failed")


@pytest.mark.timeout(300)
def test_a_stream_stays_open_and_breaks_when_its_server_dies(tmp_path: Path, servers: list[AppServer]) -> None:
    proxy = Proxy(tmp_path, servers[:1])
    token = servers[0].command("token", "create", "--role", "auditor", "--name", "a")
    headers = {"Authorization": f"Bearer {token}"}
    with proxy.process, httpx.Client(trust_env=False, timeout=30) as client:
        proxy.process.wait_for(proxy.ready, 60, "haproxy to reach the server")
        with client.stream("GET", f"{proxy.url}/api/v1/events", headers=headers) as response:
            pings, chunks = 0, response.iter_raw()
            for chunk in chunks:
                pings += b": ping" in chunk
                if pings == 2:  # nothing happened for longer than any time-out of a request's head
                    break
            servers[0].process.kill9()
            with pytest.raises(httpx.HTTPError):  # the end is not to be taken for the stream's good end
                for _ in chunks:
                    pass
