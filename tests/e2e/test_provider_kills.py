"""Kill any part of a print server in the middle of a job: it comes out once, and is charged once.

Awkward moments by hand; the random ones are the campaign's. The outside checker has the last word in every test.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.checker.check import check
from backend.checker.model import LedgerJob, Sent
from provider.cups.client import Cupsd
from tests.support.disks import SmallDisk
from tests.support.documents import GREY, write_pdf
from tests.support.folders import scratch_folder
from tests.support.processes import Failed, Process, run, wait_until
from tests.support.site import PRICE, Site

pytestmark = pytest.mark.xdist_group("print-site-kills")  # one worker builds one site
PAGES = 3
SLOW_S = 1.0  # for one impression: time enough to kill somebody in the middle


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One site for all tests here; each kills what it likes and starts it again."""
    with scratch_folder("ik-site-") as folder, Site(folder) as site:
        for process in list(Process.live):
            process.shared = True
        site.add_user("anna", restricted=False, balance=0)
        yield site


@pytest.fixture
def document(site: Site) -> Iterator[Path]:
    site.printers["q"].behave(impression_s=SLOW_S)
    yield write_pdf(site.folder / "document.pdf", [GREY] * PAGES)
    site.printers["q"].behave()


def inner_backends(site: Site) -> list[int]:
    """The process ids of the real backends that print to the site's printer."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].decode(errors="replace") == site.printers["q"].uri:
                found.append(int(folder.name))
    return found


def printing(site: Site, title: str) -> None:
    """Wait until the printer has begun."""
    wait_until(lambda: any(paper.key == title for paper in site.printed()), 40, f"{title} to be printing")


def restart(process: Process) -> None:
    process.kill9()
    process.start()


def settled(site: Site, title: str, *, times: int = 1) -> LedgerJob:
    """The one job of that title, after the checker found nothing wrong with anything."""
    site.wait_until_quiet()
    ledger = site.ledger()
    titles = {job.title for job in ledger.jobs} | {paper.key for paper in site.printed()} - {""}
    sent = [Sent(key=key, user="anna", queue="q") for key in titles]
    findings = check(site.printed(), sent, ledger, site.prices)
    assert findings.ok, findings.text()
    assert len([paper for paper in site.printed() if paper.key == title]) == times
    (job,) = [job for job in ledger.jobs if job.title == title]
    return job


def test_kill_cupsd(site: Site, document: Path) -> None:
    job_id = site.cupsd.lp("q", document, user="anna", title="kill cupsd")
    printing(site, "kill cupsd")
    site.cupsd.kill9()
    site.cupsd.start()
    site.cupsd.wait_for_state(job_id)
    job = settled(site, "kill cupsd")
    assert (job.state, job.charged, job.marks) == ("completed", PAGES * PRICE, ())


def test_kill_the_daemon(site: Site, document: Path) -> None:
    job_id = site.cupsd.lp("q", document, user="anna", title="kill daemon")
    printing(site, "kill daemon")
    site.provider.kill9()
    site.cupsd.wait_for_state(job_id)  # printing needs no daemon
    site.start_provider()
    assert settled(site, "kill daemon").charged == PAGES * PRICE


def test_kill_the_wrapper(site: Site, document: Path) -> None:
    """CUPS calls the job completed at once; what counts is that the real backend goes on."""
    site.cupsd.lp("q", document, user="anna", title="kill wrapper")
    printing(site, "kill wrapper")
    os.kill(site.wrappers[0], signal.SIGKILL)
    job = settled(site, "kill wrapper")
    assert (job.state, job.charged, job.marks) == ("completed", PAGES * PRICE, ())


def test_kill_the_real_backend(site: Site, document: Path) -> None:
    """CUPS tries again; the printer tells that it has it."""
    site.cupsd.lp("q", document, user="anna", title="kill inner")
    printing(site, "kill inner")
    os.kill(inner_backends(site)[0], signal.SIGKILL)
    job = settled(site, "kill inner")
    assert (job.state, job.charged) == ("completed", PAGES * PRICE)


def test_kill_everything(site: Site, document: Path) -> None:
    job_id = site.cupsd.lp("q", document, user="anna", title="kill all")
    printing(site, "kill all")
    for pid in (*site.wrappers, *inner_backends(site)):
        os.kill(pid, signal.SIGKILL)
    for process in (site.cupsd.process, site.provider, site.server):
        process.kill9()
    site.start_server()
    site.start_provider()
    site.cupsd.start()
    site.cupsd.wait_for_state(job_id)
    job = settled(site, "kill all")
    assert (job.state, job.charged) == ("completed", PAGES * PRICE)


def test_kill_wrapper_and_cupsd_the_orphan_is_waited_for(site: Site, document: Path) -> None:
    job_id = site.cupsd.lp("q", document, user="anna", title="orphan")
    printing(site, "orphan")
    os.kill(site.wrappers[0], signal.SIGKILL)
    site.cupsd.kill9()
    site.provider.kill9()
    assert inner_backends(site)
    site.start_provider()
    site.cupsd.start()
    site.cupsd.wait_for_state(job_id)
    assert settled(site, "orphan").charged == PAGES * PRICE


def test_the_daemon_away_for_the_whole_job(site: Site, document: Path) -> None:
    site.printers["q"].behave()
    site.provider.kill9()
    job_id = site.cupsd.lp("q", document, user="anna", copies=2, title="daemon away")
    site.cupsd.wait_for_state(job_id)
    assert site.provider_command("status", check=False) == ""
    site.start_provider()
    job = settled(site, "daemon away")
    assert (job.state, job.charged, job.marks) == ("completed", 2 * PAGES * PRICE, ("offline",))


def test_the_daemon_away_and_cupsd_killed(site: Site, document: Path) -> None:
    """Two backends without a daemon find each other by their run files."""
    site.provider.kill9()
    job_id = site.cupsd.lp("q", document, user="anna", title="both away")
    printing(site, "both away")
    site.cupsd.kill9()
    site.cupsd.start()
    site.cupsd.wait_for_state(job_id)
    site.start_provider()
    assert settled(site, "both away").charged == PAGES * PRICE


def test_a_daemon_that_hangs_is_as_one_that_is_away(site: Site, document: Path) -> None:
    site.printers["q"].behave()
    site.provider.signal(signal.SIGSTOP)
    job_id = site.cupsd.lp("q", document, user="anna", title="daemon hangs")
    site.cupsd.wait_for_state(job_id)
    site.provider.signal(signal.SIGCONT)
    assert settled(site, "daemon hangs").charged == PAGES * PRICE


def test_no_server_for_the_whole_job(site: Site, document: Path) -> None:
    site.printers["q"].behave()
    site.server.kill9()
    job_id = site.cupsd.lp("q", document, user="anna", title="no server")
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    status = subprocess.run(
        [Path(site.provider.argv[0]), "--config", site.folder / "provider.toml", "status"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert status.returncode == 1
    assert "no server answers" in status.stderr
    assert "reports not sent: 1" in status.stdout
    site.provider.kill9()  # and the daemon as well: the report is on the disk
    site.start_provider()
    site.start_server()
    job = settled(site, "no server")
    assert (job.charged, job.marks) == (PAGES * PRICE, ("offline",))


def test_a_server_that_hangs_is_as_none(site: Site, document: Path) -> None:
    site.printers["q"].behave()
    site.server.signal(signal.SIGSTOP)
    try:
        job_id = site.cupsd.lp("q", document, user="anna", title="server hangs")
        assert site.cupsd.wait_for_state(job_id).state == "completed"
    finally:
        site.server.signal(signal.SIGCONT)
    job = settled(site, "server hangs")
    assert job.charged == PAGES * PRICE
    assert set(job.marks) <= {"offline"}  # the question may have been answered late


def test_kill_the_wrapper_before_it_prints(site: Site, document: Path) -> None:
    """CUPS calls it completed; nothing came out and nothing is charged."""
    site.provider.signal(signal.SIGSTOP)
    job_id = site.cupsd.lp("q", document, user="anna", title="never printed")
    wait_until(lambda: site.wrappers, 30, "the backend to ask")
    os.kill(site.wrappers[0], signal.SIGKILL)
    site.provider.signal(signal.SIGCONT)
    site.cupsd.wait_for_state(job_id)
    site.wait_until_quiet()
    assert not [paper for paper in site.printed() if paper.key == "never printed"]
    assert not [job for job in site.ledger().jobs if job.title == "never printed" and (job.charged or job.reserved)]


def test_a_canceled_orphan_is_ended(site: Site, document: Path) -> None:
    """Nobody is left to pass the cancel on but the daemon."""
    printer = site.printers["q"]
    printer.process.signal(signal.SIGSTOP)  # the real backend waits for it for ever
    try:
        job_id = site.cupsd.lp("q", document, user="anna", title="canceled orphan")
        wait_until(lambda: inner_backends(site), 30, "the real backend")
        os.kill(site.wrappers[0], signal.SIGSTOP)
        site.cupsd.cancel("q", job_id)
        site.cupsd.wait_for_state(job_id, ("canceled",))
        for pid in site.wrappers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not inner_backends(site), 40, "the orphan to be ended")
    finally:
        printer.process.signal(signal.SIGCONT)
    site.wait_until_quiet()
    (job,) = [job for job in site.ledger().jobs if job.title == "canceled orphan"]
    assert (job.state, job.charged) == ("canceled", 0)


# ---------------------------------------------------------------- a full disk

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@dataclass
class Cramped:
    """A site whose provider, and whose cupsd's spool, have a small disk each."""

    site: Site
    state: SmallDisk
    spool: SmallDisk


