"""Heartbeats: gathered, renewing what is open, honest about a database that is away."""

import asyncio

import pytest
import sqlalchemy as sa

from backend.access.model import Principal
from backend.api import heartbeats
from backend.api.heartbeats import RENEW_S, Heartbeats
from backend.base.clock import ManualClock
from backend.base.ids import uuid7
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.db.migrate import migrate
from backend.intake.model import Expire
from backend.jobs.service import silent_jobs
from backend.jobs.tables import job
from backend.main import expire_silent
from backend.printers.model import Beat
from backend.printers.tables import provider, queue
from backend.wire.jobs import AuthoriseAnswer, JobList, ReportAnswer
from backend.wire.money import MoneyAnswer, TransferList
from backend.wire.printers import HeartbeatAnswer
from tests.support.api import Api, authorise, heartbeat, report, scene

WHO = Principal("provider", "print1", 7)


def test_many_providers_are_one_write(url: str) -> None:
    async def run() -> None:
        database = Database(url)
        migrate(database)
        beats = Heartbeats(database, ManualClock(), "server-1")
        beats.start()
        people = [Principal("provider", f"print{at}", 100 + at) for at in range(50)]
        answers = await asyncio.gather(*(beats.take(who, heartbeat("a", "b")) for who in people))
        assert all([policy.name for policy in policies] == ["a", "b"] for policies in answers)

        def look(conn: sa.Connection) -> tuple[int, int]:
            providers = conn.scalar(sa.select(sa.func.count(sa.distinct(provider.c.seen_at))))
            return int(providers or 0), int(conn.scalar(sa.select(sa.func.count()).select_from(queue)) or 0)

        moments, queues = await database.run(look)
        assert queues == 100
        assert moments <= 3  # far fewer writes than providers
        await beats.close()
        database.close()

    asyncio.run(run())


def test_all_providers_at_once_are_written_in_bounded_parts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart. One of them has more queues than a part holds."""
    monkeypatch.setattr(heartbeats, "MAX_QUEUES", 10)
    names = tuple(f"q{n:02}" for n in range(25))

    async def run() -> None:
        database = Database(url)
        migrate(database)
        beats = Heartbeats(database, ManualClock(), "server-1")
        beats.start()
        people = [Principal("provider", f"print{at}", 100 + at) for at in range(40)]
        wanted = [names if at == 20 else names[:3] for at in range(40)]
        told = [beats.take(who, heartbeat(*queues)) for who, queues in zip(people, wanted, strict=True)]
        answers = await asyncio.gather(*told)
        assert [tuple(policy.name for policy in policies) for policies in answers] == wanted
        fewer = await beats.take(people[20], heartbeat(*names[:2]))
        assert len(fewer) == 25, "a queue that is not reported any more is kept"
        seen = sa.select(sa.func.count()).where(queue.c.provider_id == 120, queue.c.seen_at != 0)
        assert await database.run(lambda conn: conn.scalar(seen)) == 2
        await beats.close()
        database.close()

    asyncio.run(run())


def test_a_part_holds_what_it_may_and_one_provider_at_least() -> None:
    def beat(provider_id: int, queues: int | None) -> Beat:
        told = heartbeat(*(f"q{n}" for n in range(queues or 0)))
        return Beat(provider_id, f"print{provider_id}", "server-1", told, None if queues is None else told.queues)

    many = heartbeats.MAX_QUEUES
    waiting = {n: beat(n, queues) for n, queues in enumerate([many + 5, None, 10, many - 10, 10, None])}
    assert heartbeats.next_part(waiting) == [0, 1, 5]
    del waiting[0]
    assert heartbeats.next_part(waiting) == [1, 2, 3, 5]


def test_open_jobs_are_renewed_once_a_minute(url: str) -> None:
    async def play(server: Api) -> None:
        wanted = authorise()
        await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, wanted, role="provider")
        database, clock = server.services.database, ManualClock()
        who = await server.services.tokens.principal(server.tokens["provider"])
        assert who is not None
        beats = Heartbeats(database, clock, "server-1")
        beats.start()

        async def renewed(*queues: str) -> bool:
            """Whether a heartbeat that names the job, with news of queues so that it is written at once, renews it."""
            await database.write(set_renewed)
            await beats.take(who, heartbeat(*queues, open_jobs=(wanted.job_id,)))
            return bool(await database.run(renewed_at))

        assert await renewed("a")
        assert not await renewed("b")
        clock.advance(RENEW_S)
        assert await renewed("c")
        await beats.close()

    scene(url, play)


def set_renewed(conn: sa.Connection) -> None:
    conn.execute(sa.update(job).values(renewed_at=0))


def renewed_at(conn: sa.Connection) -> int:
    return int(conn.scalar(sa.select(job.c.renewed_at)) or 0)


def test_a_database_that_is_away_is_said_at_once_to_every_heartbeat(postgres_url: str) -> None:
    async def run() -> None:
        away = Database(f"{postgres_url}?target_session_attrs=standby")  # there is none
        clock = ManualClock()
        beats = Heartbeats(away, clock, "server-1")
        beats.start()
        with pytest.raises(DatabaseAway):
            await beats.take(WHO, heartbeat("a"))
        with pytest.raises(DatabaseAway):
            await beats.take(WHO, heartbeat("a"))
        await beats.close()
        away.close()

    asyncio.run(run())


def test_a_silent_providers_reservation_expires_and_its_late_report_is_taken(url: str) -> None:
    async def play(server: Api) -> None:
        wanted = authorise()
        await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, wanted, role="provider")
        services = server.services
        await expire_silent(services, 3_600_000, services.agent.term)
        assert await state(server, wanted.job_id) == "authorised"
        await services.database.write(set_renewed)
        await expire_silent(services, 3_600_000, services.agent.term)
        assert await state(server, wanted.job_id) == "in_doubt"
        transfers = await server.ask("GET", "/api/v1/users/anna/transfers", TransferList)
        assert [row.kind for row in transfers.transfers] == ["expired", "pending"]
        late = await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, report(wanted), role="provider")
        assert (late.charged, late.marks) == (1500, ("late",))

    scene(url, play)


def test_an_expiry_that_comes_late_ends_nothing_that_lives(url: str) -> None:
    """The leader saw the job silent, was stopped, and the provider came back meanwhile."""

    async def play(server: Api) -> None:
        wanted = authorise()
        await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, wanted, role="provider")
        services = server.services
        await services.database.write(set_renewed)
        (job_id,), since = await services.database.run(silent_jobs, 3_600_000)
        await server.ask(
            "POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("q", open_jobs=(job_id,)), role="provider"
        )
        stale = Expire(command_id=uuid7(), job_id=job_id, term=1, silent_since=since)
        answer = await services.intake.ask(stale, MoneyAnswer, actor="system:leader")
        assert answer.code == "superseded"
        assert await state(server, job_id) == "authorised"

    scene(url, play)


async def state(server: Api, job_id: str) -> str:
    return (await server.ask("GET", f"/api/v1/jobs/{job_id}", JobList)).jobs[0].state
