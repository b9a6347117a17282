"""Without a database: what Patroni tells, what was known, how old it is; and nothing of it green that nobody asked."""

import msgspec
import pytest

from backend.cluster import away, topology
from backend.cluster.away import Away
from backend.cluster.databases import views
from backend.cluster.model import Lease, MemberRow, Snapshot
from backend.cluster.patroni import Seen
from backend.wire.cluster import DatabaseView, ProviderView, ServerView, Topology
from tests.unit.backend.cluster.test_databases import LEADER, WHOLE, member, seen
from tests.unit.backend.cluster.test_topology import LEDGER, PROVIDER, QUEUE

SINCE = 1_795_752_481_091  # 2026-11-27 04:08:01 UTC
MEMBERS = (
    MemberRow("s1", "p1", "http://s1", "serving", "1", 200),
    MemberRow("s2", "p2", "http://s2", "serving", "1", 300),
)
SNAPSHOT = Snapshot("c", 1, Lease(4, "p1", "s1", 9), MEMBERS, 1.0)
BEFORE = topology.build(SNAPSHOT, "s1", 1000, (PROVIDER,), (QUEUE,), views("x", WHOLE, seen()), LEDGER)
LEADERLESS = seen(member("db2", "sync_standby", state="running"), member("db3", state="running"))


def picture(told: Seen | None, age_s: float = 12.0) -> Topology:
    later = tuple(msgspec.structs.replace(row, age_ms=row.age_ms + round(1000 * age_s)) for row in MEMBERS)
    return away.picture(BEFORE, Away(SINCE, age_s, told, 0.3), SNAPSHOT, later, "p1")


def test_no_primary_is_told_with_since_when_and_who_waits() -> None:
    found = picture(LEADERLESS)
    assert found.health == "error"
    assert found.verdict.startswith(
        "The database has no primary since 04:08:01 UTC (2 nodes running, as Patroni tells)"
    )
    assert [(view.name, view.role, view.health, view.source) for view in found.databases] == [
        ("db1", "primary", "error", "patroni"),
        ("db2", "standby", "warning", "patroni"),
        ("db3", "standby", "warning", "patroni"),
    ]
    assert [view.age_s for view in found.databases] == [12.0, 0.3, 0.3]


def test_a_primary_that_patroni_names_and_nobody_reaches_is_no_primary_that_is_well() -> None:
    found = picture(seen())
    assert "though Patroni names db1 its primary" in found.verdict
    assert [(view.name, view.health) for view in found.databases] == [("db1", "error"), ("db2", "ok"), ("db3", "ok")]
    assert LEADER.name in found.verdict


def test_a_paused_patroni_is_named_since_it_is_why_nothing_takes_over() -> None:
    told = msgspec.structs.replace(LEADERLESS, cluster=msgspec.structs.replace(LEADERLESS.cluster, paused=True))
    assert "Patroni is paused, so nothing takes over by itself" in picture(told).verdict


@pytest.mark.parametrize("told", [None, LEADERLESS, seen()])
def test_what_is_old_is_never_shown_as_well_and_says_how_old_it_is(told: Seen | None) -> None:
    found = picture(told)
    assert found.age_s == 12.0
    assert found.as_of == BEFORE.as_of + 12_000
    shown = {server.name: (server.health, server.state, server.leader, server.age_s) for server in found.servers}
    assert shown == {"s1": ("error", "serving", False, 0.0), "s2": ("unknown", "serving", False, 12.3)}
    (provider,) = found.providers
    assert (provider.health, provider.age_s) == ("unknown", 12.5)
    stale = [view for view in found.databases if view.age_s > 1]
    views: tuple[ServerView | DatabaseView | ProviderView, ...] = (*stale, *found.servers, *found.providers)
    assert "ok" not in {view.health for view in views}
    assert (told is None) == (len(stale) == 3)


def test_a_picture_that_tells_nothing_new_stays_the_same() -> None:
    for told in (None, LEADERLESS, seen()):
        assert topology.fingerprint(picture(told, 12.0)) == topology.fingerprint(picture(told, 99.0))
    assert topology.fingerprint(picture(None)) != topology.fingerprint(picture(LEADERLESS))


def test_a_fault_that_was_known_stays_one() -> None:
    silent = msgspec.structs.replace(PROVIDER, age_s=500.0)
    before = topology.build(SNAPSHOT, "s1", 1000, (silent,), (), (), LEDGER)
    found = away.picture(before, Away(SINCE, 5.0), SNAPSHOT, MEMBERS, "p1")
    assert [view.health for view in found.providers] == ["error"]
