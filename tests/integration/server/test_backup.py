"""`backup` and `restore`: what was saved is what comes back, on either engine; what must not be done is not done."""

import asyncio
import hashlib
import io
import itertools
import json
import os
import signal
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from backend.access.service import create_token
from backend.access.tables import access_token, audit
from backend.base.cli import Failure
from backend.cluster.tables import cluster, cluster_event, member, term
from backend.db import migrate
from backend.db.bulk import begin_snapshot
from backend.db.engine import Database, now_ms
from backend.db.lockfile import ServerLock
from backend.intake.store_postgresql import PostgresqlStore
from backend.intake.store_sqlite import SqliteStore
from backend.ledger.tables import account
from backend.main import main
from backend.operations.archive import ArchiveReader, ArchiveWriter, Manifest
from backend.operations.backup import LEFT_OUT, chosen_tables, write
from backend.operations.interrupts import interruptible
from backend.operations.progress import Progress
from backend.operations.restore import check
from backend.people.model import UserChange
from backend.people.service import create_user
from backend.people.tables import user, user_identity
from tests.support.app_server import AppServer
from tests.support.books import assert_sound
from tests.support.postgresql import Postgres
from tests.support.stores import DatabaseHarness, authorise, new_id, postgresql_harness, report, run, sqlite_harness

CHANGED = {"cluster", "term", "cluster_event", "audit", "access_token"}  # by the restore itself
Call = Callable[..., tuple[int, str, str]]


@contextmanager
def harness(url: str) -> Iterator[DatabaseHarness]:
    database = Database(url)
    is_sqlite, path = database.is_sqlite, database.url.path
    database.close()
    make = contextmanager(sqlite_harness)(path.parent) if is_sqlite else contextmanager(postgresql_harness)(url)
    with make as found:
        yield found


def fill(found: DatabaseHarness, jobs: int = 12) -> None:
    """People, money in every state, a token of a program and one of a person, a member."""
    found.add_queue("q")
    for name in ("anna", "bert"):
        found.add_user(name, balance=100_000)
    details = UserChange(full_name="Zoë Müller-Łapiński", email="zoe@example.org", card_number="4711", notes="“x”\n\\")
    with found.database.connect(writing=True) as conn:
        create_user(conn, "zoe", details, internal=False, actor="test", role="admin")
        create_token(conn, "admin", "script", "test")
        personal = {"role": "admin", "name": "olga", "operator": "olga", "created_at": 1, "expires_at": 2}
        conn.execute(sa.insert(access_token).values(token_hash=b"\x00\xff" * 16, **personal))
        row = {"process": "p", "url": "http://app-1", "state": "serving", "program_version": "1", "started_at": 1}
        conn.execute(sa.insert(member).values(name="app-1", seen_at=1, **row))
        conn.execute(sa.update(term).values(term=7, holder="p", member_name="app-1"))
    asyncio.run(print_jobs(found, jobs))


async def print_jobs(found: DatabaseHarness, jobs: int) -> None:
    """A third of them stay reserved."""
    session = found.store.session(0)
    for number in range(jobs):
        job_id, name = new_id(), ("anna", "bert")[number % 2]
        await run(session, authorise(job_id, name, number + 1))
        if number % 3:
            await run(session, report(job_id, name, number))
    await session.close()


def contents(url: str) -> dict[str, list[str]]:
    """Every row of what a backup holds, as text."""
    database = Database(url)
    try:
        with database.connect() as conn:
            begin_snapshot(conn)
            return {
                table.name: sorted(
                    repr(
                        [0 if column.name == "xid" else value for column, value in zip(table.columns, row, strict=True)]
                    )
                    for row in conn.execute(sa.select(table))
                )
                for table in chosen_tables()
            }
    finally:
        database.close()


