"""The cluster as nodes and edges: what stands on each card and who talks to whom. Pure.

The graph and its accessible equal, the tree, are drawn from the same values. Health is what may be claimed *now*
(freshness.py), not what was claimed when the picture was read.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from app.core import freshness
from app.core.reasons import reason_words
from app.core.viewdata import HEALTH_WORDS, Tone, count_text, host_text
from backend.wire.base import Ledger
from backend.wire.cluster import DatabaseView, Health, ProviderView, ServerView, Topology
from backend.wire.pricing import rule_text
from backend.wire.printers import QueueView

Tier = Literal["database", "server", "provider", "queue"]
EdgeState = Literal["live", "broken", "stale", "replica"]

TIERS: Final[tuple[Tier, ...]] = ("database", "server", "provider", "queue")
TIER_TITLES: Final[dict[Tier, str]] = {
    "database": "Database",
    "server": "Application servers",
    "provider": "Print servers",
    "queue": "Queues and printers",
}

QUEUES_SHOWN: Final = 12
"""A print server with more queues than this shows the ones in trouble first and one card that stands for the rest."""

WORST_FIRST: Final[tuple[Health, ...]] = ("error", "unknown", "warning", "draining", "ok")


@dataclass(frozen=True, slots=True)
class Node:
    """One card. `parent` is the provider of a queue; `dashed` says that this is not (or no longer) counted or known."""

    id: str
    tier: Tier
    name: str
    kind: str
    health: Health
    word: str
    detail: str = ""
    age: str = "now"
    badges: tuple[str, ...] = ()
    dashed: bool = False
    parent: str = ""

    @property
    def status(self) -> str:
        """Word and detail in one line, without saying the word twice."""
        if not self.detail or self.detail.lower().startswith(self.word.lower()):
            told = self.detail or self.word
            return f"{told[:1].upper()}{told[1:]}"
        return f"{self.word} · {self.detail}"


@dataclass(frozen=True, slots=True)
class Edge:
    id: str
    source: str
    target: str
    state: EdgeState


@dataclass(frozen=True, slots=True)
class Graph:
    """`captions` holds a line per tier: "3 of 4 serving"; `alerts` what is to be seen of a whole tier: "No leader"."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    captions: tuple[tuple[Tier, str], ...] = ()
    alerts: tuple[tuple[Tier, Tone, str], ...] = ()

    def node(self, node_id: str) -> Node | None:
        return next((node for node in self.nodes if node.id == node_id), None)


def build(topology: Topology, age_s: float, endpoint: str = "") -> Graph:
    """The graph of a picture that was read `age_s` ago, every queue in it."""
    databases = tuple(
        _database(view, topology, age_s) for view in sorted(topology.databases, key=lambda view: view.name)
    )
    servers = tuple(_server(view, topology, age_s, endpoint) for view in sorted(topology.servers, key=lambda v: v.name))
    providers = tuple(_provider(view, age_s) for view in sorted(topology.providers, key=lambda view: view.name))
    captions: tuple[tuple[Tier, str], ...] = (
        ("database", _database_caption(topology)),
        ("server", _server_caption(topology, servers)),
        ("provider", _share(providers, "up")),
        ("queue", _queue_caption(topology)),
    )
    nodes = databases + servers + providers + _queues(topology, age_s)
    edges = _edges(topology, {node.id: node for node in nodes})
    return Graph(nodes=nodes, edges=edges, captions=captions, alerts=_alerts(topology, age_s))


def fold(graph: Graph) -> Graph:
    """The same graph where print servers with many queues show few cards and count the rest."""
    blocks: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.tier == "queue":
            blocks.setdefault(node.parent, []).append(node)
    others = tuple(node for node in graph.nodes if node.tier != "queue")
    return replace(graph, nodes=others + tuple(card for block in blocks.values() for card in _folded(block)))


# ---------------------------------------------------------------- cards


def _shown(health: Health, word: str, detail: str, node_age: float, age_s: float) -> tuple[Health, str, str]:
    """Health, word and detail as they may be claimed now; expired good news becomes "No data" with its age."""
    shown = freshness.shown_health(health, node_age, age_s)
    if shown == "unknown" and health != "unknown":
        return shown, HEALTH_WORDS["unknown"], f"last seen {freshness.ago_text(max(node_age, age_s))}"
    return shown, word, detail


