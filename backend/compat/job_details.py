"""What `processJob` is told of a job: `user=bob,server=print-1,printer="…"`. Pure.

The parts are parted by commas; one that holds a comma is quoted as a whole (`"printer=Library, rear"`), a quote within
it is doubled. What is not known here is refused: a price of a misspelt `total-page=` would be wrong without a word.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from backend.compat.faults import Code, Fault
from backend.compat.xmlrpc import is_number
from backend.people.names import map_name
from backend.wire.jobs import JobFacts, Printing, Report
from backend.wire.pricing import CostRule, PageCost, Printed, SimpleCost, StandardCost, minor_units

_REQUIRED: Final = ("user", "server", "printer")
_IGNORED: Final = ("job-type", "invoice", "comment")
_OPTIONAL: Final = (
    "time", "cost", "total-pages", "total-color-pages", "copies", "document-name", "duplex", "grayscale",
    "paper-size-name", "paper-width-mm", "paper-height-mm", "document-size-kb", "client-machine", "client-ip",
    "shared-account", "job-id", "uuid",
)  # fmt: skip
MAX_PAGES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class JobDetails:
    """A job as somebody else printed it. `key` is the client's own id of it, "" for none."""

    user: str
    server: str
    printer: str
    facts: JobFacts
    title: str
    host: str
    cost: int | None
    printed_at_s: int
    key: str

    def report(self, command_id: str, job_id: str) -> Report:
        """What a print server would report of it."""
        printed = Printed(
            impressions=self.facts.impressions,
            sheets=self.facts.sheets,
            color_impressions=self.facts.color_impressions,
            media=self.facts.media,
        )
        rule: CostRule | None = None
        if self.cost is not None:
            rule, printed = _priced(self.cost, printed)
        return Report(
            command_id=command_id,
            job_id=job_id,
            attempt=1,
            printing=Printing(spool_id="processJob", cups_job_id=0, time_at_creation=self.printed_at_s),
            queue=self.printer,
            user_name=self.user,
            title=self.title,
            host=self.host,
            facts=self.facts,
            revision=1,
            outcome="completed",
            printed=printed,
            offline_rule=rule,
        )


def read_job(text: str, decimals: int, now_s: int) -> JobDetails:
    """The job of a `processJob` string. Raises Fault that says which part is wrong."""
    parts = _parts(text)
    user, server, printer = (parts.get(key, "") for key in _REQUIRED)
    if not map_name(user):
        raise Fault(Code.USER_NAME_BLANK, "The user name is blank")
    if not server:
        raise Fault(Code.SERVER_NAME_BLANK, "The server name is blank")
    if not printer:
        raise Fault(Code.PRINTER_NAME_BLANK, "The printer name is blank")
    if parts.get("shared-account"):
        raise Fault(Code.GENERAL, "There are no shared accounts here: leave shared-account out")
    return JobDetails(
        user=map_name(user),
        server=server,
        printer=printer,
        facts=_facts(parts),
        title=parts.get("document-name", "")[:1024],
        host=(parts.get("client-machine") or parts.get("client-ip", ""))[:1024],
        cost=_cost(parts, decimals),
        printed_at_s=_time(parts, now_s),
        key=parts.get("job-id") or parts.get("uuid", ""),
    )


def _parts(text: str) -> Mapping[str, str]:
    try:
        ((*cells,),) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise Fault(Code.GENERAL, f"The job details cannot be read ({error})") from error
    parts: dict[str, str] = {}
    for cell in cells:
        key, equals, value = cell.partition("=")
        name = key.strip().lower()
        if not equals or name in parts:
            raise Fault(Code.GENERAL, f'The job details must be key=value, each key once, not "{cell[:80]}"')
        if name not in _REQUIRED + _OPTIONAL + _IGNORED:
            raise Fault(Code.GENERAL, f'The job detail "{name[:80]}" is not known')
        parts[name] = value.strip()
    return parts


def _facts(parts: Mapping[str, str]) -> JobFacts:
    pages, copies = _count(parts, "total-pages", 1), max(1, _count(parts, "copies", 1))
    duplex, gray = _flag(parts, "duplex"), _flag(parts, "grayscale")
    if "total-color-pages" in parts:
        color = min(pages, _count(parts, "total-color-pages", 0))
    else:
        color = pages if "grayscale" in parts and not gray else 0
    return JobFacts(
        impressions=pages,
        sheets=_sheets(pages, copies) if duplex else pages,
        color_impressions=0 if gray else color,
        copies=copies,
        sides="two-sided-long-edge" if duplex else "one-sided",
        media=_media(parts),
        document_bytes=1024 * _count(parts, "document-size-kb", 0, 2**31 - 1),
    )


def _sheets(pages: int, copies: int) -> int:
    """Of pages on both sides, each copy on sheets of its own where the pages tell how long one is."""
    return (pages + 1) // 2 if pages % copies else copies * ((pages // copies + 1) // 2)


def _media(parts: Mapping[str, str]) -> str:
    width, height = _count(parts, "paper-width-mm", 0), _count(parts, "paper-height-mm", 0)
    custom = f"custom_job_{width}x{height}mm" if width and height else ""
    return parts.get("paper-size-name", "").lower()[:255] or custom


def _cost(parts: Mapping[str, str], decimals: int) -> int | None:
    text = parts.get("cost", "")
    if not text:
        return None
    try:
        cost = minor_units(text, decimals) if is_number(text) else -1
    except ValueError:
        cost = -1
    if cost < 0 or (cost and _count(parts, "total-pages", 1) == 0):
        raise Fault(Code.GENERAL, f'The cost "{text[:40]}" is not valid: an amount of 0 or more, of at least one page')
    return cost


def _priced(cost: int, printed: Printed) -> tuple[CostRule, Printed]:
    """A rule by which so many pages cost exactly this. What does not divide goes to one page, told by its colour."""
    each, rest = divmod(cost, max(1, printed.impressions))
    if not rest:
        return SimpleCost(per_impression=each, version=0), printed
    row = PageCost(grayscale_simplex=each, grayscale_duplex=each, color_simplex=each + rest, color_duplex=each + rest)
    one = Printed(impressions=printed.impressions, sheets=printed.impressions, color_impressions=1)
    return StandardCost(default=row, version=0), one


def _time(parts: Mapping[str, str], now_s: int) -> int:
    text = parts.get("time", "")
    if not text:
        return now_s
    try:
        return int(datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise Fault(Code.GENERAL, f'The time "{text[:40]}" must be written as yyyyMMddTHHmmss') from error


def _count(parts: Mapping[str, str], key: str, default: int, most: int = MAX_PAGES) -> int:
    text = parts.get(key, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise Fault(Code.GENERAL, f'"{key}" must be a whole number from 0 to {most}, not "{text[:40]}"')
    return int(text)


def _flag(parts: Mapping[str, str], key: str) -> bool:
    word = parts.get(key, "false").lower()
    if word not in ("true", "false", "y", "n", "yes", "no", "1", "0"):
        raise Fault(Code.GENERAL, f'"{key}" must be TRUE or FALSE, not "{word[:40]}"')
    return word in ("true", "y", "yes", "1")
