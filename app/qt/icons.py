"""Our SVG icons, painted in the colour that the theme asks for.

The files in resources/icons draw with `currentColor`; it is replaced by a real colour before rendering, so that one
file serves both schemes, every state and every screen density.
"""

from functools import cache
from importlib.resources import files

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

import resources
from app.qt.theme import Colors

SCALES = (1.0, 2.0)


@cache
def _source(name: str) -> str:
    return (files(resources) / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def pixmap(name: str, color: str, size: int, scale: float = 1.0) -> QPixmap:
    """The icon as a square of `size` logical pixels. Raises FileNotFoundError for a name that has no file."""
    renderer = QSvgRenderer(QByteArray(_source(name).replace("currentColor", color).encode()))
    result = QPixmap(QSize(round(size * scale), round(size * scale)))
    result.setDevicePixelRatio(scale)
    result.fill(Qt.GlobalColor.transparent)
    painter = QPainter(result)
    try:
        renderer.render(painter, QRectF(0, 0, size, size))
    finally:
        painter.end()
    return result


def icon(name: str, colors: Colors, size: int = 20) -> QIcon:
    """The icon for buttons and menus: text colour, paler when disabled, the contrast colour when it is switched on."""
    result = QIcon()
    for scale in SCALES:
        for mode, color in ((QIcon.Mode.Normal, colors.text), (QIcon.Mode.Disabled, colors.line_strong)):
            result.addPixmap(pixmap(name, color, size, scale), mode)
    return result


def app_icon() -> QIcon:
    result = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        result.addPixmap(pixmap("inkeeper", "#000000", size))
    return result
