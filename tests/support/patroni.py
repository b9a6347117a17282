"""A real PostgreSQL cluster of three nodes, kept available by Patroni and etcd, to be killed node by node.

Each node has an address of its own, in 127.0.0.0/8 or on hosts that the test has made, and runs Patroni, its
PostgreSQL and an etcd member on the usual ports, from the settings files that Inkeeper ships (packaging/patroni),
filled in by the script beside them: what is shipped is what is tested. Patroni hands no environment on to the
postmaster and gives it a session of its own, so it is known by the file it writes and by its command line, and is
ended by its number.

User postgres may not be able to enter the folder this clone lies in: Patroni's code, which is pure Python, is copied
out of the private environment, and run by Debian's Python with Debian's packages of what it imports.
"""

import contextlib
import importlib.util
import json
import os
import random
import shutil
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.etcd import EtcdMember
from tests.support.folders import give_to
from tests.support.processes import Failed, Process, alive, children, run, wait_until

PYTHON = Path("/usr/bin/python3")
TEMPLATES = Path(__file__).parents[2] / "packaging" / "patroni"
SYSTEM_USER = "postgres"
PORTS = {"POSTGRESQL_PORT": 5432, "REST_PORT": 8008, "ETCD_PORT": 2379, "ETCD_PEER_PORT": 2380}
UP_WITHIN_S = 120.0


