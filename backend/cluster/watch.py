"""How long members have been silent, by the watcher's own monotonic clock. Pure.

The database tells when each member last beat, by its clock. Should that clock jump, an hour's silence would be read
into a second, or none into an hour. So each member watches the others: a row that moved while it was watched is as
old as the watcher's own clock says, whatever the database's does. One that never moved since the watch began is at
least as old as the watch, and else what the database says.

Invariant: a clock that jumps makes no member that beats look silent, and no silent one look alive for longer than the
watcher's own clock allows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from backend.cluster.model import MemberRow


@dataclass(frozen=True)
class Sight:
    """The beat (`process`, `seen_at`) that was seen first at `since_s`; `moved`: others were seen before it."""

    process: str
    seen_at: int
    since_s: float
    moved: bool = False


Sights = Mapping[str, Sight]


def look(sights: Sights, rows: Iterable[MemberRow], now_s: float) -> dict[str, Sight]:
    """The sights after the rows were read at `now_s`; members that are not listed any more are forgotten."""
    return {row.name: _look(sights.get(row.name), row, now_s) for row in rows}


def corrected(sights: Sights, rows: Iterable[MemberRow], now_s: float) -> tuple[MemberRow, ...]:
    """The rows with the ages that the watcher's own clock tells."""
    return tuple(msgspec.structs.replace(row, age_ms=age_ms(sights, row, now_s)) for row in rows)


def age_ms(sights: Sights, row: MemberRow, now_s: float) -> int:
    """How long this member has been silent."""
    sight = sights.get(row.name)
    if sight is None:
        return row.age_ms
    if (sight.process, sight.seen_at) != (row.process, row.seen_at):
        return 0  # it has beaten since it was looked at last
    watched_ms = max(0, round((now_s - sight.since_s) * 1000))
    return watched_ms if sight.moved else max(row.age_ms, watched_ms)


def _look(before: Sight | None, row: MemberRow, now_s: float) -> Sight:
    if before is None:
        return Sight(row.process, row.seen_at, now_s)
    if (before.process, before.seen_at) == (row.process, row.seen_at):
        return before
    return Sight(row.process, row.seen_at, now_s, moved=True)
