"""The health API: `/api/health` and below, read by monitoring programs with the key of the setting `health.api.key`.

It tells the truth while things are broken too: with the database away the documents say so within a few seconds, with
HTTP 500 and a `status`, which clients take as data; printers are as last known, none of them well. The key that was
last read is remembered for that, and for nothing else. Who has not the key costs one small read.
"""

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.access.settings import read_settings
from backend.cluster.away import Away, sentence
from backend.cluster.databases import read_facts, redundancy
from backend.cluster.patroni import Patroni, Seen
from backend.compat import health_status, health_view, queries
from backend.compat.gate import HEALTH_KEY, same_secret
from backend.compat.health_view import OK, DatabaseFacts, PrinterFacts, ProviderFacts, SystemFacts
from backend.compat.log_counts import LogCounts
from backend.compat.system import system_facts
from backend.db.engine import Database
from backend.db.errors import DatabaseError

LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look at the database and the machine gave."""

    key: str
    printers: list[PrinterFacts]
    providers: list[ProviderFacts]
    users: int
    database: DatabaseFacts
    system: SystemFacts
    untracked: tuple[str, ...] = ()


Told = dict[str, Any] | dict[str, str] | str
View = Callable[[Facts, Mapping[str, str]], Told]
Endpoint = Callable[[Request], Awaitable[Response]]


class Health:
    """The endpoints. `data_dir` lies on the disk whose room counts, `log` counts what is logged."""

    def __init__(self, database: Database, version: str, data_dir: Path, patroni: Patroni, log: LogCounts) -> None:
        self._log = log
        self._database = database
        self._patroni = patroni
        self._version = version
        self._data_dir = data_dir
        self._started = time.monotonic()
        self._last_key = ""
        self._last: Facts | None = None  # what the database told last, and when
        self._last_at_s = self._started

    def answering(self, view: View) -> Endpoint:
        """The endpoint of a view."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, lambda facts: view(facts, request.query_params))

        return endpoint

    async def printer_status(self, request: Request) -> Response:
        return await self._answer(request, lambda facts: health_status.printer(_printer(facts, request)))

    async def printer_recent_jobs(self, request: Request) -> Response:
        async def told(facts: Facts) -> dict[str, Any]:
            printer = _printer(facts, request)
            minutes = _minutes(request, 10)
            count, _ = await self._database.look(LOOK_S, queries.recent_pages, minutes, printer.queue_id)
            return health_status.recent_jobs(count, minutes, health_view.printer_name(printer))

        return await self._answer(request, told)

    async def no_device(self, request: Request) -> Response:
        return await self._answer(request, _no_device)

    async def printer_urls(self, request: Request) -> Response:
        base = f"{request.url.scheme}://{request.url.netloc}/api/health"
        return await self._answer(request, lambda facts: health_status.printer_urls(facts.printers, base))

    async def device_urls(self, request: Request) -> Response:
        return await self._answer(request, lambda _: health_status.device_urls())

    async def recent_pages(self, request: Request) -> Response:
        async def told(_facts: Facts) -> dict[str, Any]:
            _, pages = await self._database.look(LOOK_S, queries.recent_pages, _minutes(request, 60))
            return {"recentPagesCount": pages}

        return await self._answer(request, told)

    async def recent_errors(self, request: Request) -> Response:
        return await self._answer(request, lambda _: {"recentErrorsCount": self._log.errors(_minutes(request, 60))})

    async def recent_warnings(self, request: Request) -> Response:
        return await self._answer(request, lambda _: {"recentWarningsCount": self._log.warnings(_minutes(request, 60))})

    async def _answer(self, request: Request, view: Callable[[Facts], Told | Awaitable[Told]]) -> Response:
        given = (request.headers.get("authorization") or request.query_params.get("Authorization") or "").strip()
        facts = await self._facts(given)
        refusal = _refusal(facts.key, given)
        if refusal is not None:
            return refusal
        if facts.database.error:
            return _without(facts)
        try:
            told = view(facts)
            document = await told if inspect.isawaitable(told) else told
        except health_status.QueryInvalid as error:
            return _refused(400, str(error))
        except _NotThere as error:
            return _refused(404, str(error))
        except DatabaseError as error:
            return _refused(500, str(error))
        if isinstance(document, str):
            return Response(document, media_type="text/csv")
        return JSONResponse(document, status_code=200 if document.get("status", OK) == OK else 500)

    async def _facts(self, given: str) -> Facts:
        system = system_facts(self._version, self._data_dir, self._started)
        seen = await self._patroni.look()
        asked = time.monotonic()
        try:
            facts = await self._database.look(LOOK_S, _look, given, system, asked, seen)
        except DatabaseError:
            return self._without_database(system, seen)
        self._last_key = facts.key
        if same_secret(facts.key, given):
            self._last, self._last_at_s = facts, time.monotonic()
        return facts

    def _without_database(self, system: SystemFacts, seen: Seen | None) -> Facts:
        """What Patroni tells of the database, and all else as it was last known."""
        now_s = time.monotonic()
        age_s = now_s - self._last_at_s
        since = self._database.away_since or round(time.time() * 1000)
        known = sentence(Away(since, age_s, seen, now_s - seen.at_s if seen is not None else 0.0))
        database = DatabaseFacts(known, 0, 0, 0, 0, age_s=age_s)
        last = self._last
        if last is None:
            return Facts(self._last_key, [], [], 0, database, system)
        printers = health_view.old_printers(last.printers, age_s)
        return Facts(
            self._last_key,
            printers,
            health_view.old_providers(last.providers, age_s),
            last.users,
            database,
            system,
            last.untracked,
        )


