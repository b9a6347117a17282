"""Servers for the console's tests: real processes on real sockets that speak the JSON API's messages, to be killed,
frozen and thawed. What they serve lies in one file that they share, as servers of a cluster share a database, so an
event has the same id on each of them.

Run as a program (`python -m tests.support.console_cluster NAME PORT FILE`) this is one such server.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

import msgspec
import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.wire.access import Caller, Role
from backend.wire.cluster import ClusterEvent, ClusterEventList, Event, Plan, Topology
from backend.wire.errors import problem
from backend.wire.jobs import JobActionAnswer, JobList, JobView
from backend.wire.money import TransferList, TransferView
from backend.wire.people import UserList, UserView
from tests.support.console_world import LEDGER, NOW_MS, mixed_jobs, people, small_topology, transfers
from tests.support.processes import Process, free_port

TOKEN: Final = "ik_console-test"
LOOK_AGAIN_S: Final = 0.02


class World(msgspec.Struct):
    """What every server of the cluster serves. `forbidden` names areas ("jobs", "topology", "users", "history",
    "operations") that answer 403, `unavailable` those that answer 503; `slow` delays look-ups of a text by so many
    seconds, and ("act") actions that are no dry run; `refuse` makes every route answer 401. `plan` answers dry runs
    and, with `done` said, actions; `job_answer` releases and cancels. The world's clock stood at NOW_MS
    at `began_s`."""

    topology: Topology
    jobs: list[JobView]
    users: list[UserView] = []
    transfers: list[TransferView] = []
    events: list[Event] = []
    history: list[ClusterEvent] = []
    plan: Plan = Plan(action="resume", subject="")
    job_answer: JobActionAnswer = JobActionAnswer(state="released")
    forbidden: list[str] = []
    unavailable: list[str] = []
    slow: dict[str, float] = {}
    refuse: bool = False
    role: Role = "admin"
    began_s: float = 0.0


class Cluster:
    """Some servers over one world. `change` with a world's fields; servers see it within a fiftieth of a second."""

    def __init__(self, folder: Path, count: int = 1) -> None:
        self._file = folder / "world.json"
        self.ports = [free_port() for _ in range(count)]
        self.urls = tuple(f"http://127.0.0.1:{port}" for port in self.ports)
        self.world = World(
            topology=small_topology(self.urls[0]),
            jobs=list(mixed_jobs()),
            users=list(people()),
            transfers=list(transfers()),
            began_s=time.time(),
        )
        self._write()
        self.servers = [self._server(folder, index, port) for index, port in enumerate(self.ports)]

    def _server(self, folder: Path, index: int, port: int) -> Process:
        name = f"app-{index + 1:02d}"
        argv = [sys.executable, "-m", "tests.support.console_cluster", name, str(port), str(self._file)]
        return Process(name, argv, log=folder / f"{name}.log", env=dict(os.environ))

    def _write(self) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(self.world))
        beside.replace(self._file)

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        for server, port in zip(self.servers, self.ports, strict=True):
            server.wait_for_port(port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.stop()

    def change(self, **fields: object) -> None:
        self.world = msgspec.structs.replace(self.world, **fields)
        self._write()

    def put_job(self, job: JobView) -> None:
        """A job is new or changed: rows and event stream say so."""
        self.world.jobs = [old for old in self.world.jobs if old.job_id != job.job_id] + [job]
        self.world.events.append(Event(kind="jobs", at=job.updated_at, jobs=(job,)))
        self._write()

    def put_event(self, event: ClusterEvent) -> None:
        """Something happened to the cluster: history and event stream say so."""
        self.world.history.append(event)
        self.announce(Event(kind="cluster", at=event.at, cluster=event))

    def acted(self) -> int:
        """How often an action that was no dry run was asked for, of all servers together."""
        return sum(server.written().count("act ") for server in self.servers)

    def announce(self, event: Event) -> None:
        self.world.events.append(event)
        self._write()

    def freeze(self, index: int) -> None:
        self.servers[index].signal(signal.SIGSTOP)

    def thaw(self, index: int) -> None:
        self.servers[index].signal(signal.SIGCONT)


class _Served:
    """One server's side."""

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self._file = file

    def world(self) -> World:
        return msgspec.json.decode(self._file.read_bytes(), type=World)

    def now_ms(self) -> int:
        return NOW_MS + int((time.time() - self.world().began_s) * 1000)

    def refusal(self, request: Request, area: str) -> Response | None:
        world = self.world()
        if world.refuse or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _problem("unauthenticated")
        if area in world.unavailable:
            return _problem("unavailable")
        return _problem("forbidden") if area in world.forbidden else None

    async def topology(self, request: Request) -> Response:
        world = self.world()
        shift = self.now_ms() - world.topology.as_of
        queues = tuple(msgspec.structs.replace(queue, seen_at=queue.seen_at + shift) for queue in world.topology.queues)
        view = msgspec.structs.replace(world.topology, as_of=self.now_ms(), seen_by=self.name, queues=queues)
        return self.refusal(request, "topology") or _json(view)

    async def jobs(self, request: Request) -> Response:
        rows = sorted(self.world().jobs, key=lambda job: (job.created_at, job.job_id), reverse=True)
        state, look = request.query_params.get("state", ""), request.query_params.get("attention", "0") == "1"
        rows = [job for job in rows if state in ("", job.state) and (not look or job.state == "in_doubt")]
        before = request.query_params.get("before", "")
        if before:
            places = [place for place, job in enumerate(rows) if job.job_id == before]
            rows = rows[places[0] + 1 :] if places else []
        page = tuple(rows[: int(request.query_params.get("limit", "50"))])
        return self.refusal(request, "jobs") or _json(JobList(jobs=page, ledger=LEDGER))

    async def users(self, request: Request) -> Response:
        text = request.query_params.get("query", "").lower()
        world = self.world()
        await asyncio.sleep(world.slow.get(text, 0.0))
        found = [
            user
            for user in world.users
            if any(word.startswith(text) for word in (user.name, *user.full_name.lower().split()))
        ]
        limit = int(request.query_params.get("limit", "50"))
        answer = UserList(users=tuple(found[:limit]), total=len(found), ledger=LEDGER, as_of=self.now_ms())
        return self.refusal(request, "users") or _json(answer)

    def _user(self, request: Request) -> UserView | None:
        name = unquote(request.path_params["name"])
        return next((user for user in self.world().users if user.name == name), None)

    async def user(self, request: Request) -> Response:
        found = self._user(request)
        if found is None:
            return _problem("not-found")
        answer = UserList(users=(found,), total=1, ledger=LEDGER, as_of=self.now_ms())
        return self.refusal(request, "users") or _json(answer)

    async def user_jobs(self, request: Request) -> Response:
        found = self._user(request)
        rows = [job for job in self.world().jobs if found is not None and job.user_name == found.name]
        rows.sort(key=lambda job: job.created_at, reverse=True)
        return self.refusal(request, "users") or _json(JobList(jobs=tuple(rows), ledger=LEDGER))

    async def user_transfers(self, request: Request) -> Response:
        rows = tuple(self.world().transfers)
        return self.refusal(request, "users") or _json(TransferList(transfers=rows, ledger=LEDGER))

    async def history(self, request: Request) -> Response:
        rows = self.world().history
        before = request.query_params.get("before", "")
        places = [place for place, event in enumerate(rows) if event.event_id == before]
        rows = rows[: places[0]] if places else [] if before else rows
        page = tuple(rows[-int(request.query_params.get("limit", "50")) :])
        return self.refusal(request, "history") or _json(ClusterEventList(events=page))

    async def act(self, request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        refused, world = self.refusal(request, "operations"), self.world()
        if refused is not None or body.get("dry_run"):
            return refused or _json(world.plan)
        print(f"act {body}", flush=True)
        await asyncio.sleep(world.slow.get("act", 0.0))
        return _json(msgspec.structs.replace(self.world().plan, done=True))

    async def act_on_job(self, request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        refused = self.refusal(request, "desk")
        if refused is not None:
            return refused
        print(f"{request.url.path.rpartition('/')[2]} {request.path_params['job_id']} {body['command_id']}", flush=True)
        await asyncio.sleep(self.world().slow.get("act", 0.0))
        return _json(self.world().job_answer)

    async def me(self, request: Request) -> Response:
        return self.refusal(request, "me") or _json(Caller(role=self.world().role, name="console"))

    async def events(self, request: Request) -> Response:
        refused = self.refusal(request, "events")
        if refused is not None:
            return refused
        last = request.headers.get("Last-Event-ID", "")
        print(f"events after {last or 'now'}", flush=True)
        start = int(last.rsplit(".", 1)[-1]) if last else len(self.world().events)
        return EventSourceResponse(self._stream(start), ping=1)

    async def _stream(self, position: int) -> AsyncIterator[ServerSentEvent]:
        while True:
            events = self.world().events
            for number in range(position, len(events)):
                data = msgspec.json.encode(events[number]).decode()
                yield ServerSentEvent(data=data, event=events[number].kind, id=f"1.1.{number + 1}")
            position = len(events)
            await asyncio.sleep(LOOK_AGAIN_S)

    def app(self) -> Starlette:
        routes = {
            "topology": self.topology,
            "jobs": self.jobs,
            "me": self.me,
            "events": self.events,
            "cluster/events": self.history,
            "users": self.users,
            "users/{name}": self.user,
            "users/{name}/jobs": self.user_jobs,
            "users/{name}/transfers": self.user_transfers,
        }
        found = [Route(f"/api/v1/{path}", handler) for path, handler in routes.items()]
        for path in ("cluster/actions", "cluster/database/switchover"):
            found.append(Route(f"/api/v1/{path}", self.act, methods=["POST"]))
        for verb in ("release", "cancel"):
            found.append(Route(f"/api/v1/jobs/{{job_id}}/{verb}", self.act_on_job, methods=["POST"]))
        return Starlette(routes=found)


def _json(value: msgspec.Struct) -> Response:
    headers = {"Inkeeper-Generation": "1"}
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)


def _problem(code: str) -> Response:
    found = problem(code)
    return Response(msgspec.json.encode(found), found.status, media_type="application/problem+json")


if __name__ == "__main__":
    uvicorn.run(
        _Served(sys.argv[1], Path(sys.argv[3])).app(),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
