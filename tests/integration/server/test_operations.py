"""Actions on the cluster by command line and API: what they do, what they refuse, what is written down of them."""

import asyncio
import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from backend.access.tables import audit
from backend.cluster import history, service
from backend.cluster.agent import Load
from backend.cluster.model import Lease, MemberRow, Snapshot
from backend.cluster.tables import cluster, member
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.wire.cluster import ClusterAction, ClusterEvent, ClusterEventList, ClusterVerb, Plan, Topology
from backend.wire.printers import MemberList
from tests.integration.server.test_events import reading, true_when
from tests.support.api import Api, api, eventually, scene
from tests.support.app_server import AppServer
from tests.support.processes import wait_until


async def act(server: Api, action: ClusterVerb, subject: str = "", **more: bool) -> Plan:
    body = ClusterAction(action=action, subject=subject, **more)
    return await server.ask("POST", "/api/v1/cluster/actions", Plan, body)


async def states(server: Api) -> dict[str, str]:
    found = await server.ask("GET", "/api/v1/members", MemberList)
    return {row.name: row.state for row in found.members}


def kinds(events: tuple[ClusterEvent, ...], subject: str = "") -> list[str]:
    return [event.kind for event in events if subject in ("", event.subject)]


def two(postgres_url: str, play: Callable[[Api, Api], object]) -> None:
    async def run() -> None:
        async with api(postgres_url, "one") as one, api(postgres_url, "two") as other:
            await eventually(lambda: true_when(one.services.agent.leads or other.services.agent.leads), 30)
            lead, follow = (one, other) if one.services.agent.leads else (other, one)
            await eventually(lambda: serve(lead), 30)
            await asyncio.wait_for(play(lead, follow), 120)  # type: ignore[arg-type]

    asyncio.run(run())


async def serve(server: Api) -> bool:
    return set((await states(server)).values()) == {"serving"} and len(server.services.agent.snapshot.members) == 2


def test_a_drained_leader_hands_over_turns_away_and_comes_back(postgres_url: str) -> None:
    async def play(lead: Api, follow: Api) -> None:
        name = lead.services.agent.identity.name
        async with reading(lead) as reader:
            found = await act(follow, "drain", name)
            assert found.done
            await eventually(lambda: true_when(follow.services.agent.leads), 30)
            await eventually(lambda: true_when(reader.ended), 30)
        assert not lead.services.agent.leads
        # In the time of grace it still answers, and says that it wants its clients to go.
        answer = await lead.send("GET", "/api/v1/members")
        assert answer.headers["inkeeper-draining"] == "1"
        await eventually(lambda: refuses(lead), 30)
        assert (await lead.refused("GET", "/health/ready", role=None)).code == "draining"
        await eventually(lambda: is_in(follow, name, "draining"), 30)
        events = (await follow.ask("GET", "/api/v1/cluster/events", ClusterEventList)).events
        mine = [event for event in events if event.kind == "member-draining"]
        assert [(event.subject, event.actor) for event in mine] == [(name, "admin:admin-1")]
        await eventually(lambda: has_event(follow, "member-drained", name), 30)
        resigned = next(event for event in events if event.kind == "leader-resigned")
        changed = next(event for event in events if event.kind == "leader-changed" and event.term > resigned.term)
        assert (resigned.subject, resigned.cause) == (name, "draining")
        assert (changed.cause, changed.term) == ("resigned", resigned.term + 1)
        assert changed.away_ms is not None
        assert (await act(follow, "undrain", name)).done
        await eventually(lambda: is_in(follow, name, "serving"), 30)
        assert (await lead.send("GET", "/api/v1/members")).status_code == 200

    two(postgres_url, play)


def test_who_is_drained_stays_so_though_xml_rpc_callers_still_come(postgres_url: str) -> None:
    """They are answered until the process ends, and are no reason to keep it: drained is told once."""

    async def play(lead: Api, follow: Api) -> None:
        agent = follow.services.agent
        name = agent.identity.name
        assert (await act(lead, "drain", name)).done
        await eventually(lambda: has_event(lead, "member-drained", name), 30)
        for calls in (1, 0, 2, 0):
            agent.load = functools.partial(Load, calls)
            await agent.refresh()
            row = next(row for row in agent.snapshot.members if row.name == name)
            assert (row.state, row.load) == ("drained", calls)
        events = (await lead.ask("GET", "/api/v1/cluster/events?limit=500", ClusterEventList)).events
        assert kinds(events, name).count("member-drained") == 1

    two(postgres_url, play)


