"""People and programs that move money beside printing: adjustments, set balances, limits; and a troublemaker. Some of
them log in to do so.

Each command gets its id before it is sent and is asked for under that id until somebody answers, as every client does.
The troublemaker sends what others have sent once more, to any server, and uses old ids for other content.
"""

from collections.abc import Callable, Sequence

import msgspec

from backend.intake.model import Body, EndHold, Expire
from backend.wire.base import CommandId
from backend.wire.jobs import Authorise, Report
from backend.wire.money import Adjust
from backend.wire.pricing import Printed
from tests.simulation.auditor import Auditor
from tests.simulation.clerks import Admin, Caller, Clerk
from tests.simulation.client import Client, Reply
from tests.simulation.errors import Broken
from tests.simulation.giver import CLERKS, clerk_of
from tests.simulation.kernel import Kernel, Machine, Network, Process
from tests.simulation.server import Answered, Server


class Desk(Process):
    """The help desk's program."""

    def __init__(
        self,
        kernel: Kernel,
        machine: Machine,
        network: Network,
        servers: Sequence[Server],
        auditor: Auditor,
        admin_token: str,
    ) -> None:
        super().__init__(kernel, "desk", machine)
        self._auditor = auditor
        self._client = Client(self, network, servers, self._heard)
        self._providers: dict[str, int] = {}
        self.open: dict[str, Body] = {}
        caller = Caller(self, network, servers)
        self.clerks = {name: Clerk(name, caller, auditor.access) for name in CLERKS}
        self.admin = Admin(caller, admin_token)

    def provider_of(self, body: Body, provider_id: int) -> None:
        """Whose command it is: a replay has to say the same."""
        self._providers[body.command_id] = provider_id

    def give(self, body: Body) -> None:
        """Give a command and stay with it until it is answered."""
        self._auditor.send(body)
        self.open[body.command_id] = body
        self.tell(f"gives {_brief(body)}")
        self.after(0.0, lambda: self.spawn(self._until_answered(body)))

    def replay(self, body: Body, server: Server) -> None:
        """Somebody sends an old command to this server once more."""
        self.tell(f"replays {_brief(body)} to {server.name}")
        self.after(0.0, lambda: self._ask_one(body.command_id, server, body))

    def stale(self, body: Authorise | Report, server: Server) -> None:
        """A print server that was restored from a backup says an old thing again, under a new id."""
        again = msgspec.structs.replace(body, command_id=new_id(self.kernel))
        if isinstance(again, Report) and self.kernel.chance(0.5):
            again = msgspec.structs.replace(again, printed=Printed(impressions=1, sheets=1))
        self.provider_of(again, self._providers[body.command_id])
        self._auditor.send(again)
        self.tell(f"says again {_brief(body)} to {server.name}")
        self.after(0.0, lambda: self._ask_one(again.command_id, server, again))

    def misuse(self, body: Body, server: Server) -> None:
        """Somebody uses an old id for something else."""
        other = Adjust(command_id=body.command_id, user_name="ada", amount=4711, comment="misused")
        self.tell(f"misuses {body.command_id[-6:]} at {server.name}")

        def send() -> None:
            self._client.ask_one("misuse " + body.command_id, server.name, self._request(other, 0))

        self.after(0.0, send)

    @property
    def is_quiet(self) -> bool:
        return not self.open and not self.admin.busy and not any(clerk.busy for clerk in self.clerks.values())

    def abuse(self, body: Adjust, token: str, server: Server) -> None:
        """Somebody has kept a clerk's token and uses it, whether or not it is ended."""
        self._auditor.send(body)
        clerk = self.clerks[clerk_of(body)]
        self.tell(f"gives {_brief(body)} by an old token to {server.name}")

        def send() -> None:
            self._client.ask_one(body.command_id, server.name, self._by_token(body, clerk, token))

        self.after(0.0, send)

    async def _until_answered(self, body: Body) -> None:
        while body.command_id in self.open:
            await self.ask(body)

    async def ask(self, body: Body) -> Answered | None:
        """Ask the servers for this command, as whoever gives it."""
        clerk = self.clerks.get(clerk_of(body))
        if clerk is None:
            return await self._client.call(body.command_id, self._request(body, 0), timeout_s=5.0, patient=True)
        token = await clerk.token_now()
        request = self._by_token(body, clerk, token)
        answered = await self._client.call(body.command_id, request, timeout_s=5.0, patient=True)
        if answered is not None and answered.kind == "refused":
            clerk.refused(token)
        return answered

    def _by_token(self, body: Body, clerk: Clerk, token: str) -> Callable[[Server, Reply], None]:
        return lambda server, reply: server.give(body, token, clerk.address, reply)

    def _ask_one(self, label: str, server: Server, body: Body) -> None:
        self._client.ask_one(label, server.name, self._request(body, self._providers.get(body.command_id, 0)))

    def _request(self, body: Body, provider_id: int) -> Callable[[Server, Reply], None]:
        return lambda server, reply: server.submit(body, provider_id, reply)

    def _heard(self, label: str, answered: Answered) -> None:
        if label.startswith("misuse "):
            known = label.removeprefix("misuse ")
            if answered.kind == "answer" and known in self._auditor.told:
                raise Broken("P8", f"command {known} was answered for other content: {answered.answer}")
            return
        if answered.kind == "answer":
            self._auditor.hear(label, answered.answer)
            self.open.pop(label, None)
        elif answered.kind in ("conflict", "rejected"):
            raise Broken("P8", f"command {label} was answered {answered.kind}")


def replayable(auditor: Auditor) -> list[Body]:
    """What clients have sent and been answered."""
    return [auditor.sent[key] for key in auditor.told if not isinstance(auditor.sent[key], Expire | EndHold)]


def new_id(kernel: Kernel) -> CommandId:
    return CommandId(kernel.fresh_id())


def _brief(body: Body) -> str:
    """The command in a few words: its class and what it changes."""
    skipped = ("v", "command_id", "job_id", "printed", "facts", "printing", "runs", "title", "host")
    fields = {name: value for name, value in msgspec.structs.asdict(body).items() if name not in skipped and value}
    words = " ".join(f"{name}={value}" for name, value in fields.items())
    return f"{type(body).__name__} {body.command_id[-6:]} {words}"
