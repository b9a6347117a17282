"""The help desk's look-ups with 300,000 users and a million jobs, on SQLite and on PostgreSQL, while people print.

A real server process, asked over HTTP as the console asks: what somebody types letter by letter, persons, lists and
their far ends, jobs, the picture of the site. Beside it a print server gives some 200 commands a second. The promise is
50 ms at p99 for what is asked while somebody types. `--people`, `--jobs`, `--rounds` make it smaller, `--engine` picks
one.
"""

import argparse
import asyncio
import contextlib
import hashlib
import http.client
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import sqlalchemy as sa

from backend.access.tables import access_token
from backend.base.ids import uuid7
from backend.db.engine import Database
from backend.printers.tables import provider
from backend.wire.jobs import Authorise, JobFacts, Printing, Report
from backend.wire.pricing import Printed
from scripts.bench.ledger import SETTINGS
from scripts.bench.population import QUEUES, People, fill
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres

PEOPLE: Final = 300_000
JOBS: Final = 1_000_000
ROUNDS: Final = 300
COMMANDS_A_S: Final = 200
PROMISE_MS: Final = 50.0
DESK = "a-help-desk's-token-of-this-benchmark-0123456789"
PRINTS = "a-print-server's-token-of-this-benchmark-0123456789"

Ask = Callable[[random.Random], str]


def typed(people: People) -> dict[str, Ask]:
    """What somebody types, by kind: paths to ask."""

    def one(chance: random.Random) -> tuple[str, str]:
        number = chance.randrange(people.count)
        return people.names[number], people.full_names[number]

    def prefix(least: int, most: int) -> Ask:
        def ask(chance: random.Random) -> str:
            word = one(chance)[1].split()[-1]
            return word[: chance.randint(least, most)]

        return ask

    return {
        "2 letters": prefix(2, 2),
        "3 letters": prefix(3, 3),
        "4 to 8 letters": prefix(4, 8),
        "the commonest (an, ma, m, s, example)": lambda chance: chance.choice(("an", "ma", "m", "s", "sch", "a")),
        "two words, whole": lambda chance: " ".join(one(chance)[1].split()[::2]),
        "two words, begun": lambda chance: " ".join(
            word[: chance.randint(1, 3)] for word in one(chance)[1].split()[:2]
        ),
        "two common beginnings (ma s, an m, a b)": lambda chance: chance.choice(
            ("ma s", "an m", "a b", "s m", "ma an", "m s k", "o x", "xi sch")
        ),
        "login": lambda chance: one(chance)[0],
        "login, begun": lambda chance: one(chance)[0][: chance.randint(3, 8)],
        "card": lambda chance: people.card(chance.randrange(people.count)) or "1000000007",
        "card, begun": lambda chance: (people.card(chance.randrange(people.count)) or "1000000007")[
            : chance.randint(2, 9)
        ],
        "e-mail": lambda chance: f"{one(chance)[1].split()[0].lower()}.",
        "nobody": lambda chance: f"qx{chance.randrange(10**6)}",
    }


def asked(people: People) -> dict[str, Ask]:
    """Everything else that a console or a person opens."""

    def name(chance: random.Random) -> str:
        return people.names[chance.randrange(people.count)]

    busy = people.names[0]
    return {
        "a person": lambda chance: f"users/{name(chance)}",
        "a person's transfers": lambda chance: f"users/{name(chance)}/transfers?limit=50",
        "the busiest one's transfers": lambda chance: f"users/{busy}/transfers?limit=50",
        "a person's jobs": lambda chance: f"users/{name(chance)}/jobs?limit=50",
        "the busiest one's jobs": lambda chance: f"users/{busy}/jobs?limit=50",
        "all users, first page": lambda chance: "users?limit=100",
        "all users, any page": lambda chance: f"users?limit=100&offset={chance.randrange(people.count)}",
        "newest jobs": lambda chance: "jobs?limit=100",
        "jobs of a state": lambda chance: f"jobs?limit=100&state={chance.choice(('denied', 'held', 'canceled'))}",
        "jobs of a queue": lambda chance: f"jobs?limit=100&queue=q{chance.randrange(QUEUES)}",
        "jobs of a user": lambda chance: f"jobs?limit=100&user={name(chance)}",
        "jobs to look at": lambda chance: "jobs?limit=100&attention=1",
        "newest transfers": lambda chance: "transfers?limit=100",
        "queues, with what was printed": lambda chance: "queues",
        "topology": lambda chance: "topology",
    }


