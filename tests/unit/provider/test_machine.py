"""The job machine in a small world of cupsd, backends, a printer, a disk and a server, any of which dies at any moment.

The world takes its steps in an order that hypothesis chooses, with crashes among them, then comes to rest without any.
At rest: what was printed was printed once and is reported once, under one job, and nothing left before it was on disk.
"""

import dataclasses
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backend.wire.jobs import AuthoriseAnswer, JobFacts, Printing
from backend.wire.pricing import SimpleCost
from provider.jobs.events import (
    Adopted,
    Analyse,
    Analysed,
    Answer,
    AskCups,
    Asked,
    AskPrinter,
    Authorise,
    CupsSaid,
    Decided,
    Deny,
    Effect,
    EndOrphans,
    Event,
    Finished,
    Foretold,
    Forget,
    Hold,
    LookAtRuns,
    NotWritten,
    Nudge,
    Print,
    PrinterSaid,
    RemoveRuns,
    Reply,
    Reported,
    RunsSeen,
    SendReport,
    SessionGone,
    Superseded,
    Tick,
    Undecided,
    Wait,
    Write,
    Written,
)
from provider.jobs.machine import step
from provider.jobs.model import Ask, CupsState, Ending, Evidence, JobRecord, OfflineCharge, PrinterWord, RunRecord
from provider.jobs.offline import OfflineHold, OfflinePrint, Verdict
from provider.jobs.rules import NOTHING
from provider.jobs.state import JobState, Moment, begin, resume

FACTS = JobFacts(impressions=10, sheets=10)
ASK = Ask(
    printing=Printing(spool_id="spool", cups_job_id=7, time_at_creation=1),
    queue="q",
    user_name="anna",
    device_uri="ipp://printer/",
    incarnation="1",
)
PRICED = OfflinePrint(OfflineCharge(cost=10, rule=SimpleCost(per_impression=1)))


@dataclass
class Backend:
    """A wrapper with its inner backend. `alive` is the wrapper, `inner` the real one: idle, running, printed, gone."""

    session: int
    alive: bool = True
    asking: bool = False
    reply: Reply | None = None
    run: str = ""
    inner: str = "idle"
    canceled: bool = False
    orphan: bool = False


