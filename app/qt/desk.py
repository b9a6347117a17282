"""The help desk's commands on their way: brings each to the disk, sends it, and asks again under the same id where no
server answered. Carries out what core/outbox.py decides. Lives on the GUI thread.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from app.core import commands
from app.core.commands import Maker
from app.core.outbox import (
    OPEN,
    Answered,
    AskNow,
    Box,
    Ending,
    Entered,
    Entry,
    Forgotten,
    Happening,
    Item,
    Keep,
    Lost,
    Made,
    Owner,
    Reason,
    Record,
    Send,
    Shown,
    Ticked,
    Turned,
    Unsent,
    Verb,
    records_of,
    restored,
    same_as,
    step,
    too_many,
)
from app.core.outbox_file import MAX_BYTES, REASONS, OutboxError, OutboxFile, OutboxHeld
from app.core.queries import carry_out, read_caller
from app.core.reducer import Changes, RightsTold
from app.core.viewdata import short_reason
from backend.base.ids import uuid7
from backend.client.errors import NoServer, ServerProblem
from backend.wire.access import Caller
from backend.wire.jobs import JobView

if TYPE_CHECKING:
    from app.qt.session import Session

LOCK_AGAIN_S: Final = 3.0
NOT_KNOWN_YET: Final = "who is logged in is not known yet"

log = logging.getLogger(__name__)


class NotConnected(Exception):
    """Asked while no cluster is set."""


class Desk(QObject):
    """`changed` says that what is shown of the outbox stands otherwise, `settled` brings an Item that ended."""

    changed = Signal()
    settled = Signal(object)

    def __init__(self, session: "Session", file: OutboxFile, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._file = file
        self._box = Box()
        self._told: tuple[str, ...] = ()  # the ids of what was asked for last
        self._trouble = ""
        self._lock_at = 0.0
        self.complaint = ""
        """Why what was asked for last was not even sent."""
        self.reasons: tuple[str, ...] = ()
        self._take()
        session.store.changed.connect(self._store_changed)
        session.store.ticked.connect(self._tick)

    # ---------------------------------------------------------------- what may be known

    @property
    def items(self) -> list[Item]:
        """What is shown to who is logged in: what was asked for last, and all that is open or was not shown yet."""
        return [
            item
            for item in self._box.mine()
            if item.entry.command_id in self._told or item.phase in OPEN or not item.shown
        ]

    @property
    def foreign(self) -> list[Item]:
        """What waits for somebody else to log in."""
        return self._box.foreign()

    def item(self, command_id: str) -> Item | None:
        return self._box.items.get(command_id)

    def why_not(self) -> str:
        """Why nothing can be begun at all now, "" where it can."""
        if self._trouble:
            return self._trouble
        if self._box.owner is None:
            return NOT_KNOWN_YET
        return "too much is not answered yet" if too_many(self._box) else ""

    def new_id(self) -> str:
        """An id for a command that is not decided yet: a dialog takes it when it opens, so that it asks once however
        often its button is pressed."""
        return uuid7()

    def maker(self, command_id: str) -> Maker | None:
        """None while nobody is known to be logged in."""
        owner = self._box.owner
        return Maker(command_id, owner, int(time.time() * 1000)) if owner is not None else None

    def same_as(self, entry: Entry) -> Item | None:
        return same_as(self._box, entry)

    # ---------------------------------------------------------------- what people do

    def act(self, verb: Verb, jobs: Sequence[JobView], reason: str = "") -> str:
        """Ask for it, for each of the jobs; why nothing was, else ""."""
        waiting = {(item.entry.verb, item.entry.job_id) for item in self._box.mine() if item.phase in OPEN}
        wanted = [job for job in jobs if (verb, job.job_id) not in waiting]
        makers = [(self.maker(self.new_id()), job) for job in wanted]
        return self.put([commands.act_on_job(by, verb, job, reason) for by, job in makers if by is not None])

    def put(self, entries: Sequence[Entry]) -> str:
        """Take these commands, each on the disk before it is sent; why nothing was done, else "". What is over of
        before is forgotten."""
        self.complaint = self._take_in(entries)
        if self.complaint:
            self.changed.emit()
        return self.complaint

    def _take_in(self, entries: Sequence[Entry]) -> str:
        refused = self.why_not()
        if refused or not entries:
            return refused and f"nothing was sent: {refused}"
        self._step(Forgotten())
        self._told = tuple(entry.command_id for entry in entries)
        for number, entry in enumerate(entries):
            try:
                self._step(Made(entry), strict=True)
            except OutboxError as error:
                return f"only {number} of {len(entries)} were sent: {error}" if number else f"nothing was sent: {error}"
            self._remember(entry.comment)
        return ""

    def ask_now(self, command_id: str = "") -> None:
        self._step(AskNow(command_id))

    def shown(self) -> None:
        """The person could read how things stand."""
        ended = frozenset(item.entry.command_id for item in self.items if item.ending is not None and not item.shown)
        if ended:
            self._step(Shown(ended))

    def forget(self) -> None:
        """The person has read how it ended; what is open stays."""
        self.shown()
        self._told, self.complaint = (), ""
        self._step(Forgotten())
        self.changed.emit()

    def renewed(self) -> None:
        """Who was logged in has logged in again."""
        self._step(Entered(self._box.owner))

    def refresh_caller(self, then: Callable[[Caller], None] | None = None) -> None:
        """Read the limits anew: what was moved today counts towards them, wherever it was moved."""

        def done(caller: Caller) -> None:
            rights = self._session.store.state.rights
            if rights is not None:
                self._session.store.put(RightsTold(replace(rights, caller=caller)))
            if then is not None:
                then(caller)

        self._session.ask(read_caller, done, lambda error: log.info("limits cannot be read now: %s", error), self)

    def close(self) -> None:
        """Let the file go; what is open is found again at the next start."""
        self._box = Box()
        self._file.close()

    # ---------------------------------------------------------------- carrying out

    def _step(self, what: Happening, *, strict: bool = False) -> None:
        """With `strict` nothing comes of it where the disk refuses. Else what is known goes on without the disk: it is
        asked for once more at the next start, under the same id."""
        box, effects = step(self._box, what, time.monotonic())
        records = [effect.record for effect in effects if isinstance(effect, Keep)]
        if records:
            try:
                self._keep(records, box)
            except OutboxError as error:
                if strict:
                    raise
                log.warning("%s", error)
        moved = box != self._box
        self._box = box
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect.entry)
        if moved:
            self.changed.emit()

    def _keep(self, records: list[Record], box: Box) -> None:
        self._file.append(records)
        if self._file.size > MAX_BYTES:
            self._file.rewrite(records_of(box, self.reasons))

    def _send(self, entry: Entry) -> None:
        def done(ending: Ending) -> None:
            self._settle(Answered(entry.command_id, ending))
            self._session.reload()

        def failed(error: Exception) -> None:
            self._settle(_meaning(entry.command_id, error))

        self._session.ask(lambda client: carry_out(client, entry), done, failed, self)

    def _settle(self, what: Happening) -> None:
        self._step(what)
        if isinstance(what, Answered):
            item = self._box.items.get(what.command_id)
            if item is not None:
                self.settled.emit(item)
            self.refresh_caller()

    def _remember(self, reason: str) -> None:
        """A reason to be offered the next time."""
        if not reason:
            return
        self.reasons = (reason, *(text for text in self.reasons if text != reason))[:REASONS]
        try:
            self._file.append([Reason(reason)])
        except OutboxError as error:
            log.warning("%s", error)

    # ---------------------------------------------------------------- the file, and who is logged in

    def _take(self) -> None:
        """Get hold of the file, once no other console has it."""
        self._lock_at = time.monotonic() + LOCK_AGAIN_S
        try:
            records = self._file.take()
        except OutboxHeld:
            self._trouble = "another console with this profile is open, and one at a time moves money and jobs"
            return
        except OutboxError as error:
            self._trouble = str(error)
            return
        self._trouble = ""
        if self._file.damaged:
            log.warning("%d lines of the outbox cannot be read; it is kept beside as .damaged", self._file.damaged)
        found, self.reasons = restored(records)
        self.reasons = self.reasons[:REASONS]
        self._box = Box(found.items)
        self.changed.emit()

    def _tick(self) -> None:
        if not self._file.held and time.monotonic() >= self._lock_at:
            self._take()
            self._note_owner()
        self._step(Ticked())

    def _store_changed(self, changes: Changes) -> None:
        if changes.connection or changes.rights or changes.topology:
            self._note_owner()

    def _note_owner(self) -> None:
        state = self._session.store.state
        phase = state.connection.phase
        caller = state.rights.caller if state.rights is not None else None
        if phase == "idle" or not self._file.held:
            owner = None
        elif phase == "failed" or caller is None or state.topology is None:
            return  # whoever it was is it still
        else:
            owner = Owner(state.topology.cluster, caller.name)
        if owner != self._box.owner:
            self._told = ()
            self._step(Entered(owner))
            self.changed.emit()


def _meaning(command_id: str, error: Exception) -> Happening:
    """What a request that brought no answer tells of its command."""
    match error:
        case NoServer():
            return Lost(command_id, short_reason(str(error)))
        case NotConnected():
            return Unsent(command_id)
        case ServerProblem():
            later = error.problem.code in ("unauthenticated", "login-delayed")
            text = "the log-in has ended" if later else str(error).rstrip(".")
            return Turned(command_id, text, later=later)
        case _:
            return Lost(command_id, f"{type(error).__name__}: {error}")
