"""One charge a request over HTTP, beside `pgbench` TPC-B on the same PostgreSQL with the same durability.

A real `inkeeper-server` process, asked by wrk: one request is one authorise or one report under a new id, with a
provider's token. wrk, the server and PostgreSQL share the machine's cores.
"""

import re
from contextlib import ExitStack
from pathlib import Path

import httpx

from scripts.bench.frame import show, take_turns
from scripts.bench.ledger import IN_FLIGHT, QUEUES, USERS, fill, pgbench, start
from tests.support.processes import Process, free_port, run

PROGRAM = Path(__file__).parents[2] / ".venv" / "bin" / "inkeeper-server"
SCRIPT = Path(__file__).with_name("charge.lua")
ROUND_S = 6
ROUNDS = 5
SECRET = "a-secret-that-only-this-benchmark-knows-0123456789"


def start_server(stack: ExitStack, folder: Path, database_url: str) -> tuple[str, str]:
    """The server's URL and an enrolled provider's token."""
    port = free_port()
    config = folder / "server.toml"
    config.write_text(f'[server]\nname = "app-1"\nlisten = "127.0.0.1:{port}"\n[database]\nurl = "{database_url}"\n')
    url = f"http://127.0.0.1:{port}"
    words: list[str | Path] = [
        PROGRAM,
        "--config",
        config,
        "token",
        "create",
        "--role",
        "provider",
        "--name",
        "print-1",
    ]
    token = run(words, timeout_s=30).stdout.split()[-1]
    server = Process("inkeeper-server", [PROGRAM, "--config", config, "run"], log=folder / "server.log")
    stack.enter_context(server)
    server.wait_for_port(port)
    body = {"token": token, "secret": SECRET, "name": "print-1"}
    httpx.post(f"{url}/api/v1/enroll", json=body, trust_env=False).raise_for_status()
    return url, SECRET


def requests_per_second(url: str, token: str) -> float:
    words: list[str | Path] = [
        "wrk",
        "-t1",
        f"-c{IN_FLIGHT}",
        f"-d{ROUND_S}s",
        "-s",
        SCRIPT,
        url,
        "--",
        token,
        str(USERS),
        str(QUEUES),
    ]
    told = run(words, timeout_s=ROUND_S + 30).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"requests failed:\n{told}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    if found is None:
        raise RuntimeError(f"wrk told no rate:\n{told}")
    return float(found[1])


def main() -> None:
    with ExitStack() as stack:
        database = start(stack)
        name = database.new_database()
        folder = Path(database.folder).parent
        url, token = start_server(stack, folder, database.url(name))
        database.execute(
            f"""INSERT INTO queue (provider_id, name, cost)
                SELECT 1, 'q' || n, '{{"model":"simple","per_impression":500,"version":1}}'
                FROM generate_series(0, {QUEUES - 1}) AS n""",
            name,
        )
        fill(database, name)
        ours, simple = take_turns(
            [lambda: requests_per_second(url, token), lambda: pgbench(database, "simple")], ROUNDS
        )
        title = f"charges over HTTP: requests a second, {IN_FLIGHT} connections, one server process, fsync on"
        show(title, ("inkeeper-server", ours), ("pgbench TPC-B", simple), "/s", ">= 4")


if __name__ == "__main__":
    main()
