"""The verdict is one true sentence about what stands beside it."""

import msgspec
import pytest

from backend.cluster import topology
from backend.cluster.model import Lease, MemberRow, Snapshot, member_state
from backend.printers.model import ProviderSeen
from backend.wire.base import Ledger
from backend.wire.cluster import DatabaseView, Topology
from backend.wire.pricing import SimpleCost
from backend.wire.printers import QueueView, ServerContact

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
cut_off = ServerContact(url="http://s2/", age_s=60.0, trouble="connection refused")
answering = ServerContact(url="http://s2", age_s=2.0, trouble="one answer came late")


@pytest.mark.parametrize(
    ("seen", "verdict", "health"),
    [
        (
            picture(providers=(silent,)),
            "Whether printing goes on is not known: print server print1 has been silent for 3 min.",
            "error",
        ),
        (
            picture(providers=(behind,)),
            "Printing goes on; 12 jobs wait to be charged: print server print1 has not been able to send them for 2 h.",
            "warning",
        ),
        (
            picture(providers=(msgspec.structs.replace(PROVIDER, age_s=None),)),
            "Print server print1: enrolled, has not been seen yet.",
            "unknown",
        ),
        (picture(queues=(stopped,)), "Queue office on print1 is stopped.", "warning"),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, age_ms=65_000))),
            "Printing goes on: server s2 does not answer (gone for 65 s).",
            "error",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, state="draining"))),
            "Printing goes on: server s2 takes no new work.",
            "draining",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, wanted="draining"))),
            "Printing goes on: server s2 takes no new work.",
            "draining",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, state="drained", wanted="draining"))),
            "Printing goes on: server s2 is drained, can be stopped.",
            "draining",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, age_ms=5_000))),
            "Printing goes on: server s2 does not answer (no sign of life for 5 s).",
            "warning",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, clock_off_ms=-3_600_000))),
            "Printing goes on: server s2's clock is 60 min behind the database's.",
            "warning",
        ),
        (
            picture(paused=True),
            "Printing goes on; the cluster is paused: members that are gone are kept, DNS is not changed.",
            "warning",
        ),
        (picture(holder=""), "Printing goes on: no server leads the cluster at the moment.", "warning"),
        (
            picture(database=msgspec.structs.replace(DATABASE, health="error", detail="no standby follows")),
            "Printing goes on; database db: no standby follows.",
            "error",
        ),
        (
            picture(
                providers=(silent, msgspec.structs.replace(PROVIDER, provider_id=2, name="print2")),
                queues=(QUEUE, msgspec.structs.replace(QUEUE, queue_id=2, provider="print2")),
            ),
            "Printing goes on on 1 of 2 print servers: print server print1 has been silent for 3 min.",
            "error",
        ),
        (
            picture(
                members=(SERVER, msgspec.structs.replace(OTHER, age_ms=65_000)),
                providers=(msgspec.structs.replace(PROVIDER, backlog=3, oldest_unsent_s=4.0),),
            ),
            "Printing goes on; 3 jobs wait to be charged: server s2 does not answer (gone for 65 s).",
            "error",
        ),
        (
            picture(providers=(msgspec.structs.replace(behind, backlog=1, contacts=(cut_off,)),)),
            "Printing goes on; 1 job waits to be charged: server s2 does not answer print server print1.",
            "warning",
        ),
        (
            picture(providers=(msgspec.structs.replace(PROVIDER, contacts=(cut_off,)),)),
            "Printing goes on: server s2 does not answer print server print1.",
            "warning",
        ),
        (
            picture(providers=(msgspec.structs.replace(PROVIDER, contacts=(answering,)),)),
            "All is well: 2 servers, 1 print server, 1 tracked queue.",
            "ok",
        ),
        (
            picture(providers=(msgspec.structs.replace(behind, trouble="cupsd cannot be reached"),)),
            "Printing goes on; 12 jobs wait to be charged; print server print1: cupsd cannot be reached.",
            "warning",
        ),
        (
            picture(queues=(stopped,), providers=(msgspec.structs.replace(PROVIDER, backlog=2),)),
            "Printing goes on; 2 jobs wait to be charged: queue office on print1 is stopped.",
            "warning",
        ),
        (
            picture(members=(SERVER, msgspec.structs.replace(OTHER, state="gone", age_ms=65_000))),
            "Printing goes on: server s2 was stopped 65 s ago.",
            "error",
        ),
        (
            picture(providers=(silent,), queues=(stopped,), holder=""),
            "Whether printing goes on is not known: print server print1 has been silent for 3 min; 2 more to look at.",
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
