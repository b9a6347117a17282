"""`inkeeper-console` as a program: options, one-line errors, exit codes, and a window on a real X server."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.qt.theme import LIGHT
from tests.support.console_cluster import TOKEN, Cluster
from tests.support.processes import Process, run

CONSOLE = [sys.executable, "-m", "app.main"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("INKEEPER_", "QT_", "DISPLAY", "WAYLAND"))
    }
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), **more}


def console(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run([*CONSOLE, *arguments], env=environment(home, **more), check=False)


def test_help_and_version_need_no_display(tmp_path: Path) -> None:
    told = console(tmp_path, "--help")
    assert told.returncode == 0
    assert "--token-file" in told.stdout
    version = console(tmp_path, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith("inkeeper-console ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nonsense"], "--nonsense"),
        (["--server", "ftp://x"], "http://HOST:PORT"),
        (["--server", "http://x", "--token-file", "/nonexistent/token"], "cannot be read"),
        (["--token-file", "/nonexistent/token"], "--server"),
        ([], "no display"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    ended = console(tmp_path, *arguments)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_a_display_that_is_not_there_does_not_abort(tmp_path: Path) -> None:
    ended = console(tmp_path, DISPLAY=":7741")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


def test_bad_settings_are_one_line_and_exit_code_1(tmp_path: Path) -> None:
    config = tmp_path / "console.toml"
    config.write_text('[console]\ntheme = "pink"\n')
    ended = console(tmp_path, "--config", str(config), QT_QPA_PLATFORM="offscreen")
    assert ended.returncode == 1
    assert str(config) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def token_file(folder: Path) -> Path:
    path = folder / "token"
    path.write_text(TOKEN)
    path.chmod(0o600)
    return path


class XServer:
    """An X server of its own: the display it took, and the picture on its screen as it keeps it in a file."""

    def __init__(self, display: str, frame_buffer: Path) -> None:
        self.display = display
        self._file = frame_buffer

    def shows(self, color: str) -> bool:
        """Whether "#rrggbb" stands anywhere on the screen. The file is XWD, 32 bits a pixel, blue first."""
        red, green, blue = bytes.fromhex(color.removeprefix("#"))
        content = self._file.read_bytes()
        header = struct.unpack(">20I", content[:80])
        pixels = content[header[0] + header[19] * 12 :]
        return bytes((blue, green, red)) in pixels


@pytest.fixture
def x_server(tmp_path: Path) -> Iterator[XServer]:
    screen = ["-screen", "0", "1280x800x24", "-fbdir", str(tmp_path), "-nolisten", "tcp"]
    with Process("Xvfb", ["Xvfb", "-displayfd", "1", *screen], log=tmp_path / "xvfb.log") as server:
        number = server.wait_for_line(r"^(\d+)$").group(1)
        yield XServer(f":{number}", tmp_path / "Xvfb_screen0")


def test_a_window_opens_on_a_real_x_server_and_ends_on_sigterm(
    tmp_path: Path, x_server: XServer, cluster: Cluster
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    argv = [*CONSOLE, "--theme", "light", "--server", ",".join(cluster.urls), "--token-file", str(token_file(tmp_path))]
    env = environment(home, DISPLAY=x_server.display)
    with Process("console", argv, log=tmp_path / "console.log", env=env) as program:
        program.wait_for(lambda: x_server.shows(LIGHT.rail), 30, "its window stands")
        program.wait_for(lambda: x_server.shows(LIGHT.ok) and x_server.shows(LIGHT.badge), 30, "the cluster is drawn")
        program.signal(signal.SIGTERM)
        assert program.wait_for_end(15) == 0
        assert program.written() == ""
