"""Releases and cancels on their way: sends what the help desk asked for, and asks again under the same id where no
server answered. Lives on the GUI thread.
"""

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.core.desk import Deed, Verb, answered, deed
from app.core.queries import act_on_job, explain
from app.core.reducer import Changes
from app.core.viewdata import short_reason
from app.qt.session import NotConnected, Session
from backend.base.ids import uuid7
from backend.client.errors import NoServer
from backend.wire.messages import JobActionAnswer, JobView


class Desk(QObject):
    """`changed` says that `deeds`, those of the last thing asked for and those still open, stand otherwise."""

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._deeds: dict[str, Deed] = {}  # by command id
        self._under_way: set[str] = set()
        session.store.changed.connect(self._store_changed)
        session.store.ticked.connect(self._ask_again)

    @property
    def deeds(self) -> list[Deed]:
        return list(self._deeds.values())

    def act(self, verb: Verb, jobs: Sequence[JobView], reason: str = "") -> None:
        """Ask for it, for each of the jobs. What is over of before is forgotten."""
        self._deeds = {key: found for key, found in self._deeds.items() if found.phase in ("asking", "unknown")}
        made = [deed(verb, job, uuid7(), reason) for job in jobs]
        self._deeds |= {found.command_id: found for found in made}
        for found in made:
            self._send(found)
        self.changed.emit()

    def forget(self) -> None:
        """The person has read how it ended; what is open stays."""
        self._deeds = {key: found for key, found in self._deeds.items() if found.phase in ("asking", "unknown")}
        self.changed.emit()

    def _send(self, asked: Deed) -> None:
        self._under_way.add(asked.command_id)

        def done(answer: JobActionAnswer) -> None:
            self._take(answered(asked, answer))
            self._session.reload()

        def failed(error: Exception) -> None:
            if isinstance(error, NoServer):
                self._take(replace(asked, phase="unknown", text=short_reason(str(error))))
            elif isinstance(error, NotConnected):
                self._under_way.discard(asked.command_id)
            else:
                self._take(replace(asked, phase="refused", text=explain(error).text.rstrip(".")))

        self._session.ask(lambda client: act_on_job(client, asked), done, failed, self)

    def _take(self, found: Deed) -> None:
        self._under_way.discard(found.command_id)
        if found.command_id in self._deeds:
            self._deeds[found.command_id] = found
            self.changed.emit()

    def _ask_again(self) -> None:
        for found in self.deeds:
            if found.phase == "unknown" and found.command_id not in self._under_way:
                self._send(found)  # it stays unknown until it is answered

    def _store_changed(self, changes: Changes) -> None:
        if changes.connection and self._session.store.state.connection.phase == "idle" and self._deeds:
            self._deeds, self._under_way = {}, set()  # the cluster was left
            self.changed.emit()
