"""Logging in, as a simulated server does it: the real operations of `backend.api.access` over the real statements of
`backend.access`, whose tables lie in a SQLite database in memory that goes by the simulated primary's clock.

A transaction happens whole, at the moment of its commit, or not at all; that is the primary's part. What is mirrored
here are the loops only: `Database.run` and `write`, `TokenCache`, and `Passwords`, whose hashes are slow, and hide
nothing.
"""

import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, Protocol, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from backend.access.model import Principal
from backend.access.operators import create_operator
from backend.access.remembered import Remembered
from backend.access.service import create_token, find_principals, hash_token
from backend.access.settings import TOKEN_LIFETIME_S, write_setting
from backend.access.tables import access_token, audit, login_attempt, operator, setting
from backend.api import access as api
from backend.api.operation import Endpoint, Operation
from backend.api.services import Services
from backend.db.errors import DatabaseAway
from backend.db.metadata import metadata
from backend.wire.access import CreateOperator
from backend.wire.base import Ledger, Message
from tests.simulation.giver import CLERKS, LIMITS
from tests.simulation.kernel import GONE, Process

TOKENS_LAST_S: Final = 60
ADMIN: Final = "ann"

Reply = Callable[[Any], None]
Write = Callable[..., Any]


class Access(msgspec.Struct, frozen=True):
    """A request to one of the operations. `about` is the name in its path."""

    operation: str
    body: Message | None = None
    about: str = ""
    token: str = ""


class Heard(NamedTuple):
    """What came of it: HTTP's status, the JSON, and for how long one is to wait."""

    status: int
    content: bytes
    retry_s: int


class Watcher(Protocol):
    """Who sees every transaction and everybody let in: the auditor."""

    def access_committed(
        self, work: str, arguments: tuple[Any, ...], named: dict[str, Any], result: Any, now_ms: int
    ) -> None: ...

    def let_in(self, token: str, server: str) -> None: ...

    def turned_away(self, token: str, since_s: float, server: str, now_ms: int) -> None: ...

    def admitted(self, command_id: str) -> None: ...


def first_password(name: str) -> str:
    return f"{name}'s first password"


@cache
def _engine() -> sa.Engine:
    """One for the whole process: compiled statements are kept with it. Each connection is a database of its own."""
    return sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(":memory:"), poolclass=NullPool)


@cache
def _template() -> bytes:
    with _engine().connect() as conn:
        metadata.create_all(conn, tables=[access_token, audit, login_attempt, operator, setting])
        conn.commit()
        return cast(sqlite3.Connection, conn.connection.driver_connection).serialize()


class AccessTables:
    """`now_ms` is the primary's clock."""

    def __init__(self, now_ms: Callable[[], int], watcher: Watcher) -> None:
        self._now_ms = now_ms
        self.watcher = watcher
        self._conn = _engine().connect()
        raw = cast(sqlite3.Connection, self._conn.connection.driver_connection)
        raw.deserialize(_template())
        raw.create_function("julianday", 1, lambda _: (now_ms() + 0.5) / 86_400_000 + 2440587.5)
        self.admin_token: str = ""
        self._fill()

    def _fill(self) -> None:
        """An administrator's program, and the help desk."""
        self.admin_token = self.write(create_token, "admin", ADMIN, "test")
        self.write(write_setting, TOKEN_LIFETIME_S, str(TOKENS_LAST_S), "test", "admin")
        for name in CLERKS:
            body = CreateOperator(
                name=name,
                role="helpdesk",
                password=first_password(name),
                limit_each=LIMITS.each,
                limit_day=LIMITS.day,
            )
            self.write(create_operator, body, _kept(first_password(name), 0), actor="admin:ann", role="admin")

    def write(self, work: Write, *arguments: Any, **named: Any) -> Any:
        """One transaction, now."""
        with self._conn.begin():
            result = work(self._conn, *arguments, **named)
        self.watcher.access_committed(work.__name__, arguments, named, result, self._now_ms())
        return result

    def read(self, work: Write, *arguments: Any, **named: Any) -> Any:
        """What was committed, as it is now."""
        with self._conn.begin():
            return work(self._conn, *arguments, **named)

    def people(self) -> list[Any]:
        """The rows of those who log in."""
        found: list[Any] = self.read(lambda conn: conn.execute(sa.select(operator)).all())
        return found

    def turn_away(self, token: str, since_s: float, server: str) -> None:
        self.watcher.turned_away(token, since_s, server, self._now_ms())

    def close(self) -> None:
        self._conn.close()


class _Raised(NamedTuple):
    """What the work itself raised, on its way to the server."""

    error: Exception


