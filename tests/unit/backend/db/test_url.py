"""The database's address in all its forms, and where a SQLite file may lie."""

from pathlib import Path

import pytest

from backend.db.engine import Database, now_ms
from backend.db.errors import DatabaseAway, DatabaseRefused, WriteConflict
from backend.db.lockfile import ServerLock, file_system_type
from backend.db.url import parse


def test_sqlite_forms() -> None:
    assert parse("sqlite:////var/lib/x.db").path == Path("/var/lib/x.db")
    assert parse("sqlite:///x.db").path == Path("x.db").absolute()
    assert parse("sqlite:////a%20b/x.db").path == Path("/a b/x.db")
    assert parse("sqlite:////var/lib/x.db").name == "x.db"


def test_postgresql_forms() -> None:
    found = parse("postgresql://ink:p%40ss@h1:5432,h2,[::1]:5433/accounts?sslmode=require")
    assert found.hosts == (("h1", "5432"), ("h2", ""), ("::1", "5433"))
    assert found.name == "h1:5432,h2,::1:5433"
    parameters = found.connect_parameters()
    assert parameters["host"] == "h1,h2,::1"
    assert parameters["port"] == "5432,5432,5433"
    assert (parameters["user"], parameters["password"], parameters["dbname"]) == ("ink", "p@ss", "accounts")
    assert (parameters["sslmode"], parameters["target_session_attrs"]) == ("require", "read-write")
    assert found.connect_parameters(("h2", ""))["host"] == "h2,h1,::1"
    assert found.connect_parameters(("gone", "1"))["host"] == "h1,h2,::1"
    assert parse("postgresql://u@/db?host=/run/pg&port=5555").connect_parameters()["port"] == "5555"
    assert parse("postgresql://u@h/db?target_session_attrs=any").connect_parameters()["target_session_attrs"] == "any"


@pytest.mark.parametrize(
    "text",
    ["", "x.db", "mysql://u:secret@h/d", "sqlite://x.db", "sqlite:///", "sqlite:///x.db?a", "postgresql://h:secret/d"],
)
def test_what_is_no_address_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(DatabaseRefused) as caught:
        parse(text)
    assert "database] url" in str(caught.value)
    assert "secret" not in str(caught.value)


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv/home rw - nfs4 server:/home rw
31 30 8:2 / /srv/home/local rw - xfs /dev/sdb1 rw
32 22 0:41 / /srv/a\040b rw - cifs //server/share rw
odd line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/srv", "ext4"),
        ("/srv/home", "nfs4"),
        ("/srv/home/x/y", "nfs4"),
        ("/srv/home/local/x", "xfs"),
        ("/srv/homestead", "ext4"),
        ("/srv/a b/c", "cifs"),
    ],
)
def test_which_file_system_holds_a_path(path: str, kind: str) -> None:
    assert file_system_type(MOUNTS, Path(path)) == kind


def test_the_lock_is_one_servers_and_ends_with_it(tmp_path: Path) -> None:
    first = ServerLock(tmp_path / "x.db")
    with pytest.raises(DatabaseRefused, match="another server"):
        ServerLock(tmp_path / "x.db")
    first.close()
    with ServerLock(tmp_path / "x.db"):
        pass


def test_errors_of_sqlite_are_told_apart(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(DatabaseRefused, match="migrate"), database.connect() as conn:
        conn.exec_driver_sql("SELECT * FROM users")
    with database.connect(writing=True) as conn:
        conn.exec_driver_sql("CREATE TABLE t (k INTEGER PRIMARY KEY)")
        conn.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert now_ms(conn) > 1_600_000_000_000
    with pytest.raises(WriteConflict), database.connect(writing=True) as conn:
        conn.exec_driver_sql("INSERT INTO t VALUES (1)")
    with database.connect(writing=True), Database(f"sqlite:///{tmp_path / 'x.db'}").connect() as second:
        second.exec_driver_sql("PRAGMA busy_timeout = 1")
        second.exec_driver_sql("SELECT * FROM t")
        with pytest.raises(DatabaseAway, match="locked"):  # noqa: SIM117  (the error comes as the block ends)
            with Database(f"sqlite:///{tmp_path / 'x.db'}").connect(writing=True):
                pass
    database.close()