@pytest.fixture
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """A second empty database on the engine of this name."""
    made: list[tuple[Postgres, str]] = []

    def make(engine: str) -> str:
        if engine == "sqlite":
            folder = tmp_path / f"other-{len(made)}"
            folder.mkdir()
            made.append((None, ""))  # type: ignore[arg-type]
            return f"sqlite:///{folder / 'inkeeper.db'}"
        postgres: Postgres = request.getfixturevalue("postgres")
        made.append((postgres, postgres.new_database()))
        return postgres.url(made[-1][1])

    yield make
    for server, name in made:
        if name:
            server.drop_database(name)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A command on a database: its exit code, stdout and stderr."""
    monkeypatch.setattr("backend.base.logs.configure", lambda _: None)  # it would set up the whole process

    def do(url: str, *words: str) -> tuple[int, str, str]:
        code = main(["--config", str(AppServer(tmp_path, database_url=url).config), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return do


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_of_either_engine_becomes_either(
    url: str, engine: str, other_url: Callable[[str], str], call: Call, tmp_path: Path
) -> None:
    with harness(url) as found:
        fill(found)
    before, file, there = contents(url), tmp_path / "backup.zip", other_url(engine)
    assert call(url, "backup", str(file))[0] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code, out, err = call(url, "restore", "--check", str(file))
    assert (code, err) == (0, "")
    assert "sound" in out
    code, out, err = call(there, "restore", str(file))
    assert (code, err) == (0, "")
    assert "generation is now 2" in out
    after = contents(there)
    assert {name: rows for name, rows in after.items() if name not in CHANGED} == {
        name: rows for name, rows in before.items() if name not in CHANGED
    }
    with harness_of(there) as restored:
        assert_sound(restored.contents())
        with restored.database.connect(writing=True) as conn:
            assert conn.execute(sa.select(cluster.c.generation)).scalar_one() == 2
            assert conn.execute(sa.select(term)).one()[:4] == (1, 8, "", "")
            assert conn.execute(sa.select(member)).all() == []
            assert list(conn.scalars(sa.select(access_token.c.name))) == ["script"]
            assert conn.scalars(sa.select(cluster_event.c.kind)).all()[-1] == "database-restored"
            assert conn.scalars(sa.select(audit.c.action)).all()[-1] == "database-restored"
            create_user(conn, "nina", UserChange(), internal=False, actor="test", role="admin")  # under new ids
            assert conn.scalar(sa.select(sa.func.count()).select_from(user)) == len(before["users"]) + 1
        asyncio.run(print_jobs(restored, 3))
        assert_sound(restored.contents())


@contextmanager
def harness_of(url: str) -> Iterator[DatabaseHarness]:
    """A harness on a database that has its provider already."""
    database = Database(url)
    store = SqliteStore(str(database.url.path)) if database.is_sqlite else PostgresqlStore(database.url.conninfo())
    try:
        yield DatabaseHarness(database, store)
    finally:
        database.close()


def test_a_backup_is_of_one_moment_while_servers_write(url: str, tmp_path: Path) -> None:
    """Any file that is made while people print has sums that agree."""
    with harness(url) as found:
        fill(found, 3)
        done = threading.Event()

        async def go_on() -> None:
            while not done.is_set():
                await print_jobs(found, 5)

        printing = threading.Thread(target=lambda: asyncio.run(go_on()))
        printing.start()
        try:
            for number in range(5):
                path = tmp_path / f"{number}.zip"
                database = Database(url)
                with ArchiveWriter(path, force=False) as archive:
                    write(database, archive, Progress())
                database.close()
                with ArchiveReader(path) as reader:
                    check(reader, Progress())
        finally:
            done.set()
            printing.join(60)
        assert_sound(found.contents())


def test_every_table_is_backed_up_or_left_out_on_purpose(url: str, tmp_path: Path) -> None:
    saved(url, tmp_path / "b.zip", 1)
    database = Database(url)
    with database.connect() as conn:
        there = set(sa.inspect(conn).get_table_names())
    database.close()
    saved_tables = {entry.name for entry in manifest_of(tmp_path / "b.zip").tables}
    assert saved_tables | LEFT_OUT | {"alembic_version", "sqlite_sequence"} >= there
    assert not saved_tables & LEFT_OUT
    assert "command" in saved_tables


# ---------------------------------------------------------------- what is refused


def saved(url: str, path: Path, jobs: int = 6) -> bytes:
    with harness(url) as found:
        fill(found, jobs)
        with ArchiveWriter(path, force=False) as archive:
            write(found.database, archive, Progress())
    return path.read_bytes()


def rewritten(content: bytes, **changed: Callable[[bytes], bytes | None]) -> bytes:
    """The archive with other members; the names have `_` for `.`."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            change = changed.get(name.replace(".", "_"))
            found = change(old.read(name)) if change else old.read(name)
            if found is not None:
                new.writestr(name, found)
    return target.getvalue()


