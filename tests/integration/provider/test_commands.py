"""The provider's command line with a real server: enrolment that a lost answer does not burn, status, errors."""

import json
import os
import select
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.db.engine import Database
from provider.enrolment import Cluster, read_cluster, write_cluster
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder
from tests.support.print_server import BIN
from tests.support.processes import Process, run, wait_until

PROGRAM = BIN / "inkeeper-provider"


@pytest.fixture(scope="module")
def server() -> Iterator[AppServer]:
    with scratch_folder() as folder, AppServer(folder) as server:
        server.process.shared = True
        yield server


class Provider:
    """A provider's settings, without a cupsd behind them."""

    def __init__(self, folder: Path, name: str, *urls: str) -> None:
        self.folder = folder
        self.name = name
        self.state = folder / "state"
        self.config = folder / "provider.toml"
        self.config.write_text(
            f'[provider]\nname = "{name}"\nstate_dir = "{self.state}"\n[servers]\nurls = {json.dumps(urls)}\n'
            f'[cups]\nserver = "{folder}/cups.sock"\n'
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        done = run([PROGRAM, "--config", self.config, *words], check=False)
        return done.returncode, done.stdout, done.stderr

    def daemon(self) -> Process:
        argv: list[str | Path] = [PROGRAM, "--config", self.config, "run"]
        process = Process("provider", argv, log=self.folder / "log")
        process.start()
        process.wait_for(lambda: "listens at" in process.written(), 20, "it listened")
        return process


def token(server: AppServer, name: str) -> str:
    return server.command("token", "create", "--role", "provider", "--name", name)


def test_enrolment_survives_a_lost_answer_and_a_server_that_is_away(server: AppServer, scratch: Path) -> None:
    provider = Provider(scratch, "lost", server.url)
    once = token(server, "lost")
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes the question, and the answer is lost
        lost = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        thread = threading.Thread(target=_forward_and_forget, args=(deaf, server.port), daemon=True)
        thread.start()
        code, said, error = provider.run("enroll", "--server", lost, "--token", once)
    assert (code, said) == (1, "")
    assert "enrolment failed" in error
    secret = (provider.state / "secret").read_text()
    assert stat.S_IMODE((provider.state / "secret").stat().st_mode) == 0o600
    for _ in range(2):
        code, said, error = provider.run("enroll", "--server", server.url, "--token", once)
        assert (code, error) == (0, "")
        assert said.startswith("provider lost is enrolled (number ")
    assert (provider.state / "secret").read_text() == secret


def _forward_and_forget(listener: socket.socket, port: int) -> None:
    """Hand every question on to the server, wait for its answer, and hang up."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, socket.create_connection(("127.0.0.1", port)) as onward:
            while onward not in select.select([connection, onward], [], [], 10)[0]:
                data = connection.recv(1 << 16)
                if not data:
                    break
                onward.sendall(data)


def test_a_wrong_token_is_refused_and_a_second_provider_of_that_name_too(server: AppServer, scratch: Path) -> None:
    provider = Provider(scratch, "wrong", server.url)
    code, _, error = provider.run("enroll", "--server", server.url, "--token", "ik_not_a_token_of_this_server")
    assert code == 1
    assert error.count("\n") == 1
    assert "enrolment token is not valid" in error


def test_run_and_status(server: AppServer, scratch: Path) -> None:
    provider = Provider(scratch, "status", server.url)
    assert provider.run("run")[2] == (
        "inkeeper-provider: this provider is not enrolled: run `inkeeper-provider enroll --server URL --token TOKEN`\n"
    )
    provider.run("enroll", "--server", server.url, "--token", token(server, "status"))
    code, said, error = provider.run("status")
    assert (code, said) == (1, "")
    assert "the daemon does not answer at" in error
    daemon = provider.daemon()
    try:
        wait_until(lambda: provider.run("status")[0] == 0, 20, "a server to answer")
        said = provider.run("status")[1]
        assert f"server {server.url}: answers" in said
        assert "cupsd: " in said  # there is none
        code, _, error = provider.run("run")
        assert (code, error) == (
            1,
            f"inkeeper-provider: another provider runs with the state folder {provider.state}\n",
        )
    finally:
        daemon.signal(signal.SIGTERM)
        assert daemon.wait_for_end() == 0
        daemon.stop()
    secret = (provider.state / "secret").read_text().strip()
    assert secret not in daemon.written()


def test_status_says_that_no_server_answers(scratch: Path, server: AppServer) -> None:
    provider = Provider(scratch, "alone", server.url)
    provider.run("enroll", "--server", server.url, "--token", token(server, "alone"))
    cluster = provider.state / "cluster.json"
    cluster.write_text(cluster.read_text().replace(server.url, "http://127.0.0.1:9"))
    provider.config.write_text(provider.config.read_text().replace(server.url, "http://127.0.0.1:9"))
    daemon = provider.daemon()
    try:
        code, said, error = provider.run("status")
        assert code == 1
        assert "server http://127.0.0.1:9: does not answer" in said
        assert error.startswith("inkeeper-provider: no server answers: http://127.0.0.1:9: cannot be reached")
    finally:
        assert daemon.stop() == 0


def test_the_commands_that_are_not_there_yet_say_so(scratch: Path) -> None:
    provider = Provider(scratch, "x")
    for command in ("activate", "standby"):
        code, _, error = provider.run(command)
        assert (code, error) == (
            1,
            "inkeeper-provider: print clusters are not yet available; this provider is always active\n",
        )
    assert "there is no journal in" in provider.run("journal", "show")[2]
    assert "there is no journal in" in provider.run("journal", "verify")[2]


def test_a_damaged_journal_is_told_with_exit_code_1_and_the_reason(scratch: Path) -> None:
    provider = Provider(scratch, "x")
    journal = provider.state / "journal"
    journal.mkdir(parents=True)
    assert provider.run("journal", "verify") == (0, "0 jobs in 0 segments, 0 open, 0 damaged\n", "")
    (journal / "00000001.journal").write_bytes(b"garbage")
    code, said, error = provider.run("journal", "verify")
    assert (code, error) == (1, f"inkeeper-provider: the journal in {journal} is damaged in 1 place\n")
    assert said.splitlines() == [
        "error: segment 1 at byte 0: 7 damaged bytes",
        "0 jobs in 1 segment, 0 open, 1 damaged",
    ]
    assert provider.run("journal", "show")[::2] == (
        0,
        "inkeeper-provider: segment 1 at byte 0: 7 damaged bytes: passed over\n",
    )
    code, said, error = provider.run("journal", "show", "--open", "--job", "x")
    assert (code, said, error.splitlines()[-1]) == (1, "", "inkeeper-provider: there is no open job x in the journal")


@pytest.mark.parametrize(
    "words",
    [
        ["sing"],
        [],
        ["track"],
        ["journal"],
        ["journal", "burn"],
        ["journal", "verify", "--job", "x"],
        ["enroll", "--server", "x"],
    ],
)
def test_a_wrong_command_line_is_usage(scratch: Path, words: list[str]) -> None:
    code, said, error = Provider(scratch, "x").run(*words)
    assert (code, said, error.count("\n")) == (2, "", 1)


def test_help_and_version_need_no_settings() -> None:
    for option in ("--help", "--version"):
        environ = {**os.environ, "INKEEPER_CONFIG": "/nowhere"}
        assert run([PROGRAM, option], env=environ).stdout.startswith(("usage: inkeeper-provider", "inkeeper-provider "))


def test_an_allowance_that_is_no_amount_is_named(scratch: Path) -> None:
    provider = Provider(scratch, "x")
    environ = {**os.environ, "INKEEPER_OFFLINE_ALLOWANCE": "five"}
    done = run([PROGRAM, "--config", provider.config, "status"], env=environ, check=False)
    assert done.returncode == 1
    assert "[offline] allowance: 'five' is not an amount" in done.stderr


def test_who_was_enrolled_after_the_backup_tells_its_journal_once_enrolled_again(
    server: AppServer, scratch: Path
) -> None:
    """Of the same cluster only: another one has nothing to do with what was printed."""
    database = Database(server.database_url)
    with database.connect(writing=True) as conn:
        conn.exec_driver_sql("UPDATE cluster SET generation = 2")
    database.close()

    def is_seen() -> bool:
        return httpx.get(f"{server.url}/health/live", trust_env=False).headers["Inkeeper-Generation"] == "2"

    wait_until(is_seen, 20, "the server to see its new generation")
    for name, url, again in (("elsewhere", "http://192.0.2.1:9191", False), ("again", server.url, True)):
        folder = scratch / name
        folder.mkdir()
        provider = Provider(folder, name, server.url)
        provider.state.mkdir(mode=0o700)
        write_cluster(provider.state, Cluster(provider_id=99, name=name, servers=(url,), generation=1))

        assert provider.run("enroll", "--server", server.url, "--token", token(server, name))[0] == 0
        assert (read_cluster(provider.state).generation, read_cluster(provider.state).resending) == (2, again)
