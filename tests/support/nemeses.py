"""What can befall the cluster: each nemesis strikes one thing, is held for a while, and what it broke is then healed.

A nemesis chooses its victim by the seed and by who plays which part at that moment (leader, primary). Programs are
started by the thread that calls: they end with it.
"""

import contextlib
import os
import random
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.support.app_server import AppServer
from tests.support.machines import NODES, SERVERS, Machines
from tests.support.patroni import Node
from tests.support.print_server import PrintServer
from tests.support.processes import Process, wait_until

HOUR_S = 3600
Realm = Literal["servers", "database", "printing"]
Heal = Callable[[], None]
Strike = Callable[[Machines, random.Random], tuple[str, Heal]]


@dataclass(frozen=True)
class Nemesis:
    """`strike` does it and gives the victim's name and what heals it. It is held for `least_s` to `most_s`. `slow`:
    the database is away for as long as Patroni's lease. At most one of a realm at a time."""

    name: str
    realm: Realm
    strike: Strike
    least_s: float
    most_s: float
    slow: bool = False


def _start(process: Process) -> None:
    """Without waiting for it: what depends on it is to see it come."""
    process.start()


# ---------------------------------------------------------------- servers


def leader(machines: Machines) -> AppServer:
    """The server that says it leads."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def leads(server: AppServer) -> bool:
        try:
            with opener.open(f"{server.url}/health/leader", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return wait_until(lambda: [s for s in machines.servers.values() if leads(s)], 90, "a leader", 0.2)[0]


def _server(machines: Machines, chance: random.Random) -> AppServer:
    return machines.servers[chance.choice(SERVERS)]


def _kill_server(server: AppServer) -> tuple[str, Heal]:
    server.process.kill9()
    return server.process.name, lambda: _start(server.process)


def _freeze_server(server: AppServer) -> tuple[str, Heal]:
    server.process.signal(signal.SIGSTOP)
    return server.process.name, lambda: server.process.signal(signal.SIGCONT)


def _jump(name: str) -> Strike:
    def strike(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
        victim = chance.choice(SERVERS) if name == "server" else chance.choice([*machines.print_servers])
        offset_s = chance.choice((-HOUR_S, HOUR_S))
        machines.clocks[victim].set(offset_s)
        return f"{victim} by {offset_s:+d} s", lambda: machines.clocks[victim].set(0)

    return strike


# ---------------------------------------------------------------- the network


def _ways(one: str, other: str, how: str) -> list[tuple[str, str]]:
    there, back = (one, other), (other, one)
    return {"there": [there], "back": [back], "both": [there, back]}[how]


def _silence(machines: Machines, chance: random.Random, one: str, others: list[str]) -> tuple[str, Heal]:
    """Packets between `one` and the others vanish, one way or both."""
    how = chance.choice(("there", "back", "both"))
    at = machines.addresses
    heal = machines.cuts.silence(way for other in others for way in _ways(at[one], at[other], how))
    words = {"there": "to", "back": "from", "both": "to and from"}[how]
    return f"{one}, packets {words} {', '.join(others)}", heal


def _server_from_primary(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    return _silence(machines, chance, chance.choice(SERVERS), [machines.cluster.primary().name])


def _leader_from_database(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    return _silence(machines, chance, leader(machines).process.name, list(NODES))


def _server_unplugged(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    victim = chance.choice(SERVERS)
    return victim, machines.cuts.pull(machines.addresses[victim])


def _primary_from_standby(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    return _silence(machines, chance, machines.cluster.primary().name, [machines.cluster.sync_standby().name])


def _primary_from_nodes(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    """The primary alone on its side: no etcd, no standby, though servers still reach it."""
    primary = machines.cluster.primary().name
    return _silence(machines, chance, primary, [name for name in NODES if name != primary])


def _primary_unplugged(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    primary = machines.cluster.primary()
    return primary.name, machines.cuts.pull(primary.host)


def _provider_from_server(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    return _silence(machines, chance, chance.choice([*machines.print_servers]), [chance.choice(SERVERS)])


def _provider_from_servers(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    """Nobody to ask: the policy decides, and what was printed is charged later."""
    return _silence(machines, chance, chance.choice([*machines.print_servers]), list(SERVERS))


# ---------------------------------------------------------------- the database


def _kill_node(node: Node) -> tuple[str, Heal]:
    node.kill_machine()
    return node.name, node.start_machine


def _kill_postgres(node: Node) -> tuple[str, Heal]:
    node.kill_postmaster()
    return node.name, lambda: None


def _freeze_postgres(node: Node) -> tuple[str, Heal]:
    node.freeze_postgres()
    return node.name, node.thaw_postgres


def _kill_patroni(node: Node) -> tuple[str, Heal]:
    """Patroni alone: its PostgreSQL goes on without anybody to look after it."""
    node.patroni.kill9()
    return node.name, node.start_machine


def _freeze_patroni(node: Node) -> tuple[str, Heal]:
    node.patroni.signal(signal.SIGSTOP)
    return node.name, lambda: node.patroni.signal(signal.SIGCONT)


def _fill_database(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    """Whatever part db1 plays."""
    machines.database_disk.fill()
    return "db1, the primary" if machines.cluster.primary().name == "db1" else "db1", machines.database_disk.empty


def _kill_etcd(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    node = machines.cluster.nodes[chance.choice(NODES)]
    node.etcd.kill9()
    return node.name, node.start_machine


# ---------------------------------------------------------------- printing


def _place(machines: Machines, chance: random.Random) -> PrintServer:
    return machines.print_servers[chance.choice([*machines.print_servers])]


def _kill_provider(place: PrintServer) -> tuple[str, Heal]:
    place.provider.kill9()
    return place.name, lambda: _start(place.provider)


def _freeze_provider(place: PrintServer) -> tuple[str, Heal]:
    place.provider.signal(signal.SIGSTOP)
    return place.name, lambda: place.provider.signal(signal.SIGCONT)


def _kill_cupsd(place: PrintServer) -> tuple[str, Heal]:
    place.cupsd.kill9()
    return place.name, lambda: _start(place.cupsd.process)


def kill_backend(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    """One that runs, or nobody."""
    running = [pid for place in machines.print_servers.values() for pid in place.wrappers]
    if not running:
        return "", lambda: None
    victim = chance.choice(running)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    return str(victim), lambda: None


def _fill_disk(machines: Machines, chance: random.Random) -> tuple[str, Heal]:
    machines.disk.fill()
    return "print1", machines.disk.empty


# ---------------------------------------------------------------- all of them

NEMESES = (
    Nemesis("a server killed", "servers", lambda m, c: _kill_server(_server(m, c)), 1, 5),
    Nemesis("the leader killed", "servers", lambda m, c: _kill_server(leader(m)), 6, 9),
    Nemesis("a server frozen past its lease", "servers", lambda m, c: _freeze_server(_server(m, c)), 7, 10),
    Nemesis("the leader frozen past its lease", "servers", lambda m, c: _freeze_server(leader(m)), 7, 10),
    Nemesis("a server's cable pulled", "servers", _server_unplugged, 5, 9),
    Nemesis("a server cut from the primary", "servers", _server_from_primary, 5, 9),
    Nemesis("the leader cut from the database", "servers", _leader_from_database, 7, 10),
    Nemesis("a server's clock jumped", "servers", _jump("server"), 6, 10),
    Nemesis("PostgreSQL of the primary killed", "database", lambda m, c: _kill_postgres(m.cluster.primary()), 4, 6),
    Nemesis("an etcd member killed", "database", _kill_etcd, 2, 6),
    Nemesis("Patroni of the primary killed", "database", lambda m, c: _kill_patroni(m.cluster.primary()), 2, 6),
    Nemesis("Patroni of the primary frozen", "database", lambda m, c: _freeze_patroni(m.cluster.primary()), 5, 10),
    Nemesis(
        "Patroni of the primary frozen past its lease",
        "database",
        lambda m, c: _freeze_patroni(m.cluster.primary()),
        26,
        35,
        slow=True,
    ),
    Nemesis("the synchronous standby killed", "database", lambda m, c: _kill_node(m.cluster.sync_standby()), 3, 8),
    Nemesis("a database node's disk full", "database", _fill_database, 5, 10),
    Nemesis("the primary cut from its standby", "database", _primary_from_standby, 6, 12),
    Nemesis("the primary cut from the other nodes", "database", _primary_from_nodes, 25, 35, slow=True),
    Nemesis("the primary's cable pulled", "database", _primary_unplugged, 26, 35, slow=True),
    Nemesis(
        "the primary's machine killed", "database", lambda m, c: _kill_node(m.cluster.primary()), 26, 30, slow=True
    ),
    Nemesis("the primary frozen", "database", lambda m, c: _freeze_postgres(m.cluster.primary()), 26, 35, slow=True),
    Nemesis("a provider killed", "printing", lambda m, c: _kill_provider(_place(m, c)), 0, 3),
    Nemesis("a provider frozen", "printing", lambda m, c: _freeze_provider(_place(m, c)), 3, 15),
    Nemesis("a CUPS backend killed", "printing", kill_backend, 0, 1),
    Nemesis("a cupsd killed", "printing", lambda m, c: _kill_cupsd(_place(m, c)), 0, 2),
    Nemesis("a provider cut from its server", "printing", _provider_from_server, 4, 9),
    Nemesis("a provider cut from all servers", "printing", _provider_from_servers, 4, 12),
    Nemesis("a provider's disk full", "printing", _fill_disk, 4, 9),
    Nemesis("a print server's clock jumped", "printing", _jump("print server"), 4, 9),
)
