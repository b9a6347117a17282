"""How long a print job waits because the server that its print server uses has gone.

Three servers, each on a host of its own (a network namespace), one PostgreSQL, one print server whose queue leads
through CUPS's own socket backend into a sink. Jobs of one user come at a steady pace; again and again the server in use
is killed, frozen or cut off the network, and brought back. A job's time goes from `lp` to cupsd's word that it is over;
told is by how much the slowest job around each fault was slower than a job is otherwise, and whether a server decided
each job or the queue's policy. In the end every job must have been charged exactly once.
"""

import argparse
import random
import re
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
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
from tests.support.app_server import AppServer
from tests.support.cupsd import PrivateCupsd
from tests.support.cuts import Cuts
from tests.support.documents import Page, text_lines, write_pdf
from tests.support.folders import scratch_folder
from tests.support.namespaces import Switch, free_net
from tests.support.postgresql import Postgres
from tests.support.print_server import PrintServer
from tests.support.processes import Failed, Process, run, wait_until
from tests.support.site import read_ledger

Heal = Callable[[], object]
NET = free_net()
OUTSIDE = f"{NET}.2"
HOSTS = tuple(f"{NET}.{number}" for number in (11, 12, 13))
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


class Victim:
    """A server on a host of its own, and what befalls it. Each fault gives what heals it."""

    def __init__(self, server: AppServer, cuts: Cuts) -> None:
        self.server = server
        self._cuts = cuts

    def ready(self) -> None:
        words = ["curl", "-sf", "-m", "1", "-o", "/dev/null", f"{self.server.url}/health/ready"]
        wait_until(lambda: run(words, check=False).returncode == 0, READY_WITHIN_S, f"{self.server.url} to be ready")

    def killed(self) -> Heal:
        self.server.process.kill9()
        return self.server.process.start

    def frozen(self) -> Heal:
        self.server.process.signal(signal.SIGSTOP)
        return lambda: self.server.process.signal(signal.SIGCONT)

    def locking(self) -> Heal:
        """Frozen in the midst of a transaction that holds locks on accounts."""
        deadline_s = time.monotonic() + 60
        with psycopg.connect(self.server.database_url, autocommit=True) as connection:

            def holds() -> bool:
                found = connection.execute(HOLDS_LOCKS, [self.server.host]).fetchone()
                return found is not None and found[0] > 0

            while time.monotonic() < deadline_s:
                if holds():
                    heal = self.frozen()
                    if holds():
                        return heal
                    heal()
        raise Failed(f"{self.server.url} was never seen with locks")

    def swallowed(self) -> Heal:
        """Nothing that it sends arrives, and nobody is told."""
        return self._cuts.silence([(self.server.host, OUTSIDE)])


class Printing:
    """One tracked queue into a sink."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self.site = PrintServer(folder, (), urls, name="print-1", cups_settings=["LogTimeFormat usecs"])

    def start(self, server: AppServer, sink: Sink) -> None:
        site = self.site
        site.start_devices()
        site.cupsd.add_raw_queue("q", f"socket://127.0.0.1:{sink.port}")
        site.set_up(server.url, server.command("token", "create", "--role", "provider", "--name", "print-1"))
        site.provider_command("track", "q")
        site.start_provider()
        wait_until(self.server_in_use, 30, "the provider to reach a server")

    def server_in_use(self) -> str:
        found = re.search(r"server (\S+): answers", self.site.provider_command("status", check=False))
        return found[1] if found else ""


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


def one_fault(fault: str, victims: dict[str, Victim], printing: Printing, jobs: Jobs) -> tuple[float, float]:
    """Let it happen to the server in use, watch, mend. From when until when jobs count as those around it."""
    victim = victims[wait_until(printing.server_in_use, 30, "a server in use")]
    time.sleep(random.uniform(0, PACE_S))  # the moment is what is random here
    before, began_s = len(jobs.sent_at_s), time.time()
    heal: Heal = getattr(victim, fault)()
    wait_until(
        lambda: len(jobs.sent_at_s) >= before + JOBS_AFTER and time.time() > began_s + WATCH_S, 60, "jobs after it"
    )
    wait_until(lambda: len(jobs.taken_s()) >= before + JOBS_AFTER // 2, 60, "jobs to end after it")
    ended_s = time.time()
    time.sleep(max(0.0, began_s + LEASE_OVER_S - ended_s))
    heal()
    victim.ready()
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
    switch = stack.enter_context(Switch(HOSTS, f"{NET}.1", outside=OUTSIDE))
    folder = stack.enter_context(scratch_folder("ik-away-"))
    database = Postgres(folder / "pg", fsync=True, settings={**SETTINGS, "listen_addresses": f"127.0.0.1,{OUTSIDE}"})
    with (database.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NET}.0/24 trust\n")
    stack.enter_context(database)
    url = database.url(database.new_database()).replace("127.0.0.1", OUTSIDE)
    cuts = Cuts(switch)
    servers = [
        AppServer(folder, database_url=url, name=f"app-{number}", host=host, on=switch.words(host))
        for number, host in enumerate(HOSTS, 1)
    ]
    victims = {server.url: Victim(server, cuts) for server in servers}
    for server in servers:
        stack.callback(_stop, server.process)
        server.start()
    printing, sink = Printing(folder / "print", [*victims]), Sink()
    stack.callback(printing.site.stop)
    printing.start(servers[0], sink)
    document = write_pdf(folder / "letter.pdf", [Page(content=text_lines(30, 1)), Page(content=text_lines(20, 2))])
    jobs = Jobs(printing.site.cupsd, document)
    person = threading.Thread(target=jobs.run, name="person", daemon=True)
    person.start()
    time.sleep(5)  # jobs of an undisturbed time, to compare with
    calm_until_s = time.time()
    windows: dict[str, list[tuple[float, float]]] = {}
    try:
        for fault, count in counts.items():
            for number in range(count):
                windows.setdefault(fault, []).append(one_fault(fault, victims, printing, jobs))
                print(f"\r  {fault} {number + 1} of {count} ", end="", flush=True)
    finally:
        jobs.stopped.set()
        person.join(30)
    wait_until(lambda: len(jobs.taken_s()) == len(jobs.sent_at_s), 60, "all jobs to end")
    printing.site.wait_until_quiet(60)
    taken_s = jobs.taken_s()
    calm_s = statistics.median(taken for job_id, taken in taken_s.items() if jobs.sent_at_s[job_id] < calm_until_s)
    print(
        f"\r{len(taken_s):,} jobs; undisturbed {calm_s * 1000:.0f} ms. So much longer took the slowest around a fault:"
    )
    for fault, seen in windows.items():
        tell(fault, [max(0.0, slowest_s(window, jobs, taken_s) - calm_s) for window in seen])
    tell("no leader", leaderless_s(url, [window for seen in windows.values() for window in seen]))
    print(f"  each charged once; decided {dict(check_all(url, len(taken_s)))}   (aim: p50 0.5 s, p99 2 s)", flush=True)


def _stop(process: Process) -> None:
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
