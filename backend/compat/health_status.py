"""The verdicts of the health API's many status addresses, the lists of what there is none of, and the tables of
addresses for monitors that look for their own sensors. Pure.

A verdict is `{"status": "OK", "message": ""}`, or what is wrong in both; the address answers it with HTTP 200 or 500.
Thresholds are how much may be wrong before it is told: percent of printers or servers, MB of disk, percent of
connections.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.compat.health_view import (
    CONNECTIONS_LIMIT_PERCENT,
    DISK_LIMIT_MB,
    OFFLINE_AFTER_MS,
    OK,
    DatabaseFacts,
    PrinterFacts,
    ProviderFacts,
    SystemFacts,
    connections_percent,
    printer_name,
    printer_status,
)

MAX_MINUTES: Final = 240
NO_TICKETING: Final = "Job Ticketing is not installed."
NONE_OF: Final[Mapping[str, Mapping[str, Any]]] = {
    "devices": {"devices": []},
    "site-servers": {"siteServers": []},
    "web-print": {"webPrint": []},
    "mobility-print-servers": {"mobilityPrintServers": []},
}

Verdict = dict[str, str]


class QueryInvalid(Exception):
    """A parameter of the address cannot be read; the text says which."""


def number(query: Mapping[str, str], name: str, default: int, most: int = 10**9) -> int:
    """A parameter that is a whole number. Raises QueryInvalid."""
    text = query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise QueryInvalid(f"The parameter {name} must be a whole number from 0 to {most}")
    return int(text)


def verdict(*faults: str) -> Verdict:
    told = "; ".join(filter(None, faults))
    return {"status": told or OK, "message": told}


def application_server(system: SystemFacts, query: Mapping[str, str]) -> Verdict:
    limit = number(query, "disk-threshold-mb", DISK_LIMIT_MB)
    return verdict(f"Less than {limit} MB of disk space is free" if system.disk_free_mb < limit else "")


def database(facts: DatabaseFacts, query: Mapping[str, str]) -> Verdict:
    limit = number(query, "connections-threshold-percentage", CONNECTIONS_LIMIT_PERCENT, 100)
    many = connections_percent(facts) > limit
    return verdict(facts.error, f"More than {limit} % of the database connections are in use" if many else "")


def printers(facts: Sequence[PrinterFacts], query: Mapping[str, str]) -> Verdict:
    wrong = [printer for printer in facts if printer_status(printer) != OK]
    return _share("printers are in error", wrong, facts, number(query, "in-error-threshold", 0, 100), printer_name)


def printer(facts: PrinterFacts) -> Verdict:
    word = printer_status(facts)
    return {"status": word, "message": "" if word == OK else f"{printer_name(facts)} is {word}"}


def providers(facts: Sequence[ProviderFacts], query: Mapping[str, str]) -> Verdict:
    wrong = [provider for provider in facts if provider.silent_ms > OFFLINE_AFTER_MS]
    limit = number(query, "offline-threshold", 0, 100)
    return _share("print servers are offline", wrong, facts, limit, lambda provider: provider.name)


def nothing(query: Mapping[str, str]) -> Verdict:
    """Of what there is none, none is wrong."""
    for name in ("offline-threshold", "in-error-threshold", "servers-in-error-threshold"):
        number(query, name, 0)
    return verdict()


def recent_jobs(count: int, minutes: int, name: str) -> Verdict:
    return verdict("" if count else f"{name} had no job in the last {minutes} minutes")


def ticketing() -> Verdict:
    return {"status": "ERROR", "message": NO_TICKETING}


def printer_urls(facts: Sequence[PrinterFacts], base: str) -> str:
    """CSV: where each printer's status is told."""
    rows = [(one.server, one.queue, one.location, f"{base}/printers/{one.queue_id}/status") for one in facts]
    return _table(("server", "name", "location", "url"), rows)


def device_urls() -> str:
    return _table(("name", "location", "url"), ())


def _share(what: str, wrong: Sequence[Any], all_of: Sequence[Any], limit: int, name: Any) -> Verdict:
    if not wrong or 100 * len(wrong) <= limit * len(all_of):
        return verdict()
    return verdict(f"{len(wrong)} of {len(all_of)} {what}: {', '.join(name(one) for one in wrong[:10])}")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
