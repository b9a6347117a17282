"""One etcd member, started from the settings file that Inkeeper ships (packaging/patroni/etcd.env)."""

import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.support.processes import Process, wait_until

PROGRAM = Path("/usr/bin/etcd")


def read_env(path: Path) -> dict[str, str]:
    """A systemd environment file's variables."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class EtcdMember:
    """`env_file` names addresses and data folder; the member keeps its data when it is killed and started again."""

    def __init__(self, name: str, env_file: Path, log: Path, user: str, on: Sequence[str] = ()) -> None:
        self.name = name
        settings = read_env(env_file)
        self.url = settings["ETCD_ADVERTISE_CLIENT_URLS"]
        environment = {**os.environ, **settings}
        self.process = Process(f"etcd {name}", [PROGRAM], log=log, env=environment, user=user, on=on)

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return b'"true"' in answer.read()
        except OSError:
            return False

    def start(self) -> None:
        self.process.start()

    def wait_healthy(self, timeout_s: float = 60) -> None:
        wait_until(self.healthy, timeout_s, f"{self.process.name} to be healthy")

    def kill9(self) -> None:
        self.process.kill9()

    def stop(self) -> None:
        self.process.stop()
