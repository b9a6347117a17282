"""The print log: which jobs are asked for, how a row of them reads, and the export of all that fit. Pure but for the
export, which runs on the network thread.

Invariant: the file of an export appears under its name only when it is complete; what was given up leaves nothing.
"""

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Literal

from app.core.facts import media_text
from app.core.queries import TIMEOUT_S, Read
from app.core.tables import BOM, JOB_COLUMNS, job_row, lines
from app.core.viewdata import JOB_WORDS, count_text
from backend.client.client import ApiClient
from backend.wire.jobs import JobList, JobState, JobView

ROWS: Final = 100
EXPORT_ROWS: Final = 500
"""As many as a server tells at once."""

EXPORT_TIMEOUT_S: Final = 30.0

StateChoice = JobState | Literal["", "look"]
STATE_CHOICES: Final[dict[StateChoice, str]] = {
    "": "All states",
    "held": "Held",
    "look": "To look at",
    **{state: JOB_WORDS[state][0] for state in ("completed", "printing", "denied", "canceled", "aborted", "in_doubt")},
}

Period = Literal["all", "hour", "today", "week", "month", "between"]
PERIODS: Final[dict[Period, str]] = {
    "all": "Any time",
    "hour": "Last hour",
    "today": "Today",
    "week": "Last 7 days",
    "month": "Last 30 days",
    "between": "Days",
}
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which jobs; `since_ms` and `until_ms` bound when they came, 0 for no bound."""

    user: str = ""
    queue: str = ""
    provider: str = ""
    state: StateChoice = ""
    since_ms: int = 0
    until_ms: int = 0

    @property
    def all(self) -> bool:
        return self == LogFilter()


def asked(wanted: LogFilter, before: str = "", limit: int = ROWS) -> dict[str, str | int]:
    """The question to a server: what is not said is not asked."""
    query: dict[str, str | int] = {
        "user": wanted.user.strip(),
        "queue": wanted.queue.strip(),
        "provider": wanted.provider,
        "state": "" if wanted.state == "look" else wanted.state,
        "attention": 1 if wanted.state == "look" else 0,
        "since": wanted.since_ms,
        "until": wanted.until_ms,
        "before": before,
    }
    return {"limit": limit, **{name: value for name, value in query.items() if value}}


def since_of(period: Period, now: datetime) -> int:
    """When a period began, in milliseconds; `now` carries the zone in which a day begins."""
    now_ms = int(now.timestamp() * 1000)
    match period:
        case "hour":
            return now_ms - HOUR_MS
        case "today":
            return int(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
        case "week":
            return now_ms - 7 * DAY_MS
        case "month":
            return now_ms - 30 * DAY_MS
        case _:
            return 0


def color_text(job: JobView) -> str:
    if not job.color_impressions:
        return "grey"
    return "colour" if job.color_impressions >= job.impressions else f"{job.color_impressions:,} colour"


def sides_text(job: JobView) -> str:
    """IPP's word for people (RFC 8011, 5.2.8)."""
    if not job.sides:
        return ""
    return "one-sided" if job.sides == "one-sided" else "two-sided"


def paper_text(job: JobView) -> str:
    """The medium by its name alone: "A4"."""
    return media_text(job.media).partition(",")[0] if job.media else ""


def pages_text(job: JobView) -> str:
    """How many came out, of how many where that differs."""
    if job.printed and job.printed != job.impressions:
        return f"{job.printed:,} of {job.impressions:,}"
    return f"{job.impressions:,}"


async def read_log(client: ApiClient, wanted: LogFilter, before: str = "") -> Read[JobList]:
    """The newest jobs that fit, or those that follow the job `before`."""
    answer = await client.call("GET", "jobs", None, JobList, timeout_s=TIMEOUT_S, query=asked(wanted, before))
    return Read(answer, client.current, time.monotonic())


# ---------------------------------------------------------------- export


@dataclass
class Progress:
    """How far an export is; written by the network thread, looked at by the window's."""

    rows: int = 0

    @property
    def text(self) -> str:
        return f"Saving … {count_text(self.rows, 'job', 'jobs')} so far"


async def export_log(client: ApiClient, wanted: LogFilter, path: Path, progress: Progress, bom: bool = False) -> int:
    """Write all jobs that fit, newest first, page by page; how many there were.

    Raises OSError, ServerProblem, NoServer. Given up (cancelled) or failed it leaves nothing, and a file that was there
    stays as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        file = await asyncio.to_thread(part.open, "w", encoding="utf-8", newline="")
        try:
            await asyncio.to_thread(file.write, (BOM if bom else "") + lines([JOB_COLUMNS]))
            await _pages(client, wanted, file, progress)
            await asyncio.to_thread(_make_durable, file)
        finally:
            file.close()
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # what matters is the failure itself
            part.unlink(missing_ok=True)
        raise
    return progress.rows


def _make_durable(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _pages(client: ApiClient, wanted: LogFilter, file: IO[str], progress: Progress) -> None:
    """An empty page is the end: where a server looks for rare jobs it may tell fewer than it was asked for."""
    before = ""
    while True:
        query = asked(wanted, before, EXPORT_ROWS)
        page = await client.call("GET", "jobs", None, JobList, timeout_s=EXPORT_TIMEOUT_S, query=query, patient=True)
        if not page.jobs:
            return
        await asyncio.to_thread(file.write, lines(job_row(job, page.ledger) for job in page.jobs))
        progress.rows += len(page.jobs)
        before = page.jobs[-1].job_id
