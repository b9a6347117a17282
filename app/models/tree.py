"""The cluster as a tree: the accessible equal of the graph, drawn from the same nodes, every queue included.

Two levels, three under print servers: tier, node, a print server's queues. While the same nodes exist a refresh
only changes cells, so selection, folding and scroll position stay.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, Qt

from app.core.topology import TIER_TITLES, Graph, Node, Tier
from app.core.viewdata import Tone
from app.models.roles import ID, MUTED, TONE, Index

NAME, STATUS, DETAIL, KIND, AGE = range(5)
HEADERS: Final = ("Name", "State", "Detail", "About", "Last seen")


@dataclass(eq=False, slots=True)
class _Entry:
    key: str
    parent: "_Entry | None"
    row: int
    children: "list[_Entry]" = field(default_factory=list)


class TreeModel(QAbstractItemModel):
    """Built from a Graph; cells are looked up by node id at paint time."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._root = _Entry("", None, 0)
        self._nodes: dict[str, Node] = {}
        self._captions: dict[Tier, str] = {}
        self._alerts: tuple[tuple[Tier, Tone, str], ...] = ()
        self._shape: list[tuple[str, str]] = []

    def show_graph(self, graph: Graph) -> None:
        nodes = {node.id: node for node in graph.nodes}
        shape = [(node.id, node.parent) for node in graph.nodes]
        if shape == self._shape:
            changed = [key for key, node in nodes.items() if self._nodes[key] != node]
            captions_changed = (dict(graph.captions), graph.alerts) != (self._captions, self._alerts)
            self._nodes, self._captions, self._alerts = nodes, dict(graph.captions), graph.alerts
            self._announce(changed, captions_changed)
            return
        self.beginResetModel()
        self._nodes, self._captions, self._shape = nodes, dict(graph.captions), shape
        self._alerts = graph.alerts
        self._root = _grow(graph)
        self.endResetModel()

    def _announce(self, changed: list[str], captions_changed: bool) -> None:
        entries = {entry.key: entry for entry in _walk(self._root)}
        keys = [f"tier:{tier}" for tier in self._captions] if captions_changed else []
        for key in (*keys, *changed):
            entry = entries.get(key)
            if entry is not None:
                first = self.createIndex(entry.row, 0, entry)
                self.dataChanged.emit(first, self.createIndex(entry.row, len(HEADERS) - 1, entry))

    # ---------------------------------------------------------------- Qt's questions

    def _entry(self, index: Index) -> _Entry:
        entry = index.internalPointer() if index.isValid() else None
        return entry if isinstance(entry, _Entry) else self._root

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's own signature
        children = self._entry(parent).children
        return self.createIndex(row, column, children[row]) if 0 <= row < len(children) else QModelIndex()

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]  # Qt overloads it with QObject.parent()
        above = self._entry(index).parent
        return QModelIndex() if above is None or above is self._root else self.createIndex(above.row, 0, above)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.column() > 0 else len(self._entry(parent).children)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return len(HEADERS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry = self._entry(index)
        node = self._nodes.get(entry.key)
        if role == ID:
            return entry.key
        if node is None:
            if role == TONE:
                return next(iter(self._tier_alerts(entry.key)), (None, ""))[0] if index.column() == STATUS else None
            return self._tier_text(entry.key, index.column()) if role == Qt.ItemDataRole.DisplayRole else None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return _text(node, index.column())
        if role == TONE:
            return node.health if index.column() == STATUS else None
        if role == MUTED:
            return index.column() in (KIND, AGE)
        return None

    def _tier_text(self, key: str, column: int) -> str:
        for tier, title in TIER_TITLES.items():
            if key == f"tier:{tier}":
                texts = {NAME: title, DETAIL: self._captions.get(tier, "")}
                texts[STATUS] = ", ".join(word for _, word in self._tier_alerts(key))
                return texts.get(column, "")
        return ""

    def _tier_alerts(self, key: str) -> list[tuple[Tone, str]]:
        """What is to be seen of a tier as a whole, the worst first as the graph names it."""
        return [(tone, word) for tier, tone, word in self._alerts if key == f"tier:{tier}"]


def _text(node: Node, column: int) -> str:
    match column:
        case 0:
            return f"{node.name}  ({', '.join(node.badges)})" if node.badges else node.name
        case 1:
            return node.word
        case 2:
            return node.detail
        case 3:
            return node.kind
        case _:
            return node.age


def _grow(graph: Graph) -> _Entry:
    root = _Entry("", None, 0)
    tops: dict[str, _Entry] = {}
    for tier in ("database", "server", "provider"):
        tops[tier] = _add(root, f"tier:{tier}")
    by_id: dict[str, _Entry] = {}
    for node in graph.nodes:
        if node.tier != "queue":
            by_id[node.id] = _add(tops[node.tier], node.id)
    for node in graph.nodes:
        if node.tier == "queue":
            if node.parent not in by_id and "queue" not in tops:
                tops["queue"] = _add(root, "tier:queue")  # queues whose print server is not known
            _add(by_id.get(node.parent) or tops["queue"], node.id)
    return root


def _add(parent: _Entry, key: str) -> _Entry:
    entry = _Entry(key, parent, len(parent.children))
    parent.children.append(entry)
    return entry


def _walk(entry: _Entry) -> "list[_Entry]":
    return [child for top in entry.children for child in (top, *_walk(top))]
