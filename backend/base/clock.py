"""Time as an argument. Waiting and leases go by `monotonic_s`, which no clock jump touches; `now_ms` only labels
records."""

import time
from typing import Protocol


class Clock(Protocol):
    """What a program may ask about time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC by this machine's clock, right or wrong."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only grow; comparable within this process alone."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that a test or the simulator moves by hand."""

    def __init__(self, now_ms: int = 1_800_000_000_000, monotonic_s: float = 0.0) -> None:
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._monotonic_s += seconds
        self._now_ms += round(seconds * 1000)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forth or back, as a wrong time source does."""
        self._now_ms += round(seconds * 1000)
