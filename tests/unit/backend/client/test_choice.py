"""The choice of a server: every server is asked once, the current one first, and failures move on without running
back."""

from hypothesis import given
from hypothesis import strategies as st

from backend.client import choice

URLS = ("http://a:1", "http://b:1", "http://c:1")


def test_starts_at_a_random_member_and_walks_on_from_there() -> None:
    assert choice.order(choice.start(URLS, 0.5), 0.0) == ("http://b:1", "http://c:1", "http://a:1")
    assert choice.start((), 0.9).current == ""
    assert choice.order(choice.start((), 0.0), 0.0) == ()


def test_the_clients_of_a_server_that_dies_spread_over_all_others() -> None:
    urls = [f"http://{name}:1" for name in "abcd"]
    places = [at / 2400 for at in range(2400)]
    for made in (
        [choice.start(urls, unit) for unit in places],
        [choice.with_servers(choice.start(["http://x:1"], 0.0), ["http://x:1", *urls], unit) for unit in places],
    ):
        for first in {state.current for state in made}:
            mine = [choice.failed(state, first, 0.0).current for state in made if state.current == first]
            others = set(urls) - {first}
            assert set(mine) == others
            assert max(map(mine.count, others)) - min(map(mine.count, others)) <= 6
    assert len({choice.start(urls, unit).servers for unit in places}) == 24


def test_moves_on_after_a_failure_and_stays_there() -> None:
    state = choice.start(URLS, 0.0)
    state = choice.failed(state, "http://a:1", now_s=10.0)
    assert state.current == "http://b:1"
    state = choice.answered(state, "http://b:1")
    assert choice.order(state, now_s=100.0)[0] == "http://b:1"  # a has been forgiven, but nobody runs back


def test_a_server_that_keeps_failing_is_asked_last_for_longer_and_longer() -> None:
    state = choice.start(URLS, 0.0)
    untils = []
    for _ in range(8):
        state = choice.failed(state, "http://c:1", now_s=0.0)
        untils.append(state.away["http://c:1"].until_s)
    assert untils == sorted(untils)
    assert untils[-1] == choice.LONGEST_PENALTY_S
    assert choice.order(state, 1.0)[-1] == "http://c:1"


def test_a_new_list_keeps_the_server_in_use() -> None:
    state = choice.answered(choice.start(URLS, 0.0), "http://b:1")
    state = choice.with_servers(state, ["http://d:1/", "http://b:1"])
    assert state.current == "http://b:1"
    assert set(state.servers) == {"http://b:1", "http://d:1"}
    assert choice.with_servers(state, []).servers == state.servers
    assert choice.with_servers(state, ["http://e:1"]).current == "http://e:1"


def test_hedges_are_at_most_a_tenth_of_requests_in_the_long_run() -> None:
    state = choice.start(URLS, 0.0)
    sent = 0
    for _ in range(1000):
        state = choice.requested(state)
        if choice.may_hedge(state):
            state = choice.hedged(state)
            sent += 1
    assert sent <= 1000 * choice.HEDGE_SHARE + choice.HEDGE_BURST
    assert sent >= 90


steps = st.lists(st.tuples(st.sampled_from(["failed", "answered", "list"]), st.integers(0, 4), st.floats(0, 100)))


@given(steps, st.floats(0, 1, exclude_max=True))
def test_order_is_always_every_server_once(walk: list[tuple[str, int, float]], unit: float) -> None:
    urls = [f"http://{n}:1" for n in "abcde"]
    state = choice.start(urls[:3], unit)
    now = 0.0
    for what, index, more in walk:
        now += more
        if what == "failed":
            state = choice.failed(state, urls[index], now)
        elif what == "answered":
            state = choice.answered(state, urls[index])
        else:
            state = choice.with_servers(state, urls[index:])
        assert sorted(choice.order(state, now)) == sorted(state.servers)
        assert state.current in state.servers
        assert set(state.away) <= set(state.servers)
