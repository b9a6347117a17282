"""The short-call transport against sockets: kept connections, servers that hang up, lie or go silent, and TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from backend.client.client import ApiClient
from backend.client.errors import NoServer
from backend.client.transport import ShortTransport
from backend.wire.printers import MemberList
from tests.support.processes import Process, free_port, run

LIST = MemberList(generation=1, members=())
BODY = msgspec.json.encode(LIST)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Peer:
    """Answers each request on a connection with the next of `answers`; b"" hangs up."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if not answer:
                    return
            await reader.read()
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.transport.abort()


def with_peer(peer: Peer, work: Callable[[str], Awaitable[object]]) -> None:
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(peer.serve(reader, writer)))

    async def serve_it() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with asyncio.timeout(60):
                await work(f"http://127.0.0.1:{port}")
                await asyncio.gather(*serving)

    asyncio.run(serve_it())


async def members(client: ApiClient, timeout_s: float = 10) -> MemberList:
    return await client.call("GET", "members", None, MemberList, timeout_s=timeout_s)


def test_one_connection_serves_many_calls() -> None:
    peer = Peer(*[OK] * 5)

    async def work(url: str) -> None:
        client = ApiClient([url], "secret")
        for _ in range(5):
            assert await members(client) == LIST
        await client.aclose()

    with_peer(peer, work)
    assert peer.connections == 1
    assert all(b"GET /api/v1/members HTTP/1.1\r\n" in head for head in peer.heads)
    assert all(b"authorization: bearer secret\r\n" in head.lower() for head in peer.heads)
    assert all(head.lower().count(b"\r\nhost: 127.0.0.1:") == 1 for head in peer.heads)


def test_a_kept_connection_that_the_server_hangs_up_on_is_replaced() -> None:
    peer = Peer(OK, b"", OK)

    async def work(url: str) -> None:
        client = ApiClient([url], "")
        await members(client)
        await members(client)
        await client.aclose()

    with_peer(peer, work)
    assert peer.connections == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"220 mail.example.org ESMTP\r\n\r\n", "no HTTP"), (b"", "closed the connection")],
)
def test_what_does_not_answer_as_a_server_does_is_said(answer: bytes, words: str) -> None:
    peer = Peer(answer, answer)

    async def work(url: str) -> None:
        client = ApiClient([url], "")
        with pytest.raises(NoServer) as caught:
            await members(client)
        assert words in str(caught.value) or "closed the connection" in str(caught.value)
        await client.aclose()

    with_peer(peer, work)


def test_a_call_that_was_given_up_does_not_leave_its_answer_to_the_next() -> None:
    late = Peer(OK)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late.connections += 1
        first = late.connections == 1
        await reader.readuntil(b"\r\n\r\n")
        if not first:
            writer.write(OK)
        await reader.read()  # until the caller closes it: the first, since it gave it up
        writer.transport.abort()

    late.serve = serve  # type: ignore[method-assign]

    async def work(url: str) -> None:
        transport = ShortTransport()
        request = httpx.Request("GET", f"{url}/x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await transport.handle_async_request(request)
        assert (await transport.handle_async_request(request)).content == BODY
        await transport.aclose()

    with_peer(late, work)
    assert late.connections == 2


def test_a_port_where_nobody_listens_is_a_refused_connection() -> None:
    async def work(url: str) -> None:
        with pytest.raises(NoServer, match="cannot be reached"):
            await members(ApiClient(["http://127.0.0.1:9"], ""))

    with_peer(Peer(), work)


def test_tls_is_spoken_and_a_stranger_is_not_asked(tmp_path: Path) -> None:
    port, certificate = free_port(), self_signed(tmp_path)
    url = f"https://127.0.0.1:{port}"
    words: list[str | Path] = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-www"]
    server = Process("openssl", words, log=tmp_path / "log")
    try:
        server.start()
        server.wait_for_port(port)
        with pytest.raises(NoServer, match=r"(?i)certificate"):
            asyncio.run(members(ApiClient([url], "")))
        trusting = ShortTransport(ssl.create_default_context(cafile=str(certificate)))
        answer = asyncio.run(trusting.handle_async_request(httpx.Request("GET", url)))
        assert b"s_server" in answer.content
    finally:
        server.stop()


def self_signed(folder: Path) -> Path:
    """A certificate of 127.0.0.1 and its key in one file."""
    path = folder / "server.pem"
    words: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    words += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    run([*words, "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"])
    path.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return path