@dataclass
class World:
    journal: dict[str, JobRecord] = field(default_factory=dict)
    disk_full: bool = False
    unwritten: JobRecord | None = None
    written_ids: set[str] = field(default_factory=set)
    server_up: bool = True
    printer_up: bool = True
    deny: bool = False
    state: JobState | None = None
    daemon_up: bool = True
    pending: list[Effect] = field(default_factory=list)
    backends: list[Backend] = field(default_factory=list)
    served: Backend | None = None
    cupsd_up: bool = True
    cups: CupsState = "alive"
    hold: bool = False
    hold_offline: bool = False
    held: bool = False
    printed: int = 0
    run_files: dict[str, RunRecord] = field(default_factory=dict)
    printed_runs: set[str] = field(default_factory=set)
    reports: list[JobRecord] = field(default_factory=list)
    now_s: float = 0.0
    ids: int = 0
    lives: int = 0
    fuse: int | None = None

    # ------------------------------------------------------------ the daemon

    def moment(self) -> Moment:
        self.ids += 1
        return Moment(self.now_s, int(self.now_s * 1000), f"id-{self.ids}")

    def tell(self, event: Event) -> None:
        if self.state is not None and self.daemon_up:
            self.state, effects = step(self.state, event, self.moment())
            self.carry_out(effects)

    def carry_out(self, effects: tuple[Effect, ...]) -> None:
        """What the daemon does itself, it does at once and in order, unless it is killed in the middle; what is asked
        of others is answered later, in any order."""
        for effect in effects:
            if self.fuse == 0:
                self.kill_daemon()
                return
            if self.fuse is not None:
                self.fuse -= 1
            if isinstance(effect, Answer | RemoveRuns | Forget) or (isinstance(effect, Write) and not effect.token):
                self.do_effect(effect)
            else:
                self.pending.append(effect)

    def ask(self, backend: Backend) -> None:
        """What the daemon's desk does: find the printing in memory, in the journal, or begin it."""
        if self.state is None:
            kept = self.unwritten or next(iter(self.journal.values()), None)
            if kept is None:
                self.take_up(begin("job-1", ASK, self.moment()))
            else:
                self.take_up(resume(kept, self.moment())[0])
        self.tell(Asked(backend.session, replace(ASK, orphan=backend.orphan)))

    def kill_daemon(self) -> None:
        self.daemon_up, self.state, self.pending, self.unwritten, self.fuse = False, None, [], None, None
        for backend in self.backends:
            backend.asking = False

    def start_daemon(self) -> None:
        self.daemon_up = True
        kept = next(iter(self.journal.values()), None)
        if kept is not None and kept.phase in ("open", "ended"):
            state, effects = resume(kept, self.moment())
            self.take_up(state)
            self.carry_out(effects)

    def take_up(self, state: JobState) -> None:
        """Each life of the job's machine has tokens of its own, as the desk gives them."""
        self.lives += 1
        self.state = dataclasses.replace(state, token=self.lives * 10_000)

    def adopt_leftover(self) -> bool:
        """What the daemon does with a run file that no machine looks after: begun late, by an old permission."""
        kept = self.journal.get("job-1")
        for name, run in list(self.run_files.items()):
            if kept is None or any(known.name == name and known.verdict for known in kept.runs):
                del self.run_files[name]
                continue
            state, effects = resume(kept, self.moment())
            self.take_up(state)
            self.carry_out(tuple(effect for effect in effects if not isinstance(effect, Forget)))
            self.tell(Adopted(replace(run, facts=FACTS)))
            return True
        return False

    def perform(self, index: int) -> None:
        self.do_effect(self.pending.pop(index))

    def do_effect(self, effect: Effect) -> None:
        match effect:
            case Write(token, record):
                self.write(token, record)
            case LookAtRuns(token):
                views = tuple(self.run_files.values())
                locked = any(self.holds(run.name) and run.exit_code is None for run in views)
                highest = max((run.number for run in views), default=0)
                self.tell(RunsSeen(token, views, locked, highest))
            case AskPrinter(token, run):
                self.tell(PrinterSaid(token, run.name, self.printer_word(run)))
            case AskCups(token):
                self.tell(CupsSaid(token, self.cups if self.cupsd_up else "unreachable"))
            case Analyse(token, _):
                self.tell(Analysed(token, FACTS))
            case Authorise(token, record, _):
                assert record.authorise_id in self.written_ids, "left before it was on disk"
                self.decide(token)
            case Answer(session, reply):
                self.answer(session, reply)
            case SendReport(record):
                assert record.ending is not None
                assert record.ending.command_id in self.written_ids, "left before it was on disk"
                if self.server_up:
                    self.reports.append(record)
                    self.tell(Reported(record.ending.revision))
                else:
                    self.pending.append(effect)
            case RemoveRuns(names):
                for name in names:
                    self.run_files.pop(name, None)
            case EndOrphans(names):
                for backend in self.backends:
                    if backend.run in names and backend.inner == "running" and not backend.alive:
                        backend.inner = "gone"
            case Forget():
                self.state = None

    def write(self, token: int, record: JobRecord) -> None:
        """Records nobody waits for are kept until the disk takes them, as the journal's front does."""
        if not self.disk_full:
            self.journal[record.job_id] = record
            self.unwritten = None
            self.written_ids |= {record.authorise_id, record.ending.command_id if record.ending else ""}
            if token:
                self.tell(Written(token))
        elif token:
            self.tell(NotWritten(token, "the disk is full"))
        else:
            self.unwritten = record

    def decide(self, token: int) -> None:
        if not self.server_up:
            self.tell(Undecided(token, self.policy()))
        elif self.hold:
            self.tell(Decided(token, AuthoriseAnswer(job_id="job-1", decision="held")))
        else:
            answer = AuthoriseAnswer(job_id="job-1", decision="denied" if self.deny else "authorised")
            self.tell(Decided(token, answer))

    def policy(self) -> Verdict:
        return OfflineHold("no server") if self.hold_offline else PRICED

    def foretell(self) -> None:
        """It has taken so long that it may soon be the policy's turn; a server may still answer."""
        for effect in self.pending:
            if isinstance(effect, Authorise):
                self.tell(Foretold(effect.token, self.policy()))

    def answer(self, session: int, reply: Reply) -> None:
        if isinstance(reply, Hold):
            assert self.journal["job-1"].held_for, "held before it was on disk why"
        if isinstance(reply, Print) and reply.offline:
            assert self.journal[reply.job_id].offline == PRICED.charge, "let print before its price was on disk"
        backend = next(backend for backend in self.backends if backend.session == session)
        if backend.alive and backend.asking:
            backend.asking, backend.reply = False, reply

    def holds(self, name: str) -> bool:
        return any(b.run == name and (b.alive or b.inner in ("running", "printed")) for b in self.backends)

    def printer_word(self, run: RunRecord) -> PrinterWord:
        if not self.printer_up:
            return PrinterWord(reached=False)
        return PrinterWord(state="completed") if run.name in self.printed_runs else PrinterWord(known=False)

    # ------------------------------------------------------------ cupsd, backends, printer

    def start_backend(self) -> None:
        self.served = Backend(session=len(self.backends) + 1)
        self.backends.append(self.served)

    def act(self, backend: Backend) -> None:
        """The wrapper's next step."""
        reply = backend.reply
        if backend.inner == "printed" or (backend.inner == "gone" and backend.run):
            self.finish(backend)
        elif backend.inner == "running":
            self.print_it(backend)
        elif reply is None and not backend.asking:
            if self.daemon_up:
                backend.asking = True
                self.ask(backend)
        elif isinstance(reply, Print):
            if reply.name in self.run_files:
                backend.reply = None  # somebody else's run: asks again
                self.tell(SessionGone(backend.session))
                self.replace_session(backend)
            else:
                self.run_files[reply.name] = RunRecord(
                    number=reply.run, name=reply.name, started_at=0, attempt=reply.attempt, incarnation="1"
                )
                backend.run, backend.inner = reply.name, "running"
        elif isinstance(reply, Finished):
            assert self.printed, "told that it had been printed"
            self.leave(backend, "completed")
        elif isinstance(reply, Deny):
            self.leave(backend, "canceled")
        elif isinstance(reply, Hold):
            self.held = self.held or (self.cupsd_up and self.served is backend)
            self.leave(backend, "alive")
        elif isinstance(reply, Superseded):
            assert backend is not self.served, "given up for an orphan"
            self.leave(backend, "alive")
        elif isinstance(reply, Wait):
            backend.reply = None
            self.tell(SessionGone(backend.session))
            self.replace_session(backend)

    def replace_session(self, backend: Backend) -> None:
        """It asks again on a new connection."""
        backend.alive = False
        again = Backend(session=len(self.backends) + 1, orphan=backend.orphan)
        self.backends.append(again)
        if self.served is backend:
            self.served = again

    def print_it(self, backend: Backend) -> None:
        self.printed += 1
        self.printed_runs.add(backend.run)
        backend.inner = "printed"

    def finish(self, backend: Backend) -> None:
        """The wrapper writes the end and leaves; an orphan's inner backend just goes."""
        well = backend.inner == "printed"
        backend.inner = "gone"
        if not backend.alive:
            return
        if backend.run in self.run_files:
            state = "completed" if well else ""
            seen = Evidence(spoke=True, connected=True, sending=well, waited=well, printer_state=state)
            self.run_files[backend.run] = replace(
                self.run_files[backend.run], exit_code=0 if well else 1, evidence=seen, canceled=backend.canceled
            )
        self.leave(backend, "completed" if well else "alive")

    def leave(self, backend: Backend, cups: CupsState) -> None:
        backend.alive = False
        self.tell(SessionGone(backend.session))
        if self.cupsd_up and self.served is backend:
            self.cups, self.served = cups if self.cups == "alive" else self.cups, None

    def kill_wrapper(self, backend: Backend) -> None:
        """CUPS calls the job completed; the inner backend goes on."""
        backend.alive = False
        if backend.inner == "idle":
            backend.inner = "gone"
        self.tell(SessionGone(backend.session))
        if self.cupsd_up and self.served is backend:
            self.cups, self.served = "completed", None

    def kill_cupsd(self) -> None:
        self.cupsd_up, self.served = False, None
        for backend in self.backends:
            backend.orphan = True

    def start_cupsd(self) -> None:
        self.cupsd_up = True

    # ------------------------------------------------------------ the order of things

    def actions(self) -> list[tuple[str, object]]:
        found: list[tuple[str, object]] = [("perform", n) for n in self.performable() if self.daemon_up]
        found += [("act", backend) for backend in self.backends if self.can_act(backend)]
        if self.cupsd_up and self.served is None and self.cups == "alive":
            found += [("start_backend", None)] if not self.held else [("let_go", None)] if self.may_go() else []
        if not self.cupsd_up:
            found.append(("start_cupsd", None))
        if not self.daemon_up:
            found.append(("start_daemon", None))
        return found

    def may_go(self) -> bool:
        """What the keeper looks at: the record, and what the server says now."""
        reason = self.state.record.held_for if self.daemon_up and self.state is not None else ""
        return (reason == "server" and self.server_up) or (reason == "release" and self.server_up and not self.hold)

    def let_go(self) -> None:
        self.held = False

    def performable(self) -> list[int]:
        """Everything but a write that another one goes before: the journal keeps its order."""
        writes = [n for n, effect in enumerate(self.pending) if isinstance(effect, Write)]
        return [n for n in range(len(self.pending)) if n not in writes[1:]]

    def can_act(self, backend: Backend) -> bool:
        if backend.inner in ("running", "printed"):
            return True
        return backend.alive and not backend.asking and (backend.reply is not None or self.daemon_up)

    def faults(self) -> list[tuple[str, object]]:
        switches = ("disk_full", "server_up", "hold", "hold_offline")
        found: list[tuple[str, object]] = [("flip", name) for name in switches]
        found += [("foretell", None)] if any(isinstance(effect, Authorise) for effect in self.pending) else []
        found += [("kill_wrapper", backend) for backend in self.backends if backend.alive]
        found += [("kill_inner", backend) for backend in self.backends if backend.inner == "running"]
        found += [("kill_daemon", None), ("light_fuse", 0), ("light_fuse", 1)] if self.daemon_up else []
        found += [("kill_cupsd", None)] if self.cupsd_up else []
        return found

    def do(self, name: str, subject: object) -> None:
        if name == "flip":
            setattr(self, str(subject), not getattr(self, str(subject)))
        elif name == "light_fuse" and isinstance(subject, int):
            self.fuse = subject
        elif name == "kill_inner" and isinstance(subject, Backend):
            subject.inner = "gone"
        elif name == "perform" and isinstance(subject, int):
            self.perform(subject)
        elif isinstance(subject, Backend):
            {"act": self.act, "kill_wrapper": self.kill_wrapper}[name](subject)
        else:
            {
                "start_backend": self.start_backend,
                "let_go": self.let_go,
                "foretell": self.foretell,
                "start_cupsd": self.start_cupsd,
                "start_daemon": self.start_daemon,
                "kill_daemon": self.kill_daemon,
                "kill_cupsd": self.kill_cupsd,
            }[name]()

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.tell(Tick())

    def come_to_rest(self) -> None:
        self.disk_full, self.server_up, self.hold, self.fuse = False, True, False, None
        if self.unwritten is not None:
            self.write(0, self.unwritten)
        for _ in range(3000):
            found = self.actions()
            if found:
                self.do(*found[0])
            elif self.state is None:
                if not self.adopt_leftover():
                    return
            else:
                self.pass_time(1.0)
        raise AssertionError(f"no rest: {self.state}")


