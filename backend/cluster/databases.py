"""The database cluster as it is shown, judged and remembered: from Patroni where it answers, else from what the
connection to the primary knows. Pure, but for the functions of a connection at the end.

Redundancy is what counts: whether a commit is on two machines when it is acknowledged. It is lost as soon as nothing
makes a commit wait for a standby, or there is none to wait for; then the primary is shown as `single copy`.

Invariant: a change of the primary, a loss of redundancy and its return each stand in the cluster's history once,
whichever server leads: the leader compares with the history itself, in the transaction that adds to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from backend.cluster import history
from backend.cluster.patroni import PatroniMember, Seen, is_safe
from backend.cluster.service import fence
from backend.cluster.tables import cluster_event
from backend.db.engine import now_ms
from backend.wire.cluster import DatabaseView, Health

LATE_STANDBY_S = 10.0
LATE_STANDBY_BYTES = 64 * 1024 * 1024
PLANNED_MS = 60_000


@dataclass(frozen=True)
class Standby:
    """A row of pg_stat_replication; None where this user may not see it."""

    name: str
    state: str | None
    sync_state: str | None
    lag_bytes: int | None
    lag_s: float | None


@dataclass(frozen=True)
class Facts:
    """What the connection itself knows. `wanted`: the server is set to wait for standbys."""

    engine: str
    timeline: int = 0
    address: str = ""
    wanted: bool = False
    standbys: tuple[Standby, ...] = ()


@dataclass(frozen=True)
class Redundancy:
    """`whole`: a commit is on two machines when it is acknowledged. `expected`: it should be, so that its lack is worth
    a warning. `reason` says what is missing."""

    whole: bool
    expected: bool
    reason: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared with the history. A timeline of 0 is not known; `named`: Patroni told the primary's name, else
    it is an address."""

    primary: str
    named: bool
    timeline: int
    redundancy: Redundancy


def redundancy(facts: Facts, seen: Seen | None) -> Redundancy:
    """Whether what is acknowledged survives the loss of a machine."""
    if facts.engine == "sqlite":
        return Redundancy(False, False, "one file on this server")
    if seen is not None and not seen.config.synchronous:
        return Redundancy(False, True, "synchronous_mode is off")
    if seen is not None and not seen.config.strict:
        return Redundancy(False, True, "synchronous_mode_strict is off")
    if not facts.wanted:
        expected = bool(facts.standbys) or seen is not None
        return Redundancy(False, expected, "commits wait for no standby" if expected else "no standby is set up")
    if any(standby.sync_state in ("sync", "quorum") for standby in facts.standbys):
        return Redundancy(True, True)
    if seen is not None and any(member.synchronous and member.well for member in seen.cluster.members):
        return Redundancy(True, True)
    if not facts.standbys:
        return Redundancy(False, True, "no synchronous standby; commits wait for one")
    if all(standby.sync_state is None for standby in facts.standbys):
        return Redundancy(True, True)  # who may not see it goes by what is set
    return Redundancy(False, True, "no synchronous standby")


def views(name: str, facts: Facts, seen: Seen | None, age_s: float = 0.0) -> tuple[DatabaseView, ...]:
    """The database cluster for people, the primary first. `name` is used where nobody told the nodes' names."""
    if facts.engine == "sqlite":
        return (
            DatabaseView(
                name=name,
                engine="sqlite",
                role="single copy",
                health="ok",
                detail="answers; one file on this server",
                source="database",
            ),
        )
    whole = redundancy(facts, seen)
    if seen is None or seen.cluster.leader is None:
        return (_primary(name, facts, whole), *(_standby(standby) for standby in facts.standbys))
    ordered = sorted(seen.cluster.members, key=lambda member: (not member.leads, member.name))
    return tuple(_member(member, facts, seen, whole, age_s) for member in ordered)


def mark(facts: Facts, seen: Seen | None) -> Mark:
    """What the history is compared with."""
    leader = seen.cluster.leader if seen is not None else None
    named = leader is not None and leader.timeline == facts.timeline
    return Mark(
        primary=leader.name if named and leader is not None else facts.address,
        named=named,
        timeline=facts.timeline,
        redundancy=redundancy(facts, seen),
    )


