"""`inkeeper-console`: the only place of the console that wires everything.

Settings come from the command line, then the environment (`INKEEPER_CONSOLE_SERVERS`,
`INKEEPER_CONSOLE_TOKEN_FILE`, `INKEEPER_CONSOLE_THEME`), then the settings file. Qt is imported only once a window
is really going to be opened, so that `--help` and `--version` work on a machine without a display.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.core.display import display_problem
from app.core.profiles import (
    ConsoleSettings,
    Profile,
    ProfileError,
    default_config,
    outbox_file,
    resolve,
    server_urls,
)
from backend.base import logs
from backend.base.cli import UsageError, load_settings, make_parser, program_version, run_program

PROGRAM: Final = "inkeeper-console"
APP_ID: Final = "org.inkeeper.Console"


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program(PROGRAM, _run, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(PROGRAM, "The desktop console of Inkeeper: the live cluster, its jobs, and people's balances.")
    parser.add_argument("--server", metavar="URL[,URL…]", help="the servers to connect to, any of which may be down")
    parser.add_argument("--token-file", metavar="FILE", type=Path, help="a file with the access token, mode 0600")
    parser.add_argument("--theme", choices=("system", "light", "dark"), help="colours, for this run")
    return parser


def _run(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    settings = load_settings(ConsoleSettings, options.config, default_config())
    logs.configure(settings.log)
    profile, trouble = _profile(options, settings)
    problem = display_problem(os.environ)
    if problem:
        raise UsageError(f"{problem}; start it from a desktop session, or set DISPLAY")
    config: Path = options.config or default_config()
    return _show(settings, profile, trouble, config, options.theme or settings.console.theme)


def _profile(options: argparse.Namespace, settings: ConsoleSettings) -> tuple[Profile | None, str]:
    """The profile, or why there is none. What was asked for on the command line must work; what is stored may be mended
    in the window."""
    asked = options.server is not None or options.token_file is not None
    try:
        if options.token_file is not None and options.server is None and not settings.console.servers:
            raise UsageError("--token-file needs --server URL or servers in the settings")
        if options.server is not None:
            server_urls(options.server)
        return resolve(settings.console, options.server, options.token_file), ""
    except ProfileError as error:
        if asked:
            raise UsageError(str(error)) from error
        return None, str(error)


def _show(settings: ConsoleSettings, profile: Profile | None, trouble: str, config: Path, theme_name: str) -> int:
    """Open the window and run until it closes. Imports Qt."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    from app.qt import icons
    from app.qt.bridge import AsyncBridge
    from app.qt.session import Session
    from app.qt.store import Store
    from app.qt.theme import Theme
    from app.views.window import MainWindow

    app = QApplication.instance() or QApplication([PROGRAM])
    assert isinstance(app, QApplication)
    app.setApplicationName("Inkeeper")
    app.setApplicationVersion(program_version())
    app.setDesktopFileName(APP_ID)
    app.setWindowIcon(icons.app_icon())
    theme = Theme(app, "dark" if theme_name == "dark" else "light" if theme_name == "light" else "system")
    session = Session(Store(), AsyncBridge(), outbox_file(config))
    window = MainWindow(theme, session, settings, config)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.exit(0))
    # Python looks at signals only between its own instructions; without this a quiet Qt loop would never let it.
    wake = QTimer(interval=200)
    wake.timeout.connect(lambda: None)
    wake.start()
    if profile is not None and profile.token:
        session.open(profile)
    else:
        window.ask_connection(f"{trouble}." if trouble else "", profile)
    window.show()
    code = app.exec()
    session.close()
    window.hide()
    return code


if __name__ == "__main__":
    sys.exit(main())
