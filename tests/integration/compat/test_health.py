"""The health API as monitoring programs read it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from backend.db.engine import now_ms
from backend.printers.tables import provider
from tests.integration.compat.conftest import HEALTH_KEY, TOKEN, Site, queues
from tests.support.processes import wait_until

PATHS = ("", "/", "/status", "/printers", "/print-providers", "/print-providers/")
MORE = (
    "/application-server/status", "/database/status", "/print-providers/status", "/devices", "/devices/status",
    "/site-servers", "/site-servers/status", "/web-print", "/web-print/status", "/mobility-print-servers",
    "/mobility-print-servers/status", "/license/status",
)  # fmt: skip


def get(site: Site, path: str = "", key: str | None = HEALTH_KEY, by: str = "header") -> httpx.Response:
    url = f"{site.server.url}/api/health{path}"
    if key is None:
        return httpx.get(url, trust_env=False)
    if by == "header":
        return httpx.get(url, headers={"Authorization": key}, trust_env=False)
    return httpx.get(url, params={"Authorization": key}, trust_env=False)


def document(site: Site, path: str = "") -> Any:
    answer = get(site, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def heard(site: Site) -> None:
    """The print server has just told what it has, and the server has written it down."""
    site.heartbeat(*queues())
    wait_until(lambda: document(site, "/print-providers")["printProviders"][0]["lastContactSeconds"] < 4, 10, "a beat")


@pytest.mark.parametrize("path", PATHS)
def test_the_key_opens_by_header_and_by_parameter(site: Site, path: str) -> None:
    assert get(site, path).status_code == 200
    assert get(site, path, by="parameter").status_code == 200
    for wrong in ("", "wrong", HEALTH_KEY + "x", f"Bearer {HEALTH_KEY}"):
        answer = get(site, path, wrong)
        assert (answer.status_code, answer.json()["status"]) == (401, "ERROR")
    assert get(site, path, None).status_code == 401


@pytest.fixture
def no_key(site: Site) -> Iterator[None]:
    site.set("health.api.key", "")
    yield
    site.set("health.api.key", HEALTH_KEY)


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize("key", [None, "", HEALTH_KEY])
def test_without_a_key_set_it_is_closed(site: Site, key: str | None) -> None:
    answer = get(site, "", key)
    assert answer.status_code == 403
    assert "health.api.key" in answer.json()["message"]


@pytest.mark.usefixtures("heard")
def test_printers(site: Site) -> None:
    found = document(site, "/printers")["printers"]
    assert [(entry["name"], entry["status"], entry["heldJobsCount"]) for entry in found] == [
        ("print-1\\Alpha", "PAPER_JAM", 0),
        ("print-1\\Zebra", "OK", 0),
    ]
    ids = [site.proxy().getPrinterProperty(TOKEN, "print-1", name, "printer-id") for name in ("Alpha", "Zebra")]
    assert [entry["physicalPrinterId"] for entry in found] == ids


@pytest.mark.usefixtures("heard")
def test_overview(site: Site) -> None:
    found = document(site)
    assert found["printProviders"] == {"count": 1, "offlineCount": 0, "offline": []}
    assert found["printers"]["count"] == 2
    assert found["printers"]["inError"] == [{"name": "print-1\\Alpha", "status": "PAPER_JAM"}]
    assert found["printers"]["untracked"] == ["print-1\\free"]
    assert found["printers"]["untrackedCount"] == 1
    assert found["database"]["status"] == "OK"
    assert found["database"]["maxConnections"] >= found["database"]["activeConnections"] >= 1
    assert found["applicationServer"]["systemMetrics"]["diskSpaceFreeMB"] > 0


def test_status_is_ok(site: Site) -> None:
    assert document(site, "/status")["status"] == "OK"


@pytest.mark.usefixtures("heard")
def test_a_silent_print_server_is_told_and_heard_again(site: Site) -> None:

    def told() -> dict[str, Any] | None:
        """The overview once it tells of the silence: a beat under way may be written over it at any moment."""
        with site.database.connect(writing=True) as conn:
            conn.execute(sa.update(provider).values(seen_at=now_ms(conn) - 60_000))
        (entry,) = document(site, "/print-providers")["printProviders"]
        overview = document(site)
        silent = 60 <= entry["lastContactSeconds"] < 120 and overview["printProviders"]["offlineCount"]
        return overview if silent else None

    found = wait_until(told, 30, "the silence to be told")
    assert found["printProviders"] == {"count": 1, "offlineCount": 1, "offline": ["print-1"]}
    assert {printer["status"] for printer in found["printers"]["inError"]} == {"UNKNOWN"}
    assert found["printers"]["inErrorCount"] == 2
    site.heartbeat(*queues())
    wait_until(lambda: document(site)["printProviders"]["offlineCount"] == 0, 10, "the print server to be back")


# ---------------------------------------------------------------- second part


@pytest.mark.usefixtures("heard")
def test_every_address_answers_with_and_without_a_slash(site: Site) -> None:
    for path in MORE:
        told = document(site, path)
        assert document(site, f"{path}/").keys() == told.keys()
        assert get(site, path, "wrong").status_code == 401
        if path.endswith("/status"):
            assert told == {"status": "OK", "message": ""}, path
        else:
            assert list(told.values()) == [[]], path


@pytest.mark.usefixtures("heard")
def test_thresholds(site: Site) -> None:
    for path, status in (
        ("/printers/status", 500),
        ("/printers/status?in-error-threshold=0", 500),
        ("/printers/status/?in-error-threshold=49", 500),
        ("/printers/status?in-error-threshold=50", 200),
        ("/application-server/status?disk-threshold-mb=999999999", 500),
        ("/application-server/status?disk-threshold-mb=1", 200),
        ("/database/status?connections-threshold-percentage=0", 500),
        ("/devices/status?offline-threshold=0", 200),
        ("/web-print/status?servers-in-error-threshold=0", 200),
        ("/job-ticketing/status", 500),
        ("/printers/status?in-error-threshold=many", 400),
        ("/printers/status?in-error-threshold=-1", 400),
        ("/database/status?connections-threshold-percentage=101", 400),
    ):
        answer = get(site, path)
        assert (answer.status_code, path) == (status, path)
        assert (answer.json()["status"] == "OK") is (status == 200)
    assert get(site, "/printers/status").json()["message"] == "1 of 2 printers are in error: print-1\\Alpha"
    assert get(site, "/job-ticketing/status").json()["message"] == "Job Ticketing is not installed."


@pytest.mark.usefixtures("heard")
def test_one_printer(site: Site) -> None:
    api = site.proxy()
    alpha, zebra = (api.getPrinterProperty(TOKEN, "print-1", name, "printer-id") for name in ("Alpha", "Zebra"))
    free = api.getPrinterProperty(TOKEN, "print-1", "free", "printer-id")
    assert document(site, f"/printers/{zebra}/status/")["status"] == "OK"
    jam = get(site, f"/printers/{alpha}/status")
    assert (jam.status_code, jam.json()) == (500, {"status": "PAPER_JAM", "message": "print-1\\Alpha is PAPER_JAM"})
    idle = get(site, f"/printers/{alpha}/has-recent-jobs?minutes=5")
    assert (idle.status_code, idle.json()["status"]) == (500, "print-1\\Alpha had no job in the last 5 minutes")
    api.processJob(TOKEN, "user=somebody,server=print-1,printer=Zebra,total-pages=3")
    assert document(site, f"/printers/{zebra}/has-recent-jobs/")["status"] == "OK"
    for path in (f"/printers/{free}/status", "/printers/0/status", "/printers/x/has-recent-jobs", "/devices/1/status"):
        assert (get(site, path).status_code, path) == (404, path)
    assert get(site, f"/printers/{zebra}/has-recent-jobs?minutes=241").status_code == 400


@pytest.mark.usefixtures("heard")
def test_monitors_find_their_own_sensors(site: Site) -> None:
    answer = get(site, "/printers/urls")
    assert answer.headers["content-type"].startswith("text/csv")
    header, first, second = answer.text.splitlines()
    assert header == "server,name,location,url"
    assert first.startswith("print-1,Alpha,,http://")
    url = second.rpartition(",")[2]
    assert httpx.get(url, headers={"Authorization": HEALTH_KEY}, trust_env=False).json()["status"] == "OK"
    assert get(site, "/devices/urls").text == "name,location,url\r\n"
    assert get(site, "/devices/urls", "wrong").status_code == 401


def test_stats(site: Site) -> None:
    def stat(name: str, query: str = "") -> Any:
        answer = httpx.get(
            f"{site.server.url}/api/stats/{name}{query}", headers={"Authorization": HEALTH_KEY}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert stat("held-jobs-count") == stat("held-jobs-count/") == {"heldJobsCount": 0}
    before = stat("recent-pages-count", "?minutes=10")["recentPagesCount"]
    site.proxy().processJob(TOKEN, "user=somebody,server=print-1,printer=Zebra,total-pages=7")
    assert stat("recent-pages-count", "/?minutes=10") == {"recentPagesCount": before + 7}
    warnings = stat("recent-warnings-count", "?minutes=240")["recentWarningsCount"]
    with pytest.raises(Exception, match="not valid"):
        site.proxy().getTotalUsers("a wrong token")
    assert stat("recent-warnings-count", "?minutes=240") == {"recentWarningsCount": warnings + 1}
    assert isinstance(stat("recent-errors-count")["recentErrorsCount"], int)
    url = f"{site.server.url}/api/stats/held-jobs-count"
    assert httpx.get(url, trust_env=False).status_code == 401
    assert httpx.get(f"{url}?Authorization={HEALTH_KEY}", trust_env=False).status_code == 200
