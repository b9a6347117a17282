"""What to send next: reports, oldest first, each until a server has taken it. No clock, no network.

While servers answer, up to MAX_IN_FLIGHT reports are under way. When they do not, one (the oldest) is tried at
growing intervals, so that a cluster that comes back is not met by the whole backlog at once. A report that a server
refuses as it is (a conflict, a message it does not understand) is kept and tried again rarely, and does not hold up
the others.

Invariant: a report leaves the outbox only by `answered` for its own revision, or for a newer one in its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_IN_FLIGHT: Final = 16
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 10.0
REFUSED_PAUSE_S: Final = 300.0


@dataclass
class Parcel:
    """A report to send. `since_ms` is when its job ended; `refused` why a server did not take it."""

    job_id: str
    revision: int
    since_ms: int
    not_before_s: float = 0.0
    refused: str = ""


@dataclass
class Outbox:
    """The reports that no server has yet."""

    parcels: dict[str, Parcel] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    failures: int = 0
    not_before_s: float = 0.0

    def put(self, job_id: str, revision: int, since_ms: int) -> None:
        """A report to send, or a newer revision in the place of one."""
        known = self.parcels.get(job_id)
        if known is None or known.revision < revision:
            self.parcels[job_id] = Parcel(job_id, revision, since_ms if known is None else known.since_ms)

    def due(self, now_s: float) -> list[Parcel]:
        """What to send now; it counts as in flight until it is answered, failed or refused."""
        if now_s < self.not_before_s:
            return []
        room = (1 if self.failures else MAX_IN_FLIGHT) - len(self.in_flight)
        chosen = [parcel for parcel, _ in zip(self._ready(now_s), range(max(0, room)), strict=False)]
        self.in_flight |= {parcel.job_id for parcel in chosen}
        return chosen

    def wake_at_s(self) -> float | None:
        """When `due` may have something again, None when that waits for an answer or a new report."""
        waiting = [parcel.not_before_s for parcel in self.parcels.values() if parcel.job_id not in self.in_flight]
        if not waiting or (self.failures and self.in_flight):
            return None
        return max(self.not_before_s, min(waiting))

    def answered(self, job_id: str, revision: int) -> None:
        """A server has taken this revision: it need not be sent any more, and servers answer."""
        self._landed(job_id)
        parcel = self.parcels.get(job_id)
        if parcel is not None and parcel.revision <= revision:
            del self.parcels[job_id]

    def failed(self, job_id: str, now_s: float, random_unit: float) -> None:
        """No server took it. The next try is later, half of the pause by chance."""
        self.in_flight.discard(job_id)
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failures, 10))
        self.failures += 1
        self.not_before_s = now_s + pause_s * (0.5 + 0.5 * random_unit)

    def refused(self, job_id: str, revision: int, now_s: float, code: str) -> None:
        """A server will not have it as it is."""
        self._landed(job_id)
        parcel = self.parcels.get(job_id)
        if parcel is not None and parcel.revision == revision:
            parcel.refused = code
            parcel.not_before_s = now_s + REFUSED_PAUSE_S

    def drop(self, job_id: str) -> None:
        """There is nothing to send of this job any more."""
        self.in_flight.discard(job_id)
        self.parcels.pop(job_id, None)

    @property
    def backlog(self) -> int:
        return len(self.parcels)

    def oldest_since_ms(self) -> int | None:
        """When the job of the oldest report ended; of those that servers refuse, none counts as waiting."""
        return min((parcel.since_ms for parcel in self.parcels.values() if not parcel.refused), default=None)

    def _landed(self, job_id: str) -> None:
        self.in_flight.discard(job_id)
        self.failures, self.not_before_s = 0, 0.0

    def _ready(self, now_s: float) -> Iterator[Parcel]:
        for parcel in self.parcels.values():
            if parcel.not_before_s <= now_s and parcel.job_id not in self.in_flight:
                yield parcel
