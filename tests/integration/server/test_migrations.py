"""What the migrations make is what the code expects, on both engines."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from backend.access import tables as access
from backend.cluster import tables as cluster
from backend.db import migrate
from backend.db.engine import Database
from backend.db.metadata import metadata
from backend.intake import tables as intake
from backend.jobs import tables as jobs
from backend.ledger import tables as ledger
from backend.notices import tables as notices
from backend.operations import tables as operations
from backend.people import tables as people
from backend.printers import tables as printers

OWNERS = (access, cluster, intake, jobs, ledger, notices, operations, people, printers)
ONLY_ON_POSTGRESQL = {"ix_transfer_at"}  # BRIN; SQLite reads rows in the order they were written


def _ours(found: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    return name not in ONLY_ON_POSTGRESQL


def test_the_migrated_tables_are_those_of_the_code(url: str) -> None:
    assert OWNERS
    database = Database(url)
    assert migrate.migrate(database)
    with database.connect() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "include_object": _ours})
        assert compare_metadata(context, metadata) == []
        assert migrate.state(conn) == "current"
        for table in metadata.sorted_tables:
            conn.execute(sa.select(table)).all()
    assert not migrate.migrate(database)
    database.close()


def test_the_rows_that_must_always_be_there(url: str) -> None:
    database = Database(url)
    migrate.migrate(database)
    with database.connect(writing=True) as conn:
        accounts = conn.execute(sa.select(ledger.account).order_by(ledger.account.c.account_id)).all()
        assert [(row.account_id, row.kind, row.name) for row in accounts] == [
            (1, "system", "printing"),
            (2, "system", "funding"),
            (3, "system", "unassigned"),
        ]
        assert conn.execute(sa.select(cluster.term)).one()[:3] == (1, 0, "")
        assert conn.execute(sa.select(cluster.cluster.c.generation)).scalar_one() == 1
        values = {column.name: 0 for column in ledger.account.columns if column.name != "account_id"}
        first = conn.execute(
            sa.insert(ledger.account).values(**values | {"kind": "user", "name": "x", "restricted": False})
        )
        assert first.inserted_primary_key == (100,)  # ids below 100 are the system's
    database.close()


def test_the_program_knows_its_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.NEWEST


def test_a_server_of_the_version_before_can_write_to_these_tables(url: str) -> None:
    """Migrations only add, with defaults: what a server of revision 0001 writes is written still."""
    database = Database(url)
    migrate.migrate(database)
    with database.connect(writing=True) as conn:
        conn.exec_driver_sql(
            "INSERT INTO member (name, process, url, state, program_version, started_at, seen_at)"
            " VALUES ('old', 'p', 'http://old', 'serving', '0.1', 1, 1)"
        )
        conn.exec_driver_sql("UPDATE term SET term = 1, holder = 'p', member_name = 'old'")
        conn.exec_driver_sql("INSERT INTO event (at, kind, data, term) VALUES (1, 'jobs', '[]', 0)")
        row = conn.execute(sa.select(cluster.member)).one()
        assert (row.wanted, row.load, row.protocol, row.noticed_at) == ("serving", 0, 1, 0)
        assert conn.execute(sa.select(cluster.cluster.c.paused, cluster.cluster.c.oldest_schema)).one() == (
            False,
            "0001",
        )
    database.close()


def test_a_migration_that_meets_a_deadlock_with_a_server_is_done_once_more(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = migrate.upgrade
    tries: list[str] = []
    here, there = threading.Event(), threading.Event()

    def meets(conn: sa.Connection, check: Callable[[migrate.State], None] = lambda _: None) -> bool:
        tries.append("")
        if len(tries) == 1:
            conn.exec_driver_sql("SET LOCAL deadlock_timeout = '50ms'")  # this one is the victim
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
            here.set()
            assert there.wait(20)
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(2)")
        return upgrade(conn, check)

    def serve() -> None:
        other = Database(postgres_url)
        with other.connect() as conn:
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(2)")
            assert here.wait(20)
            there.set()
            conn.exec_driver_sql("SELECT pg_advisory_xact_lock(1)")
        other.close()

    monkeypatch.setattr(migrate, "upgrade", meets)
    server = threading.Thread(target=serve)
    server.start()
    database = Database(postgres_url)
    try:
        assert migrate.migrate(database)
    finally:
        server.join(20)
        database.close()
    assert len(tries) == 2
