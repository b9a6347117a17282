"""One charge a request over HTTP, beside `pgbench` TPC-B on the same PostgreSQL with the same durability.

Real `inkeeper-server` processes, asked by wrk: one request is one authorise or one report under a new id, with a
provider's token. wrk, the servers and PostgreSQL share the machine's cores, so a second server pays only where there is
a core for it.
"""

import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.bench.frame import show, take_turns
from scripts.bench.ledger import IN_FLIGHT, QUEUES, USERS, fill, pgbench, start
from tests.support.postgresql import Postgres
from tests.support.processes import Process, free_port, run

PROGRAM = Path(__file__).parents[2] / ".venv" / "bin" / "inkeeper-server"
SCRIPT = Path(__file__).with_name("charge.lua")
ROUND_S = 6
ROUNDS = 5
SERVERS = 3
SECRET = "a-secret-that-only-this-benchmark-knows-0123456789"


@dataclass(frozen=True)
class Server:
    """A server process and where it listens."""

    process: Process
    url: str


def start_server(stack: ExitStack, folder: Path, database_url: str, name: str = "app-1") -> Server:
    port = free_port()
    config = folder / f"{name}.toml"
    config.write_text(f'[server]\nname = "{name}"\nlisten = "127.0.0.1:{port}"\n[database]\nurl = "{database_url}"\n')
    argv: list[str | Path] = [PROGRAM, "--config", config]
    run([*argv, "migrate"], timeout_s=60)
    process = Process("inkeeper-server", [*argv, "run"], log=folder / f"{name}.log")
    stack.enter_context(process)
    process.wait_for_port(port)
    return Server(process, f"http://127.0.0.1:{port}")


def enroll(folder: Path, server: Server) -> None:
    """Make SECRET the token of provider 1."""
    words = ["token", "create", "--role", "provider", "--name", "print-1"]
    token = run([PROGRAM, "--config", folder / "app-1.toml", *words], timeout_s=30).stdout.split()[-1]
    body = {"token": token, "secret": SECRET, "name": "print-1"}
    httpx.post(f"{server.url}/api/v1/enroll", json=body, trust_env=False).raise_for_status()


def requests_per_second(servers: Sequence[Server]) -> float:
    """Over all the servers, IN_FLIGHT connections in all."""
    words = ["-t1", f"-c{IN_FLIGHT // len(servers)}", f"-d{ROUND_S}s", "-s", str(SCRIPT)]
    asking = [
        subprocess.Popen(
            ["wrk", *words, server.url, "--", SECRET, str(USERS), str(QUEUES)], stdout=subprocess.PIPE, text=True
        )
        for server in servers
    ]
    return sum(_rate(one.communicate(timeout=ROUND_S + 30)[0]) for one in asking)


def _rate(told: str) -> float:
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"requests failed:\n{told}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    if found is None:
        raise RuntimeError(f"wrk told no rate:\n{told}")
    return float(found[1])


def make_servers(stack: ExitStack, database: Postgres, count: int) -> list[Server]:
    """Servers on a database with accounts and queues, and a provider enrolled."""
    name = database.new_database()
    folder = Path(database.folder).parent
    servers = [start_server(stack, folder, database.url(name), f"app-{n + 1}") for n in range(count)]
    enroll(folder, servers[0])
    database.execute(
        f"""INSERT INTO queue (provider_id, name, cost)
            SELECT 1, 'q' || n, '{{"model":"simple","per_impression":500,"version":1}}'
            FROM generate_series(0, {QUEUES - 1}) AS n""",
        name,
    )
    fill(database, name)
    return servers


def main() -> None:
    with ExitStack() as stack:
        database = start(stack)
        servers = make_servers(stack, database, SERVERS)
        one, two, three, peer = take_turns(
            [
                lambda: requests_per_second(servers[:1]),
                lambda: requests_per_second(servers[:2]),
                lambda: requests_per_second(servers),
                lambda: pgbench(database, "simple"),
            ],
            ROUNDS,
        )
        title = f"charges over HTTP: requests a second, {IN_FLIGHT} connections, fsync on"
        show(f"{title}, one server process", ("inkeeper-server", one), ("pgbench TPC-B", peer), "/s", ">= 4")
        show(f"{title}, two", ("2 servers", two), ("1 server", one), "/s", "-")
        show(f"{title}, three", ("3 servers", three), ("1 server", one), "/s", "-")


if __name__ == "__main__":
    main()
