"""What the book of all printings remembers beside the jobs themselves, over a restart too."""

import asyncio
from pathlib import Path

from backend.base.clock import SystemClock
from backend.base.ids import uuid7
from backend.wire.jobs import Printing
from provider.jobs.book import Book
from provider.jobs.model import Evidence, JobRecord, RunRecord, Told


def record(number: int, *, user: str = "anna", settled_at: int = 0, told: Told | None = None) -> JobRecord:
    run = RunRecord(number=1, name=f"r{number}.1", started_at=0, evidence=Evidence(printer_job_id=100 + number))
    return JobRecord(
        job_id=uuid7(),
        printing=Printing(spool_id="s", cups_job_id=number, time_at_creation=1),
        queue="q",
        user_name=user,
        device_uri="ipp://a/" if number < 10 else "ipp://b/",
        created_at=0,
        phase="settled" if settled_at else "open",
        settled_at=settled_at or None,
        runs=(run,),
        told=told,
    )


async def written(folder: Path, records: list[JobRecord]) -> Book:
    """A book that has read what another one wrote."""
    first = Book(folder, SystemClock())
    first.open()
    for one in records:
        await first.write(one)
    await first.close()
    again = Book(folder, SystemClock())
    again.open()
    return again


def test_the_printer_s_numbers_of_jobs_that_are_just_over_are_known(tmp_path: Path) -> None:
    now = SystemClock().now_ms()

    async def scenario() -> None:
        book = await written(
            tmp_path,
            [record(1, settled_at=now - 60_000), record(2, settled_at=now), record(3), record(11, settled_at=now)],
        )
        assert book.printer_jobs("ipp://a/", now - 1000) == {102}
        assert book.printer_jobs("ipp://a/", now - 90_000) == {101, 102}
        assert book.printer_jobs("ipp://b/", now - 1000) == {111}
        await book.close()

    asyncio.run(scenario())


def test_what_a_server_last_told_of_a_user_is_known_whichever_job_was_written_last(tmp_path: Path) -> None:
    async def scenario() -> None:
        newer, older = Told(available=400, at=20), Told(available=1000, at=10)
        book = await written(tmp_path, [record(1, told=newer), record(2, told=older), record(3, user="bert")])
        assert (book.available("anna"), book.available("bert")) == (400, None)
        book.note_available(
            "anna", Told(available=7, at=1)
        )  # heard just now: a clock that was set back changes nothing
        assert book.available("anna") == 7
        await book.close()

    asyncio.run(scenario())
