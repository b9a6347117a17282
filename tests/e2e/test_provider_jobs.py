"""Which printing is it, and what does it cost: real CUPS, a real printer, the real server. Nobody is killed here.

Every test asks the printer's own spool how often something came out, and the ledger what was charged for it.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.checker.model import LedgerJob
from tests.support.documents import GREY, write_pdf
from tests.support.printer import IppPrinter
from tests.support.processes import run, wait_until
from tests.support.site import PRICE, Site

ZERO_UUID = "urn:uuid:00000000-0000-0000-0000-000000000000"


pytestmark = pytest.mark.xdist_group("print-site")


@pytest.fixture(scope="module")
def site(print_site: Site) -> Site:
    return print_site


@pytest.fixture(scope="module")
def two_pages(site: Site) -> Path:
    return write_pdf(site.folder / "two.pdf", [GREY] * 2)


@pytest.fixture(scope="module")
def three_pages(site: Site) -> Path:
    return write_pdf(site.folder / "three.pdf", [GREY] * 3)


@pytest.fixture
def printer(site: Site) -> Iterator[IppPrinter]:
    yield site.printers["q"]
    site.printers["q"].behave()


def charged(site: Site, title: str, jobs: int = 1) -> list[LedgerJob]:
    """The ledger's jobs of that title once all is quiet, oldest first."""
    site.wait_until_quiet()
    found = sorted((job for job in site.ledger().jobs if job.title == title), key=lambda job: job.job_id)
    assert len(found) == jobs, found
    assert all(job.reserved == 0 for job in found)
    return found


def printed(site: Site, title: str) -> list[int]:
    """The impressions of every time this title came out of the printer."""
    return [paper.impressions for paper in site.printed() if paper.key == title]


def test_a_job_costs_what_came_out(site: Site, two_pages: Path) -> None:
    site.cupsd.lp("q", two_pages, user="anna", copies=3, title="plain")
    (job,) = charged(site, "plain")
    assert (job.user, job.state, job.charged, job.marks) == ("anna", "completed", 6 * PRICE, ())
    assert printed(site, "plain") == [6]


def test_the_journal_can_be_looked_at_while_the_daemon_prints(site: Site, two_pages: Path) -> None:
    site.cupsd.lp("q", two_pages, user="anna", title="looked at")
    sound = [site.provider_command("journal", "verify").splitlines()[-1]]
    while not site.is_printed():
        sound.append(site.provider_command("journal", "verify").splitlines()[-1])
    assert all(line.endswith(" 0 damaged") for line in sound)
    assert charged(site, "looked at")[0].charged == 2 * PRICE
    assert printed(site, "looked at") == [2]


def test_a_name_with_a_domain_is_the_same_person(site: Site, two_pages: Path) -> None:
    site.cupsd.lp("q", two_pages, user="CAMPUS\\Anna", title="mapped")
    assert charged(site, "mapped")[0].user == "anna"


def test_who_cannot_pay_is_told_and_nothing_comes_out(site: Site, two_pages: Path) -> None:
    job_id = site.cupsd.lp("q", two_pages, user="poor", copies=2, title="too dear")
    cups_job = site.cupsd.wait_for_state(job_id)
    assert cups_job.state == "canceled"
    assert "0.15" in cups_job.message  # what there is, in the words of the person who prints
    (job,) = charged(site, "too dear")
    assert (job.state, job.charged) == ("denied", 0)
    assert printed(site, "too dear") == []


def test_the_same_job_uuid_on_two_jobs_makes_two_charges(site: Site, two_pages: Path) -> None:
    for _ in range(2):
        site.cupsd.lp("q", two_pages, user="anna", title="forged", options=[f"job-uuid={ZERO_UUID}"])
    jobs = charged(site, "forged", 2)
    assert [job.charged for job in jobs] == [2 * PRICE] * 2
    assert printed(site, "forged") == [2, 2]


SPOOF = """\
{
 OPERATION Print-Job
 GROUP operation-attributes-tag
 ATTR charset attributes-charset utf-8
 ATTR language attributes-natural-language en
 ATTR uri printer-uri $uri
 ATTR name requesting-user-name anna
 ATTR name job-name spoofed
 GROUP job-attributes-tag
 ATTR integer time-at-creation 5
 ATTR integer time-at-completed 7
 FILE @
}
"""


