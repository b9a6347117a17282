"""A backup while people print, a lost database, a restore: what was printed since is charged once, from the journal.

Real cupsd, printer, provider and server. The backup is made while one document is coming out of the printer; more are
printed after it, one of them while no server runs.
"""

import json
from pathlib import Path

import pytest

from backend.checker.check import check
from backend.checker.model import Sent
from tests.support.documents import GREY, write_pdf
from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres
from tests.support.processes import Failed, wait_until
from tests.support.site import PRICE, Site

PAGES = 2


def play(site: Site, backup: Path) -> None:
    document = write_pdf(site.folder / "document.pdf", [GREY] * PAGES)

    def lp(title: str) -> int:
        return site.cupsd.lp("q", document, user="anna", title=title)

    def finish(job_id: int) -> None:
        site.cupsd.wait_for_state(job_id)
        site.wait_until_quiet()

    site.add_user("anna", restricted=True, balance=5 * PAGES * PRICE / 10_000)
    finish(lp("before"))
    site.printers["q"].behave(paper_for=PAGES - 1)  # it stops in the middle, for as long as the backup takes
    under_way = lp("under way")
    wait_until(lambda: any(paper.key == "under way" for paper in site.printed()), 40, "it to come out")
    assert "rows" in site.server_command("backup", str(backup))
    assert site.cupsd.job(under_way).state == "processing"
    site.printers["q"].behave()
    finish(under_way)
    finish(lp("after"))
    site.server.kill9()
    alone = lp("without a server")
    site.cupsd.wait_for_state(alone)
    wait_until(lambda: is_restored(site, backup), 60, "the server to be known to be dead")
    charged = {job.title: job.charged for job in site.ledger().jobs}
    assert charged == {"before": PAGES * PRICE, "under way": 0}  # as it was at the backup
    site.start_server()
    wait_until(lambda: all(told_anew(site)), 60, "the print server to tell its journal again")
    finish(lp("at last"))
    titles = ("before", "under way", "after", "without a server", "at last")
    sent = [Sent(key=title, user="anna", queue="q") for title in titles]
    ledger = site.ledger()
    findings = check(site.printed(), sent, ledger, site.prices)
    assert findings.ok, findings.text()
    assert findings.count("ok") == len(titles)
    (anna,) = [account for account in ledger.accounts if account.name == "anna"]
    assert (anna.credits_posted, anna.debits_posted) == (5 * PAGES * PRICE, 5 * PAGES * PRICE)


def is_restored(site: Site, backup: Path) -> bool:
    """Refused for ten seconds after a server on PostgreSQL was killed: it might be alive."""
    try:
        return "generation is now 2" in site.server_command("restore", "--replace", str(backup))
    except Failed as error:
        if "stop all servers first" not in str(error):
            raise
        return False


def told_anew(site: Site) -> tuple[bool, bool]:
    known = json.loads((site.state_dir / "cluster.json").read_text())
    return known["generation"] == 2, not known.get("resending", False)


@pytest.mark.xdist_group("print-site-kills")
def test_what_was_printed_since_the_backup_is_charged_once() -> None:
    with scratch_folder("ik-site-") as folder, Site(folder) as site:
        play(site, folder / "backup.zip")


@pytest.mark.long
def test_what_was_printed_since_the_backup_is_charged_once_on_postgresql(
    scratch: Path, postgres_template: Path
) -> None:
    with Postgres(scratch / "pg", template=postgres_template) as database:
        name = database.new_database()
        with scratch_folder("ik-site-") as folder, Site(folder, database_url=database.url(name)) as site:
            play(site, folder / "backup.zip")
