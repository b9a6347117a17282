"""How long a print job waits for its decision whatever fails: from the end of its analysis until its backend goes on.

One server on a host of its own (a network namespace), one print server with raw queues into a sink. For each fault some
jobs are sent to each queue at once; when all are over it is mended and what the print server wrote down is read. The
backend goes on where it writes that its run has started. The analysis ended where the daemon says so; where there is no
daemon to say it, the whole time since cupsd started the backend is told, which is more: the start of Python is in it.

The aim is promise P12: 2 s, whatever fails. `--busy` keeps both processors busy and the disk writing meanwhile.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from backend.checker.check import check_books
from backend.db.engine import Database
from scripts.bench.tracking import Sink
from tests.support.app_server import AppServer
from tests.support.cuts import Cuts
from tests.support.documents import Page, text_lines, write_pdf
from tests.support.folders import scratch_folder
from tests.support.namespaces import Switch, free_net
from tests.support.print_server import PrintServer
from tests.support.processes import Failed, Process, wait_until
from tests.support.site import read_ledger

NET = free_net()
OUTSIDE, HOST = f"{NET}.2", f"{NET}.11"
QUEUES = ("q0", "q1", "q2", "q3")
EACH = 13
BUSY_PROGRAM = """
import os, sys
while True:
    sum(range(100000))
    with open(sys.argv[1], "wb") as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
"""
Heal = Callable[[], object]


class Stage:
    """What the faults befall."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        switch = stack.enter_context(Switch([HOST], f"{NET}.1", outside=OUTSIDE))
        self.cuts = Cuts(switch)
        self.server = AppServer(folder, host=HOST, on=switch.words(HOST))
        self._switch = switch
        self._folder = folder
        self.site = PrintServer(
            folder / "print", (), [self.server.url], name="print-1", cups_settings=["LogTimeFormat usecs"]
        )
        stack.callback(_stop, self.server.process)
        stack.callback(self.site.stop)
        stack.callback(_resume, self.site.provider)

    def start(self) -> None:
        self.server.start()
        sink = Sink()
        self.site.start_devices()
        for queue in QUEUES:
            self.site.cupsd.add_raw_queue(queue, f"socket://127.0.0.1:{sink.port}")
        self.site.set_up(
            self.server.url, self.server.command("token", "create", "--role", "provider", "--name", "print-1")
        )
        for queue in QUEUES:
            self.site.provider_command("track", queue)
        self.site.start_provider()
        self.in_touch()

    def in_touch(self) -> None:
        wait_until(lambda: "answers" in self.site.provider_command("status", check=False), 60, "a server to answer")

    # ---------------------------------------------------------------- the faults

    def none(self) -> Heal:
        return lambda: None

    def server_dead(self) -> Heal:
        self.server.process.kill9()
        return self.server.start

    def server_frozen(self) -> Heal:
        self.server.process.signal(signal.SIGSTOP)
        return lambda: self.server.process.signal(signal.SIGCONT)

    def server_silent(self) -> Heal:
        """What listens there accepts connections and says nothing."""
        self.server.process.kill9()
        program = "import socket,sys,time;s=socket.create_server((sys.argv[1],int(sys.argv[2])));time.sleep(9999)"
        argv: list[str | Path] = [sys.executable, "-c", program, HOST, str(self.server.port)]
        mute = Process("mute", argv, log=self._folder / "mute.log", on=self._switch.words(HOST)).start()
        wait_until(lambda: _accepts(HOST, self.server.port), 20, "it to listen")

        def heal() -> None:
            mute.kill9()
            self.server.start()

        return heal

    def network_swallows(self) -> Heal:
        return self.cuts.silence([(HOST, OUTSIDE)])

    def daemon_frozen(self) -> Heal:
        self.site.provider.signal(signal.SIGSTOP)
        return lambda: self.site.provider.signal(signal.SIGCONT)

    def daemon_dead(self) -> Heal:
        self.site.provider.kill9()
        return self.site.start_provider

    def server_then_daemon_frozen(self) -> Heal:
        """The server says nothing, and while jobs wait for it the daemon freezes again and again, for 3 s each time."""
        heal = self.server_frozen()
        over = threading.Event()

        def freeze() -> None:
            while not over.wait(random.uniform(0.2, 1.6)):
                self.site.provider.signal(signal.SIGSTOP)
                over.wait(3.0)
                self.site.provider.signal(signal.SIGCONT)

        thread = threading.Thread(target=freeze, daemon=True)
        thread.start()

        def end() -> None:
            over.set()
            thread.join(10)
            heal()

        return end


