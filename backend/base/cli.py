"""The frame of every command line: `--config FILE`, `--version`, `--help`, errors on one line.

Exit codes: 0 done, 1 failure (also bad settings), 2 usage. Answers go to stdout, everything else to stderr, so that a
script can take the output as it is.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from backend.base.settings import SettingsError, load

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

S = TypeVar("S", bound=msgspec.Struct)


class Failure(Exception):
    """Ends the program with exit code 1 and this one line."""


class UsageError(Exception):
    """Ends the program with exit code 2 and this one line."""


class Parser(argparse.ArgumentParser):
    """An argparse parser that says what is wrong on one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def program_version() -> str:
    """The installed version; "0+source" when the package is not installed."""
    try:
        return version("inkeeper")
    except PackageNotFoundError:
        return "0+source"


def make_parser(program: str, description: str) -> Parser:
    """A parser with the options that every program has; they stand before the subcommand."""
    parser = Parser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="settings (TOML); default: the file in /etc/inkeeper"
    )
    parser.add_argument("--version", action="version", version=f"{program} {program_version()}")
    return parser


def load_settings(kind: type[S], named: Path | None, default: Path) -> S:
    """Settings from the file named on the command line, else `INKEEPER_CONFIG`, else the default file where it
    exists."""
    from_environment = os.environ.get("INKEEPER_CONFIG")
    path = named or (Path(from_environment) if from_environment else None)
    if path is None and default.is_file():
        path = default
    return load(kind, path, os.environ)


def run_program(program: str, body: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a program's body and turn what it raises into one line on stderr and an exit code."""
    try:
        return body(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        return _complain(program, str(error), EXIT_USAGE)
    except (Failure, SettingsError) as error:
        return _complain(program, str(error), EXIT_FAILURE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing is left to say, and the interpreter must not try to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE


def _complain(program: str, message: str, code: int) -> int:
    print(f"{program}: {' '.join(message.split())}", file=sys.stderr)
    return code
