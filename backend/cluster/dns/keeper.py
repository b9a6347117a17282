"""The leader's duty to keep the cluster's name: looks at the members, asks the machine, sends what it decides.

Costs nothing while nothing changes but one reading each CHECK_S, which puts right what somebody else changed. A fault
is told once in the log, shown in the metrics, and tried again with growing pauses, at most LONGEST_PAUSE_S.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import sqlalchemy as sa

from backend.base.clock import Clock
from backend.cluster import history
from backend.cluster.dns import machine
from backend.cluster.dns.machine import Fence, Leave
from backend.cluster.dns.server import DnsFault, DnsServer
from backend.cluster.model import Snapshot
from backend.cluster.service import fence

log = logging.getLogger(__name__)

CHECK_S: Final = 15.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 10.0
RESOLVE_S: Final = 2.0
RESOLVED_FOR_S: Final = 30.0

MAX_UNRECORDED: Final = 20

Plan = tuple[Fence, frozenset[str]]
Record = Callable[[int, str, str, frozenset[str]], Awaitable[None]]  # term, name, what happened, addresses


def record_change(
    conn: sa.Connection, process: str, term: int, name: str, cause: str, addresses: frozenset[str]
) -> None:
    """Add to the cluster's history what became of its name, as the leader of this term alone may."""
    if fence(conn, term, process):
        detail = {"addresses": " ".join(sorted(addresses))}
        history.record(conn, "dns-changed", name, term=term, cause=cause, detail=detail)


class DnsKeeper:
    """Lives in one event loop; `tend` is called at each heartbeat of a leader, never twice at once."""

    def __init__(self, server: DnsServer, snapshot: Callable[[], Snapshot], clock: Clock, record: Record) -> None:
        self._server = server
        self._snapshot = snapshot
        self._record = record
        self._unrecorded: deque[tuple[str, frozenset[str]]] = deque(maxlen=MAX_UNRECORDED)
        self._clock = clock
        self._done: Plan | None = None
        self.addresses: frozenset[str] = frozenset()  # what the name was last known to hold
        self._check_at_s = float("-inf")
        self._pause_s = FIRST_PAUSE_S
        self._not_before_s = float("-inf")
        self._resolved: dict[str, frozenset[str]] = {}
        self._resolve_at_s: dict[str, float] = {}
        self.trouble = ""
        self.update_count = 0
        self.failure_count = 0

    async def tend(self, term: int) -> None:
        """Bring the name up to date, if there is anything to do. Never raises for what the DNS server does; raises
        DatabaseError where it cannot be recorded, which is then done the next time."""
        await self._look(term)
        while self._unrecorded:
            cause, addresses = self._unrecorded[0]
            await self._record(term, self.name, cause, addresses)
            self._unrecorded.popleft()

    @property
    def name(self) -> str:
        return self._server.name.to_text(omit_final_dot=True)

    async def _look(self, term: int) -> None:
        now_s = self._clock.monotonic_s()
        snapshot = self._snapshot()
        if snapshot.paused:
            self._done = None  # whatever happened meanwhile is looked at anew
            return
        if now_s < self._not_before_s or not snapshot.cluster_id:
            return
        hosts = machine.serving_hosts(snapshot)
        await self._resolve(hosts)
        mine = Fence(snapshot.cluster_id, snapshot.generation, term)
        plan = (mine, machine.wanted(hosts, self._resolved))
        if plan == self._done and now_s < self._check_at_s:
            return
        try:
            trouble = await self._bring(plan)
        except DnsFault as fault:
            trouble = str(fault)
        if trouble:
            self._failed(trouble)
        else:
            self._succeeded(plan, now_s)

    async def _bring(self, plan: Plan) -> str:
        """One reading and, where needed, one update; what stands in the way for people, "" for nothing."""
        mine, wanted = plan
        found = await self._server.read()
        self.addresses = found.addresses
        todo = machine.decide(mine, found, wanted, self._server.ttl_s)
        if isinstance(todo, Leave):
            return todo.trouble
        await self._server.send(todo)
        self.update_count += 1
        if todo.addresses is not None:
            self.addresses = todo.addresses
            log.info("DNS: %s is now %s", self.name, ", ".join(sorted(todo.addresses)))
            if todo.addresses != found.addresses:
                self._unrecorded.append(("addresses changed", todo.addresses))
        return ""

    def _succeeded(self, plan: Plan, now_s: float) -> None:
        if self.trouble:
            log.info("DNS: %s is kept up to date again", self.name)
            self._unrecorded.append(("kept up to date again", self.addresses))
        self.trouble = ""
        self._done, self._check_at_s = plan, now_s + CHECK_S
        self._pause_s, self._not_before_s = FIRST_PAUSE_S, float("-inf")

    def _failed(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("DNS: %s cannot be kept up to date: %s", self.name, trouble)
            self._unrecorded.append((f"cannot be kept up to date: {trouble}", self.addresses))
        self.trouble = trouble
        self.failure_count += 1
        self._done = None
        self._not_before_s = self._clock.monotonic_s() + self._pause_s
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)

    async def _resolve(self, hosts: tuple[str, ...]) -> None:
        """Look the hosts up that are names; one that cannot be looked up keeps what it was before."""
        now_s = self._clock.monotonic_s()
        own = self.name.lower()
        names = [host for host in hosts if machine.literal(host) is None and host.rstrip(".").lower() != own]
        due = [name for name in names if now_s >= self._resolve_at_s.get(name, float("-inf"))]
        for name, found in zip(due, await asyncio.gather(*map(_look_up, due)), strict=True):
            self._resolve_at_s[name] = now_s + RESOLVED_FOR_S
            if found:
                self._resolved[name] = found
            elif name not in self._resolved:
                log.warning("DNS: the member address %s leads to no address that others can use", name)
        for name in self._resolved.keys() - set(names):
            del self._resolved[name]


async def _look_up(host: str) -> frozenset[str]:
    """The usable addresses of a host; none where it cannot be looked up in time."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return frozenset()
    return machine.publishable(str(entry[4][0]) for entry in found)
