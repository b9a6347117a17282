"""Small widgets that the views are built of: labels in a theme's colour, cards, chips, marks, buttons, empty
states.

They paint themselves from `theme.colors` at paint time, so a change of scheme is one repaint. Whatever can be seen
has a name for assistive technology, set here where the text is known.
"""

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import (
    QAction,
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.viewdata import Tone
from app.qt import glyphs, icons
from app.qt.theme import Colors, Theme

RADIUS = 10


def font(base: QFont, px: float, bold: bool = False) -> QFont:
    """The same family at a size in pixels: the console is laid out in pixels, screens scale by their own ratio."""
    result = QFont(base)
    result.setPixelSize(round(px))
    result.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    return result


def label(theme: Theme, text: str = "", role: str = "text", px: float = 13, bold: bool = False) -> QLabel:
    result = QLabel(text)
    result.setFont(font(result.font(), px, bold))
    result.setTextFormat(Qt.TextFormat.PlainText)
    theme.tint(result, role)
    return result


class Elided(QLabel):
    """A label that ends in "…" where it has no room, with the whole text as its tool tip."""

    def __init__(self, theme: Theme, role: str = "text", px: float = 13, bold: bool = False) -> None:
        super().__init__()
        self._whole = ""
        self.setFont(font(self.font(), px, bold))
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        theme.tint(self, role)

    def show_text(self, text: str) -> None:
        self._whole = text
        self.setAccessibleName(text)
        self._cut()

    def sizeHint(self) -> QSize:
        return QSize(QFontMetrics(self.font()).horizontalAdvance(self._whole) + 2, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._cut()

    def _cut(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width())
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class Card(QFrame):
    """A rounded box. `ground` and `line` name colours of the theme; `line` may be "" for none."""

    def __init__(self, theme: Theme, ground: str = "card", line: str = "line") -> None:
        super().__init__()
        self._theme = theme
        self._ground = ground
        self._border = line
        theme.on_change(self, self.update)

    def set_look(self, ground: str, line: str) -> None:
        self._ground, self._border = ground, line
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(QColor(self._theme.color(self._ground)))
            painter.setPen(QPen(QColor(self._theme.color(self._border))) if self._border else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        finally:
            painter.end()


class Mark(QWidget):
    """A health mark of fixed size."""

    def __init__(self, theme: Theme, size: int = 18) -> None:
        super().__init__()
        self._theme = theme
        self._tone: Tone = "unknown"
        self.setFixedSize(size, size)
        theme.on_change(self, self.update)

    def show_tone(self, tone: Tone, word: str) -> None:
        self._tone = tone
        self.setAccessibleName(word)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            glyphs.draw(painter, QRectF(self.rect()).adjusted(1, 1, -1, -1), self._tone, self._theme.colors)
        finally:
            painter.end()


class Chip(QWidget):
    """A mark and a word in a pill; optionally a second, paler text behind it."""

    HEIGHT = 28

    def __init__(self, theme: Theme, ground: str = "card") -> None:
        super().__init__()
        self._theme = theme
        self._ground = ground
        self._tone: Tone = "unknown"
        self._word = self._rest = ""
        self.setFont(font(self.font(), 12, bold=True))
        self.setFixedHeight(self.HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.on_change(self, self.update)

    def show_words(self, tone: Tone, word: str, rest: str = "") -> None:
        self._tone, self._word, self._rest = tone, word, rest
        self.setAccessibleName(f"{word} {rest}".strip())
        self.setFixedWidth(self._width())
        self.update()

    def _rest_font(self) -> QFont:
        return font(self.font(), 12)

    def _width(self) -> int:
        width = 34 + QFontMetrics(self.font()).horizontalAdvance(self._word) + 12
        return width + (QFontMetrics(self._rest_font()).horizontalAdvance(self._rest) + 8 if self._rest else 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter, self._theme.colors)
        finally:
            painter.end()

    def _paint(self, painter: QPainter, colors: Colors) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor(self._theme.color(self._ground)))
        painter.setPen(QColor(colors.line))
        half = self.HEIGHT / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), half, half)
        glyphs.draw(painter, QRectF(10, half - 8, 16, 16), self._tone, colors)
        painter.setFont(self.font())
        painter.setPen(QColor(colors.tone(self._tone)))
        x = 34
        painter.drawText(QRectF(x, 0, self.width() - x, self.HEIGHT), Qt.AlignmentFlag.AlignVCenter, self._word)
        if self._rest:
            x += QFontMetrics(self.font()).horizontalAdvance(self._word) + 8
            painter.setFont(self._rest_font())
            painter.setPen(QColor(colors.muted))
            painter.drawText(QRectF(x, 0, self.width() - x, self.HEIGHT), Qt.AlignmentFlag.AlignVCenter, self._rest)


class IconButton(QToolButton):
    """A flat button with one of our icons; the name is its tool tip and what a screen reader says."""

    def __init__(self, theme: Theme, icon_name: str, name: str, size: int = 18) -> None:
        super().__init__()
        self._theme = theme
        self._icon_name = icon_name
        self.setAutoRaise(True)
        self.setIconSize(QSize(size, size))
        self.setAccessibleName(name)
        self.setToolTip(name)
        theme.on_change(self, self._redraw)

    def show_icon(self, icon_name: str) -> None:
        self._icon_name = icon_name
        self._redraw()

    def _redraw(self) -> None:
        self.setStyleSheet(tool_button_sheet(self._theme.colors))
        self.setIcon(icons.icon(self._icon_name, self._theme.colors, self.iconSize().width()))


def tool_button(theme: Theme, action: QAction) -> QToolButton:
    """A flat button for a command; it shows when a command is the chosen one of several."""
    button = QToolButton()
    button.setDefaultAction(action)
    button.setAutoRaise(True)
    button.setIconSize(QSize(18, 18))
    button.setAccessibleName(action.text().replace("&", ""))
    theme.on_change(button, lambda: button.setStyleSheet(tool_button_sheet(theme.colors)))
    return button


def dress(theme: Theme, widget: QLineEdit | QPushButton) -> None:
    """Give a field or button its look, now and after every change of scheme."""
    theme.on_change(widget, lambda: widget.setStyleSheet(field_sheet(theme.colors)))


def dress_check(theme: Theme, box: QCheckBox) -> None:
    """The style draws a check box's frame from the window's colour, too dark to be seen on dark ground."""

    def paint() -> None:
        own = box.palette()
        own.setColor(QPalette.ColorRole.Window, QColor(theme.colors.muted))
        own.setColor(QPalette.ColorRole.Base, QColor(theme.colors.card))
        for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text):
            own.setColor(role, QColor(theme.colors.text))
        box.setPalette(own)

    theme.on_change(box, paint)


