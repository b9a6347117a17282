"""One log-in on its way: asks once, says how it stands, and counts down while the servers want to be left alone."""

import time

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.login import Refusal, refusal, wait_text
from app.qt.bridge import Handle
from app.qt.session import Session
from backend.wire.access import LogInAnswer

TICK_MS = 250


class LogInAttempt(QObject):
    """`changed` says that `text` or `ready` may stand otherwise, `done` brings the LogInAnswer."""

    changed = Signal()
    done = Signal(object)

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._refusal = Refusal("")
        self._until = 0.0
        self._handle: Handle | None = None
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def asking(self) -> bool:
        return self._handle is not None

    @property
    def ready(self) -> bool:
        """Whether it may be asked (again)."""
        return not self.asking and time.monotonic() >= self._until

    @property
    def text(self) -> str:
        """Why the last one did not work, "" for nothing."""
        return wait_text(self._refusal, self._until - time.monotonic())

    def ask(self, servers: tuple[str, ...], name: str, password: str) -> None:
        if not self.ready:
            return
        self._refusal = Refusal("")
        self._handle = self._session.log_in(servers, name, password, self._answered, self._failed, self)
        self.changed.emit()

    def drop(self) -> None:
        """Nobody waits for it any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._refusal = Refusal("")
        self.changed.emit()

    def _answered(self, answer: LogInAnswer) -> None:
        self._handle = None
        self.changed.emit()
        self.done.emit(answer)

    def _failed(self, error: Exception) -> None:
        self._handle = None
        self._refusal = refusal(error)
        self._until = time.monotonic() + self._refusal.wait_s
        if self._refusal.wait_s:
            self._timer.start()
        self.changed.emit()

    def _tick(self) -> None:
        if time.monotonic() >= self._until:
            self._timer.stop()
        self.changed.emit()