def test_a_client_cannot_choose_which_printing_it_is(site: Site, two_pages: Path) -> None:
    script = site.folder / "spoof.test"
    script.write_text(SPOOF.replace("@", str(two_pages)))
    run(["ipptool", "-t", f"{site.cupsd.uri}/printers/q", script])
    assert charged(site, "spoofed")[0].charged == 2 * PRICE
    told = site.journal()
    (printing,) = [record["printing"] for record in told if record["title"] == "spoofed"]
    assert printing["time_at_creation"] > 1_000_000_000
    assert printing["time_at_completed"] == 0


def test_a_person_s_restart_is_a_second_printing(site: Site, two_pages: Path) -> None:
    job_id = site.cupsd.lp("q", two_pages, user="anna", title="again")
    site.cupsd.wait_for_state(job_id)
    charged(site, "again")
    site.cupsd.again("q", job_id, "restart")
    wait_until(lambda: len(printed(site, "again")) == 2, 30, "it to come out again")
    jobs = charged(site, "again", 2)
    assert [job.charged for job in jobs] == [2 * PRICE] * 2


def test_a_cancel_in_the_middle_costs_what_the_printer_printed(site: Site, printer: IppPrinter) -> None:
    printer.behave(impression_s=0.2)
    long = write_pdf(site.folder / "long.pdf", [GREY] * 20)
    job_id = site.cupsd.lp("q", long, user="anna", title="canceled")
    wait_until(lambda: printed(site, "canceled"), 30, "the printer to begin")
    site.cupsd.cancel("q", job_id)
    (job,) = charged(site, "canceled")
    assert (job.state, job.marks) == ("canceled", ())
    assert [job.charged] == [
        impressions * PRICE for impressions in printed(site, "canceled")
    ]  # it does not stop at once


def test_a_cancel_before_the_first_byte_left_costs_nothing(site: Site, printer: IppPrinter, two_pages: Path) -> None:
    printer.process.signal(signal.SIGSTOP)  # it takes the connection and says nothing
    try:
        job_id = site.cupsd.lp("q", two_pages, user="anna", title="in time")
        wait_until(lambda: "onnect" in site.cupsd.job(job_id).message, 30, "the backend to wait for the printer")
        site.cupsd.cancel("q", job_id)
        (job,) = charged(site, "in time")
    finally:
        printer.process.signal(signal.SIGCONT)
    assert (job.state, job.charged, job.marks) == ("canceled", 0, ())
    assert printed(site, "in time") == []


def test_a_job_held_and_resumed_with_more_copies_costs_its_largest_run(
    site: Site, printer: IppPrinter, two_pages: Path
) -> None:
    printer.behave(impression_s=1.5)
    job_id = site.cupsd.lp("q", two_pages, user="anna", title="held")
    wait_until(lambda: printed(site, "held"), 30, "the printer to begin")
    site.cupsd.again("q", job_id, "hold")
    site.cupsd.wait_for_state(job_id, ("pending-held",))
    printer.behave()
    run(["lp", "-i", f"q-{job_id}", "-n", "5"], env=site.cupsd.env)
    site.cupsd.again("q", job_id, "resume")
    site.cupsd.wait_for_state(job_id)
    (job,) = charged(site, "held")
    assert (job.state, job.charged) == ("completed", 10 * PRICE)
    assert max(printed(site, "held")) == 10


def test_each_document_of_a_job_costs_where_the_queue_takes_one_at_a_time(
    site: Site, printer: IppPrinter, two_pages: Path, three_pages: Path
) -> None:
    ppd = (site.cupsd.server_root / "ppd" / "q.ppd").read_text()
    single = site.folder / "single.ppd"
    single.write_text(ppd.replace("*cupsVersion", "*cupsSingleFile: True\n*cupsVersion", 1))
    assert "cupsSingleFile" in single.read_text()
    run(["lpadmin", "-p", "single", "-E", "-v", printer.uri, "-P", single], env=site.cupsd.env)
    site.provider_command("track", "single")
    run(["lp", "-d", "single", "-U", "anna", "-t", "bundle", two_pages, three_pages, two_pages], env=site.cupsd.env)
    (job,) = charged(site, "bundle")
    assert (job.state, job.charged) == ("completed", 7 * PRICE)
    assert printed(site, "bundle") == [2, 3, 2]


