"""What becomes of a job while no server answers: each policy, and P5's bound on what a user spends meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.wire.base import Ledger, OfflinePolicy
from backend.wire.jobs import JobFacts
from backend.wire.pricing import SimpleCost
from backend.wire.printers import QueuePolicy
from provider.jobs.offline import (
    OfflineDeny,
    OfflineHold,
    OfflinePrint,
    Purse,
    Verdict,
    allowance_units,
    decide,
)

EUR = Ledger(currency="EUR", decimals=4)
RULE = SimpleCost(per_impression=500, version=7)


def say(
    policy: OfflinePolicy = "allow",
    *,
    own: OfflinePolicy = "allow",
    pages: int = 4,
    told: int | None = None,
    spent: int = 0,
    allowance: int = 0,
    known: bool = True,
    disabled: bool = False,
) -> Verdict:
    queue = QueuePolicy(name="q", disabled=disabled, cost=RULE, offline_policy=policy) if known else None
    facts = JobFacts(impressions=pages, sheets=pages)
    return decide("q", facts, queue, own, allowance, Purse(told, spent), EUR)


def test_allow_prints_and_says_by_which_rule() -> None:
    verdict = say("allow")
    assert isinstance(verdict, OfflinePrint)
    assert verdict.charge is not None
    assert (verdict.charge.cost, verdict.charge.rule) == (2000, RULE)


def test_a_queue_that_no_server_has_told_of_goes_by_the_own_setting() -> None:
    assert say(known=False, own="allow") == OfflinePrint(None)
    assert isinstance(say(known=False, own="hold"), OfflineHold)
    assert isinstance(say(known=False, own="allowance", told=10**6), OfflineHold), "nobody knows what it costs"


def test_default_is_the_own_setting_and_a_policy_of_the_queue_goes_before_it() -> None:
    assert isinstance(say("default", own="hold"), OfflineHold)
    assert isinstance(say("allow", own="hold"), OfflinePrint)
    assert isinstance(say("hold", own="allow"), OfflineHold)


def test_a_queue_whose_jobs_wait_to_be_released_holds_them_unless_it_is_told_otherwise() -> None:
    facts = JobFacts(impressions=1, sheets=1)

    def verdict(policy: OfflinePolicy) -> Verdict:
        queue = QueuePolicy(name="q", disabled=False, cost=RULE, offline_policy=policy, hold_jobs=True)
        return decide("q", facts, queue, "allow", 0, Purse(None, 0), EUR)

    assert isinstance(verdict("default"), OfflineHold)
    assert isinstance(verdict("allow"), OfflinePrint)


def test_a_queue_that_is_switched_off_prints_nothing() -> None:
    assert say("allow", disabled=True) == OfflineDeny("Printing on q is switched off.")


@pytest.mark.parametrize(
    ("told", "spent", "allowance", "prints"),
    [
        (2000, 0, 0, True),
        (1999, 0, 0, False),
        (None, 0, 2000, True),
        (None, 0, 1999, False),
        (2000, 2000, 2000, True),
        (2000, 2001, 2000, False),
        (-500, 0, 2499, False),
        (-500, 0, 2500, True),
    ],
)
def test_an_allowance_covers_what_it_covers(told: int | None, spent: int, allowance: int, prints: bool) -> None:
    verdict = say("allowance", told=told, spent=spent, allowance=allowance)
    assert isinstance(verdict, OfflinePrint if prints else OfflineHold)


def test_who_has_spent_the_allowance_is_told_so_in_money() -> None:
    verdict = say("allowance", told=1000, allowance=500)
    assert isinstance(verdict, OfflineHold)
    assert "This job costs 0.20 EUR, 0.15 EUR can be spent" in verdict.message


@given(
    told=st.integers(-5000, 20_000) | st.none(),
    allowance=st.integers(0, 10_000),
    jobs=st.lists(st.integers(0, 20), max_size=30),
)
def test_no_order_of_jobs_spends_more_than_was_left_and_allowed(
    told: int | None, allowance: int, jobs: list[int]
) -> None:
    spent = 0
    for pages in jobs:
        verdict = say("allowance", pages=pages, told=told, spent=spent, allowance=allowance)
        if isinstance(verdict, OfflinePrint) and verdict.charge is not None:
            spent += verdict.charge.cost
    assert spent <= max(0, (told or 0) + allowance)


@pytest.mark.parametrize(("text", "units"), [("", 0), ("  ", 0), ("5.00", 50_000), ("0.015", 150), ("-1", 0)])
def test_the_setting_is_an_amount(text: str, units: int) -> None:
    assert allowance_units(text, EUR) == units


def test_what_is_no_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="not an amount"):
        allowance_units("five", EUR)
