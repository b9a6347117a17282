"""The picture of the cluster: a scene that follows the graph, and the view that fits, zooms and walks it by
keyboard.

The scene is changed, never rebuilt: items are known by node id, a refresh updates those whose values changed, and
only another set of nodes is laid out anew. The badge of a role that moves glides to its new place, so that the eye
can follow.
"""

from typing import Final

from PySide6.QtCore import QEasingCurve, QObject, QPoint, QPointF, QRectF, Qt, QVariantAnimation, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsItem, QGraphicsScene, QGraphicsView

from app.core.layout import Group, Layout, Rect, place
from app.core.topology import Edge, Graph
from app.qt.theme import Theme
from app.views.topology_items import BadgeItem, BlockItem, CardItem, EdgeItem, GroupItem

GLIDE_MS: Final = 450
MARGIN: Final = 6.0
BIGGEST_FIT: Final = 1.4
SCALE_LIMITS: Final = (0.08, 3.0)
ZOOM_STEP: Final = 1.25
BLOCK_DOCK: Final = 10.0


class TopologyScene(QGraphicsScene):
    """`reshaped` says that another set of nodes was laid out; `chosen` that a node was clicked."""

    reshaped = Signal()
    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.graph = Graph()
        self._layout: Layout | None = None
        self._ids: tuple[str, ...] = ()
        self.cards: dict[str, CardItem] = {}
        self._groups: dict[str, GroupItem] = {}
        self._edges: dict[str, EdgeItem] = {}
        self._blocks: list[BlockItem] = []
        self._badge: BadgeItem | None = None
        self.badge_on = ""
        self._glide = QVariantAnimation(self, duration=GLIDE_MS)
        self._glide.setEasingCurve(QEasingCurve.Type.InOutCubic)
        self._glide.valueChanged.connect(self._move_badge)
        self.selectionChanged.connect(self._light_edges)
        theme.changed.connect(self._repaint)

    def show_graph(self, graph: Graph) -> None:
        if graph == self.graph:
            return
        ids = tuple(node.id for node in graph.nodes)
        reshaped = ids != self._ids or self._layout is None
        self.graph = graph
        if reshaped:
            self._ids = ids
            self._layout = place(graph)
            self._lay_out(self._layout)
        for node in graph.nodes:
            self.cards[node.id].show_node(node)
        self._show_captions()
        self._show_edges(reshaped)
        self._show_badge(animated=not reshaped)
        if reshaped:
            self.reshaped.emit()

    # ---------------------------------------------------------------- items

    def _lay_out(self, layout: Layout) -> None:
        for key in [key for key in self.cards if key not in layout.cards]:
            self.removeItem(self.cards.pop(key))
        for node in self.graph.nodes:
            rect = layout.cards[node.id]
            card = self.cards.get(node.id)
            if card is None:
                card = self.cards[node.id] = CardItem(node, rect, self.theme, self.chosen.emit)
                self.addItem(card)
            card.setPos(rect.x, rect.y)
        for block in self._blocks:
            self.removeItem(block)
        self._blocks = [BlockItem(rect, self.theme) for rect in layout.blocks.values()]
        for block in self._blocks:
            self.addItem(block)
        bounds = layout.bounds
        margin = MARGIN
        self.setSceneRect(QRectF(bounds.x, bounds.y, bounds.w, bounds.h).adjusted(-margin, -margin, margin, margin))

    def _show_captions(self) -> None:
        if self._layout is None:
            return
        captions = dict(self.graph.captions)
        for group in self._layout.groups:
            alerts = tuple((tone, word) for tier, tone, word in self.graph.alerts if tier == group.tier)
            current = Group(group.tier, group.title, captions.get(group.tier, ""), group.rect, alerts)
            item = self._groups.get(group.tier)
            if item is None:
                item = self._groups[group.tier] = GroupItem(current, self.theme)
                self.addItem(item)
            item.show_group(current)

    def _show_edges(self, reshaped: bool) -> None:
        wanted = {edge.id: edge for edge in self.graph.edges}
        for key in [key for key in self._edges if key not in wanted]:
            self.removeItem(self._edges.pop(key))
        for key, edge in wanted.items():
            item = self._edges.get(key)
            if item is None:
                item = self._edges[key] = EdgeItem(edge, self.theme)
                self.addItem(item)
                self._route(item, edge)
            elif reshaped:
                self._route(item, edge)
            item.show_edge(edge)
        self._light_edges()

    def _route(self, item: EdgeItem, edge: Edge) -> None:
        """From side to side between neighbouring columns; a bow beside the cards within one column."""
        source, target = self._place(edge.source), self._place(edge.target)
        if source is None or target is None:
            return
        if source.x == target.x:
            item.connect_beside(QPointF(source.x, source.middle), QPointF(target.x, target.middle))
        elif target.x > source.x:
            dock = BLOCK_DOCK if edge.target.startswith("queues:") else 0.0
            item.connect_points(QPointF(source.right, source.middle), QPointF(target.x - dock, target.middle))
        else:
            item.connect_points(QPointF(source.x, source.middle), QPointF(target.right, target.middle))

    def _place(self, key: str) -> Rect | None:
        if self._layout is None:
            return None
        return self._layout.cards.get(key) or self._layout.blocks.get(key)

    # ---------------------------------------------------------------- the leader's badge

    def _show_badge(self, animated: bool) -> None:
        holder = next((node for node in self.graph.nodes if node.badges), None)
        if holder is None or self._layout is None:
            if self._badge is not None:
                self.removeItem(self._badge)
            self._badge, self.badge_on = None, ""
            return
        if self._badge is None:
            self._badge = BadgeItem(holder.badges[0], self.theme)
            self.addItem(self._badge)
            animated = False
        self._badge.show_role(holder.badges[0], old=holder.health == "unknown")
        rect = self._layout.cards[holder.id]
        goal = QPointF(rect.x + 14, rect.y - BadgeItem.HEIGHT / 2 - 3)
        if animated and self.badge_on != holder.id:
            self._glide.stop()
            self._glide.setStartValue(self._badge.pos())
            self._glide.setEndValue(goal)
            self._glide.start()
        elif not animated:
            self._glide.stop()
            self._badge.setPos(goal)
        self.badge_on = holder.id

    def badge_place(self) -> QPointF:
        return self._badge.pos() if self._badge is not None else QPointF()

    def _move_badge(self, position: QPointF) -> None:
        if self._badge is not None:
            self._badge.setPos(position)

    def _light_edges(self) -> None:
        selected = {item.node.id for item in self.selectedItems() if isinstance(item, CardItem)}
        for item in self._edges.values():
            item.set_strong(item.edge.source in selected or item.edge.target in selected)

    def _repaint(self) -> None:
        for item in self.items():
            item.update()


