"""How long a print job waits because the server that its print server uses has gone.

Three servers, each on a host of its own (a network namespace), one PostgreSQL, one print server whose queue leads
through CUPS's own socket backend into a sink. Jobs of one user come at a steady pace; again and again the server in use
is killed, frozen or cut off the network, and brought back. A job's time goes from `lp` to cupsd's word that it is over;
told is by how much the slowest job around each fault was slower than a job is otherwise, and whether a server decided
each job or the queue's policy. In the end every job must have been charged exactly once.
"""

import argparse
import ctypes
import os
import random
import re
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg
import sqlalchemy as sa

from backend.checker.check import check_books
from backend.cluster.tables import cluster_event
from backend.db.engine import Database
from scripts.bench.ledger import SETTINGS
from scripts.bench.tracking import Sink
from tests.support.cupsd import PrivateCupsd
from tests.support.documents import Page, text_lines, write_pdf
from tests.support.folders import scratch_folder
from tests.support.namespaces import Switch
from tests.support.postgresql import Postgres
from tests.support.print_server import BIN
from tests.support.processes import Failed, Process, run, wait_until
from tests.support.site import read_ledger

NETWORK = "10.97.31"
OWN = f"{NETWORK}.1"
HOSTS = tuple(f"{NETWORK}.{number}" for number in (11, 12, 13))
NOWHERE = "02:00:00:00:00:99"  # an address that no interface has: what is sent there is swallowed
NEW_NETWORK = 0x40000000  # CLONE_NEWNET
FAULTS = {"killed": 100, "frozen": 15, "locking": 15, "swallowed": 15}
HOLDS_LOCKS = """SELECT count(*) FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid)
  WHERE a.client_addr = %s::inet AND a.state = 'idle in transaction' AND l.relation = 'account'::regclass
    AND l.mode IN ('RowShareLock', 'RowExclusiveLock')"""
PACE_S = 0.12
JOBS_AFTER = 12
WATCH_S = 2.5
LEASE_OVER_S = 6.5
QUIET_S = 0.5
READY_WITHIN_S = 180


def enter(switch: Switch) -> None:
    """This process, and all that it starts, live on the switch from here on."""
    with open(f"/run/netns/{switch.name}") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), NEW_NETWORK):
            raise Failed(f"cannot enter namespace {switch.name}: {os.strerror(ctypes.get_errno())}")
    run(["ip", "link", "set", "lo", "up"])


class Server:
    """An application server on its own host."""

    def __init__(self, switch: Switch, host: str, folder: Path, database_url: str) -> None:
        self.host = host
        self.switch = switch
        self.url = f"http://{host}:9191"
        self.database_url = database_url
        self.config = folder / f"{host}.toml"
        self.config.write_text(
            f'[server]\nname = "app-{host}"\nlisten = "{host}:9191"\n[database]\nurl = "{database_url}"\n'
        )
        program: list[str | Path] = [BIN / "inkeeper-server", "--config", self.config, "run"]
        self.process = Process(f"server {host}", [*switch.words(host), *program], log=folder / f"{host}.log")

    def start(self) -> None:
        self.process.start()
        self.ready()

    def ready(self) -> None:
        words = ["curl", "-sf", "-m", "1", "-o", "/dev/null", f"{self.url}/health/ready"]
        wait_until(lambda: run(words, check=False).returncode == 0, READY_WITHIN_S, f"{self.url} to be ready")

    def command(self, *words: str) -> str:
        return run([BIN / "inkeeper-server", "--config", self.config, *words], timeout_s=60).stdout.split()[-1]

    # ------------------------------------------------ faults and their end

    def killed(self) -> None:
        self.process.kill9()

    def frozen(self) -> None:
        self.process.signal(signal.SIGSTOP)

    def locking(self) -> None:
        """Frozen in the midst of a transaction that holds locks on accounts."""
        deadline_s = time.monotonic() + 60
        with psycopg.connect(self.database_url, autocommit=True) as connection:

            def holds() -> bool:
                found = connection.execute(HOLDS_LOCKS, [self.host]).fetchone()
                return found is not None and found[0] > 0

            while time.monotonic() < deadline_s:
                if holds():
                    self.frozen()
                    if holds():
                        return
                    self.process.signal(signal.SIGCONT)
        raise Failed(f"{self.url} was never seen with locks")

    def swallowed(self) -> None:
        """Whatever goes to or comes from the host is lost, and nobody is told."""
        run(["ip", "neigh", "replace", self.host, "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent"])
        run([*self.switch.words(self.host), "ip", "neigh", "replace", OWN, "lladdr", NOWHERE, "dev", "eth0", "nud",
             "permanent"])  # fmt: skip

    def mend(self, fault: str) -> None:
        if fault == "killed":
            self.process.start()
        elif fault in ("frozen", "locking"):
            self.process.signal(signal.SIGCONT)
        else:
            run(["ip", "neigh", "del", self.host, "dev", "eth0"])
            run([*self.switch.words(self.host), "ip", "neigh", "del", OWN, "dev", "eth0"])
        self.ready()