class Node:
    """A machine of the cluster: Patroni, its PostgreSQL, and an etcd member."""

    def __init__(
        self, name: str, host: str, folder: Path, ports: dict[str, int], code: Path, on: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.host = host
        self.folder = folder
        self.disk = folder / "disk"  # what PostgreSQL writes; a test may mount something here
        self.data = self.disk / "data"
        self.port = ports["POSTGRESQL_PORT"]
        self.rest_url = f"http://{host}:{ports['REST_PORT']}"
        self.etcd = EtcdMember(name, folder / "etcd.env", folder / "etcd.log", SYSTEM_USER, on)
        self.patroni = Process(
            f"patroni {name}",
            [PYTHON, "-m", "patroni", folder / "patroni.yml"],
            log=folder / "patroni.log",
            env={**os.environ, "PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder,
            user=SYSTEM_USER,
            on=on,
        )

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def ask(self, path: str) -> Any:
        """The JSON that Patroni's REST answers, None when it does not."""
        try:
            with urllib.request.urlopen(self.rest_url + path, timeout=3) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def postmaster(self) -> int | None:
        """The postmaster's number, while it lives."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            command = Path("/proc", str(pid), "cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(self.data).encode() in command and alive(pid) else None

    def postgres_processes(self) -> list[int]:
        pid = self.postmaster()
        return [] if pid is None else [pid, *children(pid)]

    def signal_postgres(self, number: signal.Signals) -> None:
        for pid in self.postgres_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_postmaster(self) -> None:
        """SIGKILL to PostgreSQL alone; Patroni lives on and sees to it."""
        pids = self.postgres_processes()
        self.signal_postgres(signal.SIGKILL)
        wait_until(lambda: not any(map(alive, pids)), 20, f"PostgreSQL of {self.name} to end")

    def freeze_postgres(self) -> None:
        """SIGSTOP: connections stay open, new ones are taken by the kernel, nothing answers."""
        self.signal_postgres(signal.SIGSTOP)

    def thaw_postgres(self) -> None:
        self.signal_postgres(signal.SIGCONT)

    def kill_machine(self) -> None:
        """SIGKILL to everything this node runs, as if it had lost its power."""
        for process in (self.patroni, self.etcd.process):
            if process.running:
                process.kill9()
        self.kill_postmaster()

    def start_machine(self) -> None:
        """What was killed, started as it would be at boot."""
        if not self.etcd.process.running:
            self.etcd.start()
        if not self.patroni.running:
            self.patroni.start()

    def stop(self) -> None:
        self.signal_postgres(signal.SIGCONT)
        self.patroni.stop(30)
        with contextlib.suppress(Failed):
            self.kill_postmaster()


class PatroniCluster:
    """Three nodes below `folder`. Use it as a context; `url` is what `[database] url` gets.

    `hosts` (name -> address) are the test's own, of `network`; `on` gives the words that run a program on one.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] = ("db1", "db2", "db3"),
        *,
        hosts: Mapping[str, str] | None = None,
        network: str = "127.0.0.0/8",
        on: Callable[[str], Sequence[str]] = lambda _host: (),
    ) -> None:
        self.folder = folder
        ports = PORTS if hosts else _ports()
        places = dict(hosts or zip(names, _addresses(len(names), ports), strict=True))
        folder.mkdir(parents=True, exist_ok=True)
        give_to(SYSTEM_USER, folder)
        for name in places:
            _fill(folder, name, places, ports, network)
        code = _patroni_code(folder / "code")
        self.nodes = {name: Node(name, host, folder / name, ports, code, on(host)) for name, host in places.items()}
        words = (folder / "passwords.env").read_text().splitlines()
        self.passwords = dict(line.split("=", 1) for line in words)

    # ------------------------------------------------ addresses

    def url(self, database: str = "postgres") -> str:
        """The database's URL over all nodes."""
        hosts = ",".join(node.address for node in self.nodes.values())
        return f"postgresql://postgres:{self.passwords['SUPERUSER_PASSWORD']}@{hosts}/{database}"

    def rest_urls(self, *, with_password: bool = True) -> list[str]:
        credentials = f"patroni:{self.passwords['REST_PASSWORD']}@" if with_password else ""
        return [node.rest_url.replace("//", f"//{credentials}") for node in self.nodes.values()]

    # ------------------------------------------------ what it says

    def cluster(self) -> dict[str, Any]:
        """`/cluster` of the first Patroni that answers; empty when none does."""
        answers = (node.ask("/cluster") for node in self.nodes.values() if node.patroni.running)
        return next((answer for answer in answers if answer), {})

    def named(self, role: str, *, state: Sequence[str] = ("running", "streaming")) -> list[Node]:
        """The nodes that Patroni knows in this role ("leader", "sync_standby", "replica") and in good order."""
        members = self.cluster().get("members", [])
        return [self.nodes[m["name"]] for m in members if m["role"] == role and m["state"] in state]

    def primary(self) -> Node:
        return wait_until(lambda: self.named("leader"), UP_WITHIN_S, "a primary")[0]

    def sync_standby(self) -> Node:
        return wait_until(lambda: self.named("sync_standby"), UP_WITHIN_S, "a synchronous standby")[0]

    def whole(self) -> bool:
        """A primary that takes writes, a synchronous standby and another, all on one timeline and close together."""
        members = self.cluster().get("members", [])
        lags = [member.get("lag", 0) for member in members if member["role"] != "leader"]
        roles = sorted(member["role"] for member in members)
        return (
            roles == sorted(["leader", "sync_standby"] + ["replica"] * (len(self.nodes) - 2))
            and all(member["state"] in ("running", "streaming") for member in members)
            and len({member.get("timeline") for member in members}) == 1
            and all(isinstance(lag, int) and lag < 16 * 1024 * 1024 for lag in lags)
            and all(node.etcd.healthy() for node in self.nodes.values())
            and self.writable()
        )

    def wait_whole(self, timeout_s: float = UP_WITHIN_S) -> None:
        try:
            wait_until(self.whole, timeout_s, "the database cluster to be whole", 0.25)
        except Failed as error:
            raise Failed(f"{error}; it says {self.cluster()}") from None

    def writable(self) -> bool:
        try:
            with self.connect() as connection:
                connection.execute("SELECT pg_logical_emit_message(true, 'test', 'writable')")
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction):
            return False
        return True

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[Any, ...]]":
        url = (
            f"{self.url(database)}?target_session_attrs=read-write&connect_timeout=2&options=-cstatement_timeout%3D5000"
        )
        return psycopg.connect(url, autocommit=True)

    # ------------------------------------------------ life

    def launch(self) -> None:
        """Start all of it; `wait_whole` tells when it is there."""
        for node in self.nodes.values():
            node.etcd.start()
        for node in self.nodes.values():
            node.etcd.wait_healthy()
        for node in self.nodes.values():
            node.patroni.start()

    def start(self) -> Self:
        self.launch()
        self.wait_whole()
        return self

    def share(self) -> Self:
        """Let it outlive one test."""
        for node in self.nodes.values():
            node.patroni.shared = node.etcd.process.shared = True
        return self

    def mend(self) -> None:
        """Start whatever was killed or frozen, and wait until the cluster is whole again."""
        for node in self.nodes.values():
            node.thaw_postgres()
            node.patroni.signal(signal.SIGCONT)
            node.etcd.process.signal(signal.SIGCONT)
            node.start_machine()
        self.wait_whole()

    def stop(self) -> None:
        for node in self.nodes.values():
            node.stop()
        for node in self.nodes.values():
            node.etcd.stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _patroni_code(folder: Path) -> Path:
    """A copy of the private environment's Patroni where user postgres can read it."""
    found = importlib.util.find_spec("patroni")
    if found is None or found.origin is None:
        raise Failed("Patroni is not in the private environment: run scripts/bootstrap")
    shutil.copytree(Path(found.origin).parent, folder / "patroni", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _fill(folder: Path, name: str, hosts: dict[str, str], ports: dict[str, int], network: str) -> None:
    """packaging/patroni/fill, as an administrator runs it."""
    out = folder / name
    (out / "disk").mkdir(parents=True)
    places = {"DATA_DIR": out / "disk" / "data", "SOCKET_DIR": out, "ETCD_DIR": out / "etcd", **ports}
    words: list[str | Path] = [sys.executable, TEMPLATES / "fill", "--node", name, "--network", network]
    words += ["--nodes", ",".join(f"{node}={host}" for node, host in hosts.items())]
    words += ["--passwords", folder / "passwords.env", "--out", out]
    for word, value in places.items():
        words += ["--set", f"{word}={value}"]
    run(words)
    for path in (out, out / "disk", out / "patroni.yml", out / "etcd.env"):
        give_to(SYSTEM_USER, path)


def _addresses(count: int, ports: dict[str, int]) -> list[str]:
    """Loopback addresses on which these ports are free."""
    for _ in range(50):
        net = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}"
        found = [f"{net}.{number}" for number in range(1, count + 1)]
        if all(_bindable(host, port) for host in found for port in ports.values()):
            return found
    raise Failed("no free loopback addresses")


def _ports() -> dict[str, int]:
    """The usual ports; others where something on this machine listens on them at every address."""
    probe = f"127.{random.randint(16, 250)}.251.1"
    if all(_bindable(probe, port) for port in PORTS.values()):
        return PORTS
    base = random.randint(20000, 28000)
    return {word: base + number for number, word in enumerate(PORTS)}


def _bindable(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
