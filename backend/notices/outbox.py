"""The outbox in the database. Functions of a connection, run by `Database.write`; each begins with the leader's fence.

A new event of the history becomes a row of the outbox in the same transaction that moves the cursor past it, so none is
lost and none is taken twice, whoever leads. A mail is marked sent after the mail server took it: a leader that dies in
between has sent a mail that the next one sends again, under the same Message-ID.
"""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from backend.cluster import history
from backend.cluster.model import Snapshot, member_state
from backend.cluster.service import fence
from backend.db.dialect import insert_or_nothing
from backend.db.engine import now_ms
from backend.notices.model import (
    MAX_TRIES,
    Notice,
    Waiting,
    body,
    is_worth_a_mail,
    message_id,
    pause_s,
    subject,
)
from backend.notices.tables import notice, notice_cursor
from backend.wire.cluster import ClusterEvent

PAGE: Final = 100
DUE: Final = 10
KEEP_MS: Final = 30 * 24 * 3600 * 1000
NOT_OLDER_MS: Final = 24 * 3600 * 1000


def fill(conn: sa.Connection, term: int, process: str, snapshot: Snapshot, domain: str) -> bool:
    """Take new events into the outbox, at most PAGE; whether there may be more."""
    if not fence(conn, term, process):
        return False
    cursor = conn.scalar(sa.select(notice_cursor.c.event)) or ""
    events = history.read(conn, cursor, PAGE if cursor else 1)
    now = now_ms(conn)
    for event in events:
        # What happened before anybody asked for mail, or too long ago, is in the history for who wants to know.
        if cursor and event.at > now - NOT_OLDER_MS and is_worth_a_mail(event):
            _add(conn, event, snapshot, domain, now)
    if events:
        conn.execute(sa.update(notice_cursor).values(event=events[-1].event_id))
        conn.execute(sa.delete(notice).where(notice.c.state != "waiting", notice.c.created_at < now - KEEP_MS))
    return bool(cursor) and len(events) == PAGE


def _add(conn: sa.Connection, event: ClusterEvent, snapshot: Snapshot, domain: str, now: int) -> None:
    serving = sum(
        member_state(row.state, row.age_ms, snapshot.heartbeat_s) == "serving" for row in snapshot.members
    )  # fmt: skip
    when = datetime.fromtimestamp(event.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    values = {
        "event": f"{snapshot.generation}.{event.event_id}",
        "message_id": message_id(snapshot.cluster_id, snapshot.generation, event.event_id, domain),
        "subject": subject(event, serving),
        "body": body(event, serving, when, snapshot.cluster_id),
        "created_at": now,
    }
    conn.execute(insert_or_nothing(conn, notice, [notice.c.event]).values(values))


def waiting(conn: sa.Connection, term: int, process: str) -> Waiting:
    """What is to be sent; nothing to a process that leads no more."""
    if not fence(conn, term, process):
        return Waiting()
    now = now_ms(conn)
    still = notice.c.state == "waiting"
    count, oldest = conn.execute(
        sa.select(sa.func.count(), sa.func.min(notice.c.created_at)).select_from(notice).where(still)
    ).one()
    statement = sa.select(notice).where(still, notice.c.next_at <= now).order_by(notice.c.notice_id).limit(DUE)
    due = tuple(
        Notice(
            notice_id=row.notice_id,
            message_id=row.message_id,
            subject=row.subject,
            body=row.body,
            tries=row.tries,
            created_at=row.created_at,
            age_s=(now - row.created_at) / 1000,
        )
        for row in conn.execute(statement)
    )
    return Waiting(count, (now - oldest) / 1000 if count else 0.0, due)


def note_sent(conn: sa.Connection, notice_id: int) -> None:
    """A fact, whoever leads now: the mail server has taken it."""
    conn.execute(sa.update(notice).where(notice.c.notice_id == notice_id).values(state="sent"))


def note_failed(conn: sa.Connection, term: int, process: str, found: Notice) -> None:
    """Try again later, or no more."""
    if not fence(conn, term, process):
        return
    tries = found.tries + 1
    values = {
        "tries": tries,
        "next_at": now_ms(conn) + 1000 * pause_s(tries),
        "state": "waiting" if tries < MAX_TRIES else "failed",
    }
    still = (notice.c.notice_id == found.notice_id, notice.c.state == "waiting")
    conn.execute(sa.update(notice).where(*still).values(values))
