"""What a print server's journal of 100,000 jobs costs: its replay when the daemon starts, a look at all of it, and the
daemon's memory, with 200 jobs under way and with none.

The journal is written by the daemon's own code, three records for each job, in realistic sizes. Replay and look are
measured in a process of their own each, the daemon as it runs, with no cupsd and no server in reach, so that open jobs
stay open. There is no peer to run; its memory is what the system says of the process (VmRSS), children apart.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec.structs import replace

from backend.base.clock import SystemClock
from backend.wire.jobs import JobFacts, Printing
from backend.wire.pricing import Printed
from provider.enrolment import make_secret
from provider.jobs.book import Book
from provider.jobs.model import Ending, Evidence, JobRecord, RunRecord
from provider.journal.file import JournalFile, Label
from provider.journal.inspect import Inspection
from scripts.bench.frame import Series
from tests.support.folders import scratch_folder
from tests.support.processes import Process, children

JOBS = 100_000
OPEN = 200
ROUNDS = 3
BATCH = 1000
SETTLE_S = 5.0
PROGRAM = Path(sys.executable).parent / "inkeeper-provider"


def records(number: int, now_ms: int, *, over: bool) -> Iterator[JobRecord]:
    """What the daemon writes of one job: asked, ended, settled."""
    job_id = str(UUID(int=(0x0190 << 112) | (7 << 76) | (2 << 62) | number))
    facts = JobFacts(impressions=4, sheets=2, sides="two-sided-long-edge")
    first = JobRecord(
        job_id=job_id,
        printing=Printing(
            spool_id="c0ffee" * 5, cups_job_id=number, time_at_creation=now_ms // 1000, time_at_completed=0
        ),
        queue=f"queue-{number % 50}",
        user_name=f"user{number % 5000}",
        cups_user_name=f"user{number % 5000}",
        title=f"A document with an ordinary title, number {number}",
        host="workstation.example.org",
        device_uri=f"ipp://printer-{number % 50}.example.org/ipp/print",
        created_at=now_ms + number,
        attempt=1,
        authorise_id=job_id,
        facts=facts,
        document_facts=facts,
    )
    yield first
    if not over:
        return
    run = RunRecord(
        number=1,
        name=f"{job_id}.1",
        started_at=now_ms,
        boot_id=job_id,
        boot_ms=1,
        attempt=1,
        ended_at=now_ms,
        exit_code=0,
        evidence=Evidence(spoke=True, connected=True, sending=True, printer_job_id=number),
        facts=facts,
        verdict="printed",
        impressions=4,
    )
    printed = Printed(impressions=4, sheets=2)
    ending = Ending(command_id=job_id, revision=1, outcome="completed", printed=printed, estimated=False)
    ended = replace(first, runs=(run,), ending=ending, phase="ended")
    yield ended
    yield replace(ended, phase="settled", settled_at=now_ms)


def write_journal(folder: Path, settled: int, still_open: int) -> int:
    """The journal's size in bytes."""
    clock = SystemClock()
    file = JournalFile(folder, lambda _payload: None, clock.now_ms)
    file.open()
    now_ms, batch = clock.now_ms(), list[tuple[Label, bytes]]()
    for number in range(settled + still_open):
        for record in records(number + 1, now_ms, over=number < settled):
            batch.append((Label(record.job_id, record.settled_at), msgspec.json.encode(record)))
        if len(batch) >= BATCH:
            file.append(batch, durable=False)
            batch = []
    if batch:
        file.append(batch, durable=False)
    file.close()
    return sum(path.stat().st_size for path in folder.iterdir())


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measure_here(what: str, folder: Path) -> None:
    """In a process of its own: say the seconds, and by how many MB it grew at most."""
    before_mb, began_s = memory_mb(os.getpid()), time.perf_counter()
    if what == "replay":
        Book(folder, SystemClock()).open()
    else:
        for _found in Inspection(folder, folder / "no runs").findings():
            continue
    took_s = time.perf_counter() - began_s
    peak_mb, after_mb = memory_mb(os.getpid(), "VmHWM"), memory_mb(os.getpid())
    print(json.dumps({"s": took_s, "mb": after_mb - before_mb, "peak_mb": peak_mb - before_mb}))


def measure(what: str, folder: Path) -> dict[str, Series]:
    told = []
    for _ in range(ROUNDS + 1):
        argv = [sys.executable, "-m", "scripts.bench.provider", what, str(folder)]
        told.append(json.loads(subprocess.run(argv, check=True, capture_output=True).stdout))
    return {name: Series(tuple(one[name] for one in told[1:])) for name in told[0]}


def daemon_mb(folder: Path, settled: int, still_open: int) -> tuple[float, float]:
    """What a daemon with such a journal holds, and its analysis's workers together."""
    state = folder / "state"
    make_secret(state)
    write_journal(state / "journal", settled, still_open)
    config = folder / "provider.toml"
    config.write_text(
        f'[provider]\nname = "bench"\nstate_dir = "{state}"\n[servers]\nurls = ["http://127.0.0.1:9"]\n'
        f'[cups]\nserver = "{folder}/cups.sock"\nserver_bin = "{folder}"\n'
    )
    argv: list[str | Path] = [PROGRAM, "--config", config, "run"]
    with Process("provider", argv, log=folder / "log") as daemon:
        daemon.wait_for(lambda: "listens at" in daemon.written(), 120, "it listened")
        time.sleep(SETTLE_S)
        return memory_mb(daemon.pid), sum(map(memory_mb, children(daemon.pid)))


def main() -> None:
    if len(sys.argv) == 3:
        measure_here(sys.argv[1], Path(sys.argv[2]))
        return
    with scratch_folder() as folder:
        size = write_journal(folder / "journal", JOBS, 0)
        print(f"\nA journal of {JOBS:,} settled jobs ({size / 1e6:.0f} MB)")
        for what, title in (("replay", "replay at the daemon's start"), ("look", "journal verify")):
            told = measure(what, folder / "journal")
            print(f"  {title.ljust(28)}  {told['s'].text('s')}, {ROUNDS} rounds")
            print(
                f"  {''.ljust(28)}  grows by {told['mb'].text('MB')}, at most {told['peak_mb'].text('MB')}", flush=True
            )
    print("\nThe daemon's memory")
    for settled, still_open in ((0, 0), (0, OPEN), (JOBS, OPEN)):
        with scratch_folder() as folder:
            own, workers = daemon_mb(folder, settled, still_open)
        title = f"{settled:,} jobs settled, {still_open} open"
        print(f"  {title.ljust(28)}  {own:.0f} MB, its analysis's processes {workers:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
