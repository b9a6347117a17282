"""A whole print site of real processes: server, provider, cupsd, printers; set up as an administrator would.

Every process can be killed and started again. `ledger()` reads the books as the outside checker wants them.
"""

import secrets
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from backend.checker import model as outside
from backend.db.engine import Database
from backend.jobs.model import mark_names
from backend.jobs.tables import job
from backend.ledger.model import FUNDING, PRINTING, Kind
from backend.ledger.tables import account, account_stripe, transfer
from backend.wire.pricing import CostRule, SimpleCost
from tests.support.cupsd import PrivateCupsd
from tests.support.printer import IppPrinter
from tests.support.processes import Process, free_port, run, wait_until

BIN = Path(sys.executable).parent
DECIMALS = 4
PRICE = 500  # 0.05 for an impression: the default of a new queue


class Site:
    """`queues` become one IPP printer each. `database_url` "" is SQLite in the site's folder."""

    def __init__(self, folder: Path, queues: Sequence[str] = ("q",), database_url: str = "") -> None:
        self.folder = folder
        self.queues = tuple(queues)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url or f"sqlite:///{folder / 'inkeeper.db'}"
        self.rpc_token = secrets.token_hex(16)
        self.cupsd = PrivateCupsd(folder / "cups")
        self.printers = {name: IppPrinter(folder / f"printer-{name}", name) for name in self.queues}
        self.server = self._program("inkeeper-server", folder / "server.toml")
        self.provider = self._program("inkeeper-provider", folder / "provider.toml")
        self._write_settings()

    # ---------------------------------------------------------------- starting and ending

    def start(self) -> Self:
        """Everything, set up: enrolled, tracked, seen by the server."""
        for printer in self.printers.values():
            printer.start()
        self.cupsd.start()
        self.server_command("config", "set", "auth.webservices.auth-token", self.rpc_token)
        self.start_server()
        token = self.server_command("token", "create", "--role", "provider", "--name", "site")
        self.provider_command("enroll", "--server", self.url, "--token", token)
        for name, printer in self.printers.items():
            self.cupsd.add_queue(name, printer.uri, ["printer-is-shared=false"])
            self.provider_command("track", name)
        self.start_provider()
        return self

    def start_server(self) -> None:
        self.server.start()
        self.server.wait_for_port(self.port)

    def start_provider(self) -> None:
        self.provider.start()
        self.provider.wait_for(lambda: "listens at" in self.provider.written(), 20, "it listened")

    def stop(self) -> None:
        for process in (self.provider, self.server):
            process.stop()
        self.cupsd.stop()
        for printer in self.printers.values():
            printer.stop()

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

    def server_command(self, *words: str) -> str:
        """The last line of what a command of the server says."""
        said = run([BIN / "inkeeper-server", "--config", self.folder / "server.toml", *words], timeout_s=30).stdout
        return said.strip().splitlines()[-1] if said.strip() else ""

    def provider_command(self, *words: str, check: bool = True) -> str:
        program: list[str | Path] = [BIN / "inkeeper-provider", "--config", self.folder / "provider.toml"]
        return run([*program, *words], timeout_s=30, check=check).stdout

    def rpc(self, method: str, *arguments: str | float) -> object:
        with xmlrpc.client.ServerProxy(f"{self.url}/rpc/api/xmlrpc") as proxy:
            return proxy.__getattr__(f"api.{method}")(self.rpc_token, *arguments)

    def add_user(self, name: str, *, restricted: bool, balance: float) -> None:
        self.rpc("addNewInternalUser", name, "a-password", name.title(), f"{name}@example.org", "", "")
        self.rpc("setUserProperty", name, "restricted", str(restricted).upper())
        if balance:
            self.rpc("setUserAccountBalance", name, balance, "start")

    @property
    def wrappers(self) -> list[int]:
        """The process ids of our CUPS backend that run now."""
        program = str(self.cupsd.server_bin / "backend" / "inkeeper")
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and _command_line(folder)[1:2] and program in _command_line(folder)[1:4]:
                found.append(int(folder.name))
        return sorted(found)

    def wait_until_quiet(self, timeout_s: float = 300) -> None:
        """No job is under way in cupsd, none in the provider, and every report was taken."""

        def quiet() -> bool:
            if not self.is_printed():
                return False
            status = self.provider_command("status", check=False)
            return "reports not sent: 0" in status and "jobs under way: 0" in status

        wait_until(quiet, timeout_s, "the site to be quiet", 0.5)

    def is_printed(self) -> bool:
        """Whether cupsd says that no document waits or prints; False while it does not answer.

        A job of size 0 never got its document: its `lp` was cut off when cupsd was killed, and cupsd waits in vain.
        """
        told = run(["lpstat", "-o"], env=self.cupsd.env, check=False)
        sizes = [line.split()[2] for line in told.stdout.splitlines() if len(line.split()) > 2]
        return told.returncode == 0 and not any(size != "0" for size in sizes)

    # ---------------------------------------------------------------- what came of it

    def printed(self) -> list[outside.Printing]:
        """What lies in the printers' own spools."""
        return [
            outside.Printing(key=paper.title, user=paper.user_name, queue=name, impressions=paper.impressions)
            for name, printer in self.printers.items()
            for paper in printer.printouts()
        ]

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

    # ---------------------------------------------------------------- inside

    def _program(self, name: str, config: Path) -> Process:
        return Process(name, [BIN / name, "--config", config, "run"], log=config.with_suffix(".log"))

    def _write_settings(self) -> None:
        (self.folder / "server.toml").write_text(
            f'[server]\nname = "app-1"\nlisten = "127.0.0.1:{self.port}"\n[database]\nurl = "{self.database_url}"\n'
        )
        (self.folder / "provider.toml").write_text(
            f'[provider]\nname = "site"\nstate_dir = "{self.folder / "provider"}"\n'
            f'socket = "{self.folder / "provider.sock"}"\n[servers]\nurls = ["{self.url}"]\n'
            f'[cups]\nserver = "{self.cupsd.socket}"\nserver_bin = "{self.cupsd.server_bin}"\n'
        )


def read_ledger(conn: sa.Connection) -> outside.Ledger:
    """One committed snapshot in the checker's own words."""
    stripes: dict[int, tuple[int, int]] = {}
    for row in conn.execute(sa.select(account_stripe)):
        credit, debit = stripes.get(row.account_id, (0, 0))
        stripes[row.account_id] = (credit + row.credits_posted, debit + row.debits_posted)
    return outside.Ledger(
        accounts=tuple(_account(row, stripes) for row in conn.execute(sa.select(account))),
        transfers=tuple(_transfer(row) for row in conn.execute(sa.select(transfer))),
        jobs=tuple(
            outside.LedgerJob(
                job_id=row.job_id,
                title=row.title,
                user=row.user_name,
                state=row.state,
                charged=row.charged,
                reserved=row.reserved,
                marks=mark_names(row.marks),
            )
            for row in conn.execute(sa.select(job))
        ),
    )


def _account(row: sa.Row[*tuple[object, ...]], stripes: Mapping[int, tuple[int, int]]) -> outside.Account:
    values = row._mapping
    system = values["account_id"] in (PRINTING, FUNDING)
    credit, debit = stripes.get(values["account_id"], (0, 0)) if system else (0, 0)
    return outside.Account(
        account_id=values["account_id"],
        name=values["name"],
        restricted=values["restricted"],
        overdraft=values["overdraft"],
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


def _command_line(folder: Path) -> list[str]:
    try:
        return (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
