"""Where the cards of the topology stand: our own tiered layout, four columns from the database out to the printers.
Pure.

Columns, because screens are wide: the way of a charge runs from right to left, queue to print server to application
server to database, and every edge joins neighbours. Each print server stands beside the block of its own queues, so
an edge never crosses a card or a caption.

Invariant: deterministic. The same nodes give the same places, whatever their health; a refresh moves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.topology import TIER_TITLES, TIERS, Graph, Node, Tier
from app.core.viewdata import Tone

CARD_W: Final = 236.0
CARD_H: Final = 82.0
GAP: Final = 14.0
COLUMN_GAP: Final = 66.0
PADDING: Final = 18.0
CAPTION_H: Final = 64.0
BLOCK_GAP: Final = 24.0
WISHED_ASPECT: Final = 2.9
"""Width to height of the area above the table of jobs on common screens: the picture is to fill it at the largest
scale.
"""

MAX_BLOCK_COLUMNS: Final = 6


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        return self.x + self.w

    @property
    def bottom(self) -> float:
        return self.y + self.h

    @property
    def middle(self) -> float:
        return self.y + self.h / 2

    def moved(self, dx: float, dy: float) -> "Rect":
        return Rect(self.x + dx, self.y + dy, self.w, self.h)


@dataclass(frozen=True, slots=True)
class Group:
    """A tier's box with its caption, and what is to be seen of it as a whole."""

    tier: Tier
    title: str
    caption: str
    rect: Rect
    alerts: tuple[tuple[Tone, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """`cards` by node id; `blocks` are the queues of one print server, by the id that edges name
    ("queues:provider:3").
    """

    groups: tuple[Group, ...]
    cards: dict[str, Rect]
    blocks: dict[str, Rect]
    bounds: Rect


def place(graph: Graph) -> Layout:
    """Places for all cards of a graph. The block width is chosen so that the whole comes closest to the wished
    aspect.
    """
    widest = max((len(block) for block in _blocks(graph).values()), default=1)
    candidates = [_place(graph, columns) for columns in range(1, min(MAX_BLOCK_COLUMNS, max(1, widest)) + 1)]
    return min(candidates, key=lambda layout: max(layout.bounds.w / WISHED_ASPECT, layout.bounds.h))


def _blocks(graph: Graph) -> dict[str, list[Node]]:
    """Queues by print server in the order of the cards; queues of nobody come last under ""."""
    blocks: dict[str, list[Node]] = {node.id: [] for node in graph.nodes if node.tier == "provider"}
    for node in graph.nodes:
        if node.tier == "queue":
            blocks.setdefault(node.parent, []).append(node)
    return blocks


def _place(graph: Graph, block_columns: int) -> Layout:
    cards: dict[str, Rect] = {}
    blocks: dict[str, Rect] = {}
    queue_x = 3 * (CARD_W + 2 * PADDING + COLUMN_GAP)
    provider_x = queue_x - COLUMN_GAP - CARD_W - 2 * PADDING
    y = 0.0
    for provider, queues in _blocks(graph).items():
        block = _block(queues, block_columns, queue_x, y)
        height = max(CARD_H, block.h)
        if provider:
            cards[provider] = Rect(provider_x, y + (height - CARD_H) / 2, CARD_W, CARD_H)
        if queues:
            blocks[f"queues:{provider}"] = block = block.moved(0, (height - block.h) / 2)
            cards.update(_grid(queues, block_columns, block))
        y += height + BLOCK_GAP
    fringe_height = max(CARD_H, y - BLOCK_GAP)
    core_height = max(_stack_height(graph, tier) for tier in ("database", "server"))
    height = max(fringe_height, core_height)
    cards = {node: rect.moved(0, (height - fringe_height) / 2) for node, rect in cards.items()}
    blocks = {node: rect.moved(0, (height - fringe_height) / 2) for node, rect in blocks.items()}
    for index, tier in enumerate(("database", "server")):
        nodes = [node for node in graph.nodes if node.tier == tier]
        cards.update(_stack(nodes, index * (CARD_W + 2 * PADDING + COLUMN_GAP), height))
    return _boxed(graph, cards, blocks, height)


def _stack_height(graph: Graph, tier: str) -> float:
    count = max(1, sum(node.tier == tier for node in graph.nodes))
    return count * CARD_H + (count - 1) * GAP * 2


def _stack(nodes: Sequence[Node], x: float, height: float) -> dict[str, Rect]:
    """One column of cards, centred in the height."""
    own = len(nodes) * CARD_H + max(0, len(nodes) - 1) * GAP * 2
    top = (height - own) / 2
    return {node.id: Rect(x, top + row * (CARD_H + GAP * 2), CARD_W, CARD_H) for row, node in enumerate(nodes)}


def _block(queues: Sequence[Node], columns: int, x: float, y: float) -> Rect:
    """The area of one print server's queues."""
    columns = max(1, min(columns, len(queues)))
    rows = -(-len(queues) // columns)
    return Rect(x, y, columns * CARD_W + (columns - 1) * GAP, rows * CARD_H + max(0, rows - 1) * GAP)


def _grid(queues: Sequence[Node], columns: int, block: Rect) -> dict[str, Rect]:
    columns = max(1, min(columns, len(queues)))
    step_x, step_y = CARD_W + GAP, CARD_H + GAP
    return {
        node.id: Rect(block.x + index % columns * step_x, block.y + index // columns * step_y, CARD_W, CARD_H)
        for index, node in enumerate(queues)
    }


def _boxed(graph: Graph, cards: dict[str, Rect], blocks: dict[str, Rect], height: float) -> Layout:
    """Boxes round the columns, all of one height so that their edges align."""
    captions = dict(graph.captions)
    groups = []
    for index, tier in enumerate(TIERS):
        x = index * (CARD_W + 2 * PADDING + COLUMN_GAP)
        inner = max([CARD_W, *(rect.right - x for rect in blocks.values())]) if tier == "queue" else CARD_W
        rect = Rect(x - PADDING, -CAPTION_H, inner + 2 * PADDING, CAPTION_H + height + PADDING)
        groups.append(Group(tier, TIER_TITLES[tier], captions.get(tier, ""), rect))
    first, last = groups[0].rect, groups[-1].rect
    bounds = Rect(first.x, first.y, last.right - first.x, first.h)
    return Layout(tuple(groups), cards, blocks, bounds)
