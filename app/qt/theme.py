"""Light and dark, in our own colours on Qt's Fusion style, the same on every desktop.

Qt's own colour scheme switch does nothing on bare X11 or offscreen, so both palettes are ours. "System" follows the
desktop where it tells its scheme, and is light where it does not. Widgets that paint themselves read `theme.colors`
when they paint and repaint on `changed`; labels get a role by `tint`.

Invariant: every pair in `text_pairs` has a contrast of at least 4.5:1 (WCAG 2.1, 1.4.3); a test computes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from app.core.profiles import Theme as Choice
from app.core.viewdata import Tone


@dataclass(frozen=True, slots=True)
class Colors:
    """One scheme. `window` is behind everything, `panel` a box on it, `card` a box on a panel, `rail` the side bar."""

    dark: bool
    window: str
    panel: str
    card: str
    rail: str
    line: str
    line_strong: str
    text: str
    muted: str
    ok: str
    warning: str
    error: str
    draining: str
    unknown: str
    badge: str
    on_badge: str
    accent: str
    on_accent: str
    edge: str
    hover: str
    selected: str

    def tone(self, tone: Tone) -> str:
        return {
            "ok": self.ok,
            "warning": self.warning,
            "error": self.error,
            "draining": self.draining,
            "unknown": self.unknown,
            "plain": self.text,
            "active": self.draining,
            "waiting": self.draining,
            "off": self.unknown,
        }[tone]


DARK: Final = Colors(
    dark=True,
    window="#14181e",
    panel="#1a2027",
    card="#212830",
    rail="#0f1318",
    line="#2c343d",
    line_strong="#3b4551",
    text="#e9edf2",
    muted="#a0aab6",
    ok="#4fc78d",
    warning="#f2b33d",
    error="#ff7b76",
    draining="#84a9ff",
    unknown="#a0a8b4",
    badge="#a78bfa",
    on_badge="#150c2e",
    accent="#3d6fe0",
    on_accent="#ffffff",
    edge="#66727f",
    hover="#262e37",
    selected="#2b3a55",
)

LIGHT: Final = Colors(
    dark=False,
    window="#f4f6f9",
    panel="#e9edf2",
    card="#ffffff",
    rail="#dfe4eb",
    line="#d3dae2",
    line_strong="#b9c2cd",
    text="#19202a",
    muted="#505a67",
    ok="#14703f",
    warning="#855800",
    error="#b91f1f",
    draining="#1f50bd",
    unknown="#545d6a",
    badge="#5a3fd6",
    on_badge="#ffffff",
    accent="#2459c9",
    on_accent="#ffffff",
    edge="#8793a1",
    hover="#eef2f7",
    selected="#dbe6fb",
)


def text_pairs(colors: Colors) -> Iterator[tuple[str, str, str]]:
    """(what, foreground, background) of every text the console draws."""
    value = asdict(colors)
    for name in ("text", "muted", "ok", "warning", "error", "draining", "unknown"):
        for ground in ("window", "panel", "card", "hover", "selected"):
            yield f"{name} on {ground}", value[name], value[ground]
    yield "text on rail", colors.text, colors.rail
    yield "muted on rail", colors.muted, colors.rail
    yield "text on line_strong", colors.text, colors.line_strong
    yield "on_badge on badge", colors.on_badge, colors.badge
    yield "on_accent on accent", colors.on_accent, colors.accent


def contrast(foreground: str, background: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1, "contrast ratio")."""
    light, dark = sorted((_luminance(foreground), _luminance(background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    channels = (int(color[index : index + 2], 16) / 255 for index in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def palette(colors: Colors) -> QPalette:
    """The scheme as Qt's palette, disabled state included."""
    result = QPalette()
    roles = {
        QPalette.ColorRole.Window: colors.window,
        QPalette.ColorRole.WindowText: colors.text,
        QPalette.ColorRole.Base: colors.card,
        QPalette.ColorRole.AlternateBase: colors.panel,
        QPalette.ColorRole.Text: colors.text,
        QPalette.ColorRole.PlaceholderText: colors.muted,
        QPalette.ColorRole.Button: colors.panel,
        QPalette.ColorRole.ButtonText: colors.text,
        QPalette.ColorRole.BrightText: colors.error,
        QPalette.ColorRole.Highlight: colors.accent,
        QPalette.ColorRole.HighlightedText: colors.on_accent,
        QPalette.ColorRole.ToolTipBase: colors.card,
        QPalette.ColorRole.ToolTipText: colors.text,
        QPalette.ColorRole.Link: colors.draining,
        QPalette.ColorRole.LinkVisited: colors.badge,
        QPalette.ColorRole.Light: colors.line,
        QPalette.ColorRole.Midlight: colors.line,
        QPalette.ColorRole.Mid: colors.line_strong,
        QPalette.ColorRole.Dark: colors.line_strong,
        QPalette.ColorRole.Shadow: colors.rail,
        QPalette.ColorRole.Accent: colors.accent,
    }
    for role, color in roles.items():
        result.setColor(role, QColor(color))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(colors.unknown))
    return result


class Theme(QObject):
    """The scheme in use. `choose` applies one to the whole application and says so by `changed`."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: Choice = "system") -> None:
        super().__init__(app)
        self._app = app
        self._choice: Choice = choice
        app.setStyle(QStyleFactory.create("Fusion"))
        self.colors = LIGHT
        self.choose(choice)
        app.styleHints().colorSchemeChanged.connect(self._follow_system)

    @property
    def choice(self) -> Choice:
        return self._choice

    def choose(self, choice: Choice) -> None:
        self._choice = choice
        dark = choice == "dark" or (choice == "system" and _system_is_dark())
        self.colors = DARK if dark else LIGHT
        self._app.setPalette(palette(self.colors))
        self.changed.emit()

    def _follow_system(self) -> None:
        if self._choice == "system":
            self.choose("system")

    def on_change(self, owner: QWidget, apply: Callable[[], None]) -> None:
        """Run `apply` now and at every change for as long as `owner` lives."""
        connection = self.changed.connect(apply)
        owner.destroyed.connect(lambda: QObject.disconnect(connection))
        apply()

    def tint(self, widget: QWidget, role: str) -> None:
        """Colour a label's text by the name of a colour ("muted", "error", …), now and after every change."""
        widget.setProperty("tint", role)
        if widget.property("tinted") is None:
            widget.setProperty("tinted", True)
            self.on_change(widget, lambda: self._paint(widget))
        else:
            self._paint(widget)

    def color(self, name: str) -> str:
        """A colour of the scheme by its name. Raises KeyError for a name that is none."""
        return str(asdict(self.colors)[name])

    def _paint(self, widget: QWidget) -> None:
        color = QColor(self.color(str(widget.property("tint"))))
        own = widget.palette()
        own.setColor(QPalette.ColorRole.WindowText, color)
        own.setColor(QPalette.ColorRole.ButtonText, color)
        widget.setPalette(own)


def _system_is_dark() -> bool:
    return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
