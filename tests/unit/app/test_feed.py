"""The pure parts of following a cluster."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.feed import LONGEST_RETRY_S, known_servers, retry_s
from tests.support.console_world import server, small_topology


@settings(deadline=None)
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_between_tries_grow_and_are_bounded(failures: int, random_unit: float) -> None:
    assert 0 < retry_s(failures, random_unit) <= LONGEST_RETRY_S
    assert retry_s(failures + 1, random_unit) >= retry_s(failures, random_unit)


def test_the_cluster_adds_servers_to_those_that_were_set_but_never_drops_them() -> None:
    view = small_topology(
        servers=(
            server("a", "http://a:9191/"),
            server("b", "http://b:9191"),
            server("c", "http://c:9191", state="gone"),
        )
    )
    assert known_servers(("http://vip:9191", "http://a:9191"), view) == (
        "http://vip:9191",
        "http://a:9191",
        "http://b:9191",
    )