def _server(view: ServerView, topology: Topology, age_s: float, endpoint: str) -> Node:
    age = view.age_s + age_s
    told = view.detail.removesuffix(", leads the cluster") if view.leader else view.detail  # its badge says so
    health, word, detail = _shown(view.health, _server_word(view), told, age, age_s)
    badges = (f"Leader · term {topology.term}",) if view.leader else ()
    here = bool(endpoint) and (view.url.rstrip("/") == endpoint.rstrip("/") or view.name == topology.seen_by)
    return Node(
        id=f"server:{view.name}",
        tier="server",
        name=view.name,
        kind=f"{host_text(view.url)} · this console" if here else host_text(view.url),
        health=health,
        word=word,
        detail=detail,
        age=freshness.age_text(age),
        badges=badges,
        dashed=health == "unknown",
    )


def _server_word(view: ServerView) -> str:
    """A server's state is more than its health: one that still works its requests off cannot be stopped yet."""
    if view.drained:
        return "Drained"
    return _STATE_WORDS.get(view.state) or HEALTH_WORDS[view.health]


_STATE_WORDS: Final = {"joining": "Joining", "suspect": "Suspect", "gone": "Gone"}

ENGINES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "memory": "In memory"}


def _database_kind(view: DatabaseView, topology: Topology, age_s: float) -> str:
    """Engine and role; where one is known the last failover in place of the engine, which the caption tells too."""
    if not view.last_failover_at:
        return f"{ENGINES[view.engine]} · {view.role}" if view.role else ENGINES[view.engine]
    ago_s = max(0.0, (topology.as_of - view.last_failover_at) / 1000) + age_s
    return f"{view.role} · failover {freshness.ago_text(ago_s)}"


def _database(view: DatabaseView, topology: Topology, age_s: float) -> Node:
    health, word, detail = _shown(view.health, HEALTH_WORDS[view.health], view.detail, age_s, age_s)
    return Node(
        id=f"database:{view.name}",
        tier="database",
        name=view.name,
        kind=_database_kind(view, topology, age_s),
        health=health,
        word=word,
        detail=detail,
        age=freshness.age_text(age_s),
        dashed=health == "unknown",
    )


def _provider(view: ProviderView, age_s: float) -> Node:
    age = view.age_s + age_s if view.age_s >= 0 else -1.0
    health, word, detail = _shown(view.health, HEALTH_WORDS[view.health], view.detail, age, age_s)
    if not detail and health == "error":
        detail = f"silent for {freshness.age_text(age)}"
    elif not detail and view.backlog:
        detail = f"{view.backlog:,} reports unsent"
    return Node(
        id=f"provider:{view.provider_id}",
        tier="provider",
        name=view.name,
        kind=f"{count_text(view.queue_count, 'queue', 'queues')} · {view.host or 'CUPS'}",
        health=health,
        word=word,
        detail=detail or ("all reported" if health == "ok" else ""),
        age=freshness.age_text(age),
        dashed=health == "unknown",
    )


def queue_health(view: QueueView) -> tuple[Health, str]:
    """A queue's health and word. Switched off on purpose is a pause, not a fault; uncounted printing is a warning."""
    if view.disabled:
        return "draining", "Switched off"
    if view.printer_state == "stopped":
        return "warning", "Stopped"
    if not view.accepting:
        return "warning", "Rejecting jobs"
    if not view.tracked:
        return "warning", "Untracked"
    if view.printer_state == "unknown":
        return "unknown", "State unknown" if view.seen_at else "Never seen"
    return "ok", "Printing" if view.printer_state == "processing" else "Idle"


def _queue_detail(view: QueueView, ledger: Ledger) -> str:
    reasons = reason_words(view.printer_state_reasons)
    if reasons:
        return reasons
    if not view.tracked:
        return "not counted"
    return rule_text(view.cost, ledger.decimals, ledger.currency)


def printer_address(device_uri: str) -> str:
    """The printer behind a queue without our own prefix and without the path: "ipp://10.0.0.7"."""
    uri = device_uri.removeprefix("inkeeper:/")
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0].rpartition('@')[2]}" if separator else uri


def _queue(view: QueueView, parent: str, topology: Topology, age_s: float) -> Node:
    age = max(0.0, (topology.as_of - view.seen_at) / 1000) + age_s if view.seen_at else -1.0
    health, word = queue_health(view)
    health, word, detail = _shown(health, word, _queue_detail(view, topology.ledger), age, age_s)
    address = printer_address(view.device_uri)
    return Node(
        id=f"queue:{view.queue_id}",
        tier="queue",
        name=view.name,
        kind=view.location or view.info or address or "no printer address",
        health=health,
        word=word,
        detail=detail,
        age=freshness.age_text(age),
        dashed=health == "unknown" or not view.tracked,
        parent=parent,
    )


