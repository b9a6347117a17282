"""The live picture and its one-sentence verdict, from plain values. Pure.

The verdict says first what it means for those who print and pay ("Printing goes on; 3 jobs wait to be charged"), then
the worst thing that is wrong, then how much else there is.

Invariant: the verdict is true of what is shown beside it. It says "all is well" only when everything shown is well, and
"printing goes on" only of print servers that told so a moment ago.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from backend.cluster.model import MemberRow, Snapshot, state_of
from backend.printers.model import SILENT_S, ProviderSeen
from backend.wire.base import Ledger
from backend.wire.cluster import DatabaseView, Health, ProviderView, ServerView, Topology
from backend.wire.printers import MemberState, QueueView

OLD_REPORT_S = 60.0
CLOCK_OFF_S = 60.0
LITTLE_DISK_BYTES = 512 * 1024 * 1024

_WORST: tuple[Health, ...] = ("error", "warning", "draining", "unknown", "ok")


@dataclass(frozen=True)
class _Trouble:
    """`sentence` goes on after "Printing goes on: "; `plain` ones say themselves what does not print."""

    health: Health
    sentence: str
    plain: bool = False


def build(
    snapshot: Snapshot,
    seen_by: str,
    now: int,
    providers: Sequence[ProviderSeen],
    queues: Sequence[QueueView],
    databases: Sequence[DatabaseView],
    ledger: Ledger,
) -> Topology:
    """The picture as of `now` (milliseconds, by the database's clock)."""
    servers = tuple(server_view(row, snapshot) for row in snapshot.members)
    theirs: dict[str, list[QueueView]] = {}
    for queue in queues:
        if queue.seen_at:
            theirs.setdefault(queue.provider, []).append(queue)
    shown = tuple(provider_view(row, theirs.get(row.name, ())) for row in providers)
    troubles = _troubles(servers, shown, queues, databases, snapshot.paused)
    return Topology(
        cluster=snapshot.cluster_id,
        seen_by=seen_by,
        as_of=now,
        generation=snapshot.generation,
        term=snapshot.lease.term,
        verdict=_verdict(troubles, servers, shown, queues),
        health=min((trouble.health for trouble in troubles), key=_WORST.index, default="ok"),
        servers=servers,
        databases=tuple(databases),
        providers=shown,
        queues=tuple(queues),
        ledger=ledger,
        paused=snapshot.paused,
    )


def fingerprint(topology: Topology) -> bytes:
    """What changes when something worth telling changed: all but the times at which things were last seen."""
    still = msgspec.structs.replace(
        topology,
        as_of=0,
        age_s=1.0 if topology.age_s else 0.0,
        servers=tuple(msgspec.structs.replace(server, age_s=0.0, load=0, connections=0) for server in topology.servers),
        providers=tuple(
            msgspec.structs.replace(
                provider,
                age_s=0.0,
                oldest_unsent_s=0.0,
                disk_free_bytes=0,
                contacts=tuple(msgspec.structs.replace(contact, age_s=0.0) for contact in provider.contacts),
            )
            for provider in topology.providers
        ),
        databases=tuple(
            msgspec.structs.replace(database, age_s=0.0, lag_bytes=None, lag_s=None) for database in topology.databases
        ),
        queues=tuple(msgspec.structs.replace(queue, seen_at=0) for queue in topology.queues),
    )
    return msgspec.json.encode(still)


def server_view(row: MemberRow, snapshot: Snapshot) -> ServerView:
    """A server with what its state means for people."""
    state = state_of(row, snapshot.heartbeat_s)
    leader = bool(snapshot.lease.holder) and snapshot.lease.holder == row.process and state != "gone"
    health, detail = _server_health(state, row, leader)
    return ServerView(
        name=row.name,
        url=row.url,
        state=state,
        health=health,
        detail=detail,
        leader=leader,
        program_version=row.program_version,
        age_s=row.age_ms / 1000,
        wanted=row.wanted,
        load=row.load,
        connections=row.connections,
        serves=row.serves,
        drained=state == "draining" and row.state == "drained",
    )


def provider_view(row: ProviderSeen, queues: Sequence[QueueView]) -> ProviderView:
    """A print server with what its silence or backlog means; `queues` are those of its own that it reports."""
    health, detail = _provider_health(row, sum(queue.tracked for queue in queues))
    return ProviderView(
        provider_id=row.provider_id,
        name=row.name,
        host=row.host,
        health=health,
        detail=detail,
        program_version=row.program_version,
        backlog=row.backlog,
        oldest_unsent_s=row.oldest_unsent_s,
        queue_count=len(queues),
        age_s=-1.0 if row.age_s is None else row.age_s,
        server=row.server,
        disk_free_bytes=row.disk_free_bytes,
        held_jobs=row.held_jobs,
        trouble=row.trouble,
        contacts=row.contacts,
    )


def duration_text(seconds: float) -> str:
    """A span of time for people, in its largest unit: "8 s", "3 min", "2 h", "5 days"."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _server_health(state: MemberState, row: MemberRow, leader: bool) -> tuple[Health, str]:
    silence = duration_text(row.age_ms / 1000)
    texts: dict[MemberState, tuple[Health, str]] = {
        "serving": _serving(row, leader),
        "joining": ("warning", "starting"),
        "draining": ("draining", "drained, can be stopped" if row.state == "drained" else "takes no new work"),
        "suspect": ("warning", f"no sign of life for {silence}"),
        "gone": ("error", f"gone for {silence}" if row.state != "gone" else f"stopped {silence} ago"),
    }
    return texts[state]


def _serving(row: MemberRow, leader: bool) -> tuple[Health, str]:
    off_s = row.clock_off_ms / 1000
    if abs(off_s) > CLOCK_OFF_S:
        way = "ahead of" if off_s > 0 else "behind"
        return "warning", f"its clock is {duration_text(abs(off_s))} {way} the database's"
    return "ok", "serving, leads the cluster" if leader else "serving"


def _provider_health(row: ProviderSeen, tracked: int) -> tuple[Health, str]:
    if row.age_s is None:
        return "unknown", "enrolled, has not been seen yet"
    if row.age_s > SILENT_S:
        return "error", f"silent for {duration_text(row.age_s)}"
    if row.trouble:
        return "warning", row.trouble
    if row.backlog and row.oldest_unsent_s > OLD_REPORT_S:
        return "warning", f"{row.backlog} reports wait, the oldest for {duration_text(row.oldest_unsent_s)}"
    if 0 < row.disk_free_bytes < LITTLE_DISK_BYTES:
        return "warning", f"only {row.disk_free_bytes // 1_000_000} MB of disk left"
    if not tracked:
        return "warning", "tracks no queue"
    return "ok", f"tracks {_count(tracked, 'queue')}"


def _troubles(
    servers: Sequence[ServerView],
    providers: Sequence[ProviderView],
    queues: Sequence[QueueView],
    databases: Sequence[DatabaseView],
    paused: bool,
) -> list[_Trouble]:
    """All that is not well, the worst first."""
    found = [
        *(_Trouble(view.health, f"database {view.name}: {view.detail}") for view in databases if view.health != "ok"),
        *(_Trouble(view.health, _server_sentence(view)) for view in servers if view.health != "ok"),
        *(_Trouble(view.health, _provider_sentence(view, servers)) for view in providers if view.health != "ok"),
        *_cut_off(servers, providers),
        *(
            _Trouble("warning", f"queue {queue.name} on {queue.provider} is stopped", plain=True)
            for queue in queues
            if queue.tracked and queue.seen_at and queue.printer_state == "stopped"
        ),
    ]
    if servers and not any(server.leader for server in servers):
        found.append(_Trouble("warning", "no server leads the cluster at the moment"))
    if paused:
        found.append(_Trouble("warning", "the cluster is paused: members that are gone are kept, DNS is not changed"))
    return sorted(found, key=lambda trouble: _WORST.index(trouble.health))


def _verdict(
    troubles: Sequence[_Trouble],
    servers: Sequence[ServerView],
    providers: Sequence[ProviderView],
    queues: Sequence[QueueView],
) -> str:
    if not troubles:
        tracked = sum(queue.tracked for queue in queues)
        if not providers:
            return f"All is well: {_count(len(servers), 'server')}, no print server is enrolled yet."
        return (
            f"All is well: {_count(len(servers), 'server')}, {_count(len(providers), 'print server')}, "
            f"{_count(tracked, 'tracked queue')}."
        )
    worst, more = troubles[0], len(troubles) - 1
    others = f"; {more} more to look at" if more else ""
    means = _printing(providers, worst)
    joint = "; " if ": " in worst.sentence else ": "
    text = f"{means}{joint}{worst.sentence}" if means else worst.sentence
    return f"{text[:1].upper()}{text[1:]}{others}."


def _printing(providers: Sequence[ProviderView], worst: _Trouble) -> str:
    """What it means for those who print and pay; "" where there is nothing to say of it."""
    known = [view for view in providers if view.age_s >= 0]
    heard = [view for view in known if view.health != "error"]
    waiting = sum(view.backlog for view in known)
    if not known or (worst.plain and not waiting):
        return ""
    parts = ["printing goes on"]
    if not heard:
        parts = ["whether printing goes on is not known"]
    elif len(heard) < len(known):
        parts = [f"printing goes on on {len(heard)} of {_count(len(known), 'print server')}"]
    if waiting:
        parts.append("1 job waits to be charged" if waiting == 1 else f"{waiting} jobs wait to be charged")
    return "; ".join(parts)


def _server_sentence(view: ServerView) -> str:
    if view.state in ("suspect", "gone") and not view.detail.startswith("stopped"):
        return f"server {view.name} does not answer ({view.detail})"
    if view.detail.startswith("its "):
        return f"server {view.name}'s {view.detail.removeprefix('its ')}"
    verb = {"starting": "is ", "drained, can be stopped": "is ", "takes no new work": ""}.get(view.detail, "was ")
    return f"server {view.name} {verb}{view.detail}"


def _provider_sentence(view: ProviderView, servers: Sequence[ServerView]) -> str:
    """Where reports wait because servers do not answer a print server, it is these that are named."""
    name = f"print server {view.name}"
    if view.health == "error":
        return f"{name} has been {view.detail}"
    away = _away(view, servers)
    if view.backlog and not view.trouble and away:
        verb = "do" if len(away) > 1 else "does"
        return f"{_count_words('server', away)} {verb} not answer {name}"
    if view.backlog and not view.trouble:
        return f"{name} has not been able to send them for {duration_text(view.oldest_unsent_s)}"
    return f"{name}: {view.detail}"


def _cut_off(servers: Sequence[ServerView], providers: Sequence[ProviderView]) -> list[_Trouble]:
    """Servers that live and yet do not answer a print server that is otherwise well."""
    found = []
    for view in providers:
        away = _away(view, [server for server in servers if server.health == "ok"]) if view.health == "ok" else []
        if away:
            verb = "do" if len(away) > 1 else "does"
            found.append(
                _Trouble("warning", f"{_count_words('server', away)} {verb} not answer print server {view.name}")
            )
    return found


def _away(view: ProviderView, servers: Sequence[ServerView]) -> list[str]:
    """The servers, by name, that this print server has not reached for a while."""
    silent = {
        contact.url.rstrip("/")
        for contact in view.contacts
        if contact.trouble and (contact.age_s is None or contact.age_s > SILENT_S)
    }
    return [server.name for server in servers if server.url.rstrip("/") in silent]


def _count_words(noun: str, names: Sequence[str]) -> str:
    """ "server app-1", "servers app-1 and app-2"."""
    return f"{noun} {names[0]}" if len(names) == 1 else f"{noun}s {', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
