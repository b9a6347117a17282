"""An application server as its own process, on a free port, with a database of the test's choice."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import Process, free_port, listening, run

START_TIMEOUT_S = 120.0


class AppServer:
    """`inkeeper-server run`. `folder` holds its settings, its log and, unless a URL is given, its SQLite file;
    `more` are further sections of the settings; `on` runs it on a host of the test's own."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str = "",
        name: str = "server-1",
        host: str = "127.0.0.1",
        more: str = "",
        on: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.port = free_port()
        self.url = f"http://{host}:{self.port}"
        self.database_url = database_url or f"sqlite:///{folder / 'inkeeper.db'}"
        self.config = folder / f"{name}.toml"
        self.config.write_text(
            f'[server]\nname = "{name}"\nlisten = "{host}:{self.port}"\nadvertise = "{self.url}"\n\n'
            f'[database]\nurl = "{self.database_url}"\n{more}'
        )
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("INKEEPER_")}
        self.program: list[str | Path] = [_program()]
        self.process = Process(
            name,
            [*self.program, "--config", self.config, "run"],
            log=folder / f"{name}.log",
            env=self.environment,
            on=on,
        )

    def start(self) -> Self:
        self.process.start()
        self.wait()
        return self

    def wait(self) -> None:
        self.process.wait_for(lambda: listening(self.port, self.host), START_TIMEOUT_S, "it listened")

    def stop(self) -> None:
        self.process.stop()

    def command(self, *words: str, typed: str = "") -> str:
        """The last line of what `inkeeper-server WORDS` answers, with `typed` on its stdin. Raises Failed where it ends
        badly."""
        done = run([*self.program, "--config", self.config, *words], env=self.environment, timeout_s=120, typed=typed)
        lines = done.stdout.strip().splitlines()
        return lines[-1] if lines else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _program() -> Path:
    return Path(sys.executable).with_name("inkeeper-server")
