"""HTTP/1.1 as IPP needs it: one POST, one answer, over TCP, TLS or a unix socket.

A print server asks cupsd for every job, and this is a quarter of what a general HTTP client takes. A connection is
used once: cupsd closes idle ones when it likes, and a new one over a local socket costs less than finding out.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backend.client.names import Names
from provider.errors import CupsError

MAX_ANSWER_BYTES: Final = 8 << 20
MAX_HEADERS: Final = 100


class HttpError(CupsError):
    """This is no HTTP answer."""


@dataclass(frozen=True)
class Place:
    """Where to post: a unix socket's path, or a host and port, with TLS or without. `path` is the resource."""

    host: str = "localhost"
    port: int = 631
    path: str = "/"
    uds: str = ""
    tls: bool = False


async def post(
    place: Place, body: bytes, headers: Mapping[str, str], timeout_s: float, names: Names
) -> tuple[int, bytes]:
    """Status and body of the answer. Raises HttpError, OSError or TimeoutError."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await _connect(place, names)
        try:
            writer.write(_head(place, headers, len(body)) + body)
            await writer.drain()
            return await _read_answer(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _connect(place: Place, names: Names) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """By the first of the host's addresses that takes us. Raises the OSError of the last."""
    if place.uds:
        return await asyncio.open_unix_connection(place.uds, limit=MAX_ANSWER_BYTES)
    failure = OSError("no address")
    for address in await names.addresses(place.host):
        try:
            return await _dial(place, address)
        except OSError as error:
            failure = error
    raise failure


async def _dial(place: Place, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = None
    if place.tls:
        # Nearly all printers sign their own certificate; CUPS's backend trusts it at first sight.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    name = place.host if context is not None else None
    return await asyncio.open_connection(address, place.port, ssl=context, server_hostname=name, limit=MAX_ANSWER_BYTES)


def _head(place: Place, headers: Mapping[str, str], length: int) -> bytes:
    host = f"[{place.host}]" if ":" in place.host else place.host
    lines = [
        f"POST {place.path} HTTP/1.1",
        f"Host: {host}:{place.port}",
        f"Content-Length: {length}",
        "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    try:
        status, headers = await _read_head(reader)
        while status == 100:
            status, headers = await _read_head(reader)
        return status, await _read_body(reader, headers)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise HttpError(f"the answer is cut short or is no HTTP: {error}") from error


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first = (await reader.readuntil(b"\n")).decode("latin-1").split(None, 2)
    if len(first) < 2 or not first[0].startswith("HTTP/1.") or not first[1].isdigit():
        raise HttpError("the answer is no HTTP")
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = (await reader.readuntil(b"\n")).decode("latin-1").strip()
        if not line:
            return int(first[1]), headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise HttpError(f"the answer has more than {MAX_HEADERS} header lines")


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(_checked(int(headers["content-length"])))
    return await reader.read(MAX_ANSWER_BYTES)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        length = int((await reader.readuntil(b"\n")).split(b";")[0], 16)
        if length == 0:
            return b"".join(parts)
        size = _checked(size + length)
        parts.append(await reader.readexactly(length))
        await reader.readuntil(b"\n")


def _checked(size: int) -> int:
    if not 0 <= size <= MAX_ANSWER_BYTES:
        raise HttpError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return size