def check(world: World) -> None:
    assert not (world.held and world.cups == "alive"), "held in CUPS for ever"
    if not world.journal:
        assert world.printed == 0
        return
    final = world.journal["job-1"]
    assert final.phase in ("settled", "denied"), final
    newest = max(world.reports, key=lambda record: record.ending.revision if record.ending else 0, default=None)
    if final.phase == "denied":
        assert world.printed == 0
        return
    assert newest is not None
    assert newest.ending is not None
    assert newest.ending.printed.impressions == (FACTS.impressions if world.printed else 0)
    assert not newest.ending.estimated
    assert world.printed <= 1, "printed twice although the printer could tell"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_whatever_dies_the_job_is_printed_at_most_once_and_reported_as_printed(data: st.DataObject) -> None:
    world = World(deny=data.draw(st.integers(0, 9)) == 0)
    for _ in range(data.draw(st.integers(0, 60))):
        found, faults = world.actions(), world.faults()
        if faults and data.draw(st.integers(0, 4)) == 0:
            world.do(*data.draw(st.sampled_from(faults)))
        elif found:
            world.do(*found[data.draw(st.integers(0, len(found) - 1))])
        if data.draw(st.integers(0, 4)) == 0:
            world.pass_time(data.draw(st.sampled_from([0.3, 1.0, 5.0])))
    world.come_to_rest()
    check(world)