@pytest.mark.parametrize("form", ["file://{path}", "file:{path}"])
def test_a_raw_queue_into_a_file_is_counted_too(site: Site, two_pages: Path, form: str) -> None:
    name = f"raw{form.count('/')}"
    paper = site.folder / f"{name}.out"
    site.cupsd.add_raw_queue(name, form.format(path=paper))
    site.provider_command("track", name)
    assert site.cupsd.device_uri(name).startswith("inkeeper:/file:")
    site.cupsd.lp(name, two_pages, user="anna", copies=2, title=name)
    (job,) = charged(site, name)
    assert job.charged == 4 * PRICE
    assert paper.read_bytes() == two_pages.read_bytes() * 2


def test_a_socket_queue_is_counted_too(site: Site, two_pages: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def take() -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(b"".join(iter(lambda: connection.recv(1 << 16), b"")))

    sink = threading.Thread(target=take, daemon=True)
    sink.start()
    site.cupsd.add_raw_queue("jet", f"socket://127.0.0.1:{listener.getsockname()[1]}")
    site.provider_command("track", "jet")
    site.cupsd.lp("jet", two_pages, user="anna", title="jet")
    (job,) = charged(site, "jet")
    sink.join(10)
    listener.close()
    assert (job.state, job.charged, received) == ("completed", 2 * PRICE, [two_pages.read_bytes()])


def test_what_no_reader_knows_is_charged_by_rule_and_says_so(site: Site) -> None:
    site.cupsd.add_raw_queue("rule", "file:///dev/null")
    site.provider_command("track", "rule")
    data = site.folder / "noise.prn"
    data.write_bytes(b"\x1b%-12345X@PJL ENTER LANGUAGE=LAVAFLOW\r\n" + b"x" * 120_000)
    site.cupsd.lp("rule", data, user="anna", title="noise", options=["raw"])
    (job,) = charged(site, "noise")
    assert (job.charged, job.marks) == (3 * PRICE, ("estimated",))


def test_a_backend_that_is_started_and_never_asks_costs_nothing(site: Site, two_pages: Path) -> None:
    """It was seen starting, and money was reserved for it; that it never came is as if it had printed nothing."""
    site.cupsd.add_raw_queue("seen", "file:///dev/null")
    site.provider_command("track", "seen")
    source = site.cupsd.server_bin / "inkeeper.py"
    written = source.read_text()
    assert "import time\n" in written

    def is_authorised() -> bool:
        return any(job.title == "never asked" and job.reserved for job in site.ledger().jobs)

    source.write_text(written.replace("import time\n", "import time\ntime.sleep(600)\n", 1))
    try:
        site.cupsd.lp("seen", two_pages, user="anna", title="never asked")
        wait_until(is_authorised, 60, "it to be authorised")
        os.kill(site.wrappers[0], signal.SIGKILL)
    finally:
        source.write_text(written)
    assert charged(site, "never asked")[0].charged == 0
    site.cupsd.lp("seen", two_pages, user="anna", title="asked")
    assert charged(site, "asked")[0].charged == 2 * PRICE
    told = site.journal()
    assert [record["attempt"] for record in told if record["title"] == "asked"] == [1]  # what was begun was used


def test_untrack_gives_the_queue_back(site: Site, printer: IppPrinter, two_pages: Path) -> None:
    assert site.provider_command("untrack", "q").strip() == f"q is no longer tracked: {printer.uri}"
    assert site.cupsd.device_uri("q") == printer.uri
    site.cupsd.lp("q", two_pages, user="anna", title="free")
    wait_until(lambda: printed(site, "free"), 30, "it to come out")
    charged(site, "free", 0)
    wait_until(lambda: "UNTRACKED" in site.provider_command("status"), 20, "the status to say so")
    site.provider_command("track", "q")
    site.cupsd.lp("q", two_pages, user="anna", title="counted again")
    charged(site, "counted again")


def test_a_queue_shows_what_is_left_in_its_printer(site: Site) -> None:
    def shown() -> dict[str, Any] | None:
        (queue,) = (queue for queue in site.api("GET", "queues")["queues"] if queue["name"] == "q")
        return queue if queue["supplies"] else None

    queue = wait_until(shown, 20, "the printer's supplies to be seen at the server")
    assert {"name": "Black Ink", "level": 75, "color": "#000000", "kind": "ink", "low": False} in queue["supplies"]
    assert queue["media_ready"] == ["na_letter_8.5x11in", "na_index-4x6_4x6in"]
