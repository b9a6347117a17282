"""The life of a printing on the print server: `step(state, event, moment) -> (state, effects)`. Pure.

One machine for each printing. A backend that asks is a *session*; a printing may see several (a crash of cupsd, a
retry, a job of several documents), one at a time is served and the newest wins. The order of a session's life:

    looking (earlier runs) → asking_printer (what they came to) → analysing → writing (the attempt, fsynced)
    → authorising → printing

Without a session the same look at the runs leads to the end: asking_cups (may a run still come?) → closing (what is
reported, fsynced) → reporting → over.

Invariants:
- nothing leaves the machine before the record that says so is on disk (`writing`, `closing`);
- a backend whose cupsd lives is never given up for one whose cupsd is dead;
- a session is told to print only while no other run of the printing goes on, and after a look at all runs;
- what came out is never printed again under the same printing: such a session is told `Finished`;
- every wait has a wake-up, so that nothing depends on a message that may never come.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from msgspec.structs import replace as change

from provider.jobs import rules
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
    Reported,
    ReportRefused,
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
from provider.jobs.model import CupsState, Ending, HeldFor, JobRecord, PrinterWord, RunRecord, Told
from provider.jobs.offline import OfflineDeny, OfflineHold, OfflinePrint
from provider.jobs.state import Foretelling, JobState, Moment, Step, with_ask

DECIDE_S: Final = 1.8  # promise P12 is 2 s; the rest is the way back to the backend
FORETELL_S: Final = 1.3  # what the policy would say is on disk when its turn comes: the disk may take half a second
LOOK_AGAIN_S: Final = 0.25
ORPHAN_LOOK_S: Final = 1.0
SESSION_PATIENCE_S: Final = 3 * 3600.0  # as long as CUPS's own MaxJobTime
PRINTER_PATIENCE_S: Final = 600.0
PRINTER_TRIES: Final = 3
LONGEST_POLL_S: Final = 30.0
WRITE_AGAIN_S: Final = 1.0


def step(state: JobState, event: Event, moment: Moment) -> Step:
    """What the event makes of the job, and what is to be done. Events that do not fit its stage change nothing."""
    handler: Callable[[JobState, Any, Moment], Step] = _HANDLERS[type(event)]
    return handler(state, event, moment)


# ---------------------------------------------------------------- sessions


def _asked(state: JobState, event: Asked, moment: Moment) -> Step:
    effects: tuple[Effect, ...] = ()
    if event.ask.orphan and state.record.held_for:
        # cupsd holds the job, and would hold it for ever once this one had printed it or been denied.
        return state, (Answer(event.session, Superseded()),)
    if state.session is not None and state.session != event.session:
        if event.ask.orphan and state.ask is not None and not state.ask.orphan:
            return state, (Answer(event.session, Superseded()),)  # after our restart an old backend may ask last
        effects = (Answer(state.session, Superseded()),)
    state = replace(state, session=event.session, ask=event.ask, asked_at_s=moment.monotonic_s)
    state = replace(state, record=change(state.record, documents=max(state.record.documents, event.ask.documents)))
    if state.stage == "closing":
        return state, effects  # served as soon as the record is on disk
    unheard_of = state.record.attempt == 0 and not state.record.runs and not state.on_disk
    looked, more = _inspect(state, moment) if unheard_of else _look(state)
    return looked, effects + more


def _session_gone(state: JobState, event: SessionGone, moment: Moment) -> Step:
    if event.session in state.printers:
        state = replace(state, printers=state.printers - {event.session}, cups_tries=0)
        return _look(state) if state.stage in ("printing", "waiting", "looking") else (state, ())
    if event.session != state.session:
        return state, ()
    state = replace(state, session=None, ask=None, cups_tries=0)
    if state.stage in ("closing", "reporting", "over"):
        return state, ()
    if state.record.attempt == 0 and not state.on_disk and not state.record.runs:
        return replace(state, stage="over"), (Forget(),)
    return _look(state)


def _answer(state: JobState, reply: Finished | Deny | Hold | Wait) -> Step:
    session = state.session
    return replace(state, session=None, ask=None), (Answer(session, reply),) if session is not None else ()


# ---------------------------------------------------------------- what the runs came to


def _look(state: JobState) -> Step:
    state = replace(state, stage="looking", token=state.token + 1, wake_at_s=None, foretold=None)
    return state, (LookAtRuns(state.token),)


def _runs_seen(state: JobState, event: RunsSeen, moment: Moment) -> Step:
    if state.stage != "looking" or event.token != state.token:
        return state, ()
    record = change(state.record, runs=_merged(state.record, event.runs))
    state = replace(state, record=record, highest_run=event.highest, locked=event.locked)
    if state.locked or state.printers:
        return _wait_for_run(state, moment)
    return _inspect(state, moment)


def _wait_for_run(state: JobState, moment: Moment) -> Step:
    """Somebody still prints. A session waits for that; without one cupsd is asked whether the job was canceled."""
    if state.session is None:
        return _ask_cups(state) if not state.printers else _sleep(state, moment, ORPHAN_LOOK_S)
    if moment.monotonic_s - state.asked_at_s > SESSION_PATIENCE_S:
        state, effects = _answer(state, Wait("an earlier run of this job is still printing", 5.0))
        asleep, _ = _sleep(state, moment, ORPHAN_LOOK_S)
        return asleep, effects
    return _sleep(state, moment, LOOK_AGAIN_S)


def _merged(record: JobRecord, seen: tuple[RunRecord, ...]) -> tuple[RunRecord, ...]:
    """The known runs with what their files tell now; a run that was judged stays as it is."""
    runs = {run.name: run for run in record.runs}
    for run in seen:
        known = runs.get(run.name)
        if known is None:
            runs[run.name] = change(run, facts=run.facts or record.document_facts)
        elif not known.verdict:
            runs[run.name] = change(run, number=known.number, document=known.document, facts=known.facts)
    return tuple(sorted(runs.values(), key=lambda run: run.number))


def _inspect(state: JobState, moment: Moment) -> Step:
    """Judge the runs by their files; ask the printer about the first that they do not settle."""
    uri = state.record.device_uri
    runs = tuple(run if run.verdict else change(run, verdict=rules.judge(run, uri)) for run in state.record.runs)
    state = replace(state, record=change(state.record, runs=runs))
    open_run = next((run for run in runs if not run.verdict), None)
    if open_run is None:
        return _judged(state, moment)
    since = moment.monotonic_s if state.printer_since_s is None else state.printer_since_s
    state = replace(state, stage="asking_printer", token=state.token + 1, printer_since_s=since, wake_at_s=None)
    return state, (AskPrinter(state.token, open_run),)


def _printer_said(state: JobState, event: PrinterSaid, moment: Moment) -> Step:
    if state.stage != "asking_printer" or event.token != state.token:
        return state, ()
    since = moment.monotonic_s if state.printer_since_s is None else state.printer_since_s
    patient = moment.monotonic_s - since < PRINTER_PATIENCE_S
    if not event.word.reached and state.printer_tries + 1 < PRINTER_TRIES:
        return _sleep(replace(state, printer_tries=state.printer_tries + 1), moment, ORPHAN_LOOK_S)
    found = tuple(rules.hear_printer(run, event.word) if run.name == event.name else run for run in state.record.runs)
    if any(run.name == event.name and not run.verdict for run in found):
        if patient:
            return _sleep(state, moment, ORPHAN_LOOK_S)
        given_up = PrinterWord(reached=False)
        found = tuple(rules.hear_printer(run, given_up) if run.name == event.name else run for run in found)
    state = replace(state, record=change(state.record, runs=found), printer_tries=0, printer_since_s=None)
    return _inspect(state, moment)


def _judged(state: JobState, moment: Moment) -> Step:
    """Every run so far is judged: print, say that it is done, or see whether the job is over."""
    record = state.record
    if state.session is None or state.ask is None:
        if record.phase == "ended" and rules.is_told(record):
            return replace(state, stage="reporting"), ()
        if record.phase == "denied" or (record.phase == "settled" and rules.is_told(record)):
            return replace(state, stage="over"), (Forget(),)
        printed = record.documents == 1 and any(run.verdict == "printed" for run in record.runs)
        if printed and record.held_for:
            return _let_go(state)
        return _close(state, "completed", moment) if printed else _ask_cups(state)
    cursor = rules.next_cursor(record, state.ask.incarnation)
    of_document = [run for run in record.runs if run.document == cursor.document]
    state = replace(state, record=change(record, cursor=cursor))
    if any(run.verdict == "printed" for run in of_document):
        return _finish(state, moment)
    doubtful = any(run.verdict in ("unknown", "partly") for run in of_document)
    again = change(state.record, possible_duplicate=record.possible_duplicate or doubtful)
    state = replace(state, record=again, stage="analysing", token=state.token + 1)
    return state, (Analyse(state.token, state.session or 0),)


def _let_go(state: JobState) -> Step:
    """A backend whose cupsd is dead has printed what cupsd holds: it is let go, and its backend told that it is done.
    Until then the job is not over, or cupsd would hold it for ever."""
    asking, effects = _ask_cups(replace(state, record=change(state.record, held_for="server")))
    return asking, (*effects, Write(0, asking.record)) if state.record.held_for != "server" else effects


def _finish(state: JobState, moment: Moment) -> Step:
    """This document has come out already: the backend ends well without printing."""
    record = change(state.record, cursor=change(state.record.cursor, done=True))
    state = replace(state, record=record)
    if record.documents > 1:
        return _tell(state, record, Finished())
    state, effects = _answer(state, Finished())
    if record.phase in ("ended", "settled") and rules.is_told(record):
        over = record.phase == "settled"
        return replace(state, stage="over" if over else "reporting"), (*effects, *((Forget(),) if over else ()))
    closed, more = _close(state, "completed", moment)
    return closed, effects + more


# ---------------------------------------------------------------- may it print?


def _analysed(state: JobState, event: Analysed, moment: Moment) -> Step:
    if state.stage != "analysing" or event.token != state.token or state.ask is None:
        return state, ()
    record = change(
        with_ask(state.record, state.ask),
        phase="open",
        settled_at=None,
        refusal="",
        held_for="",
        attempt=state.record.attempt + 1,
        authorise_id=moment.fresh_id,
        document_facts=event.facts,
        facts=rules.job_facts(state.record, state.record.cursor.document, event.facts),
    )
    token = state.token + 1
    deadline_s = moment.monotonic_s + DECIDE_S
    state = replace(state, record=record, stage="writing", token=token, deadline_s=deadline_s, foretold=None)
    return state, (Write(token, record),)


def _foretold(state: JobState, event: Foretold, _moment: Moment) -> Step:
    """Write down now what is to be on disk before the policy's permission is given. A hold is not foretold: after a
    crash a job that a server let print would be taken for one that is held."""
    if state.stage != "authorising" or event.token != state.token or not isinstance(event.verdict, OfflinePrint):
        return state, ()
    record = change(state.record, offline=event.verdict.charge)
    return replace(state, foretold=Foretelling(record)), (Write(state.token, record),)


def _decided(state: JobState, event: Decided, moment: Moment) -> Step:
    if state.stage != "authorising" or event.token != state.token:
        return state, ()
    answer = event.answer
    foretold, state = state.foretold, replace(state, foretold=None)
    if answer.decision != "superseded":
        told = Told(available=answer.available, at=moment.now_ms)
        state = replace(state, record=change(state.record, told=told))
    if answer.decision == "authorised":
        printing, effects = _print(replace(state, record=change(state.record, offline=None)))
        return printing, ((Write(0, printing.record), *effects) if foretold is not None else effects)
    if answer.decision == "superseded" and moment.monotonic_s < state.deadline_s:
        record = change(state.record, attempt=state.record.attempt + 1, authorise_id=moment.fresh_id)
        state = replace(state, record=record, stage="writing", token=state.token + 1)
        return state, (Write(state.token, record),)
    if answer.decision == "denied":
        return _deny(state, answer.message or answer.code, moment)
    if answer.decision == "held":
        return _hold(state, "release", answer.message or "This job waits to be released.")
    state, effects = _answer(state, Wait("a newer question of this job is with the server", 1.0))
    asleep, _ = _sleep(state, moment, ORPHAN_LOOK_S)
    return asleep, effects


def _undecided(state: JobState, event: Undecided, moment: Moment) -> Step:
    if state.stage != "authorising" or event.token != state.token:
        return state, ()
    if isinstance(event.verdict, OfflineHold):
        return _hold(state, "server", event.verdict.message)
    if isinstance(event.verdict, OfflineDeny):
        state, effects = _answer(state, Deny(event.verdict.message))
        looked, more = _look(state)  # a server may have reserved money all the same: that nothing came is reported
        return looked, effects + more
    record = change(state.record, offline=event.verdict.charge)
    permission = _permission(state, record, offline=True)
    foretold, state = state.foretold, replace(state, foretold=None)
    if foretold is None or foretold.record != record:
        return _tell(state, record, permission)
    state = replace(state, record=record)
    if foretold.on_disk:
        return _told_to_print(state, permission)
    return replace(state, stage="telling", reply=permission), ()


def _hold(state: JobState, held_for: HeldFor, message: str) -> Step:
    """Held in CUPS, where it is in nobody's way. What it waits for is on disk first, or nobody would let it go."""
    return _tell(state, change(state.record, held_for=held_for), Hold(message))


