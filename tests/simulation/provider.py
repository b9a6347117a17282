"""The provider's daemon in the simulation: does what the machines of `provider.jobs` and `provider.uplink` ask for.

The counterpart of `jobs.desk`, `service`, `jobs.book`, `journal.commit`, `journal.file` and `uplink.sender`, whose
effects it performs one by one on the simulated disk and network, so that the daemon can die between any two of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import msgspec
from msgspec.structs import replace as change

from backend.intake.model import Body
from backend.wire.jobs import AuthoriseAnswer, JobFacts, Printing, ReportAnswer
from backend.wire.pricing import SimpleCost
from backend.wire.printers import QueuePolicy
from provider.analysis.options import parse_options
from provider.cups.identity import judge_note, judge_state, printing_of_run, times_of
from provider.cups.printer import DOUBT_S, UNREACHED, Wanted, choose
from provider.jobs import events as ev
from provider.jobs import machine
from provider.jobs.holds import Decided, steps
from provider.jobs.model import Ask, JobRecord, PrinterWord, RunRecord, Told
from provider.jobs.offline import DEFAULT_LEDGER, Purse, Verdict, decide
from provider.jobs.rules import read_evidence
from provider.jobs.state import JobState, Moment, begin, is_open, resume
from provider.journal.record import Record, scan
from provider.journal.runs import (
    DRAFT_MARK,
    HELD_MARK,
    NOTE_SUFFIX,
    OFFLINE_MARK,
    SUFFIXES,
    HeldNote,
    Started,
    highest_number,
    read_words,
)
from provider.service import JUST_BEFORE_MS
from provider.uplink import messages
from provider.uplink.machine import Outbox, Parcel
from tests.simulation.auditor import Auditor
from tests.simulation.backend import Backend, Connection, Inner
from tests.simulation.client import Client, Reply
from tests.simulation.errors import Broken
from tests.simulation.journal import Journal
from tests.simulation.kernel import Network, Process
from tests.simulation.people import Desk
from tests.simulation.printing import Site
from tests.simulation.server import Answered, Server

TOKENS_A_LIFE = 1 << 32
KILL_AFTER_S = 10.0
ADOPT_EVERY_S = 5.0
BEAT_S = 2.0
ROUND_S = 0.5
ROUNDS_BETWEEN_LOOKS = 4
SPOOL = "spool"


class Daemon(Process):
    """One print server's daemon."""

    def __init__(
        self, site: Site, provider_id: int, network: Network, servers: Sequence[Server], auditor: Auditor, desk: Desk
    ) -> None:
        super().__init__(site.kernel, f"{site.name}.daemon", site.machine)
        self.site = site
        self._provider_id = provider_id
        self._network = network
        self._servers = servers
        self._auditor = auditor
        self._desk = desk
        self.states: dict[str, JobState] = {}
        self.outbox = Outbox()
        self.journal: Journal | None = None
        self._forget_all()

    def _forget_all(self) -> None:
        self.states = {}
        self.outbox = Outbox()
        self.damaged: dict[str, None] = {}
        self._by_printing: dict[Printing, str] = {}
        self._sessions: dict[int, Connection] = {}
        self._asks: dict[int, Ask] = {}
        self._session_jobs: dict[int, str] = {}
        self._timers: dict[str, int] = {}
        self._told_to_end: dict[str, float] = {}
        self._tried_at_s: dict[str, float] = {}
        self._answering = True
        self.damaged_notes: dict[str, None] = {}
        self._next_session = 1
        self._next_token = 0
        self._next_timer = 0
        self._pump_at_s = 0.0

    @property
    def is_quiet(self) -> bool:
        journal = self.journal
        return (
            self.alive
            and not self.states
            and not self.outbox.backlog
            and journal is not None
            and not journal.unsettled
            and not journal.busy
            and not [name for name in self._run_names() if name not in self.damaged]
            and not [n for n in self.site.disk.files if n.startswith(HELD_MARK) and n not in self.damaged_notes]
        )

    def begin(self) -> None:
        self._forget_all()
        self.journal = Journal(self)
        self._client = Client(self, self._network, self._servers, self._heard)
        for record in sorted(self.journal.unsettled.values(), key=lambda record: record.created_at):
            state, effects = resume(record, self._moment())
            self._enter(record.job_id, state, effects)
        self._sweep()
        self.spawn(self._adopting())
        self.spawn(self._beating())
        self.spawn(self._keeping())

    def _sweep(self) -> None:
        for name, file in list(self.site.disk.files.items()):
            if name.startswith(DRAFT_MARK) and not file.locked:
                self.effect()
                self.site.disk.unlink(name)

    # ------------------------------------------------------------ backends

    def accept(self, connection: Connection) -> None:
        """A backend has come."""
        self.spawn(self._open(connection))

    async def _open(self, connection: Connection) -> None:
        backend = connection.backend
        await self.sleep(self.kernel.rng.uniform(0.001, 0.01))
        cupsd, job = self.site.cupsd, backend.job
        created, completed = times_of(parse_options(backend.options), job.told() if cupsd.alive else None)
        ask = Ask(
            printing=Printing(
                spool_id=SPOOL, cups_job_id=job.number, time_at_creation=created, time_at_completed=completed
            ),
            queue=job.queue,
            user_name=job.user,
            cups_user_name=job.user,
            title=job.title,
            device_uri="ipp://printer/ipp/print",
            incarnation=backend.incarnation,
            orphan=backend.orphan,
            partial_charge=self.site.rule.partial_charge,
        )
        offline = f"{OFFLINE_MARK}{job.number}-"
        await self._adopt_names([name for name in self._run_names() if name.startswith(offline)])
        if connection.closed:
            return
        number = connection.session = self._next_session
        self._next_session += 1
        self._sessions[number] = connection
        job_id = self._job_of(ask)
        self._session_jobs[number] = job_id
        self._feed(job_id, ev.Asked(number, ask))

    def hung_up(self, connection: Connection) -> None:
        """The backend's run is over, or the backend is."""
        connection.closed = True
        number = connection.session
        if self._sessions.pop(number, None) is not None:
            self._feed(self._session_jobs[number], ev.SessionGone(number))

    def _answer(self, number: int, reply: ev.Reply) -> None:
        connection = self._sessions.get(number)
        if connection is None:
            return
        self.tell(f"answers {connection.backend.name}: {_brief(reply)}")
        rule = self.site.rule
        if isinstance(reply, ev.Print) and reply.offline and rule.offline == "allowance":
            record = self.states[reply.job_id].record
            cost = record.offline.cost if record.offline is not None else 0
            self._auditor.spent_offline(self.site.name, record.user_name, record.job_id, cost, rule.allowance)
        backend = connection.backend
        backend.after(0.0005, lambda: connection.reply.set(reply), connection.life)
        if not isinstance(reply, ev.Print):
            self.after(0.0005, lambda: self.hung_up(connection))

    # ------------------------------------------------------------ the machines

    def _job_of(self, ask: Ask, wanted_id: str = "") -> str:
        assert self.journal is not None
        known = self._by_printing.get(ask.printing) or self.journal.printings.get(ask.printing)
        if known is not None and known not in self.states and known in self.journal.records:
            state, effects = resume(self.journal.records[known], self._moment())
            self._enter(known, state, tuple(e for e in effects if not isinstance(e, ev.Forget)))
        if known is not None and known in self.states:
            return known
        job_id = self._by_printing.get(ask.printing) or wanted_id or self.kernel.fresh_id()
        if job_id not in self.states:
            self._enter(job_id, begin(job_id, ask, self._moment()), ())
        return job_id

    def _enter(self, job_id: str, state: JobState, effects: tuple[ev.Effect, ...]) -> None:
        self._next_token += TOKENS_A_LIFE
        state = replace(state, token=self._next_token)
        self._by_printing[state.record.printing] = job_id
        self._settle(job_id, state, effects)

    def _feed(self, job_id: str, event: ev.Event) -> None:
        state = self.states.get(job_id)
        if state is not None:
            self._settle(job_id, *machine.step(state, event, self._moment()))

    def _settle(self, job_id: str, state: JobState, effects: tuple[ev.Effect, ...]) -> None:
        self.states[job_id] = state
        self._timers.pop(job_id, None)
        if state.wake_at_s is not None:
            self._next_timer += 1
            timer = self._timers[job_id] = self._next_timer
            pause_s = max(0.0, state.wake_at_s - self.monotonic_s()) / self.machine.rate
            self.after(pause_s + 1e-6, lambda: self._tick(job_id, timer))
        for effect in effects:
            self.effect()
            self._perform(job_id, state, effect)

    def _tick(self, job_id: str, timer: int) -> None:
        if self._timers.get(job_id) == timer:
            self._feed(job_id, ev.Tick())

    def _moment(self) -> Moment:
        return Moment(self.monotonic_s(), self.now_ms(), self.kernel.fresh_id())

    def _perform(self, job_id: str, state: JobState, effect: ev.Effect) -> None:
        assert self.journal is not None
        rng = self.kernel.rng
        match effect:
            case ev.Answer(number, reply):
                self._answer(number, reply)
            case ev.Write(0, record):
                self.journal.write_soon(record)
            case ev.Write(token, record):
                self.spawn(self._write(job_id, token, record))
            case ev.LookAtRuns(token):
                self.after(rng.uniform(0.001, 0.005), lambda: self._look(job_id, token, state))
            case ev.AskPrinter(token, run):
                self.after(rng.uniform(0.01, 0.1), lambda: self._ask_printer(job_id, token, state.record, run))
            case ev.AskCups(token):
                self.after(rng.uniform(0.002, 0.01), lambda: self._ask_cups(job_id, token, state.record.printing))
            case ev.Analyse(token, number):
                self.after(rng.uniform(0.01, 0.2), lambda: self._analyse(job_id, token, number))
            case ev.Authorise(token, record, deadline_s):
                self.spawn(self._authorise(job_id, token, record, deadline_s))
            case ev.SendReport(record):
                self._send_report(record)
            case ev.RemoveRuns(names):
                self._remove(names)
            case ev.EndOrphans(names):
                self._end_orphans(names)
            case ev.Forget():
                self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        state = self.states.pop(job_id, None)
        self._timers.pop(job_id, None)
        if state is not None:
            self._by_printing.pop(state.record.printing, None)

    # ------------------------------------------------------------ what the machines ask for

    async def _write(self, job_id: str, token: int, record: JobRecord) -> None:
        assert self.journal is not None
        done = await self.journal.write(record)
        self._feed(job_id, ev.Written(token) if done else ev.NotWritten(token, "the disk is full"))

    def _look(self, job_id: str, token: int, state: JobState) -> None:
        disk = self.site.disk
        stems = [_stem(name) for name in disk.files if name.startswith(f"{job_id}.")]
        known = [run.name for run in state.record.runs if not run.verdict]
        names = [name for name in dict.fromkeys((*sorted(stems), *known)) if f"{name}.run" in disk.files]
        found = [self._read_run(name) for name in names]
        locked = any(disk.files[f"{run.name}.run"].locked and run.ended_at is None for _, run in found)
        self._feed(job_id, ev.RunsSeen(token, tuple(run for _, run in found), locked, highest_number(stems)))

    def _read_run(self, name: str) -> tuple[Started | None, RunRecord]:
        """As `journal.runs.read_run` does."""
        disk = self.site.disk
        started, ended, _ = read_words(disk.read(f"{name}.run"))
        tail = name.rpartition(".")[2]
        record = RunRecord(
            number=started.run if started and started.run else int(tail) if tail.isdigit() else 0,
            name=name,
            started_at=started.started_at if started else self.now_ms(),
            boot_id=started.boot_id if started else "",
            boot_ms=started.boot_ms if started else 0,
            attempt=started.attempt if started else 0,
            document=max(1, started.document) if started else 1,
            incarnation=started.incarnation if started else "",
            offline=started is not None and started.offline,
            ended_at=ended.ended_at if ended else None,
            exit_code=ended.exit_code if ended else None,
            canceled=ended is not None and ended.canceled,
            evidence=read_evidence(disk.read(f"{name}.log")),
        )
        return started, record

    def _ask_printer(self, job_id: str, token: int, record: JobRecord, run: RunRecord) -> None:
        assert self.journal is not None
        recent = [
            one
            for one in self.journal.records.values()
            if one.phase == "settled" and (one.settled_at or 0) >= run.started_at - JUST_BEFORE_MS
        ]
        others = frozenset(
            other.evidence.printer_job_id
            for one in (*recent, *(state.record for state in self.states.values()))
            for other in one.runs
            if other.name != run.name
            and other.evidence.printer_job_id
            and (one.phase != "settled" or other.evidence.printer_job_id != run.evidence.printer_job_id)
        )
        same_boot = run.boot_id == f"{self.machine.name}.{self.machine.boot}"
        wanted = Wanted(
            run.evidence.printer_job_id,
            record.title,
            record.cups_user_name,
            self._age_of(run),
            others,
            0.0 if same_boot else DOUBT_S,
        )
        word = UNREACHED if self.site.printer.deaf else self._printers_word(wanted)
        self._feed(job_id, ev.PrinterSaid(token, run.name, word))

    def _printers_word(self, wanted: Wanted) -> PrinterWord:
        printer = self.site.printer
        jobs = [printer.group(job) for job in printer.jobs]
        up_time = int(printer.up_time_s)
        if wanted.printer_job_id:
            mine = [group for group in jobs if group.number("job-id") == wanted.printer_job_id]
            word = choose(mine, wanted, up_time)
            if word.known:
                return word
        return choose(jobs, wanted, up_time)

    def _age_of(self, run: RunRecord) -> float:
        if run.boot_id and run.boot_id == f"{self.machine.name}.{self.machine.boot}":
            return max(0.0, self.monotonic_s() - run.boot_ms / 1000)
        return max(0.0, (self.now_ms() - run.started_at) / 1000)

    def _ask_cups(self, job_id: str, token: int, printing: Printing) -> None:
        cupsd = self.site.cupsd
        if not cupsd.alive:
            self._feed(job_id, ev.CupsSaid(token, "unreachable"))
            return
        job = cupsd.jobs.get(printing.cups_job_id)
        self._feed(job_id, ev.CupsSaid(token, judge_state(job.told() if job else None, printing)))

    def _analyse(self, job_id: str, token: int, number: int) -> None:
        connection = self._sessions.get(number)
        if connection is not None:
            self._feed(job_id, ev.Analysed(token, _facts(connection.backend.pages)))

    async def _authorise(self, job_id: str, token: int, record: JobRecord, deadline_s: float) -> None:
        body = messages.authorise(record)
        left_s = max(0.01, deadline_s - self.monotonic_s())
        answered = await self._call(body, timeout_s=left_s, patient=True)
        if answered is None:
            verdict = self._offline_verdict(record)
            self.tell(f"decides alone on {record.title}: {verdict}")
            self._feed(job_id, ev.Undecided(token, verdict))
            return
        answer = msgspec.json.decode(answered.answer, type=AuthoriseAnswer)
        if answer.decision != "superseded":
            self._note_available(record.user_name, answer.available)
        self._feed(job_id, ev.Decided(token, answer))

    def _offline_verdict(self, record: JobRecord) -> Verdict:
        """As `Service.offline_verdict`, with policies that never change."""
        assert self.journal is not None
        rule = self.site.rule
        policy = QueuePolicy(
            name=record.queue,
            disabled=False,
            cost=SimpleCost(per_impression=self._auditor.prices[record.queue]),
            offline_policy=rule.offline,
            partial_charge=rule.partial_charge,
            hold_jobs=rule.hold_jobs,
        )
        mine = [state.record for state in self.states.values() if state.record.user_name == record.user_name]
        spent = sum(one.offline.cost for one in mine if one.offline is not None and one.job_id != record.job_id)
        told = self.journal.told.get(record.user_name)
        purse = Purse(told.available if told is not None else None, spent)
        facts = record.facts or _facts(0)
        return decide(record.queue, facts, policy, "allow", rule.allowance, purse, DEFAULT_LEDGER)

    def _note_available(self, user_name: str, available: int) -> None:
        assert self.journal is not None
        self.journal.told[user_name] = Told(available=available, at=self.now_ms())
        self._auditor.told_available(self.site.name, user_name, available)

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            for suffix in reversed(SUFFIXES):
                if f"{name}{suffix}" in self.site.disk.files:
                    self.effect()
                    self.site.disk.unlink(f"{name}{suffix}")

    def _end_orphans(self, names: Sequence[str]) -> None:
        now_s = self.monotonic_s()
        for name in names:
            file = self.site.disk.files.get(f"{name}.run")
            for process, life in tuple(file.holders) if file is not None else ():
                if not process.alive or process.life != life or not isinstance(process, Backend | Inner):
                    continue
                first = self._told_to_end.setdefault(f"{name} {process.name}", now_s)
                if now_s - first > KILL_AFTER_S:
                    process.kill()
                elif first == now_s:
                    process.after(0.0, process.terminate)

    # ------------------------------------------------------------ the uplink

    async def _call(self, body: Body, *, timeout_s: float, patient: bool = False) -> Answered | None:
        self._auditor.send(body)
        self._desk.provider_of(body, self._provider_id)
        provider_id = self._provider_id
        return await self._client.call(
            body.command_id,
            lambda server, reply: server.submit(body, provider_id, reply),
            timeout_s=timeout_s,
            patient=patient,
        )

    def _heard(self, label: str, answered: Answered) -> None:
        if label in ("beat", "decisions"):
            self._answering = answered.kind == "answer" or self._answering
            return
        if answered.kind == "answer":
            self._auditor.hear(label, answered.answer)
            self.outbox.failures, self.outbox.not_before_s = 0, 0.0
        elif answered.kind in ("conflict", "rejected"):
            raise Broken("P8", f"the provider's own command {label} was answered {answered.kind}")

    def _send_report(self, record: JobRecord) -> None:
        if record.ending is not None:
            self.outbox.put(record.job_id, record.ending.revision, record.created_at)
            self.after(0.0, self._pump)

    def _pump(self) -> None:
        now_s = self.monotonic_s()
        for parcel in self.outbox.due(now_s):
            self.spawn(self._send(parcel))
        wake_at_s = self.outbox.wake_at_s()
        if wake_at_s is not None and not now_s < self._pump_at_s <= wake_at_s:
            self._pump_at_s = max(wake_at_s, now_s + 0.01)
            self.after((self._pump_at_s - now_s) / self.machine.rate + 1e-6, self._pump)

    async def _send(self, parcel: Parcel) -> None:
        assert self.journal is not None
        record = self.journal.records.get(parcel.job_id)
        if record is None or not messages.is_reportable(record):
            self.outbox.drop(parcel.job_id)
            return
        body = messages.report(record)
        answered = await self._call(body, timeout_s=10.0)
        self.effect()
        if answered is None:
            self.outbox.failed(parcel.job_id, self.monotonic_s(), self.kernel.rng.random())
        else:
            self.outbox.answered(parcel.job_id, body.revision)
            available = msgspec.json.decode(answered.answer, type=ReportAnswer).available
            if available is not None:
                self._note_available(record.user_name, available)
            self._auditor.settled_offline(self.site.name, record.user_name, record.job_id)
            self._feed(parcel.job_id, ev.Reported(body.revision, available))
        self.outbox.in_flight.discard(parcel.job_id)
        self._pump()

    async def _beating(self) -> None:
        provider_id = self._provider_id

        def beat(server: Server, reply: Reply) -> None:
            server.heartbeat(provider_id, jobs, reply)

        while True:
            jobs = tuple(job_id for job_id, state in self.states.items() if is_open(state))
            if jobs:
                self._answering = await self._client.call("beat", beat, timeout_s=2.0) is not None
            await self.sleep(BEAT_S)

    # ------------------------------------------------------------ held jobs

    async def _keeping(self) -> None:
        """As `provider.keeper` does."""
        rounds = 0
        while True:
            await self.sleep(ROUND_S)
            rounds += 1
            await self._keep(rounds % ROUNDS_BETWEEN_LOOKS == 0)

    async def _keep(self, seldom: bool) -> None:
        open_states = (state for state in self.states.values() if state.on_disk and state.record.phase == "open")
        records = [state.record for state in open_states]
        held = [record for record in records if record.held_for]
        decisions: dict[str, Literal["release", "cancel"]] = {}
        if any(record.held_for == "release" for record in held) or (seldom and records):
            decisions = await self._decisions()
        waits = self._answering and any(record.held_for == "server" for record in held)
        cupsd = self.site.cupsd
        if cupsd.alive and (decisions or waits or (seldom and held)):
            listed = {number: job.told() for number, job in cupsd.jobs.items() if not job.told().over}
            decided = Decided(self._answering, decisions)
            for step in steps(records, listed, decided, self._tried_at_s, self.monotonic_s()):
                self._tried_at_s[step.job_id] = self.monotonic_s()
                self.effect()
                if step.act == "release":
                    cupsd.release(step.cups_job_id)
                elif step.act == "look" or cupsd.cancel_number(step.cups_job_id):
                    self.after(0.01, lambda job_id=step.job_id: self._feed(job_id, ev.Nudge()))  # type: ignore[misc]
        if seldom:
            self._take_notes()

    async def _decisions(self) -> dict[str, Literal["release", "cancel"]]:
        provider_id = self._provider_id
        answered = await self._client.call(
            "decisions", lambda server, reply: server.decisions(provider_id, reply), timeout_s=2.0
        )
        self._answering = answered is not None
        if answered is None:
            return {}
        return msgspec.json.decode(answered.answer, type=dict[str, Literal["release", "cancel"]])

    def _take_notes(self) -> None:
        disk, cupsd = self.site.disk, self.site.cupsd
        for name in sorted(name for name in disk.files if name.endswith(NOTE_SUFFIX) and name.startswith(HELD_MARK)):
            note = _note(disk.read(name))
            job = cupsd.jobs.get(note.cups_job_id) if cupsd.alive and note is not None else None
            if note is None or not cupsd.alive:
                if note is None:
                    self.damaged_notes[name] = None
                continue
            state = judge_note(job.told() if job is not None else None, note)
            if state == "not yet":
                continue
            self.effect()
            if state == "held":
                cupsd.release(note.cups_job_id)
            self.effect()
            disk.unlink(name)

    # ------------------------------------------------------------ runs without a machine

    def _run_names(self) -> list[str]:
        return sorted(name[:-4] for name in self.site.disk.files if name.endswith(".run"))

    async def _adopting(self) -> None:
        while True:
            await self._take_in_all()
            await self.sleep(ADOPT_EVERY_S)

    async def _take_in_all(self) -> None:
        names = self._run_names()
        await self._adopt_names([name for name in names if name.startswith(OFFLINE_MARK)])
        for name in names:
            if not name.startswith(OFFLINE_MARK) and name.rpartition(".")[0] not in self.states:
                await self._take_in(name)

    async def _take_in(self, name: str) -> None:
        assert self.journal is not None
        job_id = name.rpartition(".")[0]
        record = self.journal.records.get(job_id)
        if record is not None and any(run.name == name and run.verdict for run in record.runs):
            self._remove([name])
            return
        await self._adopt(name, job_id, record.document_facts if record is not None else None)

    async def _adopt_names(self, names: Sequence[str]) -> None:
        for name in names:
            await self._adopt(name)

    async def _adopt(self, name: str, job_id: str = "", known_facts: JobFacts | None = None) -> None:
        if name in self.damaged or any(r.name == name for state in self.states.values() for r in state.record.runs):
            return
        if f"{name}.run" not in self.site.disk.files:
            return
        started, record = self._read_run(name)
        if started is None:
            self.damaged[name] = None
            return
        await self.sleep(self.kernel.rng.uniform(0.001, 0.01))
        job = self.site.cupsd.jobs.get(started.cups_job_id) if self.site.cupsd.alive else None
        ask = Ask(
            printing=printing_of_run(started, SPOOL, job.told() if job is not None else None),
            queue=started.queue,
            user_name=started.user,
            cups_user_name=started.user,
            title=started.title,
            device_uri=started.device_uri,
            incarnation=started.incarnation,
            partial_charge=self.site.rule.partial_charge,
        )
        facts = known_facts or self._facts_of_run(name)
        run = change(record, facts=facts, offline=started.offline or not job_id)
        self.tell(f"takes in run {name}")
        self._feed(self._job_of(ask, job_id), ev.Adopted(run))

    def _facts_of_run(self, name: str) -> JobFacts:
        text = self.site.disk.read(f"{name}.doc")
        return _facts(int(text)) if text.isdigit() else JobFacts(impressions=1, sheets=1, estimated=True)


def _brief(reply: ev.Reply) -> str:
    if isinstance(reply, ev.Print):
        return f"print as run {reply.run}, attempt {reply.attempt}{', offline' if reply.offline else ''}"
    return f"{type(reply).__name__} {getattr(reply, 'message', '')}"


def _note(data: bytes) -> HeldNote | None:
    for part in scan(data):
        if isinstance(part, Record):
            return msgspec.json.decode(part.payload, type=HeldNote)
    return None


def _facts(pages: int) -> JobFacts:
    return JobFacts(impressions=pages, sheets=pages)


def _stem(name: str) -> str:
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix)
