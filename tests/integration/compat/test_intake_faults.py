"""What a client is told when the one door does not take its command, or cannot know whether it did."""

import asyncio
import xmlrpc.client
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from backend.access.settings import write_setting
from backend.access.tokens import TokenCache
from backend.base.clock import SystemClock
from backend.compat.routes import routes
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.intake.errors import IntakeError, OutcomeUnknown, Overloaded, Unavailable
from backend.intake.model import NO_LIMITS, Body, Limits, Policy
from backend.intake.service import Intake
from backend.intake.store_memory import MemoryStore
from backend.operations.online_backup import OnlineBackup
from backend.wire.base import Ledger
from tests.integration.compat.conftest import TOKEN

LEDGER = Ledger(currency="EUR", decimals=4)


class ClosedDoor(Intake):
    """The one door in a moment that cannot be brought about at will: between a COMMIT and its answer, say."""

    def __init__(self, error: IntakeError) -> None:
        super().__init__(MemoryStore(lambda: 0), Policy(ledger=LEDGER), self._provide, on_commit=lambda: None)
        self._error = error

    async def _provide(self, missing: object) -> None: ...

    async def submit(
        self, body: Body, *, actor: str, provider_id: int = 0, role: str = "", limits: Limits = NO_LIMITS
    ) -> bytes:
        raise self._error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutcomeUnknown("commit lost"), "The outcome is not known, check the balance before repeating the call"),
        (Unavailable("the server is stopping"), "nothing was changed; try again (the server is stopping)"),
        (Overloaded("4096 commands are waiting"), "nothing was changed; try again (4096 commands are waiting)"),
    ],
)
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("adjustUserAccountBalance", ("ada", 1.0, "")),
        ("adjustUserAccountBalanceIfAvailable", ("ada", 1.0, "")),
        ("setUserAccountBalance", ("ada", 1.0, "")),
        ("setUserProperty", ("ada", "balance", "1")),
        ("setUserProperty", ("ada", "restricted", "TRUE")),
    ],
)
def test_the_fault_says_whether_it_happened(
    tmp_path: Path, error: IntakeError, said: str, method: str, arguments: tuple[str | float, ...]
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'inkeeper.db'}")
    migrate(database)
    with database.connect(writing=True) as conn:
        write_setting(conn, "auth.webservices.auth-token", TOKEN, "test", "admin")

    async def call() -> bytes:
        tokens = TokenCache(database, SystemClock())
        app = Starlette(
            routes=routes(
                database=database,
                intake=ClosedDoor(error),
                tokens=tokens,
                ledger=LEDGER,
                version="0",
                data_dir=tmp_path,
                backup=OnlineBackup(("false",), tmp_path, 0),
            )
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
            body = xmlrpc.client.dumps((TOKEN, *arguments), f"api.{method}")
            return (await client.post("/rpc/api/xmlrpc", content=body)).content

    try:
        answer = asyncio.run(call())
    finally:
        database.close()
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(answer)
    assert caught.value.faultCode == 257
    assert caught.value.faultString.endswith(said)
