"""A PostgreSQL 15 of our own: made from one initdb in a second, killed as a power cut would, with standbys if asked.

`initdb` is run once into a template folder that further servers are copied from. fsync is off unless a test is about
durability: SIGKILL loses nothing that was written to the kernel. As root it runs as user postgres, as it must.
"""

import itertools
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.support.folders import give_to
from tests.support.processes import Failed, Process, alive, as_user, children, free_port, run, wait_until

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
SYSTEM_USER = "postgres"
DEFAULTS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_senders": "10",
    "wal_level": "replica",
    "hot_standby": "on",
    "wal_receiver_status_interval": "1s",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
}


def make_template(folder: Path) -> Path:
    """A freshly initialised data folder to copy servers from."""
    data = folder / "data"
    if not data.exists():
        folder.mkdir(parents=True, exist_ok=True)
        give_to(SYSTEM_USER, folder)
        words = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "-D", str(data)]
        run([*as_user(SYSTEM_USER), PROGRAMS / "initdb", *words], timeout_s=60)
    return data


class Postgres:
    """One server. `folder` must be one that user postgres can walk into; it may hold the data of an earlier start."""

    def __init__(
        self,
        folder: Path,
        *,
        template: Path | None = None,
        fsync: bool = False,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        name: str = "primary",
    ) -> None:
        self.folder = folder
        self.name = name
        self.port = port or free_port()
        self.data = folder / "data"
        self._databases = itertools.count(1)
        self._lay_out(template)
        durable = {"fsync": "on"} if fsync else {"fsync": "off", "full_page_writes": "off"}
        places = {"port": str(self.port), "unix_socket_directories": str(folder)}
        chosen = {**DEFAULTS, **durable, **(settings or {}), **places}
        words = [word for key, value in chosen.items() for word in ("-c", f"{key}={value}")]
        self.process = Process(
            f"postgres {name}",
            [PROGRAMS / "postgres", "-D", self.data, *words],
            log=folder / "postgres.log",
            user=SYSTEM_USER,
            stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for every client to go
        )

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """The database's URL, as settings have it; `port` may be a proxy's."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> Self:
        self.process.start()
        self.process.wait_for(self.answers, 30, "it answered")
        return self

    def answers(self) -> bool:
        try:
            with self.connect():
                return True
        except psycopg.OperationalError:
            return False

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement of the test's own making in a connection of its own; the rows, if it has any."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self, template: str = "template0") -> str:
        """An empty database (or a copy of another that nobody is connected to). Its name."""
        name = f"test_{os.getpid()}_{next(self._databases)}"
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            )
        return name

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        self.process.stop()

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def kill9(self) -> None:
        """SIGKILL the postmaster and every process of it, as if the machine had lost its power."""
        workers = children(self.process.pid)
        self.process.kill9()
        for child in workers:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                continue
        wait_until(lambda: not any(alive(child) for child in workers), 10, "its children to end")

    def make_standby(self, folder: Path, name: str) -> "Postgres":
        """A streaming standby, not started yet. `name` is what synchronous_standby_names calls it."""
        folder.mkdir(parents=True, exist_ok=True)
        give_to(SYSTEM_USER, folder)
        source = f"host=127.0.0.1 port={self.port} user=postgres application_name={name}"
        words = ["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "-D", str(folder / "data"), "-d", source]
        run([*as_user(SYSTEM_USER), PROGRAMS / "pg_basebackup", *words], timeout_s=60)
        return Postgres(folder, name=name)

    def wait_for_standbys(self, *names: str, state: str = "streaming") -> None:
        def connected() -> bool:
            rows = self.execute("SELECT application_name, state FROM pg_stat_replication")
            return {row[0] for row in rows if row[1] == state} >= set(names)

        wait_until(connected, 30, f"standbys {', '.join(names)} to be {state}")

    def set_synchronous_standbys(self, names: str) -> None:
        """`names` in PostgreSQL's own words ("" for none); done when the server goes by it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(names)))
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self.execute("SHOW synchronous_standby_names")[0][0] == names, 10, "the new standby names")

    def promote(self) -> None:
        self.execute("SELECT pg_promote(true, 30)")

    def __enter__(self) -> Self:
        return self if self.process.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _lay_out(self, template: Path | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        give_to(SYSTEM_USER, self.folder)
        if self.data.exists():
            return
        if template is None:
            make_template(self.folder)
            return
        if not template.exists():
            raise Failed(f"{template} is no template; make_template makes one")
        copy = ["cp", "-a", "--reflink=auto", str(template), str(self.data)]
        run([*as_user(SYSTEM_USER), *copy], timeout_s=60)
