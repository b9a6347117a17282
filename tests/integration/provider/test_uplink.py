"""What leaves the machine, against a server of a few lines: deadlines, reports until taken, a restored database."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import msgspec

from backend.base.clock import SystemClock
from backend.base.ids import uuid7
from backend.client.client import ApiClient
from backend.wire.base import JobId
from backend.wire.errors import problem
from backend.wire.jobs import AuthoriseAnswer, JobFacts, Printing, ReportAnswer
from backend.wire.pricing import Printed, SimpleCost
from backend.wire.printers import HeartbeatAnswer, Member, QueuePolicy
from provider.analysis.worker import Analyser
from provider.cups.client import Cupsd
from provider.enrolment import Cluster, read_cluster
from provider.jobs.book import Book
from provider.jobs.model import Ending, JobRecord
from provider.jobs.offline import OfflineDeny, OfflinePrint
from provider.service import Service
from provider.settings import CupsSection, ProviderSection, ProviderSettings
from provider.uplink.sender import ReportSink, Uplink

FACTS = JobFacts(impressions=1, sheets=1)


class Server:
    """Answers as it is told; keeps what it was told."""

    def __init__(self) -> None:
        self.away = False
        self.delay_s = 0.0
        self.refuse: dict[str, str] = {}
        self.generation = 1
        self.reports: list[str] = []
        self.command_ids: list[str] = []
        self.beats: list[dict[str, object]] = []

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        await asyncio.sleep(self.delay_s)
        told = json.loads(request.content) if request.content else {}
        answer: msgspec.Struct
        if request.url.path.endswith("/authorise"):
            self.command_ids.append(told["command_id"])
            answer = AuthoriseAnswer(job_id=told["job_id"], decision="authorised")
        elif request.url.path.endswith("/report"):
            if told["job_id"] in self.refuse:
                refusal = problem(self.refuse[told["job_id"]])
                return httpx.Response(refusal.status, content=msgspec.json.encode(refusal))
            self.reports.append(told["job_id"])
            self.command_ids.append(told["command_id"])
            answer = ReportAnswer(job_id=JobId(told["job_id"]), state="completed", charged=1)
        else:
            self.beats.append(told)
            answer = HeartbeatAnswer(
                generation=self.generation,
                members=(
                    Member(name="a", url="http://a", state="serving"),
                    Member(name="b", url="http://b", state="gone"),
                ),
                queues=(QueuePolicy(name="shut", disabled=True, cost=SimpleCost(per_impression=1)),),
                heartbeat_s=0.2,
            )
        return httpx.Response(
            200, content=msgspec.json.encode(answer), headers={"Inkeeper-Generation": str(self.generation)}
        )

    def client(self) -> ApiClient:
        return ApiClient(["http://a"], "ik_token", transport=httpx.MockTransport(self.handle))


def record(number: int = 1, *, revision: int = 1, phase: str = "ended") -> JobRecord:
    return JobRecord(
        job_id=uuid7(),
        printing=Printing(spool_id="s", cups_job_id=number, time_at_creation=1),
        queue="q",
        user_name="anna",
        created_at=SystemClock().now_ms(),
        authorise_id=uuid7(),
        attempt=1,
        facts=FACTS,
        phase=phase,  # type: ignore[arg-type]
        settled_at=SystemClock().now_ms() if phase == "settled" else None,
        ending=Ending(
            command_id=uuid7(),
            revision=revision,
            outcome="completed",
            printed=Printed(impressions=1, sheets=1),
            estimated=False,
        ),
    )


async def until(probe: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def sending(server: Server, records: list[JobRecord]) -> AsyncIterator[tuple[Uplink, list[str], list[str]]]:
    """An uplink that sends these records' reports, and what came of them."""
    known = {record.job_id: record for record in records}
    reported: list[str] = []
    refused: list[str] = []

    async def fetch(job_id: str) -> JobRecord | None:
        return known.get(job_id)

    uplink = Uplink(server.client())
    sink = ReportSink(fetch, lambda job_id, *_: reported.append(job_id), lambda job_id, _, code: refused.append(code))
    task = asyncio.create_task(uplink.run_sender(sink))
    for one in records:
        uplink.send(one)
    try:
        yield uplink, reported, refused
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await uplink.client.aclose()


def test_reports_are_sent_until_they_are_taken_under_the_same_id() -> None:
    async def scenario() -> None:
        server, records = Server(), [record(n) for n in range(40)]
        server.away = True
        async with sending(server, records) as (uplink, reported, _):
            await until(lambda: uplink.outbox.failures > 2, "some tries to fail")
            assert uplink.contact.trouble
            server.away = False
            await until(lambda: len(reported) == 40, "all to be taken")
            assert uplink.contact.trouble == ""
            assert uplink.outbox.backlog == 0
        assert sorted(server.command_ids) == sorted(r.ending.command_id for r in records if r.ending)

    asyncio.run(scenario())


