"""How many errors and warnings this process has logged of late, for `/api/stats`: by minutes, a few hours back.

The numbers are the asked server's own. Clients know minutes up to four hours, so that is what is kept.
"""

import collections
import logging
import time
from collections.abc import Callable

KEPT_MINUTES = 241


class LogCounts(logging.Handler):
    """A handler that counts and writes nothing. The clock is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._minutes: collections.deque[tuple[int, list[int]]] = collections.deque(maxlen=KEPT_MINUTES)

    def emit(self, record: logging.LogRecord) -> None:
        minute = int(self._clock() // 60)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, [0, 0]))
        self._minutes[-1][1][record.levelno >= logging.ERROR] += 1

    def errors(self, minutes: int) -> int:
        return self._count(True, minutes)

    def warnings(self, minutes: int) -> int:
        return self._count(False, minutes)

    def _count(self, is_error: bool, minutes: int) -> int:
        since = int(self._clock() // 60) - minutes
        return sum(counts[is_error] for minute, counts in list(self._minutes) if minute > since)
