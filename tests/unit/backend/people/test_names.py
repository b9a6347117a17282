"""One person, one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.people.names import map_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ann", "ann"),
        (" Ann ", "ann"),
        ("CAMPUS\\Ann", "ann"),
        ("ann@campus.edu", "ann"),
        ("CAMPUS\\Ann@campus.edu", "ann"),
        ("ANN MÜLLER", "ann müller"),
        ("Mu\u0308ller", "müller"),
        ("0042", "0042"),
        ("", ""),
        ("  ", ""),
        ("@campus.edu", ""),
        ("CAMPUS\\", ""),
    ],
)
def test_mapped(text: str, name: str) -> None:
    assert map_name(text) == name


@given(st.text())
def test_a_mapped_name_stays_as_it_is(text: str) -> None:
    assert map_name(map_name(text)) == map_name(text)
