"""The three stores behind one harness: the same users and queues in each, and everything they hold read back.

A test that runs on all of them shows that PostgreSQL, SQLite and the simulator's memory keep the same promises.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import sqlalchemy as sa

from backend.access.tables import audit
from backend.cluster.tables import event
from backend.cluster.tables import term as term_table
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.intake import batch, fold
from backend.intake.errors import ConnectionFault
from backend.intake.model import NO_LIMITS, Audit, Body, Limits, Missing, Policy, command
from backend.intake.store import Session, Store
from backend.intake.store_memory import MemoryStore
from backend.intake.store_postgresql import PostgresqlStore
from backend.intake.store_sqlite import SqliteStore
from backend.jobs.model import Job, QueueRow, UserRow, Want
from backend.jobs.tables import job as job_table
from backend.jobs.tables import job_need
from backend.ledger.model import FUNDING, PRINTING, UNASSIGNED, Account, Kind, Stripe, Transfer
from backend.ledger.tables import account as account_table
from backend.ledger.tables import account_stripe
from backend.ledger.tables import transfer as transfer_table
from backend.people.tables import user as user_table
from backend.printers.tables import provider, queue
from backend.wire.base import Ledger
from backend.wire.jobs import Authorise, JobFacts, Printing, Report
from backend.wire.pricing import Printed

LEDGER = Ledger(currency="EUR", decimals=4)
PROVIDER_ID = 1
PRICE = 500
COST = '{"model":"simple","per_impression":500,"version":1}'


class Contents(msgspec.Struct):
    """Everything of a store that money depends on."""

    accounts: dict[str, Account]
    transfers: list[Transfer]
    jobs: dict[str, Job]
    stripes: dict[int, Stripe]
    event_count: int


class Harness(Protocol):
    """One store with the provider 1 in it."""

    @property
    def store(self) -> Store: ...

    def add_user(self, name: str, *, restricted: bool = False, balance: int = 0, overdraft: int = 0) -> None: ...

    def disable_user(self, name: str) -> None: ...

    def lead(self, term: int) -> None: ...

    def add_queue(self, name: str, cost: str = COST, *, hold_jobs: bool = False) -> None: ...

    def contents(self) -> Contents: ...

    def wants(self) -> dict[str, Want]:
        """Which jobs need somebody."""

    def audits(self) -> list[Audit]: ...


def new_account(account_id: int, kind: str, name: str, restricted: bool = False, overdraft: int = 0) -> Account:
    return Account(account_id, kind, name, restricted, overdraft, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def opening(account: Account, balance: int) -> list[Transfer]:
    """The account's first transfer, that its balance may be a sum like every other."""
    if not balance:
        return []
    account.credits_posted = balance
    account.sequence = 1
    origin = (None, str(uuid.UUID(int=account.account_id)), "test", "", 0, 0)
    row = (account.account_id, 1, Kind.POSTED, "initial-credit", FUNDING, account.account_id, balance, None, balance)
    return [Transfer(*row, *origin)]


