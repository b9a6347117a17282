"""The shipped keepalived settings on two hosts (network namespaces): the address moves away from a server that cannot
serve, and stays when it comes back."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import Switch
from tests.support.postgresql import Postgres
from tests.support.processes import Process, wait_until

SHIPPED = Path(__file__).parents[2] / "packaging/keepalived/keepalived.conf"
ONE, TWO, CLIENT, VIRTUAL = "10.213.77.11", "10.213.77.12", "10.213.77.1", "10.213.77.100"
PROGRAM = Path(sys.executable).with_name("inkeeper-server")

# Asks by a new connection each time and says how long there was no answer, once there is one again.
PROBE = """
import sys, time, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
last, away = time.monotonic(), False
while True:
    try:
        opener.open(sys.argv[1], timeout=0.5).close()
    except OSError:
        away = True
    else:
        now = time.monotonic()
        if away:
            print(f"away {now - last:.2f} s", flush=True)
        last, away = now, False
        print("answered", flush=True)
    time.sleep(0.05)
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces")


class Host:
    """A server and a keepalived on one host."""

    def __init__(self, switch: Switch, address: str, peer: str, folder: Path, database_url: str) -> None:
        self.switch, self.address = switch, address
        config = folder / f"{address}.toml"
        config.write_text(
            f'[server]\nname = "{address}"\nlisten = "0.0.0.0:9191"\nadvertise = "http://{address}:9191"\n'
            f'[database]\nurl = "{database_url}"\n'
        )
        words = switch.words(address)
        self.server = Process(
            f"server {address}", [*words, PROGRAM, "--config", config, "run"], log=folder / f"{address}.log"
        )
        text = SHIPPED.read_text()
        for shipped, here in (("192.0.2.11", address), ("192.0.2.12", peer), ("192.0.2.100", VIRTUAL)):
            assert shipped in text
            text = text.replace(shipped, here)
        settings = folder / f"{address}.conf"
        settings.write_text(text)
        pids = [word for letter in "prc" for word in (f"-{letter}", str(folder / f"{address}.{letter}.pid"))]
        self.keepalived = Process(
            f"keepalived {address}",
            [*words, "keepalived", "-n", "-l", "-D", "-f", settings, *pids],
            log=folder / f"{address}.keepalived.log",
        )

    @property
    def has_it(self) -> bool:
        return self.switch.holds(self.address, VIRTUAL)

    def stop(self) -> None:
        self.keepalived.stop()
        self.server.stop()


@pytest.fixture
def switch() -> Iterator[Switch]:
    with Switch([ONE, TWO], CLIENT) as found:
        yield found


@pytest.mark.timeout(300)
def test_the_address_leaves_a_server_that_was_killed(
    switch: Switch, scratch: Path, postgres: Postgres, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    url = f"postgresql://postgres@/{name}?host={postgres.folder}&port={postgres.port}"  # reaches into any namespace
    hosts = [Host(switch, ONE, TWO, scratch, url), Host(switch, TWO, ONE, scratch, url)]
    argv = [*switch.words(), sys.executable, "-c", PROBE, f"http://{VIRTUAL}:9191/health/ready"]
    probe = Process("client", argv, log=scratch / "client.log")
    try:
        for host in hosts:
            host.server.start()
            host.server.wait_for_line("serving on", 60)
        for host in hosts:
            host.keepalived.start()
        wait_until(lambda: [host.has_it for host in hosts].count(True) == 1, 60, "one host to have the address")
        for host in hosts:  # (`keepalived -t` 2.2.7 ends itself by SIGTERM when a script is tracked)
            assert ": Line " not in host.keepalived.written()  # how it complains of settings
        first, second = sorted(hosts, key=lambda host: not host.has_it)
        probe.start().wait_for_line("^answered", 60)
        first.server.kill9()
        away = probe.wait_for_line(r"^away (.+)", 60)[1]
        assert second.has_it
        wait_until(lambda: not first.has_it, 30, "the first host to have given it up")
        first.server.start()
        first.server.wait_for_line("serving on", 60)
        first.keepalived.wait_for_line(r"(?s)VRRP_Script\(inkeeper_ready\) succeeded.*VRRP_Script.* succeeded", 60)
        assert second.has_it
        assert not first.has_it  # it does not move back for nothing
        second.server.kill9()
        wait_until(lambda: first.has_it, 60, "the address to come back when it is needed")
    finally:
        probe.stop()
        for host in hosts:
            host.stop()
    print(f"\nkeepalived: the address was away for {away} after kill -9 of its server")
