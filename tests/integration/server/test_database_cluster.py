"""A real database cluster as the server shows it, remembers it, and hands its primary over."""

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from backend.access.settings import write_setting
from backend.compat.routes import routes as compat_routes
from backend.operations.online_backup import OnlineBackup
from backend.wire.access import Role
from backend.wire.cluster import (
    ClusterEvent,
    ClusterEventList,
    DatabaseSwitchover,
    DatabaseView,
    Plan,
    ProviderView,
    ServerView,
    Topology,
)
from tests.support.api import Api, api, authorise, eventually
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder
from tests.support.patroni import PatroniCluster
from tests.support.processes import Failed

pytestmark = [pytest.mark.xdist_group("alone"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[PatroniCluster]:
    with scratch_folder("ik-ha-") as folder, PatroniCluster(folder / "cluster").share() as cluster:
        yield cluster


def configure(cluster: PatroniCluster, **settings: object) -> None:
    """Patroni's own PATCH of /config, which any node takes."""
    node = next(node for node in cluster.nodes.values() if node.ask("/patroni") is not None)
    request = urllib.request.Request(node.rest_url + "/config", method="PATCH", data=json.dumps(settings).encode())
    credentials = f"patroni:{cluster.passwords['REST_PASSWORD']}".encode()
    request.add_header("Authorization", "Basic " + base64.b64encode(credentials).decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


async def history(server: Api, *kinds: str) -> list[ClusterEvent]:
    found = await server.ask("GET", "/api/v1/cluster/events", ClusterEventList)
    return [event for event in found.events if event.kind in kinds]


async def by_patroni(server: Api) -> Topology:
    """The picture, once Patroni has told its part: on a busy machine it may be too slow at first."""
    while True:
        seen = await server.ask("GET", "/api/v1/topology", Topology)
        if seen.databases[0].source == "patroni":
            return seen
        await asyncio.sleep(0.1)


def test_shown_remembered_and_handed_over(cluster: PatroniCluster) -> None:
    first, second = cluster.primary().name, cluster.sync_standby().name

    async def play() -> None:
        async with api(cluster.url(), patroni=tuple(cluster.rest_urls())) as server:
            seen = await asyncio.wait_for(by_patroni(server), 60)
            primary, *standbys = seen.databases
            assert (primary.name, primary.role, primary.health, primary.source) == (first, "primary", "ok", "patroni")
            assert sorted(view.sync_state for view in standbys) == ["async", "sync"]
            assert {view.timeline for view in seen.databases} == {1}
            assert all(view.lag_bytes is not None and view.lag_s is not None for view in standbys)

            await not_strict(server)
            await no_patroni(server)

            dry = await switch(server, dry_run=True)
            assert (dry.subject, dry.blocked, dry.done) == (second, False, False)
            assert (await switch(server, to=first)).blocked
            assert cluster.primary().name == first
            await handed_over(server)

    async def switch(server: Api, to: str = "", dry_run: bool = False) -> Plan:
        body = DatabaseSwitchover(to=to, dry_run=dry_run)
        return await server.ask("POST", "/api/v1/cluster/database/switchover", Plan, body)

    async def not_strict(server: Api) -> None:
        """Shown, told by the health API, and written down once; its end too."""

        async def role(wanted: str) -> bool:
            shown = await server.ask("GET", "/api/v1/topology", Topology)
            return shown.databases[0].role == wanted

        await asyncio.to_thread(configure, cluster, synchronous_mode_strict=False)
        await eventually(lambda: role("single copy"), 40)
        await eventually(lambda: history(server, "redundancy-lost"), 40)
        await health_says(server, "single copy: synchronous_mode_strict is off", "Loss of redundancy")
        await asyncio.to_thread(configure, cluster, synchronous_mode_strict=True)
        await eventually(lambda: role("primary"), 40)
        await eventually(lambda: history(server, "redundancy-restored"), 40)
        await health_says(server, "OK", "")
        assert len(await history(server, "redundancy-lost", "redundancy-restored")) == 2

    async def health_says(server: Api, redundancy: str, message: str) -> None:
        services = server.services

        def set_key(conn: sa.Connection) -> None:
            write_setting(conn, "health.api.key", "key", "test", "admin")

        await services.database.write(set_key)
        app = Starlette(
            routes=compat_routes(
                database=services.database,
                intake=services.intake,
                tokens=services.tokens,
                ledger=services.ledger,
                version="1",
                data_dir=Path("/"),
                backup=OnlineBackup(("false",), Path("/"), 0),
                patroni=services.patroni,
            )
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://s") as http:
            overview = await http.get("/api/health", headers={"Authorization": "key"})
            assert overview.json()["database"]["redundancy"] == redundancy
            status = await http.get("/api/health/status", headers={"Authorization": "key"})
            assert status.status_code == 200  # a warning, not a fault
            assert message in status.json()["message"]

    async def no_patroni(server: Api) -> None:
        """Without Patroni the connection's own facts are shown."""
        urls, server.services.patroni._urls = server.services.patroni._urls, []

        async def own() -> bool:
            shown = await server.ask("GET", "/api/v1/topology", Topology)
            views = [(view.role, view.sync_state, view.source) for view in shown.databases]
            return sorted(views) == sorted(
                [("primary", "", "database"), ("standby", "async", "database"), ("standby", "sync", "database")]
            )

        await eventually(own, 20)
        server.services.patroni._urls = urls

    async def handed_over(server: Api) -> None:
        """A planned switchover under load: no request fails, on however busy a machine."""
        stop, waits, refused = asyncio.Event(), [], []

        async def answered(
            method: str, path: str, role: Role | None = "admin", body: msgspec.Struct | None = None
        ) -> None:
            begun_s = time.monotonic()
            answer = await server.send(method, path, body, role=role)
            waits.append(time.monotonic() - begun_s)
            if answer.status_code != 200:
                refused.append(f"{path} after {waits[-1]:.2f} s: {answer.text}")

        async def load(number: int) -> None:
            while not stop.is_set():
                body = authorise(user=f"user{number}")
                await answered("POST", "/api/v1/jobs/authorise", "provider", body)
                await answered("GET", "/api/v1/users")
                await answered("GET", "/health/ready", None)

        loads = [asyncio.create_task(load(number)) for number in range(4)]
        done = await switch(server)
        assert done.done, done
        await asyncio.to_thread(cluster.wait_whole)
        stop.set()
        await asyncio.gather(*loads)
        print(f"switchover: {len(waits)} requests, the longest took {max(waits):.2f} s")
        assert refused == []
        assert cluster.primary().name == second

        changes = await eventually(lambda: history(server, "database-changed"), 40)
        (changed,) = changes
        assert (changed.subject, changed.cause) == (second, f"switchover from {first} to {second}")
        assert changed.detail["timeline"] == 2
        (planned,) = await history(server, "database-switchover")
        assert (planned.subject, planned.actor) == (second, "admin:admin-1")

        async def told() -> bool:
            seen = await server.ask("GET", "/api/v1/topology", Topology)
            return (seen.databases[0].name, seen.databases[0].last_failover_at > 0) == (second, True)

        await eventually(told, 20)

    asyncio.run(play())


def test_without_a_primary_it_is_shown_what_patroni_tells_and_what_was_known(cluster: PatroniCluster) -> None:
    """Patroni is paused, so that the cluster stays without a primary for as long as it is looked at."""
    cluster.wait_whole()
    first = cluster.primary()

    async def play() -> None:
        async with api(cluster.url(), patroni=tuple(cluster.rest_urls())) as server:

            async def shows(words: str) -> Topology | None:
                found = await server.ask("GET", "/api/v1/topology", Topology)
                return found if words in found.verdict else None

            await eventually(lambda: current(server), 60)
            configure(cluster, pause=True)
            await asyncio.to_thread(first.kill_postmaster)
            begun_s = time.monotonic()
            await eventually(lambda: away(server), 60)
            told_s = time.monotonic() - begun_s
            seen = await eventually(lambda: shows("has no primary since"), 60)
            none_s = time.monotonic() - begun_s
            print(f"a lost primary was shown after {told_s:.1f} s, that there is none after {none_s:.1f} s")
            assert seen is not None
            assert "Patroni is paused" in seen.verdict
            assert seen.health == "error"
            assert {view.name for view in seen.databases} == set(cluster.nodes)
            roles = {view.name: (view.role, view.source) for view in seen.databases}
            assert [name for name, (role, _) in roles.items() if role == "primary"] in ([], [first.name])
            views: tuple[ServerView | DatabaseView | ProviderView, ...] = (
                *seen.servers,
                *seen.databases,
                *seen.providers,
            )
            assert "ok" not in {view.health for view in views}
            assert all(view.age_s < 5 for view in seen.databases if view.name != first.name)
            configure(cluster, pause=False)
            await asyncio.to_thread(cluster.wait_whole)
            await eventually(lambda: current(server), 60)

    async def away(server: Api) -> bool:
        return (await server.ask("GET", "/api/v1/topology", Topology)).age_s > 0

    async def current(server: Api) -> bool:
        found = await server.ask("GET", "/api/v1/topology", Topology)
        return (found.age_s, found.databases[0].role, found.databases[0].health) == (0, "primary", "ok")

    asyncio.run(play())


def test_the_command_line_tells_the_plan(cluster: PatroniCluster, tmp_path: Path) -> None:
    cluster.wait_whole()
    addresses = ", ".join(f'"{url}"' for url in cluster.rest_urls())
    server = AppServer(tmp_path, database_url=cluster.url(), more=f"patroni = [{addresses}]\n")
    first, second = cluster.primary().name, cluster.sync_standby().name
    assert server.command("cluster", "database-switchover", "--dry-run") == "this was a dry run: nothing was done"
    with pytest.raises(Failed, match=f"{first} is the primary already"):
        server.command("cluster", "database-switchover", "--to", first)
    assert server.command("cluster", "database-switchover", "--to", second) == "done"
    cluster.wait_whole()
    assert cluster.primary().name == second
    assert second in server.command("cluster", "events")


def test_without_a_password_a_switchover_is_refused_in_words(cluster: PatroniCluster) -> None:
    async def play() -> None:
        async with api(cluster.url(), patroni=tuple(cluster.rest_urls(with_password=False))) as server:
            found = await server.refused("POST", "/api/v1/cluster/database/switchover", DatabaseSwitchover())
            assert found.code == "unavailable"
            assert "http://USER:PASSWORD@HOST:PORT" in found.detail

    asyncio.run(play())
