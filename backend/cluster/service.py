"""Members, lease and term in the database. Functions of a connection, run by `Database.write` and `Database.run`.

The order of statements is the point. A take-over locks the term row and reads the beat in the *next* statement, whose
snapshot is newer: a renewal that came between is seen. A renewal locks the term row (shared) before it moves the
beat, so either the take-over sees the new beat or the renewal sees the new term.
"""

import sqlalchemy as sa

from backend.cluster import history
from backend.cluster.model import FORGET_MEMBER_MS, KEEP_EVENTS_MS, Lease, MemberRow, Snapshot
from backend.cluster.tables import beat, cluster, event, member, term
from backend.db.dialect import upsert
from backend.db.engine import now_ms

PRUNE_ROWS = 2000


def write_member(conn: sa.Connection, row: MemberRow, started_at: int) -> str:
    """Note that this member lives; the process that had its name before ("" for none). Survives a crash or does not:
    the next beat is a second away, so nothing waits for a standby."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL synchronous_commit = off")
    before = conn.scalar(sa.select(member.c.process).where(member.c.name == row.name))
    now = now_ms(conn)
    values = {
        "name": row.name,
        "process": row.process,
        "url": row.url,
        "state": row.state,
        "program_version": row.program_version[:64],
        "started_at": started_at or now,
        "seen_at": now,
    }
    upsert(conn, member, [member.c.name], [values], [name for name in values if name != "name"])
    return before or ""


def read_snapshot(conn: sa.Connection, heartbeat_s: float) -> Snapshot:
    """The cluster as the database tells it now."""
    now = now_ms(conn)
    about = conn.execute(sa.select(cluster)).one()
    rows = conn.execute(sa.select(member).order_by(member.c.name)).all()
    members = tuple(
        MemberRow(
            name=row.name,
            process=row.process,
            url=row.url,
            state=row.state,
            program_version=row.program_version,
            age_ms=max(0, now - row.seen_at),
            wanted=row.wanted,
            load=row.load,
            connections=row.connections,
            serves=row.serves,
            schema_revision=row.schema_revision,
            protocol=row.protocol,
            clock_off_ms=row.clock_off_ms,
            noticed_at=row.noticed_at,
        )
        for row in rows
    )
    return Snapshot(about.cluster_id, about.generation, read_lease(conn), members, heartbeat_s, about.paused)


def read_lease(conn: sa.Connection) -> Lease:
    """Term, holder and beat as they are now."""
    row = conn.execute(sa.select(term.c.term, term.c.holder, term.c.member_name, beat.c.beat).join_from(
        term, beat, beat.c.one == term.c.one
    )).one()  # fmt: skip
    return Lease(row.term, row.holder, row.member_name, row.beat)


def take_over(conn: sa.Connection, expected_term: int, expected_beat: int, process: str, name: str) -> int | None:
    """The new term, or None when the lease is not as expected any more."""
    held = conn.scalar(sa.select(term.c.term).where(term.c.one == 1).with_for_update())
    moved = conn.scalar(sa.select(beat.c.beat).where(beat.c.one == 1))
    if held != expected_term or moved != expected_beat:
        return None
    conn.execute(sa.update(term).values(term=expected_term + 1, holder=process, member_name=name))
    conn.execute(sa.update(beat).values(beat=beat.c.beat + 1))
    return expected_term + 1


def renew(conn: sa.Connection, mine: int, process: str) -> bool:
    """Move the beat on; False when the term is another's."""
    if not fence(conn, mine, process):
        return False
    conn.execute(sa.update(beat).values(beat=beat.c.beat + 1))
    return True


def resign(conn: sa.Connection, mine: int, process: str) -> None:
    """Give the lease back, so that another need not wait for its end. The caller acts as leader no more."""
    conn.execute(sa.update(term).where(term.c.term == mine, term.c.holder == process).values(holder="", member_name=""))


def fence(conn: sa.Connection, mine: int, process: str) -> bool:
    """The first statement of every transaction of a leader: is the term still mine, and held so until it commits?"""
    statement = sa.select(term.c.term).where(term.c.term == mine, term.c.holder == process)
    return conn.scalar(statement.with_for_update(read=True)) is not None


def prune(conn: sa.Connection, mine: int, process: str) -> int:
    """Drop events, history and members that are too old, at most PRUNE_ROWS events at a time; how many events went."""
    if not fence(conn, mine, process):
        return 0
    history.prune(conn)
    now = now_ms(conn)
    conn.execute(sa.delete(member).where(member.c.seen_at < now - FORGET_MEMBER_MS))
    # Ids rise with time: the oldest are the first of the key, so this reads no more than it drops.
    oldest = sa.select(event.c.event_id, event.c.at).order_by(event.c.event_id).limit(PRUNE_ROWS)
    ids = [row.event_id for row in conn.execute(oldest) if row.at < now - KEEP_EVENTS_MS]
    if ids:
        conn.execute(sa.delete(event).where(event.c.event_id.in_(ids)))
    return len(ids)
