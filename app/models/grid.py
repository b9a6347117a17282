"""Tables of lists that were read whole (queues, operators, tokens, settings): sorted here, by the head of a column.

A list that is read again changes only the rows that changed, so that what is selected stays selected; a new order
moves the rows and their selection with them.
"""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, Qt

from app.core.grid import Cell, Line, arranged
from app.core.rows import Insert, Remove, difference
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT, ColumnsModel


class GridModel(ColumnsModel):
    def __init__(self, parent: QObject | None, headers: Sequence[str], numbers: frozenset[int] = frozenset()) -> None:
        super().__init__(parent)
        self._headers = tuple(headers)
        self._numbers = numbers
        self._lines: tuple[Line, ...] = ()
        self._column = -1
        self._descending = False

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Take the list as it is now."""
        new = arranged(tuple(lines), self._column, self._descending)
        operations = difference([line.id for line in self._lines], [line.id for line in new])
        if operations is None and {line.id for line in self._lines} == {line.id for line in new}:
            self._move(new)
        elif operations is None:
            self.beginResetModel()
            self._lines = new
            self.endResetModel()
        else:
            self._carry_out(operations, {line.id: line for line in new})
            self._take(new)

    def _carry_out(self, operations: Sequence[Remove | Insert], by_id: dict[str, Line]) -> None:
        root = QModelIndex()
        for operation in operations:
            match operation:
                case Remove(first, last):
                    self.beginRemoveRows(root, first, last)
                    self._lines = self._lines[:first] + self._lines[last + 1 :]
                    self.endRemoveRows()
                case Insert(first, ids):
                    self.beginInsertRows(root, first, first + len(ids) - 1)
                    self._lines = self._lines[:first] + tuple(by_id[key] for key in ids) + self._lines[first:]
                    self.endInsertRows()

    def _take(self, new: tuple[Line, ...]) -> None:
        """The same rows in the same order, some with other cells."""
        changed = [row for row, (old, line) in enumerate(zip(self._lines, new, strict=True)) if old != line]
        self._lines = new
        for row in changed:
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self._headers) - 1))

    def _move(self, new: tuple[Line, ...]) -> None:
        """The same rows in another order: what points to them goes with them."""
        self.layoutAboutToBeChanged.emit()
        places = {line.id: row for row, line in enumerate(new)}
        held = self.persistentIndexList()
        moved = [self.index(places[self._lines[index.row()].id], index.column()) for index in held]
        self._lines = new
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def line_id(self, row: int) -> str:
        """What a row stands for, "" where there is no such row."""
        return self._lines[row].id if 0 <= row < len(self._lines) else ""

    def row_of(self, line_id: str) -> int:
        """-1 where there is no such row."""
        return next((row for row, line in enumerate(self._lines) if line.id == line_id), -1)

    def text(self, row: int, column: int) -> str:
        return self._lines[row].cells[column].text

    # ---------------------------------------------------------------- Qt's questions

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._headers)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._headers[section]
        return RIGHT if role == Qt.ItemDataRole.TextAlignmentRole and section in self._numbers else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._move(arranged(self._lines, column, self._descending))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        cell: Cell = self._lines[index.row()].cells[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell.text
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if index.column() in self._numbers else None
        if role == TONE:
            return cell.tone
        if role == MUTED:
            return cell.muted
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell.tip or None
        return self._lines[index.row()].id if role == ID else None
