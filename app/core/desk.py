"""What the help desk does to jobs that wait: each release and cancel is asked for under one id until it is answered.
Pure.

Invariant: nothing is called done but by a server's answer. Where none came it is *unknown*, and it is asked again with
the very id it was asked with first: a server that did it already only says so again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from app.core.reducer import Rights
from app.core.viewdata import JOB_WORDS, Tone, count_text, job_cost_text
from backend.wire.errors import REFUSALS
from backend.wire.messages import JobActionAnswer, JobView, Ledger

Verb = Literal["release", "cancel"]
Phase = Literal["asking", "unknown", "done", "refused"]
Choice = Literal["all", "held", "look"]

CHOICES: Final[dict[Choice, str]] = {"all": "All jobs", "held": "Held jobs", "look": "Jobs to look at"}
LISTED: Final = 4
WAITING: Final = frozenset({"held", "released"})
MAY_BE_CANCELED: Final = frozenset({"held", "released", "authorised", "printing"})


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing asked of one job. `text` says why it was refused, or why no answer came."""

    verb: Verb
    job_id: str
    command_id: str
    title: str
    user_name: str
    reason: str = ""
    phase: Phase = "asking"
    text: str = ""
    printing: bool = False


def deed(verb: Verb, job: JobView, command_id: str, reason: str = "") -> Deed:
    return Deed(verb, job.job_id, command_id, job.title or "(no name)", job.user_name, reason)


def answered(asked: Deed, answer: JobActionAnswer) -> Deed:
    """What a server's answer makes of it."""
    if not answer.code:
        return replace(asked, phase="done", text="", printing=answer.state in ("authorised", "printing"))
    said = answer.message.rstrip(".") or REFUSALS.get(answer.code, answer.code)
    now = f"; it is {JOB_WORDS[answer.state][0].lower()}" if answer.code == "job-not-held" else ""
    return replace(asked, phase="refused", text=f"{said}{now}")


def why_not(verb: Verb, jobs: Sequence[JobView], rights: Rights | None) -> str:
    """Why these jobs cannot be released or canceled now, "" where they can."""
    if rights is None:
        return "whether this access token may do it is not known yet"
    if rights.desk:
        return rights.desk
    if not jobs:
        return "choose a job first"
    able = [job for job in jobs if job.state == "held"] if verb == "release" else _cancelable(jobs)
    if able:
        return ""
    return "no chosen job is held" if verb == "release" else "the chosen jobs are over"


def able(verb: Verb, jobs: Sequence[JobView]) -> list[JobView]:
    """Those of the jobs that it makes sense for."""
    return [job for job in jobs if job.state == "held"] if verb == "release" else _cancelable(jobs)


def _cancelable(jobs: Sequence[JobView]) -> list[JobView]:
    return [job for job in jobs if job.state in MAY_BE_CANCELED]


# ---------------------------------------------------------------- in words


def sentence(deeds: Sequence[Deed]) -> tuple[Tone, str]:
    """How what was asked for last stands, in one sentence."""
    if len(deeds) == 1:
        return _one(deeds[0])
    counts = {phase: [found for found in deeds if found.phase == phase] for phase in ("unknown", "asking", "refused")}
    done = [found for found in deeds if found.phase == "done"]
    parts = [f"{len(done):,} {_DONE[deeds[0].verb].lower()}"] if done else []
    if counts["refused"]:
        parts.append(f"{len(counts['refused']):,} refused: {counts['refused'][0].text}")
    if counts["unknown"]:
        parts.append(f"{len(counts['unknown']):,} unknown: no server answered; asked again under the same id")
    if counts["asking"]:
        parts.append(f"{len(counts['asking']):,} being asked for")
    tone: Tone = "ok"
    for phase, its in (("asking", "waiting"), ("refused", "error"), ("unknown", "warning")):
        if counts[phase]:
            tone = its  # type: ignore[assignment]  # each of them is a Tone
    return tone, f"{'. '.join(parts)}."


_DONE: Final[dict[Verb, str]] = {"release": "Released", "cancel": "Canceled"}
_ASKING: Final[dict[Verb, str]] = {"release": "Releasing", "cancel": "Canceling"}


def _one(found: Deed) -> tuple[Tone, str]:
    which = f"“{found.title}” of {found.user_name}"
    match found.phase:
        case "asking":
            return "waiting", f"{_ASKING[found.verb]} {which} …"
        case "done" if found.printing:
            return "ok", f"Its print server is told to stop {which}; what was printed by then is charged."
        case "done":
            return "ok", f"{_DONE[found.verb]}: {which}."
        case "refused":
            return "error", f"Not {_DONE[found.verb].lower()}: {which}. {found.text}."
        case "unknown":
            text = f"Unknown whether {which} was {_DONE[found.verb].lower()}: no server answered."
            return "warning", f"{text} It is asked again under the same id."


def job_facts(job: JobView, ledger: Ledger | None) -> str:
    """A job in one line, for the question whether it is to be canceled."""
    pages = count_text(job.impressions, "page", "pages")
    cost = job_cost_text(job, ledger).removesuffix(" res.")
    return f"“{job.title or '(no name)'}” of {job.user_name}: {pages} on {job.queue}, {cost}"


def listed(jobs: Sequence[JobView], ledger: Ledger | None) -> list[str]:
    """The jobs' facts, the first few of them."""
    found = [job_facts(job, ledger) for job in jobs[:LISTED]]
    return [*found, f"and {len(jobs) - LISTED:,} more"] if len(jobs) > LISTED else found