async def refuses(server: Api) -> bool:
    return (await server.send("GET", "/api/v1/members")).status_code == 503


async def is_in(server: Api, name: str, state: str) -> bool:
    return (await states(server)).get(name) == state


async def has_event(server: Api, kind: str, subject: str) -> bool:
    found = await server.ask("GET", "/api/v1/cluster/events?limit=500", ClusterEventList)
    return kind in kinds(found.events, subject)


def test_a_switchover_waits_for_no_lease(postgres_url: str) -> None:
    async def play(lead: Api, follow: Api) -> None:
        term = lead.services.agent.term
        found = await act(lead, "switchover")
        assert found.subject == follow.services.agent.identity.name
        await eventually(lambda: true_when(follow.services.agent.term == term + 1), 30)
        assert not lead.services.agent.leads
        events = (await follow.ask("GET", "/api/v1/cluster/events", ClusterEventList)).events
        changed = events[-1]
        assert (changed.kind, changed.cause) == ("leader-changed", "handed over")
        assert kinds(events)[-3:] == ["switchover-wanted", "leader-resigned", "leader-changed"]
        back = await act(follow, "switchover", lead.services.agent.identity.name)
        assert back.done
        await eventually(lambda: true_when(lead.services.agent.term == term + 2), 30)

    two(postgres_url, play)


def test_a_switchover_to_one_that_dies_meanwhile_ends_in_a_leader(postgres_url: str) -> None:
    """The lease was given to a process that does not take it: another takes it when its time is over."""

    async def run() -> None:
        async with api(postgres_url, "one") as one:
            await eventually(lambda: true_when(one.services.agent.leads), 30)
            database, term = one.services.database, one.services.agent.term
            ghost = msgspec.structs.replace(one.services.agent.snapshot.members[0], name="ghost", process="ghost")
            await database.write(service.write_member, ghost, True, 0)
            assert (await act(one, "switchover", "ghost")).done
            await eventually(lambda: true_when(not one.services.agent.leads), 30)
            await eventually(lambda: true_when(one.services.agent.term == term + 1), 30)

    asyncio.run(run())


def test_a_dry_run_does_nothing_and_what_is_blocked_is_not_done(url: str) -> None:
    async def play(server: Api) -> None:
        dry = await act(server, "pause", dry_run=True)
        assert dry.steps
        assert not dry.done
        last = await act(server, "drain", "server-1")
        assert last.blocked
        assert not last.done
        unknown = await act(server, "drain", "nobody", force=True)
        assert not unknown.done
        await server.services.agent.refresh()
        snapshot = server.services.agent.snapshot
        assert not snapshot.paused
        assert snapshot.members[0].wanted == "serving"
        for role in ("helpdesk", "auditor", "provider"):
            body = ClusterAction(action="pause")
            assert (await server.refused("POST", "/api/v1/cluster/actions", body, role=role)).code == "forbidden"

    scene(url, play)


def test_a_forced_drain_of_the_last_server_is_done_and_written_down(url: str) -> None:
    async def play(server: Api) -> None:
        found = await act(server, "drain", "server-1", force=True)
        assert found.done
        await server.services.agent.refresh()
        assert server.services.leaving
        await eventually(lambda: true_when(server.services.refusing), 30)

        def rows(conn: sa.Connection) -> list[tuple[str, str, str, str]]:
            wanted = sa.select(audit.c.actor, audit.c.action, audit.c.subject, audit.c.detail)
            found = conn.execute(wanted.where(audit.c.action.startswith("cluster-")))
            return [(row.actor, row.action, row.subject, row.detail) for row in found]

        written = await server.services.database.run(rows)
        assert written == [("admin:admin-1", "cluster-drain", "server-1", "forced")]

    scene(url, play)


