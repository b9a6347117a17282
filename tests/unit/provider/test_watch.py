"""What is done to the spool of a cupsd that died, and what is left alone."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from provider.cups.watch import CupsdWatch, tidy
from tests.support.processes import wait_until


def spool(folder: Path, *names: str) -> float:
    """Control files of a cupsd that dies right after it wrote them: when that was."""
    for name in names:
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (10, 10))
    return time.time() + 0.001


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_unfinished_file_goes_where_a_finished_one_is_there(tmp_path: Path) -> None:
    died_at_s = spool(tmp_path, "c00001", "c00001.N", "c00002.N", "d00001-001", "cups.N")
    assert tidy(tmp_path, died_at_s) == ["c00001.N"]
    assert names(tmp_path) == ["c00001", "c00002.N", "cups.N", "d00001-001"]


def test_the_spool_is_newer_than_any_list_the_dead_one_wrote(tmp_path: Path) -> None:
    died_at_s = spool(tmp_path, "c00001", "c00002")
    assert tidy(tmp_path, died_at_s) == []
    assert int((tmp_path / "c00002").stat().st_mtime) == int(died_at_s + 1)
    assert (tmp_path / "c00001").stat().st_mtime == 10


def test_a_second_death_right_after_the_first_is_tidied_too(tmp_path: Path) -> None:
    tidy(tmp_path, spool(tmp_path, "c00001"))
    died_at_s = spool(tmp_path, "c00001.N")
    assert tidy(tmp_path, died_at_s) == ["c00001.N"]


def test_a_spool_that_the_next_one_writes_already_is_left_alone(tmp_path: Path) -> None:
    spool(tmp_path, "c00001", "c00001.N", "c00002")
    assert tidy(tmp_path, time.time() - 60) == []
    assert names(tmp_path) == ["c00001", "c00001.N", "c00002"]
    assert (tmp_path / "c00002").stat().st_mtime == 10


def test_a_death_noticed_late_leaves_alone_what_the_next_life_writes(tmp_path: Path) -> None:
    """The daemon was frozen while cupsd was killed and started again by the same command."""
    asyncio.run(_noticed_late(tmp_path, again=True))
    assert names(tmp_path / "spool") == ["c00001", "c00001.N"]


def test_a_death_noticed_late_is_tidied_while_there_is_no_next_life(tmp_path: Path) -> None:
    asyncio.run(_noticed_late(tmp_path, again=False))
    assert names(tmp_path / "spool") == ["c00001"]


def begin(command: list[str]) -> "subprocess.Popen[bytes]":
    """A process that is what it will be: not in the middle of its exec any more."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    wait_until(lambda: command[-1].encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes(), 20, "its exec", 0.001)
    return process


async def _noticed_late(folder: Path, *, again: bool) -> None:
    spool_folder = folder / "spool"
    spool_folder.mkdir()
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", f"{folder}"]
    first, second = begin(command), None
    watch = CupsdWatch(folder / "roots")
    watch.note_spool(str(spool_folder))
    watch.note_process(first.pid)
    try:
        first.kill()
        first.communicate()
        if again:
            second = begin(command)
        spool(spool_folder, "c00001", "c00001.N")
        deadline = time.monotonic() + 20
        while watch.processes():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
    finally:
        watch.close()
        if second is not None:
            second.kill()
            second.communicate()


def test_an_empty_spool_is_fine(tmp_path: Path) -> None:
    assert tidy(tmp_path, time.time()) == []
