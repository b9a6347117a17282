"""What happens when…: the accidents of a print server, each on a real one. What CUPS shows, what its user sees, what is
charged.

docs/OPERATIONS.md has the table. Here stands what test_provider_jobs.py and test_provider_kills.py, which have most of
its lines, do not show. One site serves all tests; each has its own titles.
"""

import itertools
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.checker.check import check
from backend.checker.model import LedgerJob, Sent
from tests.support.cupsd import CupsJob
from tests.support.documents import GREY, write_pdf
from tests.support.printer import IppPrinter
from tests.support.processes import run, wait_until
from tests.support.site import PRICE, Site

pytestmark = pytest.mark.xdist_group("print-site")
PAGES = 3
DEAR = 10 * PRICE
SLOW_S = 0.7


@pytest.fixture(scope="module")
def site(print_site: Site) -> Site:
    return print_site


@pytest.fixture(scope="module")
def document(site: Site) -> Path:
    return write_pdf(site.folder / "document.pdf", [GREY] * PAGES)


@pytest.fixture
def printer(site: Site) -> Iterator[IppPrinter]:
    yield site.printers["q"]
    site.printers["q"].behave()


def ledger_jobs(site: Site, title: str) -> list[LedgerJob]:
    return [job for job in site.ledger().jobs if job.title == title]


def papers(site: Site, title: str) -> list[int]:
    """The impressions of each time that this title was begun at the printer."""
    return [paper.impressions for paper in site.printed() if paper.key == title]


def settled(site: Site, title: str) -> LedgerJob:
    """The one job of that title once all is quiet; nothing is left reserved."""
    site.wait_until_quiet(100)
    (job,) = ledger_jobs(site, title)
    assert job.reserved == 0
    return job


def checked(site: Site, title: str) -> LedgerJob:
    """The same, of a job that came out once, whole; and the checker finds nothing wrong with it."""
    job = settled(site, title)
    printed = [paper for paper in site.printed() if paper.key == title]
    assert len(printed) == 1
    ledger = site.ledger()
    others = [Sent(key=other.title, user=other.user, queue="q") for other in ledger.jobs]
    found = check(printed, others, ledger, site.prices)
    assert not [fault for fault in found.faults if title in str(fault) or job.job_id in str(fault)], found.text()
    return job


# ---------------------------------------------------------------- the daemon


def test_a_socket_that_is_gone_is_made_again(site: Site, document: Path) -> None:
    """Somebody cleared it away; the daemon lives."""
    socket = site.folder / "provider.sock"
    socket.unlink()
    job_id = site.cupsd.lp("q", document, user="anna", title="socket gone")
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    wait_until(socket.exists, 20, "the daemon to make it again")
    assert checked(site, "socket gone").charged == PAGES * PRICE
    site.cupsd.lp("q", document, user="anna", title="socket back")
    job = checked(site, "socket back")
    assert (job.charged, job.marks) == (PAGES * PRICE, ())


def test_a_daemon_restarted_while_a_job_asks(site: Site, document: Path) -> None:
    """The old one, the new one or the policy decides, and the job comes out once."""
    site.provider.signal(signal.SIGSTOP)
    job_id = site.cupsd.lp("q", document, user="anna", title="daemon restarted")
    wait_until(lambda: site.wrappers, 20, "the backend to ask")
    site.provider.kill9()
    site.start_provider()
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    job = checked(site, "daemon restarted")
    assert job.charged == PAGES * PRICE
    assert set(job.marks) <= {"offline"}


# ---------------------------------------------------------------- the backend


def test_a_backend_that_crashes_is_run_again_and_does_not_print_again(
    site: Site, printer: IppPrinter, document: Path
) -> None:
    """CUPS holds the job for its retry interval and starts a second backend, which waits for the first one's print."""
    printer.behave(impression_s=SLOW_S)
    job_id = site.cupsd.lp("q", document, user="anna", title="crashed")
    wait_until(lambda: papers(site, "crashed"), 40, "the printer to begin")
    os.kill(site.wrappers[0], signal.SIGSEGV)
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    job = checked(site, "crashed")
    assert (job.state, job.charged, job.marks) == ("completed", PAGES * PRICE, ())


