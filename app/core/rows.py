"""From one ordered list of ids to the next by the fewest row operations. Pure.

A table that is reset loses its selection and jumps; one that inserts and removes rows stays where the person's eye is.
Operations are given in the order in which they must be carried out, each in terms of the list as it is by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_OPERATIONS: Final = 64
"""More than this at once is not a change but another list: resetting is cheaper than a storm of signals."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Rows `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Insert:
    """`ids` come to stand at row `first`."""

    first: int
    ids: tuple[str, ...]


def difference(old: Sequence[str], new: Sequence[str]) -> list[Remove | Insert] | None:
    """The operations from old to new, removals (last first) before insertions; None where a reset is the better way:
    too many operations, or kept rows that changed their order."""
    kept_ids = set(old) & set(new)
    kept = [item for item in old if item in kept_ids]
    if kept != [item for item in new if item in kept_ids]:
        return None
    operations: list[Remove | Insert] = list(_removals(old, kept_ids))
    operations += _insertions(new, kept_ids)
    return operations if len(operations) <= MAX_OPERATIONS else None


def _removals(old: Sequence[str], kept: set[str]) -> list[Remove]:
    runs: list[Remove] = []
    for row in range(len(old) - 1, -1, -1):
        if old[row] in kept:
            continue
        if runs and runs[-1].first == row + 1:
            runs[-1] = Remove(row, runs[-1].last)
        else:
            runs.append(Remove(row, row))
    return runs


def _insertions(new: Sequence[str], kept: set[str]) -> list[Insert]:
    runs: list[Insert] = []
    for row, item in enumerate(new):
        if item in kept:
            continue
        if runs and runs[-1].first + len(runs[-1].ids) == row:
            runs[-1] = Insert(runs[-1].first, (*runs[-1].ids, item))
        else:
            runs.append(Insert(row, (item,)))
    return runs