class TopologyView(QGraphicsView):
    """Fits by itself until somebody zooms or drags; Ctrl+0 fits again. Arrow keys walk from card to card."""

    dismissed = Signal()
    menu_wanted = Signal(str, QPoint)

    def __init__(self, scene: TopologyScene, theme: Theme) -> None:
        super().__init__(scene)
        self._scene = scene
        self._theme = theme
        self._fitted = True
        self.setAccessibleName("Cluster as a graph")
        self.setAccessibleDescription("The same as a table: Ctrl+Shift+G")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setDragMode(QGraphicsView.DragMode.ScrollHandDrag)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scene.reshaped.connect(self._refit)
        theme.on_change(self, self._redraw)

    def _redraw(self) -> None:
        self.setBackgroundBrush(QColor(self._theme.colors.window))

    # ---------------------------------------------------------------- fit and zoom

    def fit(self) -> None:
        self._fitted = True
        self._refit()

    def _refit(self) -> None:
        if not self._fitted or self._scene.sceneRect().isEmpty():
            return
        rect = self._scene.sceneRect()
        scale = min(self.viewport().width() / rect.width(), self.viewport().height() / rect.height(), BIGGEST_FIT)
        self.resetTransform()
        self.scale(scale, scale)
        self.centerOn(rect.center())

    def zoom(self, factor: float) -> None:
        goal = self.transform().m11() * factor
        if SCALE_LIMITS[0] <= goal <= SCALE_LIMITS[1]:
            self._fitted = False
            self.scale(factor, factor)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom(1.0015 ** event.angleDelta().y())
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.itemAt(event.position().toPoint()) is None:
            self.fit()
        super().mouseDoubleClickEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        item = self.itemAt(event.position().toPoint())
        if not isinstance(item, CardItem):
            self._scene.clearSelection()
            self.dismissed.emit()
        super().mousePressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What may be done to the card below the pointer; by keyboard, to the one that is chosen."""
        card = self.itemAt(event.pos())
        place = event.globalPos()
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            card = next((item for item in self._scene.selectedItems() if isinstance(item, CardItem)), None)
            if card is not None:
                corner = card.sceneBoundingRect().bottomLeft()
                place = self.viewport().mapToGlobal(self.mapFromScene(corner))
        if isinstance(card, CardItem):
            event.accept()
            self.menu_wanted.emit(card.node.id, place)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._refit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refit()

    # ---------------------------------------------------------------- keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, -1),
            Qt.Key.Key_Down: (0, 1),
        }
        step = steps.get(Qt.Key(event.key()))
        if step is not None:
            self._walk(*step)
        elif event.key() == Qt.Key.Key_Escape:
            self._scene.clearSelection()
            self.dismissed.emit()
        else:
            super().keyPressEvent(event)

    def _walk(self, dx: int, dy: int) -> None:
        """Select the nearest card in a direction; from nowhere, the first one."""
        cards = list(self._scene.cards.values())
        here = next((item for item in self._scene.selectedItems() if isinstance(item, CardItem)), None)
        goal = _nearest(here, cards, dx, dy) if here is not None else next(iter(cards), None)
        if goal is not None:
            self._scene.clearSelection()
            goal.setSelected(True)
            self.ensureVisible(goal, 30, 30)
            self._scene.chosen.emit(goal.node.id)


def _nearest(here: QGraphicsItem, cards: list[CardItem], dx: int, dy: int) -> CardItem | None:
    """The card that costs the least way in the direction asked for, where straying sideways counts double."""

    def way(card: CardItem) -> float:
        offset = card.pos() - here.pos()
        along = offset.x() * dx + offset.y() * dy
        aside = abs(offset.x() * dy) + abs(offset.y() * dx)
        return along + 2 * aside if along > 1 else float("inf")

    best = min((card for card in cards if card is not here), key=way, default=None)
    return best if best is not None and way(best) != float("inf") else None
