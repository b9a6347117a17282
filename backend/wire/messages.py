"""The messages of the JSON API, version 1. Golden samples in tests/contract hold them still.

Conventions: every message carries `v`, the contract's version; amounts are integers in minor units; times are integers,
milliseconds since 1970 UTC by the database's clock unless the name says otherwise; ids are opaque text (made as UUIDs).
Printing words are IPP's (RFC 8011, PWG 5100.x) with underscores.
"""

from typing import Annotated, Final, Literal, NewType

import msgspec
from msgspec import Meta

from backend.wire.pricing import CostRule, Printed

VERSION = 1
GENERATION_HEADER: Final = "Inkeeper-Generation"  # of every answer: rises with each restore of the database
DRAINING_HEADER: Final = "Inkeeper-Draining"  # of every answer of a server that wants its clients to go to another

CommandId = NewType("CommandId", str)
JobId = NewType("JobId", str)

UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
Uuid = Annotated[str, Meta(pattern=UUID_PATTERN)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Amount = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Millis = Annotated[int, Meta(ge=0, le=2**53)]

Role = Literal["admin", "helpdesk", "auditor", "metrics", "provider"]
OperatorRole = Literal["admin", "helpdesk", "auditor"]
OverdraftMode = Literal["default", "individual"]
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
OfflinePolicy = Literal["default", "allow", "allowance", "hold"]
PartialCharge = Literal["whole", "nothing"]
MemberState = Literal["joining", "serving", "draining", "suspect", "gone"]
PrinterState = Literal["idle", "processing", "stopped", "unknown"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    v: int = VERSION


# ---------------------------------------------------------------- a job's life


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


# ---------------------------------------------------------------- who asks


class Caller(Message, frozen=True, kw_only=True):
    """Whose token it is, so that a program can say beforehand what will be refused.

    `person` says that somebody logged in. `limit_each` and `limit_day` bound what may be moved at once and in a day
    (UTC), None for no limit; `moved_today` counts towards the second. `expires_at` 0: never.
    """

    role: Role
    name: str
    full_name: str = ""
    person: bool = False
    expires_at: Millis = 0
    limit_each: Amount | None = None
    limit_day: Amount | None = None
    moved_today: Amount = 0
    ledger: "Ledger | None" = None


Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Limit = Annotated[int, Meta(ge=-1, le=2**53)]  # -1: the default of the settings; 0: no limit


class LogIn(Message, frozen=True, kw_only=True):
    name: Name
    password: Password


class LogInAnswer(Message, frozen=True, kw_only=True):
    """`token` is the person's own until `expires_at`; it is told this once."""

    token: str
    role: OperatorRole
    name: str
    full_name: str = ""
    expires_at: Millis


class ChangePassword(Message, frozen=True, kw_only=True):
    """The caller's own. All their other tokens end."""

    old: Password
    new: Password


class OperatorView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may log in. `limit_each` and `limit_day` as they were set (-1: the default of the settings)."""

    name: str
    full_name: str
    role: OperatorRole
    disabled: bool
    limit_each: int
    limit_day: int
    created_at: Millis
    logged_in_at: Millis = 0


class OperatorList(Message, frozen=True, kw_only=True):
    """Sorted by name; the defaults are those of the settings (0: no limit)."""

    operators: tuple[OperatorView, ...]
    default_limit_each: int
    default_limit_day: int
    ledger: "Ledger"


class CreateOperator(Message, frozen=True, kw_only=True):
    name: Name
    full_name: Text = ""
    role: OperatorRole
    password: Password
    limit_each: Limit = -1
    limit_day: Limit = -1


class SetOperator(Message, frozen=True, kw_only=True):
    """Change somebody who may log in; None leaves a value as it is. Where anything but name and limits changes, their
    tokens end."""

    full_name: Text | None = None
    role: OperatorRole | None = None
    disabled: bool | None = None
    password: Password | None = None
    limit_each: Limit | None = None
    limit_day: Limit | None = None


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, without itself. `person` says that somebody got it by logging in."""

    token_id: str
    role: Role
    name: str
    person: bool
    created_at: Millis
    expires_at: Millis = 0
    revoked_at: Millis = 0


class TokenList(Message, frozen=True, kw_only=True):
    """Newest first, those that are valid before those that are not."""

    tokens: tuple[TokenView, ...]


class CreateToken(Message, frozen=True, kw_only=True):
    """For a program; of the role provider: a one-time enrolment token. `lifetime_s` 0: until it is revoked."""

    role: Role
    name: Name
    lifetime_s: Annotated[int, Meta(ge=0, le=10 * 366 * 86_400)] = 0


class TokenCreated(Message, frozen=True, kw_only=True):
    """`token` is told this once."""

    token: str


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody (`actor`) did `action` to `subject`."""

    audit_id: int
    at: Millis
    actor: str
    role: str
    action: str
    subject: str
    detail: str = ""


class AuditList(Message, frozen=True, kw_only=True):
    """Newest first."""

    entries: tuple[AuditEntry, ...]


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of the cluster. Of a `secret` one the value is not told, only whether there is one ("set" or "")."""

    key: str
    value: str
    default: str
    secret: bool = False
    fixed: bool = False


class SettingList(Message, frozen=True, kw_only=True):
    settings: tuple[SettingView, ...]


class SetSetting(Message, frozen=True, kw_only=True):
    key: Name
    value: Annotated[str, Meta(max_length=8192)]


# ---------------------------------------------------------------- held jobs


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


# ---------------------------------------------------------------- money moved by people


class Adjust(Message, frozen=True, kw_only=True):
    """Add `amount` (negative takes away). With `only_if_available` it is refused where it would take available
    below zero minus the overdraft; `leave` asks for that much more to be left."""

    command_id: Uuid
    user_name: Name
    amount: Amount
    comment: Text = ""
    only_if_available: bool = False
    leave: Amount = 0


class SetBalance(Message, frozen=True, kw_only=True):
    """Make the posted balance exactly `balance` by a transfer of the difference."""

    command_id: Uuid
    user_name: Name
    balance: Amount
    comment: Text = ""


class ConfigureAccount(Message, frozen=True, kw_only=True):
    """Change what the account may do; None leaves a value as it is. An `overdraft` is individual; the mode
    "default" goes back to the setting's."""

    command_id: Uuid
    user_name: Name
    restricted: bool | None = None
    overdraft: Amount | None = None
    overdraft_mode: OverdraftMode | None = None
    print_jobs: Count | None = None
    print_impressions: Count | None = None


class RefundJob(Message, frozen=True, kw_only=True):
    """Give back what a job was charged: `amount` of it, the part for `pages` of its impressions, or (neither) all that
    is left. Never more than is left of the charge."""

    command_id: Uuid
    amount: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    pages: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    comment: Text = ""


class ReverseTransfer(Message, frozen=True, kw_only=True):
    """Undo an adjustment, a set balance or a refund by a transfer the other way. Once."""

    command_id: Uuid
    comment: Text = ""


class MoneyAnswer(Message, frozen=True, kw_only=True):
    """`code` is a refusal's code, "" when done. `amount` is what was moved, `sequence` its transfer's (0: none)."""

    code: str = ""
    message: str = ""
    amount: Amount = 0
    balance: Amount = 0
    available: Amount = 0
    sequence: int = 0


# ---------------------------------------------------------------- people changed by people


class UserDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a user beside the account; None leaves a value as it is."""

    full_name: Text | None = None
    email: Text | None = None
    department: Text | None = None
    office: Text | None = None
    notes: Annotated[str, Meta(max_length=8192)] | None = None
    card_number: Text | None = None
    card_number2: Text | None = None
    alias: Text | None = None
    disabled: bool | None = None
    disabled_until: Millis | None = None


class CreateUser(Message, frozen=True, kw_only=True):
    """`name` is mapped as print servers' names are."""

    name: Name
    details: UserDetails = UserDetails()


class SetUser(Message, frozen=True, kw_only=True):
    details: UserDetails


class RenameUser(Message, frozen=True, kw_only=True):
    """`new_name` is mapped as print servers' names are."""

    new_name: Name


class DeleteUser(Message, frozen=True, kw_only=True):
    """`redact` takes the person's name and documents' names out of what stays: account and jobs."""

    redact: bool = False


class UserDeleted(Message, frozen=True, kw_only=True):
    """What stays of a deleted user: the account, under which name, and its balance."""

    account_id: int
    account_name: str
    balance: Amount


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One user of a list. `row` is its line there, for messages; `balance` is what a new user starts with (None: the
    setting's initial credit)."""

    row: Count
    name: Text
    details: UserDetails = UserDetails()
    balance: Amount | None = None
    restricted: bool | None = None
    overdraft: Amount | None = None


class ImportUsers(Message, frozen=True, kw_only=True):
    """Make or change these users; of one that is there already only the details, and with `update` only. With `dry_run`
    nothing is done but told."""

    rows: Annotated[tuple[ImportRow, ...], Meta(max_length=500)]
    update: bool = True
    dry_run: bool = False


class ImportTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row was refused; the others are done."""

    row: int
    name: str
    text: str


class ImportAnswer(Message, frozen=True, kw_only=True):
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    troubles: tuple[ImportTrouble, ...] = ()


# ---------------------------------------------------------------- providers


class Enroll(Message, frozen=True, kw_only=True):
    """`token` is the one-time enrolment token; `secret` is made and stored by the provider before it asks, and
    becomes its access token. The same pair gets the same answer, so a lost reply burns nothing."""

    token: Name
    secret: Annotated[str, Meta(min_length=32, max_length=128)]
    name: Name
    host: Text = ""


class EnrollAnswer(Message, frozen=True, kw_only=True):
    provider_id: int
    name: Name
    generation: int
    members: tuple["Member", ...] = ()


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    """A marker supply as the printer tells of it (RFC 3805 prtMarkerSupplies, IPP marker-*). `level` is in percent, or
    -1 (no limit), -2 (unknown), -3 (some is left); `low` says that the printer calls it low."""

    name: Text
    level: Annotated[int, Meta(ge=-3, le=100)]
    color: Text = ""
    kind: Text = ""
    low: bool = False


class QueueReport(msgspec.Struct, frozen=True, kw_only=True):
    """A CUPS destination as its provider sees it. `tracked` is false where jobs print uncounted. `supplies` and
    `media_ready` (PWG 5101.1 names of what is in the trays) are the printer's own word, () where it tells none."""

    name: Name
    tracked: bool
    device_uri: Text = ""
    info: Text = ""
    location: Text = ""
    printer_state: PrinterState = "unknown"
    printer_state_reasons: tuple[str, ...] = ()
    accepting: bool = True
    supplies: Annotated[tuple[Supply, ...], Meta(max_length=32)] = ()
    media_ready: Annotated[tuple[Text, ...], Meta(max_length=32)] = ()


class ServerContact(msgspec.Struct, frozen=True, kw_only=True):
    """A server as a provider knows it: how long ago it last answered (None: never since the daemon started), and why
    not since ("" while it answers)."""

    url: Text
    age_s: float | None = None
    trouble: Text = ""


class Heartbeat(Message, frozen=True, kw_only=True):
    """The provider lives, this is what it sees, and these printings are open in its journal (their
    reservations renew). `held_jobs` counts those that wait for a release or for a server; `trouble` is what a person
    should see to on this print server, "" for nothing; `contacts` tells of each server."""

    program_version: Text = ""
    host: Text = ""
    queues: tuple[QueueReport, ...] = ()
    open_jobs: tuple[Uuid, ...] = ()
    backlog: Count = 0
    oldest_unsent_s: float = 0.0
    disk_free_bytes: int = 0
    held_jobs: Count = 0
    trouble: Text = ""
    contacts: Annotated[tuple[ServerContact, ...], Meta(max_length=64)] = ()


class Member(msgspec.Struct, frozen=True, kw_only=True):
    name: Name
    url: Text
    state: MemberState


class QueuePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider needs to go on alone. An `offline_policy` of "default" is the provider's own setting, and "hold"
    for a queue whose jobs are held until they are released (`hold_jobs`).
    `partial_charge` says what a run comes to of which nobody can tell how much it printed."""

    name: Name
    disabled: bool
    cost: CostRule
    offline_policy: OfflinePolicy = "default"
    partial_charge: PartialCharge = "whole"
    hold_jobs: bool = False


class HeartbeatAnswer(Message, frozen=True, kw_only=True):
    generation: int
    members: tuple[Member, ...] = ()
    queues: tuple[QueuePolicy, ...] = ()
    heartbeat_s: float = 2.0
    ledger: "Ledger | None" = None


# ---------------------------------------------------------------- views


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """How amounts are written: `decimals` is the scale, `currency` the word behind the number."""

    currency: str
    decimals: int


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    full_name: str = ""
    email: str = ""
    department: str = ""
    card_number: str = ""
    card_number2: str = ""
    alias: str = ""
    office: str = ""
    notes: str = ""
    balance: int = 0
    reserved: int = 0
    available: int = 0
    overdraft: int = 0
    overdraft_mode: OverdraftMode = "individual"
    restricted: bool = False
    disabled: bool = False
    disabled_until: Millis = 0
    created_at: Millis = 0
    print_jobs: int = 0
    print_impressions: int = 0


class UserList(Message, frozen=True, kw_only=True):
    """`total` counts all matches, `users` holds at most the asked number of them, sorted by name. `as_of` is
    when it was read."""

    users: tuple[UserView, ...]
    total: int
    ledger: Ledger
    as_of: Millis


class TransferView(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` is signed as the account's owner sees it; `user_name` is told in lists over all accounts. `earlier` is
    the sequence of the transfer that this one ends or reverses (0: none), `reversed` says that a later one reverses
    it."""

    sequence: int
    at: Millis
    kind: Literal["pending", "posted", "voided", "expired"]
    code: str
    amount: int
    balance: int
    job_id: str = ""
    actor: str = ""
    comment: str = ""
    user_name: str = ""
    earlier: int = 0
    reversed: bool = False


class TransferList(Message, frozen=True, kw_only=True):
    transfers: tuple[TransferView, ...]
    ledger: Ledger


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


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    queue_id: int
    provider: str
    name: str
    tracked: bool
    disabled: bool
    cost: CostRule
    offline_policy: OfflinePolicy
    partial_charge: PartialCharge = "whole"
    hold_jobs: bool = False
    printer_state: PrinterState
    printer_state_reasons: tuple[str, ...] = ()
    accepting: bool = True
    info: str = ""
    location: str = ""
    device_uri: str = ""
    jobs: int = 0
    impressions: int = 0
    seen_at: Millis = 0
    supplies: tuple[Supply, ...] = ()
    media_ready: tuple[str, ...] = ()


class QueueList(Message, frozen=True, kw_only=True):
    queues: tuple[QueueView, ...]
    ledger: Ledger


class SetQueue(Message, frozen=True, kw_only=True):
    """Change a queue; None leaves a value as it is. `cost` gets the next version, and goes before
    `cost_per_impression`."""

    cost_per_impression: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    disabled: bool | None = None
    offline_policy: OfflinePolicy | None = None
    partial_charge: PartialCharge | None = None
    hold_jobs: bool | None = None
    cost: CostRule | None = None


class SetQueues(Message, frozen=True, kw_only=True):
    """Change many queues alike: all of them or, where one is not there, none."""

    queue_ids: Annotated[tuple[Annotated[int, Meta(ge=1, le=2**53)], ...], Meta(min_length=1, max_length=5000)]
    change: SetQueue


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A cost rule that a queue has, or had: since when, and by whom."""

    cost: CostRule
    at: Millis
    actor: str


class RuleList(Message, frozen=True, kw_only=True):
    """Newest first."""

    rules: tuple[RuleView, ...]
    ledger: Ledger


Health = Literal["ok", "warning", "error", "draining", "unknown"]


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """`age_s` is how long ago its last heartbeat was. `wanted` is "draining" where a person asked for it; `load` counts
    its requests under way, `connections` its open event streams; `drained` says that it drains and has nothing under
    way any more."""

    name: str
    url: str
    state: MemberState
    health: Health
    detail: str
    leader: bool
    program_version: str
    age_s: float
    wanted: str = "serving"
    load: int = 0
    connections: int = 0
    serves: str = ""
    drained: bool = False


class DatabaseView(msgspec.Struct, frozen=True, kw_only=True):
    """`role`: "primary" or "standby"; "single copy" where what is acknowledged is on one machine only: SQLite, and a
    primary without a synchronous standby that commits wait for.

    `lag_bytes` and `lag_s` are None where they are not known, `timeline` 0. `source` is who told, `age_s` its age.
    `last_failover_at` stands with the primary.
    """

    name: str
    engine: Literal["sqlite", "postgresql", "memory"]
    role: str
    health: Health
    detail: str
    sync_state: str = ""
    lag_bytes: int | None = None
    lag_s: float | None = None
    timeline: int = 0
    last_failover_at: Millis = 0
    source: Literal["patroni", "database", ""] = ""
    age_s: float = 0.0


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    """`server` is the member that took its last heartbeat, "" where that is not known."""

    provider_id: int
    name: str
    host: str
    health: Health
    detail: str
    program_version: str
    backlog: int
    oldest_unsent_s: float
    queue_count: int
    age_s: float
    server: str = ""
    disk_free_bytes: int = 0
    held_jobs: int = 0
    trouble: str = ""
    contacts: tuple[ServerContact, ...] = ()


class Topology(Message, frozen=True, kw_only=True):
    """The live picture as seen by one server. `verdict` is one sentence; `as_of` is by the database's clock.

    `age_s` is 0 while the database can be read; else what has no age of its own was read so long before `as_of`.
    """

    cluster: str
    seen_by: str
    as_of: Millis
    generation: int
    term: int
    verdict: str
    health: Health
    servers: tuple[ServerView, ...]
    databases: tuple[DatabaseView, ...]
    providers: tuple[ProviderView, ...]
    queues: tuple[QueueView, ...]
    ledger: Ledger
    paused: bool = False
    age_s: float = 0.0


class MemberList(Message, frozen=True, kw_only=True):
    generation: int
    members: tuple[Member, ...]


# ---------------------------------------------------------------- the cluster's history and operations

ClusterVerb = Literal["drain", "undrain", "switchover", "pause", "resume", "remove"]


class ClusterAction(Message, frozen=True, kw_only=True):
    """`subject` is a server's name; "" for pause and resume, and for a switchover to whichever is best. With `dry_run`
    nothing is done but the plan told; `force` does it in spite of what speaks against it, where that can be done."""

    action: ClusterVerb
    subject: Annotated[str, Meta(max_length=255)] = ""
    dry_run: bool = False
    force: bool = False


class ClusterEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the cluster. `event_id` is its place in the history; `subject` is the member (or what
    else) it happened to, `actor` who did it, `cause` why, `away_ms` how long it was away (None: it was not)."""

    event_id: str
    at: Millis
    kind: str
    subject: str
    actor: str = ""
    term: int = 0
    cause: str = ""
    away_ms: int | None = None
    detail: dict[str, str | int] = msgspec.field(default_factory=dict)


class ClusterEventList(Message, frozen=True, kw_only=True):
    """In the order in which they were committed."""

    events: tuple[ClusterEvent, ...]


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks against an action. One that `blocks` refuses it; the others are to be known."""

    blocks: bool
    text: str


class Plan(Message, frozen=True, kw_only=True):
    """What an action would do (or, with `done`, did) step by step, and what speaks against it."""

    action: str
    subject: str
    steps: tuple[str, ...] = ()
    objections: tuple[Objection, ...] = ()
    done: bool = False

    @property
    def blocked(self) -> bool:
        """Whether it is refused unless forced."""
        return any(objection.blocks for objection in self.objections)


class DatabaseSwitchover(Message, frozen=True, kw_only=True):
    """Make `to` ("": the synchronous standby) the database's primary; with `dry_run` only tell the plan."""

    to: Annotated[str, Meta(max_length=255)] = ""
    dry_run: bool = False


class Event(Message, frozen=True, kw_only=True):
    """One server-sent event's data. `kind`: "jobs" (jobs changed), "cluster" (one more in the cluster's history),
    "topology" (reload the topology), "reset" (reload everything). A reader passes over kinds that it does not know."""

    kind: str
    at: Millis
    jobs: tuple[JobView, ...] = ()
    detail: str = ""
    cluster: ClusterEvent | None = None
