"""The commands in this process: what they print, what they refuse on one line."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.base.cli import EXIT_OK
from backend.main import main
from tests.support.app_server import AppServer

Said = tuple[int, str, str]


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Commands set up logging of the whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def call(root_logger: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(config: Path, *words: str) -> Said:
        code = main(["--config", str(config), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["frobnicate"], 2, "invalid choice"),
        ([], 2, "COMMAND"),
        (["run", "--fast"], 2, "unrecognized arguments: --fast"),
        (["token", "create", "--role", "king", "--name", "x"], 2, "invalid choice"),
        (["token", "create", "--role", "admin", "--name", " "], 2, "--name takes"),
        (["operator", "create", "--role", "king", "--name", "x"], 2, "invalid choice"),
        (["operator", "create", "--role", "admin", "--name", " "], 2, "--name takes"),
        (["operator", "create", "--role", "admin", "--name", "x"], 1, "a password has at least 8 characters"),
        (["operator", "disable", "--name", "nobody"], 1, "there is nobody 'nobody' who may log in"),
        (["config", "get", "no.such.key"], 1, "there is no setting"),
        (["config", "set", "printers.default-cost", "cheap"], 1, "whole number"),
        (["backup"], 2, "FILE"),
        (["restore", "x", "--generation", "y"], 2, "invalid int"),
        (["restore", "no-such-file"], 1, "no-such-file cannot be read: No such file"),
        (["verify", "--mode", "1"], 1, "not available in this version"),
        (["command", "get-config", "x"], 1, "not available in this version"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path,
    call: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    found, out, err = call(AppServer(tmp_path).config, *words)
    assert (found, out) == (code, "")
    assert err.count("\n") == 1
    assert err.startswith("inkeeper-server: ")
    assert says in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server]\nlisten_on = 1\n", "there is no setting [server] listen_on"),
        ('[database]\nurl = "mysql://x:secret@y/z"\n', "write sqlite:///FILE"),
        ('[database]\nurl = "sqlite:////nowhere/at/all/x.db"\n', "there is no such folder"),
        ('[database]\nurl = "postgresql://x:secret@127.0.0.1:1/z"\n', "onnection"),
        ('[log]\nlevel = "loud"\n', "[log] level"),
    ],
)
def test_a_wrong_setting_is_said_in_one_line(tmp_path: Path, call: Callable[..., Said], text: str, says: str) -> None:
    config = tmp_path / "server.toml"
    config.write_text(text)
    code, out, err = call(config, "config", "get", "health.api.key")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert says in err
    assert "secret" not in err


def test_settings_are_kept_and_tokens_told_alone(url: str, tmp_path: Path, call: Callable[..., Said]) -> None:
    config = AppServer(tmp_path, database_url=url).config
    assert call(config, "config", "set", "health.api.key", "k")[:2] == (EXIT_OK, "")
    assert call(config, "config", "get", "health.api.key")[:2] == (EXIT_OK, "k\n")
    assert call(config, "config", "get", "printers.default-cost")[:2] == (EXIT_OK, "500\n")
    for role in ("admin", "provider"):
        code, out, _ = call(config, "token", "create", "--role", role, "--name", "x")
        assert code == EXIT_OK
        assert out.splitlines()[-1].startswith("ik_")
    assert call(config, "migrate")[:2] == (EXIT_OK, "the database is up to date\n")


def test_people_who_log_in_are_made_on_the_command_line(
    tmp_path: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AppServer(tmp_path).config

    def operator(*words: str, typed: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return call(config, "operator", *words)

    root = ("--name", "Root")
    assert operator("create", "--role", "admin", *root, "--full-name", "R. Oot", typed="long enough\n") == (0, "", "")
    code, _, err = operator("create", "--role", "auditor", *root, typed="long enough\n")
    assert (code, err) == (1, "inkeeper-server: there is somebody with the name 'root' already\n")
    assert operator("disable", *root)[0] == 1  # nobody could administer any more
    assert operator("create", "--role", "admin", "--name", "jo", typed="long enough\r\n") == (0, "", "")
    assert operator("disable", *root) == (0, "", "")
    assert operator("list")[1] == "jo\tadmin\tmay log in\t\nroot\tadmin\tdisabled\tR. Oot\n"
    assert operator("enable", *root) == (0, "", "")
    assert operator("set-password", *root, typed="another password\n") == (0, "", "")
