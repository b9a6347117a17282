"""What a run put on paper, and what that comes to. Pure.

A run's exit code alone does not tell: CUPS's ipp backend ends with 0 after a cancel, after an abort at the printer
and when it wants the job again as raster. So the order is: what the backend's messages prove, then the printer's
own word, then the stated rule, which is the whole job, marked estimated. A job is charged its largest run, never
the sum of them: a run again after a crash is the same printing.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from backend.wire.base import PartialCharge
from backend.wire.jobs import JobFacts, Outcome
from backend.wire.pricing import Printed
from provider.jobs.model import CupsState, Cursor, Evidence, JobRecord, PrinterWord, RunRecord, Verdict

IPP_SCHEMES: Final = ("ipp", "ipps", "http", "https")
NOTHING: Final = Printed(impressions=0, sheets=0)

_ACCEPTED = re.compile(rb"accepted - job ID (\d+)")
_STATE = re.compile(rb"DEBUG: job-state enum (\S+)")
_IMPRESSIONS = re.compile(rb"DEBUG: job-impressions-completed integer (\d+)")


def read_evidence(log: bytes) -> Evidence:
    """What the messages of CUPS's own backends tell; the last word of each kind counts."""
    accepted, states, impressions = (pattern.findall(log) for pattern in (_ACCEPTED, _STATE, _IMPRESSIONS))
    return Evidence(
        spoke=bool(log.strip()),
        unstarted=b"ERROR: The backend of" in log,
        connected=b"DEBUG: Connected to" in log,
        sending=b"DEBUG: Sending file" in log,
        waited=b"+cups-waiting-for-job-completed" in log,
        as_raster=b"cups-retry-as-raster" in log,
        printer_job_id=int(accepted[-1]) if accepted else 0,
        printer_state=states[-1].decode("ascii", "replace") if states else "",
        impressions_completed=int(impressions[-1]) if impressions else None,
    )


def scheme_of(device_uri: str) -> str:
    return device_uri.partition(":")[0].lower()


def waits(device_uri: str) -> bool:
    """Whether CUPS's ipp backend stays until the printer is done: unless its URI says `waitjob=false` (ipp.c)."""
    for option in re.split("[&+]", device_uri.partition("?")[2]):
        name, _, value = option.partition("=")
        if name.lower() == "waitjob":
            return value.lower() in ("true", "on", "yes")
    return True


def judge(run: RunRecord, device_uri: str) -> Verdict:
    """What the run's own files prove; "" where the printer has to be asked."""
    evidence, scheme = run.evidence, scheme_of(device_uri)
    if evidence.unstarted:
        return "nothing"
    well = run.exit_code == 0 and not run.canceled
    if scheme in IPP_SCHEMES:
        return _judge_ipp(run, well, waits(device_uri))
    if well:
        return "printed"
    over_network = scheme in ("socket", "lpd")
    return (
        "nothing"
        if over_network and run.exit_code is not None and evidence.spoke and not evidence.connected
        else "unknown"
    )


def _judge_ipp(run: RunRecord, well: bool, waits_for_printer: bool) -> Verdict:
    evidence = run.evidence
    if run.exit_code is None or not evidence.spoke:
        return ""  # killed, or its messages were lost with the machine
    if evidence.as_raster:
        return "nothing"
    if not evidence.sending:  # a full disk may have swallowed what it said before or after
        return "" if well or evidence.connected or _heard_of_job(evidence) else "nothing"
    left_early = not waits_for_printer and evidence.printer_state not in ("canceled", "aborted")
    return "printed" if well and (evidence.printer_state == "completed" or left_early) else ""


def _last_heard(evidence: Evidence, counts: bool) -> Verdict:
    """What the printer had told the real backend, where it cannot be asked any more."""
    if evidence.printer_state == "completed":
        return "printed"
    if evidence.printer_state in ("canceled", "aborted"):
        return _broken_off(evidence.impressions_completed, counts)
    return "unknown"


def _broken_off(impressions: int | None, counts: bool) -> Verdict:
    """What came out of a job that the printer did not complete, by its own count."""
    if impressions:
        return "partly"
    return "nothing" if impressions == 0 and counts else "unknown"


def counted(runs: Iterable[RunRecord]) -> bool | None:
    """Whether the printer counts, by the runs that it printed whole; None where they do not tell. One impression told
    is enough: a count may come late."""
    told = [
        run.evidence.impressions_completed
        for run in runs
        if run.verdict == "printed"
        and run.evidence.printer_state == "completed"
        and run.facts
        and run.facts.impressions
    ]
    if any(told):
        return True
    return False if 0 in told else None


def _heard_of_job(evidence: Evidence) -> bool:
    """Whether the backend heard how its job does, which is after it has sent something."""
    return bool(evidence.printer_state) or evidence.impressions_completed is not None or evidence.waited


def hear_printer(run: RunRecord, word: PrinterWord) -> RunRecord:
    """The run with the verdict that the printer's word allows; "" while the printer is still at it."""
    count = word.impressions_completed
    evidence = run.evidence
    may_have_sent = evidence.sending or _heard_of_job(evidence)
    if not word.reached:
        count = evidence.impressions_completed
        sent_nothing = run.exit_code is not None and evidence.spoke and not may_have_sent
        verdict: Verdict = "nothing" if sent_nothing else _last_heard(evidence, word.counts)
    elif not word.known:
        verdict = "unknown" if may_have_sent else "nothing"
    elif word.state == "completed":
        verdict = "printed"
    elif word.state in ("canceled", "aborted"):
        verdict = _broken_off(count, word.counts)
    else:
        verdict = "nothing" if word.data_insufficient else ""
    return replace(run, verdict=verdict, impressions=count if verdict == "partly" else None)


