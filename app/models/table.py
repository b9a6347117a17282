"""What our tables have in common: named columns, rows in an order of ids, and older rows fetched page by page.

Pages are asked for by the id of the oldest row held, never by a number, so that rows arriving meanwhile neither repeat
nor skip one.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

from app.core.rows import Insert, Remove
from app.models.roles import Index

RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ColumnsModel(QAbstractTableModel):
    """A table whose columns have names; those of numbers stand at the right."""

    headers: ClassVar[Sequence[str]] = ()
    numbers: ClassVar[frozenset[int]] = frozenset()

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self.headers)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.headers[section]
        return RIGHT if role == Qt.ItemDataRole.TextAlignmentRole and section in self.numbers else None


class PagedModel(ColumnsModel):
    """Rows in the order of `_order`. `fetch` is asked for the page that follows an id."""

    def __init__(self, parent: QObject | None = None, fetch: Callable[[str], None] | None = None) -> None:
        super().__init__(parent)
        self._order: list[str] = []
        self._fetch = fetch
        self._fetching = False
        self._exhausted = False

    def _oldest(self) -> str:
        """The id of the oldest row held, "" where there is none."""
        return self._order[-1] if self._order else ""

    def _carry_out(self, operation: Remove | Insert) -> None:
        root = QModelIndex()
        match operation:
            case Remove(first, last):
                self.beginRemoveRows(root, first, last)
                del self._order[first : last + 1]
                self.endRemoveRows()
            case Insert(first, ids):
                self.beginInsertRows(root, first, first + len(ids) - 1)
                self._order[first:first] = ids
                self.endInsertRows()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._order)

    def canFetchMore(self, parent: Index) -> bool:
        return self._fetch is not None and not parent.isValid() and bool(self._oldest()) and not self._exhausted

    def fetchMore(self, parent: Index) -> None:
        if self._fetch is not None and not self._fetching and self.canFetchMore(parent):
            self._fetching = True
            self._fetch(self._oldest())
