"""What the picture of the cluster is drawn of: cards, tier boxes, edges, badges. One painted item each, no child
items.

Health is told four times: by colour, glyph, word and border (dashed = not known any more, or not counted). Below
certain scales text that nobody could read is left out (level of detail).
"""

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPainterPathStroker, QPen
from PySide6.QtWidgets import (
    QApplication,
    QGraphicsItem,
    QGraphicsSceneHoverEvent,
    QGraphicsSceneMouseEvent,
    QStyle,
    QStyleOptionGraphicsItem,
    QWidget,
)

from app.core.layout import Group, Rect
from app.core.topology import Edge, Node
from app.core.viewdata import Tone
from app.qt import glyphs
from app.qt.theme import Theme
from app.views.parts import font

LOD_NAME_ONLY: Final = 0.45
LOD_BLOCK: Final = 0.3
STRIPE: Final = 5.0
RADIUS: Final = 9.0

Left: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
Right: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def qrect(rect: Rect) -> QRectF:
    return QRectF(rect.x, rect.y, rect.w, rect.h)


def _text(painter: QPainter, rect: QRectF, text: str, own: QFont, color: str, flags: Qt.AlignmentFlag = Left) -> None:
    painter.setFont(own)
    painter.setPen(QColor(color))
    shown = QFontMetricsF(own).elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, flags, shown)


def fitting(text: str, own: QFont, width: float) -> str:
    """As many of the parts between middle dots as there is room for, at least the first."""
    metrics = QFontMetricsF(own)
    parts = text.split(" · ")
    while len(parts) > 1 and metrics.horizontalAdvance(" · ".join(parts)) > width:
        parts.pop()
    return " · ".join(parts)


