"""Jobs that are held in CUPS, on a real one: until a person lets them print, or until there is somebody to ask.

What is held is in nobody's way, survives whoever is killed, and is released, canceled or changed by those who may.
"""

import uuid
from pathlib import Path

import pytest

from backend.checker.model import LedgerJob
from backend.wire.errors import REFUSALS
from provider.cups_backend.inkeeper import HELD_ALONE
from provider.jobs.offline import HELD_WITHOUT_SERVER
from tests.support.cupsd import CupsJob
from tests.support.documents import GREY, write_pdf
from tests.support.processes import run, wait_until
from tests.support.site import PRICE, Site

pytestmark = pytest.mark.xdist_group("print-site")
PAGES = 2
DESK, WAITS = "desk", "waits"  # a queue whose jobs wait for a release, and one whose jobs wait for a server


@pytest.fixture(scope="module")
def site(print_site: Site) -> Site:
    for queue in (DESK, WAITS):
        print_site.cupsd.add_raw_queue(queue, f"file:{paper(print_site, queue)}")
        print_site.provider_command("track", queue)
    print_site.set_queue(DESK, hold_jobs=True)
    print_site.set_queue(WAITS, offline_policy="hold")
    return print_site


@pytest.fixture(scope="module")
def document(site: Site) -> Path:
    return write_pdf(site.folder / "held.pdf", [GREY] * PAGES)


@pytest.fixture(autouse=True)
def fresh_paper(site: Site) -> None:
    for queue in (DESK, WAITS):
        paper(site, queue).unlink(missing_ok=True)


def paper(site: Site, queue: str) -> Path:
    """What comes out of a queue, the newest document only."""
    return site.folder / f"{queue}.paper"


def job_of(site: Site, title: str) -> LedgerJob | None:
    return next((job for job in site.ledger().jobs if job.title == title), None)


def held(site: Site, document: Path, title: str) -> tuple[int, str]:
    """A job that waits for its release: its numbers with CUPS and at the server."""
    job_id = site.cupsd.lp(DESK, document, user="anna", title=title)
    shown = site.cupsd.wait_for_state(job_id, ("pending-held",))
    job = job_of(site, title)
    assert job is not None
    assert (job.state, job.reserved, job.charged) == ("held", 0, 0)
    assert shown.message
    return job_id, job.job_id


def act(site: Site, what: str, job_id: str, **more: str) -> None:
    assert not site.api("POST", f"jobs/{job_id}/{what}", {"command_id": str(uuid.uuid4()), **more}).get("code")


def ended(site: Site, cups_job_id: int, title: str) -> tuple[CupsJob, LedgerJob]:
    shown = site.cupsd.wait_for_state(cups_job_id)
    site.wait_until_quiet(100)
    job = job_of(site, title)
    assert job is not None
    assert job.reserved == 0
    return shown, job


def test_a_held_job_is_in_nobody_s_way_and_prints_when_it_is_released(site: Site, document: Path) -> None:
    first, first_id = held(site, document, "first")
    second, second_id = held(site, document, "second")
    act(site, "release", second_id)
    assert site.cupsd.wait_for_state(second).state == "completed"
    assert site.cupsd.job(first).state == "pending-held"
    assert paper(site, DESK).read_bytes() == document.read_bytes()
    act(site, "release", first_id)
    shown, job = ended(site, first, "first")
    assert (shown.state, job.state, job.charged) == ("completed", "completed", PAGES * PRICE)


def test_a_held_job_is_canceled_from_either_side(site: Site, document: Path) -> None:
    site.wait_until_told(DESK, hold_jobs=True)  # by which its jobs wait too while there is nobody to ask
    by_desk, by_desk_id = held(site, document, "desk cancels")
    by_user, _ = held(site, document, "user cancels")
    act(site, "cancel", by_desk_id, reason="40 pages of coffee")
    site.cupsd.cancel(DESK, by_user)
    for cups_job_id, title in ((by_desk, "desk cancels"), (by_user, "user cancels")):
        shown, job = ended(site, cups_job_id, title)
        assert (shown.state, job.state, job.charged) == ("canceled", "canceled", 0)
    assert site.cupsd.job(by_desk).message == f"{REFUSALS['canceled-by-operator']}: 40 pages of coffee"
    assert not paper(site, DESK).exists()


def test_a_job_that_became_dearer_after_its_release_is_held_again(site: Site, document: Path) -> None:
    cups_job_id, job_id = held(site, document, "dearer")
    run(["cupsdisable", DESK], env=site.cupsd.env)
    act(site, "release", job_id)
    site.cupsd.wait_for_state(cups_job_id, ("pending",))
    run(["lp", "-i", f"{DESK}-{cups_job_id}", "-n", "50"], env=site.cupsd.env)
    run(["cupsenable", DESK], env=site.cupsd.env)
    site.cupsd.wait_for_state(cups_job_id, ("pending-held",))
    again = job_of(site, "dearer")
    assert again is not None
    assert (again.state, again.charged, paper(site, DESK).exists()) == ("held", 0, False)
    act(site, "release", job_id)
    assert ended(site, cups_job_id, "dearer")[1].charged == 50 * PAGES * PRICE


