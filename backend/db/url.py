"""The database's address as people write it, and what each driver wants of it.

`sqlite:///FILE` (three slashes and a relative path, or four for an absolute one) or
`postgresql://user[:password]@host1:port1,host2:port2/name[?parameter=value]`: several hosts are one cluster of which
the writable one is found by libpq (`target_session_attrs=read-write`). Parameters are libpq's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from backend.db.errors import DatabaseRefused

# A dead or frozen host is noticed within two seconds; of several hosts the writable one is taken.
SESSION_PARAMETERS = {
    "target_session_attrs": "read-write",
    "connect_timeout": "2",
    "tcp_user_timeout": "2000",
    "keepalives_idle": "1",
    "keepalives_interval": "1",
    "keepalives_count": "2",
}
FORMS = "sqlite:///FILE or postgresql://user@host:port,host2:port2/name"


@dataclass(frozen=True)
class DatabaseUrl:
    """`path` is set for SQLite; `hosts` (host, port) and `parameters` (libpq's, without host and port) for
    PostgreSQL."""

    engine: Literal["sqlite", "postgresql"]
    path: Path = Path()
    hosts: tuple[tuple[str, str], ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How the topology calls it: the file's name, or the hosts. Never holds a password."""
        if self.engine == "sqlite":
            return self.path.name
        return ",".join(f"{host}:{port}" if port else host for host, port in self.hosts) or "local socket"

    def sqlalchemy_url(self) -> URL:
        """For `create_engine`; the connection parameters of PostgreSQL are given at connect time."""
        if self.engine == "sqlite":
            return URL.create("sqlite+pysqlite", database=str(self.path))
        return URL.create("postgresql+psycopg")

    def connect_parameters(self, first: tuple[str, str] | None = None) -> dict[str, str]:
        """libpq's parameters; `first` is the host to dial first, the one that was the primary when last seen."""
        if self.engine == "sqlite":
            return {}
        walk = _with_first(self.hosts, first)
        found = {**SESSION_PARAMETERS, **self.parameters}
        if walk:
            found["host"] = ",".join(host for host, _ in walk)
            found["port"] = ",".join(port or "5432" for _, port in walk)
        return found

    def conninfo(self) -> str:
        """The same as one libpq connection string."""
        return make_conninfo("", **self.connect_parameters())


def parse(text: str) -> DatabaseUrl:
    """Raises DatabaseRefused with the forms that are understood; the message never repeats the text (it may hold a
    password)."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "sqlite":
        return _sqlite(rest)
    if separator and scheme in ("postgresql", "postgres"):
        return _postgresql(rest)
    raise DatabaseRefused(f"[database] url: write {FORMS}")


def _sqlite(rest: str) -> DatabaseUrl:
    path = rest.removeprefix("/")
    if not rest.startswith("/") or not path or "?" in path:
        raise DatabaseRefused(
            "[database] url: a SQLite database is written sqlite:///FILE (four slashes before an absolute path)"
        )
    return DatabaseUrl("sqlite", path=Path(unquote(path)).absolute())


def _postgresql(rest: str) -> DatabaseUrl:
    # Cut by hand: several hosts are no URL to `urlsplit`, and Pythons differ in how strictly they refuse one.
    address, _, query_text = rest.partition("?")
    network, _, name = address.partition("/")
    credentials, _, hosts = network.rpartition("@")
    user, colon, password = credentials.partition(":")
    parameters = {"dbname": unquote(name)} if name else {}
    if user:
        parameters["user"] = unquote(user)
    if colon:
        parameters["password"] = unquote(password)
    query = dict(parse_qsl(query_text, keep_blank_values=True))
    found = tuple(_host(part) for part in hosts.split(",") if part)
    if not found and "host" in query:
        names, ports = query.pop("host").split(","), query.pop("port", "").split(",")
        found = tuple((name, ports[at] if at < len(ports) else ports[0]) for at, name in enumerate(names))
    return DatabaseUrl("postgresql", hosts=found, parameters={**parameters, **query})


def _host(part: str) -> tuple[str, str]:
    """`name`, `name:port` or `[v6]:port`."""
    if part.startswith("["):
        host, _, port = part[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = part.partition(":")
    if port and not port.isdigit():
        raise DatabaseRefused(f"[database] url: a port is a number; write {FORMS}")
    return unquote(host), port


def _with_first(hosts: Sequence[tuple[str, str]], first: tuple[str, str] | None) -> list[tuple[str, str]]:
    """The hosts, the one last seen as primary in front."""
    if first is None or first not in hosts:
        return list(hosts)
    return [first, *(host for host in hosts if host != first)]
