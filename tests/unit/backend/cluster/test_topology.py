"""The verdict is one true sentence about what stands beside it."""

import msgspec
import pytest

from backend.cluster import topology
from backend.cluster.model import Lease, MemberRow, Snapshot, member_state
from backend.printers.model import ProviderSeen
from backend.wire.messages import DatabaseView, Ledger, QueueView, Topology
from backend.wire.pricing import SimpleCost

LEDGER = Ledger(currency="EUR", decimals=4)
SERVER = MemberRow("s1", "p1", "http://s1", "serving", "1", 200)
OTHER = MemberRow("s2", "p2", "http://s2", "serving", "1", 300)
PROVIDER = ProviderSeen(1, "print1", "host", "1", 0, 0.0, 10**10, "s1", 0.5)
QUEUE = QueueView(
    queue_id=1,
    provider="print1",
    name="office",
    tracked=True,
    disabled=False,
    cost=SimpleCost(per_impression=500),
    offline_policy="allow",
    printer_state="idle",
    seen_at=1,
)
DATABASE = DatabaseView(name="db", engine="postgresql", role="primary", health="ok", detail="answers")


def picture(
    members: tuple[MemberRow, ...] = (SERVER, OTHER),
    providers: tuple[ProviderSeen, ...] = (PROVIDER,),
    queues: tuple[QueueView, ...] = (QUEUE,),
    database: DatabaseView = DATABASE,
    holder: str = "p1",
    paused: bool = False,
) -> Topology:
    snapshot = Snapshot("c", 1, Lease(4, holder, "s1", 9), members, 1.0, paused)
    return topology.build(snapshot, "s1", 1000, providers, queues, (database,), LEDGER)


def test_all_is_well() -> None:
    seen = picture()
    assert seen.verdict == "All is well: 2 servers, 1 print server, 1 tracked queue."
    assert seen.health == "ok"
    assert [server.leader for server in seen.servers] == [True, False]
    assert picture(providers=(), queues=()).verdict == "All is well: 2 servers, no print server is enrolled yet."


silent = msgspec.structs.replace(PROVIDER, age_s=185.0)
behind = msgspec.structs.replace(PROVIDER, backlog=12, oldest_unsent_s=7300.0)
stopped = msgspec.structs.replace(QUEUE, printer_state="stopped")


@pytest.mark.parametrize(
    ("seen", "verdict", "health"),
    [
        (picture(providers=(silent,)), "Print server print1: silent for 3 min.", "error"),
        (picture(providers=(behind,)), "Print server print1: 12 reports wait, the oldest for 2 h.", "warning"),
        (
            picture(providers=(msgspec.structs.replace(PROVIDER, age_s=None),)),
            "Print server print1: enrolled, has not been seen yet.",
            "unknown",
        ),
        (picture(queues=(stopped,)), "Queue office on print1 is stopped.", "warning"),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, age_ms=65_000))),
            "Server s2: gone for 65 s.",
            "error",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, state="draining"))),
            "Server s2: takes no new work.",
            "draining",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, wanted="draining"))),
            "Server s2: takes no new work.",
            "draining",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, state="drained", wanted="draining"))),
            "Server s2: drained, can be stopped.",
            "draining",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, age_ms=5_000))),
            "Server s2: no sign of life for 5 s.",
            "warning",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, clock_off_ms=-3_600_000))),
            "Server s2: its clock is 60 min behind the database's.",
            "warning",
        ),
        (
            picture(paused=True),
            "The cluster is paused: members that are gone are kept, DNS is not changed.",
            "warning",
        ),
        (picture(holder=""), "No server leads the cluster at the moment.", "warning"),
        (
            picture(database=msgspec.structs.replace(DATABASE, health="error", detail="no standby follows")),
            "Database db: no standby follows.",
            "error",
        ),
        (
            picture(providers=(silent,), queues=(stopped,), holder=""),
            "Print server print1: silent for 3 min; 2 more to look at.",
            "error",
        ),
    ],
)
def test_the_worst_is_named_and_the_rest_is_counted(seen: Topology, verdict: str, health: str) -> None:
    assert (seen.verdict, seen.health) == (verdict, health)


def test_queues_that_are_not_seen_or_not_tracked_worry_nobody() -> None:
    away = (msgspec.structs.replace(stopped, seen_at=0), msgspec.structs.replace(stopped, tracked=False), QUEUE)
    assert picture(queues=away).health == "ok"


def test_a_leader_that_is_gone_leads_no_more() -> None:
    seen = picture(members=(msgspec.structs.replace(SERVER, age_ms=60_000), OTHER))
    assert not any(server.leader for server in seen.servers)
    assert "1 more to look at" in seen.verdict


def test_the_fingerprint_changes_with_what_is_told_not_with_time() -> None:
    base = topology.fingerprint(picture())
    older = picture(members=(msgspec.structs.replace(SERVER, age_ms=900), OTHER))
    assert topology.fingerprint(older) == base
    assert topology.fingerprint(picture(queues=(stopped,))) != base


@pytest.mark.parametrize(
    ("written", "age_ms", "state"),
    [
        ("serving", 0, "serving"),
        ("serving", 3_000, "serving"),
        ("serving", 3_001, "suspect"),
        ("draining", 3_000, "draining"),
        ("serving", 10_001, "gone"),
        ("gone", 10, "gone"),
        ("joining", 10, "joining"),
    ],
)
def test_member_states(written: str, age_ms: int, state: str) -> None:
    assert member_state(written, age_ms, 1.0) == state


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_durations(seconds: float, text: str) -> None:
    assert topology.duration_text(seconds) == text


def test_a_drained_server_is_told_apart_from_one_that_still_works() -> None:
    for state, drained in (("draining", False), ("drained", True)):
        shown = picture(members=(SERVER, msgspec.structs.replace(OTHER, state=state, wanted="draining")))
        assert [view.drained for view in shown.servers] == [False, drained]
