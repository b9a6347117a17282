"""`make check` as a test: what is merged is typed, laid out, and imports only what it may."""

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)],
    ids=["ruff check", "ruff format", "mypy", "lint-imports"],
)
def test_make_check_finds_nothing(command: tuple[str, ...]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=TOP, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-1000:]}"
