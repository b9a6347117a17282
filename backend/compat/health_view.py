"""The health API's documents in the shape that PaperCut's monitoring clients read. Pure.

Every count is always there and an integer: a Nagios plugin does `[ "$x" -ne 0 ]` on each of them. What Inkeeper does
not have (devices, site servers, a licence) is told as none, or as unlimited, in the words those plugins test for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from backend.printers.model import SILENT_S
from backend.wire.printers import ServerContact

OFFLINE_AFTER_MS: Final = round(SILENT_S * 1000)
DISK_LIMIT_MB: Final = 1024
CONNECTIONS_LIMIT_PERCENT: Final = 90
UNLIMITED: Final = 999_999_999
OK: Final = "OK"


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    name: str
    host: str
    silent_ms: int
    backlog: int = 0
    oldest_unsent_s: float = 0.0
    disk_free_bytes: int = 0
    held_jobs: int = 0
    trouble: str = ""
    contacts: tuple[ServerContact, ...] = ()


@dataclass(frozen=True, slots=True)
class PrinterFacts:
    """A tracked queue. `silent_ms` is its provider's silence: an old state is no state."""

    queue_id: int
    server: str
    queue: str
    state: str
    reasons: tuple[str, ...]
    accepting: bool
    silent_ms: int
    held_jobs: int = 0
    location: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`error` is empty while the database answers; else what is known of it, and everything that it told is `age_s`
    old. `single_copy` says why a commit is on one machine only when it is
    acknowledged; `redundancy_lost` whether it should be on two.
    """

    error: str
    active_connections: int
    max_connections: int
    connect_ms: int
    query_ms: int
    single_copy: str = ""
    redundancy_lost: bool = False
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SystemFacts:
    version: str
    operating_system: str
    processors: int
    disk_free_mb: int
    disk_total_mb: int
    memory_max_mb: int
    memory_total_mb: int
    memory_used_mb: int
    uptime_hours: float
    process_cpu_percent: float
    system_cpu_percent: float
    gc_executions: int


_REASONS: Final = {
    "media-jam": "PAPER_JAM",
    "media-empty": "PAPER_OUT",
    "media-needed": "PAPER_OUT",
    "input-tray-missing": "PAPER_PROBLEM",
    "input-media-supply-empty": "PAPER_OUT",
    "output-area-full": "OUTPUT_BIN_FULL",
    "output-tray-missing": "PAPER_PROBLEM",
    "toner-empty": "NO_TONER",
    "marker-supply-empty": "NO_TONER",
    "developer-empty": "NO_TONER",
    "cover-open": "DOOR_OPEN",
    "door-open": "DOOR_OPEN",
    "interlock-open": "DOOR_OPEN",
    "spool-area-full": "OUT_OF_MEMORY",
    "offline": "OFFLINE",
    "shutdown": "OFFLINE",
    "timed-out": "OFFLINE",
    "paused": "USER_INTERVENTION",
}
_URGENT: Final = ("media-jam", "offline")  # CUPS's own backends tell these as a warning or a report, and mean them


def printer_status(printer: PrinterFacts) -> str:
    """PaperCut's word for a queue's state (RFC 8011, 5.4.11-12). Warnings count only where the queue stands still."""
    if printer.silent_ms > OFFLINE_AFTER_MS or printer.state == "unknown":
        return "UNKNOWN"
    stopped = printer.state == "stopped"
    for reason in printer.reasons:
        bare, _, severity = reason.rpartition("-")
        if severity not in ("report", "warning", "error"):
            bare, severity = reason, "error"
        if bare in _REASONS and (stopped or severity == "error" or bare in _URGENT):
            return _REASONS[bare]
    if stopped:
        return "ERROR"
    return OK if printer.accepting else "NOT_AVAILABLE"


def old_printers(printers: Sequence[PrinterFacts], age_s: float) -> list[PrinterFacts]:
    """The same when nothing newer is known: no state that is so old is shown as one, so all are UNKNOWN."""
    return [
        replace(printer, silent_ms=printer.silent_ms + round(1000 * age_s), state="unknown") for printer in printers
    ]


def old_providers(providers: Sequence[ProviderFacts], age_s: float) -> list[ProviderFacts]:
    """The same of print servers: offline once nothing was heard of them for so long, whoever is to blame."""
    return [replace(provider, silent_ms=provider.silent_ms + round(1000 * age_s)) for provider in providers]


def printer_list(printers: Sequence[PrinterFacts]) -> dict[str, Any]:
    return {
        "printers": [
            {
                "name": printer_name(printer),
                "status": printer_status(printer),
                "heldJobsCount": printer.held_jobs,
                "physicalPrinterId": str(printer.queue_id),
            }
            for printer in printers
        ]
    }


def provider_list(providers: Sequence[ProviderFacts]) -> dict[str, Any]:
    """`ip` and `IP` both: clients of different years read the one or the other."""
    return {
        "printProviders": [
            {
                "host": provider.name,
                "ip": provider.host,
                "IP": provider.host,
                "lastContactSeconds": max(0, provider.silent_ms) // 1000,
                **_own_word(provider),
            }
            for provider in providers
        ]
    }


def _own_word(provider: ProviderFacts) -> dict[str, Any]:
    """What the print server told of itself when it was last heard; PaperCut has none of these."""
    return {
        "unsentReportsCount": provider.backlog,
        "oldestUnsentSeconds": int(provider.oldest_unsent_s) if provider.backlog else 0,
        "diskSpaceFreeMB": provider.disk_free_bytes // (1024 * 1024),
        "heldJobsCount": provider.held_jobs,
        "trouble": provider.trouble,
        "servers": [
            {
                "url": contact.url,
                "lastContactSeconds": None if contact.age_s is None else int(contact.age_s + provider.silent_ms / 1000),
                "trouble": contact.trouble,
            }
            for contact in provider.contacts
        ],
    }


def status(database: DatabaseFacts, system: SystemFacts) -> dict[str, str]:
    """The verdict of `/api/health/status`; anything but OK goes out with HTTP 500. What is a warning only stands in
    `message`, beside OK."""
    faults = []
    if database.error:
        faults.append(database.error)
    elif connections_percent(database) > CONNECTIONS_LIMIT_PERCENT:
        faults.append(f"More than {CONNECTIONS_LIMIT_PERCENT} % of the database connections are in use")
    if system.disk_free_mb < DISK_LIMIT_MB:
        faults.append(f"Less than {DISK_LIMIT_MB} MB of disk space is free")
    warnings = [f"Loss of redundancy: {database.single_copy}"] if database.redundancy_lost else []
    return {"status": "; ".join(faults) or OK, "message": "; ".join([*faults, *warnings])}


def overview(
    printers: Sequence[PrinterFacts],
    providers: Sequence[ProviderFacts],
    users: int,
    database: DatabaseFacts,
    system: SystemFacts,
    untracked: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole of `/api/health`. `untracked` are queues that print uncounted: no printers of PaperCut's, but not to be
    kept quiet."""
    return {
        "applicationServer": _application_server(system),
        "database": _database(database),
        "devices": {"count": 0, "inErrorCount": 0, "inErrorPercentage": 0, "inError": []},
        "jobTicketing": {"status": {"status": "ERROR", "message": "Job Ticketing is not installed."}},
        "license": _license(users),
        "mobilityPrintServers": _servers([]),
        "printProviders": _providers(providers),
        "printers": _printers(printers) | {"untrackedCount": len(untracked), "untracked": list(untracked)},
        "siteServers": _servers([]),
        "webPrint": _servers([]),
    }


