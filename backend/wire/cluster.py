"""Messages about the cluster: its picture, its history, and what is done to it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.wire.base import Ledger, Message, Millis
from backend.wire.jobs import JobView
from backend.wire.printers import MemberState, QueueView, ServerContact

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
