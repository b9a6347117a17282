"""Which events are worth a mail, and what it says."""

import pytest

from backend.notices import model
from backend.wire.cluster import ClusterEvent


def event(kind: str, cause: str = "", away_ms: int | None = None) -> ClusterEvent:
    return ClusterEvent(event_id="7.9", at=0, kind=kind, subject="app-1", cause=cause, term=3, away_ms=away_ms)


@pytest.mark.parametrize(
    ("kind", "cause", "worth"),
    [
        ("leader-changed", "lease expired", True),
        ("leader-changed", "first", False),
        ("leader-changed", "handed over", False),
        ("member-gone", "no sign of life", True),
        ("member-returned", "beats again", True),
        ("member-restarted", "started again after it had died", True),
        ("member-restarted", "started again", False),
        ("member-left", "stopped in good order", False),
        ("member-draining", "wanted", False),
        ("database-changed", "failover", True),
        ("redundancy-lost", "no standby", True),
        ("redundancy-restored", "a standby", True),
        ("cluster-paused", "wanted", False),
        ("dns-changed", "addresses changed", False),
    ],
)
def test_what_nobody_asked_for_is_worth_a_mail(kind: str, cause: str, worth: bool) -> None:
    assert model.is_worth_a_mail(event(kind, cause)) is worth


def test_the_loss_of_the_last_but_one_server_is_said_in_the_subject() -> None:
    assert model.subject(event("member-gone"), 1) == "[Inkeeper] Server app-1 is gone; only one server is left"
    assert model.subject(event("member-gone"), 2) == "[Inkeeper] Server app-1 is gone"


def test_a_name_cannot_add_a_header() -> None:
    found = ClusterEvent(event_id="1.1", at=0, kind="member-gone", subject="a\r\nBcc: b@c.test")
    assert "\n" not in model.subject(found, 2)
    assert "\r" not in model.subject(found, 2)


def test_the_text_tells_when_what_why_and_for_how_long() -> None:
    text = model.body(event("leader-changed", "lease expired", away_ms=4200), 2, "2026-01-02 03:04:05 UTC", "c1")
    for word in ("app-1 leads now", "2026-01-02 03:04:05", "lease expired", "4.2 s", "2 serve now", "c1, event 7.9"):
        assert word in text


def test_pauses_grow_to_a_bound_and_all_tries_together_take_days() -> None:
    pauses = [model.pause_s(tries) for tries in range(1, model.MAX_TRIES)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (10, 3600)
    assert 2 * 86_400 < sum(pauses) < 4 * 86_400


def test_an_id_is_made_of_the_event_alone() -> None:
    assert model.message_id("c", 1, "7.9", "a.test") == "<inkeeper.c.1.7.9@a.test>"
