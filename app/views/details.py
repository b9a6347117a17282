"""What is known of one node, beside the picture: its facts, each with its name, its health in words, what happened to
it lately, and what may be done to it.
"""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.core.facts import Facts
from app.core.operations import Offer
from app.core.topology import TIER_TITLES, Node
from app.qt.theme import Theme
from app.views.parts import Card, Elided, IconButton, Mark, dress, font, label, row, scroll_bar_sheet
from app.views.supplies import Supplies
from backend.wire.printers import Supply


class NodeDetails(Card):
    """Hidden until a node is chosen; while it is shown its owner keeps it true."""

    WIDTH = 284
    wanted = Signal(str, str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._theme = theme
        self.node_id = ""
        self._offers: tuple[Offer, ...] = ()
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
        box.addWidget(self._scrolled(theme), 1)
        self._buttons: list[QPushButton] = []
        self._button_box = QVBoxLayout()
        self._button_box.setSpacing(6)
        self._why_not = label(theme, role="muted", px=11.5)
        self._why_not.setWordWrap(True)
        box.addLayout(self._button_box)
        box.addWidget(self._why_not)

    def _scrolled(self, theme: Theme) -> QScrollArea:
        """All but name and buttons may be more than there is room for."""
        content = QWidget()
        inner = QVBoxLayout(content)
        inner.setContentsMargins(0, 0, 6, 0)
        inner.setSpacing(6)
        inner.addWidget(self._kind)
        inner.addWidget(self._status)
        inner.addSpacing(8)
        inner.addLayout(self._facts)
        self.supplies = Supplies(theme)
        inner.addWidget(self.supplies)
        self._lately_title = label(theme, "Lately", "muted", 12, bold=True)
        self._lately = label(theme, px=12)
        self._lately.setWordWrap(True)
        self._lately.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        inner.addSpacing(6)
        inner.addWidget(self._lately_title)
        inner.addWidget(self._lately)
        inner.addStretch(1)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName("Facts")
        area.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        area.viewport().setAutoFillBackground(False)
        content.setAutoFillBackground(False)
        bar = area.verticalScrollBar()  # a sheet on the area would take the labels' own colours away
        theme.on_change(bar, lambda: bar.setStyleSheet(scroll_bar_sheet(theme.colors)))
        return area

    def show_node(
        self,
        node: Node,
        facts: Facts,
        offers: Sequence[Offer] = (),
        lately: Sequence[tuple[str, str]] = (),
        supplies: Sequence[Supply] = (),
    ) -> None:
        """`lately` are the newest events about it: when, and what."""
        self.node_id = node.id
        self.setAccessibleName(f"Details of {node.name}")
        self._mark.show_tone(node.health, node.word)
        self._name.show_text(node.name)
        self._kind.show_text(TIER_TITLES[node.tier])
        self._status.setText(node.status)
        self._theme.tint(self._status, node.health if node.health != "unknown" else "muted")
        self._show_facts(facts)
        self.supplies.show_supplies(supplies)
        self._lately.setText("\n".join(f"{when}  {what}" for when, what in lately))
        for widget in (self._lately, self._lately_title):
            widget.setVisible(bool(lately))
        self._show_offers(offers)
        self.show()

    def dismiss(self) -> None:
        self.node_id = ""
        self.hide()

    def _show_offers(self, offers: Sequence[Offer]) -> None:
        """A button for each action; why one is off stands below them, for it cannot be seen in a button."""
        while len(self._buttons) < len(offers):
            self._add_button(len(self._buttons))
        self._offers = tuple(offers)
        for place, button in enumerate(self._buttons):
            button.setVisible(place < len(offers))
            if place < len(offers):
                button.setText(offers[place].text.replace("&", "&&"))
                button.setEnabled(offers[place].enabled)
                button.setToolTip(offers[place].reason or "Shows first what it would do")
        reasons = dict.fromkeys(offer.reason for offer in offers if offer.reason)
        self._why_not.setText("\n".join(f"{reason[:1].upper()}{reason[1:]}." for reason in reasons))
        self._why_not.setVisible(bool(reasons))

    def _add_button(self, place: int) -> None:
        button = QPushButton()
        button.setAutoDefault(False)
        button.setFont(font(button.font(), 12.5))
        dress(self._theme, button)
        button.clicked.connect(lambda: self.wanted.emit(self._offers[place].verb, self._offers[place].subject))
        self._button_box.addWidget(button)
        self._buttons.append(button)

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
