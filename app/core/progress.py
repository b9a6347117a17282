"""What becomes of an action once it was asked for: followed in the live picture and the history, never assumed. Pure.

The server's answer "done" says that the wish is written down; the members carry it out at their next heartbeats. So
the dialog shows each step as it is *seen*: in the topology, and in the events that came after the asking.

Invariant: an action is called done only where the cluster's own state shows it. An answer that was lost is called
unknown and is never asked for again by itself; what the state shows then decides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from app.core.events import newest_first, place
from app.core.history import away_text
from app.core.operations import Verb
from app.core.viewdata import Tone, count_text
from backend.wire.cluster import ClusterEvent, DatabaseView, ServerView, Topology

Outcome = Literal["waiting", "done", "failed"]

WAIT_S: Final[dict[Verb, float]] = {
    "drain": 120.0,
    "undrain": 30.0,
    "switchover": 30.0,
    "remove": 15.0,
    "pause": 15.0,
    "resume": 15.0,
    "database-switchover": 60.0,
}
"""After so long without its end being seen the dialog says so, and goes on looking."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, and how things stood then: `since` is the newest event known at that moment."""

    verb: Verb
    subject: str
    since: tuple[int, ...] = ()
    leader: str = ""
    term: int = 0
    was_gone: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of it so far. `lines` are shown one below the other, each with its mark."""

    outcome: Outcome
    lines: tuple[tuple[Tone, str], ...]


def wish(verb: Verb, subject: str, topology: Topology | None, events: Mapping[str, ClusterEvent]) -> Wish:
    """Note how things stand, before it is asked for."""
    since = max((place(event_id) for event_id in events), default=())
    if topology is None:
        return Wish(verb, subject, since)
    leader = next((view.name for view in topology.servers if view.leader), "")
    target = _server(topology, subject)
    return Wish(verb, subject, since, leader, topology.term, target is not None and target.state == "gone")


def follow(wanted: Wish, topology: Topology | None, events: Iterable[ClusterEvent]) -> Seen:
    """What is seen now."""
    if topology is None:
        return Seen("waiting", (("unknown", "Nothing is known of the cluster now"),))
    later = [event for event in newest_first(events) if place(event.event_id) > wanted.since]
    match wanted.verb:
        case "drain":
            return _drain(wanted, topology)
        case "undrain":
            return _undrain(wanted, topology)
        case "switchover":
            return _switchover(wanted, topology, later)
        case "remove":
            return _remove(wanted, topology)
        case "database-switchover":
            return _database(wanted, topology, later)
        case _:
            return _pause(wanted, topology)


def _server(topology: Topology, name: str) -> ServerView | None:
    return next((view for view in topology.servers if view.name == name), None)


def _waiting(*texts: str) -> Seen:
    return Seen("waiting", tuple(("waiting", text) for text in texts))


def _done(*texts: str) -> Seen:
    return Seen("done", tuple(("ok", text) for text in texts))


def _drain(wanted: Wish, topology: Topology) -> Seen:
    name, view = wanted.subject, _server(topology, wanted.subject)
    if view is None:
        return Seen("failed", (("warning", f"{name} is not in the cluster any more"),))
    if view.wanted != "draining":
        return _waiting(f"{name} is asked to drain")
    if view.state == "gone":
        if wanted.was_gone:
            return _done(f"{name} will drain as soon as it is back")
        return Seen("failed", (("error", f"{name} is gone: it went before it was seen drained"),))
    if view.state != "draining":
        return _waiting(f"{name} is asked to drain")
    lead = _lead_line(wanted, topology)
    if view.drained:
        return Seen("done", (*lead, ("ok", f"{name} is drained, it can be stopped")))
    busy = f": {count_text(view.load, 'request', 'requests')} under way" if view.load else ""
    return Seen("waiting", (*lead, ("draining", f"{name} is draining{busy}")))


def _lead_line(wanted: Wish, topology: Topology) -> tuple[tuple[Tone, str], ...]:
    """Who leads now that a leader was asked to drain."""
    if wanted.leader != wanted.subject:
        return ()
    leader = next((view.name for view in topology.servers if view.leader), "")
    if leader and leader != wanted.subject:
        return (("ok", f"{leader} leads (term {topology.term})"),)
    return (("waiting", "Another server takes the lead"),)


def _undrain(wanted: Wish, topology: Topology) -> Seen:
    name, view = wanted.subject, _server(topology, wanted.subject)
    if view is None:
        return Seen("failed", (("warning", f"{name} is not in the cluster any more"),))
    if view.wanted == "draining":
        return _waiting(f"{name} is asked to serve")
    if view.state == "serving":
        return _done(f"{name} serves")
    if view.state == "gone":
        text = f"{name} will serve when it is back"
        return _done(text) if wanted.was_gone else Seen("failed", (("error", f"{name} is gone"),))
    return _waiting(f"{name} is {view.state}")


def _switchover(wanted: Wish, topology: Topology, later: Iterable[ClusterEvent]) -> Seen:
    leader = next((view.name for view in topology.servers if view.leader), "")
    changed = next((event for event in later if event.kind == "leader-changed"), None)
    if leader == wanted.subject:
        away = f"; nobody led for {away_text(changed.away_ms)}" if changed and changed.away_ms is not None else ""
        return _done(f"{leader} leads (term {topology.term}){away}")
    if not leader:
        return _waiting("Nobody leads at this moment")
    if topology.term > wanted.term and leader != wanted.leader:
        return Seen("failed", (("warning", f"{leader} leads now (term {topology.term}), not {wanted.subject}"),))
    return _waiting(f"{leader} is asked to give the lead to {wanted.subject}")


def _remove(wanted: Wish, topology: Topology) -> Seen:
    view = _server(topology, wanted.subject)
    if view is None:
        return _done(f"{wanted.subject} is forgotten")
    if view.state != "gone":
        return Seen("failed", (("warning", f"{wanted.subject} is back: it is {view.state}"),))
    return _waiting(f"{wanted.subject} is being forgotten")


def _pause(wanted: Wish, topology: Topology) -> Seen:
    if topology.paused == (wanted.verb == "pause"):
        return _done("The cluster is paused" if topology.paused else "The cluster is not paused any more")
    return _waiting("The cluster is asked")


def _database(wanted: Wish, topology: Topology, later: Iterable[ClusterEvent]) -> Seen:
    leads = [view.name for view in topology.databases if view.role != "standby"]
    changed = next((event for event in later if event.kind == "database-changed"), None)
    if wanted.subject in leads:
        away = f"; writes waited for {away_text(changed.away_ms)}" if changed and changed.away_ms is not None else ""
        return Seen("done", (("ok", f"{wanted.subject} is the primary{away}"), *_follows(wanted, topology)))
    if not leads:
        return _waiting("There is no primary at this moment; writes wait")
    return _waiting(f"{leads[0]} is the primary; it is asked to hand over to {wanted.subject}")


def _follows(wanted: Wish, topology: Topology) -> tuple[tuple[Tone, str], ...]:
    """How the other nodes fare: after a switchover the old primary has to come back as a standby."""

    def tone(view: DatabaseView) -> Tone:
        return "ok" if view.health == "ok" else "warning"

    others = [view for view in topology.databases if view.name != wanted.subject]
    return tuple((tone(view), f"{view.name}: {view.detail or view.role}") for view in others)
