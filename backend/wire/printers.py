"""Messages about print servers and queues: enrolment, heartbeat, state, rules."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.wire.base import Count, Ledger, Message, Millis, Name, OfflinePolicy, PartialCharge, Text, Uuid
from backend.wire.pricing import CostRule

MemberState = Literal["joining", "serving", "draining", "suspect", "gone"]
PrinterState = Literal["idle", "processing", "stopped", "unknown"]


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


class MemberList(Message, frozen=True, kw_only=True):
    generation: int
    members: tuple[Member, ...]