def test_a_backend_that_crashes_before_it_sent_anything_is_run_again_and_prints(site: Site, document: Path) -> None:
    site.provider.signal(signal.SIGSTOP)
    job_id = site.cupsd.lp("q", document, user="anna", title="crashed early")
    wait_until(lambda: site.wrappers, 20, "the backend to ask")
    os.kill(site.wrappers[0], signal.SIGSEGV)
    site.provider.signal(signal.SIGCONT)
    wait_until(lambda: f"[Job {job_id}] Backend" in site.cupsd.error_log.read_text(), 20, "cupsd to notice")
    assert papers(site, "crashed early") in ([], [PAGES])
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    job = checked(site, "crashed early")
    assert (job.state, job.charged, job.marks) == ("completed", PAGES * PRICE, ())


@pytest.mark.long
def test_a_backend_that_is_killed_when_all_was_sent(site: Site, printer: IppPrinter, document: Path) -> None:
    """Nobody wrote down how its run ended; the printer tells."""
    printer.behave(impression_s=SLOW_S)
    job_id = site.cupsd.lp("q", document, user="anna", title="killed late")
    wait_until(lambda: papers(site, "killed late"), 40, "the printer to begin")
    os.kill(site.wrappers[0], signal.SIGSTOP)
    printer.wait_for(lambda paper: paper.title == "killed late" and paper.complete)
    os.kill(site.wrappers[0], signal.SIGKILL)
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    assert checked(site, "killed late").charged == PAGES * PRICE


@pytest.mark.long
def test_a_backend_that_is_told_to_end_cancels_at_the_printer(site: Site, printer: IppPrinter) -> None:
    printer.behave(impression_s=0.2)
    long = write_pdf(site.folder / "long.pdf", [GREY] * 20)
    job_id = site.cupsd.lp("q", long, user="anna", title="told to end")
    wait_until(lambda: papers(site, "told to end"), 40, "the printer to begin")
    os.kill(site.wrappers[0], signal.SIGTERM)
    site.cupsd.wait_for_state(job_id)
    job = settled(site, "told to end")
    assert job.charged == sum(papers(site, "told to end")) * PRICE


# ---------------------------------------------------------------- the printer


def test_a_printer_that_is_away_is_waited_for(site: Site, printer: IppPrinter, document: Path) -> None:
    printer.process.kill9()
    job_id = site.cupsd.lp("q", document, user="anna", title="away")
    wait_until(
        lambda: "may not exist or is unavailable" in site.cupsd.job(job_id).message, 40, "the reason to be shown"
    )
    shown = site.cupsd.job(job_id)
    assert shown.state == "processing"
    printer.process.start()
    printer.process.wait_for_port(printer.port)
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    job = checked(site, "away")
    assert (job.charged, job.marks) == (PAGES * PRICE, ())


def test_a_printer_without_paper_is_waited_for(site: Site, printer: IppPrinter, document: Path) -> None:
    printer.behave(paper_for=0)
    job_id = site.cupsd.lp("q", document, user="anna", title="no paper")

    def told() -> bool:
        return "media-empty" in str(site.cupsd.queue("q", "printer-state-reasons").get("printer-state-reasons"))

    wait_until(told, 40, "CUPS to show that paper is missing")
    assert site.cupsd.job(job_id).state == "processing"
    assert ledger_jobs(site, "no paper")[0].reserved == PAGES * PRICE
    printer.behave()
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    assert checked(site, "no paper").charged == PAGES * PRICE


def test_a_printer_that_breaks_off_costs_what_it_says_it_printed(
    site: Site, printer: IppPrinter, document: Path
) -> None:
    printer.behave(breaks_after=2)
    job_id = site.cupsd.lp("q", document, user="anna", title="broken off")
    site.cupsd.wait_for_state(job_id)
    job = settled(site, "broken off")
    assert (job.charged, job.marks) == (2 * PRICE, ())


