"""Members, lease and term in the database. Functions of a connection, run by `Database.write` and `Database.run`.

The order of statements is the point. A take-over locks the term row and reads the beat in the *next* statement, whose
snapshot is newer: a renewal that came between is seen. A renewal locks the term row (shared) before it moves the
beat, so either the take-over sees the new beat or the renewal sees the new term.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from backend.cluster import history
from backend.cluster.model import FORGET_MEMBER_MS, KEEP_EVENTS_MS, Lease, MemberRow, Snapshot
from backend.cluster.tables import beat, cluster, cluster_event, event, member, term
from backend.db.dialect import upsert
from backend.db.engine import now_ms

PRUNE_ROWS: Final = 2000
TAKEN_MS: Final = 10_000  # a name whose other owner beat within this time is that one's


class Beaten(NamedTuple):
    """What came of a beat: whether the name is this process's, and who has it where it is not."""

    ours: bool
    other: str = ""


def write_member(conn: sa.Connection, row: MemberRow, first: bool, clock_ms: int) -> Beaten:
    """Note that this member lives, and in the history what that changes. `first`: this process has not beaten yet and
    takes the name over (see `joining`). `clock_ms` is what its own clock says, to be told from the database's.

    A beat that only says "still here" need not survive a crash: the next is a second away, so it waits for no standby.
    """
    before = conn.execute(sa.select(member).where(member.c.name == row.name).with_for_update()).one_or_none()
    now = now_ms(conn)
    if before is not None and before.process != row.process and not first:
        if before.state != "gone" and now - before.seen_at < TAKEN_MS:
            return Beaten(False, before.url)
        first = True
    told = _tell(conn, row, before, now, first)
    if not told and conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL synchronous_commit = off")
    values = {
        "name": row.name,
        "process": row.process,
        "url": row.url,
        "state": row.state,
        "program_version": row.program_version[:64],
        "started_at": now if first or before is None else before.started_at,
        "seen_at": now,
        "load": row.load,
        "connections": row.connections,
        "host": row.host[:255],
        "serves": row.serves[:255],
        "schema_revision": row.schema_revision,
        "protocol": row.protocol,
        "clock_off_ms": clock_ms - now,
        "noticed_at": 0,
    }
    upsert(conn, member, [member.c.name], [values], [name for name in values if name != "name"])
    return Beaten(True)


def _tell(conn: sa.Connection, row: MemberRow, before: Any, now: int, first: bool) -> bool:
    """Write into the history what this beat changes; whether there was anything."""
    detail: dict[str, str | int] = {"url": row.url, "version": row.program_version}
    if before is None:
        history.record(conn, "member-joined", row.name, cause="new", detail=detail)
        return True
    away_ms = max(0, now - before.seen_at)
    if first and before.process != row.process:
        cause = "started again" if before.state == "gone" else "started again after it had died"
        history.record(conn, "member-restarted", row.name, cause=cause, away_ms=away_ms, detail=detail)
    elif before.noticed_at:
        history.record(conn, "member-returned", row.name, cause="beats again", away_ms=away_ms, detail=detail)
    elif row.state == "gone" and before.state != "gone":
        history.record(conn, "member-left", row.name, cause="stopped in good order", detail=detail)
    elif row.state == "drained" and before.state != "drained":  # it may be so within one beat
        history.record(conn, "member-drained", row.name, cause="nothing is under way any more")
    else:
        return False
    return True


def duplicate(conn: sa.Connection, name: str, url: str, other: str) -> None:
    """Two servers go by one name."""
    history.record(conn, "member-duplicate", name, cause=f"{url} and {other} both call themselves {name}")


def find_member(conn: sa.Connection, name: str) -> MemberRow | None:
    """This member's row, with its age by the database's clock."""
    row = conn.execute(sa.select(member).where(member.c.name == name)).one_or_none()
    return None if row is None else _member(row, now_ms(conn))


def note_gone(conn: sa.Connection, mine: int, process: str, rows: Sequence[MemberRow]) -> int:
    """Record, once and as the leader, which members have gone silent, as they were when they were judged; how many."""
    if not fence(conn, mine, process):
        return 0
    now, noted = now_ms(conn), 0
    for row in rows:
        judged = (member.c.name == row.name, member.c.process == row.process, member.c.seen_at == row.seen_at)
        statement = sa.update(member).where(*judged, member.c.noticed_at == 0).values(noticed_at=now)
        if conn.execute(statement).rowcount:
            detail: dict[str, str | int] = {"url": row.url, "silent_ms": row.age_ms}
            history.record(conn, "member-gone", row.name, term=mine, cause="no sign of life", detail=detail)
            noted += 1
    return noted


