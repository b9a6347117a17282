"""Sheets, media and blank backs, from pages told one after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.analysis.tally import MAX_MEDIA, Page, Tally, mark_blank_backs, media_counts
from provider.analysis.ticket import LONG_EDGE

A4, A3 = "iso_a4_210x297mm", "iso_a3_297x420mm"


def tally_of(*pages: Page) -> Tally:
    tally = Tally()
    for page in pages:
        tally.add(page)
    return tally


@pytest.mark.parametrize(
    ("pages", "sheets"),
    [
        ([Page()] * 3, 3),
        ([Page(sides=LONG_EDGE)] * 3, 2),
        ([Page(sides=LONG_EDGE), Page(), Page(sides=LONG_EDGE)], 3),
        ([Page(sides=LONG_EDGE, media=A4), Page(sides=LONG_EDGE, media=A3)], 2),
        ([Page(sides=LONG_EDGE), Page(sides=LONG_EDGE, front=True), Page(sides=LONG_EDGE)], 2),
        ([Page(sides=LONG_EDGE, copies=3), Page(sides=LONG_EDGE, copies=3)], 3),
        ([Page(sides=LONG_EDGE, copies=3), Page(sides=LONG_EDGE)], 4),
    ],
)
def test_sheets(pages: list[Page], sheets: int) -> None:
    assert tally_of(*pages).sheets == sheets


@given(
    st.lists(
        st.builds(Page, copies=st.integers(-2, 5), color=st.booleans(), sides=st.sampled_from(("one-sided", LONG_EDGE)))
    )
)
def test_paper_is_enough_and_not_wasted(pages: list[Page]) -> None:
    tally = tally_of(*pages)
    assert tally.impressions == sum(max(page.copies, 1) for page in pages)
    assert -(-tally.impressions // 2) <= tally.sheets <= tally.impressions
    assert tally.color_impressions <= tally.impressions


def test_media_are_told_the_largest_first() -> None:
    tally = tally_of(Page(media=A4), Page(media=A3, copies=2), Page(media=A4))
    assert tally.media == A3
    assert [(count.media, count.impressions) for count in tally.media_counts(5)] == [(A3, 10), (A4, 10)]
    assert tally_of(Page(media=A4)).media_counts(1) == ()


def test_no_number_of_sizes_takes_memory() -> None:
    tally = Tally()
    for number in range(MAX_MEDIA + 9):
        tally.add(Page(media=f"custom_{number}x{number + 1}mm_{number}x{number + 1}mm"))
    counts = tally.media_counts(1)
    assert len(counts) == 32
    assert tally.impressions == MAX_MEDIA + 9
    assert media_counts({}, 1) == ()


def test_blank_backs_are_no_impressions() -> None:
    tally = tally_of(*[Page(sides=LONG_EDGE)] * 12)
    mark_blank_backs(tally, {3, 7, 11, 5}.__contains__, 12, 3)
    assert (tally.impressions, tally.blank_backs, tally.sheets) == (9, 3, 6)


@pytest.mark.parametrize(("pages", "copies", "sides"), [(12, 5, LONG_EDGE), (9, 3, LONG_EDGE), (12, 3, "one-sided")])
def test_what_is_no_padded_copy_has_no_blank_backs(pages: int, copies: int, sides: str) -> None:
    tally = tally_of(*[Page(sides=sides)] * pages)
    mark_blank_backs(tally, lambda page: True, pages, copies)
    assert (tally.impressions, tally.blank_backs) == (pages, 0)
