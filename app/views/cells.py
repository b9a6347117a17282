"""How cells are painted: a mark before the word where the model gives a tone, paler text where it says so.

Lean on purpose: a repaint of a table asks a cell for three roles, not for Qt's usual seven.
"""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.core.viewdata import Tone, person_title
from app.models.roles import MUTED, TONE, Index
from app.models.users import UsersModel
from app.qt import glyphs
from app.qt.theme import Colors, Theme
from app.views.parts import font
from backend.wire.people import UserView

PADDING = 8
MARK = 14


def _ground(painter: QPainter, option: QStyleOptionViewItem, colors: Colors) -> None:
    if QStyle.StateFlag.State_Selected in option.state:
        painter.fillRect(option.rect, QColor(colors.selected))
    elif QStyle.StateFlag.State_MouseOver in option.state:
        painter.fillRect(option.rect, QColor(colors.hover))
    painter.setPen(QColor(colors.line))
    painter.drawLine(option.rect.bottomLeft(), option.rect.bottomRight())


def _elided(painter: QPainter, rect: QRectF, text: str, own: QFont, flags: Qt.AlignmentFlag) -> None:
    painter.setFont(own)
    painter.drawText(rect, flags, QFontMetricsF(own).elidedText(text, Qt.TextElideMode.ElideRight, rect.width()))


class CellDelegate(QStyledItemDelegate):
    """For tables and the tree."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(60, 32)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        try:
            colors = self._theme.colors
            _ground(painter, option, colors)
            text = index.data(Qt.ItemDataRole.DisplayRole) or ""
            tone: Tone | None = index.data(TONE)
            rect = QRectF(option.rect).adjusted(PADDING, 0, -PADDING, 0)
            flags = index.data(Qt.ItemDataRole.TextAlignmentRole) or (
                Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            )
            # A number has its sign, and no room to lose.
            if tone is not None and not flags & Qt.AlignmentFlag.AlignRight:
                painter.setRenderHint(QPainter.RenderHint.Antialiasing)
                glyphs.draw(painter, QRectF(rect.x(), rect.center().y() - MARK / 2, MARK, MARK), tone, colors)
                rect.adjust(MARK + 7, 0, 0, 0)
            muted = bool(index.data(MUTED))
            painter.setPen(QColor(colors.tone(tone) if tone else colors.muted if muted else colors.text))
            _elided(painter, rect, str(text), option.font, flags)
        finally:
            painter.restore()


class PersonDelegate(QStyledItemDelegate):
    """A found person in two lines: name and balance; login, why they were found, or their department, and what is
    restricted."""

    HEIGHT = 56

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, self.HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = index.model()
        user = model.user(index.row()) if isinstance(model, UsersModel) else None
        if user is None or not isinstance(model, UsersModel):
            return
        painter.save()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            _ground(painter, option, self._theme.colors)
            rect = QRectF(option.rect).adjusted(12, 0, -14, 0)
            self._paint(painter, rect, user, model.balance_text(user), model.hint(user))
        finally:
            painter.restore()

    def _paint(self, painter: QPainter, rect: QRectF, user: UserView, balance: str, hint: str) -> None:
        colors, base = self._theme.colors, painter.font()
        draw_initials(painter, QRectF(rect.x(), rect.center().y() - 17, 34, 34), person_title(user), colors)
        rect.adjust(46, 0, 0, 0)
        strong, small = font(base, 13, bold=True), font(base, 11.5)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        first = QRectF(rect.x(), rect.y() + 9, rect.width(), 20)
        second = QRectF(rect.x(), rect.y() + 29, rect.width(), 18)
        painter.setPen(QColor(colors.error if user.balance < 0 else colors.text))
        _elided(painter, first, balance, strong, right)
        taken = QFontMetricsF(strong).horizontalAdvance(balance) + 12
        painter.setPen(QColor(colors.text))
        _elided(painter, first.adjusted(0, 0, -taken, 0), person_title(user), strong, left)
        word = "printing off" if user.disabled else "restricted" if user.restricted else ""
        painter.setPen(QColor(colors.error if user.disabled else colors.muted))
        _elided(painter, second, word, small, right)
        taken = QFontMetricsF(small).horizontalAdvance(word) + 12 if word else 0
        painter.setPen(QColor(colors.muted))
        who = "  ·  ".join(part for part in (user.name, hint or user.department) if part)
        _elided(painter, second.adjusted(0, 0, -taken, 0), who, small, left)


def draw_initials(painter: QPainter, rect: QRectF, name: str, colors: Colors) -> None:
    """A disc with up to two initials: something for the eye to hold on to, no meaning in it."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colors.selected))
    painter.drawEllipse(rect)
    words = [word for word in name.replace(".", " ").replace("-", " ").split() if word]
    initials = "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words[:1])).upper()
    painter.setPen(QColor(colors.text))
    painter.setFont(font(painter.font(), rect.height() * 0.38, bold=True))
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, initials)
