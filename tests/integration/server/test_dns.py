"""The cluster's name in a real BIND: it follows members, keeps its last address, and refuses a leader of the past."""

import asyncio
import base64
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backend.base.clock import ManualClock
from backend.base.settings import SettingsError
from backend.cluster import history
from backend.cluster.dns.keeper import DnsKeeper
from backend.cluster.dns.machine import Fence, Found, Update, parse_fence
from backend.cluster.dns.server import DnsFault, DnsServer, DnsSettings
from backend.cluster.model import MemberRow, Snapshot
from backend.db.engine import Database
from tests.support.app_server import AppServer
from tests.support.bind import KEY, NAME, Bind
from tests.support.processes import run, wait_until


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    with Bind(tmp_path / "bind") as server:
        yield server


def settings(bind: Bind, **more: str) -> DnsSettings:
    return msgspec.convert(bind.settings(**more), DnsSettings)


def snapshot(*hosts: str, gone: tuple[str, ...] = ()) -> Snapshot:
    rows = [(host, "serving") for host in hosts] + [(host, "gone") for host in gone]
    members = tuple(MemberRow(host, host, f"http://{host}:9191", state, "1", 0) for host, state in rows)
    return Snapshot(cluster_id="c", generation=1, members=members)


def term(bind: Bind) -> int:
    """The term that the fence holds."""
    found = parse_fence(bind.fence())
    assert found is not None
    return found.term


class Leader:
    """A keeper whose members and clock the test moves."""

    def __init__(self, found: DnsSettings) -> None:
        self.seen = Snapshot()
        self.clock = ManualClock()
        self.told: list[str] = []
        self.keeper = DnsKeeper(DnsServer(found), lambda: self.seen, self.clock, self.record)

    async def record(self, term: int, name: str, cause: str, addresses: frozenset[str]) -> None:
        assert name == self.keeper.name
        self.told.append(cause)

    def tend(self, term: int, seen: Snapshot) -> None:
        self.seen = seen
        self.clock.advance(20)
        asyncio.run(self.keeper.tend(term))


def test_addresses_of_both_families_follow_and_the_last_stays(bind: Bind) -> None:
    leader = Leader(settings(bind))
    leader.tend(1, snapshot("192.0.2.1", "[2001:db8::1]"))
    assert (bind.records(), bind.records(kind="AAAA")) == ({"192.0.2.1"}, {"2001:db8::1"})
    leader.tend(1, snapshot("192.0.2.2", gone=("192.0.2.1",)))
    assert (bind.records(), bind.records(kind="AAAA")) == ({"192.0.2.2"}, set())
    leader.tend(1, snapshot(gone=("192.0.2.2",)))
    assert bind.records() == {"192.0.2.2"}
    assert not leader.keeper.trouble
    assert leader.keeper.update_count == 2


def test_nothing_changes_while_paused_and_all_is_put_right_afterwards(bind: Bind) -> None:
    leader = Leader(settings(bind))
    leader.tend(1, snapshot("192.0.2.1"))
    leader.tend(1, msgspec.structs.replace(snapshot("192.0.2.2"), paused=True))
    assert bind.records() == {"192.0.2.1"}
    leader.tend(1, snapshot("192.0.2.2"))
    assert bind.records() == {"192.0.2.2"}


def test_bind_itself_refuses_a_leader_of_the_past(bind: Bind) -> None:
    old, new = DnsServer(settings(bind)), Leader(settings(bind))
    asyncio.run(old.send(Update("", Fence("c", 1, 1).text, frozenset({"192.0.2.1"}))))
    new.tend(2, snapshot("192.0.2.2"))
    late = Update(Fence("c", 1, 1).text, Fence("c", 1, 1).text, frozenset({"192.0.2.1"}))
    with pytest.raises(DnsFault) as refused:  # it had decided before, was frozen, and only sends now
        asyncio.run(old.send(late))
    assert refused.value.fenced
    with pytest.raises(DnsFault) as refused:  # as does one that read before anybody had written
        asyncio.run(old.send(Update("", Fence("c", 1, 1).text, frozenset({"192.0.2.1"}))))
    assert refused.value.fenced
    assert bind.records() == {"192.0.2.2"}
    assert bind.fence() == Fence("c", 1, 2).text


def test_what_an_old_leader_writes_before_the_new_ones_first_update_is_overwritten_by_it(bind: Bind) -> None:
    server = DnsServer(settings(bind))
    old, new = Fence("c", 1, 1).text, Fence("c", 1, 2).text

    async def play() -> Found:
        await server.send(Update("", old, frozenset({"192.0.2.1"})))
        await server.send(Update(old, old, frozenset({"192.0.2.9"})))  # after the new leader read, before it wrote
        await server.send(Update(old, new, frozenset({"192.0.2.1"})))
        return await server.read()

    assert asyncio.run(play()) == Found((new,), frozenset({"192.0.2.1"}), 5)


