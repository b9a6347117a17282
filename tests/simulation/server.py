"""An application server in the simulation: the intake's lanes, the lease, the leader's work.

What the real one does in `intake.service`, `cluster.agent` and `main` is done here by small coroutines over the same
pure cores: `intake.batch` with `fold`, `cluster.machine`.
"""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from backend.access.model import MONEY
from backend.access.tokens import TokenCache
from backend.api.problems import ApiProblem
from backend.api.reading import authenticate
from backend.cluster import machine
from backend.db.errors import DatabaseAway
from backend.intake import batch
from backend.intake.errors import BatchRejected, ConnectionFault
from backend.intake.model import Body, EndHold, Expire, Limits, Missing, Policy, command
from backend.wire.base import Ledger
from tests.simulation.access import Access, AccessDesk, Host, scope_of
from tests.simulation.database import Database, DatabaseSession, Reply
from tests.simulation.giver import Giver, giver
from tests.simulation.kernel import GONE, Future, Kernel, Machine, Network, Process

LANES = 2
MAX_BATCH = 8
DEADLINE_S = 5.0
RETRY_S = (0.02, 0.05, 0.1, 0.25)
HEARTBEAT_S = 1.25
LEASE_S = 5.0
DUTY_S = 3.0
ROUNDS = 2  # of work that the leader does for a duty without asking itself again whether it leads
GRACE_MS = 6_000
HELD_MS = 4_000


class Answered(msgspec.Struct, frozen=True):
    """What a client hears: "answer" with its JSON, or "conflict", "unavailable", "unknown", "rejected", "refused" (who
    is not known). An operation's answer is HTTP's status, for how many seconds one is to wait, and the JSON."""

    kind: str
    answer: str = ""


class _Entry:
    __slots__ = ("command", "deadline_s", "reply", "unknown")

    def __init__(self, body: Body, provider_id: int, reply: Reply, deadline_s: float, by: Giver) -> None:
        self.command = command(body, by.actor, provider_id, role=by.role, limits=by.limits)
        self.reply = reply
        self.deadline_s = deadline_s
        self.unknown = False


