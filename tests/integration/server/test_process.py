"""The server as a program: how it starts, what it refuses in one line, how it ends."""

import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.main import LATER
from tests.support.api import freeze
from tests.support.app_server import AppServer
from tests.support.postgresql import Postgres
from tests.support.processes import free_port, run, wait_until

PROGRAM = Path(sys.executable).with_name("inkeeper-server")


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def server(tmp_path: Path, url: str) -> Iterator[AppServer]:
    with AppServer(tmp_path, database_url=url) as found:
        yield found


def ready(http: httpx.Client, server: AppServer) -> bool:
    return http.get(f"{server.url}/health/ready").status_code == 200


def test_it_starts_on_an_empty_database_serves_and_ends_with_0(server: AppServer, http: httpx.Client) -> None:
    wait_until(lambda: ready(http, server), 20, "it to be ready")
    assert http.get(f"{server.url}/health/live").json()["status"] == "ok"
    wait_until(lambda: http.get(f"{server.url}/health/leader").status_code == 200, 20, "it to lead")
    token = server.command("token", "create", "--role", "admin", "--name", "anna")
    found = http.get(f"{server.url}/api/v1/topology", headers={"Authorization": f"Bearer {token}"})
    assert found.json()["verdict"] == "All is well: 1 server, no print server is enrolled yet."
    server.process.signal(signal.SIGTERM)
    assert server.process.wait_for_end(10) == 0
    assert token not in server.process.written()


def test_sigterm_finishes_what_is_under_way_and_closes_streams(server: AppServer, http: httpx.Client) -> None:
    wait_until(lambda: ready(http, server), 20, "it to be ready")
    token = server.command("token", "create", "--role", "auditor", "--name", "a")
    headers = {"Authorization": f"Bearer {token}"}
    ended = threading.Event()
    streaming = threading.Event()

    def read() -> None:
        with (
            httpx.Client(trust_env=False) as client,
            client.stream("GET", f"{server.url}/api/v1/events", headers=headers, timeout=20) as response,
        ):
            for _ in response.iter_raw():
                streaming.set()
        ended.set()  # the stream ended in good order, else iter_raw would have raised

    reader = threading.Thread(target=read)
    reader.start()
    assert streaming.wait(10)
    server.process.signal(signal.SIGTERM)
    assert server.process.wait_for_end(10) == 0
    reader.join(10)
    assert ended.is_set()


def test_a_kept_open_idle_connection_does_not_hold_up_the_end(server: AppServer, http: httpx.Client) -> None:
    wait_until(lambda: ready(http, server), 20, "it to be ready")  # http keeps its connection open
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"GET /health/live HTTP/1.1\r\n")  # half a request
        server.process.signal(signal.SIGTERM)
        assert server.process.wait_for_end(10) == 0


def test_https_beside_http_and_clients_with_certificates(tmp_path: Path, http: httpx.Client) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, *subject])
    server = AppServer(tmp_path)
    port = free_port()
    tls = f'\n[tls]\nlisten = "127.0.0.1:{port}"\ncert = "{cert}"\nkey = "{key}"\nclient_ca = "{cert}"\n'
    server.config.write_text(server.config.read_text() + tls)
    with server:
        assert http.get(f"{server.url}/health/live").status_code == 200
        trusting = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(verify=trusting, trust_env=False) as stranger, pytest.raises(httpx.HTTPError):
            stranger.get(f"https://127.0.0.1:{port}/health/live")
        trusting.load_cert_chain(cert, key)
        with httpx.Client(verify=trusting, trust_env=False) as known:
            assert known.get(f"https://127.0.0.1:{port}/health/live").status_code == 200
    assert server.process.exit_code == 0
    server.config.write_text(server.config.read_text().replace(str(cert), "/none.pem"))
    assert "[tls]" in complaint(server.config, "run")


def test_kill_9_and_a_new_start_lead_again_with_a_higher_term(server: AppServer, http: httpx.Client) -> None:
    def term() -> str:
        answer = http.get(f"{server.url}/health/leader")
        return str(answer.json()["detail"]) if answer.status_code == 200 else ""

    first = wait_until(term, 20, "it to lead")
    server.process.kill9()
    server.start()
    second = wait_until(term, 20, "it to lead again")
    assert (first, second) == ("term 1", "term 2")


def complaint(config: Path, *words: str, code: int = 1) -> str:
    done = run([PROGRAM, "--config", config, *words], check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("inkeeper-server: ")
    return last


def test_a_busy_port_is_one_line_and_exit_1(tmp_path: Path) -> None:
    other = AppServer(tmp_path, name="other")
    with socket.create_server(("127.0.0.1", other.port)):
        assert "cannot listen on 127.0.0.1" in complaint(other.config, "run")


def test_a_second_server_on_a_sqlite_file_is_refused_and_commands_are_not(tmp_path: Path) -> None:
    with AppServer(tmp_path) as first:
        second = AppServer(tmp_path, database_url=first.database_url, name="second")
        assert "is in use by another server" in complaint(second.config, "run")
        second.command("config", "set", "health.api.key", "k")
        assert first.command("config", "get", "health.api.key") == "k"


def test_an_older_postgresql_is_refused_until_it_is_migrated(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    server = AppServer(tmp_path, database_url=postgres_url)
    assert server.command("migrate").endswith("of this version")
    assert server.command("migrate") == "the database is up to date"
    name = postgres_url.rpartition("/")[2]
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", name)
    postgres.execute("UPDATE cluster SET oldest_schema = '9999'", name)
    assert "made by a newer version" in complaint(server.config, "run")
    assert "made by a newer version" in complaint(server.config, "migrate")


def test_help_lists_the_commands_and_says_which_are_not_there_yet() -> None:
    said = run([PROGRAM, "--help"]).stdout
    for name in ("run", "migrate", "config", "token", "command", "backup", "restore", "verify"):
        assert name in said
    assert said.count("not available in this version") == len(LATER)
    assert run([PROGRAM, "--version"]).stdout.startswith("inkeeper-server ")


def test_it_waits_for_a_database_that_is_away_and_serves_when_it_comes(
    scratch: Path, postgres_template: Path, http: httpx.Client
) -> None:
    database = Postgres(scratch / "pg", template=postgres_template)
    server = AppServer(scratch, database_url=database.url())
    server.process.start()
    try:
        server.process.wait_for_line("waiting for the database", 30)
        with database:
            server.process.wait_for_port(server.port, 30)
            wait_until(lambda: ready(http, server), 30, "it to be ready")
            freeze(database)
            wait_until(lambda: not ready(http, server), 20, "it to see that the database hangs")
            freeze(database, signal.SIGCONT)
            wait_until(lambda: ready(http, server), 30, "it to be ready again")
    finally:
        server.stop()