def count_steps() -> int:
    world, steps = World(), 0
    while found := world.actions():
        world.do(*found[0])
        steps += 1
    return steps


def test_a_crash_of_any_one_part_after_any_step_changes_nothing() -> None:
    total = count_steps()
    assert total > 10
    for at in range(total):
        for kill in ("kill_daemon", "kill_cupsd", "kill_wrapper", "kill_inner", "all"):
            world = World()
            for n in range(total):
                if n == at:
                    for name, subject in [fault for fault in world.faults() if fault[0] == kill or kill == "all"]:
                        if name not in ("flip", "light_fuse"):
                            world.do(name, subject)
                if found := world.actions():
                    world.do(*found[0])
            world.come_to_rest()
            check(world)


def test_the_plain_life_of_a_job() -> None:
    world = World()
    world.come_to_rest()
    assert (world.printed, len(world.reports), world.cups) == (1, 1, "completed")
    report = world.reports[0]
    assert (report.attempt, report.possible_duplicate, len(report.runs)) == (1, False, 1)
    assert world.run_files == {}


def test_a_refusal_cancels_without_a_report() -> None:
    world = World(deny=True)
    world.come_to_rest()
    assert (world.printed, world.reports, world.cups) == (0, [], "canceled")
    assert world.journal["job-1"].phase == "denied"