class Server(Process):
    """`expires` is called with every command that this server makes as the leader, before it is sent."""

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        machine_: Machine,
        network: Network,
        database: Database,
        create_users: bool,
        expires: Callable[[Body], None],
    ) -> None:
        super().__init__(kernel, name, machine_)
        self._network = network
        self._database = database
        self._policy = Policy(Ledger(currency="EUR", decimals=4), create_users)
        self._expires = expires
        self.state: machine.State = machine.Following()
        self._process = ""
        self._waiting: list[_Entry] = []
        self._idle: list[Future[None]] = []
        self._down = True

    @property
    def leads(self) -> bool:
        return self.alive and machine.leads(self.state, self.monotonic_s())

    def begin(self) -> None:
        self.state = machine.Following()
        self._process = self.kernel.fresh_id()
        self._waiting.clear()
        self._idle.clear()
        self._down = True
        self._access = AccessDesk(Host(self, self._database.access, self._ask, self._database.change))
        for lane in range(LANES):
            self.spawn(self._lane(DatabaseSession(self._network, self, self._database, lane)))
        self.spawn(self._lease())
        self.spawn(self._duties())

    def ended(self, silently: bool) -> None:
        self.state = machine.Following()
        if not silently:
            name, life = self.name, self.life - 1
            self._network.send(self, self._database, lambda: self._database.drop_client(name, life), once=True)

    # ------------------------------------------------------------ the intake

    def submit(self, body: Body, provider_id: int, reply: Reply, by: Giver | None = None) -> None:
        """A command has come."""
        if self._down:
            reply(Answered("unavailable"))
            return
        self._waiting.append(_Entry(body, provider_id, reply, self.monotonic_s() + DEADLINE_S, by or giver(body)))
        self._wake()

    def _wake(self) -> None:
        idle, self._idle = self._idle, []
        for future in idle:
            future.set()

    async def _lane(self, session: DatabaseSession) -> None:
        while True:
            if self._down:
                await self._probe(session)
            elif not self._waiting:
                future: Future[None] = Future()
                self._idle.append(future)
                await future
            else:
                await self._run(session, self._take())

    def _take(self) -> list[_Entry]:
        """The next batch, without what waited while this server stood still."""
        taken, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        late = [entry for entry in taken if self.monotonic_s() >= entry.deadline_s]
        for entry in late:
            entry.reply(Answered("unavailable"))
        return [entry for entry in taken if entry not in late]

    async def _probe(self, session: DatabaseSession) -> None:
        answer = self._network.call(self, self._database, lambda reply: reply(True), once=True)
        await self.first([answer], 1.0)
        if answer.value is True:
            self._down = False
            self._wake()
        else:
            await self.sleep(RETRY_S[-1])

    async def _run(self, session: DatabaseSession, entries: list[_Entry]) -> None:
        tries = 0
        while entries:
            try:
                outcomes = await batch.run(session, [entry.command for entry in entries], self._policy, self._provide)
                entries = self._deliver(entries, outcomes)
            except ConnectionFault as fault:
                entries = self._after_fault(entries, fault)
            if entries:
                await self.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _deliver(self, entries: list[_Entry], outcomes: list[batch.Outcome]) -> list[_Entry]:
        self._down = False
        again: list[_Entry] = []
        for entry, outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, ConnectionFault):
                entry.unknown = entry.unknown or outcome.commit_sent
                again.append(entry)
                continue
            self.effect()
            if isinstance(outcome, str):
                entry.reply(Answered("answer", outcome))
            elif outcome is None:
                entry.reply(Answered("conflict"))
            elif isinstance(outcome, BatchRejected):
                entry.reply(Answered("rejected", str(outcome)))
        return again

    def _after_fault(self, entries: list[_Entry], fault: ConnectionFault) -> list[_Entry]:
        self._down = True
        left: list[_Entry] = []
        for entry in entries:
            entry.unknown = entry.unknown or fault.commit_sent
            if self.monotonic_s() >= entry.deadline_s:
                entry.reply(Answered("unknown" if entry.unknown else "unavailable"))
            else:
                left.append(entry)
        return left

    async def _provide(self, missing: Missing) -> None:
        create = self._policy.create_users

        def do() -> bool:
            self._database.provide(missing, create)
            return True

        if await self._ask(lambda reply: self._database.change(do, reply)) is not True:
            raise ConnectionFault("the database does not answer", commit_sent=False)

    async def _ask(self, request: Callable[[Reply], None]) -> Any:
        answer = self._network.call(self, self._database, request, once=True)
        await self.first([answer], 3.0)
        return answer.value if answer.done else GONE

    # ------------------------------------------------------------ people who log in

    def give(self, body: Body, token: str, address: str, reply: Reply) -> None:
        """A command of somebody who logged in has come."""
        self.spawn(self._admit(body, token, address, reply))

    async def _admit(self, body: Body, token: str, address: str, reply: Reply) -> None:
        try:
            who = await authenticate(scope_of(token, address), cast(TokenCache, self._access.tokens), MONEY)
        except (ApiProblem, DatabaseAway) as error:
            self.effect()
            reply(Answered("unavailable" if isinstance(error, DatabaseAway) else "refused"))
            return
        self._database.access.watcher.admitted(body.command_id)
        self.submit(body, 0, reply, Giver(who.actor, who.role, Limits(who.limit_each, who.limit_day)))

    def access(self, asked: Access, address: str, reply: Reply) -> None:
        """Somebody logs in or out, or changes who may."""
        self.spawn(self._serve(asked, address, reply))

    async def _serve(self, asked: Access, address: str, reply: Reply) -> None:
        status, content, retry_s = await self._access.serve(asked, address)
        self.effect()
        reply(Answered("answer" if status < 500 else "unavailable", f"{status} {retry_s} {content.decode()}"))

    # ------------------------------------------------------------ heartbeats of providers

    def heartbeat(self, provider_id: int, open_jobs: tuple[str, ...], reply: Reply) -> None:
        self.spawn(self._renew(provider_id, open_jobs, reply))

    async def _renew(self, provider_id: int, open_jobs: tuple[str, ...], reply: Reply) -> None:
        database = self._database
        done = await self._ask(lambda told: database.change(lambda: database.renew_jobs(provider_id, open_jobs), told))
        if done is True:
            reply(Answered("answer"))
        else:
            reply(Answered("unavailable"))

    def decisions(self, provider_id: int, reply: Reply) -> None:
        """A provider asks what was decided of its jobs."""
        self.spawn(self._decisions(provider_id, reply))

    async def _decisions(self, provider_id: int, reply: Reply) -> None:
        database = self._database
        found = await self._ask(lambda told: told(database.decisions(provider_id)))
        reply(Answered("unavailable") if found is GONE else Answered("answer", found))

    # ------------------------------------------------------------ the lease

    async def _lease(self) -> None:
        while True:
            await self._step()
            if isinstance(machine.action(self.state, self.monotonic_s(), LEASE_S), machine.TakeOver):
                await self._step()
            await self.sleep(HEARTBEAT_S)

    async def _step(self) -> None:
        asked_at_s = self.monotonic_s()
        todo = machine.action(self.state, asked_at_s, LEASE_S)
        database, process = self._database, self._process
        if isinstance(todo, machine.Renew):
            term = todo.term
            told = await self._ask(lambda reply: database.change(lambda: database.renew(term, process), reply))
        elif isinstance(todo, machine.TakeOver):
            seen = todo.expected
            told = await self._ask(lambda reply: database.take_over(seen.term, seen.beat, process, reply))
        else:
            told = await self._ask(lambda reply: reply(database.seen()))
        self._heard(todo, told, asked_at_s)

    def _heard(self, todo: machine.Action, told: Any, asked_at_s: float) -> None:
        now_s = self.monotonic_s()
        if told is GONE:
            self.state = machine.unknown(self.state, now_s)
        elif isinstance(todo, machine.Observe):
            self.state = machine.observed(self.state, told, now_s)
        elif isinstance(todo, machine.Renew):
            self.state = machine.renewed(self.state, asked_at_s, LEASE_S) if told else machine.refused()
        elif told is None:
            self.state = machine.refused()
        else:
            self.tell(f"leads term {told}")
            self.state = machine.taken_over(told, asked_at_s, LEASE_S)

    # ------------------------------------------------------------ the leader's work

    async def _duties(self) -> None:
        while True:
            if isinstance(self.state, machine.Leading) and self.leads:
                await self._lead(self.state.term)
            await self.sleep(DUTY_S if self.leads else HEARTBEAT_S)

    async def _lead(self, term: int) -> None:
        database = self._database
        for _ in range(ROUNDS):
            if not await self._write_as_leader(term):
                return
            await self.sleep(self.kernel.rng.choice((0.0, 0.5)))
        found = await self._ask(lambda reply: reply(database.silent_jobs(GRACE_MS)))
        if found is GONE:
            return
        job_ids, silent_since = found
        for job_id in job_ids:
            await self.sleep(self.kernel.rng.choice((0.0, 0.3, 2.5)))  # it may be the last of many
            await self._give(
                Expire(command_id=self.kernel.fresh_id(), job_id=job_id, term=term, silent_since=silent_since)
            )
        await self._end_holds(term)

    async def _end_holds(self, term: int) -> None:
        database = self._database
        found = await self._ask(lambda reply: reply(database.held_jobs(HELD_MS)))
        if found is GONE:
            return
        job_ids, held_before = found
        for job_id in job_ids:
            await self.sleep(self.kernel.rng.choice((0.0, 0.3, 2.5)))
            await self._give(
                EndHold(command_id=self.kernel.fresh_id(), job_id=job_id, term=term, held_before=held_before)
            )

    async def _give(self, body: Body) -> None:
        self._expires(body)
        self.effect()
        answer: Future[Answered] = Future()
        self.submit(body, 0, answer.set)
        await answer

    async def _write_as_leader(self, term: int) -> bool:
        """One transaction of the leader's; False when the term was another's or nobody answered."""
        database, name, process = self._database, self.name, self._process
        number = await self._ask(lambda reply: database.fence(name, term, process, reply))
        if not isinstance(number, int):
            return False
        self.effect()
        return await self._ask(lambda reply: database.fenced_write(name, number, term, process, reply)) is True
