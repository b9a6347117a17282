"""A TCP proxy that can be cut, frozen, or told to cut exactly around a PostgreSQL COMMIT.

A network fails at any byte, and the worst moment is between a COMMIT and its answer: the client cannot know what
happened. `cut_before_commit` loses the COMMIT itself, `cut_after_commit` loses only the answer to it. The proxy reads
PostgreSQL's messages for that (protocol 3.0, "Message Formats"), prepared and pipelined ones too. It lives in a thread
of its own, so that plain and asynchronous tests use it alike.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from tests.support.processes import Failed, wait_until

COMMIT_DONE = b"C\x00\x00\x00\x0bCOMMIT\x00"  # CommandComplete for a COMMIT
NO_TYPE_BYTE = (196608, 80877102, 80877103, 80877104)  # start-up, cancel, SSL and GSS requests
Plan = Literal["", "before-commit", "after-commit"]


class FrontendReader:
    """Cuts the client's bytes into messages and knows which one commits. It keeps what is incomplete."""

    def __init__(self) -> None:
        self._buffer = b""
        self._started = False
        self._committing: set[bytes] = set()

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """The messages that are now complete, each with whether it starts a COMMIT."""
        self._buffer += data
        messages = []
        while (size := self._size()) and len(self._buffer) >= size:
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            messages.append((message, self._commits(message)))
        return messages

    def _size(self) -> int:
        """Bytes of the message at the front of the buffer; 0 while that is not known."""
        lead = 1 if self._started else 0
        if len(self._buffer) < lead + 4:
            return 0
        return lead + int(struct.unpack_from("!i", self._buffer, lead)[0])

    def _commits(self, message: bytes) -> bool:
        if not self._started:
            code = struct.unpack_from("!i", message, 4)[0] if len(message) >= 8 else 0
            self._started = code == NO_TYPE_BYTE[0]
            return False
        kind, body = message[:1], message[5:]
        if kind == b"Q":
            return _is_commit(body.rstrip(b"\0"))
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            (self._committing.add if _is_commit(text) else self._committing.discard)(name)
            return False
        if kind == b"B":
            _portal, name, _ = body.split(b"\0", 2)
            return name in self._committing
        return False


def _is_commit(text: bytes) -> bool:
    return text.strip().rstrip(b";").upper() in (b"COMMIT", b"END")


class _Link:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: "TcpProxy",
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client_in, self._client_out = client
        self._server_in, self._server_out = server
        self._frontend = FrontendReader()
        self._doomed = False

    async def run(self) -> None:
        upward = asyncio.ensure_future(self._upward())
        downward = asyncio.ensure_future(self._downward())
        try:
            await asyncio.wait((upward, downward), return_when=asyncio.FIRST_COMPLETED)
        finally:
            upward.cancel()
            downward.cancel()
            await asyncio.gather(upward, downward, return_exceptions=True)
            self.cut()

    def cut(self) -> None:
        """Both ways at once and without a farewell (RST), as a cable would."""
        for writer in (self._client_out, self._server_out):
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _upward(self) -> None:
        while data := await self._client_in.read(65536):
            await self._proxy.passing.wait()
            for message, commits in self._frontend.feed(data):
                if commits and self._proxy.fires("before-commit"):
                    return
                if commits and self._proxy.fires("after-commit"):
                    self._doomed = True
                self._server_out.write(message)
            await self._server_out.drain()

    async def _downward(self) -> None:
        answers = b""
        while data := await self._server_in.read(65536):
            await self._proxy.passing.wait()
            if self._doomed:
                answers += data
                if COMMIT_DONE in answers:
                    return
                continue
            data = self._proxy.within_allowance(data)
            self._client_out.write(data)
            await self._client_out.drain()
            if self._proxy.used_up():
                return


class TcpProxy:
    """Listens on a free port of 127.0.0.1 and passes everything to `target_port`, until told otherwise."""

    def __init__(self, target_port: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self.target_port = target_port
        self.port = 0
        self.connections_made = 0
        self.fired = threading.Event()
        self._plan: Plan = ""
        self._allowance: int | None = None
        self._refusing = False
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)
        self._ready = threading.Event()
        self.passing = asyncio.Event()

    # ------------------------------------------------ what a test says

    def freeze(self) -> None:
        """From now on nothing passes, though connections stay open: a network that swallows."""
        self._call(self.passing.clear)

    def thaw(self) -> None:
        self._call(self.passing.set)

    def cut(self) -> None:
        """End every connection there is, now; new ones are let in again."""
        self._call(self._cut_links)

    def refuse(self) -> None:
        """End every connection and let no new one in."""
        self._call(self._refuse)

    def accept(self) -> None:
        self._call(self._accept)

    def cut_before_commit(self) -> None:
        """The next COMMIT does not reach the server: its connection is cut instead. `fired` tells when."""
        self._arm("before-commit")

    def cut_after_commit(self) -> None:
        """The next COMMIT is carried out, then its connection is cut before the answer passes. `fired` tells when."""
        self._arm("after-commit")

    def cut_after_bytes(self, count: int) -> None:
        """Cut when `count` further bytes of answers have passed, in the middle of a message if that is where it is."""

        def allow() -> None:
            self.fired.clear()
            self._allowance = count

        self._call(allow)

    def retarget(self, port: int) -> None:
        """New connections go to another port (a promoted standby, say)."""
        self.target_port = port

    def start(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise Failed("the TCP proxy did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------ what a link asks; runs in the proxy's thread

    def fires(self, plan: Plan) -> bool:
        if self._plan != plan:
            return False
        self._plan = ""
        self.fired.set()
        return True

    def within_allowance(self, data: bytes) -> bytes:
        if self._allowance is None:
            return data
        passed = data[: self._allowance]
        self._allowance -= len(passed)
        return passed

    def used_up(self) -> bool:
        if self._allowance != 0:
            return False
        self._allowance = None
        self.fired.set()
        return True

    # ------------------------------------------------ inside

    def _arm(self, plan: Plan) -> None:
        def arm() -> None:
            self.fired.clear()
            self._plan = plan

        self._call(arm)

    def _call(self, action: Callable[[], None]) -> None:
        """Do it in the proxy's thread and wait until it is done."""
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        wait_until(done.is_set, 10, "the TCP proxy to obey", 0.001)

    def _cut_links(self) -> None:
        for link in tuple(self._links):
            link.cut()

    def _refuse(self) -> None:
        self._refusing = True
        self._cut_links()

    def _accept(self) -> None:
        self._refusing = False

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self.passing.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._accepted, self._host, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            self._cut_links()
            for task in self._tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
            self._loop.close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_made += 1
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server = await asyncio.open_connection(self._host, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), server)
        self._links.add(link)
        try:
            await link.run()
        except OSError:
            return  # one of the two ends went away by itself
        finally:
            self._links.discard(link)
