"""The real application in this process: its parts on a real database, asked over ASGI without a socket."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec
from starlette.types import ASGIApp

from backend.access.model import ROLES
from backend.access.service import create_enrolment, create_token
from backend.api.app import build_app
from backend.api.services import Services
from backend.base.ids import uuid7
from backend.cluster.agent import ClusterSettings
from backend.db.engine import Database, DatabaseSettings
from backend.db.migrate import migrate
from backend.main import ServerSection, ServerSettings, running
from backend.wire.access import Role
from backend.wire.errors import Problem
from backend.wire.jobs import Authorise, JobFacts, Printing, Report
from backend.wire.pricing import Printed
from backend.wire.printers import Enroll, EnrollAnswer, Heartbeat, QueueReport
from tests.support.postgresql import Postgres
from tests.support.processes import children

T = TypeVar("T")
SECRET = "the-provider-made-this-secret-before-it-asked"


@dataclass
class Api:
    """One server in this process, and a client with a token of each role."""

    services: Services
    app: ASGIApp
    http: httpx.AsyncClient
    tokens: dict[Role, str]

    async def send(
        self, method: str, path: str, body: Any = None, *, role: Role | None = "admin", token: str = ""
    ) -> httpx.Response:
        """A request with the token of this role (None: without). `body` is a message, or bytes as they are."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else None
        chosen = token or (self.tokens[role] if role else "")
        headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}
        if content is not None:
            headers["Content-Type"] = "application/json"
        return await self.http.request(method, path, content=content, headers=headers)

    async def ask(
        self, method: str, path: str, kind: type[T], body: Any = None, *, role: Role = "admin", token: str = ""
    ) -> T:
        """The same where 200 is expected; the answer decoded."""
        response = await self.send(method, path, body, role=role, token=token)
        assert response.status_code == 200, response.text
        return msgspec.json.decode(response.content, type=kind)

    async def refused(self, method: str, path: str, body: Any = None, *, role: Role | None = "admin") -> Problem:
        """The same where a problem is expected."""
        response = await self.send(method, path, body, role=role)
        assert response.headers["content-type"] == "application/problem+json", response.text
        found = msgspec.json.decode(response.content, type=Problem)
        assert found.status == response.status_code
        return found


@asynccontextmanager
async def api(url: str, name: str = "server-1", *, patroni: tuple[str, ...] = ()) -> AsyncIterator[Api]:
    """A server on this database (migrated here), with a token of each role and the provider `print1` enrolled."""
    database = Database(url)
    migrate(database)
    settings = ServerSettings(
        server=ServerSection(name=name, listen="127.0.0.1:1", advertise=f"http://{name}"),
        database=DatabaseSettings(url=url, patroni=patroni),
        cluster=ClusterSettings(heartbeat_s=0.2, lease_s=1.0),
    )
    tokens = make_tokens(database)
    try:
        async with running(settings, database) as services:
            app = build_app(services)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{name}") as http:
                found = Api(services, app, http, tokens)
                await enroll(found)
                yield found
    finally:
        database.close()


def make_tokens(database: Database) -> dict[Role, str]:
    """A token of each role but the provider's, which is its own secret."""
    tokens: dict[Role, str] = {}
    with database.connect(writing=True) as conn:
        for role in ROLES:
            tokens[role] = SECRET if role == "provider" else create_token(conn, role, f"{role}-1", "test")
    return tokens


async def enroll(server: Api, name: str = "print1", secret: str = SECRET) -> EnrollAnswer:
    """Enrol a provider with a new enrolment token; the same secret again does nothing."""

    def make(conn: Any) -> str:
        return create_enrolment(conn, name, "test")

    if await server.services.tokens.principal(secret) is not None:
        return EnrollAnswer(provider_id=0, name=name, generation=0)
    body = Enroll(token=await server.services.database.write(make), secret=secret, name=name, host="host1")
    return await server.ask("POST", "/api/v1/enroll", EnrollAnswer, body)


def scene(url: str, play: Callable[[Api], Awaitable[None]]) -> None:
    """Run a test's coroutine with a server in it."""

    async def run() -> None:
        async with api(url) as server:
            await asyncio.wait_for(play(server), 60)

    asyncio.run(run())


def freeze(database: Postgres, number: signal.Signals = signal.SIGSTOP) -> None:
    """Stop the whole database server: sessions live in processes of their own. SIGCONT lets it go on."""
    for pid in [database.process.pid, *children(database.process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def eventually(probe: Callable[[], Awaitable[T]], timeout_s: float = 10.0) -> T:
    """What the probe answers as soon as that is true."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        answer = await probe()
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


def heartbeat(*queues: str, open_jobs: tuple[str, ...] = (), backlog: int = 0) -> Heartbeat:
    return Heartbeat(
        program_version="1",
        host="host1",
        queues=tuple(QueueReport(name=name, tracked=True, printer_state="idle") for name in queues),
        open_jobs=open_jobs,
        backlog=backlog,
    )


def authorise(user: str = "anna", impressions: int = 3, job_id: str = "", attempt: int = 1) -> Authorise:
    return Authorise(
        command_id=uuid7(),
        job_id=job_id or uuid7(),
        attempt=attempt,
        printing=Printing(spool_id="spool", cups_job_id=1, time_at_creation=1),
        queue="office",
        user_name=user,
        title="letter.pdf",
        facts=JobFacts(impressions=impressions, sheets=impressions),
    )


def report(of: Authorise, impressions: int | None = None, revision: int = 1) -> Report:
    printed = of.facts.impressions if impressions is None else impressions
    return Report(
        command_id=uuid7(),
        job_id=of.job_id,
        attempt=of.attempt,
        printing=of.printing,
        queue=of.queue,
        user_name=of.user_name,
        title=of.title,
        facts=of.facts,
        revision=revision,
        outcome="completed",
        printed=Printed(impressions=printed, sheets=printed),
    )
