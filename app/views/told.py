"""How what the help desk asked for last stands: one line with a mark, a button that asks again where no server
answered, and one that dismisses it. On every page from which something can be asked for.
"""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from app.core.desk import sentence
from app.core.viewdata import Tone
from app.qt.desk import Desk
from app.qt.store import Store
from app.qt.theme import Theme
from app.views.parts import Elided, IconButton, Mark, row, slim_button_sheet


class Told(QWidget):
    """Hidden while there is nothing to tell. What it shows for a second counts as read."""

    def __init__(self, theme: Theme, desk: Desk, store: Store) -> None:
        super().__init__()
        self._theme = theme
        self._desk = desk
        self._store = store
        self._mark = Mark(theme, 16)
        self.text = Elided(theme, px=12.5)
        self.again_button = QPushButton("Ask again")
        self.again_button.setAutoDefault(False)
        self.again_button.setFixedHeight(26)
        self.again_button.setToolTip("Ask now whether it was done, under the same id: it is done once")
        theme.on_change(self.again_button, lambda: self.again_button.setStyleSheet(slim_button_sheet(theme.colors)))
        self._close = IconButton(theme, "close", "Dismiss", 12)
        box = row(self._mark, spacing=9, margins=(14, 0, 10, 2))
        box.addWidget(self.text, 1)
        box.addWidget(self.again_button, 0, Qt.AlignmentFlag.AlignVCenter)
        box.addWidget(self._close)
        self.setLayout(box)
        self.again_button.clicked.connect(lambda: desk.ask_now())
        self._close.clicked.connect(desk.forget)
        desk.changed.connect(self._show)
        store.ticked.connect(self._ticked)
        self._show()

    def _show(self) -> None:
        items, complaint = self._desk.items, self._desk.complaint
        self.setVisible(bool(items or complaint))
        if complaint:
            self._show_sentence("error", f"{complaint[:1].upper()}{complaint[1:]}.")
        elif items:
            self._show_sentence(*sentence(items, self._store.state.ledger))
        waits = any(item.phase == "unknown" and not item.asking for item in items)
        self.again_button.setVisible(any(item.phase == "unknown" for item in items) and not complaint)
        self.again_button.setEnabled(waits)

    def _show_sentence(self, tone: Tone, text: str) -> None:
        self._mark.show_tone(tone, tone)
        self.text.show_text(text)
        self._theme.tint(self.text, tone if tone in ("error", "warning") else "text")
        self.setAccessibleName(text)

    def _ticked(self) -> None:
        if self.isVisible() and not self.window().isMinimized():
            self._desk.shown()
