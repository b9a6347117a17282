"""How a benchmark is told: medians of several rounds with their spread, ours beside the peer's, and the ratio.

Rounds of ours and of the peer take turns, so that what else the machine does falls on both; the first round of each
warms up and is thrown away.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """Values of the rounds that count."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def text(self, unit: str) -> str:
        """ "12.3 (11.9-13.0) ms": the median, and the smallest and largest round."""
        return f"{_short(self.median)} ({_short(min(self.values))}-{_short(max(self.values))}) {unit}"


def take_turns(measures: Sequence[Callable[[], float]], rounds: int) -> list[Series]:
    """One series for each measure, over `rounds` rounds after one that warms up."""
    values: list[list[float]] = [[] for _ in measures]
    for number in range(rounds + 1):
        for measure, kept in zip(measures, values, strict=True):
            value = measure()
            if number:
                kept.append(value)
    return [Series(tuple(kept)) for kept in values]


def show(title: str, ours: tuple[str, Series], peer: tuple[str, Series], unit: str, aim: str) -> None:
    """Print one comparison."""
    width = max(len(ours[0]), len(peer[0]))
    print(f"\n{title}")
    for name, series in (ours, peer):
        print(f"  {name.ljust(width)}  {series.text(unit)}, {len(series.values)} rounds")
    print(f"  {'ratio'.ljust(width)}  {_short(ours[1].median / peer[1].median)}   (aim: {aim})", flush=True)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
