"""Where a cost rule is written: one price with discounts, or a table of prices for each paper; what is wrong with it in
words, and what it means by an example, while somebody types.
"""

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.core.costs import KINDS, MAX_ROWS, Checked, Draft, Model, Row, check, draft_of, example, same, typed
from app.models.table import RIGHT
from app.qt.theme import Theme
from app.views.parts import (
    dress,
    dress_check,
    dress_choice,
    font,
    item_view_sheet,
    label,
    row,
    slim_button_sheet,
)
from backend.wire.base import Ledger
from backend.wire.pricing import CostRule

MODELS: Final[dict[Model, str]] = {
    "keep": "Various: leave as they are",
    "simple": "One price, with discounts",
    "standard": "A table: paper, colour and sides",
}
OTHERS: Final = "All other paper"


class CostEditor(QWidget):
    """`rule` is what all chosen queues have, None where they differ. `changed` says that something was typed."""

    changed = Signal()

    def __init__(self, theme: Theme, ledger: Ledger, rule: CostRule | None) -> None:
        super().__init__()
        self._theme = theme
        self._ledger = ledger
        self._rule = rule
        self.model = QComboBox()
        self.price = QLineEdit()
        self.duplex, self.grayscale = QLineEdit(), QLineEdit()
        self.printer = QCheckBox("The printer has no &colour: everything is charged as greyscale")
        self.table = QTableWidget(0, 1 + len(KINDS))
        self.add_button, self.remove_button = QPushButton("Add paper"), QPushButton("Remove paper")
        self.told = label(theme, px=12.5)
        self._filling = True
        self._build()
        self.show_draft(draft_of(rule, ledger) if rule is not None else Draft())

    # ---------------------------------------------------------------- building

    def _build(self) -> None:
        self.model.setAccessibleName("What a page costs")
        for model, text in MODELS.items():
            if model != "keep" or self._rule is None:
                self.model.addItem(text, model)
        dress_choice(self._theme, self.model)
        caption = label(self._theme, "What a &page costs", px=13, bold=True)
        caption.setTextFormat(Qt.TextFormat.AutoText)
        caption.setBuddy(self.model)
        caption.setFixedWidth(188)
        head = row(caption, self.model, spacing=12)
        head.setStretch(1, 1)
        self._shapes = {"simple": self._simple(), "standard": self._standard()}
        self.told.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(9)
        box.addLayout(head)
        for shape in self._shapes.values():
            box.addWidget(shape)
        box.addWidget(self.printer)
        box.addWidget(self.told)
        dress_check(self._theme, self.printer)
        self.model.currentIndexChanged.connect(self._model_chosen)
        self.printer.toggled.connect(self._edited)
        for field in (self.price, self.duplex, self.grayscale):
            field.textChanged.connect(self._edited)
        self.table.itemChanged.connect(self._edited)
        self.add_button.clicked.connect(lambda: self._add_paper())
        self.remove_button.clicked.connect(self._remove_paper)

    def _simple(self) -> QWidget:
        page, grid = QWidget(), QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        unit = f" ({self._ledger.currency})" if self._ledger.currency else ""
        fields = (
            (f"A page{unit}", self.price),
            ("Less when two-sided (%)", self.duplex),
            ("Less in greyscale (%)", self.grayscale),
        )
        for place, (text, field) in enumerate(fields):
            caption = label(self._theme, text, "muted", 12)
            caption.setBuddy(field)
            field.setAccessibleName(text)
            field.setFixedHeight(34)
            grid.addWidget(caption, 0, place)
            grid.addWidget(field, 1, place)
            grid.setColumnStretch(place, 1)
            dress(self._theme, field)
        page.setLayout(grid)
        page.setMinimumHeight(grid.sizeHint().height())
        return page

    def _standard(self) -> QWidget:
        table = self.table
        table.setAccessibleName("Prices by paper")
        table.setHorizontalHeaderLabels(["Paper"])
        for column, text in enumerate(KINDS.values(), start=1):
            kind = QTableWidgetItem(text)
            kind.setTextAlignment(RIGHT)
            table.setHorizontalHeaderItem(column, kind)
        table.setShowGrid(False)
        table.setFont(font(table.font(), 12.5))
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.AllEditTriggers)
        table.verticalHeader().hide()
        table.verticalHeader().setAccessibleName("Prices by paper: rows")
        table.verticalHeader().setDefaultSectionSize(32)
        header = table.horizontalHeader()
        header.setAccessibleName("Prices by paper: columns")
        header.setFont(font(table.font(), 11.5))
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        table.setFixedHeight(34 + 32 * 4 + 4)
        self._theme.on_change(table, lambda: table.setStyleSheet(item_view_sheet(self._theme.colors)))
        for button in (self.add_button, self.remove_button):
            button.setAutoDefault(False)
            button.setFixedHeight(28)
            button.setFont(font(button.font(), 12))
            self._slim(button)
        hint = label(self._theme, "Paper by its name, “a4”, or in full, “iso_a4_210x297mm”.", "muted", 12)
        page, box = QWidget(), QVBoxLayout()
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        box.addWidget(table)
        box.addLayout(row(hint, 1, self.remove_button, self.add_button))
        page.setLayout(box)
        return page

    def _slim(self, button: QPushButton) -> None:
        self._theme.on_change(button, lambda: button.setStyleSheet(slim_button_sheet(self._theme.colors)))

    # ---------------------------------------------------------------- content

    def show_draft(self, draft: Draft) -> None:
        """Fill the form."""
        self._filling = True
        self.model.setCurrentIndex(max(0, self.model.findData(draft.model)))
        self.price.setText(draft.per_page)
        self.duplex.setText(draft.duplex_discount)
        self.grayscale.setText(draft.grayscale_discount)
        self.printer.setChecked(draft.grayscale_printer)
        self.table.setRowCount(0)
        for found in draft.rows:
            self._add_row(found)
        self._filling = False
        self._show_model()
        self._edited()

    def _add_row(self, found: Row) -> None:
        place = self.table.rowCount()
        self.table.insertRow(place)
        paper = QTableWidgetItem(found.media if place else OTHERS)
        if not place:
            paper.setFlags(Qt.ItemFlag.ItemIsEnabled)
        self.table.setItem(place, 0, paper)
        for column, text in enumerate(found.prices, start=1):
            price = QTableWidgetItem(text)
            price.setTextAlignment(RIGHT)
            self.table.setItem(place, column, price)

    def draft(self) -> Draft:
        """What stands in the form."""
        return Draft(
            self.model.currentData(),
            self.price.text(),
            self.duplex.text(),
            self.grayscale.text(),
            self.printer.isChecked(),
            tuple(self._row(place) for place in range(self.table.rowCount())),
        )

    def _row(self, place: int) -> Row:
        first, second, third, fourth = (self._cell(place, column) for column in range(1, 1 + len(KINDS)))
        return Row(self._cell(place, 0) if place else "", (first, second, third, fourth))

    def _cell(self, place: int, column: int) -> str:
        item = self.table.item(place, column)
        return item.text().strip() if item is not None else ""

    def checked(self) -> Checked:
        return check(self.draft(), self._ledger)

    def rule(self) -> CostRule | None:
        """The rule to set; None where nothing is to change, or something is wrong."""
        found = self.checked().rule
        return None if found is None or (self._rule is not None and same(found, self._rule)) else found

    # ---------------------------------------------------------------- what somebody does

    def _model_chosen(self) -> None:
        """The other model begins with the prices of the first, so that only what differs has to be typed."""
        if self._filling:
            return
        draft = self.draft()
        if draft.model == "standard" and not any(self._row(0).prices):
            start = draft.per_page or typed(0, self._ledger)
            for column in range(1, 1 + len(KINDS)):
                self.table.setItem(0, column, QTableWidgetItem(start))
        self._show_model()
        self._edited()

    def _show_model(self) -> None:
        shown = self.model.currentData()
        for model, shape in self._shapes.items():
            shape.setVisible(model == shown)
        self.printer.setVisible(shown != "keep")

    def _add_paper(self, name: str = "") -> None:
        if self.table.rowCount() > MAX_ROWS:
            return
        self._filling = True
        self._add_row(Row(name, self._row(0).prices))
        self._filling = False
        place = self.table.rowCount() - 1
        self.table.setCurrentCell(place, 0)
        self.table.scrollToBottom()
        self._edited()

    def _remove_paper(self) -> None:
        if self.table.currentRow() > 0:
            self.table.removeRow(self.table.currentRow())
            self._edited()

    def _edited(self) -> None:
        if self._filling:
            return
        found = self.checked()
        self.told.setText("\n".join(found.troubles) or (example(found.rule, self._ledger) if found.rule else ""))
        self._theme.tint(self.told, "error" if found.troubles else "muted")
        self.told.setVisible(bool(self.told.text()))
        self.changed.emit()