def test_a_stale_leader_that_reads_first_leaves_the_name_alone(bind: Bind, caplog: pytest.LogCaptureFixture) -> None:
    Leader(settings(bind)).tend(7, snapshot("192.0.2.2"))
    stale = Leader(settings(bind))
    stale.tend(6, snapshot("192.0.2.1"))
    assert bind.records() == {"192.0.2.2"}
    assert "a leader of term 7" in stale.keeper.trouble
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_wrong_secret_is_one_clear_line_without_it(bind: Bind, caplog: pytest.LogCaptureFixture) -> None:
    other = bind.folder / "other.key"
    secret = base64.b64encode(os.urandom(32)).decode()
    other.write_text(secret)
    leader = Leader(settings(bind, key_file=str(other)))
    for _ in range(3):
        leader.tend(1, snapshot("192.0.2.1"))
    assert leader.keeper.failure_count == 3
    assert "another secret" in leader.keeper.trouble
    assert KEY in leader.keeper.trouble
    assert len(caplog.records) == 1
    assert secret not in caplog.text
    assert bind.records() == set()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"key_name": "unknown-key"}, "does not know the key"),
        ({"name": "other.print.test"}, "refuses updates of other.print.test."),
        ({"name": "a.elsewhere.test", "zone": "elsewhere.test"}, "elsewhere.test"),
    ],
)
def test_what_bind_refuses_is_said(bind: Bind, change: dict[str, str], word: str) -> None:
    leader = Leader(settings(bind, **change))
    leader.tend(1, snapshot("192.0.2.1"))
    assert word in leader.keeper.trouble


def test_bind_goes_away_and_comes_back(bind: Bind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    leader = Leader(settings(bind))
    leader.tend(1, snapshot("192.0.2.1"))
    bind.process.kill9()
    for _ in range(3):
        leader.tend(1, snapshot("192.0.2.1", "192.0.2.2"))
    assert "cannot be reached" in leader.keeper.trouble
    bind.start()
    leader.tend(1, snapshot("192.0.2.1", "192.0.2.2"))
    assert bind.records() == {"192.0.2.1", "192.0.2.2"}
    assert not leader.keeper.trouble
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO", "INFO"]
    assert [cause.partition(":")[0] for cause in leader.told] == [
        "addresses changed",
        "cannot be kept up to date",
        "addresses changed",
        "kept up to date again",
    ]


def test_failures_are_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    nobody = Bind(tmp_path / "bind")
    leader = Leader(settings(nobody))
    leader.seen = snapshot("192.0.2.1")
    for _ in range(60):
        leader.clock.advance(1)
        asyncio.run(leader.keeper.tend(1))
    assert 6 <= leader.keeper.failure_count <= 12


def test_names_of_members_are_resolved_and_loopback_of_them_is_not_published(bind: Bind) -> None:
    leader = Leader(settings(bind))
    leader.tend(1, snapshot("192.0.2.1", "localhost", NAME))
    assert bind.records() == {"192.0.2.1"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"key_file": "/none.key"}, "key_file /none.key"),
        ({"key_name": ""}, "key_name and key_file"),
        ({"server": "ns.test"}, "host:port"),
        ({"zone": "elsewhere.test"}, "does not lie in"),
        ({"key_algorithm": "rot13"}, "key_algorithm is one of"),
        ({"name": "a..b"}, "no domain name"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(tmp_path: Path, change: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        DnsServer(settings(Bind(tmp_path / "bind"), **change))


def test_the_name_follows_servers_that_join_drain_and_die(bind: Bind, tmp_path: Path, postgres_url: str) -> None:
    """Real servers on one PostgreSQL, each with a loopback address of its own."""
    section = "\n[dns]\n" + "".join(f'{key} = "{value}"\n' for key, value in bind.settings().items())
    servers = [
        AppServer(tmp_path, database_url=postgres_url, name=f"server-{number}", host=f"127.0.0.{number}", more=section)
        for number in (2, 3, 4)
    ]
    one, two, three = servers
    with one, two:
        wait_until(lambda: bind.records() == {"127.0.0.2", "127.0.0.3"}, 60, "both addresses")
        with three:
            wait_until(lambda: bind.records() == {"127.0.0.2", "127.0.0.3", "127.0.0.4"}, 60, "the third address")
            first = term(bind)
            one.process.kill9()
            wait_until(lambda: bind.records() == {"127.0.0.3", "127.0.0.4"}, 60, "the killed one's address to go")
            three.command("cluster", "drain", "server-4")
            wait_until(lambda: bind.records() == {"127.0.0.3"}, 60, "the address of the one told to drain to go")
            three.command("cluster", "undrain", "server-4")
            wait_until(lambda: bind.records() == {"127.0.0.3", "127.0.0.4"}, 60, "its address to come back")
            two.process.signal(15)  # says that it drains, then ends
            wait_until(lambda: bind.records() == {"127.0.0.4"}, 60, "the drained one's address to go")
            assert term(bind) > first
        assert bind.records() == {"127.0.0.4"}  # nobody is left, and the last address stays
    database = Database(postgres_url)
    try:
        with database.connect() as conn:
            told = [event for event in history.read(conn, "", 100) if event.kind == "dns-changed"]
    finally:
        database.close()
    assert [event.subject for event in told] == [NAME] * len(told)
    assert told[-1].detail["addresses"] == "127.0.0.4"
    for server in servers:
        assert bind.secret not in server.process.written()


def test_a_missing_key_file_ends_the_start_in_one_line(tmp_path: Path) -> None:
    server = AppServer(tmp_path, more='\n[dns]\nname = "a.test"\nkey_name = "k"\nkey_file = "/none"\n')
    done = run(server.process.argv, check=False, timeout_s=60)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "inkeeper-server: [dns] key_file /none: No such file or directory"
