"""Which printing a backend was started for, and what cupsd says of it.

A printing is known by its spool, the number cupsd gave the job, when it was created and, where a person has it
printed again, when it was completed before. cupsd tells these times over IPP, and writes them into the options of
each backend it starts. The creation never changes; the completion counts as it was when this backend was started,
so that an orphan that asks late is not taken for the person's next wish. A job-uuid is the client's to choose and
means nothing.

cupsd 2.4 may list a job twice after it was killed while it saved it, and then prints it twice; the second time
looks like a person's restart. Whether it is one, `crash_copies` tells.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from backend.wire.jobs import Printing
from provider.analysis.options import parse_options
from provider.analysis.ticket import AnalysisRequest
from provider.cups.client import Cupsd, CupsJob
from provider.cups.spool import SpoolIds
from provider.errors import CupsError
from provider.jobs.model import Ask, CupsState
from provider.jobs.rules import scheme_of
from provider.jobs.user_names import UserNames, map_user_name
from provider.journal.runs import HeldNote, Started
from provider.local.protocol import Question

MAX_PPD_BYTES: Final = 4 << 20
_log = logging.getLogger(__name__)
_spools = SpoolIds()


async def identify(cupsd: Cupsd, question: Question, rules: UserNames) -> Ask:
    """The question with its printing. Raises CupsError when the printing cannot be known."""
    job = await _told_by_cupsd(cupsd, question.cups_job_id)
    options = parse_options(question.options)
    created, completed = times_of(options, job)
    if not created:
        raise CupsError(f"cupsd does not tell when job {question.cups_job_id} was created")
    printing = Printing(
        spool_id=await _spool(question.request_root),
        cups_job_id=question.cups_job_id,
        time_at_creation=created,
        time_at_completed=completed,
    )
    host, documents = (job.host, job.documents) if job else ("", 1)
    return _ask(question, printing, options.get("job-originating-host-name", "") or host, documents, rules)


def guess(question: Question, rules: UserNames) -> Ask | None:
    """What `identify` will nearly always say, without asking cupsd, which writes its own files to the disk at that
    moment: for a job of one document that has not been printed before. None for any other."""
    options = parse_options(question.options)
    created, spool = _seconds(options, "time-at-creation"), _spools.remembered(question.request_root)
    if not created or spool is None or "time-at-completed" in options:
        return None
    printing = Printing(spool_id=spool, cups_job_id=question.cups_job_id, time_at_creation=created)
    return _ask(question, printing, options.get("job-originating-host-name", ""), 1, rules)


def _ask(question: Question, printing: Printing, host: str, documents: int, rules: UserNames) -> Ask:
    return Ask(
        printing=printing,
        queue=question.queue,
        user_name=map_user_name(question.user, rules),
        cups_user_name=question.user,
        title=question.title,
        host=host,
        device_uri=without_password(question.device_uri),
        documents=documents,
        incarnation=question.incarnation,
        orphan=cupsd_of(question.incarnation) == 0,
    )


def times_of(options: Mapping[str, str], job: CupsJob | None) -> tuple[int, int]:
    """When the job was created, and when it was completed before this run of it (0: never). Pure."""
    written = _seconds(options, "time-at-creation")
    if job is None or written == job.time_at_creation:
        return written, _seconds(options, "time-at-completed")
    return job.time_at_creation, job.time_at_completed


async def crash_copies(cupsd: Cupsd, job_id: int) -> int:
    """How many more printings of this job cupsd may start that nobody wished: see Cupsd.listed."""
    try:
        return max(0, await cupsd.listed(job_id) - 1)
    except CupsError as error:
        _log.warning("job %d: %s", job_id, error)
        return 0


def cupsd_of(incarnation: str) -> int:
    """The process of the cupsd that started a backend, 0 when it is not that one any more."""
    pid, _, started = incarnation.partition(".")
    try:
        stat = Path(f"/proc/{int(pid)}/stat").read_text()
        return int(pid) if stat.rpartition(")")[2].split()[19] == started else 0
    except (OSError, ValueError, IndexError):
        return 0


def analysis_request(question: Question | Started) -> AnalysisRequest:
    """What the analysis has to know of the document."""
    return AnalysisRequest(
        copies=question.copies,
        options=question.options,
        document_format=question.content_type,
        inner_scheme=scheme_of(question.device_uri),
        by_name=question.named_file,
        defaults=ppd_defaults(question.ppd),
    )


def question_of(started: Started) -> Question:
    """The question that a backend would have asked, had the daemon been there when it began this run."""
    return Question(
        cups_job_id=started.cups_job_id,
        user=started.user,
        title=started.title,
        copies=started.copies,
        options=started.options,
        queue=started.queue,
        device_uri=started.device_uri,
        content_type=started.content_type,
        document_bytes=started.document_bytes,
        request_root=started.request_root,
        incarnation=started.incarnation,
        named_file=started.named_file,
        ppd=started.ppd,
    )


def printing_of_run(started: Started, spool: str, job: CupsJob | None) -> Printing:
    """The printing of a run made without the daemon: as its options say, since cupsd may have gone on since. Pure."""
    options = parse_options(started.options)
    created = _seconds(options, "time-at-creation") or (job.time_at_creation if job else started.started_at // 1000)
    return Printing(
        spool_id=spool,
        cups_job_id=started.cups_job_id,
        time_at_creation=created,
        time_at_completed=_seconds(options, "time-at-completed"),
    )


async def identify_run(cupsd: Cupsd, started: Started, rules: UserNames) -> Ask:
    """What `identify` would have said when this run began. Raises CupsError when the spool has no id."""
    job = await _told_by_cupsd(cupsd, started.cups_job_id)
    printing = printing_of_run(started, await _spool(started.request_root), job)
    return Ask(
        printing=printing,
        queue=started.queue,
        user_name=map_user_name(started.user, rules),
        cups_user_name=started.user,
        title=started.title,
        host=parse_options(started.options).get("job-originating-host-name", ""),
        device_uri=without_password(started.device_uri),
        documents=job.documents if job and job.time_at_creation == printing.time_at_creation else 1,
        incarnation=started.incarnation,
    )


async def state_of(cupsd: Cupsd, printing: Printing) -> CupsState:
    """Whether cupsd may run this printing again, and if not, how it ended there."""
    try:
        job = await cupsd.job(printing.cups_job_id)
    except CupsError:
        return "unreachable"
    return judge_state(job, printing)


def without_password(uri: str) -> str:
    """The URI without user and password: what is kept and shown of it. Pure."""
    scheme, separator, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else uri


def judge_state(job: CupsJob | None, printing: Printing) -> CupsState:
    """What cupsd's job means for a printing. Pure."""
    if job is None or job.time_at_creation != printing.time_at_creation:
        return "unknown"
    if not job.over:
        # Under the same number a person may have it printed again: that is another printing, and this one is over.
        return "alive" if job.time_at_completed == printing.time_at_completed else "completed"
    endings: dict[int, CupsState] = {7: "canceled", 8: "aborted"}
    return endings.get(job.state, "completed")


