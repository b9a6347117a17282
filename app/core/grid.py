"""A list that was read whole, as cells: what stands in each, in which tone, and by what it is sorted. Pure."""

from dataclasses import dataclass

from app.core.viewdata import Tone


@dataclass(frozen=True, slots=True)
class Cell:
    """`by` is what it is sorted by where that is not its text; `tip` is its tool tip."""

    text: str
    tone: Tone | None = None
    muted: bool = False
    tip: str = ""
    by: float | None = None

    @property
    def order(self) -> tuple[float, str]:
        """Numbers before texts, texts without regard to case."""
        return (self.by, "") if self.by is not None else (0.0, self.text.casefold())


@dataclass(frozen=True, slots=True)
class Line:
    """A row: the id of what it stands for, and its cells."""

    id: str
    cells: tuple[Cell, ...]


def arranged(lines: tuple[Line, ...], column: int, descending: bool) -> tuple[Line, ...]:
    """Sorted by a column; -1 leaves them as they came. What is equal keeps its order."""
    if column < 0:
        return lines
    return tuple(sorted(lines, key=lambda line: line.cells[column].order, reverse=descending))


def containing(lines: tuple[Line, ...], text: str) -> tuple[Line, ...]:
    """Those with every word of the text in one of their cells."""
    words = text.casefold().split()
    if not words:
        return lines
    return tuple(
        line for line in lines if all(any(word in cell.text.casefold() for cell in line.cells) for word in words)
    )
