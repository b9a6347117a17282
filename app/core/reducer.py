"""What the console knows, and how one more message changes it.

`step(state, message, now)` is pure: the network side turns everything that happens into messages, the store applies
them here and hands the changes on. `now` is the console's own monotonic clock, never a wall clock, so a clock set
back cannot make old things look new.

Invariant: a message older than what is known never replaces it. The event stream and the polling reader race each
other, and after a fail-over the next server may lag behind the last; the database's own times (`as_of`,
`updated_at`) decide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from app.core.events import joined
from backend.wire.access import Caller
from backend.wire.base import Ledger
from backend.wire.cluster import ClusterEvent, Topology
from backend.wire.jobs import JobView

JOB_WINDOW: Final = 500
"""How many of the newest jobs stay in memory; older ones are fetched page by page when somebody scrolls there."""

HISTORY_WINDOW: Final = 500
"""The same for the events of the cluster's history."""

Phase = Literal["idle", "connecting", "live", "reconnecting", "failed"]
Area = Literal["topology", "jobs", "history"]


@dataclass(frozen=True, slots=True)
class Connection:
    """`endpoint` is the server in use or last used; `code` is a refusal's; `retry_at` is on the monotonic clock,
    None while a try is running.
    """

    phase: Phase = "idle"
    servers: tuple[str, ...] = ()
    endpoint: str = ""
    reason: str = ""
    code: str = ""
    retry_at: float | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Rights:
    """Whether this token may act on the cluster, as a server said; `reason` where it may not. `desk` says why it may
    not move money and jobs, "" where it may; `caller` whose token it is, with the limits as last read."""

    allowed: bool
    reason: str = ""
    desk: str = ""
    caller: Caller | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything shown. `topology_at`, `jobs_at` and `history_at` are when these were last received, on the
    monotonic clock. `history` holds the newest events by their ids; `rights` is None until a server told them."""

    connection: Connection = field(default_factory=Connection)
    topology: Topology | None = None
    topology_at: float = 0.0
    jobs: Mapping[str, JobView] = field(default_factory=dict)
    jobs_at: float | None = None
    ledger: Ledger | None = None
    forbidden: frozenset[Area] = frozenset()
    history: Mapping[str, ClusterEvent] = field(default_factory=dict)
    history_at: float | None = None
    rights: Rights | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a step touched, so that only that is drawn again."""

    connection: bool = False
    topology: bool = False
    jobs: frozenset[str] = frozenset()
    jobs_replaced: bool = False
    history: bool = False
    history_replaced: bool = False
    rights: bool = False

    def __or__(self, other: "Changes") -> "Changes":
        return Changes(
            connection=self.connection or other.connection,
            topology=self.topology or other.topology,
            jobs=self.jobs | other.jobs,
            jobs_replaced=self.jobs_replaced or other.jobs_replaced,
            history=self.history or other.history,
            history_replaced=self.history_replaced or other.history_replaced,
            rights=self.rights or other.rights,
        )


@dataclass(frozen=True, slots=True)
class Connecting:
    """A try to reach any of the servers begins."""

    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """A server answers and its event stream is open."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Lost:
    """No server answers; the next try comes in `retry_in_s`."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """Trying again would change nothing (a refused token, say): a person has to act."""

    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """The console leaves this cluster; nothing of it stays on the screen."""


@dataclass(frozen=True, slots=True)
class TopologyRead:
    topology: Topology
    endpoint: str


@dataclass(frozen=True, slots=True)
class JobsRead:
    """The newest jobs as a whole. `replace` drops what was known: after a reset or a restore older rows may be gone."""

    jobs: tuple[JobView, ...]
    ledger: Ledger
    replace: bool = False


@dataclass(frozen=True, slots=True)
class JobsChanged:
    jobs: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class HistoryRead:
    """The newest events; `full` says that there may be older ones. `replace` drops what was known, after a reset."""

    events: tuple[ClusterEvent, ...]
    full: bool
    replace: bool = False


@dataclass(frozen=True, slots=True)
class HistoryChanged:
    """One more event, as it was streamed."""

    event: ClusterEvent


@dataclass(frozen=True, slots=True)
class RightsTold:
    rights: Rights


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The token's role does not allow to see this area."""

    area: Area


Message: TypeAlias = (
    Connecting
    | Live
    | Lost
    | Failed
    | Closed
    | TopologyRead
    | JobsRead
    | JobsChanged
    | HistoryRead
    | HistoryChanged
    | RightsTold
    | Forbidden
)