def test_with_no_server_the_policy_prints_and_the_run_says_so() -> None:
    world = World(server_up=False)
    for _ in range(200):
        if world.printed:
            break
        world.do(*world.actions()[0])
    assert world.printed == 1
    reply = world.backends[0].reply
    assert isinstance(reply, Print)
    assert reply.offline
    world.come_to_rest()
    check(world)


def test_a_full_disk_holds_the_job_with_the_reason_and_prints_it_later() -> None:
    world = World(disk_full=True)
    for _ in range(30):
        if any(isinstance(backend.reply, Wait) for backend in world.backends):
            break
        world.do(*world.actions()[0])
    told = next(backend.reply for backend in world.backends if isinstance(backend.reply, Wait))
    assert told.message == "the disk is full"
    assert world.printed == 0
    assert not world.journal
    world.come_to_rest()
    assert world.printed == 1
    check(world)


def test_a_run_taken_in_while_the_ending_is_written_is_no_end() -> None:
    """Found by the simulator: the run was removed unread, and the report of what was known before settled nothing."""
    record = JobRecord(job_id="job-1", printing=ASK.printing, queue="q", user_name="anna", created_at=0)
    moment = Moment(0.0, 0, "id")
    state = JobState(record, stage="asking_cups", token=4, on_disk=True)
    state, effects = step(state, CupsSaid(4, "completed"), moment)
    assert [type(effect) for effect in effects] == [Write]
    late = RunRecord(number=0, name="offline-7-1", started_at=0, exit_code=0, facts=FACTS)
    state, _ = step(state, Adopted(late), moment)
    state, effects = step(state, Written(state.token), moment)
    assert [type(effect) for effect in effects] == [LookAtRuns]
    assert state.record.runs


