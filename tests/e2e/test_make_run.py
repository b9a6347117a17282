"""`make run` as a newcomer types it: the document is charged, what is killed comes back, nothing is left behind."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cupsd import PrivateCupsd
from tests.support.processes import Process, free_port, living, run, wait_until

TOP = Path(__file__).parents[2]

pytestmark = [pytest.mark.xdist_group("alone"), pytest.mark.timeout(240)]


@pytest.fixture
def state(scratch: Path) -> Path:
    return scratch / "state"


@pytest.fixture
def environment() -> dict[str, str]:
    """As on a machine without a display, on a port of our own."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    kept = {name: value for name, value in os.environ.items() if name not in displays and not name.startswith("PYTEST")}
    return {**kept, "INKEEPER_SERVER_LISTEN": f"127.0.0.1:{free_port()}"}


@pytest.fixture
def make_run(state: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Process]:
    """`make run`, not started yet."""
    argv = ["make", "-s", "-C", str(TOP), "run", f"ARGS=--state={state}"]
    process = Process("make run", argv, log=tmp_path / "log", env=environment)
    yield process
    process.stop(timeout_s=40)


def of_this_run(state: Path) -> list[int]:
    """Every process that has the state folder on its command line."""
    found = []
    for seen in living():
        try:
            words = Path("/proc", str(seen.pid), "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we were looking
        if str(state).encode() in words and seen.pid != os.getpid():
            found.append(seen.pid)
    return found


def test_once_charges_a_document_twice_over_and_leaves_nothing(state: Path, environment: dict[str, str]) -> None:
    argv = ["make", "-s", "-C", str(TOP), "run", "ONCE=1", f"ARGS=--state={state}"]
    first = run(argv, env=environment, timeout_s=110).stdout
    before, after = balances(first)
    assert before - after == cost(first) > 0
    token = re.search(r"admin token +(\S+)", first)
    assert token
    assert len(token[1]) > 20
    assert of_this_run(state) == []

    second = run(argv, env=environment, timeout_s=110).stdout
    assert balances(second)[0] == after, "a second start keeps the state"
    assert token[1] not in second
    assert of_this_run(state) == []
    for log in state.rglob("*log*"):
        if log.is_file():
            assert token[1] not in log.read_text(errors="replace"), f"{log} holds the admin token"


@pytest.mark.long
def test_a_killed_server_comes_back_and_charges_what_was_printed_meanwhile(make_run: Process, state: Path) -> None:
    make_run.start()
    make_run.wait_for_line("look a balance up", 110)
    _before, balance = balances(make_run.written())
    server = int((state / "server.pid").read_text())
    os.kill(server, signal.SIGKILL)

    document = next(iter(sorted((state / "documents").glob("*.pdf"))))
    cupsd = queue_of(make_run.written())
    run(["lp", "-h", cupsd, "-d", "Demo", "-U", "alice", "-t", "while away", document])
    make_run.wait_for_line(r"the server was killed \(SIGKILL\)", 20)
    make_run.wait_for_line("alice printed 'while away'; no server is there", 30)
    make_run.wait_for_line("the server runs again", 40)
    paid = make_run.wait_for_line(r"alice paid ([\d.]+) EUR for 'while away'.* balance ([\d.]+) EUR", 60)
    assert balance - minor(paid[1]) == minor(paid[2])

    told = run([TOP / "scripts" / "balance", f"--state={state}", "alice"]).stdout
    assert paid[2] in told
    os.killpg(make_run.pid, signal.SIGINT)  # as a terminal does it: to make and to all that it started in front
    make_run.wait_for_end(40)
    wait_until(lambda: not of_this_run(state), 10, "everything to end after Ctrl-C")


def test_a_taken_port_is_one_clear_line(state: Path, environment: dict[str, str], scratch: Path) -> None:
    with PrivateCupsd(scratch / "cups") as other:
        environment["INKEEPER_SERVER_LISTEN"] = f"127.0.0.1:{other.port}"
        argv = ["make", "-s", "-C", str(TOP), "run", "ONCE=1", f"ARGS=--state={state}"]
        done = run(argv, env=environment, timeout_s=60, check=False)
    assert done.returncode != 0
    complaint = [line for line in done.stderr.splitlines() if line.startswith("make run: ")]
    assert len(complaint) == 1
    assert f"port {other.port} is taken" in complaint[0]


def balances(said: str) -> tuple[int, int]:
    found = re.search(r"balance +(\S+) EUR before, (\S+) EUR after", said)
    assert found, said
    return minor(found[1]), minor(found[2])


def cost(said: str) -> int:
    found = re.search(r"cost +(\S+) EUR", said)
    assert found, said
    return minor(found[1])


def queue_of(said: str) -> str:
    found = re.search(r"lp -h (\S+) -d Demo", said)
    assert found, said
    return found[1]


def minor(text: str) -> int:
    """At scale 4, exactly."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(4, "0"))
