"""A client of the cluster in the simulation: the calls of `backend.client.client` over the pure `choice`."""

from collections.abc import Callable, Sequence

from backend.client import choice
from tests.simulation.kernel import Future, Network, Process
from tests.simulation.server import Answered, Server

Reply = Callable[[Answered], None]
Request = Callable[[Server, Reply], None]


class Client:
    """Belongs to one life of one process. `heard` sees every answer, also one that comes too late."""

    def __init__(
        self, process: Process, network: Network, servers: Sequence[Server], heard: Callable[[str, Answered], None]
    ) -> None:
        self._process = process
        self._network = network
        self._servers = {server.name: server for server in servers}
        self._heard = heard
        self._choice = choice.start(self._servers, process.kernel.rng.random())

    async def call(self, label: str, request: Request, *, timeout_s: float, patient: bool = False) -> Answered | None:
        """Ask until a server answers or conflicts; None when none did in time."""
        process = self._process
        self._choice = choice.requested(self._choice)
        deadline_s = process.monotonic_s() + timeout_s
        rounds = 0
        while True:
            found = await self._round(label, request, deadline_s)
            if found is not None:
                return found
            pause_s = choice.backoff_s(rounds, process.kernel.rng.random())
            if not patient or process.monotonic_s() + pause_s >= deadline_s:
                return None
            await process.sleep(pause_s)
            rounds += 1

    def ask_one(self, label: str, name: str, request: Request) -> Future[Answered]:
        """Ask this server and no other."""
        server = self._servers[name]
        asked: Future[Answered] = Future()

        def listen(answered: Answered) -> None:
            if isinstance(answered, Answered):
                self._heard(label, answered)
            asked.set(answered)

        self._process.effect()
        call = self._network.call(self._process, server, lambda reply: request(server, reply))
        call.when_done(lambda: listen(call.value))  # type: ignore[arg-type]  # GONE is told from answers in `listen`
        return asked

    async def _round(self, label: str, request: Request, deadline_s: float) -> Answered | None:
        process = self._process
        waiting = list(choice.order(self._choice, process.monotonic_s()))
        running: dict[str, Future[Answered]] = {}
        while waiting or running:
            if waiting:
                name = waiting.pop(0)
                running[name] = self.ask_one(label, name, request)
            left_s = max(0.0, deadline_s - process.monotonic_s())
            await process.first(list(running.values()), choice.wait_s(self._choice, bool(waiting), left_s))
            found = self._sort(running, bool(waiting))
            if found is not None:
                return found
            if process.monotonic_s() >= deadline_s:
                break
        return None

    def _sort(self, running: dict[str, Future[Answered]], servers_left: bool) -> Answered | None:
        """Note who answered and who failed; the first good answer."""
        now_s = self._process.monotonic_s()
        done = [name for name, future in running.items() if future.done]
        if not done:
            if servers_left and choice.may_hedge(self._choice):
                self._choice = choice.hedged(self._choice)
                return None
            self._blame(running, now_s)
            running.clear()
            return None
        found: Answered | None = None
        for name in done:
            answered = running.pop(name).value
            if isinstance(answered, Answered) and answered.kind in ("answer", "conflict", "refused"):
                self._choice = choice.answered(self._choice, name)
                found = found or answered
            else:
                self._choice = choice.failed(self._choice, name, now_s)
        if found is not None:
            self._blame(running, now_s)
        return found

    def _blame(self, running: dict[str, Future[Answered]], now_s: float) -> None:
        for name in running:
            self._choice = choice.failed(self._choice, name, now_s)
