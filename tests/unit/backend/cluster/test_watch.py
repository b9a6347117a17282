"""Silence by the watcher's own clock: the database's clock may jump as it likes."""

from hypothesis import given
from hypothesis import strategies as st

from backend.cluster import watch
from backend.cluster.model import MemberRow

HOUR_MS = 3_600_000


def row(seen_at: int, db_age_ms: int, process: str = "p") -> MemberRow:
    return MemberRow("s", process, "http://s", "serving", "1", db_age_ms, seen_at=seen_at)


def test_what_was_never_seen_to_move_is_as_old_as_the_database_says_or_older() -> None:
    sights = watch.look({}, [row(1, 7_000)], 10.0)
    assert watch.age_ms(sights, row(1, 7_000), 10.0) == 7_000
    assert watch.age_ms(sights, row(1, 0), 40.0) == 30_000  # the database's clock went back
    assert watch.age_ms({}, row(1, 7_000), 10.0) == 7_000


def test_a_jump_of_the_databases_clock_makes_nobody_old() -> None:
    sights = watch.look({}, [row(1_000, 0)], 10.0)
    sights = watch.look(sights, [row(2_000, 0)], 11.0)
    assert watch.age_ms(sights, row(2_000, HOUR_MS), 11.5) == 500


def test_a_beat_after_the_last_look_is_no_silence() -> None:
    sights = watch.look({}, [row(1_000, 0)], 10.0)
    assert watch.age_ms(sights, row(2_000, 9_000), 19.0) == 0
    assert watch.age_ms(sights, row(1_000, 9_000, process="another"), 19.0) == 0


def test_members_that_are_forgotten_are_not_kept() -> None:
    assert watch.look(watch.look({}, [row(1, 0)], 1.0), [], 2.0) == {}


jumps = st.lists(st.tuples(st.floats(0.1, 2.0), st.booleans(), st.integers(-HOUR_MS, HOUR_MS)), max_size=60)


@given(jumps)
def test_whatever_the_databases_clock_does_a_watched_silence_is_the_true_one(
    walk: list[tuple[float, bool, int]],
) -> None:
    """Looks happen at each step; the member beats or not, and the database's clock jumps at will."""
    now_s, clock_ms, seen_at, beat_at_s = 0.0, 10**9, 10**9, 0.0
    sights: watch.Sights = {}
    moved = False
    for seconds, beats, jump in walk:
        now_s += seconds
        clock_ms += round(seconds * 1000) + jump
        if beats and clock_ms != seen_at:
            moved = moved or bool(sights)
            seen_at, beat_at_s = clock_ms, now_s
        now = row(seen_at, max(0, clock_ms - seen_at))
        sights = watch.look(sights, [now], now_s)
        if moved:
            assert abs(watch.age_ms(sights, now, now_s) - (now_s - beat_at_s) * 1000) <= 1