NoteState = Literal["held", "not yet", "over"]


async def state_of_note(cupsd: Cupsd, note: HeldNote) -> NoteState:
    """Whether a job that was held without the daemon is to be released now. Raises CupsError."""
    return judge_note(await cupsd.job(note.cups_job_id), note)


def judge_note(job: CupsJob | None, note: HeldNote) -> NoteState:
    """held: release it. not yet: its backend has not ended. over: somebody else released or ended it, or it is another
    job's number by now; the note is of no use. Pure."""
    created = _seconds(parse_options(note.options), "time-at-creation")
    if job is None or job.over or (created and created != job.time_at_creation):
        return "over"
    states: dict[int, NoteState] = {4: "held", 5: "not yet", 6: "not yet"}
    return states.get(job.state, "over")


async def _told_by_cupsd(cupsd: Cupsd, job_id: int) -> CupsJob | None:
    try:
        return await cupsd.job(job_id)
    except CupsError as error:
        _log.warning("job %d: %s", job_id, error)
        return None


async def _spool(request_root: str) -> str:
    remembered = _spools.remembered(request_root)
    if remembered is not None:
        return remembered
    try:
        return await asyncio.to_thread(_spools.read, request_root)
    except OSError as error:
        raise CupsError(f"the spool {request_root!r} cannot be told from others: {error}") from error


def _seconds(options: Mapping[str, str], name: str) -> int:
    text = options.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def ppd_defaults(path: str) -> dict[str, str]:
    """The queue's own values of its options; none where it has no PPD."""
    if not path:
        return {}
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError:
        return {}
    return _read_defaults(path, changed)


@lru_cache(256)
def _read_defaults(path: str, _changed: int) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_PPD_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    lines = (line[8:].partition(":") for line in text.splitlines() if line.startswith("*Default"))
    return {name.strip(): value.strip() for name, separator, value in lines if separator}
