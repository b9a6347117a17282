"""The compatible interfaces' routes, for build_app to mount beside its own."""

import logging
from pathlib import Path

from starlette.routing import BaseRoute, Route

from backend.access.tokens import TokenCache
from backend.cluster.patroni import Patroni
from backend.compat.health import VIEWS, Endpoint, Health, held_jobs
from backend.compat.log_counts import LogCounts
from backend.compat.rpc import Rpc
from backend.db.engine import Database
from backend.intake.service import Intake
from backend.operations.online_backup import OnlineBackup
from backend.wire.base import Ledger


def routes(
    *,
    database: Database,
    intake: Intake,
    tokens: TokenCache,
    ledger: Ledger,
    version: str,
    data_dir: Path,
    backup: OnlineBackup,
    patroni: Patroni | None = None,
) -> list[BaseRoute]:
    """XML-RPC and health. `data_dir` is where the server keeps its data: the disk whose room the health API tells."""
    rpc = Rpc(database, intake, tokens, ledger, backup)
    counts = LogCounts()
    logging.getLogger().addHandler(counts)
    health = Health(database, version, data_dir, patroni or Patroni(()), counts)
    found: dict[str, Endpoint] = {f"/api/health{path}": health.answering(view) for path, view in VIEWS.items()}
    found |= {
        "/api/health/printers/urls": health.printer_urls,
        "/api/health/printers/{id}/status": health.printer_status,
        "/api/health/printers/{id}/has-recent-jobs": health.printer_recent_jobs,
        "/api/health/devices/urls": health.device_urls,
        "/api/health/devices/{id}/status": health.no_device,
        "/api/health/devices/{id}/has-recent-jobs": health.no_device,
        "/api/stats/held-jobs-count": health.answering(held_jobs),
        "/api/stats/recent-pages-count": health.recent_pages,
        "/api/stats/recent-errors-count": health.recent_errors,
        "/api/stats/recent-warnings-count": health.recent_warnings,
    }
    routed = [("/rpc/api/xmlrpc", rpc.answer, "POST"), *((path, found[path], "GET") for path in found)]
    return [Route(path + slash, endpoint, methods=[method]) for path, endpoint, method in routed for slash in ("", "/")]