FAULTS = (
    "none",
    "server_dead",
    "server_frozen",
    "server_silent",
    "network_swallows",
    "daemon_frozen",
    "daemon_dead",
    "server_then_daemon_frozen",
)


def measure(stage: Stage, fault: str, document: Path) -> tuple[list[float], list[float]]:
    """Seconds for each job until its backend went on: since its analysis ended (where that is known), since cupsd
    started the backend."""
    site = stage.site
    heal: Heal = getattr(stage, fault)()
    try:
        jobs = [
            site.cupsd.lp(queue, document, user="anna", title=f"{fault} {number} {queue}")
            for number in range(EACH)
            for queue in QUEUES
        ]
        wait_until(site.is_printed, 300, "the jobs to be over", 0.5)
    finally:
        heal()
    stage.in_touch()
    site.wait_until_quiet(120)
    begun = started_backends(site.cupsd.error_log.read_text())
    analysed = analysis_ends((site.folder / "provider.log").read_text())
    since_analysis, since_start = [], []
    for record in site.journal():
        number = record["printing"]["cups_job_id"]
        if number in jobs:
            on_at_s = min(run["started_at"] for run in record["runs"]) / 1000
            since_start.append(on_at_s - begun[number])
            if record["job_id"] in analysed:
                since_analysis.append(on_at_s - analysed[record["job_id"]])
    return since_analysis, since_start


def check_all(url: str) -> Counter[str]:
    """Every job is charged once and the books are right; how the jobs were decided."""
    database = Database(url)
    try:
        with database.connect() as conn:
            ledger = read_ledger(conn)
    finally:
        database.close()
    wrong = [job for job in ledger.jobs if (job.state, job.reserved) != ("completed", 0) or job.charged <= 0]
    faults = check_books(ledger)
    if wrong or faults or len({job.title for job in ledger.jobs}) != len(ledger.jobs):
        raise Failed(f"not every job was charged once: {wrong[:3]} {faults[:3]}")
    return Counter("by policy" if "offline" in job.marks else "by a server" for job in ledger.jobs)


def started_backends(log: str) -> dict[int, float]:
    found = re.findall(r"\[(\S+ \S+)\] \[Job (\d+)\] Started backend", log)
    return {int(number): datetime.strptime(at, "%d/%b/%Y:%H:%M:%S.%f %z").timestamp() for at, number in reversed(found)}


def analysis_ends(log: str) -> dict[str, float]:
    """When each job's analysis ended, from the daemon's words on how long its servers took after it."""
    found = re.findall(r"^(\S+) info \S+: job (\S+): .* (\d+) ms after its analysis$", log, re.MULTILINE)
    return {job_id: datetime.fromisoformat(at).timestamp() - int(ms) / 1000 for at, job_id, ms in reversed(found)}


def tell(fault: str, since_analysis: list[float], since_start: list[float]) -> None:
    told = [f"{name} {_cuts(values)}" for name, values in (("analysis", since_analysis), ("start", since_start))]
    print(f"  {fault.replace('_', ' '):26}  since {'; since '.join(told)}", flush=True)


def _cuts(values: list[float]) -> str:
    if len(values) < 2:
        return "-"
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return f"(n {len(values)}) {cuts[49]:.2f} {cuts[94]:.2f} {cuts[98]:.2f} {max(values):.2f}"


def _accepts(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def _stop(process: Process) -> None:
    _resume(process)
    process.stop()


def _resume(process: Process) -> None:
    if process.running:
        process.signal(signal.SIGCONT)


@contextlib.contextmanager
def busy(folder: Path, count: int) -> Iterator[None]:
    """So many programs that compute and write."""
    argv = [sys.executable, "-c", BUSY_PROGRAM]
    programs = [subprocess.Popen([*argv, str(folder / f"busy-{number}")]) for number in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fault", nargs="*", default=FAULTS, help=f"of: {', '.join(FAULTS)}")
    parser.add_argument("--busy", action="store_true", help="keep the processors and the disk busy")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder("ik-decision-"))
        document = write_pdf(folder / "letter.pdf", [Page(content=text_lines(30, 1))])
        stage = Stage(folder, stack)
        stage.start()
        if asked.busy:
            stack.enter_context(busy(folder, os.cpu_count() or 1))
        print("\nA job's wait for its decision in seconds: p50 p95 p99 longest   (aim: at most 2)", flush=True)
        for fault in asked.fault:
            tell(fault, *measure(stage, fault, document))
        print(f"  each charged once; decided {dict(check_all(stage.server.database_url))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
