"""Held jobs through the API: two servers on one database, people, the print server that asks, and the leader's time."""

import asyncio

import msgspec
import pytest
import sqlalchemy as sa

from backend import main
from backend.access.settings import write_setting
from backend.access.tables import audit
from backend.api.decisions import KEEP_S
from backend.api.services import Services
from backend.base.ids import uuid7
from backend.jobs import service
from backend.main import end_overdue_holds
from backend.wire.cluster import Topology
from backend.wire.jobs import (
    Authorise,
    AuthoriseAnswer,
    CancelJob,
    DecisionList,
    JobActionAnswer,
    JobDecision,
    JobList,
    JobView,
    ReleaseJob,
    ReportAnswer,
)
from backend.wire.printers import HeartbeatAnswer, QueueList, ServerContact, SetQueue, Supply
from tests.support.api import Api, api, authorise, enroll, eventually, heartbeat, report, scene

OFFICE = "/api/v1/queues/1"


async def holding(server: Api) -> None:
    """The queue `office` holds its jobs."""
    await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
    await server.ask("POST", OFFICE, QueueList, SetQueue(hold_jobs=True))


async def held(server: Api, user: str = "anna") -> Authorise:
    body = authorise(user)
    answer = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, body, role="provider")
    assert (answer.decision, answer.message) == ("held", "This job waits to be released.")
    return body


async def act(server: Api, verb: str, job_id: str, reason: str = "") -> JobActionAnswer:
    body = CancelJob(command_id=uuid7(), reason=reason) if verb == "cancel" else ReleaseJob(command_id=uuid7())
    return await server.ask("POST", f"/api/v1/jobs/{job_id}/{verb}", JobActionAnswer, body, role="helpdesk")


async def decided(server: Api) -> tuple[JobDecision, ...]:
    found = await server.ask("GET", "/api/v1/jobs/decisions", DecisionList, role="provider")
    return found.decisions


async def jobs(server: Api, query: str = "") -> tuple[JobView, ...]:
    return (await server.ask("GET", f"/api/v1/jobs{query}", JobList)).jobs


def test_a_release_is_told_at_once_by_the_server_that_took_it_and_soon_by_the_others(postgres_url: str) -> None:
    async def play(server: Api, other: Api) -> None:
        await holding(server)
        body = await held(server)
        assert await decided(server) == await decided(other) == ()
        assert (await act(other, "release", body.job_id)).state == "released"
        told = (JobDecision(job_id=body.job_id, decision="release"),)
        assert await decided(other) == told

        async def here() -> bool:
            return await decided(server) == told

        await eventually(here)
        again = msgspec.structs.replace(body, attempt=2, command_id=uuid7())
        answer = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, again, role="provider")
        assert answer.decision == "authorised"

        async def gone() -> bool:
            return await decided(server) == await decided(other) == ()

        await eventually(gone)

    async def run() -> None:
        async with api(postgres_url) as server, api(postgres_url, "server-2") as other:
            await asyncio.wait_for(play(server, other), 60)

    asyncio.run(run())


def test_what_was_canceled_is_told_with_the_reason_until_it_is_over(url: str) -> None:
    async def play(server: Api) -> None:
        await holding(server)
        waiting, printing = await held(server), authorise("bob")
        await server.ask("POST", OFFICE, QueueList, SetQueue(hold_jobs=False))
        await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, printing, role="provider")
        assert (await act(server, "cancel", waiting.job_id, "wrong printer")).state == "canceled"
        assert (await act(server, "cancel", printing.job_id)).state == "authorised"
        by_id = {decision.job_id: decision for decision in await decided(server)}
        assert by_id[waiting.job_id].reason == "This job was canceled by the help desk: wrong printer"
        assert by_id[printing.job_id] == JobDecision(
            job_id=printing.job_id, decision="cancel", reason="This job was canceled by the help desk."
        )
        for body in (waiting, printing):
            over = msgspec.structs.replace(report(body, 0), outcome="canceled")
            answer = await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, over, role="provider")
            assert (answer.state, answer.charged) == ("canceled", 0)

        async def gone() -> bool:
            return await decided(server) == ()

        await eventually(gone)
        rows = await server.services.database.run(lambda conn: conn.execute(sa.select(audit)).all())
        acted = [(row.actor, row.role, row.subject, row.detail) for row in rows if row.action == "job-canceled"]
        assert acted == [
            ("helpdesk:helpdesk-1", "helpdesk", waiting.job_id, "wrong printer"),
            ("helpdesk:helpdesk-1", "helpdesk", printing.job_id, ""),
        ]

    scene(url, play)


def test_a_provider_hears_of_its_own_jobs_only(url: str) -> None:
    async def play(server: Api) -> None:
        await holding(server)
        secret = "another-provider-made-this-secret-before-it-asked"
        await enroll(server, "print2", secret)
        await act(server, "release", (await held(server)).job_id)
        other = await server.ask("GET", "/api/v1/jobs/decisions", DecisionList, token=secret)
        assert other.decisions == ()
        assert len(await decided(server)) == 1

    scene(url, play)