def _look(conn: sa.Connection, given: str, system: SystemFacts, asked_monotonic_s: float, seen: Seen | None) -> Facts:
    connected = time.monotonic()
    key = read_settings(conn, HEALTH_KEY)[HEALTH_KEY].strip()
    answered = time.monotonic()
    if not same_secret(key, given):
        return Facts(key, [], [], 0, DatabaseFacts("", 0, 0, 0, 0), system)
    active, most = queries.connections(conn)
    whole = redundancy(read_facts(conn), seen)
    database = DatabaseFacts(
        error="",
        active_connections=active,
        max_connections=most,
        connect_ms=round(1000 * (connected - asked_monotonic_s)),
        query_ms=round(1000 * (answered - connected)),
        single_copy="" if whole.whole else whole.reason,
        redundancy_lost=whole.expected and not whole.whole,
    )
    return Facts(
        key,
        queries.printers(conn),
        queries.providers(conn),
        queries.count_users(conn),
        database,
        system,
        queries.untracked(conn),
    )


def _without(facts: Facts) -> Response:
    """Whatever is asked while the database is away: what is known, with HTTP 500."""
    document = _overview(facts) | health_view.status(facts.database, facts.system)
    return JSONResponse(document, status_code=500)


class _NotThere(Exception):
    """What the address names is not there; the text says what."""


def _printer(facts: Facts, request: Request) -> PrinterFacts:
    wanted = request.path_params["id"]
    found = next((printer for printer in facts.printers if str(printer.queue_id) == wanted), None)
    if found is None:
        raise _NotThere(f"There is no printer {wanted[:40]} here")
    return found


def _no_device(_facts: Facts) -> Told:
    raise _NotThere("There are no devices here")


def _minutes(request: Request, default: int) -> int:
    return health_status.number(request.query_params, "minutes", default, health_status.MAX_MINUTES)


def _always(document: Mapping[str, Any]) -> View:
    return lambda _facts, _query: dict(document)


VIEWS: Final[Mapping[str, View]] = {
    "": lambda facts, _: _overview(facts),
    "/status": lambda facts, _: health_view.status(facts.database, facts.system),
    "/printers": lambda facts, _: health_view.printer_list(facts.printers),
    "/printers/status": lambda facts, query: health_status.printers(facts.printers, query),
    "/print-providers": lambda facts, _: health_view.provider_list(facts.providers),
    "/print-providers/status": lambda facts, query: health_status.providers(facts.providers, query),
    "/application-server/status": lambda facts, query: health_status.application_server(facts.system, query),
    "/database/status": lambda facts, query: health_status.database(facts.database, query),
    "/license/status": lambda _, query: health_status.nothing(query),
    "/job-ticketing": lambda _facts, _query: health_status.ticketing(),
    "/job-ticketing/status": lambda _facts, _query: health_status.ticketing(),
    **{f"/{name}": _always(none) for name, none in health_status.NONE_OF.items()},
    **{f"/{name}/status": (lambda _, query: health_status.nothing(query)) for name in health_status.NONE_OF},
}
"""What `/api/health` has below it, beside what is about one printer."""


def held_jobs(facts: Facts, _query: Mapping[str, str]) -> dict[str, Any]:
    return {"heldJobsCount": sum(printer.held_jobs for printer in facts.printers)}


def _overview(facts: Facts) -> dict[str, Any]:
    return health_view.overview(
        facts.printers, facts.providers, facts.users, facts.database, facts.system, facts.untracked
    )


def _refusal(key: str, given: str) -> Response | None:
    """What somebody without the key is told: 403 while there is none (or none that can be read now), else 401."""
    if not key:
        return _refused(403, f"The health API is closed: the setting {HEALTH_KEY} is empty or cannot be read now")
    if not same_secret(key, given):
        return _refused(401, "The Authorization header or parameter must be the value of the setting " + HEALTH_KEY)
    return None


def _refused(status: int, message: str) -> Response:
    headers = {"WWW-Authenticate": "ApiKey"} if status == 401 else None
    return JSONResponse({"status": "ERROR", "message": message}, status_code=status, headers=headers)
