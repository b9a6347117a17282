"""What the provider knows of a print job. Pure data; `JobRecord` is what one journal record holds.

A record is the whole job after a transition, so that any one of them is enough, and the newest one counts.
"""

from typing import Literal

import msgspec

from backend.wire.base import PartialCharge
from backend.wire.jobs import JobFacts, Outcome, Printing
from backend.wire.pricing import CostRule, Printed

RECORD_VERSION = 1

Phase = Literal["open", "denied", "ended", "settled"]
"""open: may still print. denied: told no, and nothing was printed. ended: what is to be reported stands fast.
settled: a server has the report."""

HeldFor = Literal["", "release", "server"]
"""release: held in CUPS until a person lets it print. server: until a server answers."""

Verdict = Literal["", "printed", "partly", "nothing", "unknown"]
"""What a run put on paper; "" while the printer has not been asked."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the real backend's messages tell. `sending`: the document's first byte may have left."""

    spoke: bool = False
    unstarted: bool = False
    connected: bool = False
    sending: bool = False
    waited: bool = False
    as_raster: bool = False
    printer_job_id: int = 0
    printer_state: str = ""
    impressions_completed: int | None = None


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of the real backend. `name` is its run file's; `facts` are those of its own document. `boot_ms` is
    when it
    began by the clock of the machine's life `boot_id`, which nobody can set."""

    number: int
    name: str
    started_at: int
    boot_id: str = ""
    boot_ms: int = 0
    attempt: int = 0
    document: int = 1
    incarnation: str = ""
    offline: bool = False
    ended_at: int | None = None
    exit_code: int | None = None
    canceled: bool = False
    evidence: Evidence = Evidence()
    facts: JobFacts | None = None
    verdict: Verdict = ""
    impressions: int | None = None


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which document of the job a life of cupsd is at; `done` once it has been told to go on."""

    incarnation: str = ""
    document: int = 1
    done: bool = False


class OfflineCharge(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt was priced while no server answered, in minor units, and by which rule it is to be charged."""

    cost: int
    rule: CostRule


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said its user has left to print with, in minor units, and when (this machine's clock)."""

    available: int
    at: int


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is reported, and under which command id. `in_doubt`: nobody can tell how much of it was printed."""

    command_id: str
    revision: int
    outcome: Outcome
    printed: Printed
    estimated: bool
    in_doubt: bool = False


class CrashCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A printing that cupsd started in a life of its own accord, as which it counts: `time_at_completed` makes it
    look new.
    """

    time_at_completed: int
    incarnation: str


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A printing. `facts` are those of the last attempt, all documents so far together; times are this machine's.
    `copies_of_crash` are printings that are this one, though they look like a person's restart. `offline` is how the
    last attempt that no server decided was priced; `told` what its user had left as a server last said with this job;
    `partial_charge` what a run comes to of which nobody can tell how much it printed."""

    v: int = RECORD_VERSION
    job_id: str
    printing: Printing
    queue: str
    user_name: str
    cups_user_name: str = ""
    title: str = ""
    host: str = ""
    device_uri: str = ""
    documents: int = 1
    created_at: int
    phase: Phase = "open"
    attempt: int = 0
    authorise_id: str = ""
    facts: JobFacts | None = None
    document_facts: JobFacts | None = None
    cursor: Cursor = Cursor()
    runs: tuple[RunRecord, ...] = ()
    copies_of_crash: tuple[CrashCopy, ...] = ()
    possible_duplicate: bool = False
    ending: Ending | None = None
    settled_at: int | None = None
    refusal: str = ""
    held_for: HeldFor = ""
    offline: OfflineCharge | None = None
    told: Told | None = None
    partial_charge: PartialCharge = "whole"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The backend's question, with what cupsd told of the job. `user_name` is the mapped name; `orphan`: the cupsd that
    started this backend is dead."""

    printing: Printing
    queue: str
    user_name: str
    cups_user_name: str = ""
    title: str = ""
    host: str = ""
    device_uri: str = ""
    documents: int = 1
    incarnation: str = ""
    orphan: bool = False
    partial_charge: PartialCharge = "whole"


class PrinterWord(msgspec.Struct, frozen=True, kw_only=True):
    """What the printer said of a run's job. `known`: it listed a job that is ours; False: it lists none.
    `reached` is False where it could not be asked. `counts` is False where it calls whole jobs complete and says that 0
    impressions of them are: its 0 says nothing."""

    reached: bool = True
    known: bool = True
    state: str = ""
    data_insufficient: bool = False
    impressions_completed: int | None = None
    counts: bool = True


CupsState = Literal["alive", "canceled", "aborted", "completed", "unknown", "unreachable"]
"""alive: cupsd may run the job again. unknown: cupsd has no such job. unreachable: it did not answer."""
