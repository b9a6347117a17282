"""Cyclic garbage is collected on the GUI thread only.

Python collects garbage in whatever thread happens to allocate. A window or dialog that is part of a cycle would then
be destroyed by the network thread, and Qt objects that are destroyed outside of their thread crash the process. So
while there is a second thread the automatic collection is off, and a timer of the GUI thread does it instead.
"""

import gc
from itertools import count
from typing import ClassVar, Final

from PySide6.QtCore import QObject, QTimer

TICK_MS: Final = 1000
MIDDLE_EACH: Final = 5
FULL_EACH: Final = 30


class Collector(QObject):
    """Takes over the collection until `stop`; the automatic one returns when the last collector stops."""

    _working: ClassVar[int] = 0

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ticks = count(1)
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._collect)
        self._timer.start()
        Collector._working += 1
        gc.disable()

    def stop(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
            Collector._working -= 1
            if not Collector._working:
                gc.enable()

    def _collect(self) -> None:
        tick = next(self._ticks)
        gc.collect(2 if tick % FULL_EACH == 0 else 1 if tick % MIDDLE_EACH == 0 else 0)