@pytest.mark.long
def test_a_printer_that_never_counts_is_not_believed_that_it_printed_nothing(site: Site, document: Path) -> None:
    with IppPrinter(site.folder / "printer-mute", "mute") as printer:
        printer.behave(counts=False)
        site.cupsd.add_queue("mute", printer.uri, ["printer-is-shared=false"])
        site.provider_command("track", "mute")
        whole = site.cupsd.lp("mute", document, user="anna", title="never counts")
        assert site.cupsd.wait_for_state(whole).state == "completed"
        assert settled(site, "never counts").charged == PAGES * PRICE
        printer.behave(counts=False, breaks_after=2)
        broken = site.cupsd.lp("mute", document, user="anna", title="broken off, not counted")
        site.cupsd.wait_for_state(broken)
        job = settled(site, "broken off, not counted")
        run(["lpadmin", "-x", "mute"], env=site.cupsd.env)
    assert (job.charged, job.marks) == (PAGES * PRICE, ("estimated", "in_doubt"))


class BadLine:
    """A printer on a raw port that hangs up on the first connections, in the middle of the document."""

    def __init__(self, hang_ups: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"socket://127.0.0.1:{self.listener.getsockname()[1]}"
        self.received: list[bytes] = []
        self._hang_ups = hang_ups
        self._thread = threading.Thread(target=self._print, daemon=True)
        self._thread.start()

    def _print(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                if len(self.received) < self._hang_ups:
                    self.received.append(connection.recv(1000))
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    self.received.append(connection.makefile("rb").read())

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self.listener.close()


@pytest.fixture(scope="module")
def heavy(document: Path) -> Path:
    """The document with more behind it than any socket's buffer takes."""
    heavy = document.with_name("heavy.pdf")
    heavy.write_bytes(document.read_bytes() + b"%" + bytes(16 << 20) + b"\n%%EOF\n")
    return heavy


@pytest.mark.long
def test_a_line_that_breaks_is_tried_again_and_charged_once(site: Site, heavy: Path) -> None:
    """Nobody can tell how much the first try printed."""
    line = BadLine(1)
    site.cupsd.add_raw_queue("line", line.uri)
    site.provider_command("track", "line")
    job_id = site.cupsd.lp("line", heavy, user="anna", title="line")
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    job = settled(site, "line")
    line.close()
    assert len(line.received) >= 2
    assert line.received[-1] == heavy.read_bytes()
    assert (job.charged, job.marks) == (PAGES * PRICE, ("estimated", "possible_duplicate"))


@pytest.mark.parametrize("rule", ["whole", pytest.param("nothing", marks=pytest.mark.long)])
def test_what_nobody_can_tell_costs_what_the_queue_s_rule_says(site: Site, heavy: Path, rule: str) -> None:
    line = BadLine(99)
    site.cupsd.add_raw_queue(rule, line.uri)
    site.provider_command("track", rule)
    if rule != "whole":  # which is the default
        site.set_queue(rule, partial_charge=rule)
        site.wait_until_told(rule, partial_charge=rule)
    job_id = site.cupsd.lp(rule, heavy, user="anna", title=f"rule {rule}")
    wait_until(lambda: line.received, 40, "the printer to hang up")
    site.cupsd.cancel(rule, job_id)
    assert site.cupsd.wait_for_state(job_id).state == "canceled"
    job = settled(site, f"rule {rule}")
    line.close()
    assert job.charged == {"whole": PAGES * PRICE, "nothing": 0}[rule]
    assert "estimated" in job.marks


def test_a_printer_that_refuses_stops_its_queue_and_a_moved_job_costs_what_the_new_queue_takes(
    site: Site, document: Path
) -> None:
    site.cupsd.add_raw_queue("dear", site.printers["q"].uri.replace("/print", "/nowhere"))
    site.provider_command("track", "dear")
    site.set_queue("dear", cost_per_impression=DEAR)
    job_id = site.cupsd.lp("dear", document, user="anna", title="moved")
    wait_until(lambda: site.cupsd.queue("dear", "printer-state")["printer-state"] == 5, 40, "the queue to stop")
    assert site.cupsd.job(job_id).state == "pending"
    (before,) = ledger_jobs(site, "moved")
    assert before.reserved == PAGES * DEAR
    site.cupsd.move("dear", job_id, "q")
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    assert settled(site, "moved").charged == PAGES * PRICE


# ---------------------------------------------------------------- people


def test_canceled_while_it_waits_for_its_queue_a_job_never_was(site: Site, document: Path) -> None:
    run(["cupsdisable", "q"], env=site.cupsd.env)
    job_id = site.cupsd.lp("q", document, user="anna", title="never begun")
    site.cupsd.cancel("q", job_id)
    run(["cupsenable", "q"], env=site.cupsd.env)
    assert site.cupsd.wait_for_state(job_id).state == "canceled"
    assert ledger_jobs(site, "never begun") == []


def test_canceled_while_it_asks_a_job_costs_nothing(site: Site, document: Path) -> None:
    site.server.signal(signal.SIGSTOP)
    try:
        job_id = site.cupsd.lp("q", document, user="anna", title="taken back")
        wait_until(lambda: site.wrappers, 20, "the backend to ask")
        site.cupsd.cancel("q", job_id)
        assert site.cupsd.wait_for_state(job_id).state == "canceled"
    finally:
        site.server.signal(signal.SIGCONT)
    site.wait_until_quiet(100)
    assert not [job for job in ledger_jobs(site, "taken back") if job.charged or job.reserved]
    assert papers(site, "taken back") == []


def test_a_queue_that_is_switched_off_says_so_and_the_next_job_prints(site: Site, document: Path) -> None:
    site.set_queue("q", disabled=True)
    job_id = site.cupsd.lp("q", document, user="anna", title="queue off")
    shown = site.cupsd.wait_for_state(job_id)
    site.set_queue("q", disabled=False)
    assert (shown.state, shown.message) == ("canceled", "Printing on this queue is switched off.")
    was_denied(site, "queue off")
    prints(site, document, "queue on")


def test_a_user_who_is_switched_off_is_told_so(site: Site, document: Path) -> None:
    site.rpc("setUserProperty", "anna", "disabled-print", "TRUE")
    job_id = site.cupsd.lp("q", document, user="anna", title="user off")
    shown = site.cupsd.wait_for_state(job_id)
    site.rpc("setUserProperty", "anna", "disabled-print", "FALSE")
    assert (shown.state, shown.message) == ("canceled", "Printing is switched off for this user.")
    was_denied(site, "user off")
    prints(site, document, "user on")


def test_a_user_whom_nobody_knows_is_told_so_where_users_are_not_made(site: Site, document: Path) -> None:
    tries = itertools.count()

    def refused() -> tuple[str, CupsJob] | None:
        """Servers follow a change of settings within seconds; until then who is unknown becomes a user."""
        number = next(tries)
        job_id = site.cupsd.lp("q", document, user=f"stranger{number}", title=f"unknown user {number}")
        shown = site.cupsd.wait_for_state(job_id)
        return (f"unknown user {number}", shown) if shown.state == "canceled" else None

    site.server_command("config", "set", "users.create-at-first-print", "false")
    try:
        title, shown = wait_until(refused, 60, "a stranger to be refused")
    finally:
        site.server_command("config", "set", "users.create-at-first-print", "true")
    assert shown.message == "There is no user of that name."
    was_denied(site, title)
    prints(site, document, "anna is known")


def was_denied(site: Site, title: str) -> None:
    (job,) = ledger_jobs(site, title)
    assert (job.state, job.charged, job.reserved, papers(site, title)) == ("denied", 0, 0, [])


def prints(site: Site, document: Path, title: str) -> None:
    """Nothing jams."""
    job_id = site.cupsd.lp("q", document, user="anna", title=title)
    assert site.cupsd.wait_for_state(job_id).state == "completed"
    assert checked(site, title).charged == PAGES * PRICE
