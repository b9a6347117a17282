"""Fifty clients move money at once, by JSON and XML-RPC: the sums are exact, and what is moved only where it is
available never overdraws.

Real servers: one on SQLite, two on PostgreSQL. `make test` plays a short seeded run, `make test-long` one of 100,000
adjustments on each.
"""

import asyncio
import json
import os
import random
import xmlrpc.client
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest

from backend.access.service import create_token
from backend.access.settings import write_setting
from backend.base.ids import uuid7
from backend.checker.check import check
from backend.checker.model import Command
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.people.model import UserChange
from backend.people.service import create_user
from tests.support.app_server import AppServer
from tests.support.rpc import Rpc
from tests.support.site import read_ledger

CLIENTS = 50
UNIT = 10_000  # minor units
PLAIN = ("plain-1", "plain-2")  # may go below zero
CAREFUL = ("careful-1", "careful-2", "careful-3")  # debited only where it is available
OPENING = 3 * UNIT
RPC_TOKEN = "a-token-of-this-test-0123456789"


class Client:
    """One connection that is kept. What it gave and what it was told is in `given`."""

    def __init__(self, server: AppServer, token: str, number: int, seed: int) -> None:
        self._server, self._token, self._number = server, token, number
        self._chance = random.Random(f"{seed} {number}")
        self.given: list[Command] = []

    async def play(self, count: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._server.host, self._server.port)
        for turn in range(count):
            careful = self._chance.random() < 0.6
            user = self._chance.choice(CAREFUL if careful else PLAIN)
            amount = UNIT // 100 * self._chance.randint(1, 150)
            amount *= self._chance.choice((1, -1, -1)) if careful else self._chance.choice((1, -1))
            way = self._by_rpc if self._chance.random() < 0.3 else self._by_json
            self.given.append(await way(user, amount, careful and amount < 0, f"{self._number}/{turn}"))
        self._writer.close()

    async def _by_json(self, user: str, amount: int, careful: bool, comment: str) -> Command:
        command_id = uuid7()
        body = {"command_id": command_id, "user_name": user, "amount": amount, "comment": comment}
        content = json.dumps({**body, "only_if_available": careful}).encode()
        headers = f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
        told = json.loads(await self._post(f"/api/v1/users/{user}/adjust", headers, content))
        code = told.get("code", "")
        assert code in ("", "account-limit-reached"), told
        assert code or told["amount"] == amount
        outcome = self._outcome(not code, careful)
        return Command(kind="adjust", outcome=outcome, amount=amount, user=user, command_id=command_id)

    async def _by_rpc(self, user: str, amount: int, careful: bool, comment: str) -> Command:
        method = "api.adjustUserAccountBalance" + ("IfAvailable" if careful else "")
        content = xmlrpc.client.dumps((RPC_TOKEN, user, amount / UNIT, comment), method).encode()
        answer = await self._post("/rpc/api/xmlrpc", "Content-Type: text/xml\r\n", content)
        told = xmlrpc.client.loads(answer)[0][0]
        return Command(
            kind="adjust", outcome=self._outcome(bool(told), careful), amount=amount, user=user, comment=comment
        )

    def _outcome(self, done: bool, careful: bool) -> Literal["done", "refused"]:
        assert done or careful, "what needs nothing available was refused"
        return "done" if done else "refused"

    async def _post(self, path: str, headers: str, content: bytes) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: {self._server.host}\r\n{headers}Content-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await self._reader.readexactly(int(length.partition(b":")[2]))
        assert b" 200 " in answer.partition(b"\r\n")[0], (answer, body)
        return body


async def _all(clients: Sequence[Client], each: int) -> None:
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.play(each))


def play(folder: Path, database_url: str, servers: int, each: int, seed: int) -> None:
    running = [AppServer(folder, database_url=database_url, name=f"server-{n + 1}") for n in range(servers)]
    url = running[0].database_url
    token = prepare(url)
    with ExitStack() as stack:
        for server in running:
            stack.callback(server.stop)
            server.process.start()
        for server in running:
            server.wait()
        for name in (*PLAIN, *CAREFUL):
            Rpc(running[0].url, RPC_TOKEN).call("setUserAccountBalance", name, OPENING / UNIT, "start")
        clients = [Client(running[number % servers], token, number, seed) for number in range(CLIENTS)]
        asyncio.run(_all(clients, each))
    assert_exact(url, [command for client in clients for command in client.given], each)


def prepare(url: str) -> str:
    """The tables, the people, the token of the web services; an administrator's token."""
    database = Database(url)
    migrate(database)
    try:
        with database.connect(writing=True) as conn:
            write_setting(conn, "auth.webservices.auth-token", RPC_TOKEN, "test", "admin")
            for name in (*PLAIN, *CAREFUL):
                create_user(conn, name, UserChange(), internal=False, actor="test", role="admin")
            return create_token(conn, "admin", "clients", "test")
    finally:
        database.close()


def assert_exact(url: str, given: Sequence[Command], each: int) -> None:
    database = Database(url)
    with database.connect() as conn:
        if not database.is_sqlite:
            conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        ledger = read_ledger(conn)
    database.close()
    assert len(given) == CLIENTS * each
    findings = check((), (), ledger, {}, commands=given)
    assert findings.ok, findings.text()
    sums = Counter(dict.fromkeys((*PLAIN, *CAREFUL), OPENING))
    for command in given:
        sums[command.user] += command.amount if command.outcome == "done" else 0
    accounts = {account.name: account for account in ledger.accounts if account.name in sums}
    assert {name: one.credits_posted - one.debits_posted for name, one in accounts.items()} == sums
    careful = {accounts[name].account_id for name in CAREFUL}
    lowest = min(row.balance_after for row in ledger.transfers if row.account_id in careful)
    assert 0 <= lowest < UNIT, "it came near the limit and not below it"
    refused = sum(command.outcome == "refused" for command in given)
    assert refused > len(given) / 50
    print(f"{len(given):,} adjustments by {CLIENTS} clients, {refused:,} refused, lowest {lowest}: exact")


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_fifty_clients_sum_exactly_and_never_overdraw(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    seed = int(os.environ.get("INKEEPER_TEST_SEED", "1"))
    play(tmp_path, url, 2 if url else 1, each=20, seed=seed)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_hundred_thousand_adjustments(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else ""
    play(tmp_path, url, 2 if url else 1, each=2_000, seed=random.SystemRandom().randrange(10**6))
