"""One document printed as a demo user, and what became of it in the ledger; the witness is the printer itself."""

from pathlib import Path

from backend.wire.base import Ledger
from backend.wire.jobs import JobView
from backend.wire.pricing import money_text
from scripts.demo.calls import Api, only_user
from scripts.demo.cast import QUEUE, Cast
from scripts.demo.voice import Voice
from tests.support.printer import Printout
from tests.support.processes import Failed, wait_until

USER = "alice"
CHARGE_TIMEOUT_S = 60.0
SETTLED = ("completed", "canceled", "aborted", "denied")


def print_and_charge(cast: Cast, api: Api, document: Path, voice: Voice) -> None:
    """Raises Failed unless the document came out and was charged for."""
    before = api.user(USER)
    known = {job.job_id for job in api.jobs_of(USER)}
    printed_before = len(cast.printer.printouts())
    with voice.doing(f"Printing {document.name} as {USER}: lp -d {QUEUE} -U {USER} {document.name}"):
        job_id = cast.cupsd.lp(QUEUE, document, user=USER)
        job = wait_until(lambda: _settled(api, known), CHARGE_TIMEOUT_S, f"job {QUEUE}-{job_id} to be charged", 0.2)
    if job.state != "completed":
        raise Failed(f"the job ended as {job.state} instead of printed and charged ({job.code or 'no reason given'})")
    printout = cast.printer.wait_for_printouts(printed_before + 1)[-1]
    after = api.user(USER)
    _tell(voice, document, job, printout, after.ledger)
    balances = [money(only_user(found, USER).balance, found.ledger) for found in (before, after)]
    voice.line("balance", f"{balances[0]} before, {balances[1]} after", "green")
    if job.charged <= 0:
        raise Failed(f"the document was printed, but nothing was charged for it (job {job.job_id})")
    if printout.impressions != job.impressions:
        raise Failed(f"charged for {job.impressions} pages, but the printer printed {printout.impressions}")


def money(amount: int, ledger: Ledger) -> str:
    return money_text(amount, ledger.decimals, ledger.currency)


def counted(job: JobView) -> str:
    """ "4 pages on 2 sheets, 1 in colour"."""
    text = f"{_number(job.impressions, 'page')} on {_number(job.sheets, 'sheet')}"
    return f"{text}, {job.color_impressions} in colour" if job.color_impressions else text


def _settled(api: Api, known: set[str]) -> JobView | None:
    return next((job for job in api.jobs_of(USER) if job.job_id not in known and job.state in SETTLED), None)


def _tell(voice: Voice, document: Path, job: JobView, printout: Printout, ledger: Ledger) -> None:
    voice.title(f"{document.name}, printed by {USER} and charged")
    voice.line("counted", f"{counted(job)}; the printer itself counted {printout.impressions}")
    each = money(job.charged // job.impressions, ledger) if job.impressions else "nothing"
    voice.line("cost", f"{money(job.charged, ledger)} ({each} a page)")


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
