"""Long work that clients start and ask about later, at whatever server. Functions of a connection.

A task is a row: how far it is stands in its message, line by line, the last line sums it up. The server that does the
work writes to it every few seconds; a row that nobody has written to for `SILENT_MS` was broken off with its server.

Invariant: at most one task is under way.
"""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from backend.db.engine import now_ms
from backend.operations.tables import task

SILENT_MS: Final = 60_000
MAX_MESSAGE: Final = 256 * 1024
_TASKS_LOCK: Final = 0x494B4A33  # "IKJ3"


class TaskUnderWay(Exception):
    """Another task has not ended yet."""


@dataclass(frozen=True, slots=True)
class Status:
    """A task as it is asked about. `broken_off`: its server ended before it did."""

    kind: str
    completed: bool
    message: str
    broken_off: bool


def begin_task(conn: sa.Connection, kind: str, actor: str) -> int:
    """A new task's number. Raises TaskUnderWay."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TASKS_LOCK})")
    last = latest_task(conn)
    if last is not None and not last.completed and not last.broken_off:
        raise TaskUnderWay(f"{last.kind} is under way: ask for its status, and try again when it has ended")
    now = now_ms(conn)
    values = {
        "kind": kind,
        "actor": actor[:255],
        "completed": False,
        "message": "",
        "started_at": now,
        "updated_at": now,
    }
    return int(conn.execute(sa.insert(task).values(**values).returning(task.c.task_id)).scalar_one())


def note_task(conn: sa.Connection, task_id: int, lines: str = "", *, completed: bool = False) -> None:
    """Add lines to a task's message, or only say that it goes on. What is too long is cut, the end is not."""
    message = conn.execute(sa.select(task.c.message).where(task.c.task_id == task_id)).scalar_one()
    if lines:
        if len(message) + len(lines) > MAX_MESSAGE:
            message, lines = message[: max(0, MAX_MESSAGE - len(lines))], lines[-MAX_MESSAGE:]
        message = f"{message}\n{lines}" if message else lines
    changed = {"message": message, "completed": completed, "updated_at": now_ms(conn)}
    conn.execute(sa.update(task).where(task.c.task_id == task_id).values(**changed))


def latest_task(conn: sa.Connection) -> Status | None:
    """The task that was begun last."""
    row = conn.execute(sa.select(task).order_by(task.c.task_id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    silent = now_ms(conn) - row.updated_at > SILENT_MS
    return Status(row.kind, row.completed, row.message, silent and not row.completed)