@pytest.fixture(scope="module")
def cramped() -> Iterator[Cramped]:
    with scratch_folder("ik-site-") as folder:
        building = Site(folder)
        state = SmallDisk(building.state_dir, 2)
        spool = SmallDisk(building.cupsd.request_root, 2)
        with state, spool, building as site:
            for process in Process.live:
                process.shared = True
            site.add_user("anna", restricted=False, balance=0)
            yield Cramped(site, state, spool)


@only_root
def test_a_full_disk_stops_acceptance_with_the_reason_and_loses_nothing(cramped: Cramped) -> None:
    site = cramped.site
    document = write_pdf(site.folder / "document.pdf", [GREY] * PAGES)
    cramped.state.fill()
    job_id = site.cupsd.lp("q", document, user="anna", title="full disk")
    wait_until(lambda: "No space left on device" in site.cupsd.job(job_id).message, 40, "the reason to be told")
    assert site.cupsd.job(job_id).state == "processing"
    assert not [paper for paper in site.printed() if paper.key == "full disk"]
    wait_until(lambda: "No space" in site.provider_command("status", check=False), 20, "the status to say so")
    cramped.state.empty()
    site.cupsd.wait_for_state(job_id)
    assert settled(site, "full disk").charged == PAGES * PRICE


@only_root
def test_a_disk_that_fills_up_in_mid_job_hides_nothing_that_was_sent(cramped: Cramped) -> None:
    """The printer hangs before it takes anything; when the disk is full it takes the document, and hangs again:
    it cannot be asked, and who sent the document is killed. What the real backend said before that tells."""
    site = cramped.site
    printer, document = site.printers["q"], write_pdf(site.folder / "document.pdf", [GREY] * PAGES)
    printer.behave(impression_s=SLOW_S)

    def logs() -> list[Path]:
        return list((site.state_dir / "runs").glob("*.log"))

    printer.process.signal(signal.SIGSTOP)
    job_id = site.cupsd.lp("q", document, user="anna", title="swallowed")
    try:
        wait_until(lambda: any(log.read_bytes().strip(b"\0") for log in logs()), 30, "the real backend to speak")
        cramped.state.fill()
        printer.process.signal(signal.SIGCONT)
        printing(site, "swallowed")
        printer.process.signal(signal.SIGSTOP)
        os.kill(inner_backends(site)[0], signal.SIGKILL)
        site.cupsd.cancel("q", job_id)
        site.cupsd.wait_for_state(job_id)
        cramped.state.empty()
        site.wait_until_quiet()
        (job,) = [job for job in site.ledger().jobs if job.title == "swallowed"]
    finally:
        cramped.state.empty()
        printer.process.signal(signal.SIGCONT)
        printer.behave()
    assert (job.charged, job.marks) == (PAGES * PRICE, ("estimated", "in_doubt"))


