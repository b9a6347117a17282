"""The console's window without a screen, and what it takes to bring it into a state and to take its picture."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QDialog

from app.core.profiles import ConsoleSettings, Profile
from app.qt.bridge import AsyncBridge
from app.qt.session import Session
from app.qt.store import Store
from app.qt.theme import Theme
from app.views.window import MainWindow

ROOT: Final = Path(__file__).resolve().parent.parent
SIZES: Final = ((1280, 800), (2560, 1440))
DEADLINE_S: Final = 60.0


class Photographer:
    """The console's window and what it takes to bring it into each state."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._app = QApplication([])
        self.theme = Theme(self._app, "dark")
        self.session = Session(Store(), AsyncBridge(), folder / "outbox.log")
        self.window = MainWindow(self.theme, self.session, ConsoleSettings(), folder / "console.toml")
        self.window.show()

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not ready():
            if time.monotonic() > deadline:
                raise SystemExit(f"pictures: waited {DEADLINE_S:g} s in vain for {what}")
            self._app.processEvents()
            time.sleep(0.01)

    def settle(self) -> None:
        """Let animations and layouts end."""
        end = time.monotonic() + 0.6
        self.wait("everything to stand still", lambda: time.monotonic() > end)

    def take(self, name: str) -> None:
        for width, height in SIZES:
            self.window.resize(width, height)
            for scheme in ("light", "dark"):
                self.theme.choose("light" if scheme == "light" else "dark")
                self.settle()
                path = self._folder / f"{name}-{scheme}-{width}x{height}.png"
                if not self._picture().save(str(path)):
                    raise SystemExit(f"pictures: {path} cannot be written")
                print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)

    def _picture(self) -> QPixmap:
        """The window, and in its middle the dialog that is open over it."""
        picture, dialog = self.window.grab(), self._dialog()
        if dialog is not None:
            above = dialog.grab()
            painter = QPainter(picture)
            try:
                painter.setPen(QColor(self.theme.colors.line_strong))
                x, y = (self.window.width() - dialog.width()) // 2, (self.window.height() - dialog.height()) // 2
                painter.drawPixmap(x, y, above)
                painter.drawRect(x - 1, y - 1, dialog.width() + 1, dialog.height() + 1)
            finally:
                painter.end()
        return picture

    def _dialog(self) -> QDialog | None:
        """The dialog that was opened last, over the window or over another one."""
        shown = [found for found in self.window.findChildren(QDialog) if found.isVisible()]
        return shown[-1] if shown else None

    def connect(self, profile: Profile) -> None:
        self.session.open(profile)
        self.wait("a live connection", lambda: self.session.store.state.connection.phase == "live")
        self.wait("the first picture", lambda: bool(self.window.live.topology.scene.cards))

    def close(self) -> None:
        self.session.close()
        self.window.hide()
