"""The compatible interfaces while the database goes away: a money call happened once or not at all, and says which."""

import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.compat.conftest import HEALTH_KEY, TOKEN, Site, make_site
from tests.integration.compat.test_money import units
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres
from tests.support.processes import wait_until
from tests.support.tcp_proxy import TcpProxy

UNKNOWN = "The outcome is not known, check the balance before repeating the call"
UNCHANGED = "The server cannot do that now, nothing was changed; try again"
CALLS = 60


@pytest.fixture
def away(postgres: Postgres) -> Iterator[tuple[Site, TcpProxy]]:
    """A site whose server reaches its database through a proxy; the test itself reaches it directly."""
    name = postgres.new_database()
    with (
        scratch_folder("ik-compat-") as folder,
        TcpProxy(postgres.port) as proxy,
        AppServer(folder, database_url=postgres.url(name, proxy.port)) as server,
    ):
        site = make_site(server, postgres.url(name))
        yield site, proxy
        proxy.accept()
        site.close()
    postgres.drop_database(name)


def health(site: Site, path: str = "/status") -> httpx.Response:
    headers = {"Authorization": HEALTH_KEY}
    return httpx.get(f"{site.server.url}/api/health{path}", headers=headers, timeout=15, trust_env=False)


def pay_one(api: Any) -> str:
    """ "" where the call was answered, else what the fault said."""
    try:
        return "" if api.adjustUserAccountBalance(TOKEN, "ada", 1.0, "") is True else "no boolean"
    except xmlrpc.client.Fault as refused:
        return str(refused.faultString)


def test_connections_cut_in_their_commits_again_and_again(away: tuple[Site, TcpProxy]) -> None:
    site, proxy = away
    api = site.proxy()
    assert api.addNewInternalUser(TOKEN, "ada", "pw", "", "", "", "") is True
    balance, cuts, done = 0, 0, 0
    proxy.cut_after_commit()
    for number in range(CALLS):
        said = pay_one(api)
        now = units(site, "ada") // 10_000
        if said == "":
            assert now == balance + 1
            done += 1
        elif said == UNKNOWN:
            assert now in (balance, balance + 1)
        else:
            assert (now, said[: len(UNCHANGED)]) == (balance, UNCHANGED)
        balance = now
        if proxy.fired.is_set():
            cuts += 1
            (proxy.cut_after_commit if number % 2 else proxy.cut_before_commit)()
    assert cuts > CALLS // 4
    assert done > CALLS // 2  # cuts are healed by asking again: under the same id, where money is meant


def test_everything_says_so_while_the_database_is_away(away: tuple[Site, TcpProxy]) -> None:
    site, proxy = away
    api = site.proxy()
    api.addNewInternalUser(TOKEN, "ada", "pw", "", "", "", "")
    assert health(site).status_code == 200
    proxy.refuse()
    answer = wait_until(lambda: found if (found := health(site)).status_code == 500 else None, 15, "an unwell status")
    assert "database" in answer.json()["status"]
    for path in ("", "/printers", "/print-providers"):
        told = health(site, path)
        assert told.status_code == 500
        assert told.json()["database"]["status"] != "OK"
    overview = health(site, "").json()
    assert overview["printers"]["count"] == 2  # as last known, none of them well
    assert {entry["status"] for entry in overview["printers"]["inError"]} == {"UNKNOWN"}
    assert overview["printers"]["inErrorCount"] == 2
    assert overview["printProviders"]["count"] == 1
    assert isinstance(overview["database"]["ageSeconds"], int)
    wrong = httpx.get(f"{site.server.url}/api/health", headers={"Authorization": "wrong"}, trust_env=False)
    assert wrong.status_code == 401
    with pytest.raises(xmlrpc.client.Fault) as refused:
        api.adjustUserAccountBalance(TOKEN, "ada", 1.0, "")
    assert refused.value.faultString.startswith(UNCHANGED)
    proxy.accept()
    wait_until(lambda: health(site).status_code == 200, 20, "the server to be well again")
    assert api.getUserAccountBalance(TOKEN, "ada") == 0.0
    assert api.adjustUserAccountBalance(TOKEN, "ada", 1.0, "") is True
