"""The health API: `/api/health` and below, read by monitoring programs with the key of the setting `health.api.key`.

It tells the truth while things are broken too: with the database away the documents say so within a few seconds, with
HTTP 500 and a `status`, which clients take as data; printers are as last known, none of them well. The key that was
last read is remembered for that, and for nothing else. Who has not the key costs one small read.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.access.settings import read_settings
from backend.cluster.away import Away, sentence
from backend.cluster.databases import read_facts, redundancy
from backend.cluster.patroni import Patroni, Seen
from backend.compat import health_view, queries
from backend.compat.gate import HEALTH_KEY, same_secret
from backend.compat.health_view import OK, DatabaseFacts, PrinterFacts, ProviderFacts, SystemFacts
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


class Health:
    """The endpoints. `data_dir` lies on the disk whose room counts."""

    def __init__(self, database: Database, version: str, data_dir: Path, patroni: Patroni) -> None:
        self._database = database
        self._patroni = patroni
        self._version = version
        self._data_dir = data_dir
        self._started = time.monotonic()
        self._last_key = ""
        self._last: Facts | None = None  # what the database told last, and when
        self._last_at_s = self._started

    async def overview(self, request: Request) -> Response:
        return await self._answer(request, _overview)

    async def printers(self, request: Request) -> Response:
        return await self._answer(request, lambda facts: health_view.printer_list(facts.printers))

    async def providers(self, request: Request) -> Response:
        return await self._answer(request, lambda facts: health_view.provider_list(facts.providers))

    async def status(self, request: Request) -> Response:
        return await self._answer(request, lambda facts: health_view.status(facts.database, facts.system))

    async def _answer(self, request: Request, view: Callable[[Facts], dict[str, Any]]) -> Response:
        given = request.headers.get("authorization") or request.query_params.get("Authorization") or ""
        facts = await self._facts(given.strip())
        refusal = _refusal(facts.key, given.strip())
        if refusal is not None:
            return refusal
        if facts.database.error:
            document = _overview(facts) | health_view.status(facts.database, facts.system)
            return JSONResponse(document, status_code=500)
        document = view(facts)
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
