"""The shapes that monitoring clients read."""

from dataclasses import replace
from typing import Any

import pytest

from backend.compat import health_view
from backend.compat.health_view import DatabaseFacts, PrinterFacts, ProviderFacts, SystemFacts
from backend.wire.printers import ServerContact

DATABASE = DatabaseFacts(error="", active_connections=1, max_connections=10, connect_ms=0, query_ms=1)
SYSTEM = SystemFacts(
    version="1.2.3",
    operating_system="Linux",
    processors=2,
    disk_free_mb=5000,
    disk_total_mb=10000,
    memory_max_mb=8000,
    memory_total_mb=100,
    memory_used_mb=80,
    uptime_hours=1.5,
    process_cpu_percent=2.0,
    system_cpu_percent=3.0,
    gc_executions=7,
)


def printer(state: str = "idle", *reasons: str, accepting: bool = True, silent_ms: int = 0) -> PrinterFacts:
    return PrinterFacts(7, "srv", "q", state, reasons, accepting, silent_ms)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (printer(), "OK"),
        (printer("processing", "connecting-to-device"), "OK"),
        (printer("idle", "none"), "OK"),
        (printer("idle", "media-empty-warning", "toner-low-report"), "OK"),
        (printer("stopped", "media-empty-warning"), "PAPER_OUT"),
        (printer("processing", "media-jam-error"), "PAPER_JAM"),
        (printer("processing", "media-jam-warning"), "PAPER_JAM"),
        (printer("processing", "door-open"), "DOOR_OPEN"),
        (printer("processing", "offline-report"), "OFFLINE"),
        (printer("stopped", "paused"), "USER_INTERVENTION"),
        (printer("stopped"), "ERROR"),
        (printer("stopped", "vendor-thing"), "ERROR"),
        (printer(accepting=False), "NOT_AVAILABLE"),
        (printer("unknown"), "UNKNOWN"),
        (printer(silent_ms=8_000), "OK"),
        (printer(silent_ms=8_001), "UNKNOWN"),
    ],
)
def test_printer_status(facts: PrinterFacts, word: str) -> None:
    assert health_view.printer_status(facts) == word


def test_what_is_old_is_unknown_and_silent_for_as_long() -> None:
    (old,) = health_view.old_printers([printer(silent_ms=200)], 3.0)
    assert (health_view.printer_status(old), old.silent_ms) == ("UNKNOWN", 3_200)
    (server,) = health_view.old_providers([ProviderFacts("p", "h", 200)], 9.0)
    assert server.silent_ms == 9_200


def test_every_count_is_an_integer_even_with_nothing_there() -> None:
    document = health_view.overview([], [], 0, DATABASE, SYSTEM)
    counts = dict(numbers(document))
    assert set(counts) >= {
        "devices.count", "devices.inErrorCount", "printers.count", "printers.inErrorCount",
        "printers.heldJobCountTotal", "printers.heldJobsCountTotal", "printers.heldJobsCountMax",
        "printProviders.count", "printProviders.offlineCount", "siteServers.count", "siteServers.offlineCount",
        "mobilityPrintServers.count", "mobilityPrintServers.offlineCount", "webPrint.count", "webPrint.offlineCount",
    }  # fmt: skip
    assert all(type(value) is int for name, value in counts.items() if "ount" in name), counts


def numbers(document: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        if isinstance(value, dict):
            found += numbers(value, f"{path}{name}.")
        elif isinstance(value, int | float):
            found.append((path + name, value))
    return found


def test_overview_counts_what_is_wrong() -> None:
    providers = [ProviderFacts("a", "10.0.0.1", 500), ProviderFacts("b", "10.0.0.2", 10_001)]
    document = health_view.overview([printer(), printer("stopped")], providers, 3, DATABASE, SYSTEM)
    assert document["printProviders"] == {"count": 2, "offlineCount": 1, "offline": ["b"]}
    assert document["printers"]["inError"] == [{"name": "srv\\q", "status": "ERROR"}]
    assert document["printers"]["inErrorPercentage"] == 50.0
    assert document["license"]["users"]["used"] == 3
    assert document["jobTicketing"]["status"]["message"] == "Job Ticketing is not installed."
    assert document["applicationServer"]["systemMetrics"]["diskSpaceUsedPercentage"] == 50.0


def test_lists() -> None:
    assert health_view.printer_list([printer()]) == {
        "printers": [{"name": "srv\\q", "status": "OK", "heldJobsCount": 0, "physicalPrinterId": "7"}]
    }
    found = health_view.provider_list([ProviderFacts("a", "10.0.0.1", 61_999), ProviderFacts("b", "", -5)])
    papercuts = [
        {key: entry[key] for key in ("host", "ip", "IP", "lastContactSeconds")} for entry in found["printProviders"]
    ]
    assert papercuts == [
        {"host": "a", "ip": "10.0.0.1", "IP": "10.0.0.1", "lastContactSeconds": 61},
        {"host": "b", "ip": "", "IP": "", "lastContactSeconds": 0},
    ]


def test_what_a_print_server_tells_of_itself() -> None:
    contacts = (ServerContact(url="http://a", age_s=1.5), ServerContact(url="http://b", trouble="refused"))
    told = ProviderFacts("a", "", 60_000, 3, 12.7, 5 << 30, 2, "the disk is full", contacts)
    (entry,) = health_view.provider_list([told])["printProviders"]
    assert (entry["unsentReportsCount"], entry["oldestUnsentSeconds"], entry["diskSpaceFreeMB"]) == (3, 12, 5120)
    assert (entry["heldJobsCount"], entry["trouble"]) == (2, "the disk is full")
    assert entry["servers"] == [
        {"url": "http://a", "lastContactSeconds": 61, "trouble": ""},  # as old as the print server's own word
        {"url": "http://b", "lastContactSeconds": None, "trouble": "refused"},
    ]


def test_held_and_untracked() -> None:
    waiting = [replace(printer(), held_jobs=3), replace(printer(), held_jobs=0)]
    found = health_view.overview(waiting, [], 0, DATABASE, SYSTEM, ["a\\free"])["printers"]
    assert (found["heldJobsCountTotal"], found["heldJobsCountMax"], found["heldJobsCountAverage"]) == (3, 3, 2)
    assert (found["untrackedCount"], found["untracked"]) == (1, ["a\\free"])


def test_status() -> None:
    assert health_view.status(DATABASE, SYSTEM) == {"status": "OK", "message": ""}
    gone = DatabaseFacts("The database cannot be reached", 0, 0, 0, 0)
    assert health_view.status(gone, SYSTEM)["status"] == "The database cannot be reached"
    full = DatabaseFacts("", 91, 100, 0, 0)
    assert "90 %" in health_view.status(full, SYSTEM)["status"]
