"""When a database is a single copy, what a switchover would do, and what speaks against it."""

from backend.cluster.database_switchover import plan
from backend.cluster.databases import Facts, Standby, mark, redundancy, still_named, views
from backend.cluster.patroni import Failover, PatroniCluster, PatroniConfig, PatroniMember, Seen

SYNC = Standby("db2", "streaming", "sync", 0, 0.0)
ASYNC = Standby("db3", "streaming", "async", 384, 0.1)
HIDDEN = Standby("db2", None, None, None, None)  # what a user without pg_monitor sees
WHOLE = Facts("postgresql", 3, "192.0.2.11:5432", True, (SYNC, ASYNC))


def member(name: str, role: str = "replica", **more: object) -> PatroniMember:
    values: dict[str, object] = {"state": "streaming", "timeline": 3, "lag_bytes": 0, **more}
    return PatroniMember(name=name, role=role, **values)  # type: ignore[arg-type]


LEADER = member("db1", "leader", state="running", lag_bytes=None)
STANDBY = member("db2", "sync_standby")


def seen(
    *members: PatroniMember, strict: bool = True, synchronous: bool = True, paused: bool = False, version: str = "4.1.5"
) -> Seen:
    return Seen(
        cluster=PatroniCluster(members=members or (LEADER, STANDBY, member("db3")), paused=paused),
        config=PatroniConfig(synchronous=synchronous, strict=strict),
        history=(Failover(timeline=2, reason="no recovery target specified", at=1_795_752_481_091, leader="db1"),),
        version=version,
        at_s=0.0,
    )


def test_what_is_acknowledged_is_on_two_machines_only_with_a_synchronous_standby() -> None:
    assert redundancy(WHOLE, seen()).whole
    assert redundancy(WHOLE, None).whole
    assert redundancy(Facts("postgresql", 3, "a", True, (HIDDEN,)), None).whole  # believed: it is set so
    for facts, told in (
        (WHOLE, seen(strict=False)),
        (WHOLE, seen(synchronous=False)),
        (Facts("postgresql", 3, "a", True, ()), None),
        (Facts("postgresql", 3, "a", True, (ASYNC,)), seen(LEADER, member("db3"))),
        (Facts("postgresql", 3, "a", False, (ASYNC,)), None),
        (Facts("postgresql", 3, "a", False, ()), seen()),
    ):
        found = redundancy(facts, told)
        assert (found.whole, found.expected) == (False, True)
        assert found.reason


def test_a_primary_keeps_its_name_while_patroni_is_silent() -> None:
    named, silent = mark(WHOLE, seen()), mark(WHOLE, None)
    assert (named.primary, silent.primary) == ("db1", WHOLE.address)
    assert still_named(silent, named) == named
    assert still_named(silent, None) == silent
    promoted = mark(Facts("postgresql", 4, "new", True, (SYNC,)), None)
    assert still_named(promoted, named).primary == "new"


def test_who_never_had_a_standby_is_not_warned() -> None:
    lone = Facts("postgresql", 1, "a", False, ())
    assert not redundancy(lone, None).expected
    (view,) = views("db", lone, None)
    assert (view.role, view.health) == ("single copy", "ok")
    (file,) = views("x.db", Facts("sqlite"), None)
    assert (file.role, file.health) == ("single copy", "ok")


def test_the_cluster_as_patroni_tells_it() -> None:
    primary, sync, other = views("url", WHOLE, seen(), 0.5)
    assert (primary.name, primary.role, primary.health, primary.timeline) == ("db1", "primary", "ok", 3)
    assert primary.last_failover_at == 1_795_752_481_091
    assert (sync.name, sync.role, sync.sync_state, sync.source, sync.age_s) == (
        "db2",
        "standby",
        "sync",
        "patroni",
        0.5,
    )
    assert (other.sync_state, other.lag_bytes, other.lag_s) == ("async", 384, 0.1)


