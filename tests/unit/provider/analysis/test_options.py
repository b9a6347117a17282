"""CUPS's option strings, by its own rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.analysis.options import option, parse_options

SPACE = " \f\n\r\t\v"
names = st.text(st.sampled_from("abcdefgXYZ-_0123"), min_size=1, max_size=12)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def quoted(value: str) -> str:
    """A value as cupsd writes it into argv[5]."""
    return "".join(f"\\{c}" if c in SPACE + "\\'\"{}," else c for c in value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("   \t ", {}),
        ("sides=two-sided-long-edge copies=3", {"sides": "two-sided-long-edge", "copies": "3"}),
        ("fit-to-page nocollate", {"fit-to-page": "true", "collate": "false"}),
        ("NoCollate", {"Collate": "false"}),
        ("no", {}),
        ("a= b=1", {"a": "", "b": "1"}),
        ("a = 1", {"a": "", "1": "true"}),
        (r"job-name=a\ b\'s\ \"c\"", {"job-name": "a b's \"c\""}),
        ("title='a b' note=\"c 'd'\"", {"title": "a b", "note": "c 'd'"}),
        (r"title='it\'s'", {"title": "it's"}),
        ("title='never ends", {"title": "never ends"}),
        ("list=a,'b c',d", {"list": "a,'b", "c',d": "true"}),
        ("list='a b',c", {"list": "a b,c"}),
        ("media-col={media-size={x-dimension=21000 y-dimension=29700}} a=1",
         {"media-col": "{media-size={x-dimension=21000 y-dimension=29700}}", "a": "1"}),
        ("{sides=one-sided copies=2}", {"sides": "one-sided", "copies": "2"}),
        ("a=1 A=2", {"a": "2"}),
        ("page-ranges=1-4,7", {"page-ranges": "1-4,7"}),
        ("=1 a=2", {}),
        ("a=\\", {"a": "\\"}),
    ],
)  # fmt: skip
def test_rules(text: str, expected: dict[str, str]) -> None:
    assert parse_options(text) == expected


@given(st.dictionaries(names.filter(lambda name: not name.lower().startswith("no")), values, max_size=6))
def test_what_cupsd_writes_comes_back(options: dict[str, str]) -> None:
    unique = {name.lower(): value for name, value in options.items()}
    text = " ".join(f"{name}={quoted(value)}" for name, value in unique.items())
    if text.startswith("{"):
        return
    assert parse_options(text) == unique


@given(st.text(max_size=60))
def test_any_text_gives_a_dict(text: str) -> None:
    options = parse_options(text)
    assert all(name and not set(name) & set(SPACE) for name in options)
    assert len({name.lower() if name.isascii() else name for name in options}) == len(options)


def test_option_takes_the_first_name_that_says_something() -> None:
    options = parse_options("DUPLEX= sides=one-sided")
    assert option(options, "Duplex", "Sides") == "one-sided"
    assert option(options, "media") == ""
