"""All that is known of one node, each fact with its name: for the panel beside the picture. Pure.

Made only for the node somebody looks at; a cluster may have thousands.
"""

from typing import Final

from app.core import freshness
from app.core.reasons import reason_words
from app.core.topology import ENGINES, printer_address
from app.core.viewdata import host_text
from backend.wire.base import OfflinePolicy, PartialCharge
from backend.wire.cluster import DatabaseView, ProviderView, ServerView, Topology
from backend.wire.pricing import rule_text
from backend.wire.printers import QueueView, ServerContact, Supply

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


def media_text(name: str) -> str:
    """A size's own name (PWG 5101.1) as people say it: iso_a4_210x297mm → A4, 210 × 297 mm."""
    parts = name.split("_")
    if len(parts) < 3 or "x" not in parts[-1]:
        return name
    size = parts[-1].replace("x", " × ").replace("mm", " mm").replace("in", " in")
    return f"{parts[1].upper() if len(parts[1]) <= 3 else parts[1].capitalize()}, {size}"


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
        ("Held jobs", f"{view.held_jobs:,}" if view.held_jobs else ""),
        ("Disk left", size_text(view.disk_free_bytes) if view.disk_free_bytes else ""),
        ("Trouble", view.trouble),
        ("Last heartbeat", freshness.ago_text(seen)),
        *((f"Sees {host_text(contact.url)}", contact_text(contact, max(0.0, seen))) for contact in view.contacts),
    )


def contact_text(contact: ServerContact, since_s: float) -> str:
    """When a server last answered this print server, `since_s` after it told so."""
    last = "never answered" if contact.age_s is None else f"answered {freshness.ago_text(contact.age_s + since_s)}"
    return f"{last}; {contact.trouble}" if contact.trouble else last


def size_text(size: float) -> str:
    """Bytes in their largest unit, as disks are sold: 80 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def supply_word(supply: Supply) -> tuple[str, str]:
    """How much is left, with the colour of the words (PWG 5100.13: -1 no limit, -2 unknown, -3 some)."""
    if supply.level == 0:
        return "error", "Empty"
    known = {-1: "No limit", -2: "Not known", -3: "Some left"}.get(supply.level, f"{supply.level} %")
    return ("warning", f"{known}, low") if supply.low else ("muted" if supply.level < 0 else "text", known)


def supplies(topology: Topology, node_id: str) -> tuple[Supply, ...]:
    """What the printer of a queue tells of its supplies; none for other nodes."""
    tier, _, name = node_id.partition(":")
    if tier != "queue":
        return ()
    return next((view.supplies for view in topology.queues if str(view.queue_id) == name), ())


OFFLINE_WORDS: Final[dict[OfflinePolicy, str]] = {
    "default": "as the print server is set",
    "allow": "print, charge later",
    "allowance": "print within balance and allowance",
    "hold": "hold until a server answers",
}
PARTIAL_WORDS: Final[dict[PartialCharge, str]] = {"whole": "costs as much as the whole", "nothing": "costs nothing"}


def _price(view: QueueView, topology: Topology) -> str:
    return rule_text(view.cost, topology.ledger.decimals, topology.ledger.currency)


def _queue(view: QueueView, topology: Topology, age_s: float) -> Facts:
    seen = max(0.0, (topology.as_of - view.seen_at) / 1000) + age_s if view.seen_at else -1.0
    return (
        ("Print server", view.provider),
        ("Printer", printer_address(view.device_uri)),
        ("Where", view.location),
        ("About", view.info),
        ("Price", _price(view, topology) if view.tracked else ""),
        ("Counted", "" if view.tracked else "no: this queue is untracked"),
        ("Jobs", "held until released" if view.hold_jobs else ""),
        ("While no server answers", OFFLINE_WORDS[view.offline_policy] if view.tracked else ""),
        ("A print that broke off", PARTIAL_WORDS[view.partial_charge] if view.tracked else ""),
        ("Says", reason_words(view.printer_state_reasons)),
        ("Media ready", "\n".join(media_text(name) for name in view.media_ready)),
        ("Jobs so far", f"{view.jobs:,}"),
        ("Pages so far", f"{view.impressions:,}"),
        ("Seen", freshness.ago_text(seen)),
    )