def _permission(state: JobState, record: JobRecord, *, offline: bool) -> Print:
    number = max([state.highest_run, *(run.number for run in record.runs)]) + 1
    return Print(
        job_id=record.job_id,
        name=f"{record.job_id}.{number}",
        run=number,
        attempt=record.attempt,
        document=record.cursor.document,
        incarnation=record.cursor.incarnation,
        offline=offline,
    )


def _print(state: JobState) -> Step:
    """Authorised by a server, which has it in writing."""
    return _told_to_print(state, _permission(state, state.record, offline=False))


def _told_to_print(state: JobState, permission: Print) -> Step:
    if state.session is None:
        return _look(state)
    session, printers = state.session, state.printers | {state.session}
    state = replace(state, stage="printing", session=None, ask=None, printers=printers, wake_at_s=None)
    return state, (Answer(session, permission),)


def _tell(state: JobState, record: JobRecord, reply: Finished | Hold | Print) -> Step:
    """Tell the session once it is on disk why."""
    state = replace(state, record=record, stage="telling", token=state.token + 1, reply=reply)
    return state, (Write(state.token, record),)


def _told(state: JobState, moment: Moment) -> Step:
    reply = state.reply
    state = replace(state, reply=None)
    if isinstance(reply, Print):
        return _told_to_print(state, reply)
    if isinstance(reply, Finished | Hold):
        state, effects = _answer(state, reply)
        asleep, _ = _sleep(state, moment, ORPHAN_LOOK_S)
        return asleep, effects
    return _look(state)