class CardItem(QGraphicsItem):
    """One node. Its origin is the card's top left corner."""

    def __init__(self, node: Node, rect: Rect, theme: Theme, chosen: Callable[[str], None]) -> None:
        super().__init__()
        self.node = node
        self._theme = theme
        self._chosen = chosen
        self._size = QRectF(0, 0, rect.w, rect.h)
        self._hovered = False
        self.setPos(rect.x, rect.y)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIsSelectable)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIsFocusable)
        self.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
        self.setAcceptHoverEvents(True)
        self._describe()

    def show_node(self, node: Node) -> None:
        if node != self.node:
            self.node = node
            self._describe()
            self.update()

    def _describe(self) -> None:
        self.setToolTip(f"{self.node.name}\n{self.node.kind}\n{self.node.status}")

    def boundingRect(self) -> QRectF:
        return self._size.adjusted(-3, -3, 3, 3)

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRoundedRect(self._size, RADIUS, RADIUS)
        return path

    def hoverEnterEvent(self, event: QGraphicsSceneHoverEvent) -> None:
        self._hovered = True
        self.update()

    def hoverLeaveEvent(self, event: QGraphicsSceneHoverEvent) -> None:
        self._hovered = False
        self.update()

    def mousePressEvent(self, event: QGraphicsSceneMouseEvent) -> None:
        super().mousePressEvent(event)
        self._chosen(self.node.id)
        if event.button() is Qt.MouseButton.RightButton:
            self.setSelected(True)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.save()
        try:
            lod = option.levelOfDetailFromTransform(painter.worldTransform())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_box(painter, lod)
            if lod >= LOD_NAME_ONLY:
                self._paint_texts(painter)
            elif lod >= LOD_BLOCK:
                own = font(QApplication.font(), 24, bold=True)
                _text(painter, self._size.adjusted(16, 0, -8, 0), self.node.name, own, self._theme.colors.text)
            focused = QStyle.StateFlag.State_HasFocus in option.state or QStyle.StateFlag.State_Selected in option.state
            if focused:
                self._paint_focus(painter)
        finally:
            painter.restore()

    def _paint_box(self, painter: QPainter, lod: float) -> None:
        colors, health = self._theme.colors, self.node.health
        tone = QColor(colors.tone(health))
        calm = health in ("ok", "draining") and not self.node.dashed
        if lod < LOD_BLOCK:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(tone)
            painter.drawRoundedRect(self._size, RADIUS, RADIUS)
            return
        clip = QPainterPath()
        clip.addRoundedRect(self._size, RADIUS, RADIUS)
        painter.fillPath(clip, QColor(colors.hover if self._hovered else colors.card))
        quiet = calm or health == "unknown"
        pen = QPen(QColor(colors.line_strong) if quiet else tone, 1.25 if quiet else 1.6)
        if self.node.dashed:
            pen.setStyle(Qt.PenStyle.CustomDashLine)
            pen.setDashPattern([4, 3])
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(self._size.adjusted(0.7, 0.7, -0.7, -0.7), RADIUS, RADIUS)
        painter.setClipPath(clip)
        painter.fillRect(QRectF(0, 0, STRIPE, self._size.height()), tone)
        painter.setClipping(False)

    def _paint_texts(self, painter: QPainter) -> None:
        colors, node, width = self._theme.colors, self.node, self._size.width()
        base = QApplication.font()
        _text(painter, QRectF(17, 8, width - 56, 22), node.name, font(base, 14, bold=True), colors.text)
        glyphs.draw(painter, QRectF(width - 31, 10, 19, 19), node.health, colors)
        small = font(base, 11.5)
        aged = (
            QFontMetricsF(small).horizontalAdvance(node.age) + 8
            if node.age not in node.status and node.age != "now"
            else 0
        )
        room = width - 30
        _text(painter, QRectF(17, 31, room - aged, 20), fitting(node.kind, small, room - aged), small, colors.muted)
        if aged:
            _text(painter, QRectF(width - 13 - aged, 31, aged, 20), node.age, small, colors.muted, Right)
        loud = node.health in ("warning", "error")
        own = font(base, 12, bold=loud)
        status = fitting(node.status, own, room) if node.health == "ok" else node.status
        _text(painter, QRectF(17, 53, room, 20), status, own, colors.tone(node.health))

    def _paint_focus(self, painter: QPainter) -> None:
        painter.setPen(QPen(QColor(self._theme.colors.accent), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(self._size.adjusted(-2, -2, 2, 2), RADIUS + 2, RADIUS + 2)


class GroupItem(QGraphicsItem):
    """A tier's box with title and caption, behind everything."""

    def __init__(self, group: Group, theme: Theme) -> None:
        super().__init__()
        self._group = group
        self._theme = theme
        self.setZValue(-5)

    def show_group(self, group: Group) -> None:
        if group != self._group:
            self.prepareGeometryChange()
            self._group = group
            self.update()

    def boundingRect(self) -> QRectF:
        return qrect(self._group.rect).adjusted(-1, -1, 1, 1)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.save()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            colors, rect = self._theme.colors, qrect(self._group.rect)
            painter.setPen(QPen(QColor(colors.line), 1.25))
            painter.setBrush(QColor(colors.panel))
            painter.drawRoundedRect(rect, 14, 14)
            if option.levelOfDetailFromTransform(painter.worldTransform()) < LOD_BLOCK:
                return
            inner = rect.adjusted(18, 0, -18, 0)
            base = QApplication.font()
            title, small = font(base, 13, bold=True), font(base, 11.5)
            _text(painter, QRectF(inner.x(), rect.y() + 9, inner.width(), 20), self._group.title, title, colors.text)
            _text(
                painter, QRectF(inner.x(), rect.y() + 28, inner.width(), 18), self._group.caption, small, colors.muted
            )
            for line, (tone, word) in enumerate(self._group.alerts[:2]):
                self._paint_alert(painter, inner.right(), rect.y() + 7 + line * 22, tone, word)
        finally:
            painter.restore()

    def _paint_alert(self, painter: QPainter, right: float, top: float, tone: Tone, word: str) -> None:
        """A pill at the right edge: mark and word in the tone's colour."""
        colors, own = self._theme.colors, font(QApplication.font(), 11, bold=True)
        width = QFontMetricsF(own).horizontalAdvance(word) + 34
        pill = QRectF(right - width + 8, top, width, 20)
        painter.setPen(QPen(QColor(colors.tone(tone)), 1.2))
        painter.setBrush(QColor(colors.card))
        painter.drawRoundedRect(pill, 10, 10)
        glyphs.draw(painter, QRectF(pill.x() + 6, top + 3.5, 13, 13), tone, colors)
        _text(painter, pill.adjusted(24, 0, -4, 0), word, own, colors.tone(tone))


class BlockItem(QGraphicsItem):
    """A bracket beside the queues of one print server: where its edge ends."""

    def __init__(self, rect: Rect, theme: Theme) -> None:
        super().__init__()
        self._rect = rect
        self._theme = theme
        self.setZValue(-2)

    def boundingRect(self) -> QRectF:
        return qrect(self._rect).adjusted(-14, -2, 2, 2)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.save()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(self._theme.colors.edge), 1.8))
            x, top, bottom = self._rect.x - 10, self._rect.y + 6, self._rect.bottom - 6
            path = QPainterPath(QPointF(x + 6, top))
            path.quadTo(x, top, x, top + 6)
            path.lineTo(x, bottom - 6)
            path.quadTo(x, bottom, x + 6, bottom)
            painter.drawPath(path)
        finally:
            painter.restore()