def test_many_who_ask_are_answered_by_few_reads(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = service.decisions

    def counted(conn: sa.Connection) -> service.Decisions:
        nonlocal reads
        reads += 1
        return read(conn)

    monkeypatch.setattr("backend.api.decisions.decisions", counted)

    async def play(server: Api) -> None:
        begun_s = asyncio.get_running_loop().time()
        for _ in range(5):
            await asyncio.gather(*[decided(server) for _ in range(40)])
        took_s = asyncio.get_running_loop().time() - begun_s
        assert 1 <= reads <= 2 + took_s / KEEP_S
        before = reads
        await act(server, "release", uuid7())  # a refusal is an act too
        await decided(server)
        assert reads > before

    scene(url, play)


def test_the_leader_cancels_what_nobody_released_in_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(services: Services, term: int) -> None:
        """The leader does not do it by itself in the middle of this."""

    monkeypatch.setattr(main, "end_overdue_holds", nothing)

    async def play(server: Api) -> None:
        await holding(server)
        body = await held(server)

        def setting(conn: sa.Connection, value: str) -> None:
            write_setting(conn, "jobs.held-timeout-s", value, "test", "admin")

        def aged(conn: sa.Connection) -> None:
            for table in ("job_need SET since", "job SET updated_at"):
                conn.exec_driver_sql(f"UPDATE {table} = 1")

        async def term() -> int:
            return server.services.agent.term

        leads = await eventually(term)
        await end_overdue_holds(server.services, leads)
        assert (await jobs(server))[0].state == "held"  # a day has not gone by
        await server.services.database.write(aged)
        await server.services.database.write(setting, "0")
        await end_overdue_holds(server.services, leads)
        assert (await jobs(server))[0].state == "held"  # 0: for ever
        await server.services.database.write(setting, "60")
        await end_overdue_holds(server.services, leads + 1)
        assert (await jobs(server))[0].state == "held"  # not the leader's term
        await end_overdue_holds(server.services, leads)
        (found,) = await jobs(server)
        assert (found.state, found.code) == ("canceled", "hold-expired")
        server.services.desk.note()
        told = JobDecision(job_id=body.job_id, decision="cancel", reason="This job was not released in time.")
        assert await decided(server) == (told,)

    scene(url, play)


def test_jobs_are_chosen_by_state_queue_user_and_by_what_must_be_looked_at(url: str) -> None:
    async def play(server: Api) -> None:
        await holding(server)
        first, second = await held(server, "anna"), await held(server, "bob")
        await act(server, "release", first.job_id)
        doubtful = report(authorise("carl"))
        lost = msgspec.structs.replace(doubtful, estimated=True, in_doubt=True)
        await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, lost, role="provider")
        plain = report(authorise("anna"))
        plain = msgspec.structs.replace(plain, queue="lab")
        await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, plain, role="provider")

        async def ids(query: str) -> list[str]:
            return [found.job_id for found in await jobs(server, query)]

        assert await ids("?state=held") == [second.job_id]
        assert await ids("?state=released") == [first.job_id]
        assert await ids("?state=completed") == [plain.job_id, lost.job_id]
        assert await ids("?attention=1") == [lost.job_id]
        assert await ids("?user=ANNA") == [plain.job_id, first.job_id]
        assert await ids("?user=anna&state=released") == [first.job_id]
        assert await ids("?user=nobody") == []
        assert await ids("?queue=lab") == [plain.job_id]
        assert await ids("?queue=office&limit=1") == [lost.job_id]
        assert await ids(f"?before={second.job_id}&queue=office") == [first.job_id]
        assert await ids("?state=in_doubt") == []
        assert len(await ids("")) == 4
        assert (await server.refused("GET", "/api/v1/jobs?state=lost")).code == "invalid"
        (found,) = await jobs(server, "?state=held")
        assert (found.cost, found.charged, found.code) == (1500, 0, "held-for-release")
        (found,) = await jobs(server, "?attention=1")
        assert found.marks == ("estimated", "offline", "in_doubt")

    scene(url, play)


def test_what_a_print_server_tells_of_itself_and_of_its_printers_is_shown(url: str) -> None:
    toner = Supply(name="Black", level=7, color="#000000", kind="toner", low=True)
    contacts = (ServerContact(url="http://a", age_s=0.5), ServerContact(url="http://b", trouble="refused"))

    async def play(server: Api) -> None:
        beat = heartbeat("office", "hall")
        office, hall = beat.queues
        office = msgspec.structs.replace(office, supplies=(toner,), media_ready=("iso_a4_210x297mm",))
        beat = msgspec.structs.replace(
            beat,
            queues=(office, msgspec.structs.replace(hall, tracked=False)),
            held_jobs=2,
            trouble="the disk is full",
            contacts=contacts,
            disk_free_bytes=2**40,
        )
        answer = await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, beat, role="provider")
        assert answer.ledger == server.services.ledger
        assert [(policy.offline_policy, policy.partial_charge) for policy in answer.queues] == [
            ("default", "whole")
        ] * 2

        async def shown() -> bool:
            picture = await server.ask("GET", "/api/v1/topology", Topology)
            return bool(picture.providers and picture.providers[0].held_jobs == 2)

        await eventually(shown)
        picture = await server.ask("GET", "/api/v1/topology", Topology)
        (provider,) = picture.providers
        assert (provider.trouble, provider.contacts, provider.disk_free_bytes) == ("the disk is full", contacts, 2**40)
        assert (provider.health, provider.detail) == ("warning", "the disk is full")
        by_name = {queue.name: queue for queue in picture.queues}
        assert by_name["office"].supplies == (toner,)
        assert by_name["office"].media_ready == ("iso_a4_210x297mm",)
        assert not by_name["hall"].tracked
        change = SetQueue(hold_jobs=True, partial_charge="nothing", offline_policy="hold")
        (queue,) = (await server.ask("POST", f"/api/v1/queues/{by_name['hall'].queue_id}", QueueList, change)).queues
        assert (queue.hold_jobs, queue.partial_charge, queue.offline_policy) == (True, "nothing", "hold")

    scene(url, play)
