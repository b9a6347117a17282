"""One person, one name: however it was written; and the words by which people are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.people import words
from backend.wire.names import MAX_NAME, map_user_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("anna", "anna"),
        ("ANNA", "anna"),
        ("DOMAIN\\anna", "anna"),
        ("forest\\DOMAIN\\Anna", "anna"),
        ("anna@REALM.EXAMPLE", "anna"),
        ("DOMAIN\\anna@realm", "anna"),
        (" Anna \n", "anna"),
        ("Ünal", "ünal"),
        ("Mu\u0308ller", "müller"),
        ("DOMAIN\\", "domain\\"),
        ("@realm", "@realm"),
        ("a\x00b", "ab"),
        ("", ""),
    ],
)
def test_spellings(written: str, name: str) -> None:
    assert map_user_name(written) == name


@given(st.text(max_size=300))
def test_mapping_twice_changes_nothing(written: str) -> None:
    once = map_user_name(written)
    assert map_user_name(once) == once
    assert len(once) <= MAX_NAME


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=10),
)
def test_domain_realm_and_case_say_nothing_about_who_it_is(name: str, domain: str) -> None:
    assert map_user_name(f"{domain}\\{name.upper()}@{domain}") == name.lower()


def found_by(query: str, *person: str) -> bool:
    have = words.words_of(*person)
    return all(any(word.startswith(prefix) for word in have) for prefix in words.typed(query))


PERSON = ("anna.mueller", "Anna-Lena Müller", "a.l.mueller@uni.example", "0004711")


@pytest.mark.parametrize(
    "query", ["ann", "MÜLL", "mull", "lena m", "anna-lena", "a.l.m", "0004", "mueller", "  lena  "]
)
def test_people_are_found_by_beginnings_of_their_words(query: str) -> None:
    assert found_by(query, *PERSON)


@pytest.mark.parametrize("query", ["bob", "nna", "anna bob", "4711"])
def test_and_not_by_anything_else(query: str) -> None:
    assert not found_by(query, *PERSON)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200), st.text(max_size=60))
def test_words_are_few_short_and_folded(name: str, full_name: str, email: str, card: str) -> None:
    found = words.words_of(name, full_name, email, card)
    assert len(found) <= words.MAX_WORDS
    assert all(0 < len(word) <= words.MAX_WORD and "\x00" not in word for word in found)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30))
def test_a_whole_name_finds_its_owner(name: str) -> None:
    assert found_by(name, name, "", "", "")
