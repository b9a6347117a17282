"""What the cluster's name should hold, and who may write it: tables and invariants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.cluster.dns import machine
from backend.cluster.dns.machine import Fence, Found, Leave, Update
from backend.cluster.model import MemberRow, Snapshot

MINE = Fence("c", 1, 5)
ONE, TWO = "192.0.2.1", "192.0.2.2"


def found(fence: Fence | None, *addresses: str, ttl_s: int = 5) -> Found:
    return Found((fence.text,) if fence else (), frozenset(addresses), ttl_s)


def decide(seen: Found, *wanted: str) -> Update | Leave:
    return machine.decide(MINE, seen, frozenset(wanted), 5)


def test_an_empty_name_is_taken() -> None:
    assert decide(found(None), ONE) == Update("", MINE.text, frozenset({ONE}))


def test_what_is_as_wanted_is_left() -> None:
    assert decide(found(MINE, ONE, TWO), TWO, ONE) == Leave()


@pytest.mark.parametrize("seen", [found(MINE, ONE), found(MINE, ONE, TWO, "192.0.2.3"), found(MINE, ONE, TWO, ttl_s=9)])
def test_what_differs_is_set_as_long_as_the_term_is_mine(seen: Found) -> None:
    assert decide(seen, ONE, TWO) == Update(MINE.text, MINE.text, frozenset({ONE, TWO}))


def test_a_new_leader_raises_the_term_and_writes_all_addresses_even_if_they_seem_right() -> None:
    before = Fence("c", 1, 4)
    assert decide(found(before, ONE), ONE) == Update(before.text, MINE.text, frozenset({ONE}))


def test_a_restored_cluster_has_a_lower_term_and_a_higher_generation() -> None:
    restored = Fence("c", 2, 1)
    assert isinstance(machine.decide(restored, found(MINE, ONE), frozenset({ONE}), 5), Update)


@pytest.mark.parametrize("later", [Fence("c", 1, 6), Fence("c", 2, 0)])
def test_a_later_leader_is_left_alone(later: Fence) -> None:
    left = decide(found(later, ONE), TWO)
    assert isinstance(left, Leave)
    assert f"term {later.term}" in left.trouble


@pytest.mark.parametrize("texts", [(Fence("other", 1, 1).text,), ("v=spf1 -all",), (MINE.text, MINE.text + "0")])
def test_what_is_not_ours_is_left_alone_and_told(texts: tuple[str, ...]) -> None:
    left = decide(Found(texts, frozenset(), 0), ONE)
    assert isinstance(left, Leave)
    assert "delete" in left.trouble


def test_the_last_address_is_never_removed() -> None:
    assert decide(found(MINE, ONE)) == Leave()
    assert decide(found(Fence("c", 1, 4), ONE)) == Update(Fence("c", 1, 4).text, MINE.text, None)


FENCES = st.builds(Fence, st.sampled_from(["c", "d"]), st.integers(0, 3), st.integers(0, 3))
ADDRESSES = st.frozensets(st.sampled_from([ONE, TWO, "2001:db8::1"]))


@given(st.lists(st.tuples(FENCES.filter(lambda fence: fence.cluster == "c"), ADDRESSES), max_size=12))
def test_fences_only_rise_and_an_address_is_left_whoever_comes(
    steps: list[tuple[Fence, frozenset[str]]],
) -> None:
    seen = found(None)
    highest = (-1, -1)
    for leader, wanted in steps:
        todo = machine.decide(leader, seen, wanted, 5)
        if isinstance(todo, Update):
            assert todo.expected == (seen.fences[0] if seen.fences else "")
            assert todo.addresses is None or todo.addresses
            after = seen.addresses if todo.addresses is None else todo.addresses
            seen = Found((todo.fence,), after, 5 if after else 0)
        written = machine.parse_fence(seen.fences[0])
        assert written is not None
        assert written.age >= highest
        highest = written.age


@given(FENCES)
def test_a_fence_is_read_as_it_was_written(fence: Fence) -> None:
    assert machine.parse_fence(fence.text) == fence


def test_only_serving_members_count() -> None:
    rows = [("serving", 0), ("draining", 0), ("joining", 0), ("gone", 0), ("serving", 3_500), ("serving", 60_000)]
    members = tuple(
        MemberRow(f"m{number}", "p", f"http://192.0.2.{number}:9191", state, "1", age)
        for number, (state, age) in enumerate(rows)
    )
    assert machine.serving_hosts(Snapshot(members=members)) == ("192.0.2.0",)


def member(number: int, state: str = "serving", wanted: str = "serving", age_ms: int = 0) -> MemberRow:
    return MemberRow(f"m{number}", "p", f"http://192.0.2.{number}:9191", state, "1", age_ms, wanted)


def test_who_is_told_to_drain_leaves_at_once_and_not_when_it_is_drained() -> None:
    """It has not even read its wish yet; whoever looks the name up from now on should not be led there."""
    members = (member(1), member(2, wanted="draining"))
    assert machine.serving_hosts(Snapshot(members=members)) == ("192.0.2.1",)


def test_when_the_last_ones_are_told_to_drain_the_name_keeps_what_it_has() -> None:
    hosts = machine.serving_hosts(Snapshot(members=(member(1, wanted="draining"), member(2, "drained", "draining"))))
    assert hosts == ()
    assert decide(found(MINE, ONE), *machine.wanted(hosts, {})) == Leave()


def test_addresses_are_taken_as_written_and_names_as_resolved() -> None:
    resolved = {"a.test": frozenset({"192.0.2.7"})}
    hosts = ["127.0.0.2", "2001:DB8:0::1", "a.test", "unknown.test"]
    assert machine.wanted(hosts, resolved) == {"127.0.0.2", "2001:db8::1", "192.0.2.7"}


def test_a_resolved_address_must_be_of_use_to_others() -> None:
    assert machine.publishable(["127.0.1.1", "::1", "fe80::1%eth0", "0.0.0.0", "192.0.2.1"]) == {"192.0.2.1"}
