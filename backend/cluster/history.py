"""The cluster's history: an append-only log of who did what to it, when by the database's clock, in which term, why,
and how long something was away.

`record` writes a row of the history and, in the same transaction, an event of kind "cluster" that every server
streams: what is told is what was committed, in the order of the commits (see `events`). `read` takes rows whose
writers, and all writers before them, have ended: a page never passes over a row that is still to come.

Invariant: rows are only added; `prune` drops them when they are older than KEEP_HISTORY_MS.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from backend.cluster.events import Position, settled
from backend.cluster.model import KEEP_HISTORY_MS
from backend.cluster.tables import cluster_event, event
from backend.db.dialect import storable
from backend.db.engine import now_ms
from backend.wire.cluster import ClusterEvent, Event

Kind = Literal[
    "member-joined",
    "member-left",
    "member-gone",
    "member-returned",
    "member-restarted",
    "member-draining",
    "member-drained",
    "member-undrained",
    "member-removed",
    "member-duplicate",
    "leader-changed",
    "leader-resigned",
    "switchover-wanted",
    "cluster-paused",
    "cluster-resumed",
    "database-changed",
    "database-switchover",
    "database-restored",
    "redundancy-lost",
    "redundancy-restored",
    "dns-changed",
]
SYSTEM: Final = "system"
PRUNE_ROWS: Final = 1000
MAX_TEXT: Final = 1024

_details: msgspec.json.Decoder[dict[str, str | int]] = msgspec.json.Decoder(dict[str, str | int])


def record(
    conn: sa.Connection,
    kind: Kind,
    subject: str,
    *,
    actor: str = SYSTEM,
    term: int = 0,
    cause: str = "",
    away_ms: int | None = None,
    detail: Mapping[str, str | int] | None = None,
) -> ClusterEvent:
    """Add to the history in the caller's transaction, and let every server tell it once that commits."""
    at = now_ms(conn)
    values: dict[str, Any] = {
        "at": at,
        "kind": kind,
        "subject": storable(subject)[:255],
        "actor": storable(actor)[:255],
        "term": term,
        "cause": storable(cause)[:MAX_TEXT],
        "away_ms": away_ms,
        "detail": storable(msgspec.json.encode(dict(detail or {})).decode()),
    }
    statement = sa.insert(cluster_event).values(values).returning(cluster_event.c.event_id, cluster_event.c.xid)
    row = conn.execute(statement).one()
    told = _told(Position(row.xid, row.event_id), values)
    data = msgspec.json.encode(Event(kind="cluster", at=at, cluster=told)).decode()
    conn.execute(sa.insert(event).values(at=at, kind="cluster", data=data, term=term))
    return told


def read(conn: sa.Connection, after: str, limit: int, before: str = "") -> tuple[ClusterEvent, ...]:
    """At most `limit` events in the order of their commits: those that follow the `event_id` `after`, or those that
    come before `before`; the newest ones where neither is given.

    Raises ValueError where one of them is no event id.
    """
    order = (cluster_event.c.xid, cluster_event.c.event_id)
    here: sa.ColumnElement[Any] = sa.tuple_(*order)
    statement = sa.select(cluster_event)
    if before:
        statement = statement.where(here < _place(before))
    if after:
        return _page(conn, statement.where(here > _place(after)).order_by(*order), limit)
    newest = statement.order_by(*(column.desc() for column in order))
    return _page(conn, newest, limit)[::-1]


def _place(event_id: str) -> sa.ColumnElement[Any]:
    place = parse(event_id)
    return sa.tuple_(sa.literal(place.xid), sa.literal(place.event_id))


def parse(event_id: str) -> Position:
    """The place that an event's id names. Raises ValueError."""
    if not re.fullmatch(r"\d{1,19}\.\d{1,19}", event_id, re.ASCII):
        raise ValueError(f"{event_id!r} is no event's id")
    xid, _, number = event_id.partition(".")
    return Position(min(int(xid), 2**63 - 1), min(int(number), 2**63 - 1))


def prune(conn: sa.Connection) -> int:
    """Drop what is too old, at most PRUNE_ROWS rows; the caller's transaction is the leader's, fenced. How many."""
    oldest = sa.select(cluster_event.c.event_id, cluster_event.c.at).order_by(cluster_event.c.event_id)
    before = now_ms(conn) - KEEP_HISTORY_MS
    ids = [row.event_id for row in conn.execute(oldest.limit(PRUNE_ROWS)) if row.at < before]
    if ids:
        conn.execute(sa.delete(cluster_event).where(cluster_event.c.event_id.in_(ids)))
    return len(ids)


def _page(conn: sa.Connection, statement: sa.Select[Any], limit: int) -> tuple[ClusterEvent, ...]:
    rows: Sequence[Any] = conn.execute(statement.where(settled(conn, cluster_event.c.xid)).limit(limit)).all()
    return tuple(_told(Position(row.xid, row.event_id), row._mapping) for row in rows)


def _told(place: Position, values: Mapping[str, Any]) -> ClusterEvent:
    return ClusterEvent(
        event_id=f"{place.xid}.{place.event_id}",
        at=values["at"],
        kind=values["kind"],
        subject=values["subject"],
        actor=values["actor"],
        term=values["term"],
        cause=values["cause"],
        away_ms=values["away_ms"],
        detail=_details.decode(values["detail"]),
    )
