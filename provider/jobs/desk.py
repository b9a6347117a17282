"""Where jobs are served: finds the printing behind a question, runs its machine, does what the machine asks for.

Everything slow (the disk, cupsd, printers, the analysis, servers) is done beside the event loop and comes back as
an event, so that a hundred jobs wait on as many things at once and none on another. Whatever goes wrong in such a
task comes back as the event that the machine expects least of, never as silence.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from os import kill
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec.structs import replace as change

from backend.base.clock import Clock
from backend.base.ids import uuid7
from backend.wire.jobs import AuthoriseAnswer, JobFacts, Printing
from provider.errors import JournalError
from provider.jobs import events as ev
from provider.jobs import machine
from provider.jobs.book import Book
from provider.jobs.model import Ask, CrashCopy, CupsState, JobRecord, PrinterWord, RunRecord
from provider.jobs.offline import Verdict
from provider.jobs.state import JobState, Moment, begin, is_open, resume
from provider.journal import runs

KILL_AFTER_S: Final = 10.0
TOKENS_A_LIFE: Final = 1 << 32
MOST_REASONS: Final = 1000

_log = logging.getLogger(__name__)


class World(Protocol):
    """What the desk asks of the world outside. Nothing here raises but `analyse`, and nothing waits for ever."""

    async def ask_printer(self, record: JobRecord, run: RunRecord) -> PrinterWord: ...

    async def ask_cups(self, printing: Printing) -> CupsState: ...

    async def authorise(self, record: JobRecord, deadline_s: float) -> AuthoriseAnswer | None: ...

    def offline_verdict(self, record: JobRecord) -> Verdict: ...

    def send_report(self, record: JobRecord) -> None: ...


@dataclass
class Session:
    """A backend that holds a document and waits for `reply`. `analyse` gives that document's facts; `analysed_at_s` is
    when it did (monotonic): from then on the job waits for its decision."""

    number: int
    ask: Ask
    analyse: Callable[[], Awaitable[JobFacts]]
    reply: "asyncio.Future[ev.Reply]"
    analysed_at_s: "asyncio.Future[float]"
    job_id: str = ""
    entered: bool = False

    def note_analysed(self, at_s: float) -> None:
        if not self.analysed_at_s.done():
            self.analysed_at_s.set_result(at_s)


class Desk:
    """All jobs under way on this print server. Belongs to one event loop."""

    def __init__(self, book: Book, runs_dir: Path, world: World, clock: Clock) -> None:
        self._book = book
        self._runs_dir = runs_dir
        self._world = world
        self._clock = clock
        self._states: dict[str, JobState] = {}
        self._by_printing: dict[Printing, str] = {}
        self._sessions: dict[int, Session] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_to_end: dict[int, float] = {}
        self._reasons: dict[str, str] = {}
        self._next_session = 1
        self._next_token = 0

    # ------------------------------------------------------------ from outside

    def start(self, records: list[JobRecord]) -> None:
        """Take up what the journal says is not settled."""
        for record in records:
            state, effects = resume(record, self._moment())
            self._enter(record.job_id, state, effects)

    def session(self, ask: Ask, analyse: Callable[[], Awaitable[JobFacts]]) -> Session:
        """A backend has come. Nothing is known of it until `enter`, which `gone` must follow whatever happens."""
        loop = asyncio.get_running_loop()
        session = Session(self._next_session, ask, analyse, loop.create_future(), loop.create_future())
        self._next_session += 1
        return session

    async def enter(self, session: Session) -> None:
        """Put the question; the session's `reply` will be set."""
        self._sessions[session.number] = session
        session.entered = True
        job_id = await self._job_of(session.ask)
        if session.number in self._sessions:
            session.job_id = job_id
            self._feed(job_id, ev.Asked(session.number, session.ask))

    def gone(self, session: Session) -> None:
        """The backend's run is over, or the backend is."""
        self._sessions.pop(session.number, None)
        self._feed(session.job_id, ev.SessionGone(session.number))

    def is_under_way(self, job_id: str) -> bool:
        return job_id in self._states

    def knows(self, printing: Printing) -> bool:
        return printing in self._by_printing or self._book.find(printing) is not None

    async def take_for_copy(self, ask: Ask, most: int) -> None:
        """cupsd lists the job `most` times too often: a printing that looks new is the one before it, that often."""
        job_id = self._book.find_before(ask.printing)
        record = self._states[job_id].record if job_id in self._states else await self._book.fetch(job_id or "")
        if job_id is None or record is None or self.knows(ask.printing):
            return
        if sum(copy.incarnation == ask.incarnation for copy in record.copies_of_crash) >= most:
            return
        copy = CrashCopy(time_at_completed=ask.printing.time_at_completed, incarnation=ask.incarnation)
        _log.warning("job %d: cupsd lists it twice after a crash; this is no new printing", ask.printing.cups_job_id)
        changed = change(record, copies_of_crash=(*record.copies_of_crash, copy))
        if job_id in self._states:
            self._states[job_id] = replace(self._states[job_id], record=changed)
        self._book.write_soon(changed)

    async def adopt(self, ask: Ask, run: RunRecord, job_id: str = "") -> None:
        """Take in a run that no record knows: a backend printed without us, or the record is lost."""
        self._feed(await self._job_of(ask, job_id), ev.Adopted(run))

    def reported(self, job_id: str, revision: int, available: int | None) -> None:
        self._feed(job_id, ev.Reported(revision, available))

    def refused(self, job_id: str, revision: int, code: str) -> None:
        self._feed(job_id, ev.ReportRefused(revision, code))

    def note_reason(self, job_id: str, reason: str) -> None:
        """Why a server will deny this job, in the words of whoever canceled it there. Kept when the job is over: cupsd
        may run its backend once more, and what that is told is what the user sees."""
        self._reasons[job_id] = reason
        while len(self._reasons) > MOST_REASONS:
            del self._reasons[next(iter(self._reasons))]

    def nudge(self, job_id: str) -> None:
        """Something has happened to this job in CUPS."""
        self._feed(job_id, ev.Nudge())

    def spent_offline(self, user_name: str, but: str) -> int:
        """The prices of what this user prints or has printed offline and no server has charged yet, `but` for a job."""
        mine = (s for s in self._states.values() if s.record.user_name == user_name and s.record.job_id != but)
        return sum(state.offline_cost for state in mine)

    @property
    def undecided(self) -> list[JobRecord]:
        """The jobs that are on disk and may still print: held ones, waiting ones, printing ones."""
        return [state.record for state in self._states.values() if state.on_disk and state.record.phase == "open"]

    @property
    def open_jobs(self) -> list[str]:
        """The jobs whose reservations are to be renewed, oldest first."""
        return [job_id for job_id, state in self._states.items() if is_open(state)]

    @property
    def states(self) -> list[JobState]:
        return list(self._states.values())

    async def close(self) -> None:
        """Leave everything as it is; the journal and the run files tell the next life."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ the machines

    async def _job_of(self, ask: Ask, wanted_id: str = "") -> str:
        """The job of this printing: under way, in the journal, or new, and then with the id that is wanted."""
        known = self._by_printing.get(ask.printing) or self._book.find(ask.printing)
        if known is not None and known not in self._states:
            record = await self._book.fetch(known)
            if record is not None and known not in self._states:
                state, effects = resume(record, self._moment())
                self._enter(known, state, tuple(e for e in effects if not isinstance(e, ev.Forget)))
        if known is not None and known in self._states:
            return known
        job_id = self._by_printing.get(ask.printing) or wanted_id or uuid7()
        if job_id not in self._states:
            self._enter(job_id, begin(job_id, ask, self._moment()), ())
        return job_id

    def _enter(self, job_id: str, state: JobState, effects: tuple[ev.Effect, ...]) -> None:
        # What an earlier life of this job's machine still waits for must not pass for an answer to this one.
        self._next_token += TOKENS_A_LIFE
        state = replace(state, token=self._next_token)
        self._by_printing[state.record.printing] = job_id
        self._settle(job_id, state, effects)

    def _feed(self, job_id: str, event: ev.Event) -> None:
        state = self._states.get(job_id)
        if state is not None:
            self._settle(job_id, *machine.step(state, event, self._moment()))

    def _settle(self, job_id: str, state: JobState, effects: tuple[ev.Effect, ...]) -> None:
        self._states[job_id] = state
        timer = self._timers.pop(job_id, None)
        if timer is not None:
            timer.cancel()
        if state.wake_at_s is not None:
            pause_s = max(0.0, state.wake_at_s - self._clock.monotonic_s())
            loop = asyncio.get_running_loop()
            self._timers[job_id] = loop.call_later(pause_s, self._feed, job_id, ev.Tick())
        for effect in effects:
            self._perform(job_id, state, effect)

    def _moment(self) -> Moment:
        return Moment(self._clock.monotonic_s(), self._clock.now_ms(), uuid7())

    def _perform(self, job_id: str, state: JobState, effect: ev.Effect) -> None:
        match effect:
            case ev.Answer(number, reply):
                self._answer(number, reply)
            case ev.Write(0, record):
                self._book.write_soon(record)
            case ev.Write(token, record):
                self._spawn(job_id, self._write(token, record), ev.NotWritten(token, "the journal failed"))
            case ev.LookAtRuns(token):
                self._spawn(job_id, self._look(job_id, token, state), ev.RunsSeen(token, (), locked=True, highest=0))
            case ev.AskPrinter(token, run):
                unreached = ev.PrinterSaid(token, run.name, PrinterWord(reached=False))
                self._spawn(job_id, self._ask_printer(token, state.record, run), unreached)
            case ev.AskCups(token):
                self._spawn(job_id, self._ask_cups(token, state.record), ev.CupsSaid(token, "unreachable"))
            case ev.Analyse(token, number):
                self._spawn(job_id, self._analyse(token, number), ev.Analysed(token, _UNKNOWN_FACTS))
            case ev.Authorise(token, record, deadline_s):
                self._spawn(job_id, self._authorise(job_id, token, record, deadline_s), ev.Undecided(token))
            case ev.SendReport(record):
                self._world.send_report(record)
            case ev.RemoveRuns(names):
                self._spawn(job_id, self._remove(names), None)
            case ev.EndOrphans(names):
                self._spawn(job_id, self._end_orphans(names), None)
            case ev.Forget():
                self._forget(job_id)

    def _answer(self, number: int, reply: ev.Reply) -> None:
        session = self._sessions.get(number)
        if session is not None and not session.reply.done():
            session.reply.set_result(reply)

    def _forget(self, job_id: str) -> None:
        state = self._states.pop(job_id, None)
        timer = self._timers.pop(job_id, None)
        if timer is not None:
            timer.cancel()
        if state is not None:
            self._by_printing.pop(state.record.printing, None)

    # ------------------------------------------------------------ what takes time

    def _spawn(self, job_id: str, work: Coroutine[Any, Any, ev.Event | None], otherwise: ev.Event | None) -> None:
        """Do `work` and feed what comes of it; should it fail unforeseen, feed `otherwise`."""
        task = asyncio.get_running_loop().create_task(self._do(job_id, work, otherwise))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, job_id: str, work: Coroutine[Any, Any, ev.Event | None], otherwise: ev.Event | None) -> None:
        try:
            event = await work
        except Exception:  # noqa: BLE001  # the edge of every task: a job must never wait for a task that is gone
            _log.exception("job %s: unforeseen", job_id)
            event = otherwise
        if event is not None:
            self._feed(job_id, event)

    async def _write(self, token: int, record: JobRecord) -> ev.Event:
        try:
            await self._book.write(record)
        except JournalError as error:
            _log.error("job %s: %s", record.job_id, error)
            return ev.NotWritten(token, str(error))
        return ev.Written(token)

    async def _look(self, job_id: str, token: int, state: JobState) -> ev.Event:
        known = tuple(run.name for run in state.record.runs if not run.verdict)
        return await asyncio.to_thread(look_at_runs, self._runs_dir, job_id, known, token)

    async def _ask_printer(self, token: int, record: JobRecord, run: RunRecord) -> ev.Event:
        return ev.PrinterSaid(token, run.name, await self._world.ask_printer(record, run))

    async def _ask_cups(self, token: int, record: JobRecord) -> ev.Event:
        return ev.CupsSaid(token, await self._world.ask_cups(record.printing))

    async def _analyse(self, token: int, number: int) -> ev.Event | None:
        session = self._sessions.get(number)
        if session is None:
            return None
        facts = await session.analyse()
        session.note_analysed(self._clock.monotonic_s())
        return ev.Analysed(token, facts)

    async def _authorise(self, job_id: str, token: int, record: JobRecord, deadline_s: float) -> ev.Event:
        foretell_s = deadline_s - machine.DECIDE_S + machine.FORETELL_S - self._clock.monotonic_s()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, foretell_s), self._foretell, job_id, token, record)
        try:
            answer = await self._world.authorise(record, deadline_s)
        finally:
            timer.cancel()
        waited_s = self._clock.monotonic_s() - (deadline_s - machine.DECIDE_S)
        decision = answer.decision if answer is not None else "no server decided"
        _log.info("job %s: %s %.0f ms after its analysis", record.job_id, decision, waited_s * 1000)
        if answer is None:
            return ev.Undecided(token, self._world.offline_verdict(record))
        if answer.decision == "denied":
            answer = change(answer, message=self._reasons.get(job_id) or answer.message)
        return ev.Decided(token, answer)

    def _foretell(self, job_id: str, token: int, record: JobRecord) -> None:
        self._feed(job_id, ev.Foretold(token, self._world.offline_verdict(record)))

    async def _remove(self, names: tuple[str, ...]) -> None:
        """Beside the loop: a file system that is writing its journal lets whoever removes a file wait for it."""
        try:
            await asyncio.to_thread(runs.remove, self._runs_dir, names)
        except OSError as error:
            _log.warning("run files cannot be removed: %s", error)

    async def _end_orphans(self, names: tuple[str, ...]) -> None:
        """SIGTERM to whoever prints these runs, SIGKILL where that did not help."""
        now_s = self._clock.monotonic_s()
        for name in names:
            for pid in await asyncio.to_thread(runs.holders, self._runs_dir / f"{name}.run"):
                first = self._told_to_end.setdefault(pid, now_s)
                number = signal.SIGKILL if now_s - first > KILL_AFTER_S else signal.SIGTERM
                if number == signal.SIGKILL or first == now_s:
                    _log.warning("ending process %d, which prints a canceled job (%s)", pid, name)
                    _kill(pid, number)
        self._told_to_end = {pid: at for pid, at in self._told_to_end.items() if now_s - at < 10 * KILL_AFTER_S}


_UNKNOWN_FACTS: Final = JobFacts(impressions=1, sheets=1, estimated=True, estimate_reason="the analysis failed")


def look_at_runs(folder: Path, job_id: str, known: tuple[str, ...], token: int) -> ev.RunsSeen:
    """The job's runs as their files tell now: those named after it, and those it has adopted."""
    named = runs.names_of(folder, job_id)
    found = [run for name in dict.fromkeys((*named, *known)) if (run := runs.read_run(folder, name)) is not None]
    for run in found:
        if run.damaged:
            _log.warning("run file %s: %d bytes are damaged and were passed over", run.name, run.damaged)
    locked = any(run.locked and run.ended is None for run in found)
    return ev.RunsSeen(token, tuple(run.record for run in found), locked, runs.highest_number(named))


def _kill(pid: int, number: int) -> None:
    try:
        kill(pid, number)
    except ProcessLookupError:
        return
