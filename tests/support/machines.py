"""A whole cluster on machines of its own: three servers, three database nodes, two print servers, one switch.

Each machine is a network namespace with an address, so that any of them can be cut from any other; this machine has a
cable to the switch and an address on it, and everything a client does comes from there. The first print server's
provider and the first database node write to small disks of their own; servers and print servers have clocks that can
be made to jump.
"""

import concurrent.futures
import contextlib
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from backend.checker import model as outside
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.wire.pricing import CostRule, SimpleCost
from tests.support.app_server import AppServer
from tests.support.clocks import JumpingClock
from tests.support.cuts import Cuts
from tests.support.disks import SmallDisk
from tests.support.namespaces import Switch, free_net
from tests.support.patroni import PatroniCluster
from tests.support.print_server import PrintServer
from tests.support.processes import wait_until
from tests.support.rpc import Rpc
from tests.support.site import PRICE, read_ledger

SERVERS = ("app1", "app2", "app3")
NODES = ("db1", "db2", "db3")
PRINT_SERVERS = {"print1": ("red", "green"), "print2": ("blue", "grey")}
PROVIDER_DISK_MB = 24
DATABASE_DISK_MB = 1024
UP_S = 120.0


class Machines:
    """Use it as a context. `folder` must be one that users postgres and lp can walk into."""

    def __init__(self, folder: Path) -> None:
        net = free_net()
        names = (*SERVERS, *NODES, *PRINT_SERVERS)
        self.addresses = {name: f"{net}.{number}" for number, name in enumerate(names, 11)}
        self.folder = folder
        self.switch = Switch(list(self.addresses.values()), f"{net}.1", outside=f"{net}.2")
        self.cuts = Cuts(self.switch)
        self.clocks = {name: JumpingClock(folder / f"{name}.clock") for name in (*SERVERS, *PRINT_SERVERS)}
        self.disk = SmallDisk(folder / "disk", PROVIDER_DISK_MB)  # print1's provider
        hosts = {name: self.addresses[name] for name in NODES}
        self.cluster = PatroniCluster(folder / "cluster", hosts=hosts, network=f"{net}.0/24", on=self.switch.words)
        self.database_disk = SmallDisk(self.cluster.nodes["db1"].disk, DATABASE_DISK_MB)
        self.servers = {name: self._server(name) for name in SERVERS}
        self.print_servers = {name: self._print_server(name) for name in PRINT_SERVERS}
        self.rpc_token = secrets.token_hex(16)
        self._stack = contextlib.ExitStack()

    def _server(self, name: str) -> AppServer:
        patroni = ", ".join(f'"{url}"' for url in self.cluster.rest_urls())
        host = self.addresses[name]
        more = f"patroni = [{patroni}]\n"
        url, on = self.cluster.url(), self.switch.words(host)
        server = AppServer(self.folder, database_url=url, name=name, host=host, more=more, on=on)
        server.process.env = {**server.environment, **self.clocks[name].env}
        return server

    def _print_server(self, name: str) -> PrintServer:
        return PrintServer(
            self.folder / name,
            PRINT_SERVERS[name],
            self.urls,
            name=name,
            on=self.switch.words(self.addresses[name]),
            state_dir=self.disk.folder / "provider" if name == "print1" else None,
            env=self.clocks[name].env,
        )

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers.values()]

    # ------------------------------------------------ life

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self.switch)
            stack.enter_context(self.disk)
            stack.enter_context(self.database_disk)
            stack.callback(self.cluster.stop)
            self.cluster.launch()
            for place in self.print_servers.values():
                stack.callback(place.stop)
                place.start_devices()
            self.cluster.wait_whole()
            for server in self.servers.values():
                stack.callback(server.stop)
            self._start_servers()
            with concurrent.futures.ThreadPoolExecutor() as people:
                list(people.map(self._set_up, self.print_servers.values()))
            for place in self.print_servers.values():
                place.start_provider()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start_servers(self) -> None:
        self.first.start()
        self.first.command("config", "set", "auth.webservices.auth-token", self.rpc_token)
        for server in self.servers.values():
            if not server.process.running:
                server.process.start()
        for server in self.servers.values():
            server.wait()

    def _set_up(self, place: PrintServer) -> None:
        place.set_up(self.first.url, self.first.command("token", "create", "--role", "provider", "--name", place.name))

    # ------------------------------------------------ using it

    @property
    def first(self) -> AppServer:
        return self.servers["app1"]

    def rpc(self, name: str = "app1") -> Rpc:
        return Rpc(self.servers[name].url, self.rpc_token)

    def is_quiet(self) -> bool:
        return all(place.is_quiet() for place in self.print_servers.values())

    # ------------------------------------------------ what came of it

    def printed(self) -> list[outside.Printing]:
        return [printing for place in self.print_servers.values() for printing in place.printed()]

    @property
    def prices(self) -> dict[str, CostRule]:
        return {queue: SimpleCost(per_impression=PRICE) for queues in PRINT_SERVERS.values() for queue in queues}

    def ledger(self) -> outside.Ledger:
        """One committed snapshot, as soon as the database answers."""
        database = Database(self.cluster.url())

        def read() -> outside.Ledger | None:
            try:
                with database.connect() as conn:
                    return read_ledger(conn)
            except DatabaseAway:
                return None

        try:
            return wait_until(read, UP_S, "the ledger to be read")
        finally:
            database.close()
