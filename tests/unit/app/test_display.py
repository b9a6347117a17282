"""A missing display is found before Qt would abort."""

import socket
from pathlib import Path

import pytest

from app.core.display import display_problem


def test_without_any_display_it_says_so() -> None:
    assert "no display" in display_problem({}, "linux")


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_other_systems_are_not_asked(platform: str) -> None:
    assert display_problem({}, platform) == ""


def test_offscreen_needs_none() -> None:
    assert display_problem({"QT_QPA_PLATFORM": "offscreen"}, "linux") == ""


@pytest.mark.parametrize("name", [":7741", "nonsense", ":", "localhost:59999", ":0;"])
def test_a_display_that_is_not_there(name: str) -> None:
    assert "cannot be reached" in display_problem({"DISPLAY": name}, "linux")


def test_a_wayland_socket_is_enough(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "wl"))
        listener.listen()
        environ = {"WAYLAND_DISPLAY": "wl", "XDG_RUNTIME_DIR": str(tmp_path)}
        assert display_problem(environ, "linux") == ""
        assert display_problem({**environ, "QT_QPA_PLATFORM": "xcb"}, "linux") != ""
