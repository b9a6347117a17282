"""XML-RPC callers know one address only: a server that is drained goes on answering them, until its process ends."""

import http.client
import threading
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.compat.conftest import HEALTH_KEY, TOKEN, Site, make_site
from tests.support.app_server import AppServer
from tests.support.processes import wait_until

CALLERS = 4


@pytest.fixture
def drained(tmp_path: Path) -> Iterator[Site]:
    with AppServer(tmp_path, more="[cluster]\nheartbeat_s = 0.2\ndrain_grace_s = 0.1\n") as server:
        site = make_site(server)
        server.command("cluster", "drain", "server-1", "--force")
        wait_until(lambda: refusal(site) == (503, "draining"), 60, "the JSON API to refuse")
        yield site
        site.close()


def refusal(site: Site) -> tuple[int, str]:
    """Status and code of the JSON API."""
    headers = {"authorization": f"Bearer {site.provider_secret}"}
    answer = httpx.get(f"{site.server.url}/api/v1/members", headers=headers, trust_env=False)
    return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]


def test_look_ups_and_money_go_on_and_balancers_are_told(drained: Site) -> None:
    proxy = drained.proxy()
    assert proxy.addNewInternalUser(TOKEN, "anna", "password", "", "", "", "") is True
    assert proxy.adjustUserAccountBalance(TOKEN, "anna", 2.5, "while drained") is True
    assert proxy.getUserAccountBalance(TOKEN, "anna") == 2.5
    assert httpx.get(f"{drained.server.url}/health/ready", trust_env=False).status_code == 503
    health = httpx.get(f"{drained.server.url}/api/health/status?Authorization={HEALTH_KEY}", trust_env=False)
    assert health.status_code == 200


def test_a_kept_connection_is_closed_so_that_the_next_call_may_go_elsewhere(drained: Site) -> None:
    connection = http.client.HTTPConnection(drained.server.host, drained.server.port, timeout=60)
    content = xmlrpc.client.dumps((TOKEN,), "api.getTotalUsers")
    connection.request("POST", "/rpc/api/xmlrpc", content, {"content-type": "text/xml"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("connection") == "close"
    connection.close()


def test_no_call_fails_from_the_drain_to_its_end(tmp_path: Path) -> None:
    with AppServer(tmp_path, more="[cluster]\nheartbeat_s = 0.2\ndrain_grace_s = 0.1\n") as server:
        site = make_site(server)
        stop, failed, counts = threading.Event(), [], [0] * CALLERS

        def call(number: int) -> None:
            proxy = site.proxy()
            while not stop.is_set():
                try:
                    proxy.getTotalUsers(TOKEN)
                    counts[number] += 1
                except Exception as error:  # noqa: BLE001  (told at the end)
                    failed.append(repr(error))

        callers = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
        for caller in callers:
            caller.start()
        try:
            server.command("cluster", "drain", "server-1", "--force")
            wait_until(lambda: refusal(site) == (503, "draining"), 60, "the JSON API to refuse")
            at_drain = list(counts)
            reached = [at + 20 for at in at_drain]
            wait_until(lambda: all(map(int.__ge__, counts, reached)) or bool(failed), 60, "calls while drained")
            server.command("cluster", "undrain", "server-1")
            wait_until(lambda: refusal(site)[0] == 200, 60, "the JSON API to serve again")
        finally:
            stop.set()
            for caller in callers:
                caller.join(60)
        site.close()
        assert failed == []
