"""What a large site costs while nobody prints: 1,000 providers that heartbeat each 2 s and 200 consoles that listen.

Told is the processor time of the one server process, as a share of one core; PostgreSQL's beside it. There is no peer
to run: the aim is what is left for printing.
"""

import asyncio
import contextlib
import hashlib
import os
import statistics
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from backend.wire.printers import Heartbeat, QueueReport
from scripts.bench.frame import Series
from scripts.bench.http import Server, start_server
from scripts.bench.ledger import start
from tests.support.postgresql import Postgres
from tests.support.processes import children

PROVIDERS = 1_000
CONSOLES = 200
QUEUES_EACH = 5
BEAT_S = 2.0
WARM_UP_S = 10.0
ROUND_S = 10.0
ROUNDS = 3
AIM = 0.25


def token(number: int) -> str:
    return f"a-token-of-this-benchmark-{number:05}-0123456789abcdef"


def add_providers(database: Postgres, name: str) -> None:
    """Enrolled providers, token 0 for the consoles."""
    hashes = [hashlib.sha256(token(n).encode()).hexdigest() for n in range(PROVIDERS + 1)]
    providers = ", ".join(f"({n}, 'print-{n}', 0, 0)" for n in range(1, PROVIDERS + 1))
    tokens = ", ".join(f"('\\x{hashes[n]}', 'provider', 'print-{n}', {n}, 0)" for n in range(1, PROVIDERS + 1))
    database.execute(f"INSERT INTO provider (provider_id, name, enrolled_at, seen_at) VALUES {providers}", name)
    database.execute(
        f"INSERT INTO access_token (token_hash, role, name, provider_id, created_at) VALUES {tokens}, "
        f"('\\x{hashes[0]}', 'admin', 'desk', NULL, 0)",
        name,
    )


async def provider(port: int, number: int) -> None:
    """Beats over one connection, as a provider does."""
    queues = tuple(
        QueueReport(name=f"q{n}", tracked=True, device_uri=f"inkeeper:/ipp://printer-{number}-{n}/ipp/print")
        for n in range(QUEUES_EACH)
    )
    body = msgspec.json.encode(Heartbeat(program_version="0.1.0", host=f"print-{number}", queues=queues))
    request = (
        f"POST /api/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token(number)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    await asyncio.sleep(BEAT_S * number / PROVIDERS)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        began_s = time.monotonic()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        answer = await reader.readexactly(int(length.partition(b":")[2]))
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(f"a heartbeat was refused: {answer!r}")
        await asyncio.sleep(max(0.0, BEAT_S - (time.monotonic() - began_s)))


async def console(port: int) -> None:
    """Listens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token(0)}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"a console was refused: {head!r}")
    while await reader.read(65_536):
        continue
    raise RuntimeError("the server ended a console's stream")


def spent_s(pids: Iterable[int]) -> dict[int, float]:
    """Processor time of each of these processes so far, in seconds; of those that are still there."""
    found: dict[int, float] = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return found


async def share(pids: Iterable[int]) -> float:
    """What part of one core the processes take during a round; one that ends meanwhile (autovacuum) does not count."""
    before, began_s = spent_s(pids), time.monotonic()
    await asyncio.sleep(ROUND_S)
    after = spent_s(before)
    return sum(after[pid] - before[pid] for pid in after) / (time.monotonic() - began_s)


async def measure(server: Server, postmaster: int) -> tuple[Series, Series]:
    """Shares of one core: the server's, PostgreSQL's."""
    port = int(server.url.rpartition(":")[2])
    everybody = [asyncio.create_task(provider(port, n)) for n in range(1, PROVIDERS + 1)]
    everybody += [asyncio.create_task(console(port)) for _ in range(CONSOLES)]
    shares: list[tuple[float, float]] = []
    try:
        await asyncio.sleep(WARM_UP_S)
        for _ in range(ROUNDS):
            shares.append(await asyncio.gather(share([server.process.pid]), share(children(postmaster))))
            for one in everybody:
                if one.done():
                    one.result()
    finally:
        for one in everybody:
            one.cancel()
        await asyncio.gather(*everybody, return_exceptions=True)
    ours, theirs = zip(*shares, strict=True)
    return Series(ours), Series(theirs)


def main() -> None:
    with ExitStack() as stack:
        database = start(stack)
        name = database.new_database()
        server = start_server(stack, Path(database.folder).parent, database.url(name))
        add_providers(database, name)
        ours, theirs = asyncio.run(measure(server, database.process.pid))
    print(f"\n{PROVIDERS:,} providers beat each {BEAT_S:g} s ({QUEUES_EACH} queues each), {CONSOLES} consoles listen")
    for who, series in (("inkeeper-server", ours), ("its PostgreSQL", theirs)):
        low, high = min(series.values), max(series.values)
        print(f"  {who}  {statistics.median(series.values):.1%} ({low:.1%}-{high:.1%}) of one core")
    print(f"  (aim: the server at most {AIM:.0%})", flush=True)


if __name__ == "__main__":
    main()
