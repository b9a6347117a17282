"""What a printer has left of its supplies: a bar in the supply's own colour, and always the word beside it."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.facts import supply_word
from app.qt.theme import Theme
from app.views.parts import Elided, label, row
from backend.wire.printers import Supply

HEIGHT = 6


class SupplyBar(QWidget):
    """How full, from 0 to 100; a level that is not known is an empty frame."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._level = -2
        self._color = ""
        self.setFixedHeight(HEIGHT + 2)
        theme.on_change(self, self.update)

    def show_level(self, level: int, color: str) -> None:
        self._level, self._color = level, color
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        colors = self._theme.colors
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(0.5, 0.5, self.width() - 1, HEIGHT)
        painter.setPen(QColor(colors.edge))
        painter.setBrush(QColor(colors.line_strong))  # black toner must be seen on it, and yellow
        painter.drawRoundedRect(frame, 3, 3)
        if self._level > 0:
            own = QColor(self._color[:7])  # of several colours the first
            painter.setBrush(own if own.isValid() else QColor(colors.muted))
            painter.drawRoundedRect(QRectF(0.5, 0.5, max(4.0, frame.width() * self._level / 100), HEIGHT), 3, 3)


class Supplies(QWidget):
    """Kept and filled anew, as a refresh comes each second."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._rows: list[tuple[QWidget, Elided, QLabel, SupplyBar]] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 4, 0, 0)
        self._box.setSpacing(7)
        self._box.addWidget(label(theme, "Supplies", "muted", 12, bold=True))
        self.setAccessibleName("Supplies")

    def show_supplies(self, supplies: Sequence[Supply]) -> None:
        while len(self._rows) < len(supplies):
            self._add()
        for place, (holder, name, word, bar) in enumerate(self._rows):
            holder.setVisible(place < len(supplies))
            if place < len(supplies):
                supply = supplies[place]
                tone, text = supply_word(supply)
                name.show_text(supply.name or supply.kind or "Supply")
                word.setText(text)
                self._theme.tint(word, tone)
                bar.show_level(supply.level, supply.color)
                holder.setAccessibleName(f"{supply.name}: {text}")
        self.setVisible(bool(supplies))

    def _add(self) -> None:
        holder = QWidget()
        name, word, bar = Elided(self._theme, px=12), label(self._theme, px=12), SupplyBar(self._theme)
        inner = QVBoxLayout(holder)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(3)
        head = row(name, word, spacing=8)
        head.setStretch(0, 1)
        inner.addLayout(head)
        inner.addWidget(bar)
        self._box.addWidget(holder)
        self._rows.append((holder, name, word, bar))
