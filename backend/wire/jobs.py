"""Messages about jobs: asked for, reported, held, released, canceled, looked at."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.wire.base import Amount, Count, Ledger, Message, Millis, Name, Text, Uuid
from backend.wire.pricing import CostRule, Printed

JobState = Literal[
    "received",
    "analysed",
    "held",
    "released",
    "authorised",
    "printing",
    "completed",
    "canceled",
    "aborted",
    "denied",
    "in_doubt",
]
Outcome = Literal["completed", "canceled", "aborted"]
Decision = Literal["authorised", "denied", "held", "superseded"]


class Printing(msgspec.Struct, frozen=True, kw_only=True):
    """Which printing it is: a restart by a person changes `time_at_completed`, a re-run after a crash changes
    nothing."""

    spool_id: Name
    cups_job_id: Count
    time_at_creation: int
    time_at_completed: int = 0


class MediaCount(msgspec.Struct, frozen=True, kw_only=True):
    """So many impressions of a job are on this medium."""

    media: Text
    impressions: Count


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the analysis found, all copies together. `estimated` says the counts come from a rule, not from the
    document.

    `media` is the largest, which is what is charged; `media_counts` tells all of them where there are several, the
    largest first. `blank_backs` are sides that CUPS's filters add so that each copy begins on a sheet of its own: fed
    through the printer, told here, and not among `impressions`.
    """

    impressions: Count
    sheets: Count
    color_impressions: Count = 0
    copies: Count = 1
    sides: Text = "one-sided"
    media: Text = ""
    media_counts: Annotated[tuple[MediaCount, ...], Meta(max_length=32)] = ()
    blank_backs: Count = 0
    document_format: Text = ""
    document_bytes: Annotated[int, Meta(ge=0, le=2**53)] = 0
    estimated: bool = False
    estimate_reason: Text = ""


class JobIdentity(Message, frozen=True, kw_only=True):
    """What every command about a job says of it, so that any one of them is enough to know the job."""

    command_id: Uuid
    job_id: Uuid
    attempt: Annotated[int, Meta(ge=1, le=1_000_000)]
    printing: Printing
    queue: Name
    user_name: Name
    title: Text = ""
    host: Text = ""
    facts: JobFacts


class Authorise(JobIdentity, frozen=True, kw_only=True):
    """May this job print, and is there money for it? Attempt n replaces the reservation of attempts before it."""


class AuthoriseAnswer(Message, frozen=True, kw_only=True):
    """`code` is a refusal's code, "" when authorised; `message` is for the person who prints."""

    job_id: Uuid
    decision: Decision
    code: str = ""
    message: str = ""
    cost: Amount = 0
    rule_version: int = 0
    balance: Amount = 0
    available: Amount = 0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the real CUPS backend. `exit_code` is None when nobody saw it end; `impressions_completed` is
    the printer's word."""

    number: Count
    started_at: Millis
    ended_at: Millis | None = None
    exit_code: int | None = None
    impressions_completed: Count | None = None


class Report(JobIdentity, frozen=True, kw_only=True):
    """What was printed. Absolute, not incremental: revision n replaces what revisions before it said of this job.

    `offline_rule` is the cost rule by which the provider priced the job while no server answered: it is charged by it.
    `in_doubt` says that nobody can tell how much of it was printed: the queue's `partial_charge` decided.
    """

    revision: Annotated[int, Meta(ge=1, le=1_000_000)]
    outcome: Outcome
    printed: Printed
    estimated: bool = False
    offline: bool = False
    possible_duplicate: bool = False
    in_doubt: bool = False
    offline_rule: CostRule | None = None
    runs: tuple[Run, ...] = ()


class ReportAnswer(Message, frozen=True, kw_only=True):
    """`charged` is the net of the job's transfers after this report; `available` is None where the server does not
    tell."""

    job_id: Uuid
    state: JobState
    charged: Amount
    balance: Amount = 0
    available: Amount | None = None
    marks: tuple[str, ...] = ()


class ReleaseJob(Message, frozen=True, kw_only=True):
    """Let a held job print. Bound to what the job was when it was held: should it ask for something else when it comes
    to print, it is held again."""

    command_id: Uuid


class CancelJob(Message, frozen=True, kw_only=True):
    """Cancel a job that is held, or ask its print server to stop one that prints. `reason` is for the person."""

    command_id: Uuid
    reason: Text = ""


class JobActionAnswer(Message, frozen=True, kw_only=True):
    """`code` is a refusal's code, "" when done; `state` is the job's now."""

    code: str = ""
    message: str = ""
    state: JobState = "held"


class JobDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a person, or a time-out, decided of a job that its provider still has in hand."""

    job_id: Uuid
    decision: Literal["release", "cancel"]
    reason: Text = ""


class DecisionList(Message, frozen=True, kw_only=True):
    """All that is decided and not yet carried out of the asking provider's jobs. A provider with held jobs asks each
    half second."""

    decisions: tuple[JobDecision, ...] = ()


class TickOff(Message, frozen=True, kw_only=True):
    """Somebody has looked at a job whose charge was in doubt; it leaves the list of those to look at."""

    command_id: Uuid
    comment: Text = ""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """`charged` is the price of what was printed, `refunded` what was given back of it. `printed` counts the
    impressions that came out, `impressions` those that the analysis found."""

    job_id: str
    state: JobState
    user_name: str
    provider: str
    queue: str
    title: str
    impressions: int
    sheets: int
    color_impressions: int
    copies: int
    reserved: int
    charged: int
    code: str = ""
    marks: tuple[str, ...] = ()
    created_at: Millis = 0
    updated_at: Millis = 0
    cost: int = 0
    refunded: int = 0
    printed: int = 0
    host: str = ""
    sides: str = ""
    media: str = ""


class JobList(Message, frozen=True, kw_only=True):
    jobs: tuple[JobView, ...]
    ledger: Ledger
