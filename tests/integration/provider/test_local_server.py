"""The daemon's socket: many backends at once, backends that go away, peers that talk nonsense or must not be heard."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from backend.wire.jobs import JobFacts, Printing
from provider.cups_backend import inkeeper as backend
from provider.errors import CupsError
from provider.jobs.desk import Session
from provider.jobs.events import Finished, Print, Reply
from provider.jobs.model import Ask
from provider.local import protocol
from provider.local.protocol import Question
from provider.local.server import LocalServer

FIELDS = {
    "v": "1",
    "kind": "ask",
    "cups_job_id": "1",
    "user": "anna",
    "title": "t",
    "copies": "1",
    "options": "",
    "named_file": "0",
    "queue": "q",
    "device_uri": "ipp://p/",
    "content_type": "application/pdf",
    "document_bytes": "3",
    "request_root": "/spool",
    "incarnation": "1",
}


class Counter:
    """Serves every question by `reply` once `go` is set, and keeps account of who came and went."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply or Finished()
        self.go = asyncio.Event()
        self.here: set[int] = set()
        self.served = 0
        self.most = 0
        self.documents: list[bytes] = []
        self.fault: Exception | None = None
        self.analysed_at_s: float | None = None

    async def open(self, question: Question, document: int, pid: int) -> Session:
        if self.fault is not None:
            raise self.fault
        self.documents.append(os.pread(document, 100, 0))
        ask = Ask(printing=Printing(spool_id="s", cups_job_id=1, time_at_creation=1), queue="q", user_name="u")
        loop = asyncio.get_running_loop()
        session = Session(len(self.documents), ask, _no_analysis, loop.create_future(), loop.create_future())
        if self.analysed_at_s is not None:
            session.note_analysed(self.analysed_at_s)
        return session

    async def enter(self, session: Session) -> None:
        self.here.add(session.number)
        self.most = max(self.most, len(self.here))
        asyncio.get_running_loop().create_task(self._answer(session))

    async def _answer(self, session: Session) -> None:
        await self.go.wait()
        if not session.reply.done():
            session.reply.set_result(self.reply)

    def gone(self, session: Session) -> None:
        self.here.discard(session.number)
        self.served += 1

    async def status(self) -> bytes:
        return b'{"fine":true}'


async def _no_analysis() -> JobFacts:
    return JobFacts(impressions=1, sheets=1)


@contextlib.asynccontextmanager
async def listening(folder: Path, counter: Counter) -> AsyncIterator[Path]:
    server = LocalServer(folder / "s", folder, counter)
    server.listen()
    serving = asyncio.create_task(server.serve())
    try:
        yield folder / "s"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await server.close()


async def until(probe: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


def document() -> int:
    fd = os.memfd_create("document")
    os.write(fd, b"doc")
    return fd


def test_two_hundred_backends_wait_at_once_and_are_all_served(scratch: Path) -> None:
    count = 200

    async def scenario() -> None:
        counter = Counter()
        async with listening(scratch, counter) as path:
            frame, fd = backend.encode(FIELDS), document()
            waiting = []
            for _ in range(count):
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.setblocking(False)
                await asyncio.get_running_loop().sock_connect(connection, str(path))
                socket.send_fds(connection, [frame], [fd])
                waiting.append(connection)
            await until(lambda: counter.most == count, f"{counter.most} of {count} waited at once")
            counter.go.set()
            for connection in waiting:
                data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 100), 20)
                assert protocol.decode_fields(data[4:])["answer"] in ("finished", "working")
                connection.close()
            os.close(fd)
            await until(lambda: counter.served == count, "all to be served")
            assert counter.documents == [b"doc"] * count
            assert not counter.here

    asyncio.run(scenario())


def test_a_backend_is_told_that_somebody_is_at_it_and_its_end_is_noticed(scratch: Path) -> None:
    async def scenario() -> None:
        counter = Counter()
        async with listening(scratch, counter) as path:
            connection = await _ask(path)
            loop = asyncio.get_running_loop()
            data = await asyncio.wait_for(loop.sock_recv(connection, 100), 20)
            assert protocol.decode_fields(data[4:]) == {"answer": "working", "message": ""}
            connection.close()
            await until(lambda: counter.served == 1, "the end to be noticed")

    asyncio.run(scenario())


def test_a_backend_whose_document_has_been_looked_at_is_told_how_long_it_waits_at_most(scratch: Path) -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.analysed_at_s = time.monotonic()
        async with listening(scratch, counter) as path:
            connection = await _ask(path)
            loop = asyncio.get_running_loop()
            data = await asyncio.wait_for(loop.sock_recv(connection, 100), 20)
            told = protocol.decode_fields(data[4:])
            assert 0 <= float(told.pop("decided_in")) <= protocol.DECIDED_S
            assert told == {"answer": "working"}
            counter.go.set()
            data = await asyncio.wait_for(loop.sock_recv(connection, 100), 20)
            assert protocol.decode_fields(data[4:]) == {"answer": "finished"}
            connection.close()

    asyncio.run(scenario())


