"""The live page: the cluster above, its jobs below, and what stands there while neither is known.

Everything is drawn from the store. What changed decides what is drawn again; ages move once a second.
"""

import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QHeaderView, QStackedWidget, QTreeView, QVBoxLayout, QWidget

from app.core import topology as graphs
from app.core.facts import facts, supplies
from app.core.history import about, moment_text
from app.core.history import row as event_row
from app.core.operations import Offer
from app.core.reducer import Changes
from app.core.topology import Graph
from app.core.viewdata import database_now_ms, short_reason, snapshot_age_s
from app.models import tree as tree_columns
from app.models.roles import ID
from app.models.tree import TreeModel
from app.qt.actions import Actions
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cells import CellDelegate
from app.views.details import NodeDetails
from app.views.jobs import JobsPanel
from app.views.parts import Card, StatePane, column, font, item_view_sheet, row, splitter
from app.views.topology import ZOOM_STEP, TopologyScene, TopologyView
from backend.wire.cluster import Topology


class TopologyPanel(QWidget):
    """The cluster as graph or as table, with what is known of the chosen node beside it.

    `acting` says that an action is wanted (verb, subject), `menu_wanted` that a card's menu is. `more` is asked what
    may be done to a node and what happened to it lately.
    """

    acting = Signal(str, str)
    menu_wanted = Signal(str, QPoint)

    def __init__(self, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._topology: Topology | None = None
        self._age_s = 0.0
        self._whole = Graph()
        self.scene = TopologyScene(theme, self)
        self.view = TopologyView(self.scene, theme)
        self.tree = _tree(theme)
        self.model = TreeModel(self)
        self.tree.setModel(self.model)
        self.tree.header().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for place, width in ((tree_columns.STATUS, 150), (tree_columns.AGE, 110)):
            self.tree.header().setSectionResizeMode(place, QHeaderView.ResizeMode.Interactive)
            self.tree.header().resizeSection(place, width)
        self.tree.setItemDelegate(CellDelegate(theme, self.tree))
        self.model.modelReset.connect(self.tree.expandAll)
        self.details = NodeDetails(theme)
        self.state_pane = StatePane(theme)
        self._stack = QStackedWidget()
        self._tree_card = Card(theme)
        self._tree_card.setLayout(column(self.tree, margins=(2, 6, 2, 8)))
        for page in (self.view, self._tree_card, self.state_pane):
            self._stack.addWidget(page)
        self._as_tree = False
        self.more: Callable[[str], tuple[Sequence[Offer], Sequence[tuple[str, str]]]] = lambda _: ((), ())
        self._build()
        self._connect(actions)

    def _build(self) -> None:
        box = row(self._stack, self.details, spacing=12)
        box.setStretch(0, 1)
        self.setLayout(box)
        self.details.hide()

    def _connect(self, actions: Actions) -> None:
        actions["graph"].triggered.connect(lambda: self._show_as(tree=False))
        actions["tree"].triggered.connect(lambda: self._show_as(tree=True))
        actions["fit"].triggered.connect(self.view.fit)
        actions["zoom_in"].triggered.connect(lambda: self.view.zoom(ZOOM_STEP))
        actions["zoom_out"].triggered.connect(lambda: self.view.zoom(1 / ZOOM_STEP))
        actions["graph"].setChecked(True)
        self._zooms = [actions["fit"], actions["zoom_in"], actions["zoom_out"]]
        self.scene.chosen.connect(self._choose)
        self.view.dismissed.connect(self.details.dismiss)
        self.view.menu_wanted.connect(self.menu_wanted)
        self.details.wanted.connect(self.acting)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._tree_menu)
        self.tree.selectionModel().currentChanged.connect(lambda now, _: self._choose(str(now.data(ID))))

    def _tree_menu(self, place: QPoint) -> None:
        index = self.tree.indexAt(place)
        index = index if index.isValid() else self.tree.currentIndex()
        if index.isValid():
            self.menu_wanted.emit(str(index.data(ID)), self.tree.viewport().mapToGlobal(place))

    def refresh_details(self) -> None:
        """What may be done changed, or something happened."""
        if self.details.node_id:
            self._choose(self.details.node_id)

    def _show_as(self, tree: bool) -> None:
        self._as_tree = tree
        if tree:
            self.model.show_graph(self._whole)
        for action in self._zooms:
            action.setEnabled(not tree)
        if self._stack.currentWidget() is not self.state_pane:
            self.show_picture()

    def show_topology(self, topology: Topology, age_s: float, endpoint: str) -> None:
        """Draw a picture that was read `age_s` ago from `endpoint`."""
        self._topology, self._age_s = topology, age_s
        self._whole = graphs.build(topology, age_s, endpoint)
        self.scene.show_graph(graphs.fold(self._whole))
        if self._as_tree:
            self.model.show_graph(self._whole)
        if self.details.node_id:
            self._choose(self.details.node_id)

    def show_picture(self) -> None:
        self._stack.setCurrentWidget(self._tree_card if self._as_tree else self.view)

    def show_state(self) -> None:
        self.details.dismiss()
        self._stack.setCurrentWidget(self.state_pane)

    def _choose(self, node_id: str) -> None:
        """Show what is known of a node; a node that went away takes its details with it."""
        node = self._whole.node(node_id) or self.scene.graph.node(node_id)
        if node is not None and self._topology is not None:
            offers, lately = self.more(node_id)
            found = facts(self._topology, node_id, self._age_s)
            self.details.show_node(node, found, offers, lately, supplies(self._topology, node_id))
        elif node_id == self.details.node_id:
            self.details.dismiss()


