"""People of the help desk who log in, whoever administers them, and a stranger who guesses their passwords.

A clerk knows the passwords that may be right: where no answer came, the old one and the new one. Whoever is refused
with a token logs in again, and gives the same command under the same id.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from backend.wire.access import ChangePassword, LogIn, LogInAnswer, SetOperator
from tests.simulation.access import Access, first_password
from tests.simulation.access_auditor import AccessAuditor
from tests.simulation.client import Client
from tests.simulation.errors import Broken
from tests.simulation.kernel import Network, Process
from tests.simulation.server import Answered, Server

CALL_S = 8.0
AGAIN_S = 1.0
GUESS_PAUSE_S = 0.05


class Told(NamedTuple):
    """HTTP's status (0: no answer), for how long one is to wait, and the JSON."""

    status: int
    retry_s: int
    content: str

    @property
    def code(self) -> str:
        """The problem's, "" where there is none."""
        return str(msgspec.json.decode(self.content).get("code", "")) if self.status >= 400 else ""


class Caller:
    """Asks the servers from a machine, whose name is its address."""

    def __init__(self, process: Process, network: Network, servers: Sequence[Server]) -> None:
        self.process = process
        self.address = process.machine.name
        self._client = Client(process, network, servers, lambda label, answered: None)

    async def ask(self, asked: Access) -> Told:
        """What a server answers; `status` 0 where none did in time."""
        found = await self._client.call(
            asked.operation, lambda server, reply: server.access(asked, self.address, reply), timeout_s=CALL_S
        )
        return _told(found)


def _told(found: Answered | None) -> Told:
    if found is None:
        return Told(0, 0, "")
    status, retry_s, content = found.answer.split(" ", 2)
    return Told(int(status), int(retry_s), content)


async def try_password(caller: Caller, auditor: AccessAuditor, name: str, password: str) -> Told:
    """Log in by this password; the auditor hears what came of it."""
    since_s = caller.process.kernel.now
    told = await caller.ask(Access("log_in", LogIn(name=name, password=password)))
    if told.status == 200 or told.code == "login-refused":
        auditor.told(name, password, since_s, right=told.status == 200)
    return told


class Clerk:
    """`token` is "" while nobody is logged in; `ended` are those that were. `passwords`: any of these may be right."""

    def __init__(self, name: str, caller: Caller, auditor: AccessAuditor) -> None:
        self.name = name
        self.token = ""
        self.ended: list[str] = []
        self.passwords = [first_password(name)]
        self.busy = 0
        self._caller = caller
        self._process = caller.process
        self._auditor = auditor
        self._logging_in = False

    @property
    def address(self) -> str:
        return self._caller.address

    def act(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Begin to do something."""
        self.busy += 1
        self._process.after(0.0, lambda: self._process.spawn(self._do(work, *arguments)))

    async def _do(self, work: Callable[..., Any], *arguments: Any) -> None:
        await work(*arguments)
        self.busy -= 1

    async def token_now(self) -> str:
        """A token, once there is one."""
        while not self.token:
            if self._logging_in:
                await self._process.sleep(AGAIN_S / 4)
            else:
                self._logging_in = True
                await self._log_in()
                self._logging_in = False
        return self.token

    def refused(self, token: str) -> None:
        """A server does not know this token any more."""
        if self.token == token:
            self._forget()

    def _forget(self) -> None:
        if self.token:
            self.ended.append(self.token)
        self.token = ""

    async def _log_in(self) -> None:
        password = self.passwords[0]
        told = await try_password(self._caller, self._auditor, self.name, password)
        if told.status == 200:
            self.token = msgspec.json.decode(told.content, type=LogInAnswer).token
            self._process.tell(f"{self.name} is logged in")
            return
        if told.code == "login-refused":
            self.hear_of(password, len(self.passwords))  # the others first
        await self._process.sleep(told.retry_s or AGAIN_S)

    async def mistype(self) -> None:
        await try_password(self._caller, self._auditor, self.name, "a slip of the finger")

    async def log_out(self) -> None:
        token = self.token
        if token:
            self._process.tell(f"{self.name} logs out")
            self._forget()
            await self._caller.ask(Access("log_out", token=token))

    async def change_password(self, new: str) -> None:
        """Whether it was done is not always known: then either may be right."""
        token, old, since_s = await self.token_now(), self.passwords[0], self._process.kernel.now
        self.hear_of(new, 1)
        self._process.tell(f"{self.name} changes the password to {new!r}")
        told = await self._caller.ask(Access("change_password", ChangePassword(old=old, new=new), token=token))
        if told.status == 200 or told.code == "login-refused":
            self._auditor.told(self.name, old, since_s, right=told.status == 200)
        if told.status == 200:
            self.hear_of(new, 0)
        elif told.code == "unauthenticated":
            self.refused(token)

    def hear_of(self, password: str, place: int = 0) -> None:
        """This may be the password now."""
        others = [other for other in self.passwords if other != password]
        self.passwords = [*others[:place], password, *others[place:]]


class Admin:
    """Changes who may log in, one after the other, each until a server has answered."""

    def __init__(self, caller: Caller, token: str) -> None:
        self._caller = caller
        self._token = token
        self._todo: list[tuple[Clerk, SetOperator]] = []
        self._working = False

    @property
    def busy(self) -> bool:
        return bool(self._todo)

    def set(self, clerk: Clerk, body: SetOperator) -> None:
        self._todo.append((clerk, body))
        if not self._working:
            self._working = True
            process = self._caller.process
            process.after(0.0, lambda: process.spawn(self._work()))

    async def _work(self) -> None:
        while self._todo:
            clerk, body = self._todo[0]
            if body.password is not None:
                clerk.hear_of(body.password)
            told = await self._caller.ask(Access("change_operator", body, clerk.name, self._token))
            if told.status == 200:
                del self._todo[0]
            elif told.status:
                raise Broken("log-ins", f"the administrator was answered {told}")
        self._working = False


class Stranger(Process):
    """Guesses, one after the other and side by side, and does not wait as it is told to."""

    def prepare(self, network: Network, servers: Sequence[Server], auditor: AccessAuditor) -> None:
        self._caller = Caller(self, network, servers)
        self._auditor = auditor
        self.busy = 0

    def guess(self, name: str, times: int) -> None:
        self.busy += 1
        self.after(0.0, lambda: self.spawn(self._guess(name, times)))

    async def _guess(self, name: str, times: int) -> None:
        for number in range(times):
            await try_password(self._caller, self._auditor, name, f"guess {number}")
            await self.sleep(GUESS_PAUSE_S)
        self.busy -= 1
