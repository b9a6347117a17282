"""The line below a list that holds no more than its newest rows: that older ones may be there, and the way on to them.

A list that ends without a word looks complete. So the end says that it is none, and goes on below the last row.
"""

from collections.abc import Callable

from PySide6.QtWidgets import QPushButton, QWidget

from app.qt.theme import Theme
from app.views.parts import Elided, Mark, font, row, slim_button_sheet


class Onward(QWidget):
    """Hidden while the list is whole."""

    def __init__(self, theme: Theme, older: Callable[[], None], newest: Callable[[], None]) -> None:
        super().__init__()
        self._mark = Mark(theme, 16)
        self._text = Elided(theme, px=12.5)
        self.older = _button(theme, "Go on with older", older)
        self.newest = _button(theme, "Back to the newest", newest)
        box = row(self._mark, spacing=9, margins=(14, 4, 10, 2))
        box.addWidget(self._text, 1)
        box.addWidget(self.newest)
        box.addWidget(self.older)
        self.setLayout(box)
        self._mark.show_tone("waiting", "there is more")
        self.hide()

    def show_end(self, text: str, *, full: bool, below: bool) -> None:
        """`full`: no more rows are taken in; `below`: the list does not begin with the newest."""
        self._text.show_text(text)
        self.older.setVisible(full)
        self.newest.setVisible(below)
        self.setAccessibleName(text)
        self.setVisible(full or below)


def _button(theme: Theme, text: str, act: Callable[[], None]) -> QPushButton:
    made = QPushButton(text)
    made.setAutoDefault(False)
    made.setFont(font(made.font(), 12.5))
    made.setFixedHeight(28)
    made.clicked.connect(lambda _=False: act())
    theme.on_change(made, lambda: made.setStyleSheet(slim_button_sheet(theme.colors)))
    return made
