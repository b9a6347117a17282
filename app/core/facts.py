"""All that is known of one node, each fact with its name: for the panel beside the picture. Pure.

Made only for the node somebody looks at; a cluster may have thousands.
"""

from app.core import freshness
from app.core.topology import ENGINES, printer_address
from app.core.viewdata import money
from backend.wire.messages import DatabaseView, ProviderView, QueueView, ServerView, Topology

Facts = tuple[tuple[str, str], ...]


def facts(topology: Topology, node_id: str, age_s: float) -> Facts:
    """The facts of a node by its id, those without a value left out; none for a node that is not in the picture."""
    tier, _, name = node_id.partition(":")
    found: Facts = ()
    match tier:
        case "server":
            found = next((_server(view, age_s) for view in topology.servers if view.name == name), ())
        case "database":
            found = next((_database(view, topology, age_s) for view in topology.databases if view.name == name), ())
        case "provider":
            found = next((_provider(view, age_s) for view in topology.providers if str(view.provider_id) == name), ())
        case "queue":
            found = next((_queue(view, topology, age_s) for view in topology.queues if str(view.queue_id) == name), ())
    return tuple((title, text) for title, text in found if text)


def _server(view: ServerView, age_s: float) -> Facts:
    return (
        ("Address", view.url),
        ("State", "drained" if view.drained else view.state),
        ("To drain", "yes, until it is undrained" if view.wanted == "draining" and view.state != "draining" else ""),
        ("Requests", f"{view.load:,} under way" if view.load else ""),
        ("Streams", f"{view.connections:,} open" if view.connections else ""),
        ("Version", view.program_version),
        ("Serves", view.serves),
        ("Last heartbeat", freshness.ago_text(view.age_s + age_s)),
    )


def _database(view: DatabaseView, topology: Topology, age_s: float) -> Facts:
    failed_over_s = (topology.as_of - view.last_failover_at) / 1000 + age_s if view.last_failover_at else -1.0
    return (
        ("Engine", ENGINES[view.engine]),
        ("Role", view.role),
        ("Replication", view.sync_state),
        ("Behind", lag_text(view)),
        ("Timeline", str(view.timeline) if view.timeline else ""),
        ("Last failover", freshness.ago_text(failed_over_s) if view.last_failover_at else ""),
        ("Told by", {"patroni": "Patroni", "database": "the database"}.get(view.source, "")),
        ("Read", freshness.ago_text(view.age_s + age_s)),
    )


def lag_text(view: DatabaseView) -> str:
    """How far a standby is behind: bytes of log, and seconds where they are known."""
    if view.lag_bytes is None:
        return "" if view.role != "standby" else "not known"
    units = ["GB", "MB", "kB", "B"]
    size, unit = float(view.lag_bytes), units.pop()
    while size >= 1000 and units:
        size, unit = size / 1024, units.pop()
    text = f"{size:.0f} {unit}"
    return text if view.lag_s is None else f"{text}, {view.lag_s:.1f} s"


def _provider(view: ProviderView, age_s: float) -> Facts:
    seen = view.age_s + age_s if view.age_s >= 0 else -1.0
    return (
        ("Host", view.host),
        ("Version", view.program_version),
        ("Talks to", view.server),
        ("Reports not sent yet", f"{view.backlog:,}"),
        ("Oldest of them", freshness.age_text(view.oldest_unsent_s) if view.backlog else ""),
        ("Last heartbeat", freshness.ago_text(seen)),
    )


def _queue(view: QueueView, topology: Topology, age_s: float) -> Facts:
    seen = max(0.0, (topology.as_of - view.seen_at) / 1000) + age_s if view.seen_at else -1.0
    return (
        ("Print server", view.provider),
        ("Printer", printer_address(view.device_uri)),
        ("Where", view.location),
        ("About", view.info),
        ("Price", f"{money(view.cost.per_impression, topology.ledger)} a page" if view.tracked else ""),
        ("While no server answers", view.offline_policy if view.tracked else ""),
        ("Jobs so far", f"{view.jobs:,}"),
        ("Pages so far", f"{view.impressions:,}"),
        ("Seen", freshness.ago_text(seen)),
    )
