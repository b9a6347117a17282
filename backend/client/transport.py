"""HTTP/1.1 for short questions and answers: an httpx transport that takes a tenth of the time of httpx's own.

Every print job asks a server twice, and while it does the next job wants the same processor: httpx's connection pool,
written for everything HTTP can be, cost a print server more than reading, pricing and journalling the job together.
This one sends a request whole, reads the answer whole, and keeps the connection for the next; what an answer may need
beyond that (streams, HTTP/2, proxies) stays with httpx, which `events` uses for the long ones.

Errors are httpx's, so that the caller cannot tell the difference. Invariants: a connection serves one request at a
time; one whose request was cancelled or failed is closed, never used again; a connection that the server has closed is
not picked up; no answer grows past MAX_HEAD_BYTES and MAX_BODY_BYTES.
"""

import asyncio
import ssl
import time
from typing import Final, cast

import httpx

from backend.client.names import Addresses, Names

MAX_CONNECTIONS: Final = 64
MAX_IDLE: Final = 16
IDLE_S: Final = 30.0
CONNECT_S: Final = 2.0
MAX_HEAD_BYTES: Final = 64 << 10
MAX_BODY_BYTES: Final = 64 << 20

Origin = tuple[str, str, int]


class ShortTransport(httpx.AsyncBaseTransport):
    """Connections to any number of servers. Belongs to one event loop."""

    def __init__(self, verify: ssl.SSLContext | bool = True) -> None:
        self._verify = verify
        self._context: ssl.SSLContext | None = verify if isinstance(verify, ssl.SSLContext) else None
        self._idle: dict[Origin, list[_Connection]] = {}
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)
        self._names = Names()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer with its body read. Raises httpx's TransportError and its kin."""
        async with self._room:
            connection = self._kept(request) or await self._connect(request)
            answered = False
            try:
                response = await connection.ask(request)
                answered = True
                return response
            finally:
                if answered and connection.reusable:
                    self._keep(connection)
                else:
                    connection.close()

    async def aclose(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, request: httpx.Request) -> "_Connection | None":
        """A connection to the request's server that is still open, the one used last first."""
        kept = self._idle.get(_origin(request.url), [])
        horizon_s = time.monotonic() - IDLE_S
        while kept:
            connection = kept.pop()
            if connection.reusable and connection.idle_since_s > horizon_s:
                return connection
            connection.close()
        return None

    def _keep(self, connection: "_Connection") -> None:
        connection.idle_since_s = time.monotonic()
        kept = self._idle.setdefault(connection.origin, [])
        kept.append(connection)
        if len(kept) > MAX_IDLE:
            kept.pop(0).close()

    async def _connect(self, request: httpx.Request) -> "_Connection":
        origin = _origin(request.url)
        scheme, host, _ = origin
        if scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"{scheme}: is no protocol to reach a server by", request=request)
        context = self._tls() if scheme == "https" else None
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._dial(origin, await self._names.addresses(host), context)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("the connection was not made in time", request=request) from error
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error

    async def _dial(self, origin: Origin, addresses: Addresses, context: ssl.SSLContext | None) -> "_Connection":
        """To the first of the addresses that takes it. Raises the OSError of the last."""
        _, host, port = origin
        name = host if context is not None else None
        loop = asyncio.get_running_loop()
        failure = OSError("no address")
        for address in addresses:
            try:
                _, connection = await loop.create_connection(
                    lambda: _Connection(origin), address, port, ssl=context, server_hostname=name
                )
            except OSError as error:
                failure = error
            else:
                return connection
        raise failure

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = httpx.create_ssl_context(verify=self._verify, trust_env=False)
        return self._context


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


