"""A real server for the console, with people, print servers and jobs brought in through its interfaces.

The print servers are played here: they enroll, send heartbeats from a thread, authorise and report jobs, as a
provider's uplink would. Everything behind the interfaces is the product itself.
"""

import contextlib
import os
import secrets
import sys
import threading
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
import msgspec

from backend.base.ids import uuid7
from backend.wire.access import CreateOperator, OperatorList, OperatorRole, SetOperator
from backend.wire.jobs import (
    Authorise,
    AuthoriseAnswer,
    DecisionList,
    JobDecision,
    JobFacts,
    Outcome,
    Printing,
    Report,
    ReportAnswer,
)
from backend.wire.money import MoneyAnswer, RefundJob, TransferList, TransferView
from backend.wire.people import UserList, UserView
from backend.wire.pricing import Printed
from backend.wire.printers import (
    Enroll,
    EnrollAnswer,
    Heartbeat,
    HeartbeatAnswer,
    QueueList,
    QueueReport,
    QueueView,
    SetQueue,
)
from tests.support.processes import Process, free_port, run

T = TypeVar("T")
BEAT_S: Final = 1.0
RPC_TOKEN: Final = "rpc-for-tests"


@dataclass
class PlayedProvider:
    """A print server as the cluster sees it."""

    name: str
    secret: str
    queues: tuple[QueueReport, ...]
    open_jobs: list[str] = field(default_factory=list)
    silent: bool = False


