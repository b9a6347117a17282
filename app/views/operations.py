"""Where actions on the cluster are offered: the menu, a card's context menu, the panel beside the picture, the banner
of a paused cluster. All of them say the same, and why an action is off where it is.
"""

from typing import Final, Literal

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QMenu, QWidget

from app.core.operations import Offer, Verb, node_offers, offer
from app.core.reducer import Changes
from app.qt.actions import Actions, Name
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.operation import OperationDialog
from app.views.queue import QueueDialog

COMMANDS: Final[dict[Name, Verb]] = {
    "drain": "drain",
    "undrain": "undrain",
    "switchover": "switchover",
    "database_switchover": "database-switchover",
    "pause": "pause",
    "resume": "resume",
    "remove": "remove",
}


class Operations(QObject):
    """Opens one dialog at a time over `window`."""

    def __init__(self, theme: Theme, actions: Actions, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._theme = theme
        self._actions = actions
        self._session = session
        self._window = window
        self.dialog: OperationDialog | None = None
        self.queue_dialog: QueueDialog | None = None
        for name, verb in COMMANDS.items():
            actions[name].triggered.connect(lambda _=False, verb=verb: self.open(verb))
        session.store.changed.connect(self._changed)
        self._refresh()

    def offers(self, node_id: str) -> tuple[Offer, ...]:
        state = self._session.store.state
        return node_offers(node_id, state.topology, state.rights)

    def open(self, verb: Verb | Literal["edit-queue"], subject: str = "") -> None:
        """Show the dialog of an action, unless one is open already."""
        shown = self.dialog or self.queue_dialog
        if shown is not None:
            shown.raise_()
            shown.activateWindow()
        elif verb == "edit-queue":
            self._edit_queue(subject)
        else:
            self.dialog = OperationDialog(self._theme, self._session, verb, subject, self._window)
            self.dialog.finished.connect(self._closed)
            self.dialog.open()

    def _edit_queue(self, queue_id: str) -> None:
        topology = self._session.store.state.topology
        queues = topology.queues if topology is not None else ()
        queue = next((view for view in queues if str(view.queue_id) == queue_id), None)
        if queue is not None:
            self.queue_dialog = QueueDialog(self._theme, self._session, queue, self._window)
            self.queue_dialog.finished.connect(self._closed)
            self.queue_dialog.open()

    def popup(self, node_id: str, place: QPoint) -> QMenu | None:
        """The context menu of a card, None where nothing is offered for it."""
        found = self.offers(node_id)
        if not found:
            return None
        menu = QMenu(self._window)
        menu.setAccessibleName("Actions")
        menu.setToolTipsVisible(True)
        for entry in found:
            action = menu.addAction(entry.text.replace("&", "&&"))
            action.setEnabled(entry.enabled)
            action.setToolTip(f"Not now: {entry.reason}" if entry.reason else "Shows first what it would do")
            action.triggered.connect(lambda _=False, entry=entry: self.open(entry.verb, entry.subject))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)
        return menu

    def _closed(self, _: int) -> None:
        self.dialog = self.queue_dialog = None

    def _changed(self, changes: Changes) -> None:
        if changes.topology or changes.rights or changes.connection:
            self._refresh()

    def _refresh(self) -> None:
        state = self._session.store.state
        for name, verb in COMMANDS.items():
            self._actions.offer(name, offer(verb, state.topology, state.rights).reason)
