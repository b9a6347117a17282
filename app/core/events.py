"""The order of the cluster's events, and how many of them are kept. Pure.

Invariant: the order is that of the commits, by (transaction, number), the same on every server; clocks play no part.
"""

from collections.abc import Iterable, Mapping, Sequence

from backend.wire.cluster import ClusterEvent


def place(event_id: str) -> tuple[int, ...]:
    """The event's place in the order of commits: "xid.number". What is no such id comes first."""
    return tuple(int(part) for part in event_id.split(".") if part.isascii() and part.isdigit())


def newest_first(events: Iterable[ClusterEvent]) -> list[ClusterEvent]:
    return sorted(events, key=lambda event: place(event.event_id), reverse=True)


def joined(
    known: Mapping[str, ClusterEvent], page: Sequence[ClusterEvent], full: bool, window: int
) -> tuple[dict[str, ClusterEvent], bool]:
    """The newest `window` events after another page of the newest, and whether what was known had to be dropped:
    where a full page does not reach back to anything known there may be a gap, and a history with a gap is none."""
    gap = full and bool(known) and not any(event.event_id in known for event in page)
    held = {} if gap else dict(known)
    held |= {event.event_id: event for event in page}
    if len(held) > window:
        held = {event.event_id: event for event in newest_first(held.values())[:window]}
    return held, gap