def _deny(state: JobState, message: str, moment: Moment) -> Step:
    """Refused by a server: nothing is reserved. Nothing is reported, unless an earlier run printed something: that is
    reported.
    """
    state, effects = _answer(state, Deny(message))
    if any(run.verdict != "nothing" for run in state.record.runs):
        looked, more = _look(state)
        return looked, effects + more
    record = change(state.record, phase="denied", settled_at=moment.now_ms)
    return replace(state, record=record, stage="over"), (*effects, Write(0, record), Forget())


# ---------------------------------------------------------------- the disk


def _written(state: JobState, event: Written, moment: Moment) -> Step:
    state = replace(state, on_disk=True)
    if event.token != state.token:
        return state, ()
    if state.stage == "writing":
        state = replace(state, stage="authorising", token=state.token + 1)
        return state, (Authorise(state.token, state.record, state.deadline_s),)
    if state.stage == "authorising" and state.foretold is not None:
        return replace(state, foretold=replace(state.foretold, on_disk=True)), ()
    if state.stage == "telling":
        return _told(state, moment)
    if state.stage == "closing" and state.record.phase != "ended":
        return _look(state)  # a run was taken in while the ending was written: that was not the end
    if state.stage == "closing":
        state = replace(state, stage="reporting", wake_at_s=None)
        names = tuple(run.name for run in state.record.runs)
        effects = (RemoveRuns(names), SendReport(state.record))
        if state.session is None:
            return state, effects
        looked, more = _look(state)
        return looked, effects + more
    return state, ()


