"""Cost rules as people write them, and queues as rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.costs import (
    AmountError,
    Draft,
    Row,
    amount_of,
    check,
    common,
    draft_of,
    example,
    preview,
    rule_words,
    same,
    typed,
)
from app.core.queues import CHOICES, COLUMNS, Choice, chosen, counted, line
from backend.wire.base import Ledger
from backend.wire.pricing import CostRule, MediaCost, PageCost, Printed, SimpleCost, StandardCost, price
from backend.wire.printers import SetQueue
from tests.support.console_world import LEDGER, large_topology, queue

UNITS = Ledger(currency="", decimals=0)
PAGE = PageCost(grayscale_simplex=500, grayscale_duplex=400, color_simplex=2000, color_duplex=1500)
TABLE = StandardCost(default=PAGE, media=(MediaCost(media="a3", cost=PAGE),), grayscale_printer=False)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0.05", 500), (" 0,05 EUR ", 500), ("1", 10_000), ("−2.5", -25_000), ("0.0001", 1), ("1e2", 1_000_000)],
)
def test_amounts_as_they_are_typed(text: str, amount: int) -> None:
    assert amount_of(text, LEDGER) == amount


@pytest.mark.parametrize(
    ("text", "ledger", "why"),
    [
        ("", LEDGER, "missing"),
        ("five", LEDGER, "not an amount"),
        ("NaN", LEDGER, "not an amount"),
        ("Infinity", LEDGER, "not an amount"),
        ("1,000,5", LEDGER, "not an amount"),
        ("0.00001", LEDGER, "at most 4 decimals"),
        ("0.5", UNITS, "whole numbers only"),
        ("1e30", LEDGER, "more than this ledger"),
    ],
)
def test_what_is_no_amount_says_why(text: str, ledger: Ledger, why: str) -> None:
    with pytest.raises(AmountError, match=why):
        amount_of(text, ledger)


@given(st.integers(-(2**53), 2**53), st.integers(0, 8))
def test_what_is_shown_in_a_field_is_read_back_exactly(amount: int, decimals: int) -> None:
    ledger = Ledger(currency="EUR", decimals=decimals)
    assert amount_of(typed(amount, ledger), ledger) == amount


@pytest.mark.parametrize("rule", [SimpleCost(per_impression=500, duplex_discount=20, grayscale_printer=True), TABLE])
def test_a_rule_goes_through_the_form_unchanged(rule: CostRule) -> None:
    found = check(draft_of(rule, LEDGER), LEDGER).rule
    assert found is not None
    assert same(found, rule)


def test_everything_wrong_is_told_at_once() -> None:
    rows = (Row("", ("0.1", "x", "", "-1")), Row("a4", ("1",) * 4), Row("A4", ("1",) * 4), Row("", ("1",) * 4))
    found = check(Draft("standard", rows=rows), LEDGER)
    assert found.rule is None
    assert found.troubles == (
        "Default row, grey, two-sided: “x” is not an amount",
        "Default row, colour, one-sided: an amount is missing",
        "Default row, colour, two-sided: a price cannot be below zero",
        "A row has no medium: write its name (a4) or remove the row",
        "A4 stands in the table 2 times",
    )
    assert check(Draft("simple", per_page="0.00001"), LEDGER).troubles[0].startswith("The price of a page: ")
    assert check(Draft("keep"), LEDGER).rule is None


def test_an_example_is_priced_by_the_rule_itself() -> None:
    assert example(SimpleCost(per_impression=500), LEDGER) == ("A 10-page job on A4: 0.50 EUR, however it is printed.")
    assert example(TABLE, LEDGER) == (
        "A 10-page job on A4: greyscale, one-sided 0.50 EUR; greyscale, two-sided 0.40 EUR;"
        " colour, one-sided 2.00 EUR; colour, two-sided 1.50 EUR."
    )
    gray = StandardCost(default=PAGE, grayscale_printer=True)
    assert "colour" not in example(gray, LEDGER)


def test_a_rule_in_one_line() -> None:
    rule = SimpleCost(per_impression=500, duplex_discount=10, grayscale_discount=50)
    assert rule_words(rule, LEDGER).endswith(" a page, 10 % less two-sided, 50 % less in greyscale")
    assert "2 rows of prices" in rule_words(TABLE, LEDGER)


def test_a_preview_counts_what_changes() -> None:
    queues = [
        queue(1, "p", "a"),
        queue(2, "p", "b", hold_jobs=True),
        queue(3, "p", "c", cost=SimpleCost(per_impression=7)),
    ]
    wanted = SetQueue(cost=SimpleCost(per_impression=1000, version=9), hold_jobs=True, offline_policy="allow")
    found = preview(queues, wanted, LEDGER)
    assert found.lines == (
        "Price: various → 0.10 EUR a page, on 3 queues",
        "Jobs: print at once → held until released, on 2 queues",
    )
    assert found.title(3) == "Changes on 3 of 3 queues:"
    nothing = preview(queues[:1], SetQueue(cost=SimpleCost(per_impression=500, version=4)), LEDGER)
    assert (nothing.lines, nothing.title(1)) == ((), "Nothing changes yet.")
    assert common(queues, lambda one: one.hold_jobs) is None
    assert common(queues, lambda one: one.offline_policy) == "allow"


def test_prices_of_examples_are_those_that_are_charged() -> None:
    printed = Printed(impressions=10, sheets=5, color_impressions=10, media="iso_a4_210x297mm")
    assert f"two-sided {price(TABLE, printed) / 10_000:.2f} EUR." in example(TABLE, LEDGER)


CHOSEN: dict[Choice, set[str]] = {
    "untracked": {"lib-office"},
    "off": {"lib-first"},
    "trouble": {"north-plot", "lab-1", "lab-2"},
    "held": set(),
}


@pytest.mark.parametrize("choice", CHOSEN)
def test_queues_are_chosen_by_what_they_are(choice: Choice) -> None:
    assert {found.name for found in chosen(large_topology(), 0.0, choice)} == CHOSEN[choice]
    assert len(chosen(large_topology(), 0.0, "all")) == len(large_topology().queues)
    assert set(CHOSEN) < set(CHOICES)


def test_a_stale_queue_is_never_idle_and_an_untracked_one_is_told() -> None:
    topology = large_topology()
    by_name = {view.name: line(view, topology, 0.0).cells for view in topology.queues}
    old = {view.name: line(view, topology, 60.0).cells for view in topology.queues}
    place = COLUMNS.index("State")
    assert (by_name["north-a4"][place].text, by_name["lab-1"][place].text) == ("Idle", "No data")
    assert {cells[place].tone for cells in old.values()} == {"unknown"}
    assert (by_name["lib-office"][3].text, by_name["lib-office"][3].tone) == ("untracked", "warning")
    assert counted(topology, 3, 2) == "3 of 8 queues  ·  2 chosen"