def test_what_came_out_twice_is_marked() -> None:
    """Found by the simulator: a backend that was stopped printed by a permission older than the daemon's own death."""
    printed = RunRecord(number=1, name="r.1", started_at=0, exit_code=0, facts=FACTS, verdict="printed")
    record = JobRecord(
        job_id="job-1",
        printing=ASK.printing,
        queue="q",
        user_name="anna",
        created_at=0,
        runs=(printed, replace(printed, number=2, name="r.2")),
    )
    state, _ = step(JobState(record, stage="asking_cups", token=4), CupsSaid(4, "completed"), Moment(0.0, 0, "id"))
    assert state.record.possible_duplicate


def test_an_answer_for_an_older_report_settles_nothing() -> None:
    ending = Ending(command_id="c", revision=2, outcome="completed", printed=NOTHING, estimated=False)
    record = JobRecord(
        job_id="job-1",
        printing=ASK.printing,
        queue="q",
        user_name="anna",
        created_at=0,
        phase="ended",
        ending=ending,
    )
    state = JobState(record, stage="reporting", on_disk=True)
    assert step(state, Reported(1), Moment(0.0, 0, "id")) == (state, ())
    assert step(state, Reported(2), Moment(0.0, 0, "id"))[0].record.phase == "settled"


def test_a_printed_run_that_the_ending_does_not_tell_of_is_told_in_the_next() -> None:
    """Found by the simulator: an orphan that printed after its job was reported came to ask, and its run was lost."""
    ending = Ending(command_id="c", revision=1, outcome="canceled", printed=NOTHING, estimated=False)
    record = JobRecord(
        job_id="job-1", printing=ASK.printing, queue="q", user_name="anna", created_at=0, phase="ended", ending=ending
    )
    late = RunRecord(number=1, name="job-1.1", started_at=0, exit_code=0, facts=FACTS, verdict="printed")
    for asks in (None, 5):
        for phase in ("ended", "settled"):
            state = JobState(replace(record, phase=phase), stage="looking", token=3, on_disk=True)
            if asks is not None:
                state = dataclasses.replace(state, session=asks, ask=ASK)
            state, effects = step(state, RunsSeen(3, (late,), locked=False, highest=1), Moment(0.0, 0, "id"))
            assert state.record.ending is not None
            assert (state.stage, state.record.ending.revision) == ("closing", 2)
            assert any(isinstance(effect, Write) for effect in effects)


def held(**values: object) -> JobState:
    record = JobRecord(
        job_id="job-1", printing=ASK.printing, queue="q", user_name="anna", created_at=0, attempt=1, held_for="release"
    )
    return JobState(replace(record, **values), stage="waiting", token=3, on_disk=True)


def test_a_backend_whose_cupsd_is_dead_is_not_served_while_the_next_one_holds_the_job() -> None:
    """Found by the simulator: it was denied, the job was over, and stayed held in CUPS for ever."""
    state, effects = step(held(), Asked(9, replace(ASK, orphan=True)), Moment(0.0, 0, "id"))
    assert (state, effects) == (held(), (Answer(9, Superseded()),))
    state, effects = step(held(), Asked(9, ASK), Moment(0.0, 0, "id"))
    assert state.session == 9


def test_what_has_come_out_while_cupsd_holds_the_job_lets_it_go_and_is_reported_when_it_has_gone() -> None:
    """Found by the simulator: a backend of cupsd's life before had printed it."""
    late = RunRecord(number=1, name="offline-7-1", started_at=0, exit_code=0, facts=FACTS, verdict="printed")
    state = dataclasses.replace(held(runs=(late,)), stage="looking")
    state, effects = step(state, RunsSeen(3, (late,), locked=False, highest=1), Moment(0.0, 0, "id"))
    assert (state.stage, state.record.held_for) == ("asking_cups", "server")
    assert [type(effect) for effect in effects] == [AskCups, Write]
    waiting, _ = step(state, CupsSaid(state.token, "alive"), Moment(0.0, 0, "id"))
    assert (waiting.stage, waiting.record.phase) == ("waiting", "open")
    over, _ = step(state, CupsSaid(state.token, "completed"), Moment(0.0, 0, "id"))
    assert over.record.ending is not None
    assert over.record.ending.printed.impressions == FACTS.impressions