class PrintServer:
    """cupsd with one tracked queue into a sink, and its daemon."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self.cupsd = PrivateCupsd(folder / "cups", settings=["LogTimeFormat usecs"])
        self.config = folder / "provider.toml"
        self.config.write_text(
            f'[provider]\nname = "print-1"\nstate_dir = "{folder / "provider"}"\n'
            f'socket = "{folder / "provider.sock"}"\n[servers]\nurls = {urls}\n'
            f'[cups]\nserver = "{self.cupsd.socket}"\nserver_bin = "{self.cupsd.server_bin}"\n'
        )
        program: list[str | Path] = [BIN / "inkeeper-provider", "--config", self.config, "run"]
        self.daemon = Process("inkeeper-provider", program, log=folder / "provider.log")

    def start(self, server: Server, sink: Sink) -> None:
        self.cupsd.start()
        self.cupsd.add_raw_queue("q", f"socket://127.0.0.1:{sink.port}")
        token = server.command("token", "create", "--role", "provider", "--name", "print-1")
        self.command("enroll", "--server", server.url, "--token", token)
        self.command("track", "q")
        self.daemon.start()
        wait_until(self.server_in_use, 30, "the provider to reach a server")

    def command(self, *words: str) -> str:
        return run([BIN / "inkeeper-provider", "--config", self.config, *words], check=False, timeout_s=30).stdout

    def server_in_use(self) -> str:
        found = re.search(r"server (\S+): answers", self.command("status"))
        return found[1] if found else ""

    def reported(self) -> bool:
        status = self.command("status")
        return "reports not sent: 0" in status and "jobs under way: 0" in status


@dataclass
class Jobs:
    """People who print, one document after another."""

    cupsd: PrivateCupsd
    document: Path
    sent_at_s: dict[int, float] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.wait(random.uniform(0.5, 1.5) * PACE_S):
            at_s = time.time()
            self.sent_at_s[self.cupsd.lp("q", self.document, user="anna")] = at_s

    def taken_s(self) -> dict[int, float]:
        """What each job that is over took, by cupsd's log."""
        text = self.cupsd.error_log.read_text()
        found = re.findall(r"\[(\S+ \S+)\] \[Job (\d+)\] Job completed\.", text)
        ends = {int(job_id): _seconds(at) for at, job_id in found}
        return {job_id: ends[job_id] - at_s for job_id, at_s in self.sent_at_s.items() if job_id in ends}


def _seconds(cups_time: str) -> float:
    """ "27/Nov/2026:07:10:11.123456 +0000" as seconds since 1970."""
    return datetime.strptime(cups_time, "%d/%b/%Y:%H:%M:%S.%f %z").timestamp()


