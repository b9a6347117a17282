"""While the database is away, nobody waits for it but the one call that finds out."""

import pytest

from backend.db.engine import Breaker
from backend.db.errors import DatabaseAway


def test_calls_pass_while_all_is_well() -> None:
    breaker = Breaker()
    assert [breaker.enter(0.0) for _ in range(3)] == [False, False, False]


def test_after_a_failure_calls_fail_at_once_until_one_may_try() -> None:
    breaker = Breaker()
    breaker.failed("gone", 10.0, trial=False)
    with pytest.raises(DatabaseAway, match="gone"):
        breaker.enter(10.0)
    assert breaker.enter(10.0 + Breaker.PAUSE_S)
    with pytest.raises(DatabaseAway):
        breaker.enter(11.0)  # one tries already
    breaker.failed("still gone", 11.0, trial=True)
    with pytest.raises(DatabaseAway, match="still gone"):
        breaker.enter(11.0)
    assert breaker.enter(12.0)
    breaker.answered()
    assert not breaker.enter(12.0)


def test_a_trial_that_was_called_off_lets_another_try() -> None:
    breaker = Breaker()
    breaker.failed("gone", 0.0, trial=False)
    assert breaker.enter(1.0)
    breaker.left(True)
    assert breaker.enter(1.0)


def test_an_ordinary_call_that_is_called_off_does_not_end_anothers_trial() -> None:
    breaker = Breaker()
    breaker.failed("gone", 0.0, trial=False)
    assert breaker.enter(1.0)
    breaker.left(False)
    with pytest.raises(DatabaseAway):
        breaker.enter(1.0)