def _queues(topology: Topology, age_s: float) -> tuple[Node, ...]:
    parents = {view.name: f"provider:{view.provider_id}" for view in topology.providers}
    ordered = sorted(topology.queues, key=lambda view: (view.provider, view.name))
    return tuple(_queue(view, parents.get(view.provider, ""), topology, age_s) for view in ordered)


def _folded(mine: list[Node]) -> list[Node]:
    """At most `QUEUES_SHOWN` cards: those in trouble first, by name among equals; the last card counts all the
    others.
    """
    if len(mine) <= QUEUES_SHOWN:
        return mine
    ranked = sorted(mine, key=lambda node: WORST_FIRST.index(node.health))
    shown, rest = ranked[: QUEUES_SHOWN - 1], ranked[QUEUES_SHOWN - 1 :]
    worst = min((node.health for node in rest), key=WORST_FIRST.index)
    alike = sum(node.health == worst for node in rest)
    more = Node(
        id=f"more:{mine[0].parent}",
        tier="queue",
        name=f"{len(rest):,} more queues",
        kind="listed in the table",
        health=worst,
        word=HEALTH_WORDS[worst],
        detail="all of them" if alike == len(rest) else f"{alike:,} of them",
        parent=mine[0].parent,
    )
    return [*sorted(shown, key=lambda node: node.name), more]


# ---------------------------------------------------------------- edges


def _edges(topology: Topology, nodes: dict[str, Node]) -> tuple[Edge, ...]:
    primaries = [view.name for view in topology.databases if view.role != "standby"]
    edges = [
        _edge(f"server:{server.name}", f"database:{primary}", nodes)
        for server in topology.servers
        for primary in primaries
    ]
    for view in topology.databases:
        if view.role == "standby" and primaries:
            source = f"database:{primaries[0]}"
            target = f"database:{view.name}"
            edge = _edge(source, target, nodes)
            edges.append(replace(edge, state="replica") if edge.state == "live" else edge)
    names = {view.name for view in topology.servers}
    parents = {node.parent for node in nodes.values()}
    for provider in topology.providers:
        source = f"provider:{provider.provider_id}"
        targets = [provider.server] if provider.server in names else sorted(names)[:1] if len(names) == 1 else []
        edges += [_edge(source, f"server:{name}", nodes) for name in targets]
        if source in parents:
            edges.append(_edge(source, f"queues:{source}", nodes))
    return tuple(edges)


def _edge(source: str, target: str, nodes: dict[str, Node]) -> Edge:
    """An edge is as good as the worse of its ends: a dead end breaks it, an unknown end makes it a guess."""
    ends = {nodes[end].health for end in (source, target) if end in nodes}
    state: EdgeState = "broken" if "error" in ends else "stale" if "unknown" in ends else "live"
    return Edge(f"{source}>{target}", source, target, state)


# ---------------------------------------------------------------- captions


def _share(nodes: tuple[Node, ...], word: str) -> str:
    if not nodes:
        return "none enrolled yet"
    good = sum(node.health in ("ok", "warning") for node in nodes)
    return f"{good} of {len(nodes)} {word}"


def _server_caption(topology: Topology, nodes: tuple[Node, ...]) -> str:
    """Counts only servers of which something is known now."""
    states = {f"server:{view.name}": view.state for view in topology.servers}
    serving = sum(states[node.id] == "serving" and node.health in ("ok", "warning") for node in nodes)
    return f"{serving} of {len(nodes)} serving"


def _alerts(topology: Topology, age_s: float) -> tuple[tuple[Tier, Tone, str], ...]:
    """What concerns a tier as a whole; of an old picture nothing is claimed."""
    if freshness.is_stale(age_s, freshness.SNAPSHOT_LIMIT_S):
        return ()
    found: list[tuple[Tier, Tone, str]] = []
    if topology.servers and not any(view.leader for view in topology.servers):
        found.append(("server", "warning", "No leader"))
    if topology.paused:
        found.append(("server", "draining", "Paused"))
    if topology.databases and all(view.role == "standby" for view in topology.databases):
        found.append(("database", "error", "No primary"))
    if any(view.role == "single copy" and view.health != "ok" for view in topology.databases):
        found.append(("database", "warning", "Single copy"))
    return tuple(found)


def _database_caption(topology: Topology) -> str:
    engines = sorted({ENGINES[view.engine] for view in topology.databases})
    return f"{' + '.join(engines)} · generation {topology.generation}" if engines else "unknown"


def _queue_caption(topology: Topology) -> str:
    tracked = sum(view.tracked for view in topology.queues)
    if not topology.queues:
        return "none tracked yet"
    return f"{tracked} of {len(topology.queues)} tracked"