class LivePage(QWidget):
    """Topology over jobs, in a splitter."""

    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        super().__init__()
        self._session = session
        self._actions = actions
        self.topology = TopologyPanel(theme, actions)
        self.jobs = JobsPanel(theme, actions, session)
        self._splitter = splitter()
        self._splitter.addWidget(self.topology)
        self._splitter.addWidget(self.jobs)
        self._splitter.setStretchFactor(0, 13)
        self._splitter.setStretchFactor(1, 9)
        self.topology.setMinimumHeight(220)
        self.jobs.setMinimumHeight(150)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._splitter)
        self.offers: Callable[[str], Sequence[Offer]] = lambda _: ()
        self.topology.more = self._more
        session.store.changed.connect(self._changed)
        session.store.ticked.connect(self._tick)
        self._changed(Changes(connection=True, topology=True, jobs_replaced=True))

    def _changed(self, changes: Changes) -> None:
        if changes.topology or changes.connection:
            self._show_topology()
        elif changes.history or changes.rights:
            self.topology.refresh_details()
        self.jobs.changed(changes)

    def _more(self, node_id: str) -> tuple[Sequence[Offer], Sequence[tuple[str, str]]]:
        """What may be done to a node, and what happened to it lately."""
        state = self._session.store.state
        now_ms = database_now_ms(state, time.monotonic(), int(time.time() * 1000))
        lately = []
        for event in about(state.history.values(), node_id):
            shown = event_row(event)
            away = f", away {shown.away}" if shown.away else ""
            lately.append((moment_text(event.at, now_ms), f"{shown.what}{away}"))
        return self.offers(node_id), lately

    def _tick(self) -> None:
        self._show_topology()
        self.jobs.tick()

    def _show_topology(self) -> None:
        state = self._session.store.state
        if state.topology is None:
            self._show_nothing()
            return
        age_s = snapshot_age_s(state, time.monotonic())
        self.topology.show_topology(state.topology, age_s, state.connection.endpoint)
        self.topology.show_picture()

    def _show_nothing(self) -> None:
        """Why there is no picture, and what can be done about it."""
        pane, connection = self.topology.state_pane, self._session.store.state.connection
        ask, again = self._actions["connection"].trigger, self._actions["reload"].trigger
        if "topology" in self._session.store.state.forbidden:
            text = "This access token’s role does not allow to see the cluster. An administrator can make another."
            pane.show_state("lock", "Not allowed", text, "Use another token…", ask)
        elif connection.phase == "failed":
            text = "The cluster does not accept this access token. It may have been withdrawn, or be another cluster’s."
            pane.show_state("lock", "Not signed in", text, "Use another token…", ask)
        elif connection.phase == "reconnecting":
            text = f"{short_reason(connection.reason)}.\nThe console keeps trying by itself."
            pane.show_state("unplug", "No server answers", text, "Try now", again)
        elif connection.phase == "idle":
            text = "Name a server and an access token, and the cluster appears here."
            pane.show_state("plug", "No cluster yet", text, "Connect…", ask)
        else:
            pane.show_state("plug", "Connecting …", "Asking the servers that are set.")
        self.topology.show_state()


def _tree(theme: Theme) -> QTreeView:
    tree = QTreeView()
    tree.setAccessibleName("Cluster as a table")
    tree.setUniformRowHeights(True)
    tree.setAllColumnsShowFocus(True)
    tree.setMouseTracking(True)
    tree.setIndentation(18)
    tree.setFrameShape(QTreeView.Shape.NoFrame)
    tree.setFont(font(tree.font(), 12.5))
    header = tree.header()
    header.setAccessibleName("Cluster as a table: columns")
    header.setFont(font(tree.font(), 11.5))
    header.setStretchLastSection(False)
    theme.on_change(tree, lambda: tree.setStyleSheet(item_view_sheet(theme.colors)))
    return tree