def test_a_refused_report_is_kept_and_the_others_go_on() -> None:
    async def scenario() -> None:
        server, records = Server(), [record(n) for n in range(5)]
        server.refuse = {records[0].job_id: "command-conflict"}
        async with sending(server, records) as (uplink, reported, refused):
            await until(lambda: len(reported) == 4 and len(refused) == 1, "the others to be taken")
            assert refused == ["command-conflict"]
            assert (uplink.outbox.backlog, uplink.outbox.parcels[records[0].job_id].refused) == (1, "command-conflict")

    asyncio.run(scenario())


def test_a_provider_that_is_not_known_any_more_keeps_all_its_reports() -> None:
    async def scenario() -> None:
        server, records = Server(), [record(n) for n in range(3)]
        server.refuse = {r.job_id: "unauthenticated" for r in records}
        async with sending(server, records) as (uplink, reported, refused):
            await until(lambda: uplink.outbox.failures > 1, "some tries to fail")
            assert (reported, refused, uplink.outbox.backlog) == ([], [], 3)
            server.refuse = {}
            await until(lambda: len(reported) == 3, "all to be taken")

    asyncio.run(scenario())


def test_no_decision_takes_longer_than_its_deadline() -> None:
    async def scenario() -> None:
        server = Server()
        uplink = Uplink(server.client())
        asked = record()
        answer = await uplink.authorise(asked, time.monotonic() + 1.8)
        assert answer is not None
        assert answer.decision == "authorised"
        for away, delay_s in ((True, 0.0), (False, 1e6)):  # who waited for that server would never come back
            server.away, server.delay_s = away, delay_s
            assert await uplink.authorise(asked, time.monotonic() + 0.5) is None
        await uplink.client.aclose()

    asyncio.run(scenario())


def test_a_restored_database_is_told_the_journal_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Server()
        settings = ProviderSettings(
            provider=ProviderSection(state_dir=str(tmp_path)), cups=CupsSection(server=str(tmp_path / "no.sock"))
        )
        settings.runs_dir.mkdir()
        old = [record(n, phase="settled") for n in range(3)]
        async with daemon(server, settings, Cluster(generation=1, servers=("http://a",)), old) as service:
            await until(lambda: bool(server.beats), "a heartbeat")
            assert service.offline_verdict(old[0]) == OfflinePrint()
            assert server.reports == []
            server.generation = 2
            await until(lambda: len(server.reports) == 3, "the journal to be told again")
            await until(
                lambda: (read_cluster(tmp_path).generation, read_cluster(tmp_path).resending) == (2, False),
                "it to be noted",
            )
        kept = read_cluster(tmp_path)
        assert kept.servers == ("http://a",)
        assert [policy.name for policy in kept.queues] == ["shut"]
        assert sorted(server.command_ids) == sorted(r.ending.command_id for r in old if r.ending)

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def daemon(
    server: Server, settings: ProviderSettings, cluster: Cluster, records: list[JobRecord]
) -> AsyncIterator[Service]:
    """A provider's work without its socket, with these records in its journal."""
    book = Book(settings.state_dir / "journal", SystemClock())
    uplink = Uplink(server.client())
    uplink.client.generation = cluster.generation
    cupsd = Cupsd(settings.cups.server)
    service = Service(settings, cluster, book, cupsd, Analyser(), uplink, SystemClock())
    await service.recover()
    for one in records:
        await book.write(one)
    tasks = [asyncio.create_task(work) for work in (service.run_sender(), service.run_heartbeats())]
    try:
        yield service
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.close()
        await book.close()
        await uplink.client.aclose()


def test_a_queue_that_is_switched_off_does_not_print_without_a_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Server()
        settings = ProviderSettings(
            provider=ProviderSection(state_dir=str(tmp_path)), cups=CupsSection(server=str(tmp_path / "no.sock"))
        )
        settings.runs_dir.mkdir()
        async with daemon(server, settings, Cluster(generation=1, servers=("http://a",)), []) as service:
            await until(lambda: bool(server.beats), "a heartbeat")
            shut = msgspec.structs.replace(record(), queue="shut")
            await until(lambda: service.offline_verdict(shut) != OfflinePrint(), "the policy to be known")
            assert service.offline_verdict(shut) == OfflineDeny("Printing on shut is switched off.")

    asyncio.run(scenario())
