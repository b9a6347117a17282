"""What pages that show a list have in common: a head with the count, filters and commands; the table, or in its place
why there is none; and a line that tells how what was asked for last ended.

A list that was read stays when no server answers, with its age said beside the count; it is never shown as if it were
of now.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from PySide6.QtCore import QAbstractItemModel, Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.freshness import ago_text, is_stale
from app.core.queries import Trouble, explain
from app.core.reducer import Changes
from app.core.viewdata import Tone, short_reason
from app.qt import icons
from app.qt.bridge import Handle
from app.qt.session import Ask, Session
from app.qt.theme import Theme
from app.views.cells import CellDelegate
from app.views.parts import (
    Card,
    Elided,
    Notice,
    StatePane,
    Table,
    choice_sheet,
    field_sheet,
    font,
    label,
    row,
    slim_button_sheet,
)

T = TypeVar("T")
TYPING_MS: Final = 250
REREAD_S: Final = 10.0
LIMIT_S: Final = 2.5 * REREAD_S
SURE_S: Final = 3.0
"""What was read so short a time ago is true though the connection is being made anew."""
HIGH: Final = 30


class ListPage(Card):
    """A page with one table. At most one dialog at a time is open over it."""

    def __init__(self, theme: Theme, session: Session, title: str, model: QAbstractItemModel) -> None:
        super().__init__(theme)
        self._theme = theme
        self.session = session
        self.dialog: QDialog | None = None
        self.old = False
        self.table = Table(theme, title)
        self.table.setModel(model)
        self.table.setItemDelegate(CellDelegate(theme, self.table))
        self.state_pane = StatePane(theme)
        self.told = Notice(theme)
        self.told.hide()
        self.told.dismissed.connect(self.told.hide)
        self._count = Elided(theme, role="muted", px=12)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.state_pane)
        self._filters = row(spacing=8, margins=(14, 10, 10, 0))
        self._head = row(label(theme, title, px=14, bold=True), self._count, spacing=10, margins=(14, 8, 10, 4))
        self._head.setStretch(1, 1)
        self.table.selectionModel().selectionChanged.connect(self.offer)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(2, 2, 2, 6)
        self._box.setSpacing(2)
        self._box.addLayout(self._head)
        self._box.addWidget(self.told)
        self._box.addWidget(self._stack, 1)
        session.store.changed.connect(self._changed)
        session.store.ticked.connect(self._ticked)

    # ---------------------------------------------------------------- building

    def add_filters(self, *widgets: QWidget) -> None:
        """A row of filters above the table."""
        for widget in widgets:
            self._filters.addWidget(widget)
        self._filters.addStretch(1)
        self._box.insertLayout(0, self._filters)

    def add_tools(self, *widgets: QWidget) -> None:
        """Commands and fields at the right of the head."""
        for widget in widgets:
            self._head.addWidget(widget)

    def add_end(self, widget: QWidget) -> None:
        """What stands below the table."""
        self._box.addWidget(widget)

    def search_field(self, name: str, placeholder: str, width: int, changed: Callable[[], None]) -> QLineEdit:
        """A field with a magnifier; `changed` is called once somebody stops typing."""
        field = QLineEdit()
        field.setPlaceholderText(placeholder)
        field.setAccessibleName(name)
        field.setToolTip(name)
        field.setClearButtonEnabled(True)
        field.setFixedSize(width, HIGH)
        magnifier = field.addAction(icons.icon("search", self._theme.colors), QLineEdit.ActionPosition.LeadingPosition)

        def restyle() -> None:
            field.setStyleSheet(f"{field_sheet(self._theme.colors)} QLineEdit {{ padding: 0 2px; }}")
            magnifier.setIcon(icons.icon("search", self._theme.colors))

        self._theme.on_change(field, restyle)
        for button in field.findChildren(QToolButton):
            button.setAccessibleName(name if button.defaultAction() is magnifier else "Clear")
        pause = QTimer(field, singleShot=True, interval=TYPING_MS)
        pause.timeout.connect(changed)
        field.textChanged.connect(lambda _: pause.start())
        return field

    def choice_box(self, name: str, choices: Mapping[Any, str], width: int, changed: Callable[[], None]) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(name)
        box.setToolTip(name)
        box.view().setAccessibleName(f"{name}: choices")
        for key, text in choices.items():
            box.addItem(text, key)
        box.setFont(font(box.font(), 12.5))
        box.setFixedSize(width, HIGH)
        self._theme.on_change(box, lambda: box.setStyleSheet(choice_sheet(self._theme.colors)))
        box.currentIndexChanged.connect(lambda _: changed())
        return box

    def button(self, text: str, tip: str, act: Callable[[], None]) -> QPushButton:
        made = QPushButton(text)
        made.setAutoDefault(False)
        made.setFont(font(made.font(), 12.5))
        made.setFixedHeight(HIGH)
        made.setToolTip(tip)
        made.clicked.connect(lambda _=False: act())
        self._theme.on_change(made, lambda: made.setStyleSheet(slim_button_sheet(self._theme.colors)))
        return made

    def choose_many(self) -> None:
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)

    # ---------------------------------------------------------------- showing

    def show_count(self, text: str, tone: str = "muted") -> None:
        self._count.show_text(text)
        self._theme.tint(self._count, tone)

    def show_read(self, text: str, read_at: float | None, trouble: Trouble | None) -> None:
        """The count, and how old it is where that may not be taken for now: no server answers, or none did for long."""
        age = time.monotonic() - read_at if read_at is not None else 0.0
        cut_off = self.session.store.state.connection.phase != "live" and age >= SURE_S
        self.old = read_at is not None and (trouble is not None or cut_off or is_stale(age, LIMIT_S))
        parts = [text, f"as known {ago_text(age)}" if self.old else ""]
        self.show_count("  ·  ".join(part for part in parts if part), "warning" if self.old else "muted")

    @property
    def count_text(self) -> str:
        return self._count.accessibleName()

    def show_table(self) -> None:
        self._stack.setCurrentWidget(self.table)

    def show_state(
        self, icon: str, title: str, text: str, act: str = "", does: Callable[[], None] | None = None
    ) -> None:
        self.state_pane.show_state(icon, title, text, act, does)
        self._stack.setCurrentWidget(self.state_pane)

    def tell(self, tone: Tone, text: str) -> None:
        """How what was asked for ended."""
        self.told.show_sentence(tone, text)
        self.told.show()

    def open_dialog(self, dialog: QDialog) -> None:
        """Show it; what is open already stays the only one."""
        if self.dialog is not None:
            self.dialog.raise_()
            dialog.deleteLater()
            return
        self.dialog = dialog
        dialog.finished.connect(self._dialog_closed)
        dialog.open()

    def _dialog_closed(self, _: int) -> None:
        self.dialog = None
        self.reread()

    # ---------------------------------------------------------------- to be filled in

    def start(self) -> None:
        """The page is shown because somebody asked for it: ready for the keyboard."""
        shown = self._stack.currentWidget() is self.table
        (self.table if shown else self.state_pane.button).setFocus(Qt.FocusReason.ShortcutFocusReason)

    def offer(self) -> None:
        """What is selected changed."""

    def reread(self) -> None:
        """Something may have changed."""

    def store_changed(self, changes: Changes) -> None:
        """What the store says."""

    def tick(self) -> None:
        """Once a second while the page is shown."""

    def _changed(self, changes: Changes) -> None:
        """A server answers again: what is old is read at once."""
        self.store_changed(changes)
        back = changes.connection and self.session.store.state.connection.phase == "live"
        if back and self.old and self.isVisible():
            self.reread()

    def _ticked(self) -> None:
        if self.isVisible():
            self.tick()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.tick()
        self.offer()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.offer()


class ReadPage(ListPage, Generic[T]):
    """A list that is read as one value, again every few seconds while it is shown."""

    def __init__(self, theme: Theme, session: Session, title: str, model: QAbstractItemModel) -> None:
        super().__init__(theme, session, title, model)
        self.value: T | None = None
        self._read_at: float | None = None
        self._asked_at = -REREAD_S
        self._trouble: Trouble | None = None
        self._handle: Handle | None = None

    def question(self) -> Ask[T]:
        raise NotImplementedError

    def show_value(self) -> str:
        """Fill the table from `value`; the words for the count."""
        raise NotImplementedError

    def nothing(self) -> tuple[str, str, str]:
        """Picture, title and text where the list is empty."""
        raise NotImplementedError

    def take(self, value: T) -> None:
        """A list as it is now, read or answered after a change."""
        self.value, self._read_at, self._trouble = value, time.monotonic(), None
        self.refresh()

    def reread(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._asked_at = time.monotonic()

        def failed(error: Exception) -> None:
            self._handle = None
            self._trouble = explain(error)
            self.refresh()

        def done(value: T) -> None:
            self._handle = None
            self.take(value)

        self._handle = self.session.ask(self.question(), done, failed, self)

    def tick(self) -> None:
        again = self._trouble is None or self._trouble.again
        if again and self._handle is None and time.monotonic() - self._asked_at >= REREAD_S:
            self.reread()
        self.refresh()

    def store_changed(self, changes: Changes) -> None:
        if changes.connection and self.session.store.state.connection.phase == "idle":
            if self._handle is not None:
                self._handle.cancel()
            self.value = self._read_at = self._trouble = self._handle = None
            self._asked_at = -REREAD_S
            self.told.hide()
            self.refresh()

    def refresh(self) -> None:
        text = self.show_value() if self.value is not None else ""
        model: Any = self.table.model()
        self.show_read(text, self._read_at, self._trouble)
        if model.rowCount():
            self.show_table()
        elif self._trouble is not None:
            told = self._trouble
            icon = "lock" if told.denied else "unplug"
            act = "" if told.denied else "Try now"
            self.show_state(icon, told.title, f"{short_reason(told.text).rstrip('.')}.", act, self.reread)
        elif self.value is None:
            self.show_state("jobs", "Reading …", "Waiting for the answer of a server.")
        else:
            self.show_state(*self.nothing())
        self.offer()


def chosen_ids(page: ListPage, ids: Callable[[int], str]) -> Sequence[str]:
    """What is selected, from above."""
    return [found for found in map(ids, page.table.chosen_rows()) if found]
