"""`/metrics` of a real server: who may read it, what it tells, that all of it is documented."""

import asyncio
import re
import signal
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from backend.api import metrics
from backend.api.metrics import MetricsSettings
from backend.base.settings import SettingsError
from backend.db.engine import Database
from backend.main import ServerSettings, make_services
from tests.support.api import SECRET, authorise, report
from tests.support.app_server import AppServer
from tests.support.postgresql import Postgres
from tests.support.processes import wait_until

OPERATIONS = (Path(__file__).parents[3] / "docs/OPERATIONS.md").read_text()

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(server: AppServer, token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(f"{server.url}/metrics", headers=headers, trust_env=False, timeout=10)


def test_every_metric_is_documented_and_none_that_is_not_there(tmp_path: Path) -> None:
    async def told() -> str:
        services = make_services(ServerSettings(), Database(f"sqlite:///{tmp_path / 'x.db'}"))
        found = metrics.written(metrics.families(services, None, "1", 0.0))
        services.database.close()
        return found.decode()

    text = asyncio.run(told())
    # The text names a counter with its ending, and says an info to be a gauge.
    there = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    documented = dict(re.findall(r"^\| `(inkeeper_\w+)` \| (\w+) \|", OPERATIONS, re.MULTILINE))
    assert there == documented
    for name, kind in there.items():
        assert name.endswith("_total") == (kind == "counter")


def test_who_may_read_it(tmp_path: Path) -> None:
    with AppServer(tmp_path) as server:
        assert scrape(server).status_code == 401
        roles = {"metrics": 200, "admin": 200, "auditor": 200, "helpdesk": 403}
        for role, status in roles.items():
            token = server.command("token", "create", "--role", role, "--name", role)
            assert scrape(server, token).status_code == status
    with AppServer(tmp_path, name="open", more='\n[metrics]\nopen_to = "192.0.2.0/24 127.0.0.1"\n') as server:
        answer = scrape(server)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_an_address_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="open_to"):
        metrics.networks(MetricsSettings(open_to="anywhere"))


def test_what_it_tells(tmp_path: Path, url: str) -> None:
    with AppServer(tmp_path, database_url=url, more='\n[metrics]\nopen_to = "127.0.0.1"\n') as server:
        wait_until(lambda: parsed(scrape(server).text)["inkeeper_leader", ()] == 1, 30, "it to lead")
        token = server.command("token", "create", "--role", "provider", "--name", "print1")
        with httpx.Client(base_url=f"{server.url}/api/v1/", trust_env=False, timeout=10) as http:
            asked = {"v": 1, "token": token, "secret": SECRET, "name": "print1"}
            http.post("enroll", json=asked).raise_for_status()
            headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
            for _ in range(3):
                job = authorise("anna", 2)
                for path, body in (("jobs/authorise", job), ("jobs/report", report(job))):
                    answer = http.post(path, content=msgspec.json.encode(body), headers=headers)
                    answer.raise_for_status()
        found = parsed(scrape(server).text)
        assert found["inkeeper_commands_total", (("kind", "authorise"), ("outcome", "answered"))] == 3
        assert found["inkeeper_commands_total", (("kind", "report"), ("outcome", "answered"))] == 3
        assert found["inkeeper_command_duration_seconds_count", ()] == 6
        assert found["inkeeper_batch_commands_sum", ()] == 6
        assert found["inkeeper_http_requests_total", (("status", "200"),)] >= 7
        assert found["inkeeper_members", (("state", "serving"),)] == 1
        assert found["inkeeper_term", ()] == 1
        assert found["inkeeper_database_up", ()] == 1
        assert sum(value for (name, _), value in found.items() if name == "inkeeper_providers") == 1
        assert sum(value for (name, _), value in found.items() if name == "inkeeper_databases") == 1


def test_it_answers_while_the_database_is_away(scratch: Path, postgres_template: Path) -> None:
    with (
        Postgres(scratch / "pg", template=postgres_template) as database,
        AppServer(scratch, database_url=database.url(), more='\n[metrics]\nopen_to = "127.0.0.1"\n') as server,
    ):
        wait_until(lambda: parsed(scrape(server).text)["inkeeper_database_up", ()] == 1, 30, "the database")
        database.process.kill9()
        wait_until(lambda: parsed(scrape(server).text)["inkeeper_database_up", ()] == 0, 30, "the loss to be told")
        assert parsed(scrape(server).text)["inkeeper_http_requests_total", (("status", "200"),)] > 1
        server.process.signal(signal.SIGTERM)
        assert server.process.wait_for_end(30) == 0
