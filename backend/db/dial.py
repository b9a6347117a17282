"""Finding the primary among a cluster's hosts, and getting a connection to it, whatever state the others are in.

libpq asks several hosts one after another, so a host in front of the list that is switched off or frozen costs its
time-out at every connect. Here the host that was the primary when last seen is dialled alone for a moment, then all
others at once beside it; the first that takes writes wins. While one of them has not answered yet, a host that
refused is asked again, since it may be promoted meanwhile. `Race` decides what to do and does no waiting; two short
loops drive it, one for threads, one for the event loop.

Invariant: a dial ends within its deadline, and every connection but the winner's is closed.
"""

import asyncio
import ipaddress
import select
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

HEAD_START_S = 0.15
# How much later than all others a host is dialled that did not confirm a commit: another may be the primary by now.
UNCONFIRMED_S = 0.5
AGAIN_S = 0.25
DEADLINE_S = 2.0
# How long a change of the primary is waited for. A planned one takes two to four seconds, on a busy machine many more;
# where the primary's whole machine is gone it takes Patroni's ttl, twenty seconds.
HANDOVER_S = 30.0
# How long it may take after a fault until the next dial has told how things stand: of one host, and of a cluster's.
SETTLE_S = 0.5
SETTLE_CLUSTER_S = DEADLINE_S + 1.0
# What a server says that is not there yet, or not any more, but runs.
_LIVES = "the database system is "

Address = tuple[str, str]


@dataclass
class Attempt:
    """One host being dialled; `again_s` is when it is dialled next, `pgconn` the attempt under way."""

    address: Address
    conninfo: bytes
    again_s: float
    pgconn: pq.abc.PGconn | None = None
    writing: bool = True
    trouble: str = ""
    lives: bool = False  # it answered, and takes no writes: a standby, or one that starts or ends


