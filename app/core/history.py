"""The cluster's history as rows for people: what happened, to whom, how bad it was, and since when it is over. Pure.

An event's severity is told three times: by the tone (colour and shape of its mark) and by a word. What the console
does not know yet (a newer server's kind of event) is shown as it is called, never left out.
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal

from app.core.events import newest_first
from app.core.freshness import ago_text
from app.core.tables import harmless, utc
from app.core.viewdata import Tone, actor_text
from backend.wire.cluster import ClusterEvent

Severity = Literal["failure", "warning", "action", "recovered", "info"]
Group = Literal["all", "trouble", "servers", "leader", "database", "people"]

SEVERITIES: Final[dict[Severity, tuple[str, Tone]]] = {
    "failure": ("Failure", "error"),
    "warning": ("Warning", "warning"),
    "action": ("Action", "active"),
    "recovered": ("Recovered", "ok"),
    "info": ("Info", "plain"),
}

GROUPS: Final[dict[Group, str]] = {
    "all": "Everything",
    "trouble": "Failures and warnings",
    "servers": "Application servers",
    "leader": "Leadership",
    "database": "Database",
    "people": "What people did",
}

_KINDS: Final[dict[str, tuple[str, Severity, Group]]] = {
    "member-joined": ("Server joined", "info", "servers"),
    "member-left": ("Server stopped", "info", "servers"),
    "member-gone": ("Server gone", "failure", "servers"),
    "member-returned": ("Server back", "recovered", "servers"),
    "member-restarted": ("Server started again", "info", "servers"),
    "member-draining": ("Drain begun", "action", "servers"),
    "member-drained": ("Drained", "info", "servers"),
    "member-undrained": ("Drain ended", "action", "servers"),
    "member-removed": ("Server removed", "action", "servers"),
    "member-duplicate": ("Two servers, one name", "failure", "servers"),
    "leader-changed": ("New leader", "info", "leader"),
    "leader-resigned": ("Lead given back", "info", "leader"),
    "switchover-wanted": ("Switchover begun", "action", "leader"),
    "cluster-paused": ("Cluster paused", "action", "servers"),
    "cluster-resumed": ("Pause ended", "action", "servers"),
    "database-changed": ("New primary", "info", "database"),
    "database-switchover": ("Database switchover begun", "action", "database"),
    "database-restored": ("Database restored", "action", "database"),
    "redundancy-lost": ("Redundancy lost", "failure", "database"),
    "redundancy-restored": ("Redundancy restored", "recovered", "database"),
    "dns-changed": ("DNS changed", "info", "servers"),
}

_DETAILS: Final[dict[str, str]] = {
    "before": "before: {}",
    "from": "from {}",
    "timeline": "timeline {}",
    "addresses": "addresses: {}",
    "url": "{}",
    "version": "version {}",
    "generation": "generation {}",
}

_CAUSES: Final[dict[str, str]] = {"new": "for the first time", "first": "the cluster’s first leader"}

SYSTEM: Final = "system"


@dataclass(frozen=True, slots=True)
class Row:
    """One event as it is shown. `away` is "" where nothing was away."""

    event_id: str
    severity: Severity
    what: str
    subject: str
    why: str
    away: str
    term: str
    actor: str

    @property
    def severity_word(self) -> str:
        return SEVERITIES[self.severity][0]

    @property
    def tone(self) -> Tone:
        return SEVERITIES[self.severity][1]


def row(event: ClusterEvent) -> Row:
    """The event in words."""
    return Row(
        event_id=event.event_id,
        severity=severity(event),
        what=_what(event),
        subject="" if event.subject == "cluster" else event.subject,
        why=why_text(event),
        away=away_text(event.away_ms),
        term=str(event.term) if event.term else "",
        actor="" if event.actor in ("", SYSTEM) else actor_text(event.actor).removeprefix("by "),
    )


def severity(event: ClusterEvent) -> Severity:
    """How bad it is; an unplanned change of leader or primary is a failure that was survived."""
    if event.kind == "leader-changed":
        return "warning" if event.cause == "lease expired" else "info"
    if event.kind == "database-changed":
        return "info" if _planned(event) else "warning"
    if event.kind == "member-restarted" and "died" in event.cause:
        return "recovered"
    return _KINDS.get(event.kind, ("", "info", "all"))[1]


def _planned(event: ClusterEvent) -> bool:
    """Whether a person asked for this change of the primary."""
    return event.cause.startswith("switchover")


def _what(event: ClusterEvent) -> str:
    if event.kind == "leader-changed" and event.cause == "lease expired":
        return "Leader failed over"
    if event.kind == "database-changed" and not _planned(event):
        return "Database failed over"
    known = _KINDS.get(event.kind)
    return known[0] if known is not None else event.kind.replace("-", " ").capitalize()


def why_text(event: ClusterEvent) -> str:
    """Cause and what it concerned, one after the other: "lease expired · before: app-1"."""
    parts = [] if event.cause in ("", "wanted") else [_CAUSES.get(event.cause, event.cause)]
    silent_ms = event.detail.get("silent_ms")
    if isinstance(silent_ms, int):
        parts.append(f"silent for {away_text(silent_ms)}")
    told = [key for key in _DETAILS if event.detail.get(key) and str(event.detail[key]) not in event.cause.split()]
    parts += [_DETAILS[key].format(event.detail[key]) for key in told]
    return " · ".join(parts)


def away_text(away_ms: int | None) -> str:
    """How long something was away: "0.4 s", "12 s", "3 min 20 s"."""
    if away_ms is None:
        return ""
    seconds = away_ms / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


# ---------------------------------------------------------------- when


def moment_text(at_ms: int, now_ms: int, zone: tzinfo | None = None) -> str:
    """A moment of the database's clock in this machine's zone (or `zone`); the year only where it is another."""
    moment, now = _local(at_ms, zone), _local(now_ms, zone)
    year = f" {moment.year}" if moment.year != now.year else ""
    return f"{moment.day} {moment:%b}{year}, {moment:%H:%M:%S}"


def moment_tip(at_ms: int, now_ms: int) -> str:
    """The same to the millisecond, in UTC, with its age."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    ago = ago_text(max(0.0, (now_ms - at_ms) / 1000))
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d} UTC by the database’s clock, {ago}"


