"""The state of the console as a QObject: takes messages from any thread, says on the GUI thread what changed.

Bursts are gathered: however fast messages arrive, the reducer's changes are announced at most twenty times a
second, joined together. A second signal ticks once a second, because ages change though nothing arrives.

Invariant: the state is only read and replaced on the GUI thread; the inbox is bounded, and what it drops under a
flood (the oldest) is healed by the feed's regular reading.
"""

import time
from collections import deque
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.core.reducer import Changes, Message, State, step

GATHER_MS: Final = 50
TICK_MS: Final = 1000
INBOX_LIMIT: Final = 2000


class Store(QObject):
    """`changed` carries the joined Changes since the last time; `ticked` comes each second."""

    changed = Signal(object)
    ticked = Signal()
    _arrived = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = State()
        self._inbox: deque[Message] = deque(maxlen=INBOX_LIMIT)
        self._gather = QTimer(self, singleShot=True, interval=GATHER_MS)
        self._gather.timeout.connect(self.flush)
        self._arrived.connect(self._schedule, Qt.ConnectionType.QueuedConnection)
        self._tick = QTimer(self, interval=TICK_MS)
        self._tick.timeout.connect(self.ticked)
        self._tick.start()

    def put(self, message: Message) -> None:
        """Hand in a message. From any thread."""
        self._inbox.append(message)
        self._arrived.emit()

    def flush(self) -> None:
        """Apply everything that waits, now, and announce it once."""
        now = time.monotonic()
        total = Changes()
        while self._inbox:
            self.state, changes = step(self.state, self._inbox.popleft(), now)
            total |= changes
        if total != Changes():
            self.changed.emit(total)

    def close(self) -> None:
        """No tick and no change any more."""
        self._tick.stop()
        self._gather.stop()
        self._inbox.clear()

    def _schedule(self) -> None:
        if not self._gather.isActive():
            self._gather.start()
