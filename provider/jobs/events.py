"""What happens to a job (events), what is to be done about it (effects), what the backend is told (replies). Pure
data.

A result carries the `token` of the effect that asked for it; one that is not the job's newest is of the past and
ignored.
"""

from dataclasses import dataclass

from backend.wire.jobs import AuthoriseAnswer, JobFacts
from provider.jobs.model import Ask, CupsState, JobRecord, PrinterWord, RunRecord
from provider.jobs.offline import PRINT_UNPRICED, Verdict

# ---------------------------------------------------------------- events


@dataclass(frozen=True)
class Asked:
    """A backend holds this printing's document and wants to know."""

    session: int
    ask: Ask


@dataclass(frozen=True)
class SessionGone:
    """A backend said that its run is over, or is gone."""

    session: int


@dataclass(frozen=True)
class RunsSeen:
    """The job's runs as their files tell. `locked`: somebody still prints. `highest`: the highest number in use."""

    token: int
    runs: tuple[RunRecord, ...]
    locked: bool
    highest: int


@dataclass(frozen=True)
class PrinterSaid:
    token: int
    name: str
    word: PrinterWord


@dataclass(frozen=True)
class CupsSaid:
    token: int
    state: CupsState


@dataclass(frozen=True)
class Analysed:
    token: int
    facts: JobFacts


@dataclass(frozen=True)
class Written:
    token: int


@dataclass(frozen=True)
class NotWritten:
    token: int
    reason: str


@dataclass(frozen=True)
class Decided:
    token: int
    answer: AuthoriseAnswer


@dataclass(frozen=True)
class Undecided:
    """No server decided in time; what the policy says instead."""

    token: int
    verdict: Verdict = PRINT_UNPRICED


@dataclass(frozen=True)
class Foretold:
    """What the policy would say: no server has decided yet, and it will soon be the policy's turn."""

    token: int
    verdict: Verdict


@dataclass(frozen=True)
class Adopted:
    """A run that a backend made while the daemon was away."""

    run: RunRecord


@dataclass(frozen=True)
class Reported:
    """A server has this revision; `available` is what it says the user has left."""

    revision: int
    available: int | None = None


@dataclass(frozen=True)
class ReportRefused:
    revision: int
    code: str


@dataclass(frozen=True)
class Nudge:
    """Something has happened to the job in CUPS: look now, not when it was due."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


Event = (
    Asked
    | SessionGone
    | RunsSeen
    | PrinterSaid
    | CupsSaid
    | Analysed
    | Written
    | NotWritten
    | Decided
    | Undecided
    | Foretold
    | Adopted
    | Reported
    | ReportRefused
    | Nudge
    | Tick
)

# ---------------------------------------------------------------- replies to the backend


@dataclass(frozen=True)
class Print:
    """Print, as this run."""

    job_id: str
    name: str
    run: int
    attempt: int
    document: int
    incarnation: str
    offline: bool


@dataclass(frozen=True)
class Deny:
    message: str


@dataclass(frozen=True)
class Hold:
    """Hold the job in CUPS, with this message, until it is released: then a backend asks anew."""

    message: str


@dataclass(frozen=True)
class Finished:
    """It has been printed already."""


@dataclass(frozen=True)
class Superseded:
    """A newer backend of the same printing asks."""


@dataclass(frozen=True)
class Wait:
    """Nothing can be decided now; ask again."""

    message: str
    seconds: float


Reply = Print | Deny | Hold | Finished | Superseded | Wait

# ---------------------------------------------------------------- effects


@dataclass(frozen=True)
class LookAtRuns:
    token: int


@dataclass(frozen=True)
class AskPrinter:
    token: int
    run: RunRecord


@dataclass(frozen=True)
class AskCups:
    token: int


@dataclass(frozen=True)
class Analyse:
    """Analyse the document that this session's backend holds."""

    token: int
    session: int


@dataclass(frozen=True)
class Write:
    """Journal the record; with a token of 0 nobody waits for the disk."""

    token: int
    record: JobRecord


@dataclass(frozen=True)
class Authorise:
    """Ask a server; Decided or Undecided comes by `deadline_s` on the monotonic clock."""

    token: int
    record: JobRecord
    deadline_s: float


@dataclass(frozen=True)
class Answer:
    session: int
    reply: Reply


@dataclass(frozen=True)
class SendReport:
    record: JobRecord


@dataclass(frozen=True)
class RemoveRuns:
    names: tuple[str, ...]


@dataclass(frozen=True)
class EndOrphans:
    """End what still prints these runs: the person canceled, and nobody is left to pass that on."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Forget:
    """The job is over: the journal alone remembers it."""


Effect = (
    LookAtRuns
    | AskPrinter
    | AskCups
    | Analyse
    | Write
    | Authorise
    | Answer
    | SendReport
    | RemoveRuns
    | EndOrphans
    | Forget
)
