"""A whole print site of real processes: a print server and one application server, set up as an administrator would.

Every process can be killed and started again. `ledger()` reads the books as the outside checker wants them.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import sqlalchemy as sa

from backend.access.settings import default_overdraft
from backend.checker import model as outside
from backend.db.engine import Database
from backend.jobs.model import mark_names
from backend.jobs.tables import job
from backend.ledger.model import DEFAULT_OVERDRAFT, FUNDING, PRINTING, Kind
from backend.ledger.tables import account, account_stripe, transfer
from backend.wire.pricing import CostRule, SimpleCost
from tests.support.print_server import BIN, PrintServer
from tests.support.processes import Process, free_port, run, wait_until
from tests.support.rpc import Rpc

DECIMALS = 4
PRICE = 500  # 0.05 for an impression: the default of a new queue


class Site(PrintServer):
    """A print server with its own application server. `database_url` "" is SQLite in the site's folder."""

    def __init__(self, folder: Path, queues: Sequence[str] = ("q",), database_url: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(folder, queues, [self.url])
        self.database_url = database_url or f"sqlite:///{folder / 'inkeeper.db'}"
        self.rpc_token = secrets.token_hex(16)
        self._admin_token = ""
        config = folder / "server.toml"
        argv: list[str | Path] = [BIN / "inkeeper-server", "--config", config, "run"]
        self.server = Process("inkeeper-server", argv, log=folder / "server.log")
        config.write_text(
            f'[server]\nname = "app-1"\nlisten = "127.0.0.1:{self.port}"\n[database]\nurl = "{self.database_url}"\n'
        )

    # ---------------------------------------------------------------- starting and ending

    def start(self) -> Self:
        """Everything, set up: enrolled, tracked, seen by the server."""
        self.start_devices()
        self.server_command("config", "set", "auth.webservices.auth-token", self.rpc_token)
        self.start_server()
        self.set_up(self.url, self.server_command("token", "create", "--role", "provider", "--name", "site"))
        self.start_provider()
        return self

    def start_server(self) -> None:
        self.server.start()
        self.server.wait_for_port(self.port)

    def stop(self) -> None:
        self.server.stop()
        super().stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---------------------------------------------------------------- using it

    def server_command(self, *words: str, typed: str = "") -> str:
        """The last line of what a command of the server says, with `typed` on its stdin."""
        argv: list[str | Path] = [BIN / "inkeeper-server", "--config", self.folder / "server.toml", *words]
        said = run(argv, timeout_s=120, typed=typed).stdout
        return said.strip().splitlines()[-1] if said.strip() else ""

    def rpc(self, method: str, *arguments: str | float) -> object:
        return Rpc(self.url, self.rpc_token).call(method, *arguments)

    def add_user(self, name: str, *, restricted: bool, balance: float) -> None:
        Rpc(self.url, self.rpc_token).add_user(name, restricted=restricted, balance=balance)

    def api(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """A call of the JSON API as an administrator; what it answers."""
        if not self._admin_token:
            self._admin_token = self.server_command("token", "create", "--role", "admin", "--name", "tests")
        headers = {"Authorization": f"Bearer {self._admin_token}"}
        answer = httpx.request(method, f"{self.url}/api/v1/{path}", json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def set_queue(self, name: str, **values: object) -> None:
        """Change a queue at the server. The print server hears of it some seconds later: `wait_until_told`."""

        def number() -> int | None:
            listed = self.api("GET", "queues")["queues"]
            return next((queue["queue_id"] for queue in listed if queue["name"] == name), None)

        queue_id = wait_until(number, 20, f"the server to know {name}")
        self.api("POST", f"queues/{queue_id}", values)

    def wait_until_told(self, name: str, **values: object) -> None:
        """Until the print server has heard that the queue is so."""

        def is_told() -> bool:
            known = json.loads((self.state_dir / "cluster.json").read_text()).get("queues", [])
            return any(queue["name"] == name and values.items() <= queue.items() for queue in known)

        wait_until(is_told, 30, f"the print server to hear of {name}'s change")

    # ---------------------------------------------------------------- what came of it

    @property
    def prices(self) -> Mapping[str, CostRule]:
        return {name: SimpleCost(per_impression=PRICE) for name in self.queues}

    def ledger(self) -> outside.Ledger:
        database = Database(self.database_url)
        try:
            with database.connect() as conn:
                return read_ledger(conn)
        finally:
            database.close()


def read_ledger(conn: sa.Connection) -> outside.Ledger:
    """One committed snapshot in the checker's own words."""
    default = default_overdraft(conn)
    stripes: dict[int, tuple[int, int]] = {}
    for row in conn.execute(sa.select(account_stripe)):
        credit, debit = stripes.get(row.account_id, (0, 0))
        stripes[row.account_id] = (credit + row.credits_posted, debit + row.debits_posted)
    return outside.Ledger(
        accounts=tuple(_account(row, stripes, default) for row in conn.execute(sa.select(account))),
        transfers=tuple(_transfer(row) for row in conn.execute(sa.select(transfer))),
        jobs=tuple(
            outside.LedgerJob(
                job_id=row.job_id,
                title=row.title,
                user=row.user_name,
                state=row.state,
                charged=row.charged,
                refunded=row.refunded,
                reserved=row.reserved,
                marks=mark_names(row.marks),
            )
            for row in conn.execute(sa.select(job))
        ),
    )


def _account(row: sa.Row[*tuple[object, ...]], stripes: Mapping[int, tuple[int, int]], default: int) -> outside.Account:
    values = row._mapping
    system = values["account_id"] in (PRINTING, FUNDING)
    credit, debit = stripes.get(values["account_id"], (0, 0)) if system else (0, 0)
    return outside.Account(
        account_id=values["account_id"],
        name=values["name"],
        restricted=values["restricted"],
        overdraft=default if values["overdraft"] == DEFAULT_OVERDRAFT else values["overdraft"],
        credits_posted=values["credits_posted"] + credit,
        debits_posted=values["debits_posted"] + debit,
        debits_pending=values["debits_pending"],
        exceptions=values["offline_total"] + values["late_total"] + values["excess_total"],
    )


def _transfer(row: sa.Row[*tuple[object, ...]]) -> outside.Transfer:
    values = dict(row._mapping)
    kinds: dict[int, outside.Kind] = {
        Kind.PENDING: "pending",
        Kind.POSTED: "posted",
        Kind.VOIDED: "voided",
        Kind.EXPIRED: "expired",
    }
    values["kind"] = kinds[values["kind"]]
    return outside.Transfer(**{name: values[name] for name in outside.Transfer.__struct_fields__})
