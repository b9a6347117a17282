"""The programs of `make run`: an application server, a print server's provider and cupsd, and a printer.

Each is started here and nowhere else, with its own folder under the state folder and only the settings written there:
variables named INKEEPER_… of the caller do not leak in.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.demo.state import State
from tests.support.cupsd import PrivateCupsd, cups_group, cups_user
from tests.support.printer import IppPrinter
from tests.support.processes import Failed, Process, listening, run

QUEUE = "Demo"
PROVIDER_NAME = "print-server"
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Part:
    """One program as the supervisor sees it."""

    name: str
    process: Process
    start: Callable[[], object]
    stop: Callable[[], object]
    forget: Callable[[], object] = lambda: None  # what told others of a life that has ended


class Cast:
    def __init__(self, state: State, host: str, port: int) -> None:
        self.state = state
        self.host = host
        self.port = port
        self.cupsd = PrivateCupsd(state.cups, state.port("cups"), ["JobRetryInterval 10"])
        self.printer = IppPrinter(state.printer, "Demo printer", state.port("printer"))
        self.server = Process(
            "server",
            [program("inkeeper-server"), "--config", state.server_config, "run"],
            log=state.server_log,
            env=clean_environment(),
        )
        self.provider = Process(
            "provider",
            [program("inkeeper-provider"), "--config", state.provider_config, "run"],
            log=state.provider_log,
            env=clean_environment(),
        )

    @property
    def url(self) -> str:
        """Where the server is reached from this machine."""
        return f"http://{self._reached}:{self.port}"

    @property
    def _reached(self) -> str:
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host

    def parts(self) -> list[Part]:
        """In the order in which they are started; stopping goes the other way round."""
        return [
            Part("printer", self.printer.process, self.printer.start, self.printer.stop),
            Part("print system", self.cupsd.process, self.cupsd.start, self.cupsd.stop),
            Part("server", self.server, self.start_server, self.server.stop, self.forget_server),
            Part("provider", self.provider, self.provider.start, self.provider.stop),
        ]

    def write_settings(self) -> None:
        state = self.state
        state.keep_url(self.url)
        state.server_config.write_text(
            f'[server]\nname = "server-1"\nlisten = "{self.host}:{self.port}"\nadvertise = "{self.url}"\n\n'
            f'[database]\nurl = "sqlite:///{state.server / "inkeeper.db"}"\n'
        )
        state.provider_config.write_text(
            f'[provider]\nname = "{PROVIDER_NAME}"\nstate_dir = "{state.provider / "state"}"\n'
            f'socket = "{state.provider_socket}"\n\n[servers]\nurls = ["{self.url}"]\n\n'
            f'[cups]\nserver = "{self.cupsd.socket}"\nserver_bin = "{self.cupsd.server_bin}"\n'
            f'user = "{cups_user()}"\ngroup = "{cups_group()}"\n'
        )

    def check_ports(self) -> None:
        """Raises Failed, naming a way out, when something else listens where we are to."""
        if listening(self.port, self._reached):
            raise Failed(
                f"port {self.port} is taken by another program; end that, or choose another port: "
                "INKEEPER_SERVER_LISTEN=127.0.0.1:9291 make run"
            )
        for name, port in (("print system", self.cupsd.port), ("printer", self.printer.port)):
            if listening(port):
                raise Failed(
                    f"port {port}, where the {name} listened last time, is taken by another program; "
                    f"end that, or begin anew by removing {self.state.folder}"
                )

    def start_server(self) -> None:
        self.server.start()
        self.state.server_pid.write_text(f"{self.server.pid}\n")
        self.server.wait_for(lambda: listening(self.port, self._reached), START_TIMEOUT_S, "it listened")

    def forget_server(self) -> None:
        """Its number may soon be another's: who reads it to kill the server must not find it."""
        self.state.server_pid.unlink(missing_ok=True)

    def server_command(self, *words: str, typed: str = "") -> str:
        """The last line of what `inkeeper-server WORDS` answers, with `typed` on its stdin."""
        return self._command("inkeeper-server", self.state.server_config, words, typed)

    def provider_command(self, *words: str) -> str:
        return self._command("inkeeper-provider", self.state.provider_config, words)

    def provider_ready(self) -> bool:
        argv = [str(program("inkeeper-provider")), "--config", str(self.state.provider_config), "status"]
        return run(argv, env=clean_environment(), check=False).returncode == 0

    def _command(self, name: str, config: Path, words: tuple[str, ...], typed: str = "") -> str:
        argv: list[str | Path] = [program(name), "--config", config, *words]
        done = run(argv, env=clean_environment(), timeout_s=60, check=False, typed=typed)
        if done.returncode != 0:
            why = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise Failed(f"{name} {words[0]}: {why.removeprefix(f'{name}: ')}")
        lines = done.stdout.strip().splitlines()
        return lines[-1] if lines else ""


def program(name: str) -> Path:
    """One of our own programs, beside the interpreter that runs us."""
    return Path(sys.executable).with_name(name)


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("INKEEPER_", "CUPS_"))}
