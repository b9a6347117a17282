"""What goes wrong inside is one opaque problem and a log entry; a database that is away is said at once."""

import asyncio
import logging
import signal
import time
from pathlib import Path

import msgspec
import pytest

from backend.wire.cluster import DatabaseView, ProviderView, ServerView, Topology
from backend.wire.jobs import AuthoriseAnswer, JobList
from tests.support.api import Api, api, authorise, eventually, freeze, scene
from tests.support.postgresql import Postgres


@pytest.mark.parametrize("path", ["/api/v1/topology", "/api/v1/jobs/authorise"])
def test_an_unexpected_error_is_one_opaque_problem(url: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def play(server: Api) -> None:
        async def broken(*args: object, **kwargs: object) -> bytes:
            raise ZeroDivisionError("the secret of this server")

        hot = path.endswith("authorise")
        server.services.picture.topology = broken  # type: ignore[method-assign, assignment]
        server.services.intake.submit = broken  # type: ignore[method-assign]
        body = authorise() if hot else None
        with caplog.at_level(logging.ERROR):
            found = await server.refused("POST" if hot else "GET", path, body, role="provider" if hot else "admin")
        assert (found.code, found.detail) == ("internal", "")
        assert "the secret of this server" in caplog.text  # in the log, where it belongs

    scene(url, play)


def test_a_draining_server_sends_everybody_to_another_one(url: str) -> None:
    async def play(server: Api) -> None:
        server.services.draining = True
        assert (await server.refused("GET", "/health/ready", role=None)).code == "draining"
        assert (await server.refused("GET", "/api/v1/users")).code == "draining"
        found = await server.refused("POST", "/api/v1/jobs/authorise", authorise(), role="provider")
        assert found.code == "draining"
        assert (await server.send("GET", "/health/live", role=None)).status_code == 200
        server.services.draining = False
        assert (await server.send("GET", "/health/ready", role=None)).status_code == 200

    scene(url, play)


def test_a_frozen_database_is_noticed_and_then_costs_nobody_any_time(scratch: Path, postgres_template: Path) -> None:
    """Nobody listens for the freezing itself: the first to ask waits for a deadline, all others are sent on at once."""
    database = Postgres(scratch / "pg", template=postgres_template)

    async def play() -> None:
        async with api(database.url()) as server:
            await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, authorise(), role="provider")
            await eventually(lambda: all_well(server), 60)
            freeze(database)

            async def refused() -> bool:
                return (await server.send("GET", "/api/v1/users", role="admin")).status_code == 503

            await eventually(refused, 20)

            async def refused_quickly() -> bool:
                begun_s = time.monotonic()
                answers = await asyncio.gather(*(server.send("GET", "/api/v1/users") for _ in range(20)))
                quick = time.monotonic() - begun_s < 1.0
                return quick and all(answer.status_code == 503 for answer in answers)

            await eventually(refused_quickly, 20)

            # The picture goes on, with what was known and its age, and none of it well.
            seen = await server.ask("GET", "/api/v1/topology", Topology)
            assert (seen.health, seen.age_s > 0) == ("error", True)
            assert seen.verdict.startswith("The database cannot be reached since ")
            shown: tuple[ServerView | DatabaseView | ProviderView, ...] = (
                *seen.servers,
                *seen.databases,
                *seen.providers,
            )
            assert [view.name for view in seen.providers] == ["print1"]
            assert "ok" not in {view.health for view in shown}
            assert (await server.send("GET", "/api/v1/topology")).headers["inkeeper-draining"] == "1"  # go, if you can
            assert (await server.refused("GET", "/api/v1/topology", role="provider")).code in (
                "forbidden",
                "unavailable",
            )
            stranger = await server.send("GET", "/api/v1/topology", token="nobody-ever-saw-this")
            assert stranger.status_code == 503
            freeze(database, signal.SIGCONT)

            await eventually(lambda: all_well(server), 60)

            async def back() -> bool:
                answer = await server.send("POST", "/api/v1/jobs/authorise", authorise(), role="provider")
                return answer.status_code == 200 and (await server.send("GET", "/health/ready")).status_code == 200

            await eventually(back, 30)

    with database:
        try:
            asyncio.run(play())
        finally:
            freeze(database, signal.SIGCONT)


async def all_well(server: Api) -> bool:
    found = await server.ask("GET", "/api/v1/topology", Topology)
    return (found.age_s, found.servers[0].health, found.databases[0].health) == (0, "ok", "ok")


def test_the_server_follows_the_primary_to_another_host(scratch: Path, postgres_template: Path) -> None:
    with Postgres(scratch / "first", template=postgres_template) as first:
        second = first.make_standby(scratch / "second", "second").start()
        first.wait_for_standbys("second")
        first.set_synchronous_standbys("second")
        hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"

        async def play() -> None:
            async with api(f"postgresql://postgres@{hosts}/postgres") as server:
                seen = await server.ask("GET", "/api/v1/topology", Topology)
                assert [(view.role, view.health) for view in seen.databases] == [("primary", "ok"), ("standby", "ok")]
                wanted = authorise()
                before = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, wanted, role="provider")
                await asyncio.to_thread(first.kill9)
                await asyncio.to_thread(second.promote)
                second.set_synchronous_standbys("")

                async def answered() -> AuthoriseAnswer | None:
                    answer = await server.send("POST", "/api/v1/jobs/authorise", wanted, role="provider")
                    ok = answer.status_code == 200
                    return msgspec.json.decode(answer.content, type=AuthoriseAnswer) if ok else None

                assert await eventually(answered, 30) == before  # acknowledged once, acknowledged for ever

                async def readable() -> bool:
                    return (await server.send("GET", "/api/v1/jobs")).status_code == 200

                await eventually(readable, 30)
                jobs = await server.ask("GET", "/api/v1/jobs", JobList)
                assert [job.job_id for job in jobs.jobs] == [wanted.job_id]

                async def leads() -> bool:
                    return (await server.send("GET", "/health/leader", role=None)).status_code == 200

                await eventually(leads, 30)

        try:
            asyncio.run(play())
        finally:
            second.stop()
