"""Which events of the cluster's history are worth a mail, what it says, and when it is tried again. Pure.

Worth a mail is what nobody asked for and what a person may have to see to: a failover, a server or a copy of the
database that is gone, and that it is back. What an administrator did is in the history and needs no mail.
"""

from typing import Final

import msgspec

from backend.wire.cluster import ClusterEvent

FIRST_PAUSE_S: Final = 10
LONGEST_PAUSE_S: Final = 3600
MAX_TRIES: Final = 60  # over two days with these pauses
OLD_S: Final = 600
_ALWAYS: Final = frozenset(
    {"member-gone", "member-returned", "member-duplicate", "database-changed", "redundancy-lost", "redundancy-restored"}
)


class Notice(msgspec.Struct, frozen=True):
    """One mail of the outbox. `age_s` by the database's clock."""

    notice_id: int
    message_id: str
    subject: str
    body: str
    tries: int
    created_at: int
    age_s: float


class Waiting(msgspec.Struct, frozen=True):
    """What waits in the outbox: how many, the age of the oldest, and those that are due."""

    count: int = 0
    oldest_s: float = 0.0
    due: tuple[Notice, ...] = ()


def is_worth_a_mail(event: ClusterEvent) -> bool:
    if event.kind == "leader-changed":
        return event.cause == "lease expired"  # else it was the first, resigned or handed over: planned
    if event.kind == "member-restarted":
        return "died" in event.cause
    return event.kind in _ALWAYS


def subject(event: ClusterEvent, serving: int) -> str:
    """One line. `serving`: how many application servers serve now."""
    left = "; only one server is left" if serving == 1 and event.kind == "member-gone" else ""
    texts = {
        "member-gone": f"Server {event.subject} is gone{left}",
        "member-returned": f"Server {event.subject} is back",
        "member-restarted": f"Server {event.subject} is back after it had died",
        "member-duplicate": f"Two servers call themselves {event.subject}",
        "leader-changed": f"Failover: {event.subject} leads now",
        "database-changed": f"Database failover: {event.subject} is the primary now",
        "redundancy-lost": f"Redundancy is lost: {event.subject}",
        "redundancy-restored": f"Redundancy is restored: {event.subject}",
    }
    line = " ".join(texts.get(event.kind, f"{event.kind}: {event.subject}").split())
    return f"[Inkeeper] {line}"[:200]


def body(event: ClusterEvent, serving: int, when: str, cluster: str) -> str:
    """The mail's text. `when` is the event's time for people."""
    away = "" if event.away_ms is None else f"Away for:     {event.away_ms / 1000:.1f} s\n"
    more = "".join(f"{key + ':':<14}{value}\n" for key, value in sorted(event.detail.items()))
    return (
        f"{subject(event, serving).removeprefix('[Inkeeper] ')}.\n\n"
        f"When:         {when} (by the database's clock)\n"
        f"What:         {event.kind}, {event.subject}\n"
        f"Why:          {event.cause or 'not told'}\n"
        f"{away}{more}"
        f"Servers:      {serving} serve now\n"
        f"Term:         {event.term}\n"
        f"Cluster:      {cluster}, event {event.event_id}\n\n"
        "Inkeeper sends one mail for each such event. Where you get it twice, it has the same Message-ID.\n"
    )


def message_id(cluster: str, generation: int, event_id: str, domain: str) -> str:
    """Made of the event alone, so that a mail that was sent twice can be known as one."""
    return f"<inkeeper.{cluster}.{generation}.{event_id}@{domain}>"


def pause_s(tries: int) -> int:
    """How long to wait after so many tries that failed."""
    return int(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tries - 1, 20)))