def test_a_permission_lasts_until_the_backend_says_that_its_run_is_over(scratch: Path) -> None:
    async def scenario() -> None:
        counter = Counter(Print("j", "j.1", 1, 1, 1, "7.9", offline=False))
        counter.go.set()
        async with listening(scratch, counter) as path:
            connection = await _ask(path)
            loop = asyncio.get_running_loop()
            data = await asyncio.wait_for(loop.sock_recv(connection, 1000), 20)
            assert protocol.decode_fields(data[4:])["runs"] == str(scratch)
            assert counter.here
            await loop.sock_sendall(connection, backend.encode({"v": "1", "kind": "ended", "job_id": "j"}))
            await until(lambda: counter.served == 1, "the end to be heard")
            connection.close()

    asyncio.run(scenario())


async def _ask(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, str(path))
    fd = document()
    socket.send_fds(connection, [backend.encode(FIELDS)], [fd])
    os.close(fd)
    return connection


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (backend.encode({"v": "9", "kind": "ask"}), "run `inkeeper-provider track`"),
        (backend.encode(FIELDS), "a question without its document"),
        (b"\xff\xff\xff\xff", "longer than"),
        (backend.encode({"v": "1", "kind": "ended", "job_id": "j"}), "belongs on the connection"),
    ],
)
def test_nonsense_is_answered_in_words_and_harms_nobody(scratch: Path, sent: bytes, words: str) -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.go.set()
        async with listening(scratch, counter) as path:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(sent)
            data = await asyncio.wait_for(reader.read(1000), 20)
            writer.close()
            told = protocol.decode_fields(data[4:])
            assert told["answer"] == "wait"
            assert words in told["message"]
            for garbage in (b"", b"\x00", b"\x00\x00\x00\x05ab"):
                _, writer = await asyncio.open_unix_connection(str(path))
                writer.write(garbage)
                writer.close()
            connection = await _ask(path)
            await until(lambda: counter.served == 1, "the next backend to be served")
            connection.close()

    asyncio.run(scenario())


def test_a_fault_on_our_side_lets_the_backend_wait_with_the_reason(scratch: Path) -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.fault = CupsError("cupsd does not tell when job 1 was created")
        async with listening(scratch, counter) as path:
            connection = await _ask(path)
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 1000), 20)
            connection.close()
            assert protocol.decode_fields(data[4:])["message"] == "cupsd does not tell when job 1 was created"

    asyncio.run(scenario())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_only_root_and_our_own_user_are_heard(scratch: Path) -> None:
    asker = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "sys.stdout.buffer.write(s.recv(1000))"  # it is told before it has asked anything
    )

    async def scenario() -> bytes:
        async with listening(scratch, Counter()) as path:
            words = [sys.executable, "-c", asker, str(path)]
            done = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=30, check=False)
            return done.stdout

    assert protocol.decode_fields(asyncio.run(scenario())[4:]) == {"answer": "refused", "message": "only for root"}


def test_a_stale_socket_is_replaced_and_the_status_is_told(scratch: Path) -> None:
    (scratch / "s").touch()

    async def scenario() -> bytes:
        async with listening(scratch, Counter()) as path:
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(protocol.encode_status_question())
            data = await asyncio.wait_for(reader.read(1000), 20)
            writer.close()
            return data

    assert protocol.decode_fields(asyncio.run(scenario())[4:])["body"] == '{"fine":true}'


def test_a_socket_that_was_cleared_away_is_made_again(scratch: Path) -> None:
    async def scenario() -> None:
        counter = Counter()
        counter.go.set()
        async with listening(scratch, counter) as path:
            path.unlink()
            await until(path.exists, "the socket to be there again")
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(protocol.encode_status_question())
            length = protocol.frame_length(await reader.readexactly(4))
            assert b"fine" in await reader.readexactly(length)
            writer.close()
            await writer.wait_closed()

    asyncio.run(scenario())


def test_a_session_that_begins_just_as_its_backend_hangs_up_is_gone(scratch: Path) -> None:
    """One that was foreseen is under way already: were it lost here, its job would wait for that backend for ever."""

    async def scenario() -> None:
        counter = Counter()
        counter.here.add(1)  # as a foreseen session is, before anybody asks
        async with listening(scratch, counter) as path:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                asking.connect(str(path))
                frame = backend.encode(FIELDS)
                descriptor = document()
                socket.send_fds(asking, [frame], [descriptor])
                os.close(descriptor)
            await until(lambda: counter.served == 1, "the session to be gone")
            assert counter.here == set()

    asyncio.run(scenario())
