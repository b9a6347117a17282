"""The audit log: who changed what, who looked at whom, who was refused. Rows are only ever added.

A change is noted in the transaction that makes it. Who looked, and who was refused, is noted by `backend.api.looks`
within a second or two, the same by the same person once in a while only.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from backend.access.tables import audit
from backend.db.dialect import storable
from backend.db.engine import now_ms
from backend.wire.access import AuditEntry

MAX_LIMIT: Final = 500
LOOKED_AT: Final = 50_000  # rows that one search of texts goes through


def write_audit(conn: sa.Connection, actor: str, role: str, action: str, subject: str, detail: str = "") -> None:
    """Note who changed what, in the same transaction as the change."""
    write_audits(conn, [(actor, role, action, subject, detail)])


def write_audits(conn: sa.Connection, entries: Sequence[tuple[str, str, str, str, str]]) -> None:
    """Several of them: actor, role, action, subject, detail."""
    now = now_ms(conn)
    rows = [
        {
            "at": now,
            "actor": storable(actor)[:255],
            "role": role[:16],
            "action": action[:64],
            "subject": storable(subject)[:255],
            "detail": storable(detail),
        }
        for actor, role, action, subject, detail in entries
    ]
    conn.execute(sa.insert(audit), rows)


def find_audit(
    conn: sa.Connection,
    *,
    text: str = "",
    actor: str = "",
    action: str = "",
    subject: str = "",
    since: int = 0,
    until: int = 0,
    before: int = 0,
    limit: int = 50,
) -> tuple[AuditEntry, ...]:
    """Entries, newest first, those before the id `before` (0: from the newest). `actor`, `action` and `subject` are
    exact, `text` is anywhere in subject or detail among the newest LOOKED_AT of the rest."""
    columns = audit.c
    found = sa.select(audit).order_by(columns.audit_id.desc())
    wanted: list[tuple[Any, Any]] = [(columns.actor, actor), (columns.action, action), (columns.subject, subject)]
    for column, value in wanted:
        if value:
            found = found.where(column == value)
    if since:
        found = found.where(columns.at >= since)
    if until:
        found = found.where(columns.at < until)
    if before:
        found = found.where(columns.audit_id < before)
    if text:
        near = found.limit(LOOKED_AT).subquery()
        pattern = f"%{_escaped(text.lower())}%"
        either = sa.or_(
            sa.func.lower(near.c.subject).like(pattern, escape="!"),
            sa.func.lower(near.c.detail).like(pattern, escape="!"),
        )
        found = sa.select(near).where(either).order_by(near.c.audit_id.desc())
    names = AuditEntry.__struct_fields__
    rows = conn.execute(found.limit(min(limit, MAX_LIMIT))).mappings()
    return tuple(AuditEntry(**{name: row[name] for name in names}) for row in rows)


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
