"""The daemon's unix socket: backends ask here, and `inkeeper-provider status`.

A connection is one question and lives as long as the backend does, so that its end is known at once. While the
answer is being found the backend is told that somebody is at it. Only root and this process's own user are heard:
who may ask here may charge anybody.
"""

import array
import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from provider.errors import ProviderError
from provider.jobs.desk import Session
from provider.jobs.events import Print, Reply, Wait
from provider.local import protocol
from provider.local.protocol import ProtocolError, Question, RunOver, StatusAsked

MAX_CONNECTIONS: Final = 512
FIRST_FRAME_S: Final = 10.0
SEND_S: Final = 10.0
LOOK_S: Final = 1.0  # how often it is looked whether the socket is there
_HEADER: Final = 4

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Counter(Protocol):
    """Who serves the questions."""

    async def open(self, question: Question, document: int, pid: int) -> Session: ...

    async def enter(self, session: Session) -> None: ...

    def gone(self, session: Session) -> None: ...

    async def status(self) -> bytes: ...


class LocalServer:
    """Listens at `path` and hands each question to `counter`."""

    def __init__(self, path: Path, runs_dir: Path, counter: Counter) -> None:
        self._path = path
        self._runs_dir = runs_dir
        self._counter = counter
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._users = {0, os.geteuid()}

    def listen(self) -> None:
        """Take the socket's place; whoever holds the state folder's lock may. Raises OSError."""
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        draft = self._path.with_name(f".{os.getpid() % 1000}.s")
        draft.unlink(missing_ok=True)
        listener.bind(str(draft))
        draft.chmod(0o666)  # who may ask is decided by who it is, not by the file's mode
        listener.listen(MAX_CONNECTIONS)
        listener.setblocking(False)
        draft.rename(self._path)  # a backend finds the old socket or the new one, never none
        self._listener = listener

    async def serve(self) -> None:
        """Accept connections for ever, at a new socket where somebody has cleared the old one away."""
        while True:
            listener = self._listener
            if listener is None:
                raise ValueError("listen() comes before serve()")
            accepting = asyncio.create_task(self._accept(listener))
            try:
                while not self._is_gone():
                    await asyncio.wait([accepting], timeout=LOOK_S)
                    if accepting.done():
                        accepting.result()
            finally:
                accepting.cancel()
                await asyncio.gather(accepting, return_exceptions=True)
            _log.warning("%s was removed: listening there anew", self._path)
            await self._listen_again()
            listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            connection.setblocking(False)
            task = loop.create_task(self._handle(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_gone(self) -> bool:
        """Not where another has its socket there: two would take it from each other for ever."""
        return not os.path.lexists(self._path)

    async def _listen_again(self) -> None:
        trouble = 0
        while True:
            try:
                self.listen()
                return
            except OSError as error:
                if error.errno != trouble:
                    _log.error("%s cannot be made: %s", self._path, error.strerror)
                trouble = error.errno or 0
                await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Stop listening and hang up on everybody; they ask again."""
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _handle(self, connection: socket.socket) -> None:
        with connection:
            try:
                pid, uid = _peer(connection)
                if uid not in self._users:
                    await _send(connection, protocol.encode_frame({"answer": "refused", "message": "only for root"}))
                    return
                body, document = await asyncio.wait_for(_receive_first(connection), FIRST_FRAME_S)
                await self._dispatch(connection, body, document, pid)
            except ProtocolError as error:
                _log.error("a local question cannot be understood: %s", error)
                reply = protocol.encode_reply(Wait(str(error), 5.0), "")
                with contextlib.suppress(OSError, TimeoutError):
                    await _send(connection, reply)
            except (OSError, TimeoutError, EOFError) as error:
                _log.debug("a local connection ended: %s", error)

    async def _dispatch(self, connection: socket.socket, body: bytes, document: int | None, pid: int) -> None:
        try:
            match protocol.decode_request(body):
                case StatusAsked():
                    await _send(connection, protocol.encode_status(await self._counter.status()))
                case RunOver():
                    raise ProtocolError("the end of a run belongs on the connection that permitted it")
                case Question() as question:
                    if document is None:
                        raise ProtocolError("a question without its document")
                    if len(self._tasks) > MAX_CONNECTIONS:
                        await _send(connection, protocol.encode_reply(Wait("too many jobs ask at once", 2.0), ""))
                        return
                    await self._serve_question(connection, question, document, pid)
        finally:
            if document is not None:
                os.close(document)

    async def _serve_question(self, connection: socket.socket, question: Question, document: int, pid: int) -> None:
        opening = asyncio.ensure_future(self._counter.open(question, document, pid))
        try:
            session = await _while_working(connection, opening)
        except ProviderError as error:
            await _send(connection, protocol.encode_reply(Wait(str(error), 2.0), ""))
            return
        try:
            await _while_working(connection, asyncio.ensure_future(self._counter.enter(session)))
            reply = await _decision(connection, session)
            await _send(connection, protocol.encode_reply(reply, str(self._runs_dir)))
            if isinstance(reply, Print):
                await _until_over(connection)
        finally:
            self._counter.gone(session)


async def _decision(connection: socket.socket, session: Session) -> Reply:
    """The reply; once the document has been looked at, the backend is told how long it will wait for it at most."""
    either: set[asyncio.Future[Any]] = {session.reply, session.analysed_at_s}
    looking = asyncio.ensure_future(asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED))
    await _while_working(connection, looking)
    if not session.reply.done():
        left_s = session.analysed_at_s.result() + protocol.DECIDED_S - time.monotonic()
        await _send(connection, protocol.encode_decided_in(left_s))
    return await _while_working(connection, session.reply)


async def _while_working(connection: socket.socket, wanted: "asyncio.Future[T]") -> T:
    """What is awaited, telling the backend all the while that somebody is at it. Raises EOFError when it hangs up
    before that is there: what is there is handed over in any case, since a session that nobody has is never `gone`."""
    ended = asyncio.ensure_future(_receive_some(connection, 1))
    try:
        while not wanted.done():
            both: set[asyncio.Future[Any]] = {wanted, ended}
            await asyncio.wait(both, timeout=protocol.WORKING_S, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                break
            if ended.done():
                raise EOFError("the backend hung up")
            await _send(connection, protocol.encode_working())
        return wanted.result()
    finally:
        wanted.cancel()
        ended.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await ended


async def _until_over(connection: socket.socket) -> None:
    """Until the backend says that its run is over, or is gone."""
    await _receive_some(connection, 1)


async def _receive_some(connection: socket.socket, count: int) -> bytes:
    return await asyncio.get_running_loop().sock_recv(connection, count)


async def _receive_first(connection: socket.socket) -> tuple[bytes, int | None]:
    """The first frame's body and the descriptor that came with it."""
    data, document = await _receive_with_descriptor(connection)
    try:
        while len(data) < _HEADER:
            data += await _more(connection, _HEADER - len(data))
        length = protocol.frame_length(data[:_HEADER])
        while len(data) < _HEADER + length:
            data += await _more(connection, _HEADER + length - len(data))
        if len(data) > _HEADER + length:
            raise ProtocolError("more than one frame in a question")
    except BaseException:
        if document is not None:
            os.close(document)
        raise
    return data[_HEADER:], document


async def _more(connection: socket.socket, count: int) -> bytes:
    data = await _receive_some(connection, count)
    if not data:
        raise EOFError("the peer hung up in the middle of a frame")
    return data


async def _receive_with_descriptor(connection: socket.socket) -> tuple[bytes, int | None]:
    descriptors = array.array("i")
    size = socket.CMSG_SPACE(4 * descriptors.itemsize)
    data, ancillary = await _when_readable(connection, lambda: connection.recvmsg(1 << 16, size)[:2])
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    for surplus in descriptors[1:]:
        os.close(surplus)
    return data, descriptors[0] if descriptors else None


async def _when_readable(connection: socket.socket, read: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    while True:
        try:
            return read()
        except BlockingIOError:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_reader(connection, _set, ready)
            try:
                await ready
            finally:
                loop.remove_reader(connection)


def _set(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def _send(connection: socket.socket, frame: bytes) -> None:
    """Raises TimeoutError when the backend does not take it: it was stopped, and may ask again."""
    await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(connection, frame), SEND_S)


def _peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid), int(uid)