def newest_first(jobs: Iterable[JobView]) -> list[JobView]:
    """The order of every job list, which is the servers' own and that of their pages: by id, as ids begin with the
    time.
    """
    return sorted(jobs, key=lambda job: job.job_id, reverse=True)


def step(state: State, message: Message, now: float) -> tuple[State, Changes]:
    """The state after a message, and what it changed. Pure."""
    match message:
        case TopologyRead():
            return _topology_read(state, message, now)
        case JobsRead():
            return _jobs_read(state, message, now)
        case JobsChanged(jobs):
            return _with_jobs(replace(state, jobs_at=now), jobs)
        case HistoryRead():
            return _history_read(state, message, now)
        case HistoryChanged(event):
            held, _ = joined(state.history, (event,), full=False, window=HISTORY_WINDOW)
            return replace(state, history=held), Changes(history=held != state.history)
        case RightsTold(rights):
            return replace(state, rights=rights), Changes(rights=rights != state.rights)
        case Forbidden(area):
            changes = Changes(topology=True, jobs_replaced=True, history_replaced=True)
            return replace(state, forbidden=state.forbidden | {area}), changes
        case Closed():
            changes = Changes(connection=True, topology=True, jobs_replaced=True, history_replaced=True, rights=True)
            return State(), changes
        case _:
            return _with_connection(state, message, now)


def _with_connection(state: State, message: Connecting | Live | Lost | Failed, now: float) -> tuple[State, Changes]:
    old = state.connection
    match message:
        case Connecting(servers):
            # While an earlier picture stands, a new try is a re-connection: the screen must not pretend to start
            # afresh.
            phase: Phase = "reconnecting" if state.topology or state.jobs_at is not None else "connecting"
            new = replace(old, phase=phase, servers=servers, retry_at=None)
        case Live(endpoint):
            new = replace(old, phase="live", endpoint=endpoint, reason="", code="", retry_at=None)
        case Lost(reason, retry_in_s):
            new = replace(old, phase="reconnecting", reason=reason, retry_at=now + retry_in_s)
        case Failed(reason, code):
            new = replace(old, phase="failed", reason=reason, code=code, retry_at=None)
    if new.phase != old.phase:
        new = replace(new, since=now)
    return replace(state, connection=new), Changes(connection=new != old)


def _topology_read(state: State, message: TopologyRead, now: float) -> tuple[State, Changes]:
    new, old = message.topology, state.topology
    if old is not None and (new.generation, new.as_of) < (old.generation, old.as_of):
        return state, Changes()
    connection = replace(state.connection, endpoint=message.endpoint)
    changes = Changes(topology=True, connection=connection != state.connection)
    state = replace(
        state,
        topology=new,
        topology_at=now,
        ledger=new.ledger,
        connection=connection,
        forbidden=state.forbidden - {"topology"},
    )
    if old is not None and new.generation > old.generation:
        # A restored database: jobs known from before may never have been. The reader loads them again.
        return replace(state, jobs={}), replace(changes, jobs_replaced=True)
    return state, changes


def _jobs_read(state: State, message: JobsRead, now: float) -> tuple[State, Changes]:
    state = replace(state, jobs_at=now, ledger=message.ledger, forbidden=state.forbidden - {"jobs"})
    if not message.replace:
        return _with_jobs(state, message.jobs)
    fresh = {job.job_id: job for job in newest_first(message.jobs)[:JOB_WINDOW]}
    return replace(state, jobs=fresh), Changes(jobs_replaced=True)


def _history_read(state: State, message: HistoryRead, now: float) -> tuple[State, Changes]:
    known = {} if message.replace else state.history
    held, gap = joined(known, message.events, message.full, HISTORY_WINDOW)
    fresh = gap or message.replace
    changes = Changes(history=held != state.history or state.history_at is None, history_replaced=fresh)
    return replace(state, history=held, history_at=now, forbidden=state.forbidden - {"history"}), changes


def _with_jobs(state: State, jobs: tuple[JobView, ...]) -> tuple[State, Changes]:
    """Take in newer versions of jobs, keep the window's bound, and name the ids that came, changed or fell out."""
    known = dict(state.jobs)
    changed: set[str] = set()
    for job in jobs:
        before = known.get(job.job_id)
        if before is not None and (job.updated_at < before.updated_at or job == before):
            continue
        known[job.job_id] = job
        changed.add(job.job_id)
    if len(known) > JOB_WINDOW:
        for job in newest_first(known.values())[JOB_WINDOW:]:
            del known[job.job_id]
            changed.add(job.job_id)
    return replace(state, jobs=known if changed else state.jobs), Changes(jobs=frozenset(changed))