def printed_by(run: RunRecord, partial_charge: PartialCharge = "whole") -> tuple[Printed, bool]:
    """What a judged run comes to, and whether that is an estimate. `partial_charge` counts where nobody can tell."""
    facts = run.facts or JobFacts(impressions=0, sheets=0, estimated=True)
    if run.verdict == "nothing":
        return NOTHING, False
    if run.verdict == "partly" and run.impressions is not None:
        return part_of(facts, run.impressions), facts.estimated
    if run.verdict == "unknown" and partial_charge == "nothing":
        return NOTHING, True
    return whole(facts), facts.estimated or run.verdict != "printed"


def whole(facts: JobFacts) -> Printed:
    return Printed(
        impressions=facts.impressions,
        sheets=facts.sheets,
        color_impressions=facts.color_impressions,
        media=facts.media,
    )


def part_of(facts: JobFacts, impressions: int) -> Printed:
    """The first `impressions` of a job: its sheets to match, and colour first, since nobody tells which were
    printed.
    """
    done = min(impressions, facts.impressions)
    sheets = -(-done * facts.sheets // facts.impressions) if facts.impressions else 0
    color = min(done, facts.color_impressions)
    return Printed(impressions=done, sheets=sheets, color_impressions=color, media=facts.media)


def charge(runs: Iterable[RunRecord], partial_charge: PartialCharge = "whole") -> tuple[Printed, bool]:
    """What a job's runs come to: the largest run of each of its documents."""
    largest: dict[int, tuple[Printed, bool]] = {}
    for run in runs:
        found = printed_by(run, partial_charge)
        if run.document not in largest or _weight(found) > _weight(largest[run.document]):
            largest[run.document] = found
    parts = [printed for printed, _ in largest.values()]
    total = Printed(
        impressions=sum(part.impressions for part in parts),
        sheets=sum(part.sheets for part in parts),
        color_impressions=sum(part.color_impressions for part in parts),
        media=max(parts, key=lambda part: part.impressions).media if parts else "",
    )
    return total, any(estimated for _, estimated in largest.values())


def is_told(record: JobRecord) -> bool:
    """Whether the ending says what the runs that are known now come to."""
    return record.ending is not None and charge(record.runs, record.partial_charge)[0] == record.ending.printed


def is_in_doubt(runs: Sequence[RunRecord]) -> bool:
    """Whether some run may have printed more of its document than any run is known to: the queue's rule decides."""
    known: dict[int, int] = {}
    for run in runs:
        if run.verdict != "unknown":
            known[run.document] = max(known.get(run.document, 0), printed_by(run)[0].impressions)
    unknown = (run for run in runs if run.verdict == "unknown")
    return any(printed_by(run)[0].impressions > known.get(run.document, 0) for run in unknown)


def came_out_twice(runs: Iterable[RunRecord]) -> bool:
    """Whether more than one run of the same document put something on paper: charged once, and marked."""
    documents = [run.document for run in runs if printed_by(run)[0].impressions]
    return len(documents) > len(set(documents))


def _weight(found: tuple[Printed, bool]) -> tuple[int, bool]:
    """Of two runs as large as each other, the one that is no estimate tells."""
    printed, estimated = found
    return printed.impressions, not estimated


def outcome_of(record: JobRecord, cups: CupsState) -> Outcome:
    """The word for how it ended: completed where every document came out, whatever CUPS calls it."""
    printed = {run.document for run in record.runs if run.verdict == "printed"}
    if printed and len(printed) >= min(record.documents, max(run.document for run in record.runs)):
        return "completed"
    if cups == "canceled":
        return "canceled"
    something = any(printed_by(run)[0].impressions for run in record.runs)
    return "completed" if something and cups == "completed" else "aborted"


def next_cursor(record: JobRecord, incarnation: str) -> Cursor:
    """Which document a backend that asks now has in its hand.

    A queue that takes one file at a time starts its backend once for each document of a job, one after the other;
    after a restart cupsd begins again with the first. Within one life of cupsd a document follows one that came
    out.
    """
    cursor = record.cursor
    if record.documents < 2 or cursor.incarnation != incarnation:
        return Cursor(incarnation=incarnation)
    came_out = cursor.done or any(
        run.document == cursor.document and run.incarnation == incarnation and run.verdict == "printed"
        for run in record.runs
    )
    if came_out and cursor.document < record.documents:
        return Cursor(incarnation=incarnation, document=cursor.document + 1)
    return replace(cursor, done=False)


def job_facts(record: JobRecord, document: int, facts: JobFacts) -> JobFacts:
    """The facts of the whole job as far as it is known: the documents that came out before and the one in hand."""
    before = {
        run.document: run.facts
        for run in record.runs
        if run.document != document and run.verdict != "nothing" and run.facts
    }
    parts = [*before.values(), facts]
    return replace(
        facts,
        impressions=sum(part.impressions for part in parts),
        sheets=sum(part.sheets for part in parts),
        color_impressions=sum(part.color_impressions for part in parts),
        document_bytes=sum(part.document_bytes for part in parts),
        estimated=any(part.estimated for part in parts),
        estimate_reason=next((part.estimate_reason for part in parts if part.estimated), ""),
    )
