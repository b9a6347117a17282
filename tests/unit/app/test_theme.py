"""Every text can be read: contrast of all pairs that are drawn, computed from the colours themselves."""

import pytest

from app.qt.theme import DARK, LIGHT, Colors, contrast, palette, text_pairs


def test_contrast_as_wcag_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colors", [DARK, LIGHT], ids=["dark", "light"])
def test_all_texts_reach_four_and_a_half_to_one(colors: Colors) -> None:
    weak = {
        what: round(contrast(fore, back), 2) for what, fore, back in text_pairs(colors) if contrast(fore, back) < 4.5
    }
    assert not weak


@pytest.mark.parametrize("colors", [DARK, LIGHT], ids=["dark", "light"])
def test_the_palette_pairs_qt_paints_with(colors: Colors) -> None:
    own = palette(colors)
    pairs = [
        (own.windowText(), own.window()),
        (own.text(), own.base()),
        (own.buttonText(), own.button()),
        (own.highlightedText(), own.highlight()),
        (own.toolTipText(), own.toolTipBase()),
        (own.placeholderText(), own.base()),
        (own.link(), own.base()),
    ]
    assert all(contrast(fore.color().name(), back.color().name()) >= 4.5 for fore, back in pairs)
