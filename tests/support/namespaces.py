"""Network namespaces of our own: hosts on one switch, nothing of it seen or reachable from outside this machine.

Where `outside` is given, this machine has a cable to the switch too, and the test itself reaches the hosts: an address
of a private net that nothing else here has a route to. Nothing is forwarded.
"""

import os
import random
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import Failed, run


class Switch:
    """A namespace with a bridge, and one more for each host on it. `addresses` are the hosts', `own` is the switch's
    own: what runs in it is a client. `outside` is this machine's."""

    def __init__(self, addresses: Sequence[str], own: str, prefix: int = 24, *, outside: str = "") -> None:
        self.name = f"ik-{secrets.token_hex(3)}"
        self.hosts = {address: f"{self.name}-{number}" for number, address in enumerate(addresses, 1)}
        self.ports = {address: f"port{number}" for number, address in enumerate(addresses, 1)}
        self._outside = outside
        self._own = f"{own}/{prefix}"
        self._prefix = prefix

    def words(self, address: str = "") -> list[str]:
        """The words that run what follows them on a host, or (without one) on the switch."""
        return ["ip", "netns", "exec", self.hosts[address] if address else self.name]

    def holds(self, address: str, wanted: str) -> bool:
        """Whether the host has this address too, besides its own."""
        return f"inet {wanted}/" in run([*self.words(address), "ip", "-4", "address", "show", "eth0"]).stdout

    def __enter__(self) -> Self:
        try:
            self._make()
        except Failed:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Take down all that was made, whatever of it is there."""
        for name in (*self.hosts.values(), self.name):
            if Path("/run/netns", name).exists():
                subprocess.run(["ip", "netns", "delete", name], timeout=30, check=False)

    def _make(self) -> None:
        for name in (self.name, *self.hosts.values()):
            run(["ip", "netns", "add", name])
            run(["ip", "-n", name, "link", "set", "lo", "up"])
        run(["ip", "-n", self.name, "link", "add", "eth0", "type", "bridge"])
        run(["ip", "-n", self.name, "address", "add", self._own, "dev", "eth0"])
        run(["ip", "-n", self.name, "link", "set", "eth0", "up"])
        if self._outside:
            here = ["peer", "name", self.name, "netns", str(os.getpid())]
            run(["ip", "-n", self.name, "link", "add", "port0", "type", "veth", *here])
            run(["ip", "-n", self.name, "link", "set", "port0", "master", "eth0", "up"])
            run(["ip", "address", "add", f"{self._outside}/{self._prefix}", "dev", self.name])
            run(["ip", "link", "set", self.name, "up"])
        for address, name in self.hosts.items():
            port = self.ports[address]
            peer = ["peer", "name", "eth0", "netns", name]
            run(["ip", "-n", self.name, "link", "add", port, "type", "veth", *peer])
            run(["ip", "-n", self.name, "link", "set", port, "master", "eth0", "up"])
            run(["ip", "-n", name, "address", "add", f"{address}/{self._prefix}", "dev", "eth0"])
            run(["ip", "-n", name, "link", "set", "eth0", "up"])


def free_net() -> str:
    """The first three numbers of a private net (/24) that this machine knows no way to."""
    routes = run(["ip", "-4", "route", "show", "table", "all"]).stdout
    nets = [f"10.213.{number}" for number in range(1, 250)]
    free = [net for net in nets if f"{net}." not in routes]
    if not free:
        raise Failed("no free net 10.213.0.0/16 is left")
    return random.choice(free)
