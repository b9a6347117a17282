"""Cuts between the hosts of a switch: silent ones, one way or both, and a cable that is pulled.

A silent cut of the way from A to B is a wrong neighbour entry on A: its packets to B go to an address that no card
has, B's to A arrive. Nobody is told: connections hang, as behind a switch that has lost its mind. A pulled cable is the
switch's port taken down: nothing comes to the host nor from it, this machine's own clients included.
"""

from collections.abc import Callable, Iterable

from tests.support.namespaces import Switch
from tests.support.processes import run

NOBODY = "02:00:00:00:00:99"


class Cuts:
    """The cuts of one switch. Each gives what heals it; several may be at a time, between different hosts."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def silence(self, ways: Iterable[tuple[str, str]]) -> Callable[[], None]:
        """From now on what the first of each pair sends to the second is lost."""
        lost = list(ways)
        for source, target in lost:
            self._neighbour("replace", source, target, "lladdr", NOBODY, "nud", "permanent")

        def heal() -> None:
            for source, target in lost:
                self._neighbour("del", source, target)

        return heal

    def pull(self, host: str) -> Callable[[], None]:
        """Nothing reaches this host, nor leaves it."""
        self._port(host, "down")
        return lambda: self._port(host, "up")

    def _port(self, host: str, state: str) -> None:
        run(["ip", "-n", self._switch.name, "link", "set", self._switch.ports[host], state])

    def _neighbour(self, verb: str, source: str, target: str, *more: str) -> None:
        run(["ip", "-n", self._switch.hosts[source], "neighbour", verb, target, "dev", "eth0", *more])