def still_named(now: Mark, before: Mark | None) -> Mark:
    """A primary keeps the name it was told by while Patroni is silent: no two lead one timeline."""
    if now.named or before is None or not before.named or before.timeline != now.timeline:
        return now
    return msgspec.structs.replace(now, primary=before.primary, named=True)


def _primary(name: str, facts: Facts, whole: Redundancy) -> DatabaseView:
    count = len(facts.standbys)
    behind = "no standby follows" if not count else f"{count} standby" + ("s follow" if count > 1 else " follows")
    return DatabaseView(
        name=name,
        engine="postgresql",
        role="primary" if whole.whole else "single copy",
        health=_primary_health(whole, facts),
        detail=f"answers; {behind}" + _loss(whole),
        timeline=facts.timeline,
        source="database",
    )


def _primary_health(whole: Redundancy, facts: Facts) -> Health:
    if whole.whole or not whole.expected:
        return "ok"
    return "error" if facts.wanted and not facts.standbys else "warning"


def _loss(whole: Redundancy) -> str:
    return f"; loss of redundancy: {whole.reason}" if whole.expected and not whole.whole else ""


def _standby(standby: Standby) -> DatabaseView:
    late = (standby.lag_s or 0.0) >= LATE_STANDBY_S or (standby.lag_bytes or 0) >= LATE_STANDBY_BYTES
    detail = f"{standby.state or 'follows'}, {standby.sync_state or 'unknown'}" + _behind(
        standby.lag_bytes, standby.lag_s
    )
    return DatabaseView(
        name=standby.name,
        engine="postgresql",
        role="standby",
        health="ok" if standby.state in ("streaming", None) and not late else "warning",
        detail=detail,
        sync_state=standby.sync_state or "",
        lag_bytes=standby.lag_bytes,
        lag_s=standby.lag_s,
        source="database",
    )


def _behind(lag_bytes: int | None, lag_s: float | None) -> str:
    """Told only when it is worth it, so that the picture does not change with every record written."""
    if lag_s is not None and lag_s >= 1:
        return f", {lag_s:.0f} s behind"
    if lag_bytes is not None and lag_bytes >= 16 * 1024 * 1024:
        return f", {lag_bytes // (1024 * 1024)} MB behind"
    return ""


def _member(member: PatroniMember, facts: Facts, seen: Seen, whole: Redundancy, age_s: float) -> DatabaseView:
    known = next((standby for standby in facts.standbys if standby.name == member.name), None)
    lag_bytes = known.lag_bytes if known is not None and known.lag_bytes is not None else member.lag_bytes
    lag_s = known.lag_s if known is not None else None
    sync = "sync" if member.role == "sync_standby" else "quorum" if member.role == "quorum_standby" else "async"
    if member.leads:
        role, health, detail = _leader(member, seen, whole, facts)
    else:
        role = "standby"
        late = (lag_s or 0.0) >= LATE_STANDBY_S or (lag_bytes or 0) >= LATE_STANDBY_BYTES
        health = "ok" if member.well and not late else "warning"
        detail = f"{member.state}, {sync}" + _behind(lag_bytes, lag_s)
    last = seen.history[-1] if seen.history else None
    return DatabaseView(
        name=member.name,
        engine="postgresql",
        role=role,
        health=health,
        detail=detail,
        sync_state="" if member.leads else sync,
        lag_bytes=None if member.leads else lag_bytes,
        lag_s=None if member.leads else lag_s,
        timeline=member.timeline,
        last_failover_at=last.at if last is not None and member.leads else 0,
        source="patroni",
        age_s=age_s,
    )


def _leader(member: PatroniMember, seen: Seen, whole: Redundancy, facts: Facts) -> tuple[str, Health, str]:
    words = [f"{member.state}, timeline {member.timeline}"]
    health: Health = _primary_health(whole, facts)
    if not member.well:
        health = "error"
    if seen.cluster.paused:
        words.append("Patroni is paused: nothing takes over by itself")
        health = "warning" if health == "ok" else health
    if not is_safe(seen.version):
        words.append(f"Patroni {seen.version} can lose acknowledged commits: upgrade it")
        health = "warning" if health == "ok" else health
    return "primary" if whole.whole else "single copy", health, "; ".join(words) + _loss(whole)


