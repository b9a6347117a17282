"""What is known of one node, beside the picture: its facts, each with its name, and its health in words."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from app.core.facts import Facts
from app.core.topology import TIER_TITLES, Node
from app.qt.theme import Theme
from app.views.parts import Card, Elided, IconButton, Mark, label, row


class NodeDetails(Card):
    """Hidden until a node is chosen; while it is shown its owner keeps it true."""

    WIDTH = 268

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._theme = theme
        self.node_id = ""
        self.setFixedWidth(self.WIDTH)
        self._mark = Mark(theme)
        self._name = Elided(theme, px=15, bold=True)
        self._kind = Elided(theme, role="muted", px=12)
        self._status = label(theme, px=12.5, bold=True)
        self._status.setWordWrap(True)
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(12)
        self._facts.setVerticalSpacing(7)
        self._facts.setColumnStretch(1, 1)
        self._close = IconButton(theme, "close", "Close the details", 14)
        self._close.clicked.connect(self.dismiss)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 12, 14)
        box.setSpacing(6)
        head = row(self._mark, self._name, self._close)
        head.setStretch(1, 1)
        box.addLayout(head)
        box.addWidget(self._kind)
        box.addWidget(self._status)
        box.addSpacing(8)
        box.addLayout(self._facts)
        box.addStretch(1)

    def show_node(self, node: Node, facts: Facts) -> None:
        self.node_id = node.id
        self.setAccessibleName(f"Details of {node.name}")
        self._mark.show_tone(node.health, node.word)
        self._name.show_text(node.name)
        self._kind.show_text(TIER_TITLES[node.tier])
        self._status.setText(node.status)
        self._theme.tint(self._status, node.health if node.health != "unknown" else "muted")
        self._show_facts(facts)
        self.show()

    def dismiss(self) -> None:
        self.node_id = ""
        self.hide()

    def _show_facts(self, facts: Facts) -> None:
        """Labels are kept and filled anew: a refresh each second must not rebuild widgets."""
        for line in range(max(len(facts), self._facts.rowCount())):
            name, value = facts[line] if line < len(facts) else ("", "")
            title, text = self._line(line)
            for widget in (title, text):
                widget.setVisible(bool(name))
            title.setText(name)
            text.setText(value)
            text.setAccessibleName(f"{name}: {value}")

    def _line(self, line: int) -> tuple[QLabel, QLabel]:
        return self._cell(line, 0, "muted"), self._cell(line, 1, "text")

    def _cell(self, line: int, place: int, role: str) -> QLabel:
        item = self._facts.itemAtPosition(line, place)
        widget: QWidget | None = item.widget() if item is not None else None
        if isinstance(widget, QLabel):
            return widget
        cell = label(self._theme, role=role, px=12)
        cell.setWordWrap(True)
        cell.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        if place == 1:
            cell.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._facts.addWidget(cell, line, place)
        return cell
