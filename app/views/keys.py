"""All shortcuts, by menu, as they are: made from the table of commands, so that none is missing and none is invented.
Those of pages that this token's role may not see are left out."""

from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QPushButton, QVBoxLayout, QWidget

from app.core.grid import Cell, Line
from app.models.grid import GridModel
from app.qt.actions import MENUS, SPECS, Actions
from app.qt.theme import Theme
from app.views.cells import CellDelegate
from app.views.parts import Card, Table, column, dress, label, row

SIZE: Final = (620, 640)
PLACES: Final = (
    ("Look-up", "↑ ↓ Enter", "Choose and open"),
    ("Graph", "← ↑ → ↓", "From node to node, Esc to leave"),
    ("Graph and tables", "Menu, Shift+F10", "What may be done to what is chosen"),
    ("Lists", "Enter", "Open or edit what is chosen"),
    ("Lists", "Shift+↑ ↓", "Choose several queues, jobs or entries"),
)
"""What is not a command: what keys do in one place."""


class KeysDialog(QDialog):
    def __init__(self, theme: Theme, actions: Actions, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard – Inkeeper")
        self.setAccessibleName("Keyboard")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*SIZE)
        self.model = GridModel(self, ("Where", "Keys", "What"))
        self.model.show_lines(list(_lines(actions)))
        self.table = Table(theme, "Shortcuts")
        self.table.setModel(self.model)
        self.table.setItemDelegate(CellDelegate(theme, self.table))
        self.table.lay_out({0: 130, 1: 170}, 2, left=240)
        card = Card(theme)
        card.setLayout(column(self.table, margins=(2, 4, 2, 6)))
        close = QPushButton("Close")
        close.setDefault(True)
        dress(theme, close)
        close.clicked.connect(self.accept)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 18)
        box.setSpacing(12)
        box.addWidget(label(theme, "Keyboard", px=18, bold=True))
        box.addWidget(card, 1)
        box.addLayout(row(1, close))


def _lines(actions: Actions) -> Iterator[Line]:
    for title, names in MENUS:
        for name in names:
            if name is not None and SPECS[name].keys and actions[name].isVisible():
                keys = " or ".join(SPECS[name].keys)
                what = SPECS[name].text.replace("&", "").rstrip("…")
                yield Line(name, (Cell(title.replace("&", ""), muted=True), Cell(keys), Cell(what)))
    for place, keys, what in PLACES:
        yield Line(f"{place} {keys}", (Cell(place, muted=True), Cell(keys), Cell(what)))
