"""Who may join, and the one line for who may not."""

from dataclasses import replace

import msgspec
import pytest

from backend.cluster.joining import Applicant, claim, refusal
from backend.cluster.model import MemberRow

SHARED = {"ledger.currency": "EUR", "ledger.decimals": "4"}
WHO = Applicant("two", "p2", "http://b:9191", "b", 1, 0, 300.0, SHARED)
ONE = MemberRow("one", "p1", "http://a:9191", "serving", "1", 200, host="a")


def test_a_server_like_the_others_may_join() -> None:
    assert refusal(WHO, (), 1.0, {}) == ""
    assert refusal(WHO, (ONE,), 1.0, SHARED) == ""


@pytest.mark.parametrize(
    ("who", "kept", "words"),
    [
        (WHO, SHARED | {"ledger.decimals": "2"}, ("decimals is '4' here and '2'", "decimals = 2")),
        (WHO, SHARED | {"ledger.currency": "CHF"}, ("currency is 'EUR' here and 'CHF'",)),
        (replace(WHO, protocol=3), SHARED, ("an older contract (1, this one 3)", "one version at a time")),
        (replace(WHO, clock_off_ms=-3_600_000), SHARED, ("3600 s behind the database's", "clock_tolerance_s")),
        (replace(WHO, clock_off_ms=301_000), SHARED, ("301 s ahead of",)),
    ],
)
def test_who_cannot_work_with_the_others_is_told_why(
    who: Applicant, kept: dict[str, str], words: tuple[str, ...]
) -> None:
    said = refusal(who, (ONE,), 1.0, kept)
    assert all(word in said for word in words), said
    assert "\n" not in said


def test_neighbouring_versions_and_small_offsets_are_no_hindrance() -> None:
    assert refusal(replace(WHO, protocol=2, clock_off_ms=299_000), (ONE,), 1.0, SHARED) == ""
    assert refusal(replace(WHO, clock_off_ms=10**9, clock_tolerance_s=0), (ONE,), 1.0, SHARED) == ""


def test_a_wrong_clock_is_better_than_no_server() -> None:
    wrong = replace(WHO, clock_off_ms=10**9)
    gone = msgspec.structs.replace(ONE, age_ms=60_000)
    assert refusal(wrong, (), 1.0, SHARED) == ""
    assert refusal(wrong, (gone,), 1.0, SHARED) == ""
    assert refusal(replace(WHO, protocol=9), (gone,), 1.0, SHARED) == ""


MINE = MemberRow("two", "p2", "http://b:9191", "serving", "1", 100, host="b")
THEIRS = msgspec.structs.replace(MINE, process="other", host="c")


@pytest.mark.parametrize(
    ("row", "watched_s", "moved", "found"),
    [
        (None, 0.0, False, "free"),
        (MINE, 0.0, False, "mine"),
        (msgspec.structs.replace(THEIRS, state="gone"), 0.0, False, "takes over"),
        (msgspec.structs.replace(THEIRS, host="b"), 0.0, False, "takes over"),  # our address: it is dead
        (msgspec.structs.replace(THEIRS, host="", url="http://b:9191"), 0.0, False, "wait"),
        (THEIRS, 0.0, False, "wait"),
        (THEIRS, 3.1, False, "takes over"),
        (THEIRS, 0.5, True, "taken"),
        (THEIRS, 9.0, True, "taken"),
        (msgspec.structs.replace(THEIRS, age_ms=20_000), 0.0, False, "takes over"),
    ],
)
def test_a_name_is_taken_while_another_beats_under_it(
    row: MemberRow | None, watched_s: float, moved: bool, found: str
) -> None:
    assert claim(WHO, row, 1.0, watched_s, moved) == found