def with_manifest(**values: Any) -> Callable[[bytes], bytes]:
    return lambda old: msgspec.json.encode(msgspec.json.decode(old) | values)


def moved(old: bytes) -> bytes:
    """The account table with a cent more for everybody."""
    rows = [json.loads(line) for line in old.splitlines()]
    place = [column.name for column in account.columns].index("credits_posted")
    for row in rows:
        row[place] += 1
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def with_hash_of_accounts(content: bytes) -> bytes:
    """A forger's work: the manifest agrees with what the account table says now."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        digest = hashlib.sha256(archive.read("account.jsonl")).hexdigest()

    def change(old: bytes) -> bytes:
        manifest = msgspec.json.decode(old)
        for entry in manifest["tables"]:
            if entry["name"] == "account":
                entry["sha256"] = digest
        return msgspec.json.encode(manifest)

    return rewritten(content, manifest_json=change)


def newer_column(old: bytes) -> bytes:
    manifest = msgspec.json.decode(old)
    manifest["tables"][0]["columns"].append("colour")
    return msgspec.json.encode(manifest)


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda _: b"", "is no backup, or was cut off"),
    "text": (lambda _: b"-- PostgreSQL database dump\n" * 100, "is no backup, or was cut off"),
    "cut off": (lambda whole: whole[: len(whole) * 2 // 3], "is no backup, or was cut off"),
    "another zip": (lambda whole: rewritten(whole, manifest_json=lambda _: None), "has no manifest"),
    "of another program": (lambda whole: rewritten(whole, manifest_json=with_manifest(program="x")), "is no backup of"),
    "of a newer format": (lambda whole: rewritten(whole, manifest_json=with_manifest(format=2)), "reads format 1"),
    "of newer tables": (lambda whole: rewritten(whole, manifest_json=with_manifest(schema="0999")), "a newer version"),
    "with a new column": (lambda whole: rewritten(whole, manifest_json=newer_column), "does not know: colour"),
    "without a table": (lambda whole: rewritten(whole, users_jsonl=lambda _: None), "users.jsonl is missing"),
    "rows gone": (lambda whole: rewritten(whole, transfer_jsonl=lambda old: old[: len(old) // 2]), "table transfer"),
    "a row less": (
        lambda whole: rewritten(whole, job_jsonl=lambda old: b"".join(old.splitlines(True)[1:])),
        "its 5 rows are not the 6 that were written",
    ),
    "money added": (lambda whole: rewritten(whole, account_jsonl=moved), "table account"),
    "money added, and the hash": (
        lambda whole: with_hash_of_accounts(rewritten(whole, account_jsonl=moved)),
        "the backup's books are not sound: account",
    ),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """A SQLite database with data, and its backup."""
    folder = tmp_path_factory.mktemp("sound")
    url = f"sqlite:///{folder / 'inkeeper.db'}"
    return url, saved(url, folder / "sound.zip")


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_no_sound_backup_is_told_in_one_line_and_changes_nothing(
    how: str, sound: tuple[str, bytes], tmp_path: Path, call: Call
) -> None:
    url, broken = sound[0], tmp_path / "broken.zip"
    change, says = BROKEN[how]
    broken.write_bytes(change(sound[1]))
    there = contents(url)
    for word in ("--check", "--replace"):
        code, out, err = call(url, "restore", word, str(broken))
        assert (code, out) == (1, "")
        assert err.count("\n") == 1
        assert says in err
    assert contents(url) == there


@pytest.mark.parametrize("how", ["text", "a row less", "money added, and the hash"])
def test_a_restore_that_fails_leaves_an_empty_place_empty(
    how: str, sound: tuple[str, bytes], tmp_path: Path, call: Call, postgres_url: str
) -> None:
    fresh, broken = tmp_path / "fresh", tmp_path / "broken.zip"
    broken.write_bytes(BROKEN[how][0](sound[1]))
    fresh.mkdir()
    for target in (f"sqlite:///{fresh / 'inkeeper.db'}", postgres_url):
        assert call(target, "restore", str(broken))[0] == 1
    assert list(fresh.iterdir()) == []
    database = Database(postgres_url)
    with database.connect() as conn:
        assert migrate.state(conn) == "empty"
    database.close()


def test_no_flipped_bit_gets_through(sound: tuple[str, bytes], tmp_path: Path) -> None:
    """Each is found, or is in what nothing depends on."""
    whole, path, found = sound[1], tmp_path / "flipped.zip", 0
    path.write_bytes(whole)
    manifest = manifest_of(path)
    for at in range(0, len(whole), max(1, len(whole) // 200)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        try:
            read = manifest_of(path)
        except Failure:
            found += 1
        else:
            assert read == manifest, f"byte {at}"
    assert found > 150


def manifest_of(path: Path) -> Manifest:
    """After all of the file was read."""
    with ArchiveReader(path) as archive:
        check(archive, Progress())
        return archive.manifest


def test_a_database_in_use_stays_as_it_is(url: str, tmp_path: Path, call: Call) -> None:
    saved(url, tmp_path / "b.zip")
    there = contents(url)
    database = Database(url)
    if database.is_sqlite:
        with ServerLock(database.url.path):
            code, _, err = call(url, "restore", "--replace", str(tmp_path / "b.zip"))
        assert "is in use by another server" in err
    else:
        with database.connect(writing=True) as conn:
            conn.execute(sa.update(member).values(seen_at=now_ms(conn)))
        code, _, err = call(url, "restore", "--replace", str(tmp_path / "b.zip"))
        assert "server app-1 at http://app-1 was alive 0." in err
        assert "stop all servers first" in err
    database.close()
    assert code == 1
    assert contents(url) == there


def test_a_database_with_data_is_replaced_only_when_told(url: str, tmp_path: Path, call: Call) -> None:
    saved(url, tmp_path / "b.zip")
    there = contents(url)
    database = Database(url)
    with database.connect(writing=True) as conn:
        conn.execute(sa.update(cluster).values(generation=5))
        conn.execute(sa.update(term).values(term=30))
        conn.execute(sa.delete(user_identity))
    database.close()
    code, _, err = call(url, "restore", str(tmp_path / "b.zip"))
    assert code == 1
    assert "--replace" in err
    assert contents(url)["user_identity"] == []
    assert call(url, "restore", "--replace", str(tmp_path / "b.zip"))[0] == 0
    after = contents(url)
    assert {name: rows for name, rows in after.items() if name not in CHANGED} == {
        name: rows for name, rows in there.items() if name not in CHANGED
    }
    database = Database(url)
    with database.connect() as conn:
        assert conn.execute(sa.select(cluster.c.generation)).scalar_one() == 6
        assert conn.execute(sa.select(term.c.term)).scalar_one() == 31
    database.close()
    assert call(url, "restore", "--replace", "--generation", "20", str(tmp_path / "b.zip"))[0] == 0
    database = Database(url)
    with database.connect() as conn:
        assert conn.execute(sa.select(cluster.c.generation)).scalar_one() == 20
    database.close()


def test_an_older_backup_is_brought_up_to_date(url: str, tmp_path: Path, call: Call, other_url: Any) -> None:
    """Tables of the revision before, with what its migration makes of their rows."""
    database = Database(url)
    with database.connect(writing=True) as conn:
        migrate.make(conn, "0004")
        conn.exec_driver_sql(
            "INSERT INTO account VALUES (100, 'user', 'anna', false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
        )
        conn.exec_driver_sql(
            "INSERT INTO users (user_id, name, account_id, card_number, created_at, updated_at)"
            " VALUES (1, 'anna', 100, '4711', 1, 1)"
        )
    with ArchiveWriter(tmp_path / "old.zip", force=False) as archive:
        write(database, archive, Progress())
    database.close()
    there = other_url("sqlite")
    code, out, err = call(there, "restore", str(tmp_path / "old.zip"))
    assert (code, err) == (0, "")
    assert "tables of version 0004" in out
    database = Database(there)
    with database.connect() as conn:
        assert migrate.state(conn) == "current"
        assert conn.execute(sa.select(user_identity)).all() == [("card", "4711", 1)]
    database.close()


def test_a_text_that_postgresql_does_not_keep_is_kept_without_its_nul(
    tmp_path: Path, call: Call, postgres_url: str
) -> None:
    url = f"sqlite:///{tmp_path / 'inkeeper.db'}"
    with harness(url) as found:
        fill(found, 1)
        with found.database.connect(writing=True) as conn:
            conn.execute(sa.update(user).where(user.c.name == "zoe").values(notes="a\x00b"))
    assert call(url, "backup", str(tmp_path / "b.zip"))[0] == 0
    assert call(postgres_url, "restore", str(tmp_path / "b.zip"))[0] == 0
    database = Database(postgres_url)
    with database.connect() as conn:
        assert conn.scalar(sa.select(user.c.notes).where(user.c.name == "zoe")) == "a\ufffdb"
    database.close()


def test_a_row_that_the_database_refuses_is_told_and_changes_nothing(
    tmp_path: Path, call: Call, postgres_url: str
) -> None:
    """SQLite keeps longer texts than PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'inkeeper.db'}"
    with harness(url) as found:
        fill(found, 1)
        with found.database.connect(writing=True) as conn:
            conn.execute(sa.update(user).where(user.c.name == "zoe").values(email="x" * 300))
    assert call(url, "backup", str(tmp_path / "b.zip"))[0] == 0
    code, _, err = call(postgres_url, "restore", str(tmp_path / "b.zip"))
    assert code == 1
    assert "table users: value too long" in err
    assert err.count("\n") == 1
    database = Database(postgres_url)
    with database.connect() as conn:
        assert migrate.state(conn) == "empty"
    database.close()


