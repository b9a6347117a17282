"""What is shown while the database cannot be read: what Patroni tells of it, and all else as it was last known. Pure.

Nobody can tell then who lives: members beat through the database. So what is old is shown with its age and as not
known, never as well; what was an error stays one. Texts give the moment since when, not for how long, so that a
picture that tells nothing new stays the same.

Invariant: nothing in such a picture is shown as well but what was asked a moment ago (Patroni's standbys).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from backend.cluster.model import MemberRow, Snapshot, state_of
from backend.cluster.patroni import PatroniMember, Seen
from backend.cluster.topology import server_view
from backend.wire.cluster import DatabaseView, Health, ProviderView, ServerView, Topology


@dataclass(frozen=True)
class Away:
    """`since` when, by this server's clock (milliseconds); `age_s` is that of what was read last, `patroni_age_s` of
    what Patroni told (`seen`, None where none answers)."""

    since: int
    age_s: float
    seen: Seen | None = None
    patroni_age_s: float = 0.0


def picture(before: Topology, away: Away, snapshot: Snapshot, ages: Sequence[MemberRow], process: str) -> Topology:
    """The picture of a server without a database. `before` is what was read last, `snapshot` what this server's last
    beat read, `ages` the same members with the ages they have by now, `process` this server's own."""
    silent_s = {row.name: row.age_ms / 1000 for row in ages}
    return msgspec.structs.replace(
        before,
        as_of=before.as_of + round(1000 * away.age_s),
        age_s=max(0.001, away.age_s),
        health="error",
        verdict=f"{sentence(away)}; servers and print servers are shown as they were last known.",
        generation=snapshot.generation,
        term=snapshot.lease.term,
        paused=snapshot.paused,
        servers=tuple(_server(row, snapshot, silent_s.get(row.name, 0.0), process) for row in snapshot.members),
        databases=databases(before.databases, away),
        providers=tuple(_provider(view, away.age_s) for view in before.providers),
    )


def sentence(away: Away) -> str:
    """What is known of the database, without the full stop."""
    since = clock_text(away.since)
    if away.seen is None:
        return f"The database cannot be reached since {since}"
    leader = away.seen.cluster.leader
    if leader is not None:
        return f"The database cannot be reached since {since}, though Patroni names {leader.name} its primary"
    waiting = sum(member.well for member in away.seen.cluster.members)
    why = "; Patroni is paused, so nothing takes over by itself" if away.seen.cluster.paused else ""
    return f"The database has no primary since {since} ({_count(waiting)} running, as Patroni tells{why})"


def databases(before: Sequence[DatabaseView], away: Away) -> tuple[DatabaseView, ...]:
    """The nodes as Patroni tells them now, else as they were."""
    if away.seen is None:
        return tuple(_old(view, away.age_s) for view in before)
    members = sorted(away.seen.cluster.members, key=lambda member: (not member.leads, member.name))
    listed = {member.name for member in members}
    lost = tuple(_old(view, away.age_s) for view in before if view.source == "patroni" and view.name not in listed)
    leaderless = away.seen.cluster.leader is None
    return (*lost, *(_member(member, leaderless, away.patroni_age_s) for member in members))


def clock_text(at: int) -> str:
    """A moment for people."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M:%S UTC")


def _member(member: PatroniMember, leaderless: bool, age_s: float) -> DatabaseView:
    health: Health = "ok" if member.well else "warning"
    detail = member.state
    if member.leads:
        health, detail = "error", f"{member.state} as Patroni tells, but takes no writes from here"
    elif leaderless:
        health = "warning" if member.well else "error"
        detail = f"{member.state}; there is no primary to follow"
    return DatabaseView(
        name=member.name,
        engine="postgresql",
        role="primary" if member.leads else "standby",
        health=health,
        detail=detail,
        sync_state="" if member.leads or leaderless else "sync" if member.synchronous else "async",
        lag_bytes=None if member.leads else member.lag_bytes,
        timeline=member.timeline,
        source="patroni",
        age_s=age_s,
    )


def _old(view: DatabaseView, age_s: float) -> DatabaseView:
    leads = view.role != "standby"
    return msgspec.structs.replace(
        view,
        health="error" if leads else _never_well(view.health),
        detail="cannot be reached" if leads else f"last known: {view.detail}",
        lag_bytes=None,
        lag_s=None,
        age_s=view.age_s + age_s,
    )


def _server(row: MemberRow, snapshot: Snapshot, age_s: float, process: str) -> ServerView:
    view = server_view(row, snapshot)
    own = row.process == process
    detail = "runs, but has no database" if own else f"last known: {state_of(row, snapshot.heartbeat_s)}"
    return msgspec.structs.replace(
        view,
        health="error" if own else _never_well(view.health),
        detail=detail,
        leader=False,  # no lease can be renewed, and nobody can tell whose has ended
        age_s=0.0 if own else age_s,
    )


def _provider(view: ProviderView, age_s: float) -> ProviderView:
    return msgspec.structs.replace(
        view,
        health=_never_well(view.health),
        detail=f"last known: {view.detail}",
        age_s=view.age_s + age_s if view.age_s >= 0 else view.age_s,
        oldest_unsent_s=view.oldest_unsent_s + age_s if view.backlog else view.oldest_unsent_s,
    )


def _never_well(health: Health) -> Health:
    return health if health in ("error", "warning") else "unknown"


def _count(number: int) -> str:
    return f"{number} node{'' if number == 1 else 's'}"