class MemoryHarness:
    """The simulator's store."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: int(time.time() * 1000))
        for account_id, name in ((PRINTING, "printing"), (FUNDING, "funding"), (UNASSIGNED, "unassigned")):
            self.store.accounts[account_id] = new_account(account_id, "system", name)

    def add_user(self, name: str, *, restricted: bool = False, balance: int = 0, overdraft: int = 0) -> None:
        account = new_account(97 + len(self.store.accounts), "user", name, restricted, overdraft)
        self.store.transfers += opening(account, balance)
        self.store.stripes.setdefault(FUNDING, Stripe()).debits += balance
        self.store.accounts[account.account_id] = account
        self.store.users[name] = UserRow(name, account.account_id, False, 0)

    def disable_user(self, name: str) -> None:
        self.store.users[name] = UserRow(name, self.store.users[name].account_id, True, 0)

    def lead(self, term: int) -> None:
        self.store.term = term

    def add_queue(self, name: str, cost: str = COST, *, hold_jobs: bool = False) -> None:
        self.store.queues[PROVIDER_ID, name] = QueueRow(
            len(self.store.queues) + 1, PROVIDER_ID, name, "print-1", False, 0, cost, hold_jobs
        )

    def contents(self) -> Contents:
        store = self.store
        accounts = {account.name: account for account in store.accounts.values()}
        return Contents(accounts, store.transfers, store.jobs, store.stripes, len(store.events))

    def wants(self) -> dict[str, Want]:
        return self.store.wants

    def audits(self) -> list[Audit]:
        return self.store.audits


class DatabaseHarness:
    """A store in a migrated database."""

    def __init__(self, database: Database, store: Store) -> None:
        self.store = store
        self.database = database

    def add_provider(self) -> None:
        with self.database.connect(writing=True) as conn:
            conn.execute(provider.insert().values(provider_id=PROVIDER_ID, name="print-1", enrolled_at=0, seen_at=0))

    def add_user(self, name: str, *, restricted: bool = False, balance: int = 0, overdraft: int = 0) -> None:
        with self.database.connect(writing=True) as conn:
            values = msgspec.structs.asdict(new_account(0, "user", name, restricted, overdraft))
            values.pop("account_id")
            key = conn.execute(account_table.insert().values(values).returning(account_table.c.account_id)).scalar_one()
            account = new_account(key, "user", name, restricted, overdraft)
            for row in opening(account, balance):
                conn.execute(transfer_table.insert().values(msgspec.structs.asdict(row)))
                stripe = {"account_id": FUNDING, "stripe": 1000 + key, "credits_posted": 0, "debits_posted": balance}
                conn.execute(account_stripe.insert().values(stripe))
            conn.execute(
                account_table.update()
                .where(account_table.c.account_id == key)
                .values(credits_posted=balance, sequence=account.sequence)
            )
            conn.execute(user_table.insert().values(name=name, account_id=key, created_at=0, updated_at=0))

    def lead(self, term: int) -> None:
        with self.database.connect(writing=True) as conn:
            conn.execute(term_table.update().values(term=term))

    def disable_user(self, name: str) -> None:
        with self.database.connect(writing=True) as conn:
            conn.execute(user_table.update().where(user_table.c.name == name).values(disabled=True))

    def add_queue(self, name: str, cost: str = COST, *, hold_jobs: bool = False) -> None:
        with self.database.connect(writing=True) as conn:
            conn.execute(queue.insert().values(provider_id=PROVIDER_ID, name=name, cost=cost, hold_jobs=hold_jobs))

    def contents(self) -> Contents:
        with self.database.connect() as conn:
            if conn.dialect.name == "postgresql":  # a test may stand still on a busy machine
                conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            accounts = [Account(*row) for row in conn.execute(sa.select(account_table))]
            order = (transfer_table.c.account_id, transfer_table.c.sequence)
            transfers = [Transfer(*row) for row in conn.execute(sa.select(transfer_table).order_by(*order))]
            jobs = [Job(*row) for row in conn.execute(sa.select(job_table))]
            stripes: dict[int, Stripe] = {}
            for account_id, _, credit, debit in conn.execute(sa.select(account_stripe)):
                total = stripes.setdefault(account_id, Stripe())
                total.credits += credit
                total.debits += debit
            events = conn.execute(sa.select(sa.func.count()).select_from(event)).scalar_one()
        return Contents(
            {account.name: account for account in accounts},
            transfers,
            {job.job_id: job for job in jobs},
            stripes,
            events,
        )

    def wants(self) -> dict[str, Want]:
        with self.database.connect() as conn:
            rows = conn.execute(sa.select(*(job_need.c[name] for name in Want.__struct_fields__)))
            return {row.job_id: Want(*row) for row in rows}

    def audits(self) -> list[Audit]:
        with self.database.connect() as conn:
            return [
                Audit(*row) for row in conn.execute(sa.select(*(audit.c[name] for name in Audit.__struct_fields__)))
            ]


@contextmanager
def database_harness(url: str, make: Callable[[Database], Store]) -> Iterator[DatabaseHarness]:
    database = Database(url)
    migrate(database)
    try:
        harness = DatabaseHarness(database, make(database))
        harness.add_provider()
        yield harness
    finally:
        database.close()


def sqlite_harness(folder: Path) -> "Iterator[DatabaseHarness]":
    """For `with contextmanager(sqlite_harness)(folder)`."""
    path = folder / "inkeeper.db"
    with database_harness(f"sqlite:///{path}", lambda _: SqliteStore(str(path))) as harness:
        yield harness


def postgresql_harness(url: str, lanes: int = 2) -> "Iterator[DatabaseHarness]":
    """For `with contextmanager(postgresql_harness)(url)`."""
    with database_harness(url, lambda database: PostgresqlStore(database.url.conninfo(), lanes)) as harness:
        yield harness


# ---------------------------------------------------------------- commands and how they are run


def new_id() -> str:
    return str(uuid.uuid4())


def authorise(
    job_id: str, user: str, impressions: int = 2, *, attempt: int = 1, queue: str = "q", command_id: str = ""
) -> Authorise:
    return Authorise(
        command_id=command_id or new_id(),
        job_id=job_id,
        attempt=attempt,
        printing=Printing(spool_id="spool", cups_job_id=1, time_at_creation=1),
        queue=queue,
        user_name=user,
        title="Essay.pdf",
        facts=JobFacts(impressions=impressions, sheets=impressions),
    )


def report(
    job_id: str,
    user: str,
    impressions: int = 2,
    *,
    attempt: int = 1,
    revision: int = 1,
    queue: str = "q",
    offline: bool = False,
    command_id: str = "",
) -> Report:
    return Report(
        command_id=command_id or new_id(),
        job_id=job_id,
        attempt=attempt,
        printing=Printing(spool_id="spool", cups_job_id=1, time_at_creation=1),
        queue=queue,
        user_name=user,
        title="Essay.pdf",
        facts=JobFacts(impressions=impressions, sheets=impressions),
        revision=revision,
        outcome="completed" if impressions else "canceled",
        printed=Printed(impressions=impressions, sheets=impressions),
        offline=offline,
    )


async def provide_nothing(missing: Missing) -> None:
    """No name that is asked about is an alias."""
    if missing.users or missing.queues:
        raise AssertionError(f"this test made everything: {missing}")


async def run(
    session: Session,
    *bodies: Body,
    create_users: bool = True,
    provide: batch.Provide = provide_nothing,
    limits: Limits = NO_LIMITS,
    default_overdraft: int = 0,
) -> list[batch.Outcome]:
    """The bodies as one batch, given by somebody of the help desk.

    On a machine so busy that a test stands still for a second inside a transaction, PostgreSQL rightly ends that
    transaction; then the batch is run again, as the intake would.
    """
    commands = [command(body, "tester", PROVIDER_ID, role="helpdesk", limits=limits) for body in bodies]
    policy = Policy(ledger=LEDGER, create_users=create_users, default_overdraft=default_overdraft)
    for _ in range(5):
        try:
            return await batch.run(session, commands, policy, provide)
        except ConnectionFault as fault:
            if "idle-in-transaction" not in str(fault):
                raise
    raise AssertionError("this machine is too busy: five batches in a row stood still for a second")


CONFLICT = fold.CONFLICT
