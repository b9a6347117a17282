"""Worker processes: their answers, and what becomes of a document when one hangs, is killed or has no memory."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from backend.wire.jobs import JobFacts
from provider.analysis.ticket import AnalysisRequest
from provider.analysis.worker import Analyser
from tests.support.documents import GREY, RED, Page, endless_pdf, text_lines, write_pdf
from tests.support.processes import wait_until

TIMEOUT_S = 30.0
PLAIN = AnalysisRequest()


@asynccontextmanager
async def analyser(workers: int = 1, **options: object) -> AsyncIterator[Analyser]:
    made = Analyser(workers=workers, **options)  # type: ignore[arg-type]
    await made.start()
    try:
        yield made
    finally:
        await made.close()
        assert made.pids == ()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_pdf(tmp_path / "small.pdf", [GREY, RED])


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless.pdf"
    path.write_bytes(endless_pdf())
    return path


def has_ended(pid: int) -> bool:
    """True once nothing runs under that id any more; a zombie does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def processor_time_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) / os.sysconf("SC_CLK_TCK")


def is_working(pid: int) -> bool:
    """Whether it has used more of the processor than to start takes, so that it is in the midst of a document."""
    return processor_time_s(pid) > 1.2


async def until_working(pid: int) -> None:
    await asyncio.to_thread(
        wait_until, lambda: is_working(pid), TIMEOUT_S, f"process {pid} to be in the midst of a page"
    )


def test_facts_of_many_at_once(small: Path) -> None:
    async def run() -> list[JobFacts]:
        async with analyser(workers=2) as it:
            with opened(small) as descriptor:
                os.lseek(descriptor, 3, os.SEEK_SET)
                jobs = (it.analyse(descriptor, AnalysisRequest(copies=n + 1), TIMEOUT_S) for n in range(40))
                answers = await asyncio.gather(*jobs)
                assert os.lseek(descriptor, 0, os.SEEK_CUR) == 3  # left as it was
                return answers

    answers = asyncio.run(run())
    assert [facts.impressions for facts in answers] == [2 * (n + 1) for n in range(40)]
    assert [facts.color_impressions for facts in answers] == [n + 1 for n in range(40)]
    assert not any(facts.estimated for facts in answers)


def test_the_loop_goes_on_while_a_document_is_looked_at(endless: Path) -> None:
    async def run() -> tuple[int, JobFacts]:
        async with analyser() as it:
            with opened(endless) as descriptor:
                task = asyncio.create_task(it.analyse(descriptor, PLAIN, 1.0))
                turns = 0
                while not task.done():
                    await asyncio.sleep(0.001)
                    turns += 1
                return turns, await task

    turns, facts = asyncio.run(run())
    assert turns > 10
    assert facts.estimated


def test_a_page_that_never_ends_costs_its_colour_and_not_the_count(endless: Path, small: Path) -> None:
    async def run() -> None:
        async with analyser() as it:
            (first,) = it.pids
            with opened(endless) as descriptor:
                facts = await it.analyse(descriptor, AnalysisRequest(copies=7), 1.0)
            assert (facts.impressions, facts.color_impressions, facts.estimated) == (7, 7, True)
            assert "did not end" in facts.estimate_reason
            with opened(small) as descriptor:
                facts = await it.analyse(descriptor, PLAIN, TIMEOUT_S)
            assert (facts.impressions, facts.estimated) == (2, False)
            assert it.pids != (first,)
            assert has_ended(first)

    asyncio.run(run())


def test_kill_9_of_an_idle_worker_is_not_noticed(small: Path) -> None:
    async def run() -> None:
        async with analyser() as it:
            with opened(small) as descriptor:
                for _ in range(3):
                    os.kill(it.pids[0], signal.SIGKILL)
                    facts = await it.analyse(descriptor, PLAIN, TIMEOUT_S)
                    assert (facts.impressions, facts.color_impressions, facts.estimated) == (2, 1, False)

    asyncio.run(run())


def test_kill_9_in_the_midst_of_a_document_is_made_good(tmp_path: Path) -> None:
    lines = {color: f"{color} {text_lines(45, 1)}" for color in ("1 0 0 rg", "0 g")}
    path = write_pdf(tmp_path / "long.pdf", [Page(content=content) for content in lines.values()] * 400)

    async def run() -> JobFacts:
        async with analyser() as it:
            with opened(path) as descriptor:
                pid, idle_s = it.pids[0], processor_time_s(it.pids[0])
                task = asyncio.create_task(it.analyse(descriptor, PLAIN, TIMEOUT_S))
                busy = partial(
                    wait_until, lambda: processor_time_s(pid) > idle_s + 0.1, TIMEOUT_S, "the worker to be busy"
                )
                await asyncio.to_thread(busy)
                assert not task.done()
                os.kill(pid, signal.SIGKILL)
                return await task

    facts = asyncio.run(run())
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (800, 400, False)


def test_a_document_that_kills_every_worker_is_estimated_from_what_was_counted(endless: Path, small: Path) -> None:
    async def run() -> None:
        async with analyser() as it:
            with opened(endless) as descriptor:
                task = asyncio.create_task(it.analyse(descriptor, AnalysisRequest(copies=2), TIMEOUT_S))
                killed: set[int] = set()
                while not task.done():
                    for pid in set(it.pids) - killed:
                        await until_working(pid)
                        os.kill(pid, signal.SIGKILL)
                        killed.add(pid)
                        if len(killed) == 2:
                            break
                    await asyncio.sleep(0.01)
                facts = await task
            assert (facts.impressions, facts.estimated) == (2, True)
            assert len(killed) == 2
            with opened(small) as descriptor:
                assert (await it.analyse(descriptor, PLAIN, TIMEOUT_S)).impressions == 2

    asyncio.run(run())


