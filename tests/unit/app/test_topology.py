"""The cluster as cards and edges, and where the cards stand."""

from itertools import combinations, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.facts import facts, lag_text
from app.core.layout import CARD_H, CARD_W, Rect, place
from app.core.topology import QUEUES_SHOWN, Graph, build, fold, printer_address
from app.models.roles import TONE
from app.models.tree import STATUS, TreeModel
from backend.wire.cluster import Topology
from backend.wire.printers import MemberState
from tests.support.console_world import NOW_MS, large_topology, provider, queue, server, small_topology


def node_words(graph: Graph) -> dict[str, str]:
    return {node.id: node.word for node in graph.nodes}


def test_the_small_cluster() -> None:
    graph = build(small_topology(), 0.5, "http://app-01:9191")
    assert node_words(graph) == {
        "database:main": "Healthy",
        "server:app-01": "Healthy",
        "provider:1": "Healthy",
        "queue:2": "Printing",
        "queue:1": "Idle",
    }
    assert {(edge.source, edge.target, edge.state) for edge in graph.edges} == {
        ("server:app-01", "database:main", "live"),
        ("provider:1", "server:app-01", "live"),
        ("provider:1", "queues:provider:1", "live"),
    }
    leader = graph.node("server:app-01")
    assert leader is not None
    assert leader.badges == ("Leader · term 3",)
    assert leader.kind == "app-01:9191 · this console"


def test_every_state_has_its_word() -> None:
    words = node_words(build(large_topology(), 0.5))
    assert words["server:app-03"] == "Draining"
    assert words["provider:3"] == "Down"
    assert words["queue:3"] == "Stopped"
    assert words["queue:5"] == "Switched off"
    assert words["queue:6"] == "Untracked"
    assert words["queue:7"] == "No data"


def test_edges_say_who_talks_to_whom_and_how_well() -> None:
    edges = {(edge.source, edge.target): edge.state for edge in build(large_topology(), 0.5).edges}
    assert edges[("server:app-01", "database:pg-b")] == "live"
    assert edges[("database:pg-b", "database:pg-a")] == "replica"
    assert edges[("provider:2", "server:app-02")] == "live"
    assert edges[("provider:3", "server:app-01")] == "broken"
    assert ("server:app-01", "database:pg-a") not in edges


def test_an_old_picture_has_no_healthy_card_and_no_living_edge() -> None:
    graph = build(large_topology(), 5.5)
    assert {node.health for node in graph.nodes} == {"unknown"}
    assert all(node.dashed for node in graph.nodes)
    assert {edge.state for edge in graph.edges} == {"stale"}


def test_a_node_that_fell_silent_is_not_healthy_in_a_fresh_picture() -> None:
    view = small_topology(providers=(provider(1, "print-01", age_s=12.0),), servers=(server("app-01", age_s=11.0),))
    words = node_words(build(view, 0.1))
    assert words["provider:1"] == words["server:app-01"] == "No data"


def test_what_was_never_seen_says_never() -> None:
    view = small_topology(
        providers=(provider(1, "print-01", health="unknown", age_s=-1.0),),
        queues=(queue(1, "print-01", "q", seen_at=0, printer_state="unknown"),),
    )
    graph = build(view, 0.1)
    found, card = graph.node("provider:1"), graph.node("queue:1")
    assert found is not None
    assert card is not None
    assert (found.age, card.word, card.health) == ("never", "Never seen", "unknown")


def test_the_word_is_not_said_twice() -> None:
    view = small_topology(servers=(server("app-01", health="draining", state="draining"),))
    node = build(view, 0.1).node("server:app-01")
    assert node is not None
    assert node.status == "Draining"


def test_printer_addresses_show_neither_our_prefix_nor_secrets() -> None:
    assert printer_address("inkeeper:/ipp://10.0.0.7:631/ipp/print") == "ipp://10.0.0.7:631"
    assert printer_address("socket://user:secret@host:9100") == "socket://host:9100"
    assert printer_address("file:/dev/null") == "file:/dev/null"


def test_facts_are_those_of_the_node_and_none_is_empty() -> None:
    view = large_topology()
    for node in build(view, 2.0).nodes:
        found = facts(view, node.id, 2.0)
        assert found
        assert all(title and text for title, text in found)
    assert dict(facts(view, "queue:2", 2.0))["Price"] == "0.15 EUR a page"
    assert dict(facts(view, "provider:2", 2.0))["Talks to"] == "app-02"
    assert facts(view, "queue:999", 2.0) == facts(view, "more:provider:1", 2.0) == ()


def test_many_queues_fold_with_the_troubled_ones_in_sight() -> None:
    queues = tuple(queue(n, "print-01", f"q-{n:03d}") for n in range(1, 149))
    queues += (queue(149, "print-01", "q-zzz", printer_state="stopped"),)
    whole = build(small_topology(queues=queues), 0.1)
    shown = [node for node in fold(whole).nodes if node.tier == "queue"]
    assert len(shown) == QUEUES_SHOWN
    assert "queue:149" in {node.id for node in shown}
    assert shown[-1].name == f"{149 - QUEUES_SHOWN + 1} more queues"
    assert sum(node.tier == "queue" for node in whole.nodes) == 149


