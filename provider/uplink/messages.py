"""A job's record as the messages of the wire. Pure; what is too long for the contract is cut here and nowhere else."""

from typing import Final

from backend.wire.base import CommandId, JobId
from backend.wire.jobs import Authorise, JobFacts, Report, Run
from provider.jobs.model import JobRecord, RunRecord

_NAME: Final = 255
_TEXT: Final = 1024


def authorise(record: JobRecord) -> Authorise:
    """The question for the record's newest attempt."""
    return Authorise(
        command_id=CommandId(record.authorise_id),
        job_id=JobId(record.job_id),
        attempt=record.attempt,
        printing=record.printing,
        queue=_name(record.queue),
        user_name=_name(record.user_name),
        title=record.title[:_TEXT],
        host=record.host[:_TEXT],
        facts=_facts(record.facts),
    )


def is_reportable(record: JobRecord | None) -> bool:
    """Whether what the record's ending says is to be reported: not while the job may print again, since its facts
    change then and the ending's id must not stand for two contents. Its next ending says it all."""
    return record is not None and record.ending is not None and record.phase in ("ended", "settled")


def report(record: JobRecord) -> Report:
    """What the record's ending says. Raises ValueError for a record that has none."""
    ending = record.ending
    if ending is None:
        raise ValueError(f"job {record.job_id} has no ending to report")
    offline = any(run.offline and run.verdict != "nothing" for run in record.runs)
    return Report(
        command_id=CommandId(ending.command_id),
        job_id=JobId(record.job_id),
        attempt=max(1, record.attempt),
        printing=record.printing,
        queue=_name(record.queue),
        user_name=_name(record.user_name),
        title=record.title[:_TEXT],
        host=record.host[:_TEXT],
        facts=_facts(record.facts),
        revision=ending.revision,
        outcome=ending.outcome,
        printed=ending.printed,
        estimated=ending.estimated,
        offline=offline,
        possible_duplicate=record.possible_duplicate,
        in_doubt=ending.in_doubt,
        offline_rule=record.offline.rule if offline and record.offline is not None else None,
        runs=tuple(_run(run) for run in record.runs),
    )


def _run(run: RunRecord) -> Run:
    return Run(
        number=run.number,
        started_at=max(0, run.started_at),
        ended_at=run.ended_at,
        exit_code=run.exit_code,
        impressions_completed=run.evidence.impressions_completed,
    )


def _facts(facts: JobFacts | None) -> JobFacts:
    return facts or JobFacts(impressions=0, sheets=0, estimated=True, estimate_reason="never analysed")


def _name(text: str) -> str:
    return text[:_NAME] or "unknown"
