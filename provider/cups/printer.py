"""What a printer knows of a run: by the job id it gave, else by name, user and time.

Used where the run's own files do not tell what it put on paper. A printer that was restarted counts its jobs from 1
again, so a job id alone is not believed: name, user and age have to fit too. What cannot be told apart is not told.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from backend.client.names import Names
from provider.cups import ipp
from provider.cups.client import IppClient, printer_client
from provider.cups.ipp import Group
from provider.errors import CupsError, IppRefusal
from provider.jobs.model import PrinterWord, RunRecord

AGE_SLACK_S: Final = 3
DOUBT_S: Final = 2 * 3600  # by how much the wall clock may have been set back since the machine's last life
MOST_JOBS: Final = 1000
TITLE_LENGTH: Final = 100  # printers cut names where they like
STATES: Final = {
    3: "pending",
    4: "pending-held",
    5: "processing",
    6: "processing-stopped",
    7: "canceled",
    8: "aborted",
    9: "completed",
}
_ATTRIBUTES: Final = (
    "job-id",
    "job-name",
    "job-originating-user-name",
    "job-state",
    "job-state-reasons",
    "job-impressions-completed",
    "time-at-creation",
    "job-printer-up-time",
)
UNREACHED: Final = PrinterWord(reached=False)
UNKNOWN: Final = PrinterWord(known=False)


@dataclass(frozen=True)
class Wanted:
    """The job to look for: under this title and user, created no longer ago than `age_s`; one that is older by at most
    `doubt_s` may be it. `others` are known not to be it.
    """

    printer_job_id: int
    title: str
    user_name: str
    age_s: float
    others: frozenset[int] = frozenset()
    doubt_s: float = 0.0


async def ask_about(
    device_uri: str, run: RunRecord, title: str, user_name: str, others: frozenset[int], names: Names
) -> PrinterWord:
    """The printer's word on a run. Never raises: a printer that cannot be asked is `UNREACHED`."""
    doubt_s = 0.0 if run.boot_id and run.boot_id == _boot_id() else DOUBT_S
    wanted = Wanted(run.evidence.printer_job_id, title, user_name, age_of(run), others, doubt_s)
    try:
        return await _ask(printer_client(device_uri, names), wanted)
    except CupsError:
        return UNREACHED


def age_of(run: RunRecord) -> float:
    """How long ago the run began, in seconds: by a clock that nobody sets, where the machine has run ever since."""
    if run.boot_id and run.boot_id == _boot_id():
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - run.boot_ms / 1000)
    return max(0.0, time.time() - run.started_at / 1000)


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


async def _ask(client: IppClient, wanted: Wanted) -> PrinterWord:
    up_time = None
    if wanted.printer_job_id:
        try:
            attributes = {
                "printer-uri": ipp.uri(client.uri),
                "job-id": ipp.integer(wanted.printer_job_id),
                "requesting-user-name": ipp.name(wanted.user_name),
                "requested-attributes": ipp.keywords(_ATTRIBUTES),
            }
            groups = (await client.ask(ipp.GET_JOB_ATTRIBUTES, attributes)).of(ipp.JOB_GROUP)
        except IppRefusal as refusal:
            if refusal.status != ipp.NOT_FOUND:
                raise
            groups = []
        up_time = await _up_time(client, groups)
        word = choose(groups, wanted, up_time)
        if word.known:
            return word
    groups = await _jobs(client, wanted)
    return choose(groups, wanted, up_time if up_time is not None else await _up_time(client, groups))


async def _jobs(client: IppClient, wanted: Wanted) -> list[Group]:
    """All jobs that the printer remembers."""
    found: list[Group] = []
    for which in ("all", "completed", "not-completed"):
        attributes = {
            "printer-uri": ipp.uri(client.uri),
            "requesting-user-name": ipp.name(wanted.user_name),
            "limit": ipp.integer(MOST_JOBS),
            "which-jobs": ipp.keywords([which]),
            "requested-attributes": ipp.keywords(_ATTRIBUTES),
        }
        try:
            found += (await client.ask(ipp.GET_JOBS, attributes)).of(ipp.JOB_GROUP)
        except IppRefusal:
            if which != "all":
                raise
            continue  # an older printer has no "all"
        if which == "all":
            break
    return found


async def _up_time(client: IppClient, groups: Iterable[Group]) -> int | None:
    """The printer's clock, in the seconds in which it tells when a job was created."""
    told = next((up for group in groups if (up := group.number("job-printer-up-time")) is not None), None)
    if told is not None:
        return told
    attributes = {"printer-uri": ipp.uri(client.uri), "requested-attributes": ipp.keywords(["printer-up-time"])}
    groups = (await client.ask(ipp.GET_PRINTER_ATTRIBUTES, attributes)).of(ipp.PRINTER_GROUP)
    return next((up for group in groups if (up := group.number("printer-up-time")) is not None), None)


def choose(groups: Iterable[Group], wanted: Wanted, up_time: int | None) -> PrinterWord:
    """The word on the one job that fits; `UNKNOWN` when none does or may, `UNREACHED` when that cannot be told, or
    when several do and differ. Pure."""
    listed = list(groups)
    words = {_word(group) for group in listed if _fits(group, wanted, up_time)}
    if not words:
        older = replace(wanted, age_s=wanted.age_s + wanted.doubt_s)
        found = [group for group in listed if _fits(group, older, up_time)]
        words = {_word(group) for group in found if group.number("job-id") == wanted.printer_job_id}
        if not words:
            return UNREACHED if found else UNKNOWN
    return words.pop() if len(words) == 1 else UNREACHED


def _fits(group: Group, wanted: Wanted, up_time: int | None) -> bool:
    created = group.number("time-at-creation")
    age_s = up_time - created if up_time is not None and created is not None else 0
    name, user = group.text("job-name"), group.text("job-originating-user-name")
    return (
        group.number("job-id") not in wanted.others
        and (not name or name[:TITLE_LENGTH] == wanted.title[:TITLE_LENGTH] or name.endswith(f" - {wanted.title}"))
        and (not user or user == wanted.user_name)
        and age_s <= wanted.age_s + AGE_SLACK_S
    )


def _word(group: Group) -> PrinterWord:
    return PrinterWord(
        state=STATES.get(group.number("job-state") or 0, ""),
        data_insufficient="job-data-insufficient" in group.texts("job-state-reasons"),
        impressions_completed=group.number("job-impressions-completed"),
    )