class Race:
    """Dials hosts side by side. `start`, then `step` whenever a socket is ready or `due_s` has come.

    libpq is asked to go on with a connection only when its socket is ready: before that it takes a connection still
    being made for one that stands, and waits for the network with everybody behind it.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[Address, str]],
        favourite: Address | None,
        any_will_do: bool,
        unconfirmed: Address | None = None,
    ) -> None:
        self._hosts = hosts
        self._favourite = favourite if favourite != unconfirmed else None
        self._unconfirmed = unconfirmed
        self._any_will_do = any_will_do
        self.attempts: list[Attempt] = []

    def start(self, now_s: float) -> None:
        known = any(address == self._favourite for address, _ in self._hosts)

        def wait_s(address: Address) -> float:
            if address == self._unconfirmed:
                return UNCONFIRMED_S
            return HEAD_START_S if known and address != self._favourite else 0.0

        self.attempts = [
            Attempt(address, conninfo.encode(), now_s + wait_s(address)) for address, conninfo in self._hosts
        ]

    def step(self, now_s: float, ready: Collection[int] = ()) -> Attempt | None:
        """Go on with what is due and with the sockets that are ready; the winner, once there is one."""
        for attempt in self.attempts:
            if attempt.pgconn is None and attempt.again_s <= now_s:
                attempt.pgconn = pq.PGconn.connect_start(attempt.conninfo)
                attempt.writing = True
                if attempt.pgconn.status == pq.ConnStatus.BAD:
                    self._refused(attempt, now_s)
            elif attempt.pgconn is not None and attempt.pgconn.socket in ready and self._poll(attempt, now_s):
                return attempt
        return None

    def lost(self) -> bool:
        """Whether every host has refused, so that waiting on is of no use."""
        return all(attempt.pgconn is None and attempt.trouble for attempt in self.attempts)

    def sockets(self) -> list[tuple[int, bool]]:
        """The sockets to wait for, each with whether for writing."""
        return [(a.pgconn.socket, a.writing) for a in self.attempts if a.pgconn is not None]

    def due_s(self) -> float:
        """When the next host is to be dialled."""
        return min((a.again_s for a in self.attempts if a.pgconn is None), default=float("inf"))

    def close(self, winner: Attempt | None = None) -> None:
        for attempt in self.attempts:
            if attempt is not winner and attempt.pgconn is not None:
                attempt.pgconn.finish()

    def told(self) -> str:
        """Why nobody won, in one line."""
        if len(self.attempts) == 1:
            return self.attempts[0].trouble or "no answer in time"
        return "no host takes writes: " + "; ".join(
            f"{':'.join(a.address)} {a.trouble or 'does not answer'}" for a in self.attempts
        )

    def _poll(self, attempt: Attempt, now_s: float) -> bool:
        assert attempt.pgconn is not None
        status = attempt.pgconn.connect_poll()
        if status == pq.PollingStatus.OK:
            if self._any_will_do or not _is_standby(attempt.pgconn):
                return True
            attempt.lives = True
            self._refused(attempt, now_s, "is read-only")
        elif status == pq.PollingStatus.FAILED:
            self._refused(attempt, now_s)
        else:
            attempt.writing = status == pq.PollingStatus.WRITING
        return False

    def _refused(self, attempt: Attempt, now_s: float, trouble: str = "") -> None:
        assert attempt.pgconn is not None
        lines = attempt.pgconn.get_error_message().strip().splitlines()
        attempt.trouble = trouble or (lines[0] if lines else "refused")
        attempt.lives = attempt.lives or (_LIVES in attempt.trouble and len(self._hosts) > 1)
        attempt.pgconn.finish()
        attempt.pgconn = None
        attempt.again_s = now_s + AGAIN_S


class Dialer:
    """The way to one database. Remembers who was the primary, and whether the last dial met a cluster that is between
    two primaries. Used by several threads; what it remembers is only ever a hint."""

    def __init__(self, parameters: Mapping[str, str] | str) -> None:
        found = conninfo_to_dict(parameters) if isinstance(parameters, str) else dict(parameters)
        given = {name: str(value) for name, value in found.items() if value is not None}
        self._any_will_do = given.pop("target_session_attrs", "any") != "read-write"
        self._deadline_s = float(given.pop("connect_timeout", DEADLINE_S)) or DEADLINE_S
        names, ports = given.pop("host", "").split(","), given.pop("port", "").split(",")
        self._hosts = [(name, ports[at] if at < len(ports) else ports[0]) for at, name in enumerate(names)]
        self._parameters = given
        self._primary: Address | None = None
        self._unconfirmed: Address | None = None
        self._changing_since_s: float | None = None
        self._reached_at_s = float("-inf")  # when the last dial ended, if it reached a primary
        self.faults = 0

    def suspect(self, *, unconfirmed: bool = False) -> None:
        """A connection of this database failed: those made before are not to be used again. `unconfirmed`: a commit was
        not confirmed. A primary that nobody looks after any more lives on like that beside the one that replaced it: it
        takes connections, answers, and waits for a standby that does not follow it, so the others are dialled first."""
        self.faults += 1
        if unconfirmed:
            self._unconfirmed = self._primary

    @property
    def primary(self) -> Address | None:
        """The host that took writes when it was last dialled."""
        return self._primary

    def changing(self, now_s: float | None = None) -> bool:
        """Whether the cluster lives but had no primary when last dialled, and that not for long: one is to be expected
        within a moment, so that waiting is better than refusing."""
        since_s = self._changing_since_s
        return since_s is not None and (time.monotonic() if now_s is None else now_s) - since_s < HANDOVER_S

    def wait_s(self) -> float:
        """How long it is worth to wait for the next primary, from the first fault on. As long as for a change where one
        was reached a moment ago (who was told otherwise asked too early); else, after a dial that reached one, nothing
        is known of what came then until the next dial has ended."""
        if self.changing() or time.monotonic() < self._reached_at_s + self.settle_s:
            return HANDOVER_S
        return self.settle_s if self._reached_at_s > 0 else 0.0

    @property
    def settle_s(self) -> float:
        """How long after a fault it may not be known yet whether another primary is to be expected."""
        return SETTLE_CLUSTER_S if len(self._hosts) > 1 else SETTLE_S

    def dial(self, **more: str) -> pq.abc.PGconn:
        """A connection that takes writes, in the calling thread; `more` are further parameters of libpq. Raises
        psycopg.OperationalError."""
        race = self._race(self._hosts, more)
        deadline_s = time.monotonic() + self._deadline_s
        winner = None
        try:
            race.start(time.monotonic())
            ready: Collection[int] = ()
            while winner is None and not race.lost() and time.monotonic() < deadline_s:
                winner = race.step(time.monotonic(), ready)
                if winner is None and not race.lost():
                    ready = _wait(race, min(deadline_s, race.due_s()))
        finally:
            race.close(winner)
        return self._ended(race, winner)

    async def dial_async(self, **more: str) -> pq.abc.PGconn:
        """The same in the event loop."""
        deadline_s = time.monotonic() + self._deadline_s
        hosts = [found for address in self._hosts for found in await _resolved(address, deadline_s)]
        race = self._race(hosts, more)
        winner = None
        try:
            race.start(time.monotonic())
            ready: Collection[int] = ()
            while winner is None and not race.lost() and time.monotonic() < deadline_s:
                winner = race.step(time.monotonic(), ready)
                if winner is None and not race.lost():
                    ready = await _wait_async(race, min(deadline_s, race.due_s()))
        finally:
            race.close(winner)
        return self._ended(race, winner)

    def _race(self, hosts: Sequence[tuple[str, ...]], more: Mapping[str, str]) -> Race:
        parameters = {**self._parameters, **more}
        dialled = []
        for host, port, *hostaddr in hosts:
            place = {"host": host, "port": port, "hostaddr": hostaddr[0] if hostaddr else ""}
            words = {**parameters, **{name: value for name, value in place.items() if value}}
            dialled.append(((host, port), make_conninfo("", **words)))
        several = len(hosts) > 1
        return Race(
            dialled, self._primary if several else None, self._any_will_do, self._unconfirmed if several else None
        )

    def _ended(self, race: Race, winner: Attempt | None) -> pq.abc.PGconn:
        self._reached_at_s = float("-inf") if winner is None else time.monotonic()
        if winner is not None and winner.pgconn is not None:
            self._primary, self._changing_since_s, self._unconfirmed = winner.address, None, None
            winner.pgconn.nonblocking = 1
            return winner.pgconn
        if any(attempt.lives for attempt in race.attempts):
            self._changing_since_s = self._changing_since_s or time.monotonic()
        elif race.lost():
            self._changing_since_s = None  # else somebody was only slow to answer, and what was known stays
        raise psycopg.OperationalError(race.told())


def _is_standby(pgconn: pq.abc.PGconn) -> bool:
    """Told by PostgreSQL 14 and newer at connect, without a question asked."""
    return b"on" in map(pgconn.parameter_status, (b"in_hot_standby", b"default_transaction_read_only"))


def _wait(race: Race, until_s: float) -> list[int]:
    """Wait for the first socket, or until that time; the sockets that are ready."""
    poll = select.poll()
    for number, writing in race.sockets():
        poll.register(number, select.POLLOUT if writing else select.POLLIN)
    return [number for number, _ in poll.poll(max(0.0, until_s - time.monotonic()) * 1000 + 1)]


async def _wait_async(race: Race, until_s: float) -> set[int]:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    ready: set[int] = set()

    def note(number: int) -> None:
        ready.add(number)
        woken.set()

    sockets = race.sockets()
    for number, writing in sockets:
        (loop.add_writer if writing else loop.add_reader)(number, note, number)
    try:
        await asyncio.wait_for(woken.wait(), max(0.0, until_s - time.monotonic()) + 0.001)
    except TimeoutError:
        return ready
    finally:
        for number, writing in sockets:
            (loop.remove_writer if writing else loop.remove_reader)(number)
    return ready


async def _resolved(address: Address, deadline_s: float) -> list[tuple[str, ...]]:
    """The host with each of its addresses: libpq would look them up itself, and hold up the event loop."""
    host, port = address
    if not host or host.startswith(("/", "@")):
        return [address]
    try:
        ipaddress.ip_address(host)
        return [address]
    except ValueError:
        lookup = asyncio.get_running_loop().getaddrinfo(host, port or "5432", type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wait_for(lookup, max(0.01, deadline_s - time.monotonic()))
    except (OSError, TimeoutError):
        return [address]
    return [(host, port, str(place[4][0])) for place in found]
