"""The cluster's parts as plain values."""

from typing import Final

import msgspec

from backend.wire.printers import Member, MemberState

FORGET_MEMBER_MS: Final = 7 * 24 * 3600 * 1000
KEEP_EVENTS_MS: Final = 7 * 24 * 3600 * 1000
KEEP_HISTORY_MS: Final = 1_000 * 24 * 3600 * 1000


class MemberRow(msgspec.Struct, frozen=True):
    """A server as it wrote itself down, `age_ms` ago by the database's clock."""

    name: str
    process: str
    url: str
    state: str
    program_version: str
    age_ms: int
    wanted: str = "serving"
    load: int = 0
    connections: int = 0
    serves: str = ""
    schema_revision: str = ""
    protocol: int = 1
    clock_off_ms: int = 0
    noticed_at: int = 0
    seen_at: int = 0
    host: str = ""


class Lease(msgspec.Struct, frozen=True):
    """The lease row: `holder` is the leader's process id (a uuid), "" when nobody holds it; `given_to` is the process
    that it is to be handed to, "" for none."""

    term: int
    holder: str
    member_name: str
    beat: int
    given_to: str = ""


class Snapshot(msgspec.Struct, frozen=True):
    """What a member knows of its cluster, as of its last beat."""

    cluster_id: str = ""
    generation: int = 0
    lease: Lease = Lease(0, "", "", 0)
    members: tuple[MemberRow, ...] = ()
    heartbeat_s: float = 1.0
    paused: bool = False

    def listed(self) -> tuple[Member, ...]:
        """The members for clients: also those that are away, since they may be the ones that are left tomorrow."""
        return tuple(Member(name=row.name, url=row.url, state=state_of(row, self.heartbeat_s)) for row in self.members)


def state_of(row: MemberRow, heartbeat_s: float) -> MemberState:
    """What a member is now, from what it wrote, how long ago, and what is wanted of it."""
    return member_state(row.state, row.age_ms, heartbeat_s, row.wanted)


def member_state(written: str, age_ms: int, heartbeat_s: float, wanted: str = "serving") -> MemberState:
    """Three missed beats make a member suspect, ten gone; who serves though it is to drain is draining already."""
    if age_ms > 10_000 * max(heartbeat_s, 0.3):
        return "gone"
    if written == "gone":
        return "gone"
    if age_ms > 3_000 * max(heartbeat_s, 0.3):
        return "suspect"
    if written in ("draining", "drained") or (wanted == "draining" and written == "serving"):
        return "draining"
    return "serving" if written == "serving" else "joining"