class _Connection(asyncio.Protocol):
    """One connection: a request goes out, its answer is collected as it comes."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle_since_s = 0.0
        self.reusable = True
        self._transport: asyncio.Transport | None = None
        self._request: httpx.Request | None = None
        self._answer: asyncio.Future[httpx.Response] | None = None
        self._reader = AnswerReader()

    async def ask(self, request: httpx.Request) -> httpx.Response:
        self._request, self._reader = request, AnswerReader(request.method == "HEAD")
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            raise httpx.ReadError("the connection is closed", request=request)
        self._transport.write(_head(request) + request.content)
        return await self._answer

    def close(self) -> None:
        self.reusable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # as other event loops' transports are, but in name

    def data_received(self, data: bytes) -> None:
        try:
            if self._answer is None or self._answer.done():
                raise ValueError("bytes that nobody asked for")
            if self._reader.take(data):
                self.reusable = self.reusable and self._reader.keeps_alive
                self._answer.set_result(self._response())
        except ValueError as error:
            self._fail(httpx.RemoteProtocolError(f"the answer is no HTTP: {error}", request=self._request))

    def eof_received(self) -> None:
        self.reusable = False
        if self._reader.ends_with_connection and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._response())

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if error is not None:
            failure: httpx.TransportError = httpx.ReadError(str(error), request=self._request)
            failure.__cause__ = error
        else:
            failure = httpx.RemoteProtocolError("the server hung up without an answer", request=self._request)
        self._fail(failure)

    def _fail(self, failure: httpx.TransportError) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure)

    def _response(self) -> httpx.Response:
        reader = self._reader
        return httpx.Response(reader.status, headers=reader.headers, content=reader.body, request=self._request)


class AnswerReader:
    """The bytes of one answer, in whatever pieces they come. Pure. Raises ValueError for what is no HTTP."""

    def __init__(self, head_only: bool = False) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.keeps_alive = True
        self.ends_with_connection = False
        self._head_only = head_only
        self._data = bytearray()
        self._length: int | None = None
        self._chunked = False
        self._chunks: list[bytes] = []
        self._size = 0

    def take(self, data: bytes) -> bool:
        """Whether the answer is whole with these bytes."""
        self._data += data
        while self.status < 200:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > MAX_HEAD_BYTES:
                    raise ValueError(f"its head is longer than {MAX_HEAD_BYTES} bytes")
                return False
            self._read_head(bytes(self._data[:end]))
            del self._data[: end + 4]
        if self._chunked:
            return self._read_chunks()
        if len(self._data) > MAX_BODY_BYTES:
            raise ValueError(f"its body is longer than {MAX_BODY_BYTES} bytes")
        if self._length is None or len(self._data) < self._length:
            self.body = bytes(self._data) if self._length is None else b""
            return False
        if len(self._data) > self._length:
            raise ValueError("more bytes than it said it had")
        self.body = bytes(self._data)
        return True

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        version, status, *_ = [*first.split(None, 2), b""]
        if not version.startswith(b"HTTP/1.") or len(status) != 3 or not status.isdigit():
            raise ValueError("it does not begin with a status")
        self.status = int(status)
        if self.status < 200:
            return
        pairs = (line.partition(b":") for line in lines)
        self.headers = [(name.strip(), value.strip()) for name, _, value in pairs]
        values = {name.lower(): value for name, value in self.headers}
        option = values.get(b"connection", b"").lower()
        self.keeps_alive = option != b"close" and (version != b"HTTP/1.0" or option == b"keep-alive")
        self._chunked = values.get(b"transfer-encoding", b"").lower() == b"chunked"
        if self._head_only or self.status in (204, 304):
            self._chunked, self._length = False, 0
        elif b"content-length" in values and not self._chunked:
            self._length = _number(values[b"content-length"], 10)
        elif not self._chunked:
            self.keeps_alive, self.ends_with_connection = False, True
        if self._chunked:
            self.headers = [pair for pair in self.headers if pair[0].lower() != b"transfer-encoding"]

    def _read_chunks(self) -> bool:
        while (end := self._data.find(b"\r\n")) >= 0:
            length = _number(bytes(self._data[:end]).partition(b";")[0].strip(), 16)
            self._size += 0 if length < 0 else length
            after = end + 2 + length
            if length == 0:
                return self._read_trailer(end + 2)
            if len(self._data) < after + 2:
                self._size -= length
                return False
            self._chunks.append(bytes(self._data[end + 2 : after]))
            if self._size > MAX_BODY_BYTES:
                raise ValueError(f"its body is longer than {MAX_BODY_BYTES} bytes")
            del self._data[: after + 2]
        if len(self._data) > MAX_HEAD_BYTES:
            raise ValueError("a chunk without a length")
        return False

    def _read_trailer(self, start: int) -> bool:
        end = self._data.find(b"\r\n", start)
        while end > start:
            start, end = end + 2, self._data.find(b"\r\n", end + 2)
        if end < 0:
            return False
        self.body = b"".join(self._chunks)
        return True


def _number(text: bytes, base: int) -> int:
    """A length. Raises ValueError for anything else, a sign or a space included, and for more than is taken."""
    if not text or not all(digit in b"0123456789abcdefABCDEF"[: 10 if base == 10 else 22] for digit in text):
        raise ValueError("a length that is no number")
    length = int(text, base)
    if length > MAX_BODY_BYTES:
        raise ValueError(f"its body is longer than {MAX_BODY_BYTES} bytes")
    return length


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])
