"""Charges a second, and WAL bytes a charge, as the history grows from no job to five million.

The history is laid in by the database itself: jobs with their transfers and command ids, of ids as old ones have them
(in order of time). `--jobs N` takes another number of jobs.
"""

import argparse
from contextlib import ExitStack
from functools import partial

from backend.intake.store_postgresql import PostgresqlStore
from scripts.bench.frame import Series, show, take_turns
from scripts.bench.ledger import USERS, commands_per_second, filled_store, start
from tests.support.postgresql import Postgres

JOBS = 5_000_000
STEP = 250_000
ROUNDS = 3
COMMANDS_A_ROUND = 16_000
# The n-th id as a UUIDv7 of a year ago would be: rising, and spread over the low bits.
ID = """(lpad(to_hex(1700000000000 + n), 12, '0') || '7' || substr(md5({salt} || n::text), 1, 3) || '8' ||
  substr(md5({salt} || n::text), 4, 15))::uuid"""


def lay_in(server: Postgres, database: str, first: int, last: int) -> None:
    """Completed jobs number `first` to `last` of accounts in turn, two transfers and two commands each."""
    job, asked, told = (ID.format(salt=f"'{salt}'") for salt in ("job", "asked", "told"))
    numbers = f"generate_series({first}::bigint, {last}::bigint) AS s (n)"
    account = f"100 + n % {USERS}"
    server.execute(
        f"""INSERT INTO job SELECT {job}, 1, 1 + n % 20, {account}, 'user' || n % {USERS}, 'Lecture notes', 'pc-17',
              'completed', '', 0, 1, 1, 0, 0, 1500, 3, '{{"model":"simple","per_impression":500,"version":1}}', 3, 2, 0,
              1, '{{"impressions":3,"sheets":2,"sides":"two-sided-long-edge","media":"iso_a4_210x297mm"}}',
              '{{"spool_id":"9a6f03c1","cups_job_id":4711,"time_at_creation":1700000000}}', 0, n, n, n
            FROM {numbers}""",
        database,
    )
    # Sequences far above those that the accounts will reach: history that is in nobody's way.
    server.execute(
        f"""INSERT INTO transfer SELECT {account}, 1000000000 + 2 * n + k, 1 + k, 'print', {account}, 1, 1500, NULL, 0,
              {job}, CASE k WHEN 0 THEN {asked} ELSE {told} END, 'provider:bench', '', 0, n
            FROM {numbers}, generate_series(0, 1) AS t (k)""",
        database,
    )
    server.execute(
        f"""INSERT INTO command SELECT CASE k WHEN 0 THEN {asked} ELSE {told} END,
              '\\x00112233445566778899aabbccddeeff',
              '{{"job_id":"01890a5d-ac96-774b-bcce-b302099a8057","decision":"authorised","cost":1500}}', n
            FROM {numbers}, generate_series(0, 1) AS t (k)""",
        database,
    )


def measure(server: Postgres, database: str, store: PostgresqlStore) -> tuple[Series, Series]:
    """Commands a second, and WAL bytes a command."""
    wal: list[float] = []

    def one_round() -> float:
        before = str(server.execute("SELECT pg_current_wal_lsn()")[0][0])
        rate = commands_per_second(store)
        moved = server.execute(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{before}')::float8")[0][0]
        assert isinstance(moved, float)
        wal.append(moved / COMMANDS_A_ROUND)
        return rate

    server.execute("CHECKPOINT")
    server.execute("VACUUM ANALYZE job, transfer, command, account", database)
    (rates,) = take_turns([one_round], ROUNDS)
    return rates, Series(tuple(wal[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS)
    jobs: int = parser.parse_args().jobs
    with ExitStack() as stack:
        server = start(stack)
        store, name = stack.enter_context(filled_store(server))
        measure_now = partial(measure, server, name, store)
        empty, empty_wal = measure_now()
        for first in range(1, jobs + 1, STEP):
            lay_in(server, name, first, min(jobs, first + STEP - 1))
            print(f"\r  {min(jobs, first + STEP - 1):,} jobs laid in", end="", flush=True)
        full, full_wal = measure_now()
        title = f"charges: commands a second with {jobs:,} jobs in the history"
        show(title, (f"{jobs:,} jobs", full), ("no history", empty), "/s", ">= 0.75")
        show("WAL bytes a command", (f"{jobs:,} jobs", full_wal), ("no history", empty_wal), "bytes", "-")


if __name__ == "__main__":
    main()
