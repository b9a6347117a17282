"""Where a printing stands: the state its machine works on, how it begins and how it is taken up again. Pure."""

from dataclasses import dataclass, replace
from typing import Literal

from msgspec.structs import replace as change

from backend.wire.jobs import Printing
from provider.jobs.events import Effect, Forget, Reply, SendReport
from provider.jobs.model import Ask, JobRecord

Stage = Literal[
    "looking",
    "asking_printer",
    "asking_cups",
    "analysing",
    "writing",
    "authorising",
    "printing",
    "telling",
    "waiting",
    "closing",
    "reporting",
    "over",
]


@dataclass(frozen=True)
class Moment:
    """When a step happens; `fresh_id` is a new UUID, used at most once."""

    monotonic_s: float
    now_ms: int
    fresh_id: str


@dataclass(frozen=True)
class Foretelling:
    """The record as it will be if no server decides this attempt; written before that is known."""

    record: JobRecord
    on_disk: bool = False


@dataclass(frozen=True)
class JobState:
    """`record` is what is on disk or on its way there; `printers` are the sessions that were told to print; `reply` is
    what the session is told as soon as the record is on disk; `foretold` is on its way there too, or there."""

    record: JobRecord
    stage: Stage = "waiting"
    token: int = 0
    on_disk: bool = False
    session: int | None = None
    ask: Ask | None = None
    asked_at_s: float = 0.0
    printers: frozenset[int] = frozenset()
    reply: Reply | None = None
    foretold: Foretelling | None = None
    locked: bool = False
    highest_run: int = 0
    wake_at_s: float | None = None
    deadline_s: float = 0.0
    cups_tries: int = 0
    printer_tries: int = 0
    printer_since_s: float | None = None

    @property
    def offline_cost(self) -> int:
        """What it costs by the price that it has, or would have, without a server; 0 where it has none."""
        record = self.foretold.record if self.foretold is not None else self.record
        return record.offline.cost if record.offline is not None else 0


Step = tuple[JobState, tuple[Effect, ...]]


def begin(job_id: str, ask: Ask, moment: Moment) -> JobState:
    """A printing nobody has seen before. Nothing of it is on disk yet."""
    return JobState(with_ask(_blank(job_id, ask.printing, moment), ask))


def resume(record: JobRecord, moment: Moment) -> Step:
    """A printing found in the journal after a restart, or one that a backend asks for again."""
    state = JobState(record, on_disk=True)
    if record.phase == "ended":
        return replace(state, stage="reporting"), (SendReport(record),)
    if record.phase in ("settled", "denied"):
        return replace(state, stage="over"), (Forget(),)
    return replace(state, wake_at_s=moment.monotonic_s), ()


def is_open(state: JobState) -> bool:
    """Whether its reservation is to be renewed: it may still print, or what it printed is not reported yet."""
    return state.on_disk and state.record.phase in ("open", "ended")


def _blank(job_id: str, printing: Printing, moment: Moment) -> JobRecord:
    return JobRecord(job_id=job_id, printing=printing, queue="", user_name="", created_at=moment.now_ms)


def with_ask(record: JobRecord, ask: Ask) -> JobRecord:
    """The record with what the newest backend told of the job: options may change while it is held."""
    return change(
        record,
        queue=ask.queue,
        user_name=ask.user_name,
        cups_user_name=ask.cups_user_name,
        title=ask.title,
        host=ask.host,
        device_uri=ask.device_uri,
        documents=max(record.documents, ask.documents),
        partial_charge=ask.partial_charge,
    )
