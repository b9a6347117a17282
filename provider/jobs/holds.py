"""What to do about jobs that are held in CUPS, and about those that a person has canceled at a server. Pure.

Everything is looked at anew each time (what CUPS lists, what servers say, what the journal knows), so that nothing
depends on a message that came once: a step that failed, or that the daemon did not live to take, is found again. What
was tried is left alone for AGAIN_S, since cupsd and the server need a moment to show it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from provider.jobs.model import JobRecord

AGAIN_S: Final = 5.0
MOST_AT_ONCE: Final = 20

Act = Literal["release", "cancel", "refuse", "look"]


class Listed(Protocol):
    """A job as cupsd lists it."""

    @property
    def held(self) -> bool: ...

    @property
    def time_at_creation(self) -> int: ...


@dataclass(frozen=True)
class Step:
    """release, cancel: to be asked of cupsd. refuse: it is let go to be denied, since what denies it is what its user
    sees. look: cupsd has the job no more, its machine should look."""

    job_id: str
    cups_job_id: int
    act: Act


@dataclass(frozen=True)
class Decided:
    """What the servers say of this provider's jobs; `answering` is whether one answers at all. `waiting_queues` are
    those whose jobs wait, and never print, while nobody can be asked."""

    answering: bool
    decisions: Mapping[str, Literal["release", "cancel"]]
    waiting_queues: frozenset[str] = frozenset()


def steps(
    records: Iterable[JobRecord], listed: Mapping[int, Listed], decided: Decided, tried_at_s: Mapping[str, float],
    now_s: float,
) -> tuple[Step, ...]:  # fmt: skip
    """What to do now, for the oldest jobs first; at most MOST_AT_ONCE steps."""
    found: list[Step] = []
    for record in sorted(records, key=lambda record: record.created_at):
        act = _act(record, listed, decided)
        if act is not None and now_s - tried_at_s.get(record.job_id, float("-inf")) >= AGAIN_S:
            found.append(Step(record.job_id, record.printing.cups_job_id, act))
    return tuple(found[:MOST_AT_ONCE])


def _act(record: JobRecord, listed: Mapping[int, Listed], decided: Decided) -> Act | None:
    printing = record.printing
    job = listed.get(printing.cups_job_id)
    if job is None or job.time_at_creation != printing.time_at_creation:
        return "look" if record.held_for else None
    decision = decided.decisions.get(record.job_id)
    if decision == "cancel":
        # A job that a fault could let print on its way to being denied is canceled as it stands, without its reason.
        may_go = record.held_for == "release" and job.held and record.queue in decided.waiting_queues
        return "refuse" if may_go else "cancel"
    if not record.held_for or not job.held:
        return None
    let_go = decision == "release" or (record.held_for == "server" and decided.answering)
    return "release" if let_go else None
