"""The journal's front: who waits gets the truth about the disk, who does not wait loses nothing."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from backend.base.clock import ManualClock
from backend.wire.jobs import JobFacts, Printing
from provider.errors import JournalError
from provider.jobs.book import Book
from provider.jobs.model import Evidence, JobRecord, Phase, RunRecord
from provider.journal.commit import GroupCommit
from provider.journal.file import JournalFile, Label


class Disk(JournalFile):
    """A journal whose disk can be made full, and which counts its writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda payload: Label(payload.decode()), lambda: 0)
        self.full = False
        self.batches: list[tuple[list[str], bool]] = []
        self.open()

    def append(self, records: Sequence[tuple[Label, bytes]], durable: bool = True) -> list[str]:
        if self.full:
            raise JournalError("the disk is full")
        self.batches.append(([label.key for label, _ in records], durable))
        return super().append(records, durable)


def test_what_is_written_at_once_shares_one_fsync(tmp_path: Path) -> None:
    async def scenario() -> list[tuple[list[str], bool]]:
        disk = Disk(tmp_path)
        front = GroupCommit(disk, lambda _: None)
        await asyncio.gather(*(front.write(Label(str(n)), str(n).encode()) for n in range(20)))
        await front.close()
        return disk.batches

    batches = asyncio.run(scenario())
    assert [key for keys, _ in batches for key in keys] == [str(n) for n in range(20)]
    assert len(batches) <= 3
    assert all(durable for _, durable in batches)


def test_a_full_disk_is_told_to_who_waits_and_forgets_nothing_of_who_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        disk = Disk(tmp_path)
        front = GroupCommit(disk, lambda _: None)
        disk.full = True
        front.write_soon(Label("soon"), b"soon")
        with pytest.raises(JournalError, match="the disk is full"):
            await front.write(Label("now"), b"now")
        assert front.trouble == "the disk is full"
        assert await front.read("soon") == b"soon"
        disk.full = False
        await front.write(Label("later"), b"later")
        assert front.trouble == ""
        await front.close()
        assert {key for keys, _ in disk.batches for key in keys} == {"soon", "later"}
        assert disk.read("soon") == b"soon"

    asyncio.run(scenario())


def record(job_id: str, phase: Phase = "open", settled_at: int | None = None, cups_job_id: int = 1) -> JobRecord:
    printing = Printing(spool_id="s", cups_job_id=cups_job_id, time_at_creation=1)
    return JobRecord(
        job_id=job_id, printing=printing, queue="q", user_name="u", created_at=0, phase=phase, settled_at=settled_at
    )


SETTLED = ManualClock().now_ms()
ONE, TWO = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"


def test_the_book_finds_every_printing_again(tmp_path: Path) -> None:
    async def first() -> None:
        book = Book(tmp_path, ManualClock())
        assert book.open() == []
        await book.write(record(ONE))
        await book.write(record(TWO, cups_job_id=2))
        book.write_soon(record(TWO, "settled", settled_at=SETTLED, cups_job_id=2))
        assert await book.fetch(TWO) == record(TWO, "settled", settled_at=SETTLED, cups_job_id=2)
        await book.close()

    async def second() -> None:
        book = Book(tmp_path, ManualClock())
        assert book.open() == [record(ONE)]
        assert book.find(record(ONE).printing) == ONE
        assert book.find(record(TWO, cups_job_id=2).printing) == TWO
        assert book.find(record(ONE, cups_job_id=3).printing) is None
        assert await book.fetch(TWO) == record(TWO, "settled", settled_at=SETTLED, cups_job_id=2)
        assert await book.fetch("00000000-0000-7000-8000-000000000009") is None
        assert (book.size, book.settled_ids()) == (2, [TWO])
        await book.close()

    asyncio.run(first())
    asyncio.run(second())
    assert {oct(os.stat(path).st_mode & 0o777) for path in tmp_path.iterdir()} == {"0o600"}


def test_of_one_job_the_record_that_was_given_last_is_the_newest_whoever_waits(tmp_path: Path) -> None:
    """A record that somebody waits for is not newer than one given after it for which nobody does."""

    async def scenario() -> tuple[bytes | None, bytes | None]:
        disk = Disk(tmp_path)
        front = GroupCommit(disk, lambda _: None)
        waited = asyncio.ensure_future(front.write(Label("job"), b"job 1"))
        await asyncio.sleep(0)  # it waits for the next batch
        front.write_soon(Label("job"), b"job 2")
        front.write_soon(Label("other"), b"other 1")
        after = asyncio.ensure_future(front.write(Label("other"), b"other 2"))
        await asyncio.gather(waited, after)
        await front.close()
        return disk.read("job"), disk.read("other")

    assert asyncio.run(scenario()) == (b"job 2", b"other 2")


def test_the_book_keeps_what_was_given_while_an_older_record_was_on_its_way(tmp_path: Path) -> None:
    async def scenario() -> tuple[JobRecord | None, JobRecord | None]:
        book = Book(tmp_path, ManualClock())
        book.open()
        older, newer = record(ONE), msgspec.structs.replace(record(ONE), title="newer")
        on_its_way = asyncio.ensure_future(book.write(older))
        await asyncio.sleep(0)
        book.write_soon(newer)
        await on_its_way
        kept = await book.fetch(ONE)
        await book.close()
        again = Book(tmp_path, ManualClock())
        (read,) = again.open()
        await again.close()
        return kept, read

    kept, read = asyncio.run(scenario())
    assert kept is not None
    assert (kept.title, read.title if read is not None else "") == ("newer", "newer")


def test_the_book_knows_which_printers_never_count_also_after_a_restart(tmp_path: Path) -> None:
    def printed(job_id: str, uri: str, impressions: int) -> JobRecord:
        told = Evidence(spoke=True, sending=True, printer_state="completed", impressions_completed=impressions)
        facts = JobFacts(impressions=2, sheets=2)
        run = RunRecord(number=1, name="r", started_at=0, verdict="printed", evidence=told, facts=facts)
        settled = record(job_id, "settled", settled_at=SETTLED)
        return msgspec.structs.replace(settled, device_uri=uri, runs=(run,))

    async def life(*records: JobRecord) -> list[bool]:
        book = Book(tmp_path, ManualClock())
        book.open()
        for one in records:
            book.write_soon(one)
        await book.close()
        return [book.counts(uri) for uri in ("ipp://never", "ipp://counts", "ipp://unheard-of")]

    first = [printed(ONE, "ipp://never", 0), printed(TWO, "ipp://counts", 0)]
    assert asyncio.run(life(*first)) == [False, False, True]
    assert asyncio.run(life(printed(TWO, "ipp://counts", 2))) == [False, True, True]
    assert asyncio.run(life(printed(TWO, "ipp://counts", 0))) == [False, True, True]
