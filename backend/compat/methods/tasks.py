"""Work that goes on after the answer: its beginning, what it tells meanwhile, and how it ended, which every server of
the cluster can be asked for. One at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import Caller
from backend.db.errors import DatabaseError
from backend.operations.tasks import Status, TaskUnderWay, begin_task, latest_task, note_task

NOTE_EVERY_S: Final = 5.0
DETAIL: Final = "Line "  # begins what only those with a token are told

log = logging.getLogger(__name__)


class Notes:
    """What a task says of itself. Each writing also says that it is under way still."""

    def __init__(self, caller: Caller, task_id: int) -> None:
        self._caller = caller
        self._task_id = task_id
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """To be written with the next."""
        self._lines.append(line)

    async def write(self, *lines: str, completed: bool = False) -> None:
        """Raises DatabaseError."""
        told = "\n".join([*self._lines, *lines])
        self._lines.clear()
        await self._caller.database.write(note_task, self._task_id, told, completed=completed)


Work = Callable[[Notes], Awaitable[str]]


async def begin(caller: Caller, kind: str, work: Work) -> bool:
    """Let it go on in the background. `work` gives the sentence that its task ends with, whatever ends it."""
    try:
        task_id = await caller.write(begin_task, kind, caller.actor)
    except TaskUnderWay as error:
        raise Fault(Code.GENERAL, str(error)) from error
    running = asyncio.create_task(_run(caller, kind, work, Notes(caller, task_id)))
    caller.background.add(running)  # a task that nobody holds may be collected
    running.add_done_callback(caller.background.discard)
    return True


async def _run(caller: Caller, kind: str, work: Work, notes: Notes) -> None:
    end = await work(notes)
    log.info("%s by %s: %s", kind, caller.actor, end)
    try:
        await notes.write(f"{end[:1].upper()}{end[1:]}", completed=True)
    except DatabaseError as error:
        log.warning("%s: its end could not be noted: %s", kind, error)


async def status(caller: Caller) -> dict[str, bool | str]:
    """Of the task that was begun last. Who has no token is told no line that names somebody."""
    found = await caller.read(latest_task)
    if found is None:
        return {"completed": True, "message": ""}
    message = _told(found, everything=bool(caller.role))
    return {"completed": found.completed or found.broken_off, "message": message}


def _told(found: Status, *, everything: bool) -> str:
    lines = found.message.splitlines()
    if not everything:
        lines = [line for line in lines if not line.startswith(DETAIL)]
    if found.broken_off:
        lines.append(f"{found.kind} was broken off with its server: run it again, nothing is done twice")
    return "\n".join(lines)