def dress_choice(theme: Theme, choice: QComboBox) -> None:
    """Give a drop-down list its look, now and after every change of scheme."""
    choice.setMinimumHeight(34)
    choice.view().setAccessibleName(f"{choice.accessibleName()}: choices")
    choice.setFont(font(choice.font(), 13))
    theme.on_change(choice, lambda: choice.setStyleSheet(choice_sheet(theme.colors)))


def choice_sheet(colors: Colors) -> str:
    return f"""
    QComboBox {{ background: {colors.window}; color: {colors.text}; border: 1px solid {colors.line_strong};
        border-radius: 7px; padding: 0 28px 0 9px; }}
    QComboBox:focus {{ border: 1px solid {colors.draining}; }}
    QComboBox:disabled {{ color: {colors.muted}; background: {colors.panel}; }}
    QComboBox::drop-down {{ border: none; width: 26px; }}
    QComboBox::down-arrow {{ image: none; width: 0; height: 0; border-left: 5px solid {colors.panel};
        border-right: 5px solid {colors.panel}; border-top: 6px solid {colors.muted}; margin-right: 10px; }}
    QComboBox QAbstractItemView {{ background: {colors.card}; color: {colors.text}; outline: none;
        border: 1px solid {colors.line_strong}; selection-background-color: {colors.selected};
        selection-color: {colors.text}; padding: 4px; }}
    """


def date_sheet(colors: Colors) -> str:
    return f"""
    QDateEdit {{ background: {colors.window}; color: {colors.text}; border: 1px solid {colors.line_strong};
        border-radius: 7px; padding: 0 4px 0 9px; selection-background-color: {colors.accent};
        selection-color: {colors.on_accent}; }}
    QDateEdit:focus {{ border: 1px solid {colors.draining}; }}
    QDateEdit::drop-down {{ border: none; width: 22px; }}
    QDateEdit::down-arrow {{ image: none; width: 0; height: 0; border-left: 5px solid {colors.window};
        border-right: 5px solid {colors.window}; border-top: 6px solid {colors.muted}; margin-right: 8px; }}
    """


