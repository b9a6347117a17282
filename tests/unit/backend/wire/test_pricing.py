"""What a cost rule means: worked examples, and what holds for every rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.wire.pricing import MediaCost, PageCost, Printed, SimpleCost, StandardCost, price, rule_text, split

ROW = PageCost(grayscale_simplex=500, grayscale_duplex=400, color_simplex=2500, color_duplex=2000)
LARGE = PageCost(grayscale_simplex=1000, grayscale_duplex=900, color_simplex=5000, color_duplex=4500)
TABLE = StandardCost(default=ROW, media=(MediaCost(media="A3", cost=LARGE),))


@pytest.mark.parametrize(
    ("rule", "printed", "costs"),
    [
        (SimpleCost(per_impression=500), Printed(impressions=3, sheets=2, color_impressions=3), 1500),
        (SimpleCost(per_impression=500, duplex_discount=20), Printed(impressions=3, sheets=2), 500 + 2 * 400),
        (SimpleCost(per_impression=500, duplex_discount=20), Printed(impressions=3, sheets=3), 1500),
        (
            SimpleCost(per_impression=500, grayscale_discount=50),
            Printed(impressions=3, sheets=3, color_impressions=1),
            1000,
        ),
        (
            SimpleCost(per_impression=500, grayscale_discount=50, grayscale_printer=True),
            Printed(impressions=2, sheets=2, color_impressions=2),
            500,
        ),
        (
            SimpleCost(per_impression=500, duplex_discount=10, grayscale_discount=20),
            Printed(impressions=2, sheets=1),
            720,
        ),
        (SimpleCost(per_impression=1, grayscale_discount=50), Printed(impressions=1, sheets=1), 0),
        (SimpleCost(per_impression=1, grayscale_discount=50), Printed(impressions=3, sheets=3), 2),
        (TABLE, Printed(impressions=4, sheets=2, color_impressions=4), 8000),
        (TABLE, Printed(impressions=5, sheets=3), 500 + 4 * 400),
        (TABLE, Printed(impressions=2, sheets=2, media="iso_a3_297x420mm"), 2000),
        (TABLE, Printed(impressions=2, sheets=2, media="iso_a4_210x297mm"), 1000),
        (TABLE, Printed(impressions=2, sheets=2, media="custom_xa3x_1x1mm"), 1000),
        (TABLE, Printed(impressions=0, sheets=0), 0),
        (
            StandardCost(default=ROW, grayscale_printer=True),
            Printed(impressions=2, sheets=2, color_impressions=2),
            1000,
        ),
    ],
)
def test_examples(rule: SimpleCost | StandardCost, printed: Printed, costs: int) -> None:
    assert price(rule, printed) == costs


prints = st.builds(
    Printed,
    impressions=st.integers(-2, 500),
    sheets=st.integers(0, 500),
    color_impressions=st.integers(-2, 600),
    media=st.sampled_from(["", "A3", "iso_a3_297x420mm"]),
)


@given(prints)
def test_every_impression_is_of_one_kind(printed: Printed) -> None:
    kinds = split(printed)
    counts = [kinds.grayscale_simplex, kinds.grayscale_duplex, kinds.color_simplex, kinds.color_duplex]
    assert min(counts) >= 0
    assert sum(counts) == max(0, printed.impressions)
    assert kinds.color_simplex + kinds.color_duplex == min(
        max(0, printed.impressions), max(0, printed.color_impressions)
    )


@given(prints, st.integers(0, 5000), st.integers(0, 100), st.integers(0, 100))
def test_a_discount_never_makes_it_dearer_and_no_price_is_negative(
    printed: Printed, each: int, duplex: int, grayscale: int
) -> None:
    plain = price(SimpleCost(per_impression=each), printed)
    cheaper = price(SimpleCost(per_impression=each, duplex_discount=duplex, grayscale_discount=grayscale), printed)
    assert 0 <= cheaper <= plain


@given(prints, st.integers(0, 5000))
def test_a_table_of_one_price_is_the_simple_rule(printed: Printed, each: int) -> None:
    row = PageCost(grayscale_simplex=each, grayscale_duplex=each, color_simplex=each, color_duplex=each)
    assert price(StandardCost(default=row), printed) == price(SimpleCost(per_impression=each), printed)


def test_in_words() -> None:
    assert rule_text(SimpleCost(per_impression=500), 4, "EUR") == "0.05 EUR a page"
    assert rule_text(TABLE, 4, "EUR") == "0.04 to 0.50 EUR a page"
    assert rule_text(SimpleCost(per_impression=2), 0, "units") == "2 units a page"
