"""A print server of real processes: its cupsd, an IPP printer for each queue, and the provider's daemon.

Set up as an administrator would, by the commands. Every process can be killed and started again. `on` puts all of it on
a host of the test's own; files and unix sockets are reached from everywhere.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.checker import model as outside
from tests.support.cupsd import PrivateCupsd
from tests.support.printer import IppPrinter
from tests.support.processes import Process, run, wait_until

BIN = Path(sys.executable).parent


class PrintServer:
    """`queues` become one IPP printer each. `urls` are the servers that its provider knows at first; `state_dir` is
    the provider's, "" one in `folder`; `env` is added to the environment of provider and cupsd, `cups_settings` to
    cupsd.conf."""

    def __init__(
        self,
        folder: Path,
        queues: Sequence[str],
        urls: Sequence[str],
        *,
        name: str = "site",
        on: Sequence[str] = (),
        state_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        cups_settings: Sequence[str] = (),
    ) -> None:
        folder.mkdir(mode=0o711, exist_ok=True)
        self.folder = folder
        self.name = name
        self.queues = tuple(queues)
        self.cupsd = PrivateCupsd(folder / "cups", settings=cups_settings, on=on, more_env=env)
        self.printers = {queue: IppPrinter(folder / f"printer-{queue}", queue, on=on) for queue in self.queues}
        self.state_dir = state_dir or folder / "provider"
        self.config = folder / "provider.toml"
        argv: list[str | Path] = [BIN / "inkeeper-provider", "--config", self.config, "run"]
        environment = {**os.environ, **(env or {})}
        self.provider = Process(f"provider {name}", argv, log=folder / "provider.log", env=environment, on=on)
        self._write_settings(urls)

    def _write_settings(self, urls: Sequence[str]) -> None:
        servers = ", ".join(f'"{url}"' for url in urls)
        self.config.write_text(
            f'[provider]\nname = "{self.name}"\nstate_dir = "{self.state_dir}"\n'
            f'socket = "{self.folder / "provider.sock"}"\n[servers]\nurls = [{servers}]\n'
            f'[cups]\nserver = "{self.cupsd.socket}"\nserver_bin = "{self.cupsd.server_bin}"\n'
        )

    # ---------------------------------------------------------------- starting and ending

    def start_devices(self) -> None:
        """The printers and cupsd."""
        for printer in self.printers.values():
            printer.start()
        self.cupsd.start()

    def set_up(self, server_url: str, token: str) -> None:
        """Enrol, make the queues, track them."""
        self.provider_command("enroll", "--server", server_url, "--token", token)
        for name, printer in self.printers.items():
            self.cupsd.add_queue(name, printer.uri, ["printer-is-shared=false"])
            self.provider_command("track", name)

    def start_provider(self) -> None:
        self.provider.start()
        self.provider.wait_for(lambda: "listens at" in self.provider.written(), 60, "it listened")

    def stop(self) -> None:
        self.provider.stop()
        self.cupsd.stop()
        for printer in self.printers.values():
            printer.stop()

    # ---------------------------------------------------------------- using it

    def provider_command(self, *words: str, check: bool = True) -> str:
        program: list[str | Path] = [BIN / "inkeeper-provider", "--config", self.config]
        return run([*program, *words], timeout_s=120, check=check).stdout

    @property
    def wrappers(self) -> list[int]:
        """The process ids of our CUPS backend that run now."""
        program = str(self.cupsd.server_bin / "backend" / "inkeeper")
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and _command_line(folder)[1:2] and program in _command_line(folder)[1:4]:
                found.append(int(folder.name))
        return sorted(found)

    def wait_until_quiet(self, timeout_s: float = 300) -> None:
        """No job is under way in cupsd or the provider, no run waits to be taken in, and every report was taken."""
        wait_until(self.is_quiet, timeout_s, f"{self.name} to be quiet", 0.5)

    def is_quiet(self) -> bool:
        if not self.is_printed():
            return False
        if any((self.state_dir / "runs").glob("*.run")):  # printed without the daemon, and not taken in yet
            return False
        status = self.provider_command("status", check=False)
        return "reports not sent: 0" in status and "jobs under way: 0" in status

    def is_printed(self) -> bool:
        """Whether cupsd says that no document waits or prints; False while it does not answer.

        A job of size 0 never got its document: its `lp` was cut off when cupsd was killed, and cupsd waits in vain.
        """
        told = run(["lpstat", "-o"], env=self.cupsd.env, check=False)
        sizes = [line.split()[2] for line in told.stdout.splitlines() if len(line.split()) > 2]
        return told.returncode == 0 and not any(size != "0" for size in sizes)

    # ---------------------------------------------------------------- what came of it

    def printed(self) -> list[outside.Printing]:
        """What lies in the printers' own spools."""
        return [
            outside.Printing(key=paper.title, user=paper.user_name, queue=name, impressions=paper.impressions)
            for name, printer in self.printers.items()
            for paper in printer.printouts()
        ]

    def journal(self) -> list[dict[str, Any]]:
        """`journal show`: the newest record of each job."""
        return [json.loads(line) for line in self.provider_command("journal", "show").splitlines()]


def _command_line(folder: Path) -> list[str]:
    try:
        return (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
