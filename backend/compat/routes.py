"""The compatible interfaces' routes, for build_app to mount beside its own."""

from pathlib import Path

from starlette.routing import BaseRoute, Route

from backend.access.tokens import TokenCache
from backend.cluster.patroni import Patroni
from backend.compat.health import Health
from backend.compat.rpc import Rpc
from backend.db.engine import Database
from backend.intake.service import Intake
from backend.wire.messages import Ledger


def routes(
    *,
    database: Database,
    intake: Intake,
    tokens: TokenCache,
    ledger: Ledger,
    version: str,
    data_dir: Path,
    patroni: Patroni | None = None,
) -> list[BaseRoute]:
    """XML-RPC and health. `data_dir` is where the server keeps its data: the disk whose room the health API tells."""
    rpc = Rpc(database, intake, tokens, ledger)
    health = Health(database, version, data_dir, patroni or Patroni(()))
    found = [
        ("/rpc/api/xmlrpc", rpc.answer, ["POST"]),
        ("/api/health", health.overview, ["GET"]),
        ("/api/health/status", health.status, ["GET"]),
        ("/api/health/printers", health.printers, ["GET"]),
        ("/api/health/print-providers", health.providers, ["GET"]),
    ]
    return [Route(path + slash, endpoint, methods=methods) for path, endpoint, methods in found for slash in ("", "/")]