def test_busy_workers_make_others_wait_only_so_long(endless: Path, small: Path) -> None:
    async def run() -> None:
        async with analyser(wait_s=0.3) as it:
            with opened(endless) as descriptor, opened(small) as other:
                first = asyncio.create_task(it.analyse(descriptor, PLAIN, TIMEOUT_S))
                await until_working(it.pids[0])
                facts = await it.analyse(other, PLAIN, TIMEOUT_S)
                assert (facts.impressions, facts.estimated, facts.document_format) == (1, True, "application/pdf")
                assert "busy" in facts.estimate_reason
                await it.close()
                assert (await first).estimated

    asyncio.run(run())


def test_memory_is_limited(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "hungry.pdf"
    path.write_bytes(endless_pdf(6, 60))

    async def run() -> None:
        async with analyser(memory_allowance_bytes=64 << 20) as it:
            with opened(path) as descriptor:
                facts = await it.analyse(descriptor, PLAIN, 60.0)
            assert (facts.impressions, facts.estimated) == (1, True)
            with opened(small) as descriptor:
                assert not (await it.analyse(descriptor, PLAIN, TIMEOUT_S)).estimated

    asyncio.run(run())


@pytest.mark.parametrize("content", [b"", b"x" * 120_000])
def test_what_is_no_pdf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)

    async def run() -> JobFacts:
        async with analyser() as it:
            with opened(path) as descriptor:
                return await it.analyse(descriptor, PLAIN, TIMEOUT_S)

    facts = asyncio.run(run())
    assert (facts.impressions, facts.document_bytes, facts.estimated) == (3 if content else 1, len(content), True)


def test_a_pipe_is_no_document() -> None:
    async def run() -> JobFacts:
        async with analyser() as it:
            reading, writing = os.pipe()
            try:
                return await it.analyse(reading, PLAIN, TIMEOUT_S)
            finally:
                os.close(reading)
                os.close(writing)

    assert asyncio.run(run()).estimated


def test_options_of_any_kind_are_sent(small: Path) -> None:
    options = "sides=two-sided-long-edge note=\udcff" + " a=b" * 60_000

    async def run() -> JobFacts:
        async with analyser() as it:
            with opened(small) as descriptor:
                return await it.analyse(descriptor, AnalysisRequest(options=options), TIMEOUT_S)

    facts = asyncio.run(run())
    assert (facts.sides, facts.sheets) == ("two-sided-long-edge", 1)


def test_closing_ends_what_runs_and_what_waits(endless: Path) -> None:
    async def run() -> tuple[JobFacts, ...]:
        async with analyser() as it:
            with opened(endless) as descriptor:
                jobs = [asyncio.create_task(it.analyse(descriptor, PLAIN, TIMEOUT_S)) for _ in range(3)]
                await until_working(it.pids[0])
                await it.close()
                return tuple(await asyncio.gather(*jobs))

    assert all(facts.estimated for facts in asyncio.run(run()))


def test_a_cancelled_analysis_leaves_no_worker_busy(endless: Path, small: Path) -> None:
    async def run() -> None:
        async with analyser() as it:
            with opened(endless) as descriptor, opened(small) as other:
                task = asyncio.create_task(it.analyse(descriptor, PLAIN, TIMEOUT_S))
                await until_working(it.pids[0])
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert not (await it.analyse(other, PLAIN, TIMEOUT_S)).estimated

    asyncio.run(run())


PARENT = """
import asyncio, os, sys
from provider.analysis.ticket import AnalysisRequest
from provider.analysis.worker import Analyser

async def main():
    it = Analyser(workers=2)
    await it.start()
    print(*it.pids, flush=True)
    await it.analyse(os.open(sys.argv[1], os.O_RDONLY), AnalysisRequest(), 600)

asyncio.run(main())
"""


def test_workers_die_with_their_parent(endless: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(endless)], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        wait_until(lambda: any(is_working(pid) for pid in pids), TIMEOUT_S, "a worker to be in the midst of a page")
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: all(has_ended(pid) for pid in pids), 10, "the workers to end with their parent")


def test_what_is_no_question_ends_the_worker() -> None:
    ours, theirs = socket.socketpair()
    command = [
        sys.executable,
        "-P",
        "-m",
        "provider.analysis.worker_process",
        str(theirs.fileno()),
        str(os.getpid()),
        "0",
    ]
    with ours, theirs:
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stderr=subprocess.DEVNULL)
        try:
            ours.settimeout(TIMEOUT_S)
            length = int.from_bytes(ours.recv(4), "big")
            assert msgspec.json.decode(ours.recv(length)) == {"facts": None, "final": True}
            ours.sendall(b"\xff\xff\xff\xff")
            assert process.wait(TIMEOUT_S) == 1
        finally:
            process.kill()
            process.wait()


def test_the_parent_gives_up_in_time_when_nothing_can_be_started(monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    async def run() -> JobFacts:
        async with analyser(wait_s=1.0) as it:
            monkeypatch.setattr(sys, "executable", "/nonexistent/python3")
            os.kill(it.pids[0], signal.SIGKILL)
            with opened(small) as descriptor:
                return await it.analyse(descriptor, PLAIN, TIMEOUT_S)

    before = time.monotonic()
    facts = asyncio.run(run())
    assert (facts.impressions, facts.estimated) == (1, True)
    assert time.monotonic() - before < TIMEOUT_S