def _not_written(state: JobState, event: NotWritten, moment: Moment) -> Step:
    """A full disk: the job waits where it is, with the reason, and nothing of it has left the machine."""
    if event.token != state.token:
        return state, ()
    if state.stage == "closing":
        return replace(state, wake_at_s=moment.monotonic_s + WRITE_AGAIN_S), ()
    if state.stage == "authorising":
        return replace(state, foretold=None), ()  # when its turn comes, the policy tries again
    if state.stage not in ("writing", "telling"):
        return state, ()
    state, effects = _answer(replace(state, reply=None), Wait(event.reason, 2.0))
    if not state.on_disk and not state.record.runs:
        return replace(state, stage="over"), (*effects, Forget())
    asleep, _ = _sleep(state, moment, WRITE_AGAIN_S)
    return asleep, effects


# ---------------------------------------------------------------- the end


def _ask_cups(state: JobState) -> Step:
    state = replace(state, stage="asking_cups", token=state.token + 1, wake_at_s=None)
    return state, (AskCups(state.token),)


def _cups_said(state: JobState, event: CupsSaid, moment: Moment) -> Step:
    if state.stage != "asking_cups" or event.token != state.token:
        return state, ()
    if state.locked:
        names = tuple(run.name for run in state.record.runs if run.exit_code is None)
        asleep, _ = _sleep(state, moment, 2 * ORPHAN_LOOK_S)
        return asleep, (EndOrphans(names),) if event.state == "canceled" else ()
    if event.state in ("alive", "unreachable"):
        pause_s = min(LONGEST_POLL_S, 0.5 * 2.0 ** min(state.cups_tries, 8))
        return _sleep(replace(state, cups_tries=state.cups_tries + 1), moment, pause_s)
    return _close(state, event.state, moment)


