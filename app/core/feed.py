"""Following a cluster: read, stream, notice when it goes quiet, and say all of it as reducer messages.

Two tasks beside each other. The *stream* brings changes of jobs as they happen. The *poll* reads the whole picture
every two seconds, and every ten the newest jobs and events of the cluster's history: it notices a frozen server sooner
than an idle stream can, and heals whatever a stream may have missed around its start. When a poll was answered by
another server than the stream hangs on, the stream is moved there with the id of its last event, so there is neither a
gap nor a repetition.

Invariant: "live" is said only while both hold.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from app.core.queries import HISTORY_ROWS, newest_events, read_rights
from app.core.reducer import (
    Area,
    Connecting,
    Failed,
    Forbidden,
    HistoryChanged,
    HistoryRead,
    JobsChanged,
    JobsRead,
    Live,
    Lost,
    Message,
    RightsTold,
    TopologyRead,
)
from backend.client.client import ApiClient
from backend.client.errors import NoServer, ServerProblem
from backend.client.events import events
from backend.wire.cluster import Event, Topology
from backend.wire.jobs import JobList

POLL_S: Final = 2.0
JOBS_POLL_S: Final = 10.0
JOBS_READ: Final = 200
READ_TIMEOUT_S: Final = 3.0
IDLE_TIMEOUT_S: Final = 8.0
FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 10.0

MIN_POLL_S: Final = 0.4

log = logging.getLogger(__name__)

Emit = Callable[[Message], None]
T = TypeVar("T")


def retry_s(failures: int, random_unit: float) -> float:
    """The pause after the n-th failed try (from 1): doubling, bounded, a quarter of it random so that consoles
    spread.
    """
    longest = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures - 1, 10))
    return longest * (0.75 + 0.25 * random_unit)


def known_servers(configured: tuple[str, ...], topology: Topology) -> tuple[str, ...]:
    """Whom to ask from now on: what the person configured, and every member that the cluster itself names."""
    members = (server.url.rstrip("/") for server in topology.servers if server.url and server.state != "gone")
    return tuple(dict.fromkeys((*configured, *members)))


class Feed:
    """Follows one cluster until its `run` is cancelled. Lives on the event loop; `reload` may only be called there."""

    def __init__(self, client: ApiClient, servers: tuple[str, ...], emit: Emit) -> None:
        self._client = client
        self._servers = servers
        self._emit = emit
        self._wake = asyncio.Event()
        self._jobs_due = self._replace_jobs = True
        self._jobs_at = 0.0
        self._rights_known = self._database_away = False
        self._generation = 0
        self._cursor = ""
        self._stream_url = ""
        self._polled = False
        self._live_at = ""

    async def run(self) -> None:
        """Never returns while the cluster may still be reached; returns after `Failed`."""
        self._emit(Connecting(self._servers))
        stream: asyncio.Task[None] | None = None
        failures = 0
        try:
            while True:
                try:
                    await self._read()
                    failures = 0
                    stream = await self._stream_on_current(stream)
                    await self._nap(POLL_S)
                except NoServer as error:
                    failures += 1
                    await self._lost(str(error), retry_s(failures, random.random()))
        except ServerProblem as error:
            self._emit(Failed(str(error), error.problem.code))
        finally:
            await _end(stream)

    def reload(self) -> None:
        """Read everything now."""
        self._jobs_due = True
        self._wake.set()

    # ---------------------------------------------------------------- the poll

    async def _read(self) -> None:
        await self._read_topology()
        if self._database_away:
            # The servers tell their picture without it; jobs and history wait until it is back.
            self._jobs_due = True
        elif self._jobs_due or time.monotonic() - self._jobs_at >= JOBS_POLL_S:
            await self._read_the_rest()
        self._polled = True
        self._tell_if_live()

    async def _read_the_rest(self) -> None:
        """Jobs, history and rights. Where no server tells them now, they are asked for again at the next poll: a server
        has just told its picture, so this is no loss of all of them."""
        try:
            await self._read_jobs()
            await self._read_rights()
        except NoServer as error:
            self._jobs_due = True
            log.info("jobs and history cannot be read now: %s", error)

    async def _read_topology(self) -> None:
        topology = await self._ask("topology", Topology)
        self._database_away = topology is not None and topology.age_s > 0
        if topology is not None:
            if topology.generation != self._generation:
                self._generation = topology.generation
                self._replace_jobs = self._jobs_due = True
            self._client.set_servers(known_servers(self._servers, topology))
            self._emit(TopologyRead(topology, self._client.current))

    async def _read_jobs(self) -> None:
        self._jobs_due = False
        answer = await self._ask("jobs", JobList, limit=JOBS_READ)
        if answer is not None:
            self._emit(JobsRead(answer.jobs, answer.ledger, replace=self._replace_jobs))
        await self._read_history()
        self._replace_jobs = False
        self._jobs_at = time.monotonic()

    async def _read_history(self) -> None:
        try:
            events = await newest_events(self._client)
        except ServerProblem as error:
            if error.problem.code != "forbidden":
                raise
            self._emit(Forbidden("history"))
        else:
            self._emit(HistoryRead(events, full=len(events) >= HISTORY_ROWS, replace=self._replace_jobs))

    async def _read_rights(self) -> None:
        """Ask once what this token may do to the cluster."""
        if not self._rights_known:
            rights = await read_rights(self._client)
            if rights is not None:
                self._rights_known = True
                self._emit(RightsTold(rights))

    async def _ask(self, area: Area, kind: type[T], **query: int) -> T | None:
        """One reading; None where the token's role does not allow it."""
        try:
            return await self._client.call("GET", area, None, kind, timeout_s=READ_TIMEOUT_S, query=query)
        except ServerProblem as error:
            if error.problem.code != "forbidden":
                raise
            self._emit(Forbidden(area))
            return None

    async def _lost(self, reason: str, pause_s: float) -> None:
        self._polled = False
        self._live_at = ""
        self._emit(Lost(reason, pause_s))
        await self._nap(pause_s)
        self._emit(Connecting(self._client.servers))

    async def _nap(self, seconds: float) -> None:
        """Sleep, but not on when somebody asked to read now; a burst of such wishes is one reading each
        `MIN_POLL_S`.
        """
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
            await asyncio.sleep(max(0.0, began + MIN_POLL_S - time.monotonic()))
        self._wake.clear()

    # ---------------------------------------------------------------- the stream

    async def _stream_on_current(self, task: "asyncio.Task[None] | None") -> "asyncio.Task[None]":
        """The stream's task, moved when another server answers the polls than the one it hangs on."""
        if task is not None and task.done():
            task.result()  # a refusal ends the whole feed
        moved = bool(self._stream_url) and self._stream_url != self._client.current
        if task is not None and not task.done() and not moved:
            return task
        await _end(task)
        return asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event_id, event in events(self._client, self._cursor, IDLE_TIMEOUT_S, self._on_stream):
            self._cursor = event_id
            self._take(event)

    def _on_stream(self, url: str, reason: str) -> None:
        if reason:
            self._stream_url = ""
            if self._live_at:
                self._live_at = ""
                self._emit(Connecting(self._client.servers))
            return
        self._stream_url = url
        # What changed between the last reading and the start of this stream is nowhere else.
        self.reload()
        self._tell_if_live()

    def _take(self, event: Event) -> None:
        if event.jobs:
            self._emit(JobsChanged(event.jobs))
        if event.cluster is not None:
            self._emit(HistoryChanged(event.cluster))
            self._wake.set()
        if event.kind == "reset":
            self._replace_jobs = True
            self.reload()
        elif event.kind == "topology":
            self._wake.set()

    def _tell_if_live(self) -> None:
        if self._polled and self._stream_url and self._live_at != self._stream_url:
            self._live_at = self._stream_url
            self._emit(Live(self._stream_url))


async def _end(task: "asyncio.Task[None] | None") -> None:
    if task is None:
        return
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