def test_the_cluster_as_the_connection_knows_it() -> None:
    primary, sync, other = views("h1,h2,h3", WHOLE, None)
    assert (primary.name, primary.role, primary.source, primary.timeline) == ("h1,h2,h3", "primary", "database", 3)
    assert [(view.name, view.sync_state) for view in (sync, other)] == [("db2", "sync"), ("db3", "async")]


def test_a_loss_of_redundancy_is_said() -> None:
    for told, word in ((seen(strict=False), "strict"), (seen(LEADER, member("db3")), "no synchronous standby")):
        primary = views("url", Facts("postgresql", 3, "a", True, (ASYNC,)), told)[0]
        assert (primary.role, primary.health) == ("single copy", "warning")
        assert "loss of redundancy" in primary.detail
        assert word in primary.detail
    waiting = views("url", Facts("postgresql", 3, "a", True, ()), seen(LEADER))[0]
    assert waiting.health == "error"  # strict: commits wait


def test_what_else_an_administrator_must_know_of_the_primary() -> None:
    for told, word in ((seen(paused=True), "paused"), (seen(version="3.0.2"), "3.0.2 can lose")):
        primary = views("url", WHOLE, told)[0]
        assert primary.health == "warning"
        assert word in primary.detail
    late = views("url", WHOLE, seen(LEADER, STANDBY, member("db3", state="stopped")))[2]
    assert late.health == "warning"


def test_the_mark_names_the_node_where_patroni_and_the_connection_agree() -> None:
    assert mark(WHOLE, seen()).primary == "db1"
    assert mark(Facts("postgresql", 4, "192.0.2.12:5432", True, ()), seen()).primary == "192.0.2.12:5432"


def test_a_switchover_goes_to_the_synchronous_standby() -> None:
    for to in ("", "db2"):
        found = plan(seen(), WHOLE, to)
        assert (found.subject, found.blocked, found.objections, found.done) == ("db2", False, (), False)
        assert len(found.steps) == 3


def test_what_speaks_against_a_switchover() -> None:
    blocked = {
        "one SQLite file": plan(None, Facts("sqlite"), ""),
        "no Patroni answers": plan(None, WHOLE, ""),
        "no primary now": plan(seen(STANDBY), WHOLE, ""),
        "there is no node db9": plan(seen(), WHOLE, "db9"),
        "no standby can take over": plan(seen(LEADER), WHOLE, ""),
        "is the primary already": plan(seen(), WHOLE, "db1"),
        "is not the synchronous standby": plan(seen(), WHOLE, "db3"),
        "there is no synchronous standby": plan(seen(LEADER, member("db3")), WHOLE, ""),
        "is stopped, not streaming": plan(seen(LEADER, member("db2", "sync_standby", state="stopped")), WHOLE, "db2"),
        "nofailover": plan(seen(LEADER, member("db2", "sync_standby", failover_allowed=False)), WHOLE, "db2"),
        "64 MB behind": plan(seen(LEADER, member("db2", "sync_standby", lag_bytes=2**26)), WHOLE, ""),
        "is not known": plan(seen(LEADER, member("db2", "sync_standby", lag_bytes=None)), WHOLE, ""),
        "name the node": plan(seen(paused=True), WHOLE, ""),
    }
    for text, found in blocked.items():
        assert found.blocked, text
        assert any(text in objection.text for objection in found.objections if objection.blocks), (text, found)


def test_what_an_administrator_is_told_besides() -> None:
    told = {
        "nothing takes over by itself": plan(seen(paused=True), WHOLE, "db2"),
        "3.0.2 can lose": plan(seen(version="3.0.2"), WHOLE, ""),
        "only 2 nodes": plan(seen(LEADER, STANDBY), WHOLE, ""),
        "db3 is stopped": plan(seen(LEADER, STANDBY, member("db3", state="stopped")), WHOLE, ""),
        "2048 kB behind": plan(seen(LEADER, member("db2", "sync_standby", lag_bytes=2**21)), WHOLE, ""),
    }
    for text, found in told.items():
        assert not found.blocked, text
        assert any(text in objection.text for objection in found.objections), (text, found)
