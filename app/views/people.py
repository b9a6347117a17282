"""The people page: type, see who it may be, press Enter, see the balance. All of it by keyboard alone.

The field keeps the focus while the arrow keys move through what was found, so that typing on narrows it down at any
moment.
"""

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from app.core.queries import Read, Trouble
from app.core.reducer import Changes
from app.core.viewdata import found_text
from app.models.roles import ID
from app.models.users import UsersModel
from app.qt import icons
from app.qt.actions import Actions
from app.qt.lookup import MIN_LETTERS, Lookup
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cells import PersonDelegate
from app.views.parts import Card, StatePane, field_sheet, item_view_sheet, label, row
from app.views.person import PersonPanel
from backend.wire.people import UserList


class SearchPanel(Card):
    """The field and the list of what was found."""

    def __init__(self, theme: Theme, session: Session, panel: PersonPanel) -> None:
        super().__init__(theme)
        self._theme = theme
        self._session = session
        self._panel = panel
        self.lookup = Lookup(session, self)
        self.field = QLineEdit()
        self.model = UsersModel(self)
        self.results = QListView()
        self.state_pane = StatePane(theme)
        self._wanted = ""  # the text that Enter was pressed for before its answer was there
        self._moved = False  # whether somebody chose a row of these results
        self._count = label(theme, role="muted", px=12)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.results)
        self._stack.addWidget(self.state_pane)
        self._build(theme)
        self._connect()
        self._nothing()

    def _build(self, theme: Theme) -> None:
        self.field.setPlaceholderText("Name, login, e-mail, card or alias")
        self.field.setAccessibleName("Find a person")
        self.field.setAccessibleDescription("Type, choose with the arrow keys, open with Enter")
        self.field.setClearButtonEnabled(True)
        self.field.setMinimumHeight(38)
        self.field.installEventFilter(self)
        theme.on_change(
            self.field, lambda: self.field.setStyleSheet(f"{field_sheet(theme.colors)} QLineEdit {{ padding: 0 2px; }}")
        )
        self._magnifier = self.field.addAction(
            icons.icon("search", theme.colors), QLineEdit.ActionPosition.LeadingPosition
        )
        theme.on_change(self, lambda: self._magnifier.setIcon(icons.icon("search", theme.colors)))
        for button in self.field.findChildren(QToolButton):
            button.setAccessibleName("Find" if button.defaultAction() is self._magnifier else "Clear")
        self.results.setModel(self.model)
        self.results.setItemDelegate(PersonDelegate(theme, self.results))
        self.results.setAccessibleName("People found")
        self.results.setFrameShape(QFrame.Shape.NoFrame)
        self.results.setUniformItemSizes(True)
        self.results.setMouseTracking(True)
        theme.on_change(self.results, lambda: self.results.setStyleSheet(item_view_sheet(theme.colors)))
        box = QVBoxLayout(self)
        box.setContentsMargins(12, 12, 12, 12)
        box.setSpacing(8)
        box.addWidget(self.field)
        box.addWidget(self._count)
        box.addWidget(self._stack, 1)

    def _connect(self) -> None:
        self.field.textChanged.connect(self.lookup.type)
        self.lookup.searching.connect(lambda _: self._count.setText("Looking …"))
        self.lookup.found.connect(self._found)
        self.lookup.failed.connect(self._failed)
        self.lookup.cleared.connect(self._nothing)
        self._panel.seen.connect(self.model.update_user)
        self._session.store.changed.connect(self._changed)
        self.results.clicked.connect(self._open)
        self.results.activated.connect(self._open)

    # ---------------------------------------------------------------- keyboard

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._pressed(Qt.Key(event.key()))
        return super().eventFilter(watched, event)

    def _pressed(self, key: Qt.Key) -> bool:
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}
        if key in steps:
            self._move(steps[key])
            return True
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._enter()
            return True
        if key == Qt.Key.Key_Escape and self.field.text():
            self.field.clear()
            return True
        return False

    def _move(self, step: int) -> None:
        rows = self.model.rowCount()
        if rows:
            self._moved = True
            current = self.results.currentIndex().row()
            self.results.setCurrentIndex(self.model.index(max(0, min(rows - 1, current + step)), 0))

    def _enter(self) -> None:
        """Open who is chosen. What stands there of an earlier text is not what was meant: then the answer is waited
        for, and opened where it can only be one. So a card reader, which types digits and Enter at once, opens the
        card's owner."""
        index = self.results.currentIndex()
        if self.model.text == self.lookup.text and index.isValid():
            named = self.model.row_of_number(self.lookup.text) if not self._moved else -1
            self._open(self.model.index(named, 0) if named >= 0 else index)
        else:
            self._wanted = self.lookup.text
            self.lookup.submit()

    def _open(self, index: QModelIndex) -> None:
        name = index.data(ID)
        if name:
            self._panel.open_person(str(name))
            self.field.selectAll()  # the next name, or the next card, takes its place

    # ---------------------------------------------------------------- answers

    def _changed(self, changes: Changes) -> None:
        """What was found belongs to whoever was logged in, and to that cluster."""
        if changes.connection and self._session.store.state.connection.phase == "idle":
            self._wanted = ""
            self.field.clear()

    def _found(self, read: Read[UserList]) -> None:
        self.model.show_found(read.value, self.lookup.text)
        self._moved = False
        self._count.setText(found_text(len(read.value.users), read.value.total))
        if not read.value.users:
            text = "Nobody’s login, name, e-mail, card number or alias begins like that."
            self._show_state("people", f"No “{self.lookup.text}”", text)
            return
        self._stack.setCurrentWidget(self.results)
        self.results.setCurrentIndex(self.model.index(0, 0))
        if self._wanted == self.lookup.text:
            self._wanted = ""
            named = self.model.row_of_number(self.lookup.text)
            if named >= 0 or len(read.value.users) == 1:
                self._open(self.model.index(max(0, named), 0))

    def _failed(self, trouble: Trouble) -> None:
        self.model.show_found(None)
        picture = "lock" if trouble.denied else "unplug" if trouble.again else "warning"
        self._show_state(picture, trouble.title, trouble.text, again=trouble.again)

    def _nothing(self) -> None:
        self.model.show_found(None)
        if self.lookup.text:
            self._show_state(
                "search", "Go on typing", f"The look-up begins at {MIN_LETTERS} letters; Enter asks at once."
            )
        else:
            self._show_state("search", "Find a person", "Type, choose with ↑ and ↓, open with Enter.")

    def _show_state(self, picture: str, title: str, text: str, again: bool = False) -> None:
        if self._stack.currentWidget() is not self.state_pane or not self.model.rowCount():
            self._count.setText("")
        self.state_pane.show_state(picture, title, text, "Try again" if again else "", self.lookup.submit)
        self._stack.setCurrentWidget(self.state_pane)


class PeoplePage(QWidget):
    """Search on the left, the person on the right."""

    SEARCH_WIDTH = 356

    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        super().__init__()
        self.person = PersonPanel(theme, actions, session)
        self.search = SearchPanel(theme, session, self.person)
        self.search.setFixedWidth(self.SEARCH_WIDTH)
        box = row(self.search, self.person, spacing=12)
        box.setStretch(1, 1)
        self.setLayout(box)

    def start(self) -> None:
        """Ready to type, whatever stands in the field selected."""
        self.search.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.field.selectAll()
