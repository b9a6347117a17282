"""The history page: what happened to the cluster, newest first, live; older events as one scrolls; a filter over all.

When no server answers the events stay, visibly aged; after a reset or a restored database they are read anew.
"""

import time
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.freshness import ago_text
from app.core.history import GROUPS, Group, as_csv, line
from app.core.queries import explain, older_events
from app.core.reducer import Changes
from app.core.viewdata import database_now_ms
from app.models.history import (
    ACTOR,
    AWAY,
    MAX_EVENTS,
    SEVERITY,
    SUBJECT,
    TERM,
    WHAT,
    WHEN,
    WHY,
    HistoryModel,
)
from app.qt import icons
from app.qt.actions import Actions
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cells import CellDelegate
from app.views.parts import Card, StatePane, Table, dress_choice, field_sheet, label, row, tool_button
from backend.wire.cluster import ClusterEvent

WIDTHS = {WHEN: 128, SEVERITY: 112, WHAT: 170, SUBJECT: 106, AWAY: 70, TERM: 52, ACTOR: 96}


class HistoryPage(Card):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        super().__init__(theme)
        self._theme = theme
        self._session = session
        self._actions = actions
        self.model = HistoryModel(self, self._fetch)
        self.table = Table(theme, "History")
        self.table.setModel(self.model)
        self.table.setItemDelegate(CellDelegate(theme, self.table))
        self.table.lay_out(WIDTHS, WHY, left=560)
        self.field = QLineEdit()
        self.group = QComboBox()
        self.state_pane = StatePane(theme)
        self._count: QLabel = label(theme, role="muted", px=12)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.state_pane)
        self._build(theme)
        self._connect()
        self.refresh(fresh=True)

    def _build(self, theme: Theme) -> None:
        self.field.setPlaceholderText("Filter: server, cause, person …")
        self.field.setAccessibleName("Filter the history")
        self.field.setClearButtonEnabled(True)
        self.field.setMinimumHeight(34)
        self.field.setFixedWidth(270)
        theme.on_change(
            self.field, lambda: self.field.setStyleSheet(f"{field_sheet(theme.colors)} QLineEdit {{ padding: 0 2px; }}")
        )
        self._magnifier = self.field.addAction(
            icons.icon("search", theme.colors), QLineEdit.ActionPosition.LeadingPosition
        )
        theme.on_change(self, lambda: self._magnifier.setIcon(icons.icon("search", theme.colors)))
        for button in self.field.findChildren(QToolButton):
            button.setAccessibleName("Filter" if button.defaultAction() is self._magnifier else "Clear")
        self.group.setAccessibleName("Kind of event")
        for group, title in GROUPS.items():
            self.group.addItem(title, group)
        self.group.setFixedWidth(206)
        dress_choice(theme, self.group)
        copy, save = (tool_button(theme, self._actions[name]) for name in ("copy_event", "export_events"))
        head = row(
            label(theme, "Events", px=14, bold=True),
            self._count,
            1,
            self.field,
            self.group,
            copy,
            save,
            spacing=10,
            margins=(14, 10, 10, 6),
        )
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 6)
        box.setSpacing(2)
        box.addLayout(head)
        box.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.field.textChanged.connect(self._filter)
        self.group.currentIndexChanged.connect(self._filter)
        self.table.selectionModel().selectionChanged.connect(self._offer)
        self.model.rowsInserted.connect(self._offer)
        self.model.modelReset.connect(self._offer)
        self._actions["copy_event"].triggered.connect(self.copy)
        self._actions["export_events"].triggered.connect(self._export)
        self._session.store.changed.connect(self._changed)
        self._session.store.ticked.connect(self._tick)

    # ---------------------------------------------------------------- what the store says

    def _changed(self, changes: Changes) -> None:
        if changes.history or changes.history_replaced or changes.connection:
            self.refresh(fresh=changes.history_replaced)

    def refresh(self, fresh: bool) -> None:
        state = self._session.store.state
        now_ms = database_now_ms(state, time.monotonic(), int(time.time() * 1000))
        self.model.show_events(state.history, now_ms, fresh=fresh)
        self._show_count()
        self._choose_page()

    def _tick(self) -> None:
        if self.isVisible():
            self._show_count()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show_count()
        self._offer()

    # ---------------------------------------------------------------- older pages and the filter

    def _fetch(self, before: str) -> None:
        def done(events: tuple[ClusterEvent, ...]) -> None:
            self.model.add_page(before, events)
            self._show_count()
            self._choose_page()

        def failed(error: Exception) -> None:
            self.model.page_failed(explain(error).title.lower())
            self._show_count()

        self._session.ask(lambda client: older_events(client, before), done, failed, self)

    def _filter(self) -> None:
        group: Group = self.group.currentData()
        self.model.filter(self.field.text(), group)
        self.table.scrollToTop()
        self._show_count()
        self._choose_page()

    def clear_filter(self) -> None:
        self.field.clear()
        self.group.setCurrentIndex(0)

    # ---------------------------------------------------------------- showing

    def count_text(self) -> str:
        return self._count.text()

    def _show_count(self) -> None:
        """How many of how many, whether there are older ones, and how old this is while no server answers."""
        state, shown, loaded = self._session.store.state, self.model.rowCount(), self.model.loaded
        parts = []
        if loaded:
            parts.append(f"{shown:,} of {loaded:,} read" if self.model.filtered else f"newest {loaded:,}")
            parts += ["all there are"] if self.model.complete else []
            parts += [f"older than these {MAX_EVENTS:,} are not read"] if loaded >= MAX_EVENTS else []
            parts += ["reading older ones …"] if self.model.searching else []
            problem = self.model.page_problem
            parts += [f"older ones could not be read: {problem}"] if problem else []
        cut_off = state.connection.phase != "live" and state.history_at is not None
        if cut_off and state.history_at is not None:
            parts.append(f"as known {ago_text(time.monotonic() - state.history_at)}")
        self._count.setText("  ·  ".join(parts))
        self._theme.tint(self._count, "warning" if cut_off or self.model.page_problem else "muted")

    def _choose_page(self) -> None:
        state = self._session.store.state
        if "history" in state.forbidden:
            text = "This access token’s role does not allow to see the cluster’s history."
            self.state_pane.show_state("lock", "Not allowed", text)
        elif state.connection.phase == "failed" and not state.history:
            text = f"{state.connection.reason or 'The connection failed'}."
            self.state_pane.show_state("lock", "Not signed in", text)
        elif state.history_at is None:
            waiting = state.connection.phase == "connecting"
            title = "Reading …" if waiting else "No history known"
            text = "Who joined and went, who led and why, and what people did appears here."
            self.state_pane.show_state("history", title, text)
        elif not state.history:
            text = "As soon as something happens to the cluster it appears here, and stays."
            self.state_pane.show_state("empty", "Nothing has happened yet", text)
        elif not self.model.rowCount():
            text = "No event that was read fits the filter." if not self.model.searching else "Reading older events …"
            self.state_pane.show_state("search", "Nothing found", text, "Show everything", self.clear_filter)
        else:
            self._stack.setCurrentWidget(self.table)
            return
        self._stack.setCurrentWidget(self.state_pane)

    # ---------------------------------------------------------------- copy and save

    def _offer(self) -> None:
        here = self.isVisible()
        chosen = bool(self.table.selectionModel().selectedRows())
        self._actions.offer("copy_event", "" if here and chosen else "choose an event of the history first")
        self._actions.offer("export_events", "" if here and self.model.rowCount() else "there is no history to save")

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._offer()

    def copy(self) -> None:
        """The chosen events, a line each."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        found = [event for event in map(self.model.event_at, rows) if event is not None]
        if found:
            QGuiApplication.clipboard().setText("\n".join(map(line, found)))

    def _export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the history", "inkeeper-history.csv", "Table (*.csv)")
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write the events that are shown; a refusal of the system is said beside the count."""
        try:
            path.write_text(as_csv(self.model.shown()), encoding="utf-8", newline="")
        except OSError as error:
            self._count.setText(f"{path} cannot be written: {error.strerror or error}")
            self._theme.tint(self._count, "error")
            return
        self._count.setText(f"{self.model.rowCount():,} events saved to {path}")

    def start(self) -> None:
        """Ready to walk through by arrow keys."""
        target: QWidget = self.table if self._stack.currentWidget() is self.table else self.field
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)