@only_root
def test_a_full_spool_takes_no_job_and_says_so(cramped: Cramped) -> None:
    """cupsd refuses what it cannot keep, if not in these words; what it has taken prints."""
    site = cramped.site
    document = write_pdf(site.folder / "document.pdf", [GREY] * PAGES)
    run(["cupsdisable", "q"], env=site.cupsd.env)
    taken = site.cupsd.lp("q", document, user="anna", title="taken before")
    cramped.spool.fill()
    refused = run(["lp", "-d", "q", "-t", "no room", "--", document], env=site.cupsd.env, check=False)
    assert (refused.returncode, refused.stderr) == (1, "lp: Request Entity Too Large\n")
    assert "No space left on device" in site.cupsd.error_log.read_text()
    run(["cupsenable", "q"], env=site.cupsd.env)
    assert site.cupsd.wait_for_state(taken).state == "completed"
    assert settled(site, "taken before").charged == PAGES * PRICE
    cramped.spool.empty()
    again = site.cupsd.lp("q", document, user="anna", title="room again")
    assert site.cupsd.wait_for_state(again).state == "completed"
    assert settled(site, "room again").charged == PAGES * PRICE
    assert not [job for job in site.ledger().jobs if job.title == "no room"]


# ---------------------------------------------------------------- cupsd's own mistakes after a crash