def _local(at_ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)


# ---------------------------------------------------------------- choosing


def matches(event: ClusterEvent, text: str, group: Group) -> bool:
    """Whether an event belongs to a group and has every word of a text somewhere in it."""
    if group == "trouble" and severity(event) not in ("failure", "warning"):
        return False
    if group == "people" and event.actor in ("", SYSTEM):
        return False
    if group in ("servers", "leader", "database") and _KINDS.get(event.kind, ("", "info", "all"))[2] != group:
        return False
    words = text.lower().split()
    return not words or all(word in _haystack(event) for word in words)


def _haystack(event: ClusterEvent) -> str:
    shown = row(event)
    return "\n".join(
        (shown.what, shown.severity_word, event.kind, event.subject, shown.why, event.actor, f"term {event.term}")
    ).lower()


def about(events: Iterable[ClusterEvent], node_id: str, limit: int = 3) -> list[ClusterEvent]:
    """The newest events that concern a server or a database node."""
    tier, _, name = node_id.partition(":")
    if tier not in ("server", "database"):
        return []
    mine = [event for event in events if name in (event.subject, event.detail.get("before"), event.detail.get("from"))]
    if tier == "server":
        mine = [event for event in mine if _group(event) in ("servers", "leader")]
    else:
        mine = [event for event in mine if _group(event) == "database"]
    return newest_first(mine)[:limit]


def _group(event: ClusterEvent) -> Group:
    return _KINDS.get(event.kind, ("", "info", "all"))[2]


def as_csv(events: Iterable[ClusterEvent]) -> str:
    """A table for other programs, times in UTC (RFC 4180). Text that a spreadsheet would run as a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("event_id", "at", "kind", "severity", "subject", "actor", "term", "cause", "away_ms", "detail"))
    for event in events:
        detail = json.dumps(event.detail, ensure_ascii=False, sort_keys=True) if event.detail else ""
        away = "" if event.away_ms is None else event.away_ms
        texts = [harmless(text) for text in (event.subject, event.actor)]
        writer.writerow(
            (
                event.event_id,
                utc(event.at),
                event.kind,
                severity(event),
                *texts,
                event.term,
                harmless(event.cause),
                away,
                detail,
            )
        )
    return out.getvalue()


def line(event: ClusterEvent, zone: tzinfo | None = None) -> str:
    """One event as a line to be copied: its moment in UTC, what, who, why."""
    shown = row(event)
    at = f"{_local(event.at, zone or UTC):%Y-%m-%d %H:%M:%S}"
    parts = [f"{at} UTC" if zone is None else at, f"{shown.severity_word}: {shown.what}", shown.subject, shown.why]
    parts += [f"away {shown.away}"] if shown.away else []
    parts += [f"term {shown.term}"] if shown.term else []
    parts += [f"by {shown.actor}"] if shown.actor else []
    return "  ".join(part for part in parts if part)
