"""May this server join the cluster? Pure: facts in, one line for people out.

A server that cannot work with the others is refused before it serves, in words that say what to do. What is checked:
the contract's version, settings that all must share, the clock, the name. (The tables' version is for
`backend.db.migrate` to check.) The clock decides nothing in a cluster: leases go by monotonic clocks and records by the
database's. A clock that is far off breaks certificates and confuses people who read logs, so such a server is kept out
while another one serves; the only one is let in, since a server with a wrong clock is better than none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from backend.cluster.model import MemberRow, state_of

MAX_PROTOCOLS_APART: Final = 1
SILENT_BEATS: Final = 3

Claim = Literal["free", "mine", "takes over", "wait", "taken"]


@dataclass(frozen=True)
class Applicant:
    """Who wants to join. `clock_off_ms` is its clock less the database's; `shared` are settings that all must share."""

    name: str
    process: str
    url: str
    host: str
    protocol: int
    clock_off_ms: int
    clock_tolerance_s: float
    shared: Mapping[str, str]


def refusal(
    who: Applicant, members: Sequence[MemberRow], heartbeat_s: float, kept: Mapping[str, str]
) -> str:  # fmt: skip
    """Why it may not join, "" when it may. `kept` are the shared settings as the cluster has them."""
    others = [row for row in members if row.name != who.name and state_of(row, heartbeat_s) in ("serving", "draining")]
    return _shared(who, kept) or _protocol(who, others) or _clock(who, others)


def claim(who: Applicant, row: MemberRow | None, heartbeat_s: float, watched_s: float, moved: bool) -> Claim:
    """Whether the name may be used: this process has watched `row` for `watched_s`, and it beat meanwhile or not.

    Who listens on the same address of the same machine now is alone there: the one before is dead.
    """
    if row is None:
        return "free"
    if row.process == who.process:
        return "mine"
    if row.state == "gone" or (row.url == who.url and row.host == who.host != ""):
        return "takes over"
    if moved:
        return "taken"
    if state_of(row, heartbeat_s) == "gone" or watched_s > SILENT_BEATS * max(heartbeat_s, 0.3):
        return "takes over"
    return "wait"


def _shared(who: Applicant, kept: Mapping[str, str]) -> str:
    for key, here in who.shared.items():
        there = kept.get(key, here)
        if there != here:
            section, _, name = key.partition(".")
            return (
                f"[{section}] {name} is {here!r} here and {there!r} in this cluster: write [{section}] {name} = "
                f"{there} into this server's settings"
            )
    return ""


def _protocol(who: Applicant, others: Sequence[MemberRow]) -> str:
    for row in others:
        if abs(row.protocol - who.protocol) > MAX_PROTOCOLS_APART:
            newer = "a newer" if row.protocol > who.protocol else "an older"
            return (
                f"server {row.name} speaks {newer} contract ({row.protocol}, this one {who.protocol}): upgrade one "
                "version at a time"
            )
    return ""


def _clock(who: Applicant, others: Sequence[MemberRow]) -> str:
    off_s = who.clock_off_ms / 1000
    if not others or who.clock_tolerance_s <= 0 or abs(off_s) <= who.clock_tolerance_s:
        return ""
    way = "ahead of" if off_s > 0 else "behind"
    return (
        f"this machine's clock is {abs(off_s):.0f} s {way} the database's (more than {who.clock_tolerance_s:g} s): "
        "set it right, or raise [cluster] clock_tolerance_s"
    )
