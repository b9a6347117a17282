"""The health marks: a shape for each state, so that colour is never the only sign.

Disc with a tick, triangle with "!", octagon with a cross, square with a pause, dotted ring with "?"; for jobs also a
disc with an arrow, a clock and a struck ring. The same
shapes stand in the graph, the tables and the banner.
"""

import math

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPixmap, QPolygonF

from app.core.viewdata import Tone
from app.qt.theme import Colors


def draw(painter: QPainter, rect: QRectF, tone: Tone, colors: Colors) -> None:
    """Draw a tone's mark into a square. "plain" draws a small ring: nothing to say."""
    painter.save()
    try:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color, ground = QColor(colors.tone(tone)), QColor(colors.card)
        match tone:
            case "ok":
                _disc(painter, rect, color)
                _stroke(painter, rect, ground, [(0.29, 0.52), (0.44, 0.67), (0.72, 0.36)])
            case "warning":
                _triangle(painter, rect, color)
                _exclamation(painter, rect, ground)
            case "error":
                _octagon(painter, rect, color)
                _stroke(painter, rect, ground, [(0.34, 0.34), (0.66, 0.66)])
                _stroke(painter, rect, ground, [(0.66, 0.34), (0.34, 0.66)])
            case "draining":
                _pause(painter, rect, color, ground)
            case "unknown":
                _question(painter, rect, color)
            case "plain":
                _ring(painter, rect, QColor(colors.muted), 0.22)
            case "active":
                _disc(painter, rect, color)
                _play(painter, rect, ground)
            case "waiting":
                _ring(painter, rect, color, 0.06)
                _stroke(painter, rect, color, [(0.5, 0.27), (0.5, 0.52), (0.67, 0.62)])
            case "off":
                _ring(painter, rect, color, 0.06)
                _stroke(painter, rect, color, [(0.22, 0.78), (0.78, 0.22)])
    finally:
        painter.restore()


def pixmap(tone: Tone, colors: Colors, size: int, scale: float) -> QPixmap:
    result = QPixmap(round(size * scale), round(size * scale))
    result.setDevicePixelRatio(scale)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    try:
        draw(painter, QRectF(0, 0, size, size), tone, colors)
    finally:
        painter.end()
    return result


def _disc(painter: QPainter, rect: QRectF, color: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(rect)


def _stroke(painter: QPainter, rect: QRectF, color: QColor, points: list[tuple[float, float]]) -> None:
    pen = QPen(color, rect.width() * 0.12)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.drawPolyline(_polygon(rect, points))


def _polygon(rect: QRectF, points: list[tuple[float, float]]) -> QPolygonF:
    return QPolygonF([QPointF(rect.x() + x * rect.width(), rect.y() + y * rect.height()) for x, y in points])


def _triangle(painter: QPainter, rect: QRectF, color: QColor) -> None:
    pen = QPen(color, rect.width() * 0.1)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(color)
    painter.drawPolygon(_polygon(rect, [(0.5, 0.08), (0.96, 0.9), (0.04, 0.9)]))


def _exclamation(painter: QPainter, rect: QRectF, ground: QColor) -> None:
    _stroke(painter, rect, ground, [(0.5, 0.38), (0.5, 0.6)])
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawEllipse(
        QPointF(rect.x() + 0.5 * rect.width(), rect.y() + 0.77 * rect.height()), *[rect.width() * 0.07] * 2
    )


def _octagon(painter: QPainter, rect: QRectF, color: QColor) -> None:
    corners = [
        (
            0.5 + 0.53 * math.cos(math.pi / 8 + index * math.pi / 4),
            0.5 + 0.53 * math.sin(math.pi / 8 + index * math.pi / 4),
        )
        for index in range(8)
    ]
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawPolygon(_polygon(rect, corners))


def _pause(painter: QPainter, rect: QRectF, color: QColor, ground: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawRoundedRect(rect, rect.width() * 0.16, rect.width() * 0.16)
    painter.setBrush(ground)
    for x in (0.3, 0.56):
        bar = QRectF(
            rect.x() + x * rect.width(), rect.y() + 0.27 * rect.height(), rect.width() * 0.14, rect.height() * 0.46
        )
        painter.drawRect(bar)


def _question(painter: QPainter, rect: QRectF, color: QColor) -> None:
    pen = QPen(color, rect.width() * 0.1, Qt.PenStyle.CustomDashLine)
    pen.setDashPattern([1.6, 1.5])
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    margin = rect.width() * 0.06
    painter.drawEllipse(rect.adjusted(margin, margin, -margin, -margin))
    font = QFont(painter.font())
    font.setPixelSize(max(6, round(rect.height() * 0.62)))
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, "?")


def _play(painter: QPainter, rect: QRectF, ground: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawPolygon(_polygon(rect, [(0.38, 0.27), (0.76, 0.5), (0.38, 0.73)]))


def _ring(painter: QPainter, rect: QRectF, color: QColor, inset: float) -> None:
    painter.setPen(QPen(color, rect.width() * 0.12))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    margin = rect.width() * inset
    painter.drawEllipse(rect.adjusted(margin, margin, -margin, -margin))
