"""Marks: whoever has a word that begins as typed has its marks; and they are the same for ever, since they are kept."""

from hypothesis import given
from hypothesis import strategies as st

from backend.people.words import MARK_BITS, MAX_WORD, fold, marks_of

words = st.text(min_size=1, max_size=MAX_WORD).map(fold).filter(bool)


@given(st.lists(words, min_size=1, max_size=8), st.data())
def test_nobody_who_is_meant_is_missed(known: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(known))
    typed = word[: data.draw(st.integers(1, len(word)))]
    wanted = marks_of([typed])
    assert wanted
    assert marks_of(known) & wanted == wanted
    assert 0 <= marks_of(known) < 1 << MARK_BITS


def test_they_do_not_change() -> None:
    assert marks_of(["a"]) == 1
    assert marks_of(["müller", "7"]) == 633322992570368