def test_more_trouble_than_fits_is_told_by_the_last_card() -> None:
    queues = tuple(queue(n, "print-01", f"q-{n:03d}", printer_state="stopped") for n in range(40))
    last = [node for node in fold(build(small_topology(queues=queues), 0.1)).nodes if node.tier == "queue"][-1]
    assert (last.health, last.detail) == ("warning", "all of them")


def overlap(one: Rect, other: Rect) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    servers = tuple(server(f"app-{n:02d}") for n in range(draw(st.integers(0, 6))))
    providers = tuple(provider(n, f"print-{n:02d}") for n in range(draw(st.integers(0, 6))))
    queues = tuple(
        queue(100 * holder + n, f"print-{holder:02d}", f"q{n}")
        for holder in range(draw(st.integers(0, 7)))
        for n in range(draw(st.integers(0, 20)))
    )
    return small_topology(servers=servers, providers=providers, queues=queues)


@settings(deadline=None)
@given(topologies())
def test_cards_never_overlap_and_stay_in_their_boxes(view: Topology) -> None:
    graph = fold(build(view, 0.1))
    layout = place(graph)
    assert set(layout.cards) == {node.id for node in graph.nodes}
    for one, other in combinations(layout.cards.values(), 2):
        assert not overlap(one, other)
    boxes = {group.tier: group.rect for group in layout.groups}
    for node in graph.nodes:
        card, box = layout.cards[node.id], boxes[node.tier]
        assert (card.w, card.h) == (CARD_W, CARD_H)
        assert box.x < card.x
        assert card.right < box.right
        assert box.y < card.y
        assert card.bottom < box.bottom
    assert all(left.right < right.x for left, right in pairwise(boxes.values()))


@settings(deadline=None)
@given(topologies())
def test_health_moves_nothing(view: Topology) -> None:
    assert place(build(view, 0.1)).cards == place(build(view, 600.0)).cards


def test_the_cluster_is_laid_out_the_same_whatever_the_order_it_is_told_in() -> None:
    view = large_topology()
    turned = msgspec.structs.replace(view, servers=view.servers[::-1], queues=view.queues[::-1])
    assert place(build(view, 0.1)) == place(build(turned, 0.1))


def test_what_concerns_a_tier_as_a_whole_is_seen_while_the_picture_is_fresh() -> None:
    nobody = small_topology(servers=(server("app-01"), server("app-02")), paused=True)
    assert build(nobody, 0.5).alerts == (("server", "warning", "No leader"), ("server", "draining", "Paused"))
    assert build(nobody, 60.0).alerts == ()
    single = msgspec.structs.replace(large_topology().databases[1], role="single copy", health="warning")
    assert build(small_topology(databases=(single,)), 0.5).alerts == (("database", "warning", "Single copy"),)
    standby = msgspec.structs.replace(single, role="standby")
    assert build(small_topology(databases=(standby,)), 0.5).alerts == (("database", "error", "No primary"),)
    assert build(small_topology(), 0.5).alerts == ()


def test_the_table_tells_it_too() -> None:
    model = TreeModel()
    model.show_graph(build(small_topology(servers=(server("app-01"),), paused=True), 0.5))
    tier = model.index(1, STATUS)
    assert (tier.data(), tier.data(TONE)) == ("No leader, Paused", "warning")
    model.show_graph(build(small_topology(), 0.5))
    assert (tier.data(), tier.data(TONE)) == ("", None)


def test_the_states_of_a_server_have_words_of_their_own() -> None:
    def status(state: MemberState, **more: object) -> str:
        view = msgspec.structs.replace(server("app-01", state=state, health="draining"), **more)
        return build(small_topology(servers=(view,)), 0.5).nodes[1].status

    assert status("draining", detail="takes no new work") == "Draining · takes no new work"
    assert status("draining", drained=True, detail="drained, can be stopped") == "Drained, can be stopped"
    assert status("suspect", health="warning", detail="no sign of life for 4 s") == "Suspect · no sign of life for 4 s"
    assert status("gone", health="error", detail="gone for 3 min") == "Gone for 3 min"
    assert status("joining", health="warning", detail="starting") == "Joining · starting"


def test_the_last_failover_stands_on_the_primary_and_among_its_facts() -> None:
    primary = msgspec.structs.replace(large_topology().databases[1], last_failover_at=NOW_MS - 200_000, timeline=8)
    view = small_topology(databases=(primary,))
    node = build(view, 0.5).node("database:pg-b")
    assert node is not None
    assert node.kind == "primary · failover 3 min ago"
    told = dict(facts(view, "database:pg-b", 0.5))
    assert (told["Last failover"], told["Timeline"]) == ("3 min ago", "8")


@pytest.mark.parametrize(
    ("lag_bytes", "lag_s", "text"),
    [(None, None, "not known"), (0, 0.0, "0 B, 0.0 s"), (2048, None, "2 kB"), (100_663_296, 4.2, "96 MB, 4.2 s"),
     (2**40, None, "1024 GB")],
)  # fmt: skip
def test_how_far_a_standby_is_behind(lag_bytes: int | None, lag_s: float | None, text: str) -> None:
    view = msgspec.structs.replace(large_topology().databases[0], lag_bytes=lag_bytes, lag_s=lag_s)
    assert lag_text(view) == text