def printer_name(printer: PrinterFacts) -> str:
    return f"{printer.server}\\{printer.queue}"


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def connections_percent(database: DatabaseFacts) -> float:
    return _percent(database.active_connections, database.max_connections)


def _application_server(system: SystemFacts) -> dict[str, Any]:
    return {
        "systemInfo": {
            "version": system.version,
            "operatingSystem": system.operating_system,
            "processors": system.processors,
        },
        "systemMetrics": {
            "diskSpaceFreeMB": system.disk_free_mb,
            "diskSpaceTotalMB": system.disk_total_mb,
            "diskSpaceUsedPercentage": _percent(system.disk_total_mb - system.disk_free_mb, system.disk_total_mb),
            "jvmMemoryMaxMB": system.memory_max_mb,
            "jvmMemoryTotalMB": system.memory_total_mb,
            "jvmMemoryUsedMB": system.memory_used_mb,
            "jvmMemoryUsedPercentage": _percent(system.memory_used_mb, system.memory_max_mb),
            "uptimeHours": system.uptime_hours,
            "processCpuLoadPercentage": system.process_cpu_percent,
            "systemCpuLoadPercentage": system.system_cpu_percent,
            "gcTimeMilliseconds": 0,
            "gcExecutions": system.gc_executions,
        },
    }


def _database(database: DatabaseFacts) -> dict[str, Any]:
    return {
        "status": database.error or OK,
        "redundancy": f"single copy: {database.single_copy}" if database.single_copy else OK,
        "activeConnections": database.active_connections,
        "maxConnections": database.max_connections,
        "totalConnections": database.active_connections,
        "timeToConnectMilliseconds": database.connect_ms,
        "timeToQueryMilliseconds": database.query_ms,
        "ageSeconds": round(database.age_s),
    }


def _license(users: int) -> dict[str, Any]:
    """Free software: valid for ever, for any number; the numbers are there for clients that calculate with them."""
    none = {"used": 0, "licensed": UNLIMITED, "remaining": UNLIMITED}
    return {
        "valid": True,
        "upgradeAssuranceRemainingDays": UNLIMITED,
        "licenseRemainingDays": UNLIMITED,
        "users": {"used": users, "licensed": UNLIMITED, "remaining": UNLIMITED - users},
        "siteServers": none,
        "advancedClients": none,
        "devices": none,
        "packs": [],
    }


def _servers(offline: list[str], count: int = 0) -> dict[str, Any]:
    return {"count": count, "offlineCount": len(offline), "offline": offline}


def _providers(providers: Sequence[ProviderFacts]) -> dict[str, Any]:
    offline = [provider.name for provider in providers if provider.silent_ms > OFFLINE_AFTER_MS]
    return _servers(offline, len(providers))


def _printers(printers: Sequence[PrinterFacts]) -> dict[str, Any]:
    """A printer whose state is not known counts as in error: a monitor should hear of it."""
    states = [(printer, printer_status(printer)) for printer in printers]
    held = [printer.held_jobs for printer in printers]
    in_error = [{"name": printer_name(printer), "status": word} for printer, word in states if word != OK]
    return {
        "count": len(printers),
        "inErrorCount": len(in_error),
        "inErrorPercentage": _percent(len(in_error), len(printers)),
        "inError": in_error,
        "heldJobCountTotal": sum(held),
        "heldJobsCountTotal": sum(held),
        "heldJobsCountMax": max(held, default=0),
        "heldJobsCountAverage": round(sum(held) / len(held)) if held else 0,
    }
