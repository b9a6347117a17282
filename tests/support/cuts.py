"""Cuts between the hosts of a switch: silent ones, one way or both, and a cable that is pulled.

A silent cut of the way from A to B is a wrong neighbour entry on A: its packets to B go to an address that no card
has, B's to A arrive. Nobody is told: connections hang, as behind a switch that has lost its mind. A pulled cable is the
switch's port taken down: nothing comes to the host nor from it, this machine's own clients included.
"""

from collections.abc import Iterable

from tests.support.namespaces import Switch
from tests.support.processes import run

NOBODY = "02:00:00:00:00:99"


class Cuts:
    """All cuts of one switch; each can be made and healed any number of times."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._silent: set[tuple[str, str]] = set()
        self._pulled: set[str] = set()

    def silence(self, ways: Iterable[tuple[str, str]]) -> None:
        """From now on what the first of each pair sends to the second is lost."""
        for source, target in ways:
            self._neighbour("replace", source, target, "lladdr", NOBODY, "nud", "permanent")
            self._silent.add((source, target))

    def pull(self, host: str) -> None:
        run(["ip", "-n", self._switch.name, "link", "set", self._switch.ports[host], "down"])
        self._pulled.add(host)

    def heal(self) -> None:
        """Everything is connected again."""
        for source, target in sorted(self._silent):
            self._neighbour("del", source, target)
        self._silent.clear()
        for host in sorted(self._pulled):
            run(["ip", "-n", self._switch.name, "link", "set", self._switch.ports[host], "up"])
        self._pulled.clear()

    def _neighbour(self, verb: str, source: str, target: str, *more: str) -> None:
        run(["ip", "-n", self._switch.hosts[source], "neighbour", verb, target, "dev", "eth0", *more])