class System:
    """One application server on SQLite. `admin` and `helpdesk` are tokens of these roles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = folder / "server.toml"
        self._config.write_text(
            f'[server]\nname = "app-01"\nlisten = "127.0.0.1:{self.port}"\n[database]\nurl = "sqlite:///{folder}/ledger.db"\n'
        )
        self._program = [sys.executable, "-m", "backend.main", "--config", str(self._config)]
        self.server = Process("app-01", [*self._program, "run"], log=folder / "server.log", env=dict(os.environ))
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", timeout=5.0, trust_env=False)
        self._providers: list[PlayedProvider] = []
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._numbers = iter(range(1, 100_000))
        self.admin = self.helpdesk = ""

    def __enter__(self) -> Self:
        self._command("migrate")
        self.server.start()
        self.server.wait_for_port(self.port)
        self.admin = self._command("token", "create", "--role", "admin", "--name", "console-admin")
        self.helpdesk = self._command("token", "create", "--role", "helpdesk", "--name", "console-helpdesk")
        self._command("config", "set", "auth.webservices.auth-token", RPC_TOKEN)
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join(10)
        self._http.close()
        self.server.stop()

    def _command(self, *words: str) -> str:
        return run([*self._program, *words], timeout_s=60).stdout.strip().rpartition("\n")[2]

    def token(self, role: str, name: str) -> str:
        return self._command("token", "create", "--role", role, "--name", name)

    def operator(
        self, name: str, role: OperatorRole, password: str, full_name: str = "", each: int = -1, day: int = -1
    ) -> None:
        """Somebody who may log in, with limits in minor units (-1: the settings')."""
        body = CreateOperator(
            name=name, role=role, password=password, full_name=full_name, limit_each=each, limit_day=day
        )
        self._ask("operators", body, self.admin, OperatorList)

    def change_operator(self, name: str, change: SetOperator) -> None:
        self._ask(f"operators/{name}", change, self.admin, OperatorList)

    def user(self, name: str) -> UserView:
        return self._read(f"users/{name}", UserList).users[0]

    def transfers(self, name: str) -> tuple[TransferView, ...]:
        """The newest first."""
        return self._read(f"users/{name}/transfers", TransferList).transfers

    def _read(self, path: str, kind: type[T]) -> T:
        response = self._http.get(path, headers={"Authorization": f"Bearer {self.admin}"})
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=kind)

    def _ask(self, path: str, body: msgspec.Struct, token: str, kind: type[T]) -> T:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        response = self._http.post(path, content=msgspec.json.encode(body), headers=headers)
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=kind)

    # ---------------------------------------------------------------- people

    def add_person(
        self, name: str, full_name: str, balance: float, department: str = "", restricted: bool = True
    ) -> None:
        self._rpc("addNewInternalUser", name, secrets.token_urlsafe(8), full_name, f"{name}@example.org", "", "")
        self._rpc("setUserAccountBalance", name, balance, "Start of term", "")
        self._rpc("setUserProperty", name, "department", department)
        self._rpc("setUserProperty", name, "restricted", str(restricted).lower())

    def _rpc(self, method: str, *words: str | float) -> None:
        body = xmlrpc.client.dumps((RPC_TOKEN, *words), f"api.{method}").encode()
        response = httpx.post(
            f"{self.url}/rpc/api/xmlrpc", content=body, headers={"Content-Type": "text/xml"}, trust_env=False
        )
        response.raise_for_status()
        xmlrpc.client.loads(response.content)

    # ---------------------------------------------------------------- print servers

    def add_provider(self, name: str, queues: Sequence[QueueReport], price: int = 500) -> PlayedProvider:
        provider = PlayedProvider(name, secrets.token_hex(24), tuple(queues))
        host = f"{name}.example.org"
        self._ask(
            "enroll",
            Enroll(token=self.token("provider", name), secret=provider.secret, name=name, host=host),
            "",
            EnrollAnswer,
        )
        self._send_beat(provider)
        self._providers.append(provider)
        for queue in self.queues():
            if queue.provider == name:
                self._ask(f"queues/{queue.queue_id}", SetQueue(cost_per_impression=price), self.admin, QueueList)
        return provider

    def queues(self) -> tuple[QueueView, ...]:
        listed = self._http.get("queues", headers={"Authorization": f"Bearer {self.admin}"})
        return msgspec.json.decode(listed.content, type=QueueList).queues

    def change_queue(self, name: str, change: SetQueue) -> None:
        """Change the queue of that name."""
        (found,) = [one for one in self.queues() if one.name == name]
        self._ask(f"queues/{found.queue_id}", change, self.admin, QueueList)

    def decisions(self, provider: PlayedProvider) -> tuple[JobDecision, ...]:
        """What the print server is to carry out."""
        answer = self._http.get("jobs/decisions", headers={"Authorization": f"Bearer {provider.secret}"})
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=DecisionList).decisions

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            for provider in list(self._providers):
                if not provider.silent:
                    with contextlib.suppress(httpx.HTTPError):  # the server may be dead on purpose
                        self._send_beat(provider)

    def _send_beat(self, provider: PlayedProvider) -> None:
        beat = Heartbeat(
            program_version="0.1.0",
            host=f"{provider.name}.example.org",
            queues=provider.queues,
            open_jobs=tuple(provider.open_jobs),
            disk_free_bytes=80_000_000_000,
        )
        self._ask("heartbeat", beat, provider.secret, HeartbeatAnswer)

    # ---------------------------------------------------------------- jobs

    def ask_again(self, provider: PlayedProvider, job: Authorise) -> AuthoriseAnswer:
        """The job's backend runs once more."""
        again = msgspec.structs.replace(job, command_id=uuid7(), attempt=job.attempt + 1)
        return self._ask("jobs/authorise", again, provider.secret, AuthoriseAnswer)

    def authorise(
        self,
        provider: PlayedProvider,
        queue: str,
        user: str,
        title: str,
        impressions: int,
        facts: JobFacts | None = None,
    ) -> Authorise:
        """A job asks to be printed; whether it may is the server's answer, which the console will show."""
        number = next(self._numbers)
        body = Authorise(
            command_id=uuid7(),
            job_id=uuid7(),
            attempt=1,
            printing=Printing(spool_id="played", cups_job_id=number, time_at_creation=1_700_000_000 + number),
            queue=queue,
            user_name=user,
            title=title,
            host="lab-pc-12",
            facts=facts or JobFacts(impressions=impressions, sheets=impressions, document_format="application/pdf"),
        )
        self._ask("jobs/authorise", body, provider.secret, AuthoriseAnswer)
        return body

    def report(
        self,
        provider: PlayedProvider,
        job: Authorise,
        printed: int,
        outcome: Outcome = "completed",
        *,
        estimated: bool = False,
        offline: bool = False,
        in_doubt: bool = False,
    ) -> None:
        body = Report(
            command_id=uuid7(),
            job_id=job.job_id,
            attempt=job.attempt,
            printing=job.printing,
            queue=job.queue,
            user_name=job.user_name,
            title=job.title,
            facts=job.facts,
            revision=1,
            outcome=outcome,
            printed=Printed(
                impressions=printed,
                sheets=min(printed, job.facts.sheets),
                color_impressions=min(printed, job.facts.color_impressions),
                media=job.facts.media,
            ),
            estimated=estimated,
            offline=offline,
            in_doubt=in_doubt,
        )
        self._ask("jobs/report", body, provider.secret, ReportAnswer)

    def refund(self, job: Authorise, pages: int, comment: str) -> MoneyAnswer:
        """Somebody of the help desk gives pages back."""
        body = RefundJob(command_id=uuid7(), pages=pages, comment=comment)
        return self._ask(f"jobs/{job.job_id}/refund", body, self.helpdesk, MoneyAnswer)

    def print_job(
        self,
        provider: PlayedProvider,
        queue: str,
        user: str,
        title: str,
        impressions: int,
        *,
        estimated: bool = False,
        offline: bool = False,
    ) -> None:
        job = self.authorise(provider, queue, user, title, impressions)
        self.report(provider, job, impressions, estimated=estimated, offline=offline)
