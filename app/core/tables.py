"""Tables for other programs (CSV, RFC 4180): exact amounts, times in UTC, and text that no spreadsheet runs. Pure.

Invariant: no cell that somebody else wrote (a title, a user's name) begins as a formula does (CWE-1236).
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from app.core.viewdata import code_text, job_word, mark_words
from backend.wire.base import Ledger
from backend.wire.jobs import JobView

BOM: Final = "\ufeff"
"""Some spreadsheets take a file without it for another encoding than UTF-8."""

JOB_COLUMNS: Final = (
    "time", "user", "title", "pages", "color_pages", "printed", "sheets", "copies", "sides", "media", "cost", "charged",
    "refunded", "currency", "state", "why", "marks", "queue", "print_server", "host", "job_id",
)  # fmt: skip


def harmless(text: str) -> str:
    """Text as a cell: what a spreadsheet would run as a formula is quoted, also behind blanks."""
    return f"'{text}" if text.lstrip(" \n")[:1] in ("=", "+", "-", "@", "\t", "\r", "|") else text


def exact(amount: int, decimals: int) -> str:
    """Minor units as a decimal number with all its places: 12345 at scale 4 is "1.2345"."""
    return f"{Decimal(amount).scaleb(-decimals):f}"


def utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z" if at_ms else ""


def lines(rows: Iterable[Sequence[str | int]]) -> str:
    """Rows as CSV. The cells are taken as they are: whoever makes them knows what somebody else wrote."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def job_row(job: JobView, ledger: Ledger) -> tuple[str | int, ...]:
    """A job in the order of JOB_COLUMNS."""
    return (
        utc(job.created_at),
        harmless(job.user_name),
        harmless(job.title),
        job.impressions,
        job.color_impressions,
        job.printed,
        job.sheets,
        job.copies,
        harmless(job.sides),
        harmless(job.media),
        *(exact(amount, ledger.decimals) for amount in (job.cost, job.charged, job.refunded)),
        harmless(ledger.currency),
        job_word(job).lower(),
        harmless(code_text(job)) if job.code else "",
        ", ".join(mark_words(job)),
        harmless(job.queue),
        harmless(job.provider),
        harmless(job.host),
        job.job_id,
    )
