"""What Patroni tells of the database cluster, and the one thing it is asked to do: a switchover.

Any Patroni answers for the whole cluster, so any of them may be dead: the one that answered last is asked first, then
all others at once. The functions that read its documents (`/cluster`, `/history`, `/config`, `/patroni`, as versions
3 and 4 write them) are plain ones of bytes; what they do not know they pass over, since newer versions say more.

Invariants: a look ends within LOOK_S (one for a person who acts: FRESH_LOOK_S), is made at most once in KEEP_S however
many ask, and never raises: without an answer there is none. Nothing here is believed about who may write: that is asked
of the database itself.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx
import msgspec

LOOK_S = 1.5
FRESH_LOOK_S = 9.0
KEEP_S = 1.0
SLOW_KEEP_S = 10.0  # what hardly ever changes
SWITCHOVER_S = 30.0
DEFAULT_PORT = 8008
# Until 3.0.3 a primary that had been frozen overwrote its successor's key in etcd, and what was acknowledged was lost.
SAFE_VERSION = (3, 0, 3)

Role = Literal["leader", "sync_standby", "quorum_standby", "replica", "standby_leader"]


class PatroniError(Exception):
    """Patroni refused, or cannot be reached; one line for people."""


class PatroniSilent(PatroniError):
    """Patroni was asked to do something and did not answer: it may have done it."""


class PatroniMember(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the database cluster. `lag_bytes` is None where Patroni does not know it, and for the leader."""

    name: str
    role: str
    state: str
    host: str = ""
    port: int = 0
    api_url: str = ""
    timeline: int = 0
    lag_bytes: int | None = None
    failover_allowed: bool = True

    @property
    def leads(self) -> bool:
        return self.role in ("leader", "standby_leader", "master", "primary")

    @property
    def synchronous(self) -> bool:
        return self.role in ("sync_standby", "quorum_standby")

    @property
    def well(self) -> bool:
        """Whether it runs and, as a standby, follows."""
        return self.state in ("running", "streaming")


class PatroniCluster(msgspec.Struct, frozen=True, kw_only=True):
    members: tuple[PatroniMember, ...] = ()
    paused: bool = False

    @property
    def leader(self) -> PatroniMember | None:
        return next((member for member in self.members if member.leads), None)


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a timeline; `at` in milliseconds since 1970 UTC, `leader` who wrote the next one, "" if unknown."""

    timeline: int
    reason: str = ""
    at: int = 0
    leader: str = ""


class PatroniConfig(msgspec.Struct, frozen=True, kw_only=True):
    synchronous: bool = False
    strict: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `at_s` is by this machine's monotonic clock; `version` is that of the Patroni that was asked."""

    cluster: PatroniCluster
    config: PatroniConfig
    history: tuple[Failover, ...]
    version: str
    at_s: float


# ---------------------------------------------------------------- reading its documents


def decode_cluster(document: bytes) -> PatroniCluster:
    """`/cluster`. Raises PatroniError."""
    found = _object(document)
    members = found.get("members")
    if not isinstance(members, list):
        raise PatroniError("this is no Patroni: /cluster has no members")
    return PatroniCluster(
        members=tuple(_member(member) for member in members if isinstance(member, dict)),
        paused=found.get("pause") is True,
    )


def decode_history(document: bytes) -> tuple[Failover, ...]:
    """`/history`, oldest first: rows of timeline, place in the log, reason and, in newer versions, time and leader."""
    try:
        rows = msgspec.json.decode(document)
    except msgspec.DecodeError as error:
        raise PatroniError(f"/history: {error}") from error
    return tuple(_failover(row) for row in rows if isinstance(row, list) and row and isinstance(row[0], int))


def decode_config(document: bytes) -> PatroniConfig:
    """`/config`: what the cluster goes by."""
    found = _object(document)
    mode = found.get("synchronous_mode")
    return PatroniConfig(
        synchronous=mode in (True, "on", "true", "quorum"),
        strict=found.get("synchronous_mode_strict") in (True, "on", "true"),
    )


def decode_version(document: bytes) -> str:
    """Patroni's own version in `/patroni`; "" where it is not told."""
    about = _object(document).get("patroni")
    return str(about.get("version", "")) if isinstance(about, dict) else ""


def is_safe(version: str) -> bool:
    """Whether this version keeps what was acknowledged when a primary freezes; a version not told is believed."""
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    return not numbers or numbers >= SAFE_VERSION


