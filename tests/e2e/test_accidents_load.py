"""Many jobs at once, servers gone for a long time, clocks that jump: nothing is lost, nothing doubled, on a real cupsd.

The real backend is a witness that keeps each document it is given, under the job's number.
"""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.clocks import JumpingClock
from tests.support.documents import GREY, write_pdf
from tests.support.processes import wait_until
from tests.support.site import PRICE, Site

pytestmark = pytest.mark.xdist_group("print-site")
QUEUES = tuple(f"load-{number}" for number in range(20))
WITNESS = """\
#!/bin/sh
[ $# -gt 0 ] || exit 0
cat ${6:+"$6"} > "OUT/new.$$" && mv "OUT/new.$$" "OUT/$1.$$"
"""


@pytest.fixture(scope="module")
def site(print_site: Site) -> Site:
    out = papers(print_site)
    out.mkdir()
    out.chmod(0o777)
    script = print_site.folder / "witness"
    script.write_text(WITNESS.replace("OUT", str(out)))
    print_site.cupsd.install_backend(script, "witness")
    for queue in QUEUES:
        print_site.cupsd.add_raw_queue(queue, f"inkeeper:/witness://{queue}")
    known = {f"site\\{queue}" for queue in QUEUES}

    def are_known() -> bool:
        listed = print_site.rpc("listPrinters", 0, 1000)
        assert isinstance(listed, list)
        return known <= set(listed)

    wait_until(are_known, 20, "the server to know the queues")
    return print_site


@pytest.fixture(scope="module")
def document(site: Site) -> Path:
    return write_pdf(site.folder / "load.pdf", [GREY])


def papers(site: Site) -> Path:
    return site.folder / "witnessed"


def witnessed(site: Site) -> Counter[int]:
    """How often each job came out."""
    names = (path.name for path in papers(site).iterdir())
    return Counter(int(name.split(".")[0]) for name in names if not name.startswith("new."))


def charges(site: Site, prefix: str) -> dict[str, int]:
    """What each job was charged."""
    found = [job for job in site.ledger().jobs if job.title.startswith(prefix)]
    assert len({job.title for job in found}) == len(found)
    assert not any(job.reserved for job in found)
    return {job.title: job.charged for job in found}


@pytest.mark.parametrize("rounds", [2, pytest.param(15, marks=pytest.mark.long)])
def test_a_day_without_servers_on_twenty_queues_is_charged_once_when_one_is_back(
    site: Site, document: Path, rounds: int
) -> None:
    """The daemon is killed in the middle as well, and away for a round."""
    prefix = f"day {rounds}"
    site.server.kill9()
    jobs: dict[int, str] = {}
    for turn in range(rounds):
        if turn == rounds // 2:
            site.provider.kill9()
        for queue in QUEUES:
            title = f"{prefix} {turn} {queue}"
            jobs[site.cupsd.lp(queue, document, user="anna", title=title)] = title
        if turn == rounds // 2:
            site.start_provider()
    wait_until(site.is_printed, 100, "all of it to be printed")
    site.start_server()
    site.wait_until_quiet(100)
    assert charges(site, prefix) == dict.fromkeys(jobs.values(), PRICE)
    assert {job_id: count for job_id, count in witnessed(site).items() if job_id in jobs} == dict.fromkeys(jobs, 1)


@pytest.mark.long
def test_two_jobs_a_second_on_each_of_twenty_queues_for_a_while(site: Site, document: Path) -> None:
    """More than this print server can do: what comes faster than it prints waits in CUPS."""
    jobs: dict[int, str] = {}
    begun_s = time.monotonic()
    for number in range(20):
        for queue in QUEUES:
            title = f"rate {number} {queue}"
            jobs[site.cupsd.lp(queue, document, user="anna", title=title)] = title
        time.sleep(max(0.0, begun_s + (number + 1) / 2 - time.monotonic()))
    site.wait_until_quiet(100)
    assert charges(site, "rate") == dict.fromkeys(jobs.values(), PRICE)
    assert {job_id: count for job_id, count in witnessed(site).items() if job_id in jobs} == dict.fromkeys(jobs, 1)


def has_begun(site: Site, title: str) -> bool:
    return any(paper.key == title for paper in site.printed())


@pytest.fixture
def clock(site: Site) -> Iterator[JumpingClock]:
    """The daemon's own wall clock."""
    clock, env = JumpingClock(site.folder / "offset"), site.provider.env
    assert env is not None
    site.provider.stop()
    site.provider.env = {**env, **clock.env}
    site.start_provider()
    yield clock
    site.provider.stop()
    site.provider.env = env
    site.start_provider()


@pytest.mark.long
def test_a_clock_that_jumps_by_hours_changes_no_charge(site: Site, document: Path, clock: JumpingClock) -> None:
    site.printers["q"].behave(impression_s=1.5)
    jobs: list[str] = []
    for offset_s in (3600, -3600, 0):
        title = f"clock {offset_s}"
        jobs.append(title)
        cups_job_id = site.cupsd.lp("q", document, user="anna", title=title)
        wait_until(partial(has_begun, site, title), 40, "the printer to begin")
        clock.set(offset_s)
        assert site.cupsd.wait_for_state(cups_job_id).state == "completed"
    site.printers["q"].behave()
    site.wait_until_quiet(100)
    assert charges(site, "clock") == dict.fromkeys(jobs, PRICE)
    assert [paper.key for paper in site.printed() if paper.key.startswith("clock")] == jobs
