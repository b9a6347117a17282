"""Backends that are seen starting: told of as they are, served before they ask, and let go when they do not come."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from backend.wire.jobs import JobFacts, Printing
from provider import foreseen
from provider.cups.starts import BackendStarts, Start
from provider.errors import CupsError
from provider.foreseen import Early, Foreseen
from provider.jobs.desk import Session
from provider.jobs.model import Ask
from provider.local.protocol import Question

QUESTION = Question(
    cups_job_id=1,
    user="anna",
    title="t",
    copies=1,
    options="",
    queue="q",
    device_uri="ipp://p/",
    content_type="application/pdf",
    document_bytes=3,
    request_root="/spool",
    incarnation="1.1",
    named_file=True,
)


async def until(probe: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not probe():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------- seeing them start


@contextlib.asynccontextmanager
async def watching(launcher: Path) -> AsyncIterator[list[Start]]:
    seen: list[Start] = []
    watched = BackendStarts(launcher, lambda: [os.getpid()], seen.append)
    watched.watch()
    watched.watch()
    try:
        yield seen
    finally:
        watched.close()


def launcher_in(folder: Path) -> Path:
    """A backend that waits for its input to end, started as ours is: by a first line that names an interpreter."""
    launcher = folder / "backend" / "inkeeper"
    launcher.parent.mkdir()
    launcher.write_text("#!/usr/bin/python3 -IS\nimport sys\nsys.stdin.read()\n")
    launcher.chmod(0o700)
    return launcher


def start(launcher: Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    environ = {"PRINTER": "q", "DEVICE_URI": "inkeeper:/ipp://u:secret@p/x", "CUPS_REQUESTROOT": "/spool"}
    environ |= {"CONTENT_TYPE": "text/plain", "FINAL_CONTENT_TYPE": "application/pdf", "PPD": "/ppd/q.ppd"}
    return subprocess.Popen([launcher, *arguments], stdin=subprocess.PIPE, env=environ)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.communicate(timeout=60)


def test_a_backend_is_told_of_with_what_it_will_ask(tmp_path: Path) -> None:
    launcher, document = launcher_in(tmp_path), tmp_path / "d00012-001"
    document.write_bytes(b"%PDF")

    async def scenario() -> None:
        async with watching(launcher) as seen:
            process = start(launcher, "12", "anna", "title\nof two lines", "2", "sides=one-sided", document)
            await until(lambda: seen, "the start to be seen")
            other = start(launcher, "13", "anna", "its document comes by stdin", "1", "")
            third = start(launcher, "14", "bert", "t", "1", "", document)
            await until(lambda: len(seen) == 2, "the third to be seen")
            for started in (process, other, third):
                await asyncio.to_thread(end, started)
            assert [one.pid for one in seen] == [process.pid, third.pid]
            told = seen[0].question
            assert (told.cups_job_id, told.title, told.copies) == (12, "title\nof two lines", 2)
            assert (told.device_uri, told.content_type) == ("ipp://p/x", "application/pdf")
            assert (told.document_bytes, told.named_file, seen[0].document) == (4, True, document)
            assert told.incarnation.startswith(f"{os.getpid()}.")

    asyncio.run(scenario())


def test_only_children_of_cupsd_are_looked_at(tmp_path: Path) -> None:
    launcher, document = launcher_in(tmp_path), tmp_path / "d00012-001"
    document.write_bytes(b"%PDF")

    async def scenario() -> None:
        async with watching(launcher) as seen:
            stranger = start(Path("/bin/sh"), "-c", '"$@"; true', "sh", launcher, "11", "eve", "x", "1", "", document)
            process = start(launcher, "12", "anna", "t", "1", "", document)
            await until(lambda: seen, "the start to be seen")
            for started in (process, stranger):
                await asyncio.to_thread(end, started)
            assert [one.question.cups_job_id for one in seen] == [12]

    asyncio.run(scenario())


def test_a_folder_that_is_not_there_yet_is_watched_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = tmp_path / "backend" / "inkeeper"
        seen: list[Start] = []
        watched = BackendStarts(launcher, lambda: [os.getpid()], seen.append)
        watched.watch()
        document = tmp_path / "d"
        document.write_bytes(b"x")
        launcher_in(tmp_path)
        watched.watch()
        process = start(launcher, "1", "u", "t", "1", "", document)
        await until(lambda: seen, "the start to be seen")
        await asyncio.to_thread(end, process)
        watched.close()

    asyncio.run(scenario())


# ---------------------------------------------------------------- what comes of it


class Office:
    """Begins sessions and keeps account of them."""

    def __init__(self) -> None:
        self.begun: list[Session] = []
        self.entered: list[int] = []
        self.gone: list[int] = []
        self.go = asyncio.Event()
        self.fault: CupsError | None = None
        self.go.set()
        self.right = True
        self.foreseen = Foreseen(self.begin, self.enter, lambda session: self.gone.append(session.number))

    async def begin(self, question: Question, document: int) -> Early:
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        assert os.pread(document, 3, 0) == b"doc"
        ask = Ask(printing=Printing(spool_id="s", cups_job_id=1, time_at_creation=1), queue="q", user_name="u")
        loop = asyncio.get_running_loop()
        self.begun.append(Session(len(self.begun), ask, _no_analysis, loop.create_future(), loop.create_future()))
        return Early(self.begun[-1], self.is_right)

    async def is_right(self) -> bool:
        return self.right

    async def enter(self, session: Session) -> None:
        self.entered.append(session.number)


async def _no_analysis() -> JobFacts:
    return JobFacts(impressions=1, sheets=1)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "d00001-001"
    path.write_bytes(b"doc")
    return path


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_backend_that_comes_is_given_the_session_that_was_begun(document: Path) -> None:
    async def scenario() -> None:
        office = Office()
        office.go.clear()
        office.foreseen.note(Start(7, QUESTION, document))
        office.foreseen.note(Start(7, QUESTION, document))
        with opened(document) as fd:
            claim = asyncio.ensure_future(office.foreseen.claim(7, QUESTION, fd))
            await asyncio.sleep(0)
            office.go.set()
            session = await claim
            assert session is office.begun[0]
            assert await office.foreseen.claim(7, QUESTION, fd) is None  # once
        assert (len(office.begun), office.entered, office.gone) == (1, [0], [])
        await office.foreseen.close()

    asyncio.run(scenario())


def test_a_job_that_is_not_what_was_guessed_is_begun_anew(document: Path) -> None:
    async def scenario() -> None:
        office = Office()
        office.right = False
        office.foreseen.note(Start(7, QUESTION, document))
        with opened(document) as fd:
            assert await office.foreseen.claim(7, QUESTION, fd) is None
        assert (office.entered, office.gone) == ([0], [0])
        await office.foreseen.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["another process", "another question", "another file"])
def test_who_asks_anything_else_gets_nothing_of_it(document: Path, tmp_path: Path, what: str) -> None:
    async def scenario() -> None:
        office = Office()
        office.foreseen.note(Start(7, QUESTION, document))
        await until(lambda: office.entered, "the session to be begun")
        pid, question, path = 7, QUESTION, document
        match what:
            case "another process":
                pid = 8
            case "another question":
                question = msgspec.structs.replace(QUESTION, copies=2)
            case _:
                path = tmp_path / "other"
                path.write_bytes(b"doc")
        with opened(path) as fd:
            assert await office.foreseen.claim(pid, question, fd) is None
        assert office.gone == ([] if pid == 8 else [0])
        await office.foreseen.close()

    asyncio.run(scenario())


def test_a_backend_that_does_not_come_is_gone(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreseen, "COME_S", 0.05)

    async def scenario() -> None:
        office = Office()
        office.foreseen.note(Start(7, QUESTION, document))
        await until(lambda: office.gone, "it to be given up")
        assert (office.entered, office.gone) == ([0], [0])
        office.go.clear()
        office.foreseen.note(Start(8, QUESTION, document))  # given up before it was even begun
        await until(lambda: not office.foreseen._entries, "it to be given up")
        await office.foreseen.close()
        assert (office.entered, office.gone) == ([0], [0])

    asyncio.run(scenario())


def test_what_cannot_be_begun_is_asked_for_again(document: Path) -> None:
    async def scenario() -> None:
        office = Office()
        office.fault = CupsError("cupsd is busy")
        office.foreseen.note(Start(7, QUESTION, document))
        office.foreseen.note(Start(9, QUESTION, document.with_name("missing")))
        with opened(document) as fd:
            assert await office.foreseen.claim(7, QUESTION, fd) is None
            assert await office.foreseen.claim(9, QUESTION, fd) is None
        assert (office.begun, office.gone) == ([], [])
        await office.foreseen.close()

    asyncio.run(scenario())


def test_a_backend_that_hangs_up_while_it_waits_leaves_nothing_behind(document: Path) -> None:
    async def scenario() -> None:
        office = Office()
        office.go.clear()
        office.foreseen.note(Start(7, QUESTION, document))
        with opened(document) as fd:
            claim = asyncio.ensure_future(office.foreseen.claim(7, QUESTION, fd))
            await asyncio.sleep(0)
            claim.cancel()
            await asyncio.gather(claim, return_exceptions=True)
        assert (office.begun, office.gone) == ([], [])
        await office.foreseen.close()

    asyncio.run(scenario())
