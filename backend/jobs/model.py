"""A job as plain values: the row that is kept of a printing, and what the machine must know of its user and queue."""

import enum
import functools
from typing import Final

import msgspec

from backend.wire.jobs import JobFacts, JobView
from backend.wire.pricing import CostRule, Printed, price


class Mark(enum.IntFlag):
    """What is special about a job's charge; shown to the help desk and summed per account where it passes the limit."""

    ESTIMATED = 1  # counted by a rule, not from the document or by the printer
    OFFLINE = 2  # decided by the print server's policy while no server answered
    LATE = 4  # reported after its reservation had expired
    EXCESS = 8  # more was printed than was reserved
    POSSIBLE_DUPLICATE = 16  # a crash left it unknown whether an earlier run had printed
    UNASSIGNED = 32  # its user has no account
    RELEASED = 64  # a person let it print; taken off where it asks for something else than was released
    IN_DOUBT = 128  # nobody can tell how much of it was printed; the queue's rule decided
    CANCEL_REQUESTED = 256  # a person, or a time-out, canceled it; its print server has not said yet that it is over
    LOOKED_AT = 512  # somebody of the help desk has looked at its charge; taken off where a report gives a new reason


class Need(enum.IntEnum):
    """Who must do something about a job: nobody, as with nearly all, or one of these. Kept in a table of its own, so
    that the few are found among millions and the many pay nothing for it."""

    NOBODY = 0
    LOOK = 1  # the help desk: its charge is in doubt
    RELEASE = 2  # the help desk: it waits to be released
    CARRY_OUT = 3  # its print server: it was released or canceled


LOOK_MARKS = Mark.EXCESS | Mark.POSSIBLE_DUPLICATE | Mark.UNASSIGNED | Mark.IN_DOUBT


class Job(msgspec.Struct, gc=False):
    """The job row, in the columns' order. `reserved_sequence` 0: no open reservation."""

    job_id: str
    provider_id: int
    queue_id: int
    account_id: int
    user_name: str
    title: str
    host: str
    state: str
    code: str
    marks: int
    attempt: int
    revision: int
    reserved_sequence: int
    reserved: int
    charged: int
    counted_impressions: int
    rule: str
    impressions: int
    sheets: int
    color_impressions: int
    copies: int
    facts: str
    printing: str
    term: int
    created_at: int
    updated_at: int
    renewed_at: int
    refunded: int = 0


class QueueRow(msgspec.Struct, gc=False, frozen=True):
    """What pricing and deciding need of a queue. `cost` is the CostRule's JSON."""

    queue_id: int
    provider_id: int
    name: str
    provider_name: str
    disabled: bool
    disabled_until: int
    cost: str
    hold_jobs: bool = False


class UserRow(msgspec.Struct, gc=False, frozen=True):
    """What deciding needs of a user beside the account."""

    name: str
    account_id: int
    disabled: bool
    disabled_until: int


class Want(msgspec.Struct, gc=False, frozen=True):
    """A job's need as it is kept. `reason` is for the person whose job was canceled."""

    job_id: str
    provider_id: int
    need: int
    reason: str = ""


def need_of(job: Job) -> int:
    """Whose turn it is. A job that waits to be released or carried out comes to be looked at once that is over."""
    state, marks = job.state, job.marks
    if not marks & _NEEDY and state in _SETTLED:  # nearly all of them
        return 0
    if marks & Mark.CANCEL_REQUESTED or state == "released":
        return Need.CARRY_OUT
    if state == "held":
        return Need.RELEASE
    if marks & Mark.LOOKED_AT:
        return Need.NOBODY
    return Need.LOOK if state == "in_doubt" or marks & LOOK_MARKS else Need.NOBODY


_NEEDY: Final = int(LOOK_MARKS | Mark.CANCEL_REQUESTED)
_SETTLED: Final = frozenset({"authorised", "completed", "denied"})


NO_FACTS: Final = JobFacts(impressions=0, sheets=0, sides="")


def mark_names(marks: int) -> tuple[str, ...]:
    """The marks' names as they cross the wire, in bit order."""
    return tuple(mark.name.lower() for mark in Mark if marks & mark and mark.name)


def view(job: Job, provider: str, queue: str) -> JobView:
    """The job as API and events show it."""
    facts = decode_facts(job.facts)
    return JobView(
        job_id=job.job_id,
        state=job.state,  # type: ignore[arg-type]  # the machine writes JobState's words only
        user_name=job.user_name,
        provider=provider,
        queue=queue,
        title=job.title,
        impressions=job.impressions,
        sheets=job.sheets,
        color_impressions=job.color_impressions,
        copies=job.copies,
        reserved=job.reserved,
        charged=job.charged,
        code=job.code,
        marks=mark_names(job.marks) if job.marks else (),
        created_at=job.created_at,
        updated_at=job.updated_at,
        cost=price(decode_rule(job.rule), analysed(job, facts)) if job.rule else 0,
        refunded=job.refunded,
        printed=job.counted_impressions,
        host=job.host,
        sides=facts.sides,
        media=facts.media,
    )


def analysed(job: Job, facts: JobFacts) -> Printed:
    """What the analysis found, as it is priced."""
    return Printed(
        impressions=job.impressions,
        sheets=job.sheets,
        color_impressions=job.color_impressions,
        media=facts.media,
    )


def decode_facts(text: str) -> JobFacts:
    """A job's stored facts; those of a job of which none are known, or were not read, are empty."""
    return msgspec.json.decode(text, type=JobFacts) if text else NO_FACTS


@functools.lru_cache(maxsize=4096)
def decode_rule(text: str) -> CostRule:
    """A stored cost rule; a few rules serve thousands of jobs, so decoding is remembered."""
    rule: CostRule = msgspec.json.decode(text, type=CostRule)
    return rule