def field_sheet(colors: Colors) -> str:
    """Line edits and push buttons; the default button of a form stands out."""
    return f"""
    QLineEdit {{ background: {colors.window}; color: {colors.text}; border: 1px solid {colors.line_strong};
        border-radius: 7px; padding: 0 9px; placeholder-text-color: {colors.muted};
        selection-background-color: {colors.accent}; selection-color: {colors.on_accent}; }}
    QLineEdit:focus {{ border: 1px solid {colors.draining}; }}
    QLineEdit:disabled {{ background: {colors.panel}; color: {colors.muted}; border-color: {colors.line}; }}
    QPushButton {{ background: {colors.panel}; color: {colors.text}; border: 1px solid {colors.line_strong};
        border-radius: 7px; padding: 7px 18px; }}
    QPushButton:hover {{ background: {colors.hover}; }}
    QPushButton:focus {{ border-color: {colors.draining}; }}
    QPushButton:default {{ background: {colors.accent}; color: {colors.on_accent}; border-color: {colors.accent}; }}
    QPushButton:default:focus {{ border-color: {colors.text}; }}
    QPushButton:disabled {{ background: {colors.panel}; color: {colors.muted}; border-color: {colors.line}; }}
    QPushButton[danger="true"]:enabled {{ color: {colors.error}; border-color: {colors.error}; }}
    """


def slim_button_sheet(colors: Colors) -> str:
    """A push button in a bar of its own height."""
    return f"{field_sheet(colors)} QPushButton {{ padding: 0 14px; }}"


def tool_button_sheet(colors: Colors) -> str:
    return f"""
    QToolButton {{ border: 1px solid transparent; border-radius: 6px; padding: 4px; }}
    QToolButton:hover {{ background: {colors.hover}; }}
    QToolButton:checked {{ background: {colors.selected}; }}
    QToolButton:focus {{ border-color: {colors.accent}; }}
    """


class Picture(QWidget):
    """One of our icons as a still picture."""

    def __init__(self, theme: Theme, icon_name: str, size: int, role: str = "muted") -> None:
        super().__init__()
        self._theme = theme
        self._icon_name = icon_name
        self._role = role
        self.setFixedSize(size, size)
        theme.on_change(self, self.update)

    def show_icon(self, icon_name: str, role: str = "muted") -> None:
        self._icon_name, self._role = icon_name, role
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            color = self._theme.color(self._role)
            painter.drawPixmap(0, 0, icons.pixmap(self._icon_name, color, self.width(), self.devicePixelRatioF()))
        finally:
            painter.end()


class StatePane(QWidget):
    """What stands where there is nothing to show: a picture, what it means, what to do, and a button that does it."""

    WIDEST = 440

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._picture = Picture(theme, "empty", 44)
        self._title = label(theme, role="text", px=16, bold=True)
        self._text = label(theme, role="muted", px=13)
        self._text.setWordWrap(True)
        self.button = QPushButton()
        self.button.setDefault(True)
        dress(theme, self.button)
        self._act: Callable[[], None] = lambda: None
        self.button.clicked.connect(lambda: self._act())
        box = QVBoxLayout(self)
        box.setSpacing(8)
        box.addStretch(1)
        for widget in (self._picture, self._title, self._text, self.button):
            box.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        box.insertSpacing(box.indexOf(self.button), 6)
        box.addStretch(1)
        for text in (self._title, self._text):
            text.setAlignment(Qt.AlignmentFlag.AlignHCenter)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A wrapped text needs a width of its own, or the layout gives it one line."""
        super().resizeEvent(event)
        self._text.setFixedWidth(max(200, min(self.WIDEST, self.width() - 48)))
        self._text.setFixedHeight(self._text.heightForWidth(self._text.width()))

    def show_state(
        self, icon_name: str, title: str, text: str, action: str = "", act: Callable[[], None] | None = None
    ) -> None:
        self._picture.show_icon(icon_name)
        self._title.setText(title)
        self._text.setText(text)
        self._text.setFixedHeight(self._text.heightForWidth(self._text.width()))
        self.button.setText(action)
        self.button.setVisible(bool(action))
        self._act = act or (lambda: None)
        self.setAccessibleName(f"{title}. {text}")


class Notice(QWidget):
    """How what was asked for last ended, in one line that can be dismissed."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._mark = Mark(theme, 16)
        self.text = Elided(theme, px=12.5)
        self._close = IconButton(theme, "close", "Dismiss", 12)
        self.dismissed = self._close.clicked
        box = row(self._mark, spacing=9, margins=(14, 0, 10, 2))
        box.addWidget(self.text, 1)
        box.addWidget(self._close)
        self.setLayout(box)

    def show_sentence(self, tone: Tone, text: str) -> None:
        self._mark.show_tone(tone, tone)
        self.text.show_text(text)
        self._theme.tint(self.text, tone if tone in ("error", "warning") else "text")
        self.setAccessibleName(text)