def test_a_nudge_makes_a_waiting_job_look_and_nobody_else() -> None:
    moment = Moment(0.0, 0, "id")
    state, effects = step(dataclasses.replace(held(), wake_at_s=30.0), Nudge(), moment)
    assert (state.stage, [type(effect) for effect in effects]) == ("looking", [LookAtRuns])
    printing = dataclasses.replace(held(), stage="printing")
    assert step(printing, Nudge(), moment) == (printing, ())


# ---------------------------------------------------------------- what the policy would say is written ahead


def asking_a_server() -> JobState:
    record = JobRecord(
        job_id="job-1", printing=ASK.printing, queue="q", user_name="anna", created_at=0, attempt=1, facts=FACTS
    )
    return JobState(record, stage="authorising", token=5, on_disk=True, session=9, ask=ASK, deadline_s=1.8)


def replies(effects: tuple[Effect, ...]) -> list[Reply]:
    return [effect.reply for effect in effects if isinstance(effect, Answer)]


NOW = Moment(1.3, 0, "id")


def test_a_permission_whose_record_is_on_disk_waits_for_no_disk() -> None:
    state, effects = step(asking_a_server(), Foretold(5, PRICED), NOW)
    assert [effect.record.offline for effect in effects if isinstance(effect, Write)] == [PRICED.charge]
    assert state.offline_cost == 10
    state, _ = step(state, Written(5), NOW)
    state, effects = step(state, Undecided(5, PRICED), NOW)
    (reply,) = replies(effects)
    assert isinstance(reply, Print)
    assert (reply.offline, len(effects), state.record.offline) == (True, 1, PRICED.charge)


def test_a_permission_whose_record_is_on_its_way_to_the_disk_waits_for_it() -> None:
    state, _ = step(asking_a_server(), Foretold(5, PRICED), NOW)
    state, effects = step(state, Undecided(5, PRICED), NOW)
    assert (state.stage, effects) == ("telling", ())
    full, told = step(state, NotWritten(5, "the disk is full"), NOW)
    assert (replies(told), full.stage) == ([Wait("the disk is full", 2.0)], "waiting")
    state, effects = step(state, Written(5), NOW)
    assert [type(reply) for reply in replies(effects)] == [Print]


@pytest.mark.parametrize(
    "verdict", [OfflineHold("no"), OfflinePrint(OfflineCharge(cost=9, rule=SimpleCost(per_impression=1)))]
)
def test_a_policy_that_has_changed_meanwhile_is_written_anew(verdict: Verdict) -> None:
    state, _ = step(asking_a_server(), Foretold(5, PRICED), NOW)
    state, _ = step(state, Written(5), NOW)
    state, effects = step(state, Undecided(5, verdict), NOW)
    assert (state.stage, state.token, [type(effect) for effect in effects]) == ("telling", 6, [Write])


def test_a_policy_whose_record_the_disk_did_not_take_writes_it_again() -> None:
    state, _ = step(asking_a_server(), Foretold(5, PRICED), NOW)
    state, effects = step(state, NotWritten(5, "the disk is full"), NOW)
    assert (state, effects) == (asking_a_server(), ())
    state, effects = step(state, Undecided(5, PRICED), NOW)
    assert [type(effect) for effect in effects] == [Write]


def test_a_server_that_answers_after_all_decides_and_what_was_foretold_is_taken_back() -> None:
    state, _ = step(asking_a_server(), Foretold(5, PRICED), NOW)
    state, effects = step(state, Decided(5, AuthoriseAnswer(job_id="job-1", decision="authorised")), NOW)
    (reply,) = replies(effects)
    assert isinstance(reply, Print)
    assert not reply.offline
    assert [(effect.token, effect.record.offline) for effect in effects if isinstance(effect, Write)] == [(0, None)]
    assert step(state, Written(5), NOW) == (state, ())
    assert state.offline_cost == 0


def test_a_hold_is_not_foretold_nor_anything_of_a_question_that_is_past() -> None:
    for event in (Foretold(5, OfflineHold("no")), Foretold(4, PRICED)):
        assert step(asking_a_server(), event, NOW) == (asking_a_server(), ())