def test_pause_is_shown_and_keeps_members_that_are_gone(url: str) -> None:
    async def play(server: Api) -> None:
        agent, database = server.services.agent, server.services.database
        await eventually(lambda: true_when(agent.leads), 30)
        assert (await act(server, "pause")).done
        assert (await act(server, "pause")).done  # again: nothing to do is no failure

        def age(conn: sa.Connection) -> None:
            service.write_member(conn, msgspec.structs.replace(agent.snapshot.members[0], name="old"), True, 0)
            conn.execute(sa.update(member).where(member.c.name == "old").values(seen_at=1))

        def members(conn: sa.Connection) -> set[str]:
            return {row.name for row in service.read_snapshot(conn, 1.0).members}

        await database.write(age)
        await database.write(service.prune, agent.term, agent.identity.process)
        assert await database.run(members) == {"server-1", "old"}
        await eventually(lambda: tells_pause(server), 30)
        assert (await act(server, "resume")).done
        await database.write(service.prune, agent.term, agent.identity.process)
        assert await database.run(members) == {"server-1"}
        events = (await server.ask("GET", "/api/v1/cluster/events", ClusterEventList)).events
        assert [kind for kind in kinds(events) if "pause" in kind or "resume" in kind] == [
            "cluster-paused",
            "cluster-resumed",
        ]

    scene(url, play)


async def tells_pause(server: Api) -> bool:
    seen = await server.ask("GET", "/api/v1/topology", Topology)
    return seen.paused and seen.health != "ok"


def test_who_goes_silent_is_recorded_once_and_with_its_absence_when_it_is_back(postgres_url: str) -> None:
    async def run() -> None:
        async with api(postgres_url, "one") as one:
            agent, database = one.services.agent, one.services.database
            await eventually(lambda: true_when(agent.leads), 30)
            other = msgspec.structs.replace(
                agent.snapshot.members[0], name="other", process="other", url="http://o", host="o"
            )
            await database.write(service.write_member, other, True, 0)
            await eventually(lambda: has_event(one, "member-gone", "other"), 60)
            for _ in range(3):
                await agent.refresh()
            await database.write(service.write_member, other, False, 0)
            events = (await one.ask("GET", "/api/v1/cluster/events", ClusterEventList)).events
            mine = [event for event in events if event.subject == "other"]
            assert kinds(tuple(mine)) == ["member-joined", "member-gone", "member-returned"]
            assert mine[1].term == agent.term
            assert mine[2].away_ms is not None
            assert mine[2].away_ms > 1000
            removed = await act(one, "remove", "other")
            assert not removed.done  # it lives

    asyncio.run(run())


def test_a_leader_of_the_past_is_refused_by_the_database(postgres_url: str) -> None:
    """P10: every write of a leader begins with its term, and the database holds that against the present one."""
    database = Database(postgres_url)
    migrate(database)

    def once(*works: Callable[[sa.Connection], object]) -> list[object]:
        with database.connect(writing=True) as conn:
            return [work(conn) for work in works]

    row = MemberRow("s", "p", "http://s", "serving", "1", 0)
    once(lambda conn: service.write_member(conn, row, True, 0))
    assert once(lambda conn: service.take_over(conn, 0, 0, "old", "old")) == [1]
    (lease,) = once(service.read_lease)
    assert isinstance(lease, Lease)
    assert once(lambda conn: service.take_over(conn, 1, lease.beat, "new", "new")) == [2]
    (snapshot,) = once(lambda conn: service.read_snapshot(conn, 1.0))
    assert isinstance(snapshot, Snapshot)
    before = once(lambda conn: history.read(conn, "", 100))
    assert once(
        lambda conn: service.renew(conn, 1, "old"),
        lambda conn: service.prune(conn, 1, "old"),
        lambda conn: service.note_gone(conn, 1, "old", snapshot.members),
        lambda conn: service.resign(conn, 1, "old", "stopping"),
        lambda conn: service.fence(conn, 1, "old"),
        lambda conn: service.fence(conn, 2, "old"),
    ) == [None, 0, 0, False, False, False]
    assert once(lambda conn: history.read(conn, "", 100)) == before
    assert once(lambda conn: service.fence(conn, 2, "new")) == [True]
    database.close()


# ---------------------------------------------------------------- the command line, joining, upgrades