# ---------------------------------------------------------------- the file


def test_a_backup_takes_no_other_files_place(tmp_path: Path, call: Call) -> None:
    url = f"sqlite:///{tmp_path / 'inkeeper.db'}"
    file = tmp_path / "b.zip"
    file.write_text("mine")
    code, _, err = call(url, "backup", str(file))
    assert (code, err.count("\n")) == (1, 1)
    assert "there is no such database" in err
    saved(url, tmp_path / "first.zip")
    code, _, err = call(url, "backup", str(file))
    assert code == 1
    assert "is there already" in err
    assert file.read_text() == "mine"
    code, _, err = call(url, "backup", str(tmp_path / "no" / "b.zip"))
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be written: No such file" in err
    code, _, err = call(url, "backup", str(tmp_path))
    assert "is a folder" in err
    assert call(url, "backup", "--force", str(file))[0] == 0
    assert call(url, "restore", "--check", str(file))[0] == 0


def test_one_that_came_between_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    manifest = Manifest(
        format=1, program="", program_version="", at=0, engine="", schema="", cluster_id="", generation=1, term=1
    )
    with ArchiveWriter(path, force=False) as archive:
        path.write_text("mine")
        with pytest.raises(Failure, match="is there already"):
            archive.finish(manifest)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_told_to_end_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Also where it is told twice."""
    handler = signal.getsignal(number)

    def rows() -> Iterator[list[tuple[int]]]:
        yield [(1,)] * 1000
        os.kill(os.getpid(), number)
        for count in itertools.count():
            yield [(count,)]

    def save() -> None:
        with interruptible(), ArchiveWriter(tmp_path / "b.zip", force=False) as archive:
            try:
                archive.add("t", ["n"], rows())
            finally:
                os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        save()
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is handler


def test_a_database_without_tables_is_not_backed_up(postgres_url: str, tmp_path: Path, call: Call) -> None:
    code, _, err = call(postgres_url, "backup", str(tmp_path / "b.zip"))
    assert code == 1
    assert "has no tables yet" in err
    assert not (tmp_path / "b.zip").exists()