def read_snapshot(conn: sa.Connection, heartbeat_s: float) -> Snapshot:
    """The cluster as the database tells it now."""
    now = now_ms(conn)
    about = conn.execute(sa.select(cluster)).one()
    rows = conn.execute(sa.select(member).order_by(member.c.name)).all()
    members = tuple(_member(row, now) for row in rows)
    return Snapshot(about.cluster_id, about.generation, read_lease(conn), members, heartbeat_s, about.paused)


def _member(row: Any, now: int) -> MemberRow:
    return MemberRow(
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
        seen_at=row.seen_at,
        host=row.host,
    )


def read_lease(conn: sa.Connection) -> Lease:
    """Term, holder and beat as they are now."""
    columns = (term.c.term, term.c.holder, term.c.member_name, beat.c.beat, term.c.given_to)
    row = conn.execute(sa.select(*columns).join_from(term, beat, beat.c.one == term.c.one)).one()
    return Lease(row.term, row.holder, row.member_name, row.beat, row.given_to)


def take_over(
    conn: sa.Connection, expected_term: int, expected_beat: int, process: str, name: str, silent_ms: int = 0
) -> int | None:
    """The new term, or None when the lease is not as expected any more. `silent_ms` is for how long the taker saw no
    beat, for the history."""
    held = conn.execute(sa.select(term).where(term.c.one == 1).with_for_update()).one()
    moved = conn.scalar(sa.select(beat.c.beat).where(beat.c.one == 1))
    if held.term != expected_term or moved != expected_beat:
        return None
    new = expected_term + 1
    conn.execute(sa.update(term).values(term=new, holder=process, member_name=name, given_to=""))
    conn.execute(sa.update(beat).values(beat=beat.c.beat + 1))
    cause, away_ms = _why_vacant(conn, held, process, silent_ms)
    detail: dict[str, str | int] = {"before": held.member_name} if held.member_name else {}
    history.record(conn, "leader-changed", name, term=new, cause=cause, away_ms=away_ms, detail=detail)
    return new


def _why_vacant(conn: sa.Connection, held: Any, process: str, silent_ms: int) -> tuple[str, int | None]:
    """Why the lease could be taken, and how long nobody led."""
    if not held.term:
        return "first", None
    if held.holder:
        return "lease expired", silent_ms or None
    of_it = (cluster_event.c.kind == "leader-resigned", cluster_event.c.term == held.term)
    newest = sa.select(cluster_event.c.at).where(*of_it).order_by(cluster_event.c.event_id.desc()).limit(1)
    resigned_at = conn.scalar(newest)
    away_ms = None if resigned_at is None else max(0, now_ms(conn) - resigned_at)
    return ("handed over" if held.given_to == process else "resigned"), away_ms


def renew(conn: sa.Connection, mine: int, process: str) -> Lease | None:
    """Move the beat on; the lease as it is then, None when the term is another's."""
    if not fence(conn, mine, process):
        return None
    conn.execute(sa.update(beat).values(beat=beat.c.beat + 1))
    return read_lease(conn)


def resign(conn: sa.Connection, mine: int, process: str, cause: str) -> bool:
    """Give the lease back, so that another need not wait for its end. The caller acts as leader no more."""
    ours = (term.c.term == mine, term.c.holder == process)
    name = conn.scalar(sa.select(term.c.member_name).where(*ours).with_for_update())
    if name is None:
        return False
    conn.execute(sa.update(term).where(*ours).values(holder="", member_name=""))
    history.record(conn, "leader-resigned", name, term=mine, cause=cause)
    return True


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
    if not conn.scalar(sa.select(cluster.c.paused)):
        conn.execute(sa.delete(member).where(member.c.seen_at < now - FORGET_MEMBER_MS, member.c.wanted == "serving"))
    # Ids rise with time: the oldest are the first of the key, so this reads no more than it drops.
    oldest = sa.select(event.c.event_id, event.c.at).order_by(event.c.event_id).limit(PRUNE_ROWS)
    ids = [row.event_id for row in conn.execute(oldest) if row.at < now - KEEP_EVENTS_MS]
    if ids:
        conn.execute(sa.delete(event).where(event.c.event_id.in_(ids)))
    return len(ids)
