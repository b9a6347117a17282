"""The desk with a real journal and real run files; the world outside answers as the test says."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from backend.base.clock import SystemClock
from backend.wire.jobs import AuthoriseAnswer, JobFacts, Printing
from backend.wire.pricing import SimpleCost
from provider.jobs.book import Book
from provider.jobs.desk import Desk, Session
from provider.jobs.events import Deny, Finished, Print, Superseded
from provider.jobs.model import Ask, CupsState, JobRecord, OfflineCharge, PrinterWord, RunRecord
from provider.jobs.offline import PRINT_UNPRICED, OfflinePrint, Verdict
from provider.journal.inspect import newest
from tests.support.runfiles import write_run

FACTS = JobFacts(impressions=2, sheets=2)
ASK = Ask(
    printing=Printing(spool_id="s", cups_job_id=7, time_at_creation=100),
    queue="q",
    user_name="anna",
    device_uri="ipp://printer/",
    incarnation="1.1",
)


class Outside:
    """Everything the desk asks of the world."""

    def __init__(self) -> None:
        self.cups: CupsState = "alive"
        self.printer = PrinterWord(known=False)
        self.desk: Desk | None = None
        self.asked: list[int] = []
        self.reports: list[JobRecord] = []
        self.silent: asyncio.Event | None = None
        self.verdict: Verdict = PRINT_UNPRICED
        self.denied = ""

    async def ask_printer(self, record: JobRecord, run: RunRecord) -> PrinterWord:
        return self.printer

    async def ask_cups(self, printing: Printing) -> CupsState:
        return self.cups

    async def authorise(self, record: JobRecord, deadline_s: float) -> AuthoriseAnswer | None:
        self.asked.append(record.attempt)
        if self.silent is not None:
            await self.silent.wait()
            return None
        if self.denied:
            return AuthoriseAnswer(job_id=record.job_id, decision="denied", message=self.denied)
        return AuthoriseAnswer(job_id=record.job_id, decision="authorised")

    def offline_verdict(self, record: JobRecord) -> Verdict:
        return self.verdict

    def send_report(self, record: JobRecord) -> None:
        self.reports.append(record)
        if self.desk is not None and record.ending is not None:
            asyncio.get_running_loop().call_soon(self.desk.reported, record.job_id, record.ending.revision, None)


@contextlib.asynccontextmanager
async def at_work(folder: Path, outside: Outside) -> AsyncIterator[Desk]:
    book = Book(folder / "journal", SystemClock())
    records = book.open()
    (folder / "runs").mkdir(exist_ok=True)
    desk = outside.desk = Desk(book, folder / "runs", outside, SystemClock())
    desk.start(records)
    try:
        yield desk
    finally:
        await desk.close()
        await book.close()


async def analyse() -> JobFacts:
    return FACTS


async def ask(desk: Desk, question: Ask = ASK) -> Session:
    session = desk.session(question, analyse)
    await desk.enter(session)
    return session


async def until(probe: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


async def print_once(desk: Desk, folder: Path, question: Ask = ASK) -> Print:
    """One job from the question to the report."""
    session = await ask(desk, question)
    reply = await asyncio.wait_for(session.reply, 20)
    assert isinstance(reply, Print)
    write_run(folder / "runs", reply.name, exit_code=0)
    desk.gone(session)
    await until(lambda: not desk.states, "the job to be over")
    return reply


def test_a_job_is_printed_reported_and_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        outside = Outside()
        async with at_work(tmp_path, outside) as desk:
            await print_once(desk, tmp_path)
        (report,) = outside.reports
        assert report.ending is not None
        assert (report.ending.outcome, report.ending.printed.impressions, report.attempt) == ("completed", 2, 1)
        assert list((tmp_path / "runs").iterdir()) == []

    asyncio.run(scenario())


def test_the_same_printing_is_never_printed_again_also_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        outside = Outside()
        async with at_work(tmp_path, outside) as desk:
            await print_once(desk, tmp_path)
        async with at_work(tmp_path, outside) as desk:
            session = await ask(desk)
            assert await asyncio.wait_for(session.reply, 20) == Finished()
        assert len(outside.reports) == 1

    asyncio.run(scenario())


def test_what_the_policy_will_say_is_on_disk_before_its_turn_and_nobody_waits_for_the_disk_then(tmp_path: Path) -> None:
    priced = OfflineCharge(cost=100, rule=SimpleCost(per_impression=50))

    complaints: list[str] = []

    def on_disk() -> OfflineCharge | None:
        found = list(newest(tmp_path / "journal", "", False, complaints.append))
        return msgspec.json.decode(found[0], type=JobRecord).offline if found else None

    async def scenario() -> None:
        outside = Outside()
        outside.silent, outside.verdict = asyncio.Event(), OfflinePrint(priced)
        async with at_work(tmp_path, outside) as desk:
            session = await ask(desk)
            await until(lambda: on_disk() == priced, "the policy's word to be on disk")
            assert session.analysed_at_s.done()
            assert desk.spent_offline("anna", but="") == 100
            assert not session.reply.done()
            outside.silent.set()
            reply = await asyncio.wait_for(session.reply, 20)
            assert isinstance(reply, Print)
            assert reply.offline
            write_run(tmp_path / "runs", reply.name, exit_code=0)
            desk.gone(session)
            await until(lambda: not desk.states, "the job to be over")
            assert outside.reports[0].offline == priced

    asyncio.run(scenario())


def test_of_two_backends_of_one_printing_the_newer_is_served(tmp_path: Path) -> None:
    async def scenario() -> None:
        outside = Outside()
        async with at_work(tmp_path, outside) as desk:
            first, second = desk.session(ASK, _never), desk.session(ASK, analyse)
            await desk.enter(first)
            await desk.enter(second)
            assert await asyncio.wait_for(first.reply, 20) == Superseded()
            assert isinstance(await asyncio.wait_for(second.reply, 20), Print)

    asyncio.run(scenario())


def test_a_backend_of_a_living_cupsd_is_not_given_up_for_an_orphan(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with at_work(tmp_path, Outside()) as desk:
            living, orphan = desk.session(ASK, analyse), desk.session(msgspec.structs.replace(ASK, orphan=True), _never)
            await desk.enter(living)
            await desk.enter(orphan)
            assert await asyncio.wait_for(orphan.reply, 20) == Superseded()
            assert isinstance(await asyncio.wait_for(living.reply, 20), Print)

    asyncio.run(scenario())


async def _never() -> JobFacts:
    await asyncio.get_running_loop().create_future()
    return FACTS


def test_a_copy_that_cupsd_made_in_a_crash_is_the_same_printing_as_often_as_it_is_listed(tmp_path: Path) -> None:
    def completed_before(time_at_completed: int, incarnation: str = "1.1") -> Ask:
        printing = msgspec.structs.replace(ASK.printing, time_at_completed=time_at_completed)
        return msgspec.structs.replace(ASK, printing=printing, incarnation=incarnation)

    async def scenario() -> None:
        outside = Outside()
        async with at_work(tmp_path, outside) as desk:
            await print_once(desk, tmp_path)
            copy = completed_before(150)
            await desk.take_for_copy(copy, 1)
            session = await ask(desk, copy)
            assert await asyncio.wait_for(session.reply, 20) == Finished()
            desk.gone(session)
            wish = completed_before(160)  # cupsd lists one copy, and that has been: this is a person's
            await desk.take_for_copy(wish, 1)
            assert not desk.knows(wish.printing)
            await print_once(desk, tmp_path, wish)
        async with at_work(tmp_path, outside) as desk:
            assert desk.knows(copy.printing)
            session = await ask(desk, completed_before(150, "2.2"))
            assert await asyncio.wait_for(session.reply, 20) == Finished()
        assert [report.printing.time_at_completed for report in outside.reports] == [0, 160]

    asyncio.run(scenario())


def test_a_run_whose_end_nobody_saw_is_asked_about_and_printed_again_where_it_was_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        outside = Outside()
        async with at_work(tmp_path, outside) as desk:
            session = await ask(desk)
            reply = await asyncio.wait_for(session.reply, 20)
            assert isinstance(reply, Print)
            write_run(tmp_path / "runs", reply.name, exit_code=None)
            desk.gone(session)
            again = await ask(desk)
            second = await asyncio.wait_for(again.reply, 20)
            assert isinstance(second, Print)
            assert (second.job_id, second.run, second.attempt) == (reply.job_id, 2, 2)
        assert outside.asked == [1, 2]

    asyncio.run(scenario())


def test_a_daemon_that_died_in_between_finds_the_run_and_reports_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        outside = Outside()
        async with at_work(tmp_path, outside) as desk:
            reply = await asyncio.wait_for((await ask(desk)).reply, 20)
        assert isinstance(reply, Print)
        write_run(tmp_path / "runs", reply.name, exit_code=None)
        outside.cups, outside.printer = "completed", PrinterWord(state="completed")
        async with at_work(tmp_path, outside) as desk:
            await until(lambda: not desk.states, "the job to be over")
        assert [report.ending and report.ending.printed.impressions for report in outside.reports] == [2]

    asyncio.run(scenario())


def test_whoever_canceled_a_job_is_quoted_each_time_that_its_backend_asks(tmp_path: Path) -> None:
    """cupsd may run the backend of a job once more after it was denied."""

    async def scenario() -> None:
        outside = Outside()
        outside.denied = "canceled."
        async with at_work(tmp_path, outside) as desk:
            for attempt in (1, 2):
                session = await ask(desk)
                if attempt == 1:
                    (state,) = desk.states
                    desk.note_reason(state.record.job_id, "canceled: too dear")
                reply = await asyncio.wait_for(session.reply, 20)
                assert isinstance(reply, Deny)
                assert reply.message == "canceled: too dear"
                outside.cups = "canceled"
                desk.gone(session)
                await until(lambda: not desk.states, "the job to be over")
                outside.cups = "alive"
            assert outside.asked == [1, 2]

    asyncio.run(scenario())