class Desk:
    """One connection that is kept, as a console's."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask_ms(self, path: str) -> float:
        began_s = time.perf_counter()
        self._connection.request("GET", f"/api/v1/{path}", headers={"Authorization": f"Bearer {DESK}"})
        answer = self._connection.getresponse()
        body = answer.read()
        took_ms = 1000 * (time.perf_counter() - began_s)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
        return took_ms


def show(name: str, times: Sequence[float], promise_ms: float = 0.0) -> None:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    mark = f"   MORE THAN {promise_ms:g} ms" if promise_ms and cuts[98] > promise_ms else ""
    print(
        f"  {name.ljust(42)} {cuts[49]:7.1f} {cuts[94]:7.1f} {cuts[98]:7.1f} {max(times):7.1f}  n {len(times)}{mark}",
        flush=True,
    )


def measure(port: int, people: People, rounds: int) -> None:
    desk, chance = Desk(port), random.Random(3)
    for path in ("users?query=a", "topology", "queues"):
        desk.ask_ms(path)
    print(f"  {'typed (promise: p99 at most 50 ms)'.ljust(42)} {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7}  ms")
    everything: list[float] = []
    for name, ask in typed(people).items():
        times = [desk.ask_ms(f"users?query={quote(ask(chance))}&limit=50") for _ in range(rounds)]
        everything += times
        show(name, times, PROMISE_MS)
    show("all that was typed", everything, PROMISE_MS)
    print(f"  {'asked'.ljust(42)} {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7}  ms")
    for name, ask in asked(people).items():
        show(name, [desk.ask_ms(ask(chance)) for _ in range(max(20, rounds // 3))])


# ---------------------------------------------------------------- people who print meanwhile


def print_on(port: int, names: Sequence[str]) -> None:
    """In a process of its own: COMMANDS_A_S authorises and reports, until it is ended."""
    asyncio.run(_print_on(port, names))


async def _print_on(port: int, names: Sequence[str]) -> None:
    lanes = 20
    await asyncio.gather(*(_lane(port, names, random.Random(n), lanes / COMMANDS_A_S) for n in range(lanes)))


async def _lane(port: int, names: Sequence[str], chance: random.Random, each_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(each_s * chance.random())
    while True:
        question = _authorise(chance.choice(names), chance)
        for path, body in (("authorise", question), ("report", _report(question))):
            began_s = time.monotonic()
            content = msgspec.json.encode(body)
            writer.write(
                f"POST /api/v1/jobs/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {PRINTS}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            answer = await reader.readexactly(int(length.partition(b":")[2]))
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(f"a command was refused: {answer!r}")
            await asyncio.sleep(max(0.0, each_s - (time.monotonic() - began_s)))


def _authorise(name: str, chance: random.Random) -> Authorise:
    return Authorise(
        command_id=uuid7(),
        job_id=uuid7(),
        attempt=1,
        printing=Printing(spool_id="spool", cups_job_id=1, time_at_creation=1),
        queue=f"q{chance.randrange(20)}",
        user_name=name,
        title="Lecture notes",
        facts=JobFacts(impressions=3, sheets=2),
    )


def _report(of: Authorise) -> Report:
    return Report(
        command_id=uuid7(),
        job_id=of.job_id,
        attempt=1,
        printing=of.printing,
        queue=of.queue,
        user_name=of.user_name,
        title=of.title,
        facts=of.facts,
        revision=1,
        outcome="completed",
        printed=Printed(impressions=3, sheets=2),
    )


@contextlib.contextmanager
def printing(port: int, people: People) -> Iterator[None]:
    worker = multiprocessing.get_context("spawn").Process(
        target=print_on, args=(port, people.names[::997]), daemon=True
    )
    worker.start()
    try:
        time.sleep(3)  # it has begun by then
        yield
        if not worker.is_alive():
            raise RuntimeError("the commands beside the look-ups came to an end")
    finally:
        worker.terminate()
        worker.join()


# ---------------------------------------------------------------- the two engines


def add_tokens(url: str) -> None:
    database = Database(url)
    rows = [("admin", "desk", None, DESK), ("provider", "print-1", 1, PRINTS)]
    with database.connect(writing=True) as conn:
        assert conn.scalar(sa.select(provider.c.name).where(provider.c.provider_id == 1)) == "print-1"
        for role, name, provider_id, token in rows:
            values = {"role": role, "name": name, "provider_id": provider_id, "created_at": 0}
            conn.execute(sa.insert(access_token).values(token_hash=hashlib.sha256(token.encode()).digest(), **values))
    database.close()


def bench(url: str, folder: Path, arguments: argparse.Namespace) -> None:
    began_s = time.monotonic()
    people = fill(url, arguments.people, arguments.jobs, told=False)
    print(f"  made in {time.monotonic() - began_s:.0f} s", flush=True)
    add_tokens(url)
    with AppServer(folder, database_url=url) as server, printing(server.port, people):
        measure(server.port, people, arguments.rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="both")
    arguments = parser.parse_args()
    size = f"{arguments.people:,} users, {arguments.jobs:,} jobs, {COMMANDS_A_S} commands a second beside it"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(scratch_folder("ik-bench-")))
        if arguments.engine != "postgresql":
            print(f"\nSQLite: {size}")
            bench(f"sqlite:///{folder / 'inkeeper.db'}", folder, arguments)
        if arguments.engine != "sqlite":
            print(f"\nPostgreSQL: {size}")
            server = stack.enter_context(Postgres(folder / "server", fsync=True, settings=SETTINGS))
            bench(server.url(server.new_database()), folder, arguments)


if __name__ == "__main__":
    main()
