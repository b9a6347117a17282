"""All queues of all print servers: what a page costs on each, what they do with their jobs, and how they are. One or
many of them are changed at once.

The rows are those of the live picture, so they are as fresh as it is; when it ages, so do they.
"""

import time

from PySide6.QtCore import Qt

from app.core.grid import containing
from app.core.queues import CHOICES, COLUMNS, NUMBERS, chosen, counted, line
from app.core.reducer import Changes
from app.core.viewdata import short_reason, snapshot_age_s
from app.models.grid import GridModel
from app.qt.actions import Actions
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.listing import ListPage, chosen_ids
from app.views.queue import QueueDialog
from backend.wire.cluster import Topology
from backend.wire.printers import QueueView

WIDTHS = {0: 124, 1: 110, 2: 104, 3: 106, 4: 136, 5: 74, 6: 130, 7: 80, 9: 90, 10: 56}
ANY = ""


class QueuesPage(ListPage):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = GridModel(session, COLUMNS, NUMBERS)
        super().__init__(theme, session, "Queues", self.model)
        self.model.setParent(self)
        self._actions = actions
        self.table.lay_out(WIDTHS, 8, left=120)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
        self.choose_many()
        self.field = self.search_field("Find queues", "Name, place, print server", 220, self.refresh)
        self.choice = self.choice_box("Which queues", CHOICES, 150, self.refresh)
        self.edit_button = self.button("Edit…", "Change what the chosen queues cost and do", self.edit)
        self.add_tools(self.field, self.choice, self.edit_button)
        actions["edit_queues"].triggered.connect(self.edit)
        self.table.activated.connect(lambda _: self.edit())
        self.refresh()

    def store_changed(self, changes: Changes) -> None:
        if (changes.topology or changes.connection) and self.isVisible():
            self.refresh()

    def tick(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        state = self.session.store.state
        topology = state.topology
        if topology is None:
            self.model.show_lines(())
            self.show_count("")
            reason = short_reason(state.connection.reason) or "Waiting for the picture of a server"
            self.show_state("queue", "No queues known", f"{reason}.")
            self.offer()
            return
        age_s = snapshot_age_s(state, time.monotonic())
        found = chosen(topology, age_s, self.choice.currentData())
        lines = containing(tuple(line(queue, topology, age_s) for queue in found), self.field.text())
        self.model.show_lines(lines)
        self._show_counted(topology, len(self.table.chosen_rows()))
        if lines:
            self.show_table()
        elif topology.queues:
            self.show_state("search", "No queue fits", "No queue fits the filter.", "Show all", self.clear)
        else:
            text = "On a print server: inkeeper-provider track QUEUE. It appears here with the next heartbeat."
            self.show_state("empty", "No queue is known yet", text)
        self.offer()

    def clear(self) -> None:
        self.field.clear()
        self.choice.setCurrentIndex(0)
        self.refresh()

    def chosen(self) -> list[QueueView]:
        """The queues that are selected, from above."""
        topology = self.session.store.state.topology
        by_id = {str(queue.queue_id): queue for queue in topology.queues} if topology is not None else {}
        return [by_id[key] for key in chosen_ids(self, self.model.line_id) if key in by_id]

    def edit(self) -> None:
        queues = self.chosen()
        if queues:
            self.open_dialog(QueueDialog(self._theme, self.session, queues, self.window()))

    def offer(self) -> None:
        picked = len(self.table.chosen_rows()) if self.isVisible() else 0
        self._actions.offer("edit_queues", "" if picked else "choose queues first")
        self.edit_button.setEnabled(bool(picked))
        self.edit_button.setText(f"Edit {picked:,} …" if picked > 1 else "Edit…")
        topology = self.session.store.state.topology
        if topology is not None and self.model.rowCount():
            self._show_counted(topology, picked)

    def _show_counted(self, topology: Topology, picked: int) -> None:
        text = counted(topology, self.model.rowCount(), picked)
        self.show_read(text, self.session.store.state.topology_at, None)
