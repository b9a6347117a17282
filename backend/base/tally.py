"""Counting what a program does, for its metrics. Plain numbers, touched from one event loop only: an observation costs
less than a microsecond, and nothing is made of them before somebody asks."""

from bisect import bisect_left
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Counts(Generic[K]):
    """Counters by a key that has few values."""

    def __init__(self) -> None:
        self.of: dict[K, int] = {}

    def add(self, key: K) -> None:
        self.of[key] = self.of.get(key, 0) + 1


class Histogram:
    """How often a value was at most each of the `bounds`, which rise, and the sum of all."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Each bound as text with how many values did not exceed it; the last is "+Inf" with all of them."""
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield bound, total