def _object(document: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(document)
    except msgspec.DecodeError as error:
        raise PatroniError(f"this is no Patroni: {error}") from error
    if not isinstance(found, dict):
        raise PatroniError("this is no Patroni: no object where one is expected")
    return found


def _member(found: dict[str, Any]) -> PatroniMember:
    tags = found.get("tags")
    return PatroniMember(
        name=str(found.get("name", "")),
        role=str(found.get("role", "")),
        state=str(found.get("state", "")),
        host=str(found.get("host", "")),
        port=_number(found.get("port")) or 0,
        api_url=str(found.get("api_url", "")),
        timeline=_number(found.get("timeline")) or 0,
        lag_bytes=_number(found.get("lag")),
        failover_allowed=not (isinstance(tags, dict) and tags.get("nofailover") is True),
    )


def _failover(row: list[Any]) -> Failover:
    cells = [*row, *[None] * 5]
    return Failover(timeline=row[0], reason=str(cells[2] or ""), at=_millis(cells[3]), leader=str(cells[4] or ""))


def _millis(text: object) -> int:
    if not isinstance(text, str):
        return 0
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return 0


def _number(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None


# ---------------------------------------------------------------- asking


def addresses(settings: Sequence[str], hosts: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Where to ask: as set, else at the usual port of each of the database's hosts."""
    if settings:
        return tuple(url.rstrip("/") for url in settings)
    names = (f"[{host}]" if ":" in host else host for host, _ in hosts if host and not host.startswith(("/", "@")))
    return tuple(f"http://{name}:{DEFAULT_PORT}" for name in names)


class Patroni:
    """Asks, and remembers for a moment. Lives in one event loop; `urls` may hold a user and a password."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(dict.fromkeys(urls))
        self._kept: Seen | None = None
        self._asked_s = float("-inf")
        self._slow_s = float("-inf")
        self._lock = asyncio.Lock()
        self._fresh = 0  # patient looks under way
        self._client: httpx.AsyncClient | None = None

    @property
    def has_addresses(self) -> bool:
        return bool(self._urls)

    async def look(self, *, fresh: bool = False) -> Seen | None:
        """What a Patroni told within the last moment, or now; None where none answers. A `fresh` look is for a person
        who acts, and has more patience with a busy machine."""
        if not self._urls:
            return None
        if self._fresh and not fresh:
            return self._kept  # whoever draws a picture does not wait for a patient look
        self._fresh += fresh
        try:
            return await self._look(fresh)
        finally:
            self._fresh -= fresh

    async def _look(self, fresh: bool) -> Seen | None:
        async with self._lock:
            if fresh or time.monotonic() - self._asked_s >= KEEP_S:
                within_s = FRESH_LOOK_S if fresh else LOOK_S
                try:
                    async with asyncio.timeout(within_s):
                        self._kept = await self._any(within_s)
                except TimeoutError:
                    self._kept = None
                self._asked_s = time.monotonic()
            return self._kept

    async def switchover(self, leader: str, candidate: str) -> str:
        """Hand over from `leader`, to `candidate` where one is named; what Patroni said. Raises PatroniError,
        PatroniSilent where the outcome is not known.

        Sent once, to one Patroni, and never again by itself: an outcome that is not known is told so.
        """
        seen = await self.look(fresh=True)
        if seen is None:
            raise PatroniError("no Patroni answers")
        body = {"leader": leader, **({"candidate": candidate} if candidate else {})}
        try:
            answer = await self._http().post(
                f"{_bare(self._urls[0])}/switchover", json=body, auth=_auth(self._urls[0]), timeout=SWITCHOVER_S
            )
        except httpx.ConnectError as error:
            raise PatroniError(f"Patroni cannot be reached: {error}") from error
        except httpx.HTTPError as error:
            raise PatroniSilent(f"Patroni did not answer ({type(error).__name__}): see what becomes of it") from error
        said = " ".join(answer.text.split())[:300]
        if answer.status_code == 401:
            raise PatroniError("Patroni wants a password: write [database] patroni as http://USER:PASSWORD@HOST:PORT")
        if answer.status_code != 200:
            raise PatroniError(f"Patroni refused: {said}")
        return said

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, timeout=FRESH_LOOK_S)
        return self._client

    async def _any(self, within_s: float) -> Seen | None:
        """The one that answered last, then all others at once; the first good answer, whose giver is then the first."""
        first, others = self._urls[:1], self._urls[1:]
        for group in (first, others):
            asking = [
                asyncio.create_task(self._ask(url, within_s / 3 if group is first else within_s)) for url in group
            ]
            try:
                for answered in asyncio.as_completed(asking):
                    found = await answered
                    if found is not None:
                        url, seen = found
                        self._urls = [url, *(other for other in self._urls if other != url)]
                        return seen
            finally:
                for task in asking:
                    task.cancel()
                await asyncio.gather(*asking, return_exceptions=True)
        return None

    async def _ask(self, url: str, within_s: float) -> tuple[str, Seen] | None:
        known = self._kept
        try:
            async with asyncio.timeout(within_s):
                cluster = decode_cluster(await self._get(url, "/cluster"))
                if known is None or time.monotonic() - self._slow_s >= SLOW_KEEP_S or _moved(known, cluster):
                    config = decode_config(await self._get(url, "/config"))
                    history = decode_history(await self._get(url, "/history"))
                    version = decode_version(await self._get(url, "/patroni"))
                    self._slow_s = time.monotonic()
                else:
                    config, history, version = known.config, known.history, known.version
        except (httpx.HTTPError, PatroniError, TimeoutError, UnicodeError):
            return None  # another may answer; that none does is what `look` tells
        return url, Seen(cluster=cluster, config=config, history=history, version=version, at_s=time.monotonic())

    async def _get(self, url: str, path: str) -> bytes:
        """`/patroni` answers 503 on a node whose PostgreSQL does not run, with the same document."""
        return (await self._http().get(_bare(url) + path)).content


def _moved(known: Seen, cluster: PatroniCluster) -> bool:
    """Whether another leads, or the history does not tell yet how the leader's timeline began."""
    before, now = known.cluster.leader, cluster.leader
    if now is None:
        return False
    last = known.history[-1].timeline + 1 if known.history else 1
    return before is None or before.name != now.name or last < now.timeline


def _auth(url: str) -> httpx.Auth:
    parts = urlsplit(url)
    return httpx.BasicAuth(unquote(parts.username), unquote(parts.password or "")) if parts.username else httpx.Auth()


def _bare(url: str) -> str:
    """The address without user and password, which are sent only where they are needed, and never told."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