@pytest.fixture
def server(tmp_path: Path, postgres_url: str) -> Iterator[AppServer]:
    with AppServer(tmp_path, database_url=postgres_url, name="one") as found:
        wait_until(lambda: "one leads" in cli(found, "status").stdout, 60, "it to lead")
        yield found


def cli(server: AppServer, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [str(server.process.argv[0]), "--config", str(server.config), "cluster", *words]
    return subprocess.run(argv, env=server.environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line_works_through_the_database(server: AppServer, tmp_path: Path) -> None:
    status = cli(server, "status").stdout.splitlines()
    assert "one leads, term 1" in status[0]
    assert "serving" in status[1]
    dry = cli(server, "drain", "one", "--dry-run")
    assert (dry.returncode, "against it: no other server serves" in dry.stdout) == (1, True)
    refused = cli(server, "drain", "one")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "--force does it all the same" in refused.stderr
    assert cli(server, "remove", "one").returncode == 1
    assert cli(server, "switchover", "--to", "nobody", "--force").returncode == 1
    assert cli(server, "pause", "--dry-run").stdout.endswith("this was a dry run: nothing was done\n")
    assert "PAUSED" not in cli(server, "status").stdout
    assert cli(server, "pause").returncode == 0
    assert "PAUSED" in cli(server, "status").stdout
    assert cli(server, "resume").returncode == 0
    assert cli(server, "nonsense").returncode == 2
    server.process.kill9()
    assert cli(server, "drain", "one", "--force").returncode == 0  # also while no server runs
    wait_until(lambda: "gone (to drain)" in cli(server, "status").stdout, 60, "it to be gone", 0.5)
    server.start()
    wait_until(lambda: "drained" in cli(server, "status").stdout, 60, "it to be drained again, after its restart", 0.5)
    assert cli(server, "undrain", "one").returncode == 0
    wait_until(lambda: "serving" in cli(server, "status").stdout, 60, "it to serve again", 0.5)
    written = cli(server, "events", "--limit", "500").stdout
    assert [line.split()[2] for line in written.splitlines()][-6:].count("member-undrained") == 1
    for kind in ("member-joined", "cluster-paused", "member-draining", "member-restarted", "leader-changed"):
        assert kind in written
    assert "by command line:" in written


def refused_start(server: AppServer) -> str:
    """The one line with which it does not start."""
    argv = [str(word) for word in server.process.argv]
    done = subprocess.run(argv, env=server.environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_who_cannot_work_with_the_others_is_refused(server: AppServer, tmp_path: Path, postgres_url: str) -> None:
    other = AppServer(tmp_path, database_url=postgres_url, name="two")
    settings = other.config.read_text()
    other.config.write_text(settings + "\n[ledger]\ndecimals = 2\n")
    said = refused_start(other)
    assert "decimals is '2' here and '4'" in said
    other.config.write_text(settings.replace('name = "two"', 'name = "one"'))
    said = refused_start(other)
    assert f"{server.url} calls itself 'one' already" in said
    assert cli(server, "status").stdout.count("\n") == 2  # none of them joined
    other.config.write_text(settings)
    with other:
        wait_until(lambda: cli(server, "status").stdout.count("serving") == 2, 60, "both to serve", 0.5)


def test_a_server_killed_is_back_under_its_name_at_once(server: AppServer) -> None:
    server.process.kill9()
    server.start()
    assert httpx.get(f"{server.url}/health/live", trust_env=False).status_code == 200
    wait_until(lambda: "member-restarted" in cli(server, "events").stdout, 60, "the restart to be recorded")


def test_tables_of_a_newer_version_are_used_where_it_says_so(server: AppServer, postgres_url: str) -> None:
    """A rolling upgrade: the newer version's tables still hold what this one uses, until they say that they do not."""
    server.stop()
    database = Database(postgres_url)
    with database.connect(writing=True) as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    with server:
        wait_until(lambda: cli(server, "status").returncode == 0, 60, "it to work on newer tables")
    with database.connect(writing=True) as conn:
        conn.execute(sa.update(cluster).values(oldest_schema="0999"))
    assert "newer version" in refused_start(server)
    database.close()
