"""The daemon's work, put together: questions from backends, jobs, cupsd, printers, servers, heartbeats.

Here is no decision about a job; those are in provider.jobs.machine. What is here answers the machine's questions
from the world and keeps the world told.
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from backend.base.cli import program_version
from backend.base.clock import Clock
from backend.client.names import Names
from backend.wire.base import Ledger, PartialCharge
from backend.wire.jobs import AuthoriseAnswer, JobFacts, Printing
from backend.wire.printers import Heartbeat, HeartbeatAnswer, MemberList, QueuePolicy, QueueReport, ServerContact
from provider.analysis.fallback import estimate
from provider.analysis.worker import Analyser
from provider.cups import identity, printer, tracking
from provider.cups.client import Cupsd
from provider.cups.starts import BackendStarts
from provider.cups.supplies import Supplies
from provider.cups.tracking import BACKEND
from provider.cups.watch import CupsdWatch
from provider.enrolment import Cluster, known_servers, write_cluster
from provider.errors import CupsError, JournalError
from provider.foreseen import Early, Foreseen
from provider.jobs import offline
from provider.jobs.book import Book
from provider.jobs.desk import Desk, Session
from provider.jobs.model import Ask, CupsState, JobRecord, PrinterWord, RunRecord, Told
from provider.journal import runs
from provider.keeper import Keeper
from provider.local.protocol import Question
from provider.settings import ProviderSettings
from provider.status import QueueStatus, Status
from provider.uplink.sender import ReportSink, Uplink, beat_pause_s

ADOPT_EVERY_S: Final = 5.0
MAX_OPEN_TOLD: Final = 5000
STATUS_PROBE_S: Final = 2.0
MAX_TROUBLE: Final = 1024
MAX_CONTACTS: Final = 64
JUST_BEFORE_MS: Final = 10_000  # more than what is forgiven of a printer job's age (provider.cups.printer)
TOLD_AT_MS: Final = 60_000

_log = logging.getLogger(__name__)


@dataclass
class Seen:
    """What cupsd last told, and why it does not tell now."""

    queues: tuple[QueueReport, ...] = ()
    trouble: str = ""
    damaged_runs: set[str] = field(default_factory=set)


class Service:
    """One provider. Implements the socket's Counter and the desk's World."""

    def __init__(
        self,
        settings: ProviderSettings,
        cluster: Cluster,
        book: Book,
        cupsd: Cupsd,
        analyser: Analyser,
        uplink: Uplink,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._book = book
        self._cupsd = cupsd
        self._analyser = analyser
        self._uplink = uplink
        self._clock = clock
        self._seen = Seen()
        self._names = Names()
        self._supplies = Supplies(clock, self._names)
        self._watch = CupsdWatch(settings.state_dir / "spools")
        self._analyses: set[asyncio.Task[JobFacts]] = set()
        self._asking: set[asyncio.Task[Ask]] = set()
        self._told_at_s: float | None = None
        self._policies: dict[str, QueuePolicy] = {policy.name: policy for policy in cluster.queues}
        self.desk = Desk(book, settings.runs_dir, self, clock)
        self._keeper = Keeper(self.desk, settings.runs_dir, cupsd, uplink, clock, self._waits_alone)
        self._foreseen = Foreseen(self._begin_early, self.enter, self.gone)
        launcher = Path(settings.cups.server_bin) / "backend" / BACKEND
        self._starts = BackendStarts(launcher, self._watch.processes, self._foreseen.note)

    # ------------------------------------------------------------ the socket's counter

    async def open(self, question: Question, document: int, pid: int) -> Session:
        """The session of a backend that asks: it may have been begun when the backend was seen starting."""
        foreseen = await self._foreseen.claim(pid, question, document)
        return foreseen or await self._begin(question, document)

    async def _begin(self, question: Question, document: int) -> Session:
        self._watch.note_spool(question.request_root)
        self._watch.note_process(identity.cupsd_of(question.incarnation))
        analysis = self._begin_analysis(question, document)
        ask = await identity.identify(self._cupsd, question, self._settings.users)
        await self._adopt_names(runs.offline_names(self._settings.runs_dir, question.cups_job_id))
        await self._tell_copies(ask)

        async def facts() -> JobFacts:
            return await asyncio.shield(analysis)

        return self.desk.session(self._with_policy(ask), facts)

    def _with_policy(self, ask: Ask) -> Ask:
        """The question with what its queue's policy says of jobs of which nobody can tell how much was printed."""
        policy = self._policies.get(ask.queue)
        rule: PartialCharge = policy.partial_charge if policy is not None else "whole"
        return replace(ask, partial_charge=rule)

    async def _begin_early(self, question: Question, document: int) -> Early:
        """As `_begin`, for a backend that was only seen starting: by a guess which job it is, while cupsd is asked."""
        guessed = identity.guess(question, self._settings.users)
        if guessed is None:
            return Early(await self._begin(question, document))
        self._watch.note_spool(question.request_root)
        analysis = self._begin_analysis(question, document)
        told = asyncio.create_task(identity.identify(self._cupsd, question, self._settings.users))
        self._asking.add(told)
        told.add_done_callback(self._told)
        await self._adopt_names(runs.offline_names(self._settings.runs_dir, question.cups_job_id))

        async def facts() -> JobFacts:
            return await asyncio.shield(analysis)

        async def is_right() -> bool:
            try:
                return await asyncio.shield(told) == guessed
            except CupsError:
                return False  # the ordinary way says it to the backend

        return Early(self.desk.session(self._with_policy(guessed), facts), is_right)

    def _told(self, told: "asyncio.Task[Ask]") -> None:
        self._asking.discard(told)
        if not told.cancelled() and told.exception() is not None:
            _log.debug("a job that was seen starting is not known: %s", told.exception())

    def _begin_analysis(self, question: Question, document: int) -> "asyncio.Task[JobFacts]":
        """Look at the document while cupsd is asked which job it is; nearly always both are needed."""
        request = identity.analysis_request(question)
        copy = os.dup(document)  # the backend's own descriptor goes when the backend does
        analysis = asyncio.create_task(self._analyser.analyse(copy, request, self._settings.analysis.timeout_s))
        self._analyses.add(analysis)

        def done(task: "asyncio.Task[JobFacts]") -> None:
            self._analyses.discard(task)
            os.close(copy)

        analysis.add_done_callback(done)
        return analysis

    async def _tell_copies(self, ask: Ask) -> None:
        """What looks like a person's restart may be cupsd's own doing after a crash."""
        if ask.printing.time_at_completed and not self.desk.knows(ask.printing):
            copies = await identity.crash_copies(self._cupsd, ask.printing.cups_job_id)
            if copies:
                await self.desk.take_for_copy(ask, copies)

    async def enter(self, session: Session) -> None:
        if not session.entered:
            await self.desk.enter(session)

    def gone(self, session: Session) -> None:
        self.desk.gone(session)

    async def status(self) -> bytes:
        try:
            await self._uplink.client.call("GET", "members", None, MemberList, timeout_s=STATUS_PROBE_S)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is why no server answers
            return msgspec.json.encode(self._status(str(error) or type(error).__name__))
        return msgspec.json.encode(self._status(""))

    def _status(self, trouble: str) -> Status:
        contact, outbox = self._uplink.contact, self._uplink.outbox
        answered = contact.answered_at_s
        return Status(
            name=self._settings.name,
            program_version=program_version(),
            server="" if trouble else self._uplink.client.current,
            servers=self._uplink.client.servers,
            trouble=trouble,
            answered_age_s=None if answered is None else self._clock.monotonic_s() - answered,
            generation=self._cluster.generation,
            backlog=outbox.backlog,
            oldest_unsent_s=self._oldest_unsent_s(),
            refused=sum(1 for parcel in outbox.parcels.values() if parcel.refused),
            open_jobs=len(self.desk.states),
            journal_jobs=self._book.size,
            journal_trouble=self._book.trouble,
            journal_damage=self._damage(),
            cups_trouble=self._seen.trouble,
            queues=tuple(
                QueueStatus(name=queue.name, tracked=queue.tracked, printer_state=queue.printer_state)
                for queue in self._seen.queues
            ),
            disk_free_bytes=_free_bytes(self._settings.state_dir),
            held_jobs=self._held_jobs(),
            contacts=self._contacts(),
            policies_version=self._cluster.policies_version,
            policies_age_s=self._policies_age_s(),
        )

    # ------------------------------------------------------------ the desk's world

    async def ask_printer(self, record: JobRecord, run: RunRecord) -> PrinterWord:
        uri = record.device_uri
        recent = self._book.printer_jobs(uri, run.started_at - JUST_BEFORE_MS)
        recent.discard(run.evidence.printer_job_id)  # a printer that was restarted gives its numbers anew
        others = recent | {
            other.evidence.printer_job_id
            for state in self.desk.states
            for other in state.record.runs
            if state.record.device_uri == uri and other.name != run.name and other.evidence.printer_job_id
        }
        user = record.cups_user_name
        word = await printer.ask_about(uri, run, record.title, user, frozenset(others), self._names)
        return replace(word, counts=self._book.counts(uri))

    async def ask_cups(self, printing: Printing) -> CupsState:
        return await identity.state_of(self._cupsd, printing)

    async def authorise(self, record: JobRecord, deadline_s: float) -> AuthoriseAnswer | None:
        answer = await self._uplink.authorise(record, deadline_s)
        if answer is not None and answer.decision != "superseded":
            self._note_available(record.user_name, answer.available)
        return answer

    def _note_available(self, user_name: str, available: int) -> None:
        self._book.note_available(user_name, Told(available=available, at=self._clock.now_ms()))

    def _reported(self, job_id: str, revision: int, user_name: str, available: int | None) -> None:
        if available is not None:
            self._note_available(user_name, available)
        self.desk.reported(job_id, revision, available)

    def offline_verdict(self, record: JobRecord) -> offline.Verdict:
        """What the policy for the time without servers says. Decided and noted in one go, or two jobs of a user could
        spend the same money."""
        ledger, own = self._ledger, self._settings.offline
        spent = self.desk.spent_offline(record.user_name, but=record.job_id)
        return offline.decide(
            record.queue, record.facts or JobFacts(impressions=0, sheets=0), self._policies.get(record.queue),
            own.policy, offline.allowance_units(own.allowance, ledger),
            offline.Purse(self._book.available(record.user_name), spent), ledger,
        )  # fmt: skip

    def _waits_alone(self, queue: str) -> bool:
        return offline.policy_of(self._policies.get(queue), self._settings.offline.policy) == "hold"

    @property
    def _ledger(self) -> Ledger:
        return self._cluster.ledger or offline.DEFAULT_LEDGER

    def send_report(self, record: JobRecord) -> None:
        self._uplink.send(record)

    # ------------------------------------------------------------ what runs all the time

    async def recover(self) -> None:
        """After a start: take up open jobs, take in runs that nobody has taken in, remove what is left of old ones."""
        await asyncio.to_thread(self._tell_backends)
        records = await asyncio.to_thread(self._book.open)
        for damage in self._book.damage:
            log = _log.info if damage.torn else _log.error
            log("the journal's segment %d: passed over %d bytes at %d", damage.segment, damage.length, damage.start)
        self.desk.start(records)
        await asyncio.to_thread(runs.sweep, self._settings.runs_dir)
        await self._take_in_all()
        if self._cluster.resending:
            await self._resend()

    async def close(self) -> None:
        """Leave all work as it is."""
        self._watch.close()
        self._starts.close()
        await self._foreseen.close()
        for task in (*self._analyses, *self._asking):
            task.cancel()
        await asyncio.gather(*self._analyses, *self._asking, return_exceptions=True)
        await self.desk.close()

    async def run_sender(self) -> None:
        await self._uplink.run_sender(ReportSink(self._book.fetch, self._reported, self.desk.refused))

    async def run_heartbeats(self) -> None:
        while True:
            started_s = self._clock.monotonic_s()
            answer: HeartbeatAnswer | None = None
            try:
                answer = await self._uplink.beat(await self._heartbeat())
                if answer is not None:
                    await self._take_cluster(answer)
            except Exception:  # noqa: BLE001  # a heartbeat that fails unforeseen must not be the last
                _log.exception("a heartbeat failed")
            await asyncio.sleep(max(0.05, beat_pause_s(answer) - (self._clock.monotonic_s() - started_s)))

    async def run_keeper(self) -> None:
        await self._keeper.run()

    async def run_supplies(self) -> None:
        await self._supplies.run()

    async def run_adoption(self) -> None:
        """A backend may have gone on without us while we were too slow for it, or begun late what we once permitted."""
        while True:
            await asyncio.sleep(ADOPT_EVERY_S)
            await self._take_in_all()

    async def _heartbeat(self) -> Heartbeat:
        await self._look_at_queues()
        return Heartbeat(
            program_version=program_version(),
            host=os.uname().nodename,
            queues=self._seen.queues,
            open_jobs=tuple(self.desk.open_jobs[:MAX_OPEN_TOLD]),
            backlog=self._uplink.outbox.backlog,
            oldest_unsent_s=self._oldest_unsent_s(),
            disk_free_bytes=_free_bytes(self._settings.state_dir),
            held_jobs=self._held_jobs(),
            trouble=self._trouble()[:MAX_TROUBLE],
            contacts=self._contacts(),
        )

    def _held_jobs(self) -> int:
        return sum(1 for record in self.desk.undecided if record.held_for)

    def _trouble(self) -> str:
        """What a person should see to on this print server, "" for nothing."""
        refused = sum(1 for parcel in self._uplink.outbox.parcels.values() if parcel.refused)
        found = (
            self._book.trouble,
            f"cupsd: {self._seen.trouble}" if self._seen.trouble else "",
            f"servers refuse {refused} reports" if refused else "",
            *self._damage(),
        )
        return "; ".join(filter(None, found))

    def _damage(self) -> tuple[str, ...]:
        passed_over = tuple(
            f"{damage.length} damaged bytes in segment {damage.segment} were passed over"
            for damage in self._book.damage
            if not damage.torn
        )
        damaged = sorted(self._seen.damaged_runs)
        return passed_over + tuple(f"run file {name} is damaged; it cannot be charged" for name in damaged)

    def _contacts(self) -> tuple[ServerContact, ...]:
        now_s = self._clock.monotonic_s()
        return tuple(
            ServerContact(
                url=url[:1024],
                age_s=None if known.answered_at_s is None else max(0.0, now_s - known.answered_at_s),
                trouble=known.trouble[:1024],
            )
            for url, known in list(self._uplink.client.contacts.items())[:MAX_CONTACTS]
        )

    def _policies_age_s(self) -> float | None:
        if self._told_at_s is not None:
            return self._clock.monotonic_s() - self._told_at_s
        told_at = self._cluster.told_at
        return max(0.0, (self._clock.now_ms() - told_at) / 1000) if told_at else None

    async def _look_at_queues(self) -> None:
        self._watch.note_server(self._cupsd.server)
        self._starts.watch()
        try:
            queues = await self._cupsd.queues()
        except CupsError as error:
            if not self._seen.trouble:
                _log.warning("cupsd does not tell of its queues: %s", error)
            self._seen.trouble = str(error)
            self._seen.queues = tuple(replace(queue, printer_state="unknown") for queue in self._seen.queues)
            return
        self._seen.trouble = ""
        self._supplies.note(queues)
        self._seen.queues = tuple(self._supplies.complete(queue.report) for queue in queues if not queue.is_class)

    async def _take_cluster(self, answer: HeartbeatAnswer) -> None:
        """Remember what the servers say of themselves; tell a restored database the journal again."""
        self._policies = {policy.name: policy for policy in answer.queues}
        self._told_at_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        members = tuple(member.url for member in answer.members if member.state != "gone" and member.url)
        known = self._cluster
        restored = 0 < known.generation < answer.generation
        self._cluster = replace(
            known,
            servers=members or known.servers,
            generation=max(known.generation, answer.generation),
            resending=known.resending or restored,
            queues=answer.queues,
            ledger=answer.ledger or known.ledger,
        )
        if self._cluster != known or not 0 <= now_ms - known.told_at < TOLD_AT_MS:
            self._cluster = replace(self._cluster, told_at=now_ms)
        self._uplink.client.set_servers(known_servers(self._settings.servers.urls, self._cluster))
        if restored:
            await self._resend()
        elif known.resending and not self._uplink.outbox.backlog:
            self._cluster = replace(self._cluster, resending=False)
        if self._cluster != known:
            await asyncio.to_thread(self._remember)
            await asyncio.to_thread(self._tell_backends)

    def _remember(self) -> None:
        try:
            write_cluster(self._settings.state_dir, self._cluster)
        except OSError as error:
            _log.warning("what the servers said cannot be kept: %s", error)

    def _tell_backends(self) -> None:
        """What they do when they find no daemon: the policies by which it would decide without a server."""
        told = {
            name: "disabled" if policy.disabled else offline.policy_of(policy, self._settings.offline.policy)
            for name, policy in self._policies.items()
        }
        try:
            tracking.write_policies(self._settings, {**told, "*": self._settings.offline.policy})
        except OSError as error:
            _log.warning("what backends do without the daemon cannot be kept: %s", error)

    async def _resend(self) -> None:
        job_ids = self._book.settled_ids()
        _log.warning("the servers' data was restored: telling them %d jobs again", len(job_ids))
        for job_id in job_ids:
            record = await self._book.fetch(job_id)
            if record is not None and record.phase == "settled":
                self._uplink.send(record)

    def _oldest_unsent_s(self) -> float:
        since_ms = self._uplink.outbox.oldest_since_ms()
        return 0.0 if since_ms is None else max(0.0, (self._clock.now_ms() - since_ms) / 1000)

    # ------------------------------------------------------------ runs made without us

    async def _take_in_all(self) -> None:
        """Every run file whose job no machine looks after: it is known and over, or nobody has taken it in yet."""
        names = await asyncio.to_thread(runs.all_names, self._settings.runs_dir)
        await self._adopt_names([name for name in names if name.startswith(runs.OFFLINE_MARK)])
        for name in names:
            if not name.startswith(runs.OFFLINE_MARK) and not self.desk.is_under_way(name.rpartition(".")[0]):
                try:
                    await self._take_in(name)
                except (CupsError, JournalError, OSError) as error:
                    _log.warning("run %s cannot be taken in now: %s", name, error)

    async def _take_in(self, name: str) -> None:
        """A run whose job is over, or whose record is lost."""
        job_id = name.rpartition(".")[0]
        record = await self._book.fetch(job_id)
        if record is not None and any(run.name == name and run.verdict for run in record.runs):
            await asyncio.to_thread(runs.remove, self._settings.runs_dir, [name])
            return
        await self._adopt(name, job_id, record.document_facts if record is not None else None)

    async def _adopt_names(self, names: list[str]) -> None:
        for name in names:
            try:
                await self._adopt(name)
            except (CupsError, JournalError, OSError) as error:
                _log.warning("run %s cannot be taken in now: %s", name, error)

    async def _adopt(self, name: str, job_id: str = "", known_facts: JobFacts | None = None) -> None:
        if name in self._seen.damaged_runs or any(run.name == name for s in self.desk.states for run in s.record.runs):
            return
        found = await asyncio.to_thread(runs.read_run, self._settings.runs_dir, name)
        if found is None:
            return
        if found.started is None:
            _log.error("run file %s is damaged: what it printed cannot be charged; it is kept", name)
            self._seen.damaged_runs.add(name)
            return
        ask = await identity.identify_run(self._cupsd, found.started, self._settings.users)
        facts = known_facts or await self._facts_of_run(name, found.started)
        run = replace(found.record, facts=facts, offline=found.started.offline or not job_id)
        _log.info("job %d was printed without the daemon: taking in %s", found.started.cups_job_id, name)
        await self.desk.adopt(self._with_policy(ask), run, job_id)

    async def _facts_of_run(self, name: str, started: runs.Started) -> JobFacts:
        request = identity.analysis_request(started)
        try:
            document = os.open(self._settings.runs_dir / f"{name}.doc", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            reason = "the document is gone"
            return estimate(request, started.content_type, started.document_bytes, reason)
        try:
            return await self._analyser.analyse(document, request, self._settings.analysis.timeout_s)
        finally:
            os.close(document)


def _free_bytes(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
