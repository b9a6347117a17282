"""Charges a second of the store on PostgreSQL, beside `pgbench` TPC-B on the same server with the same durability.

One command is one authorise or one report, each with its id claimed, its answer kept, its transfers, job row and event
written, fsync on. Both sides have the same number in flight. `pgbench` runs its default script, once with the simple
protocol (its default) and once with prepared statements.
"""

import asyncio
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop

from backend.base.ids import uuid7
from backend.db.engine import Database
from backend.intake.model import Policy
from backend.intake.service import Intake
from backend.intake.store_postgresql import PostgresqlStore
from backend.wire.jobs import Authorise, JobFacts, Printing, Report, Run
from backend.wire.pricing import Printed
from scripts.bench.frame import show, take_turns
from tests.support.folders import scratch_folder
from tests.support.postgresql import PROGRAMS, SYSTEM_USER, Postgres
from tests.support.processes import as_user, run
from tests.support.stores import LEDGER, PROVIDER_ID, database_harness, provide_nothing

USERS = 300_000
QUEUES = 20
IN_FLIGHT = 80
JOBS_A_ROUND = 8_000
PGBENCH_SCALE = 30
PGBENCH_S = 6
ROUNDS = 5
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "16GB", "checkpoint_timeout": "15min", "max_connections": "200"}


def fill(server: Postgres, database: str) -> None:
    """300,000 users with money, and queues."""
    server.execute(
        f"""WITH accounts AS (
              INSERT INTO account (kind, name, restricted, overdraft, credits_posted, debits_posted, debits_pending,
                sequence, offline_total, late_total, excess_total, print_jobs, print_impressions)
              SELECT 'user', 'user' || n, true, 0, 1000000000, 0, 0, 0, 0, 0, 0, 0, 0
              FROM generate_series(1, {USERS}) AS n RETURNING account_id, name)
            INSERT INTO users (name, account_id, created_at, updated_at) SELECT name, account_id, 0, 0 FROM accounts""",
        database,
    )
    server.execute("VACUUM ANALYZE account, users", database)


def make_jobs(count: int, users: int = USERS) -> list[tuple[Authorise, Report]]:
    """The commands of a round, of the first `users` users, made beforehand: the store is measured, not who asks it."""
    return [_job(f"user{random.randint(1, users)}") for _ in range(count)]


def _job(user_name: str) -> tuple[Authorise, Report]:
    facts = JobFacts(
        impressions=3,
        sheets=2,
        sides="two-sided-long-edge",
        media="iso_a4_210x297mm",
        document_format="application/pdf",
        document_bytes=123_456,
    )
    asked = Authorise(
        command_id=uuid7(),
        job_id=uuid7(),
        attempt=1,
        printing=Printing(spool_id="9a6f03c1", cups_job_id=4711, time_at_creation=1_700_000_000),
        queue=f"q{random.randrange(QUEUES)}",
        user_name=user_name,
        title="Lecture notes, week 7.pdf",
        host="pc-17",
        facts=facts,
    )
    told = Report(
        command_id=uuid7(),
        job_id=asked.job_id,
        attempt=1,
        printing=asked.printing,
        queue=asked.queue,
        user_name=asked.user_name,
        title=asked.title,
        host=asked.host,
        facts=facts,
        revision=1,
        outcome="completed",
        printed=Printed(impressions=3, sheets=2),
        runs=(Run(number=1, started_at=1, ended_at=2, exit_code=0, impressions_completed=3),),
    )
    return asked, told


async def _round(store: PostgresqlStore, jobs: Sequence[tuple[Authorise, Report]], in_flight: int) -> float:
    intake = Intake(store, Policy(ledger=LEDGER), provide_nothing, on_commit=lambda: None)
    intake.start()
    while not intake.ready:  # noqa: ASYNC110  (a moment, before the clock starts)
        await asyncio.sleep(0.01)
    waiting = iter(jobs)

    async def one_client() -> None:
        for commands in waiting:
            for body in commands:
                await intake.submit(body, actor="provider:bench", provider_id=PROVIDER_ID)

    started = time.perf_counter()
    await asyncio.gather(*[one_client() for _ in range(in_flight)])
    took = time.perf_counter() - started
    await intake.close()
    return 2 * len(jobs) / took


def commands_per_second(store: PostgresqlStore, users: int = USERS) -> float:
    jobs = make_jobs(JOBS_A_ROUND, users)
    return uvloop.run(_round(store, jobs, IN_FLIGHT))


def pgbench(server: Postgres, protocol: str) -> float:
    """TPC-B transactions a second."""
    words = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-c", str(IN_FLIGHT), "-j", "2"]
    output = run(
        [*as_user(SYSTEM_USER), PROGRAMS / "pgbench", *words, "-T", str(PGBENCH_S), "-M", protocol, "pgbench"],
        timeout_s=PGBENCH_S + 30,
    )
    found = re.search(r"tps = ([0-9.]+)", output.stdout)
    if found is None:
        raise RuntimeError(f"pgbench told no rate: {output.stdout}")
    return float(found[1])


def start(stack: ExitStack) -> Postgres:
    """A durable PostgreSQL with pgbench's tables."""
    folder = stack.enter_context(scratch_folder("ik-bench-"))
    server = stack.enter_context(Postgres(Path(folder) / "server", fsync=True, settings=SETTINGS))
    server.execute("CREATE DATABASE pgbench")
    words = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-i", "-q", "-s", str(PGBENCH_SCALE)]
    run([*as_user(SYSTEM_USER), PROGRAMS / "pgbench", *words, "pgbench"], timeout_s=120)
    return server


@contextmanager
def filled_store(server: Postgres) -> "Iterator[tuple[PostgresqlStore, str]]":
    """A store with 300,000 accounts and the queues, and its database's name."""
    name = server.new_database()

    def make(database: Database) -> PostgresqlStore:
        return PostgresqlStore(database.url.conninfo())

    with database_harness(server.url(name), make) as harness:
        for number in range(QUEUES):
            harness.add_queue(f"q{number}")
        fill(server, name)
        assert isinstance(harness.store, PostgresqlStore)
        yield harness.store, name


def main() -> None:
    with ExitStack() as stack:
        server = start(stack)
        store, _ = stack.enter_context(filled_store(server))
        ours, simple, prepared = take_turns(
            [
                lambda: commands_per_second(store),
                lambda: pgbench(server, "simple"),
                lambda: pgbench(server, "prepared"),
            ],
            ROUNDS,
        )
        title = f"charges: commands a second, {IN_FLIGHT} in flight, {USERS:,} accounts, fsync on"
        show(title, ("inkeeper store", ours), ("pgbench TPC-B", simple), "/s", ">= 8")
        show(f"{title}, prepared", ("inkeeper store", ours), ("pgbench TPC-B -M prepared", prepared), "/s", ">= 8")


if __name__ == "__main__":
    main()