def test_a_job_that_cupsd_lists_twice_after_a_crash_is_one_printing(site: Site, document: Path) -> None:
    """Killed while it saves a job, cupsd leaves `c00012.N`, and takes it for a second job 12 when it starts, unless a
    daemon lives that clears it away between the two lives: here it was killed as well.

    It starts the second one when the first has ended, if it has not read by then that the job is over: mostly it has
    not. Either way it is one printing.
    """
    site.printers["q"].behave()
    title = "twice"
    run(["cupsdisable", "q"], env=site.cupsd.env)
    job_id = site.cupsd.lp("q", document, user="anna", title=title)
    control = site.cupsd.request_root / f"c{job_id:05}"
    wait_until(control.exists, 10, "the job to be on the disk")
    site.provider.kill9()
    site.cupsd.kill9()
    unfinished = site.cupsd.request_root / f"{control.name}.N"
    unfinished.write_bytes(control.read_bytes())
    os.utime(unfinished, (time.time() + 60, time.time() + 60))  # newer than what cupsd kept of its list
    site.cupsd.start()
    assert asyncio.run(Cupsd(str(site.cupsd.socket)).listed(job_id)) == 2
    site.start_provider()
    run(["cupsenable", "q"], env=site.cupsd.env)
    begun = f"[Job {job_id}] Started backend"
    wait_until(lambda: site.cupsd.error_log.read_text().count(begun) >= 1, 60, "cupsd to start it")
    wait_until(lambda: any(job.charged for job in site.ledger().jobs if job.title == title), 60, "its charge")
    with contextlib.suppress(Failed):
        wait_until(lambda: site.cupsd.error_log.read_text().count(begun) >= 2, 15, "cupsd to start it a second time")
    wait_until(lambda: not site.wrappers, 60, "the second backend to end")
    wait_until(lambda: "jobs under way: 0" in site.provider_command("status"), 60, "the report to be taken")
    assert len([paper for paper in site.printed() if paper.key == title]) == 1
    assert [job.charged for job in site.ledger().jobs if job.title == title] == [PAGES * PRICE]
    site.cupsd.kill9()  # it never notices the end of the second one, and its queue hangs
    for file in (control, unfinished, site.cupsd.folder / "cache" / "job.cache"):
        file.unlink(missing_ok=True)
    site.cupsd.start()


def test_a_spool_that_a_killed_cupsd_left_is_read_right(site: Site, document: Path) -> None:
    """What it was writing is cleared away; its list of jobs, which may name one that never got a file, is not
    believed.
    """
    site.printers["q"].behave()
    job_id = site.cupsd.lp("q", document, user="anna", title="left")
    site.cupsd.wait_for_state(job_id)
    control = site.cupsd.request_root / f"c{job_id:05}"
    unfinished, cache = control.with_suffix(".N"), site.cupsd.folder / "cache" / "job.cache"
    unfinished.write_bytes(control.read_bytes())
    site.cupsd.kill9()
    wait_until(lambda: not unfinished.exists(), 20, "it to be cleared away")
    written = cache.stat()
    cache.write_text(
        cache.read_text() + "<Job 77777>\nState 3\nCreated 1\nPriority 50\nUsername anna\nDestination q\n</Job>\n"
    )
    os.utime(cache, (written.st_atime, written.st_mtime))
    site.cupsd.start()
    listed = [job.job_id for job in site.cupsd.jobs("all")]
    assert sorted(listed) == sorted(set(listed))
    assert job_id in listed
    assert settled(site, "left").charged == PAGES * PRICE
