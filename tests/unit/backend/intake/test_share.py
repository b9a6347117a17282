"""How waiting commands are shared out among the lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.intake.service import MAX_BATCH, MIN_SHARE, share


@pytest.mark.parametrize(
    ("waiting", "idle", "taken"),
    [
        (1, 2, 1),
        (MIN_SHARE, 2, MIN_SHARE),  # not worth two transactions
        (MIN_SHARE + 1, 2, MIN_SHARE),
        (80, 2, 40),
        (81, 2, 41),
        (80, 1, 80),
        (4096, 1, MAX_BATCH),
        (4096, 2, MAX_BATCH),
    ],
)
def test_a_lane_takes_its_share(waiting: int, idle: int, taken: int) -> None:
    assert share(waiting, idle) == taken


@given(st.integers(1, 5000), st.integers(1, 8))
def test_every_share_moves_on_and_the_last_idle_lane_takes_what_it_may(waiting: int, idle: int) -> None:
    assert 1 <= share(waiting, idle) <= min(waiting, MAX_BATCH)
    assert share(waiting, 1) == min(waiting, MAX_BATCH)
