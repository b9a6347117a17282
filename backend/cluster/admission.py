"""A server asks to join its cluster, before it serves: effects around the decisions of `joining`.

Settings that all servers must share are kept in the database: the first server writes its own down, a later one whose
differ is refused. A name is free when nobody beats under it; after a crash the server itself is back sooner than its
old row grows old, so a row that does not move for three heartbeats, or of a server that listened on this very address,
is no hindrance.
"""

import asyncio
from collections.abc import Mapping

import sqlalchemy as sa

from backend.access.tables import setting
from backend.base.clock import Clock
from backend.cluster import joining
from backend.cluster.agent import ClusterSettings, Identity
from backend.cluster.model import MemberRow
from backend.cluster.service import find_member, read_snapshot
from backend.db.dialect import insert_or_nothing
from backend.db.engine import Database, now_ms
from backend.db.errors import DatabaseRefused
from backend.wire.base import VERSION

LOOK_S = 0.2


async def admit(
    database: Database, who: Identity, settings: ClusterSettings, shared: Mapping[str, str], clock: Clock
) -> None:
    """Return when this server may join. Raises DatabaseRefused with the reason where it may not, DatabaseAway."""
    reason = await database.write(_check, who, settings, shared, clock)
    if reason:
        raise DatabaseRefused(f"this server cannot join the cluster: {reason}")
    if not database.is_sqlite:  # a lock of the kernel keeps a second server away there
        await _claim_name(database, who, settings, clock)


def _check(
    conn: sa.Connection, who: Identity, settings: ClusterSettings, shared: Mapping[str, str], clock: Clock
) -> str:
    now = now_ms(conn)
    applicant = _applicant(who, settings, shared, clock.now_ms() - now)
    for key, value in sorted(shared.items()):
        row = {"key": key, "value": value, "updated_at": now}
        conn.execute(insert_or_nothing(conn, setting, [setting.c.key]).values(**row))
    rows = conn.execute(sa.select(setting.c.key, setting.c.value).where(setting.c.key.in_(shared)))
    kept = {row.key: row.value for row in rows}
    snapshot = read_snapshot(conn, settings.heartbeat_s)
    return joining.refusal(applicant, snapshot.members, settings.heartbeat_s, kept)


async def _claim_name(database: Database, who: Identity, settings: ClusterSettings, clock: Clock) -> None:
    applicant = _applicant(who, settings, {}, 0)
    first: MemberRow | None = None
    began_s = clock.monotonic_s()
    while True:
        row = await database.run(find_member, who.name)
        first = first or row
        moved = row is not None and first is not None and (row.process, row.seen_at) != (first.process, first.seen_at)
        found = joining.claim(applicant, row, settings.heartbeat_s, clock.monotonic_s() - began_s, moved)
        if found == "taken" and row is not None:
            raise DatabaseRefused(
                f"this server cannot join the cluster: the server at {row.url} calls itself {who.name!r} already; "
                "give each its own [server] name"
            )
        if found != "wait":
            return
        await asyncio.sleep(LOOK_S)


def _applicant(
    who: Identity, settings: ClusterSettings, shared: Mapping[str, str], clock_off_ms: int
) -> joining.Applicant:
    return joining.Applicant(
        name=who.name,
        process=who.process,
        url=who.url,
        host=who.host,
        protocol=VERSION,
        clock_off_ms=clock_off_ms,
        clock_tolerance_s=settings.clock_tolerance_s,
        shared=shared,
    )