class EdgeItem(QGraphicsItem):
    """Who talks to whom now: solid while it lives, dotted red when broken, dashed and pale when nobody knows."""

    def __init__(self, edge: Edge, theme: Theme) -> None:
        super().__init__()
        self._edge = edge
        self._theme = theme
        self._path = QPainterPath()
        self._strong = False
        self.setZValue(-1)

    def connect_points(self, start: QPointF, end: QPointF) -> None:
        self.prepareGeometryChange()
        bend = max(30.0, abs(end.x() - start.x()) * 0.5)
        away = 1.0 if end.x() >= start.x() else -1.0
        self._path = QPainterPath(start)
        self._path.cubicTo(start + QPointF(bend * away, 0), end - QPointF(bend * away, 0), end)

    def connect_beside(self, start: QPointF, end: QPointF) -> None:
        """A bow on the left of two cards of one column: replication between databases."""
        self.prepareGeometryChange()
        self._path = QPainterPath(start)
        self._path.cubicTo(start - QPointF(17, 0), end - QPointF(17, 0), end)

    def show_edge(self, edge: Edge) -> None:
        if edge != self._edge:
            self._edge = edge
            self.update()

    def set_strong(self, strong: bool) -> None:
        """An edge of the selected node stands out."""
        if strong != self._strong:
            self._strong = strong
            self.update()

    @property
    def edge(self) -> Edge:
        return self._edge

    def boundingRect(self) -> QRectF:
        return self._path.boundingRect().adjusted(-4, -4, 4, 4)

    def shape(self) -> QPainterPath:
        return QPainterPathStroker().createStroke(self._path)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.save()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(self._pen())
            painter.drawPath(self._path)
        finally:
            painter.restore()

    def _pen(self) -> QPen:
        colors = self._theme.colors
        width = 2.6 if self._strong else 1.8
        match self._edge.state:
            case "live":
                return QPen(QColor(colors.draining if self._strong else colors.edge), width)
            case "replica":
                pen = QPen(QColor(colors.draining), width)
                pen.setDashPattern([5, 3])
            case "broken":
                pen = QPen(QColor(colors.error), width)
                pen.setDashPattern([1.5, 2.2])
            case "stale":
                pen = QPen(QColor(colors.line_strong), width)
                pen.setDashPattern([4, 4])
        return pen


class BadgeItem(QGraphicsItem):
    """A pill on a card's upper edge for a role that can move (the leader). It glides when it does, and is grey while it
    is only known from before."""

    HEIGHT: Final = 21.0

    def __init__(self, text: str, theme: Theme) -> None:
        super().__init__()
        self._text = text
        self._old = False
        self._theme = theme
        self.setZValue(10)

    def show_role(self, text: str, old: bool) -> None:
        if (text, old) != (self._text, self._old):
            self.prepareGeometryChange()
            self._text, self._old = text, old
            self.update()

    def _font(self) -> QFont:
        return font(QApplication.font(), 11, bold=True)

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, QFontMetricsF(self._font()).horizontalAdvance(self._text) + 36, self.HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.save()
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            colors, rect = self._theme.colors, self.boundingRect()
            painter.setPen(Qt.PenStyle.NoPen)
            ink = QColor(colors.text if self._old else colors.on_badge)
            painter.setBrush(QColor(colors.line_strong if self._old else colors.badge))
            painter.drawRoundedRect(rect, self.HEIGHT / 2, self.HEIGHT / 2)
            painter.setBrush(ink)
            middle = QPointF(14, self.HEIGHT / 2)
            painter.drawPolygon([middle + QPointF(*corner) for corner in ((0, -5), (4, 0), (0, 5), (-4, 0))])
            if option.levelOfDetailFromTransform(painter.worldTransform()) >= LOD_BLOCK:
                painter.setPen(ink)
                painter.setFont(self._font())
                painter.drawText(rect.adjusted(24, 0, 0, 0), Left, self._text)
        finally:
            painter.restore()
