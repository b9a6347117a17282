"""What goes through the one door, as plain values: commands in, rows read under lock, rows to write."""

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from backend.jobs.model import Job, QueueRow, UserRow, Want
from backend.ledger.model import Account, Earlier, Stripe, Transfer
from backend.wire.base import Ledger, Message, Millis, Uuid
from backend.wire.jobs import Authorise, Report
from backend.wire.money import Adjust, ConfigureAccount, SetBalance

DAY_MS: Final = 86_400_000


class Expire(Message, frozen=True, kw_only=True):
    """The leader ends the reservation of a job that nobody has renewed since `silent_since`. Never crosses the wire.

    Refused where `term` is over: a leader that was stopped and resumed ends nothing. The silence is looked at again
    under the job's lock, so one that comes late ends nothing that lives.
    """

    command_id: Uuid
    job_id: Uuid
    term: int
    silent_since: Millis = 2**53


class Release(Message, frozen=True, kw_only=True):
    """`ReleaseJob` with the job it is about. Never crosses the wire."""

    command_id: Uuid
    job_id: Uuid


class Cancel(Message, frozen=True, kw_only=True):
    """`CancelJob` with the job it is about. Never crosses the wire."""

    command_id: Uuid
    job_id: Uuid
    reason: str = ""


class EndHold(Message, frozen=True, kw_only=True):
    """The leader cancels a job that nobody released in time. Never crosses the wire.

    Refused where `term` is over, like `Expire`. What has been released, canceled or held anew meanwhile (it was held
    at `held_before` or later) stays as it is.
    """

    command_id: Uuid
    job_id: Uuid
    term: int
    held_before: Millis


class Tick(Message, frozen=True, kw_only=True):
    """`TickOff` with the job it is about. Never crosses the wire."""

    command_id: Uuid
    job_id: Uuid
    comment: str = ""


class Refund(Message, frozen=True, kw_only=True):
    """`RefundJob` with the job it is about. Never crosses the wire."""

    command_id: Uuid
    job_id: Uuid
    amount: int | None = None
    pages: int | None = None
    comment: str = ""


class Reverse(Message, frozen=True, kw_only=True):
    """`ReverseTransfer` with the transfer it is about, and the job that one is linked to ("": none). Never crosses the
    wire."""

    command_id: Uuid
    account_id: int
    sequence: int
    job_id: str = ""
    comment: str = ""


OnJob = Expire | Release | Cancel | EndHold | Tick | Refund
Money = Adjust | SetBalance | Refund | Reverse
Body = Authorise | Report | Adjust | SetBalance | ConfigureAccount | OnJob | Reverse


class Limits(msgspec.Struct, gc=False, frozen=True):
    """How much somebody may move at once and in a day (UTC), in absolute amounts; 0: as much as they like."""

    each: int = 0
    day: int = 0


NO_LIMITS: Final = Limits()


class Command(msgspec.Struct, gc=False, frozen=True):
    """One command: its body, who gave it, and the fingerprint that tells other content under the same id. `role` is
    that of a person or program whose deeds are audited, "" for others; `limits` bound what they move."""

    command_id: str
    body: Body
    actor: str
    provider_id: int
    fingerprint: str
    role: str = ""
    limits: Limits = NO_LIMITS


def command(body: Body, actor: str, provider_id: int = 0, *, role: str = "", limits: Limits = NO_LIMITS) -> Command:
    """A command ready for the door. The fingerprint is BLAKE2b-128 over who asked what, in hex."""
    content = msgspec.json.encode((type(body).__name__, provider_id, body))
    fingerprint = hashlib.blake2b(content, digest_size=16).hexdigest()
    return Command(body.command_id, body, actor, provider_id, fingerprint, role, limits)


class Reads(msgspec.Struct, gc=False):
    """What a batch must read: command ids are claimed, jobs and accounts locked, users and queues looked at."""

    claims: list[tuple[str, str]]  # (command_id, fingerprint), sorted
    job_ids: list[str]  # sorted
    user_names: list[str]
    queues: list[tuple[int, str]]  # (provider_id, name)
    account_ids: list[int]  # to be locked beside those of users and jobs
    fenced: bool = False  # the leader's term is read, and held as it is until the commit
    earlier: list[tuple[int, int]] = []  # (account_id, sequence) of transfers to be undone
    spenders: list[str] = []  # actors with a limit for the day: theirs is locked


class Rows(msgspec.Struct, gc=False):
    """What was read. `answers` holds the earlier commands among the claims: id -> (fingerprint, answer)."""

    now: int
    answers: dict[str, tuple[str, str]]
    jobs: dict[str, Job]
    users: dict[str, UserRow]
    queues: dict[tuple[int, str], QueueRow]
    accounts: dict[int, Account]
    term: int = 0  # the leader's, where the batch is fenced
    earlier: dict[tuple[int, int], Earlier] = {}
    spent: dict[tuple[str, int], int] = {}  # (actor, day) -> what they have moved; today and the day before


class Audit(msgspec.Struct, gc=False, frozen=True):
    """Who did something by hand, for the audit log."""

    actor: str
    role: str
    action: str
    subject: str
    detail: str


class Writes(msgspec.Struct, gc=False):
    """What a batch writes, besides what it claimed. `new_jobs` of the jobs were not there before. `event` is the
    changed jobs' ids as a JSON list, or ""."""

    now: int
    answers: list[tuple[str, str]]
    transfers: list[Transfer]
    accounts: list[Account]
    new_jobs: list[Job]
    changed_jobs: list[Job]
    stripes: dict[int, Stripe]
    event: str
    wants: list[Want] = []  # of jobs whose need is another than before
    audits: list[Audit] = []
    spent: dict[tuple[str, int], int] = {}


class Missing(msgspec.Struct, frozen=True):
    """Users and queues that a batch met for the first time: made in a transaction of their own, then the batch runs
    again. `names` are users' that are not to be made: they may be somebody's alias."""

    users: tuple[str, ...]
    queues: tuple[tuple[int, str], ...]
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.users or self.queues or self.names)


Provision = Callable[[Missing], None]


class Policy(msgspec.Struct, frozen=True):
    """How the door behaves: the ledger's currency, whether a job's unknown user gets an account, and the overdraft of
    those that have none of their own."""

    ledger: Ledger
    create_users: bool = True
    default_overdraft: int = 0