def _close(state: JobState, cups: CupsState, moment: Moment) -> Step:
    """The printing is over: what is reported stands fast from here, under an id that is on disk before it is sent."""
    record = state.record
    printed, estimated = rules.charge(record.runs, record.partial_charge)
    ending = Ending(
        command_id=moment.fresh_id,
        revision=record.ending.revision + 1 if record.ending else 1,
        outcome=rules.outcome_of(record, cups),
        printed=printed,
        estimated=estimated,
        in_doubt=rules.is_in_doubt(record.runs),
    )
    doubtful = record.possible_duplicate or rules.came_out_twice(record.runs)
    record = change(record, phase="ended", ending=ending, possible_duplicate=doubtful)
    state = replace(state, record=record, stage="closing", token=state.token + 1)
    return state, (Write(state.token, record),)


def _reported(state: JobState, event: Reported, moment: Moment) -> Step:
    record = state.record
    if record.phase != "ended" or record.ending is None or record.ending.revision != event.revision:
        return state, ()
    told = record.told if event.available is None else Told(available=event.available, at=moment.now_ms)
    record = change(record, phase="settled", settled_at=moment.now_ms, refusal="", told=told)
    state = replace(state, record=record)
    if state.stage != "reporting":
        return state, (Write(0, record),)
    return replace(state, stage="over"), (Write(0, record), Forget())


def _report_refused(state: JobState, event: ReportRefused, moment: Moment) -> Step:
    record = state.record
    if record.phase != "ended" or record.ending is None or record.ending.revision != event.revision:
        return state, ()
    if record.refusal == event.code:
        return state, ()
    record = change(record, refusal=event.code)
    return replace(state, record=record), (Write(0, record),)


def _adopted(state: JobState, event: Adopted, moment: Moment) -> Step:
    record = state.record
    if any(run.name == event.run.name for run in record.runs):
        over = record.phase in ("settled", "denied")
        return state, (RemoveRuns((event.run.name,)), Forget()) if over else ()
    number = max([state.highest_run, *(run.number for run in record.runs)]) + 1
    record = change(
        record,
        runs=(*record.runs, change(event.run, number=number)),
        facts=record.facts or event.run.facts,
        phase="open",
        settled_at=None,
    )
    state = replace(state, record=record, highest_run=number)
    if state.stage in ("reporting", "over", "waiting", "looking", "asking_cups", "asking_printer"):
        looked, effects = _look(state)
        return looked, (Write(0, record), *effects)
    return state, (Write(0, record),)


# ---------------------------------------------------------------- time


def _sleep(state: JobState, moment: Moment, seconds: float) -> Step:
    return replace(state, stage="waiting", wake_at_s=moment.monotonic_s + seconds), ()


def _nudge(state: JobState, _event: Nudge, _moment: Moment) -> Step:
    return _look(replace(state, cups_tries=0)) if state.stage == "waiting" else (state, ())


def _tick(state: JobState, event: Tick, moment: Moment) -> Step:
    if state.wake_at_s is None or moment.monotonic_s < state.wake_at_s:
        return state, ()
    if state.stage == "waiting":
        return _look(state)
    if state.stage == "closing":
        state = replace(state, token=state.token + 1, wake_at_s=None)
        return state, (Write(state.token, state.record),)
    return replace(state, wake_at_s=None), ()


_HANDLERS: Final[dict[type, Callable[[JobState, Any, Moment], Step]]] = {
    Asked: _asked,
    SessionGone: _session_gone,
    RunsSeen: _runs_seen,
    PrinterSaid: _printer_said,
    CupsSaid: _cups_said,
    Analysed: _analysed,
    Written: _written,
    NotWritten: _not_written,
    Decided: _decided,
    Undecided: _undecided,
    Foretold: _foretold,
    Adopted: _adopted,
    Reported: _reported,
    ReportRefused: _report_refused,
    Nudge: _nudge,
    Tick: _tick,
}