def one_fault(fault: str, servers: dict[str, Server], printing: PrintServer, jobs: Jobs) -> tuple[float, float]:
    """Let it happen to the server in use, watch, mend. From when until when jobs count as those around it."""
    victim = servers[wait_until(printing.server_in_use, 30, "a server in use")]
    time.sleep(random.uniform(0, PACE_S))  # the moment is what is random here
    before, began_s = len(jobs.sent_at_s), time.time()
    getattr(victim, fault)()
    wait_until(
        lambda: len(jobs.sent_at_s) >= before + JOBS_AFTER and time.time() > began_s + WATCH_S, 60, "jobs after it"
    )
    wait_until(lambda: len(jobs.taken_s()) >= before + JOBS_AFTER // 2, 60, "jobs to end after it")
    ended_s = time.time()
    time.sleep(max(0.0, began_s + LEASE_OVER_S - ended_s))
    victim.mend(fault)
    time.sleep(QUIET_S)
    return began_s, ended_s


def slowest_s(window: tuple[float, float], jobs: Jobs, taken_s: dict[int, float]) -> float:
    """The longest that a job took which was under way in the window."""
    began_s, ended_s = window
    under_way = [taken for job_id, taken in taken_s.items() if jobs.sent_at_s[job_id] < ended_s and
                 jobs.sent_at_s[job_id] + taken > began_s]  # fmt: skip
    return max(under_way)


def tell(fault: str, waits_s: list[float]) -> None:
    if not waits_s:
        print(f"  {fault:9}  never")
        return
    cuts = statistics.quantiles(waits_s, n=100, method="inclusive") if len(waits_s) > 1 else waits_s * 99
    print(
        f"  {fault:9}  n {len(waits_s)}: p50 {cuts[49]:.2f}, p90 {cuts[89]:.2f}, p99 {cuts[98]:.2f}, "
        f"longest {max(waits_s):.2f} s",
        flush=True,
    )


def leaderless_s(url: str, windows: list[tuple[float, float]]) -> list[float]:
    """From the end of a leader, which was the server in use by chance, to the commit with which another one leads."""
    database = Database(url)
    try:
        with database.connect() as conn:
            events = sa.select(cluster_event.c.at).where(
                cluster_event.c.kind == "leader-changed", cluster_event.c.cause == "lease expired"
            )
            changes = [at / 1000 for at in conn.scalars(events)]
    finally:
        database.close()
    # The next fault comes later than any take-over: `one_fault` sees to that.
    starts = [began_s for began_s, _ in windows]
    return [min(at - began_s for began_s in starts if began_s < at) for at in changes if min(starts) < at]


def check_all(url: str, count: int) -> Counter[str]:
    """Every job is charged once, the books are right; how the jobs were decided."""
    database = Database(url)
    try:
        with database.connect() as conn:
            ledger = read_ledger(conn)
    finally:
        database.close()
    wrong = [job for job in ledger.jobs if (job.state, job.reserved) != ("completed", 0) or job.charged <= 0]
    faults = check_books(ledger)
    if wrong or faults or len(ledger.jobs) != count:
        raise Failed(
            f"{count} jobs were printed, {len(ledger.jobs)} are in the ledger; wrong: {wrong[:3]} {faults[:3]}"
        )
    return Counter("by policy" if "offline" in job.marks else "by a server" for job in ledger.jobs)


def measure(stack: ExitStack, counts: dict[str, int]) -> None:
    switch = stack.enter_context(Switch(HOSTS, OWN))
    enter(switch)
    folder = stack.enter_context(scratch_folder("ik-away-"))
    database = Postgres(folder / "pg", fsync=True, settings={**SETTINGS, "listen_addresses": "*"})
    with (database.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NETWORK}.0/24 trust\n")
    stack.enter_context(database)
    url = database.url(database.new_database()).replace("127.0.0.1", OWN)
    servers = {f"http://{host}:9191": Server(switch, host, folder, url) for host in HOSTS}
    printing, sink = PrintServer(folder, list(servers)), Sink()
    stack.callback(_stop, [printing.daemon, *(server.process for server in servers.values())])
    stack.callback(printing.cupsd.stop)
    for server in servers.values():
        server.start()
    printing.start(next(iter(servers.values())), sink)
    document = write_pdf(folder / "letter.pdf", [Page(content=text_lines(30, 1)), Page(content=text_lines(20, 2))])
    jobs = Jobs(printing.cupsd, document)
    person = threading.Thread(target=jobs.run, name="person", daemon=True)
    person.start()
    time.sleep(5)  # jobs of an undisturbed time, to compare with
    calm_until_s = time.time()
    windows: dict[str, list[tuple[float, float]]] = {}
    try:
        for fault, count in counts.items():
            for number in range(count):
                windows.setdefault(fault, []).append(one_fault(fault, servers, printing, jobs))
                print(f"\r  {fault} {number + 1} of {count} ", end="", flush=True)
    finally:
        jobs.stopped.set()
        person.join(30)
    wait_until(lambda: len(jobs.taken_s()) == len(jobs.sent_at_s), 60, "all jobs to end")
    wait_until(printing.reported, 60, "all jobs to be reported")
    taken_s = jobs.taken_s()
    calm_s = statistics.median(taken for job_id, taken in taken_s.items() if jobs.sent_at_s[job_id] < calm_until_s)
    print(
        f"\r{len(taken_s):,} jobs; undisturbed {calm_s * 1000:.0f} ms. So much longer took the slowest around a fault:"
    )
    for fault, seen in windows.items():
        tell(fault, [max(0.0, slowest_s(window, jobs, taken_s) - calm_s) for window in seen])
    tell("no leader", leaderless_s(url, [window for seen in windows.values() for window in seen]))
    print(f"  each charged once; decided {dict(check_all(url, len(taken_s)))}   (aim: p50 0.5 s, p99 2 s)", flush=True)


def _stop(processes: list[Process]) -> None:
    for process in processes:
        process.signal(signal.SIGCONT)
        process.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for fault, count in FAULTS.items():
        parser.add_argument(f"--{fault}", type=int, default=count, help=f"how often ({count})")
    counts = {fault: count for fault, count in vars(parser.parse_args()).items() if count}
    with ExitStack() as stack:
        measure(stack, counts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