class Host(NamedTuple):
    """A server, its way to the primary, and what is there: a transaction commits by `change`."""

    process: Process
    tables: AccessTables
    ask: Callable[[Callable[[Reply], None]], Coroutine[Any, Any, Any]]
    change: Callable[[Callable[[], Any], Reply], None]


class _Database:
    """`backend.db.engine.Database` as the operations see it."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def run(self, work: Write, *arguments: Any, **named: Any) -> Any:
        tables = self._host.tables
        return _told(await self._host.ask(lambda reply: reply(_guarded(tables.read, work, arguments, named))))

    async def write(self, work: Write, *arguments: Any, **named: Any) -> Any:
        host, tables = self._host, self._host.tables
        host.process.effect()
        return _told(
            await host.ask(lambda reply: host.change(lambda: _guarded(tables.write, work, arguments, named), reply))
        )


def _guarded(do: Write, work: Write, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    try:
        return do(work, *arguments, **named)
    except Exception as error:  # noqa: BLE001  # it is raised again where it was asked for
        return _Raised(error)


def _told(found: Any) -> Any:
    if found is GONE:
        raise DatabaseAway("the database does not answer", begun=True)
    if isinstance(found, _Raised):
        raise found.error
    return found


class _Tokens:
    """`TokenCache`, each look-up by itself."""

    def __init__(self, host: Host, database: _Database) -> None:
        self._host = host
        self._database = database
        self._known = Remembered()

    async def principal(self, token: str) -> Principal | None:
        process, tables = self._host.process, self._host.tables
        since_s = process.kernel.now
        who = await self._find(hash_token(token))
        if who is not None:
            tables.watcher.let_in(token, process.name)
        else:
            tables.turn_away(token, since_s, process.name)
        return who

    async def _find(self, key: bytes) -> Principal | None:
        while (known := self._known.fresh(key, self._host.process.monotonic_s())) is None:
            asked_s = self._host.process.monotonic_s()
            renewed = self._known.to_renew([key], 10, asked_s)
            found: dict[bytes, Principal] = await self._database.run(find_principals, [key, *renewed])
            self._known.keep([key], renewed, found, asked_s)
            if key not in found:
                return None
        return known

    def forget(self, token: str) -> None:
        self._known.forget(hash_token(token))


class _Passwords:
    """`Passwords`: slow, so that servers die meanwhile."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def check(self, secret: str, kept: str) -> bool:
        await self._think()
        return bool(kept) and password_of(kept) == secret

    async def hash(self, secret: str) -> str:
        await self._think()
        return _kept(secret, self._process.kernel.rng.getrandbits(32))

    async def _think(self) -> None:
        rng = self._process.kernel.rng
        await self._process.sleep(rng.choice((0.03, 0.03, 0.2, 1.5)))  # others wait for theirs, too


def _kept(secret: str, salt: int) -> str:
    return f"kept {salt} {secret}"


def password_of(kept: str) -> str:
    """The password of which this is the hash."""
    return kept.split(" ", 2)[2]


OPERATIONS: Final[Mapping[str, Operation]] = {
    found.name: found for found in (api.log_in, api.log_out, api.change_password, api.change_operator)
}


class _Looks:
    def refused(self, who: Principal, operation: str, path: str) -> None:
        """Who was refused is noted by a loop of its own."""


class _Services:
    """What these operations take of `Services`."""

    def __init__(self, host: Host) -> None:
        self.database = _Database(host)
        self.tokens = _Tokens(host, self.database)
        self.passwords = _Passwords(host.process)
        self.looks = _Looks()
        self.refusing = False
        self.ledger = Ledger(currency="EUR", decimals=4)


class AccessDesk:
    """One life of a server: what it remembers of tokens, and its operations."""

    def __init__(self, host: Host) -> None:
        self._services = _Services(host)
        self.tokens = self._services.tokens
        services = cast(Services, self._services)
        self._endpoints = {name: Endpoint(operation, services) for name, operation in OPERATIONS.items()}

    async def serve(self, asked: Access, address: str) -> Heard:
        """A request over HTTP, and its answer."""
        heard: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            body = msgspec.json.encode(asked.body) if asked.body is not None else b""
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            heard.append(message)

        await self._endpoints[asked.operation](scope_of(asked.token, address, asked.about), receive, send)
        retry = next((value for key, value in heard[0]["headers"] if key == b"retry-after"), b"0")
        return Heard(heard[0]["status"], heard[1]["body"], int(retry))


def scope_of(token: str, address: str, about: str = "") -> dict[str, Any]:
    """What ASGI tells of a request."""
    headers = [(b"content-type", b"application/json")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return {
        "type": "http",
        "client": (address, 1),
        "headers": headers,
        "path": "",
        "path_params": {"name": about},
        "query_string": b"",
    }
