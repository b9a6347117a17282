"""What stands on the server's command line, before anything is started."""

import pytest

from backend.main import _with_plain_values


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (["config", "set", "a.key", "-secret"], ["config", "set", "--", "a.key", "-secret"]),
        (["--config", "f", "config", "set", "k", "--v"], ["--config", "f", "config", "set", "--", "k", "--v"]),
        (["config", "set", "--", "k", "-v"], ["config", "set", "--", "k", "-v"]),
        (["config", "set", "--help"], ["config", "set", "--help"]),
        (["config", "get", "k"], ["config", "get", "k"]),
        (["run"], ["run"]),
    ],
)
def test_a_settings_value_may_begin_with_a_dash(said: list[str], read: list[str]) -> None:
    assert _with_plain_values(said) == read