# ---------------------------------------------------------------- functions of a connection

# Who may not read all of pg_stat_replication (it takes pg_monitor) sees rows with nothing in them but the name.
_STANDBYS = """SELECT coalesce(nullif(application_name, ''), 'standby') AS name, state, sync_state,
    greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint AS lag_bytes,
    CASE WHEN state IS NOT NULL THEN extract(epoch FROM coalesce(replay_lag, interval '0'))::float END AS lag_s
    FROM pg_stat_replication ORDER BY 1"""
_ITSELF = """SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS timeline,
    coalesce(host(inet_server_addr()), 'local') || ':' || coalesce(inet_server_port(), 0) AS address,
    current_setting('synchronous_standby_names') <> '' AS wanted"""


def read_facts(conn: sa.Connection) -> Facts:
    """What the connection knows of its server and of the standbys that follow it."""
    if conn.dialect.name == "sqlite":
        return Facts("sqlite")
    if conn.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
        return Facts("postgresql")  # an old primary that was demoted under this very connection
    itself = conn.exec_driver_sql(_ITSELF).one()
    rows = conn.exec_driver_sql(_STANDBYS).all()
    standbys = tuple(
        Standby(row.name, row.state, row.sync_state, row.lag_bytes, row.lag_s)
        for row in rows
        # A base backup that is being taken is none that follows.
        if row.state != "backup"
    )
    return Facts("postgresql", itself.timeline, itself.address, itself.wanted, standbys)


def note(conn: sa.Connection, term: int, process: str, now: Mark, before: Mark | None, away_ms: int | None) -> None:
    """Add to the history what has changed since it was last told; `before` is what this server saw, which counts where
    the history tells nothing yet. The leader's, fenced."""
    if not fence(conn, term, process):
        return
    timeline, primary = _last_primary(conn)
    if not timeline and before is not None:
        timeline, primary = before.timeline, before.primary
    if now.timeline and timeline and now.timeline != timeline:
        history.record(
            conn,
            "database-changed",
            now.primary,
            term=term,
            cause=_cause(conn, primary, now.primary),
            away_ms=away_ms,
            detail={"timeline": now.timeline, "before": primary},
        )
    _note_redundancy(conn, term, now.redundancy, now.primary)


def _note_redundancy(conn: sa.Connection, term: int, now: Redundancy, primary: str) -> None:
    last = _last_kind(conn, ("redundancy-lost", "redundancy-restored"))
    if now.expected and not now.whole and last != "redundancy-lost":
        history.record(conn, "redundancy-lost", primary, term=term, cause=now.reason)
    elif now.whole and last == "redundancy-lost":
        history.record(conn, "redundancy-restored", primary, term=term, cause="a synchronous standby follows")


def _last_primary(conn: sa.Connection) -> tuple[int, str]:
    statement = sa.select(cluster_event.c.detail, cluster_event.c.subject)
    row = conn.execute(
        statement.where(cluster_event.c.kind == "database-changed").order_by(cluster_event.c.event_id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return 0, ""
    told = msgspec.json.decode(row.detail, type=dict[str, str | int]).get("timeline", 0)
    return (told if isinstance(told, int) else 0), row.subject


def _last_kind(conn: sa.Connection, kinds: Sequence[str]) -> str:
    statement = sa.select(cluster_event.c.kind).where(cluster_event.c.kind.in_(kinds))
    return conn.scalar(statement.order_by(cluster_event.c.event_id.desc()).limit(1)) or ""


def _cause(conn: sa.Connection, before: str, now: str) -> str:
    """A planned one was written down when it was begun."""
    statement = sa.select(cluster_event.c.at).where(cluster_event.c.kind == "database-switchover")
    planned = conn.scalar(statement.order_by(cluster_event.c.event_id.desc()).limit(1))
    recent = planned is not None and now_ms(conn) - planned < PLANNED_MS
    way = f"from {before} to {now}" if before and before != now else f"at {now}"
    return f"{'switchover' if recent else 'failover'} {way}"
