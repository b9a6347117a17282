"""The frame of the programs: ids, logs without secrets, exit codes on one line."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.base import cli, logs
from backend.base.clock import ManualClock
from backend.base.ids import uuid7
from backend.base.settings import LogSettings, SettingsError


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_uuid7_holds_time_version_variant_and_all_random_bits(now_ms: int, noise: int) -> None:
    value = int(uuid7(now_ms, noise).replace("-", ""), 16)
    assert value >> 80 == now_ms
    assert value >> 76 & 0xF == 7
    assert value >> 62 & 0b11 == 0b10
    assert (value >> 64 & 0xFFF) << 62 | value & (1 << 62) - 1 == noise


def test_uuid7_is_lower_case_text_in_the_usual_form() -> None:
    assert uuid7(0x0123456789AB, 0) == "01234567-89ab-7000-8000-000000000000"
    assert len({uuid7() for _ in range(1000)}) == 1000


def test_manual_clock_moves_only_by_hand() -> None:
    clock = ManualClock(now_ms=1000)
    clock.advance(1.5)
    clock.jump(-3600)
    assert (clock.now_ms(), clock.monotonic_s()) == (1000 + 1500 - 3_600_000, 1.5)


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


SECRETS = [
    ("token ik_AbCdEfGhIjKlMnOp in a line", "ik_AbCdEfGhIjKlMnOp"),
    ("postgresql://inkeeper:hunter2@h1:5432/db", "hunter2"),
    ("Authorization: Bearer abc.def", "abc.def"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
@pytest.mark.parametrize("form", ["line", "json"])
@pytest.mark.usefixtures("root_logger")
def test_no_secret_is_written(text: str, secret: str, form: str) -> None:
    stream = io.StringIO()
    logs.configure(LogSettings(format=form), stream)
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("a").exception("met %s", text)
    assert secret not in stream.getvalue()
    assert "[secret]" in stream.getvalue()
    if form == "json":
        assert json.loads(stream.getvalue())["level"] == "error"


@pytest.mark.usefixtures("root_logger")
def test_unknown_log_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"\[log\] level"):
        logs.configure(LogSettings(level="loud"))
    with pytest.raises(SettingsError, match=r"\[log\] format"):
        logs.configure(LogSettings(format="xml"))


def run(error: BaseException | None) -> int:
    def body(_: object) -> int:
        if error is not None:
            raise error
        return 0

    return cli.run_program("inkeeper-x", body, [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (cli.Failure("no\ndisk"), 1),
        (SettingsError("bad"), 1),
        (cli.UsageError("what?"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes_and_one_line(error: BaseException | None, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(error) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == (1 if code in (1, 2) else 0)


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    parser = cli.make_parser("inkeeper-x", "Does x.")

    def body(arguments: object) -> int:
        parser.parse_args(["--wrong"])
        return 0

    assert cli.run_program("inkeeper-x", body, []) == 2
    assert "--wrong" in capsys.readouterr().err


def test_the_settings_file_is_the_named_one_then_the_variable_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {}
    for name in ("named", "variable", "default"):
        files[name] = tmp_path / f"{name}.toml"
        files[name].write_text(f'[log]\nlevel = "{name}"\n')
    monkeypatch.delenv("INKEEPER_CONFIG", raising=False)

    def level(named: Path | None, default: Path) -> str:
        return cli.load_settings(_Settings, named, default).log.level

    assert level(None, tmp_path / "none.toml") == "info"
    assert level(None, files["default"]) == "default"
    monkeypatch.setenv("INKEEPER_CONFIG", str(files["variable"]))
    assert level(None, files["default"]) == "variable"
    assert level(files["named"], files["default"]) == "named"


class _Settings(msgspec.Struct, frozen=True):
    log: LogSettings = LogSettings()
