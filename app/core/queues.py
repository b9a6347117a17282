"""Queues as rows: state, what a page costs, what they do with their jobs. Pure.

An untracked queue is shown as untracked in every row, for its jobs print uncounted; one whose print server has been
silent is never shown as idle.
"""

from typing import Final, Literal

from app.core import freshness
from app.core.costs import rule_words
from app.core.facts import OFFLINE_WORDS, PARTIAL_WORDS
from app.core.grid import Cell, Line
from app.core.reasons import reason_words
from app.core.viewdata import Tone, count_text
from backend.wire.base import Ledger
from backend.wire.cluster import Topology
from backend.wire.printers import QueueView

COLUMNS: Final = (
    "Queue", "Print server", "State", "Counted", "A page costs", "Jobs", "Without server", "Broken off",
    "Where", "Jobs so far", "Seen",
)  # fmt: skip
NUMBERS: Final = frozenset({9, 10})

Choice = Literal["all", "tracked", "untracked", "held", "off", "trouble"]
CHOICES: Final[dict[Choice, str]] = {
    "all": "All queues",
    "tracked": "Tracked",
    "untracked": "Untracked",
    "held": "Hold their jobs",
    "off": "Switched off",
    "trouble": "In trouble",
}

_PRINTER: Final[dict[str, tuple[str, Tone]]] = {
    "idle": ("Idle", "ok"),
    "processing": ("Printing", "active"),
    "stopped": ("Stopped", "warning"),
    "unknown": ("Not known", "unknown"),
}
_POLICY: Final = {"default": "by print server", "allow": "print", "allowance": "within allowance", "hold": "hold"}
_PARTIAL: Final = {"whole": "costs all", "nothing": "costs nothing"}


def seen_s(queue: QueueView, topology: Topology, age_s: float) -> float:
    """How long ago its print server told of it; negative: never."""
    return max(0.0, (topology.as_of - queue.seen_at) / 1000) + age_s if queue.seen_at else -1.0


def state(queue: QueueView, seen: float) -> tuple[str, Tone]:
    """What may be said of it now."""
    if seen < 0:
        return "Not seen yet", "unknown"
    if freshness.is_stale(seen):
        return "No data", "unknown"
    if queue.disabled:
        return "Switched off", "off"
    if not queue.accepting:
        return "Takes no jobs", "warning"
    return _PRINTER[queue.printer_state]


def chosen(topology: Topology, age_s: float, choice: Choice, provider: str = "") -> list[QueueView]:
    """The queues of a choice, by print server and name."""
    found = [queue for queue in topology.queues if not provider or queue.provider == provider]
    found = [queue for queue in found if _fits(queue, choice, state(queue, seen_s(queue, topology, age_s))[1])]
    return sorted(found, key=lambda queue: (queue.provider.casefold(), queue.name.casefold()))


def _fits(queue: QueueView, choice: Choice, tone: Tone) -> bool:
    match choice:
        case "all":
            return True
        case "tracked":
            return queue.tracked
        case "untracked":
            return not queue.tracked
        case "held":
            return queue.hold_jobs
        case "off":
            return queue.disabled
        case "trouble":
            return tone in ("error", "warning", "unknown")


def line(queue: QueueView, topology: Topology, age_s: float) -> Line:
    seen = seen_s(queue, topology, age_s)
    word, tone = state(queue, seen)
    says = reason_words(queue.printer_state_reasons)
    tracked = queue.tracked
    return Line(
        str(queue.queue_id),
        (
            Cell(queue.name, tip=queue.info),
            Cell(queue.provider, muted=True),
            Cell(word, tone, tip=says),
            Cell("tracked") if tracked else Cell("untracked", "warning", tip="Jobs on this queue print uncounted"),
            _price(queue, topology.ledger),
            Cell("held" if queue.hold_jobs else "print", "draining" if queue.hold_jobs else None, not queue.hold_jobs),
            Cell(_POLICY[queue.offline_policy], muted=True, tip=OFFLINE_WORDS[queue.offline_policy]),
            Cell(_PARTIAL[queue.partial_charge], muted=True, tip=PARTIAL_WORDS[queue.partial_charge]),
            Cell(queue.location, muted=True, tip=queue.location),
            Cell(f"{queue.jobs:,}", muted=True, by=queue.jobs),
            Cell(freshness.age_text(seen), muted=True, by=seen),
        ),
    )


def _price(queue: QueueView, ledger: Ledger) -> Cell:
    text = rule_words(queue.cost, ledger)
    first = text.partition(",")[0]
    return Cell(f"{first} …" if first != text else text, muted=not queue.tracked, tip=text)


def counted(topology: Topology, shown: int, picked: int) -> str:
    """How many are shown, of how many, and how many of them are chosen."""
    total = len(topology.queues)
    text = count_text(total, "queue", "queues") if shown == total else f"{shown:,} of {total:,} queues"
    return f"{text}  ·  {picked:,} chosen" if picked > 1 else text
