"""Paper sizes by their PWG names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.analysis.media import NAMES, POINTS_PER_MM, edges_mm, media_name, media_of_option


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((595, 842), "iso_a4_210x297mm"),
        ((595.276, 841.89), "iso_a4_210x297mm"),
        ((842, 595), "iso_a4_210x297mm"),
        ((612, 792), "na_letter_8.5x11in"),
        ((612, 1008), "na_legal_8.5x14in"),
        ((1224, 792), "na_ledger_11x17in"),
        ((841.89, 1190.55), "iso_a3_297x420mm"),
        ((516, 729), "jis_b5_182x257mm"),
        ((300, 400), "custom_105.83x141.11mm_105.83x141.11mm"),
        ((72, 144), "custom_25.4x50.8mm_25.4x50.8mm"),
        ((0, 100), ""),
        ((float("nan"), 100), ""),
        ((float("inf"), 100), ""),
    ],
)
def test_names_of_sizes(size: tuple[float, float], name: str) -> None:
    assert media_name(*size) == name


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_found_from_its_own_size(name: str) -> None:
    short, long = (edge * POINTS_PER_MM for edge in edges_mm(name))
    assert media_name(short, long) == name
    assert media_name(round(long), round(short)) == name
    assert media_of_option(name) == name


@given(st.floats(0.01, 1e7), st.floats(0.01, 1e7))
def test_either_way_round_is_one_name_of_bounded_length(width: float, height: float) -> None:
    name = media_name(width, height)
    assert name == media_name(height, width)
    assert 0 < len(name) < 80
    edges_mm(name)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("A4", "iso_a4_210x297mm"),
        ("Letter", "na_letter_8.5x11in"),
        ("A4.Fullbleed", "iso_a4_210x297mm"),
        ("A3,Tray2", "iso_a3_297x420mm"),
        ("Transparency,iso_a5_148x210mm", "iso_a5_148x210mm"),
        ("custom_100x200mm_100x200mm", "custom_100x200mm_100x200mm"),
        ("custom_wide_axbmm", ""),
        ("Custom.100x200mm", ""),
        ("", ""),
        ("tray-1", ""),
    ],
)
def test_names_in_options(value: str, name: str) -> None:
    assert media_of_option(value) == name
