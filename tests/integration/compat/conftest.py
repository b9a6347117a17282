"""A real server process for the compatible interfaces, on SQLite and on PostgreSQL."""

import itertools
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest

from backend.access.settings import write_setting
from backend.db.engine import Database
from backend.wire.printers import Enroll, EnrollAnswer, Heartbeat, QueueReport
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres

TOKEN = "a token for tests"
HEALTH_KEY = "a key for tests"
HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True)
class Site:
    """A server with its token and key set, and a print server `print-1` that said once what it has."""

    server: AppServer
    database: Database
    provider_secret: str
    proxies: list[xmlrpc.client.ServerProxy] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.server.url}/rpc/api/xmlrpc"

    def proxy(self) -> Any:
        """The methods, as a Python script sees them: `site.proxy().getTotalUsers(TOKEN)`."""
        made = xmlrpc.client.ServerProxy(self.url, allow_none=True)
        self.proxies.append(made)
        return made.api

    def close(self) -> None:
        for made in self.proxies:
            made("close")()
        self.database.close()

    def set(self, key: str, value: str) -> None:
        """What `inkeeper-server config set` does, without the second that a process takes."""
        with self.database.connect(writing=True) as conn:
            write_setting(conn, key, value, "test", "admin")

    def heartbeat(self, *queues: QueueReport) -> None:
        post(self.server.url, "/api/v1/heartbeat", Heartbeat(host="10.0.0.9", queues=queues), self.provider_secret)


def post(url: str, path: str, body: Any, token: str = "") -> bytes:
    headers = HEADERS | ({"authorization": f"Bearer {token}"} if token else {})
    answer = httpx.post(url + path, content=msgspec.json.encode(body), headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.content


def queues() -> tuple[QueueReport, ...]:
    return (
        QueueReport(name="Zebra", tracked=True, printer_state="idle"),
        QueueReport(name="Alpha", tracked=True, printer_state="stopped", printer_state_reasons=("media-jam-error",)),
        QueueReport(name="free", tracked=False, printer_state="idle"),
    )


def make_site(server: AppServer, database_url: str = "") -> Site:
    """Token and key set, print server enrolled. The test itself reaches the database by `database_url`."""
    server.command("config", "set", "auth.webservices.auth-token", TOKEN)
    server.command("config", "set", "health.api.key", HEALTH_KEY)
    token = server.command("token", "create", "--role", "provider", "--name", "print-1")
    secret = "s" * 40
    content = post(server.url, "/api/v1/enroll", Enroll(token=token, secret=secret, name="print-1", host="10.0.0.9"))
    assert msgspec.json.decode(content, type=EnrollAnswer).name == "print-1"
    site = Site(server, Database(database_url or server.database_url), secret)
    site.heartbeat(*queues())
    return site


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with scratch_folder("ik-compat-") as folder:
        if request.param == "sqlite":
            yield from _running(AppServer(folder, more="[backup]\nkeep = 2\n"))
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            name = postgres.new_database()
            more = f'[backup]\nfolder = "{folder / "backups"}"\nkeep = 2\n'
            yield from _running(AppServer(folder, database_url=postgres.url(name), more=more))
            postgres.drop_database(name)


def _running(server: AppServer) -> Iterator[Site]:
    server.process.shared = True
    with server:
        site = make_site(server)
        yield site
        site.close()


@pytest.fixture(scope="session")
def new_name() -> Callable[[], str]:
    """A user name that no other test uses."""
    numbers = itertools.count(1)
    return lambda: f"user{next(numbers)}"


@pytest.fixture
def user(site: Site, new_name: Callable[[], str]) -> str:
    """A user of the test's own, without money."""
    name = new_name()
    assert site.proxy().addNewInternalUser(TOKEN, name, "password", "", "", "", "") is True
    return name
