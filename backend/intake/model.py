"""What goes through the one door, as plain values: commands in, rows read under lock, rows to write."""

import hashlib
from collections.abc import Callable

import msgspec

from backend.jobs.model import Job, QueueRow, UserRow, Want
from backend.ledger.model import Account, Stripe, Transfer
from backend.wire.messages import Adjust, Authorise, ConfigureAccount, Ledger, Message, Millis, Report, SetBalance, Uuid


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


Body = Authorise | Report | Adjust | SetBalance | ConfigureAccount | Expire | Release | Cancel | EndHold


class Command(msgspec.Struct, gc=False, frozen=True):
    """One command: its body, who gave it, and the fingerprint that tells other content under the same id."""

    command_id: str
    body: Body
    actor: str
    provider_id: int
    fingerprint: str


def command(body: Body, actor: str, provider_id: int = 0) -> Command:
    """A command ready for the door. The fingerprint is BLAKE2b-128 over who asked what, in hex."""
    content = msgspec.json.encode((type(body).__name__, provider_id, body))
    return Command(body.command_id, body, actor, provider_id, hashlib.blake2b(content, digest_size=16).hexdigest())


class Reads(msgspec.Struct, gc=False):
    """What a batch must read: command ids are claimed, jobs and accounts locked, users and queues looked at."""

    claims: list[tuple[str, str]]  # (command_id, fingerprint), sorted
    job_ids: list[str]  # sorted
    user_names: list[str]
    queues: list[tuple[int, str]]  # (provider_id, name)
    account_ids: list[int]  # to be locked beside those of users and jobs
    fenced: bool = False  # the leader's term is read, and held as it is until the commit


class Rows(msgspec.Struct, gc=False):
    """What was read. `answers` holds the earlier commands among the claims: id -> (fingerprint, answer)."""

    now: int
    answers: dict[str, tuple[str, str]]
    jobs: dict[str, Job]
    users: dict[str, UserRow]
    queues: dict[tuple[int, str], QueueRow]
    accounts: dict[int, Account]
    term: int = 0  # the leader's, where the batch is fenced


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


class Missing(msgspec.Struct, frozen=True):
    """Users and queues that a batch met for the first time: made in a transaction of their own, then the batch runs
    again."""

    users: tuple[str, ...]
    queues: tuple[tuple[int, str], ...]

    def __bool__(self) -> bool:
        return bool(self.users or self.queues)


Provision = Callable[[Missing], None]


class Policy(msgspec.Struct, frozen=True):
    """How the door behaves: the ledger's currency, and whether a job's unknown user gets an account."""

    ledger: Ledger
    create_users: bool = True