class Table(QTableView):
    """A table as all of ours look: whole rows, fixed height, no grid, no wrapping, elided text."""

    ROW = 32
    MOST_SHARE = 1.6
    ROOMY_SHARE = 3.0  # of columns that hold sentences

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        self._widths: dict[int, int] = {}
        self._left = 0
        self._roomy: frozenset[int] = frozenset()
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setFont(font(self.font(), 12.5))
        rows = self.verticalHeader()
        rows.setVisible(False)
        rows.setAccessibleName(f"{name}: rows")
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.ROW)
        columns = self.horizontalHeader()
        columns.setHighlightSections(False)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        columns.setFont(font(self.font(), 11.5))
        columns.setMinimumSectionSize(40)
        columns.setAccessibleName(f"{name}: columns")
        theme.on_change(self, lambda: self.setStyleSheet(item_view_sheet(theme.colors)))

    def lay_out(
        self, widths: dict[int, int], stretch: int, left: int = 300, roomy: frozenset[int] = frozenset()
    ) -> None:
        """Widths by column for a narrow window; wide ones give each more, the `roomy` ones most, and one column takes
        what is left, at least `left` before the others get more."""
        self._widths = widths
        self._roomy = roomy
        self._left = left
        header = self.horizontalHeader()
        for column in widths:
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)
        self._share_out()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._share_out()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Where nothing is chosen yet an arrow chooses the row it starts from: Qt's own would step over the first."""
        arrow = event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up)
        if arrow and self.model().rowCount() and not self.selectionModel().hasSelection():
            self.selectRow(max(0, self.currentIndex().row()))
            return
        super().keyPressEvent(event)

    def chosen_rows(self) -> list[int]:
        """The rows that are selected, from above."""
        return sorted(index.row() for index in self.selectionModel().selectedRows())

    def _share_out(self) -> None:
        share = max(1.0, self.width() / (sum(self._widths.values()) + self._left))
        for column, width in self._widths.items():
            most = self.ROOMY_SHARE if column in self._roomy else self.MOST_SHARE
            self.horizontalHeader().resizeSection(column, round(width * min(most, share)))


def item_view_sheet(colors: Colors) -> str:
    """Tables, lists and trees: flat headers, quiet selection, slim scroll bars."""
    return f"""
    QAbstractItemView {{ background: {colors.card}; color: {colors.text}; border: none; outline: none;
        selection-background-color: {colors.selected}; selection-color: {colors.text}; }}
    QAbstractItemView::item {{ padding: 0 8px; border: none; border-bottom: 1px solid {colors.line}; }}
    QAbstractItemView::item:hover {{ background: {colors.hover}; }}
    QAbstractItemView::item:selected {{ background: {colors.selected}; color: {colors.text}; }}
    QHeaderView {{ background: {colors.card}; border: none; }}
    QHeaderView::section {{ background: {colors.card}; color: {colors.muted}; border: none;
        border-bottom: 1px solid {colors.line_strong}; padding: 6px 8px; }}
    {scroll_bar_sheet(colors)}
    """


def scroll_bar_sheet(colors: Colors) -> str:
    return f"""
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
    QScrollBar::handle {{ background: {colors.line_strong}; border-radius: 4px; margin: 1px; }}
    QScrollBar::handle:vertical {{ min-height: 28px; }}
    QScrollBar::handle:horizontal {{ min-width: 28px; }}
    QScrollBar::handle:hover {{ background: {colors.edge}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    """


def splitter() -> QSplitter:
    """Two things below each other, the border between them to be dragged."""
    result = QSplitter(Qt.Orientation.Vertical)
    result.setChildrenCollapsible(False)
    result.setHandleWidth(12)
    result.setStyleSheet("QSplitter::handle { image: none; background: transparent; }")
    return result


def row(*widgets: QWidget | int, spacing: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QHBoxLayout:
    """Widgets beside each other; an int is a stretch of that weight."""
    box = QHBoxLayout()
    box.setSpacing(spacing)
    box.setContentsMargins(*margins)
    for widget in widgets:
        if isinstance(widget, int):
            box.addStretch(widget)
        else:
            box.addWidget(widget)
    return box


def column(*widgets: QWidget | int, spacing: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> QVBoxLayout:
    """Widgets below each other; an int is a stretch of that weight."""
    box = QVBoxLayout()
    box.setSpacing(spacing)
    box.setContentsMargins(*margins)
    for widget in widgets:
        if isinstance(widget, int):
            box.addStretch(widget)
        else:
            box.addWidget(widget)
    return box
