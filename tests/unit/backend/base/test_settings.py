"""Settings: the file, the environment above it, and one clear line for whatever is wrong."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.base.settings import SettingsError, load


class Servers(msgspec.Struct, frozen=True):
    urls: tuple[str, ...] = ()
    token_file: str | None = None


class Mixed(msgspec.Struct, frozen=True):
    number: int = 1
    share: float = 0.5
    on: bool = False
    name: str = "x"


class Program(msgspec.Struct, frozen=True):
    servers: Servers = Servers()
    mixed: Mixed = Mixed()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_the_environment_stands_above_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[servers]\nurls = ["http://a"]\n[mixed]\nnumber = 2\nname = "file"\n')
    found = load(Program, path, {"INKEEPER_SERVERS_URLS": "http://b, http://c", "INKEEPER_MIXED_ON": "true"})
    assert found.servers.urls == ("http://b", "http://c")
    assert found.mixed == Mixed(number=2, on=True, name="file")


def test_defaults_without_a_file() -> None:
    assert load(Program, None, {}) == Program()
    assert load(Program, None, {"INKEEPER_SOMETHING_ELSE": "1", "INKEEPER_SERVERS_URLS": ""}) == Program()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nurls = []", r"there is no section \[server\]; there are mixed, servers"),
        ("[servers]\nurl = []", r"there is no setting \[servers\] url; there are token_file, urls"),
        ('[mixed]\nnumber = "many"', r"Expected `int`, got `str` - at `\$.mixed.number`"),
        ("mixed = 3", r"\[mixed\] must be a section"),
        ("[mixed", "not a TOML file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        load(Program, written(tmp_path, text), {})
    assert "settings.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_wrong_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load(Program, tmp_path / "missing.toml", {})
    with pytest.raises(SettingsError, match="INKEEPER_MIXED_NUMBER: "):
        load(Program, None, {"INKEEPER_MIXED_NUMBER": "many"})


@given(st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6), st.booleans(), st.text(st.characters(codec="utf-8")))
def test_every_value_survives_the_environment(number: int, share: float, on: bool, name: str) -> None:
    values = {"NUMBER": str(number), "SHARE": repr(share), "ON": str(on).lower(), "NAME": name}
    found = load(Program, None, {f"INKEEPER_MIXED_{key}": value for key, value in values.items()})
    assert found.mixed == Mixed(number, share, on, name)