def test_whoever_is_killed_while_a_job_is_held_it_is_released_all_the_same(site: Site, document: Path) -> None:
    cups_job_id, job_id = held(site, document, "survives")
    for process in (site.provider, site.cupsd.process, site.server):
        process.kill9()
    site.start_server()
    site.cupsd.start()
    assert site.cupsd.job(cups_job_id).state == "pending-held"
    site.start_provider()
    act(site, "release", job_id)
    assert ended(site, cups_job_id, "survives")[1].charged == PAGES * PRICE


def test_without_a_server_jobs_are_held_by_policy_and_released_oldest_first(site: Site, document: Path) -> None:
    site.wait_until_told(WAITS, offline_policy="hold")
    site.server.kill9()
    jobs = {site.cupsd.lp(WAITS, document, user="anna", title=title): title for title in ("waits 1", "waits 2")}
    for cups_job_id in jobs:
        assert site.cupsd.wait_for_state(cups_job_id, ("pending-held",)).message == HELD_WITHOUT_SERVER
    assert not paper(site, WAITS).exists()
    site.start_server()
    at = [site.cupsd.wait_for_state(job_id).attributes["time-at-processing"] for job_id in jobs]
    assert at == sorted(at)
    for cups_job_id, title in jobs.items():
        assert ended(site, cups_job_id, title)[1].charged == PAGES * PRICE


def test_without_a_daemon_a_job_is_held_by_policy_and_released_when_it_is_back(site: Site, document: Path) -> None:
    site.wait_until_told(WAITS, offline_policy="hold")

    def is_written() -> bool:
        return f"{WAITS} hold\n" in (site.state_dir / "policies").read_text()

    wait_until(is_written, 20, "the policy to be written for the backend")
    site.provider.kill9()
    cups_job_id = site.cupsd.lp(WAITS, document, user="anna", title="held alone")
    assert site.cupsd.wait_for_state(cups_job_id, ("pending-held",)).message == HELD_ALONE
    site.start_provider()
    shown, job = ended(site, cups_job_id, "held alone")
    assert (shown.state, job.charged, job.marks) == ("completed", PAGES * PRICE, ())
    assert not list((site.state_dir / "runs").glob("held-*"))


def test_a_job_canceled_at_the_desk_before_it_asks_is_told_so(site: Site, document: Path) -> None:
    """Released first, and stopped on its way: its backend is refused with the reason."""
    cups_job_id, job_id = held(site, document, "thought better")
    run(["cupsdisable", DESK], env=site.cupsd.env)
    act(site, "release", job_id)
    site.cupsd.wait_for_state(cups_job_id, ("pending",))
    act(site, "cancel", job_id)
    run(["cupsenable", DESK], env=site.cupsd.env)
    shown, job = ended(site, cups_job_id, "thought better")
    assert (shown.state, job.state, job.charged, paper(site, DESK).exists()) == ("canceled", "canceled", 0, False)


@pytest.mark.long
def test_a_job_that_nobody_releases_is_canceled_in_the_end(site: Site, document: Path) -> None:
    site.server_command("config", "set", "jobs.held-timeout-s", "2")
    try:
        cups_job_id, _ = held(site, document, "forgotten")
        shown, job = ended(site, cups_job_id, "forgotten")
    finally:
        site.server_command("config", "set", "jobs.held-timeout-s", "86400")
    assert (shown.state, job.state, job.charged, paper(site, DESK).exists()) == ("canceled", "canceled", 0, False)


@pytest.mark.long
def test_an_allowance_is_what_was_left_and_no_more(site: Site, document: Path) -> None:
    """`poor` has money for three impressions; without a server a job of two prints, the next one is held."""
    name = "spare"
    site.cupsd.add_raw_queue(name, f"file:{site.folder / 'spare.paper'}")
    site.provider_command("track", name)
    site.set_queue(name, offline_policy="allowance")
    site.wait_until_told(name, offline_policy="allowance")
    one = write_pdf(site.folder / "one.pdf", [GREY])
    site.rpc("setUserAccountBalance", "poor", 4 * PRICE / 10_000, "for the allowance")
    first = site.cupsd.lp(name, one, user="poor", title="tells what is left")
    assert ended(site, first, "tells what is left")[1].charged == PRICE
    site.server.kill9()
    printed = site.cupsd.lp(name, document, user="poor", title="covered")
    assert site.cupsd.wait_for_state(printed).state == "completed"
    waits = site.cupsd.lp(name, document, user="poor", title="not covered")
    shown = site.cupsd.wait_for_state(waits, ("pending-held",))
    assert "This job costs 0.10 EUR, 0.05 EUR can be spent until one is back" in shown.message
    site.start_server()
    refused = site.cupsd.wait_for_state(waits)
    assert (refused.state, "you have 0.05" in refused.message) == ("canceled", True)
    covered = ended(site, printed, "covered")[1]
    assert (covered.charged, covered.marks) == (PAGES * PRICE, ("offline",))
