"""A table of which only the pages that somebody looks at are held: for lists of hundreds of thousands of rows.

Qt asks for the cells it paints; a cell whose page is not there asks for the page once and shows "…" meanwhile. Sorting
and filters are the server's: another question forgets all pages.

Invariants: at most MOST_PAGES pages are held; an answer to an earlier question is dropped; a page is not asked for
again while it is under way.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from PySide6.QtCore import QModelIndex, QObject

from app.models.roles import Index
from app.models.table import ColumnsModel

MOST_PAGES: Final = 60
T = TypeVar("T")


class VirtualModel(ColumnsModel, Generic[T]):
    """`need` is asked for the page that begins at an offset, with the number of the question; it answers by `put` or
    `failed`."""

    def __init__(self, parent: QObject | None, need: Callable[[int, int], None], page_rows: int) -> None:
        super().__init__(parent)
        self._need = need
        self._page_rows = page_rows
        self._pages: OrderedDict[int, tuple[T, ...]] = OrderedDict()
        self._under_way: set[int] = set()
        self._total = 0
        self.question = 0

    def begin(self) -> None:
        """Another question: nothing of the last one stays."""
        self.beginResetModel()
        self.question += 1
        self._pages.clear()
        self._under_way.clear()
        self._total = 0
        self.endResetModel()
        self._ask(0)

    def reread(self, rows: Sequence[int]) -> None:
        """Ask again for the pages of these rows, which stay until they are answered; forget the others."""
        wanted = {row - row % self._page_rows for row in rows} or {0}
        for offset in [offset for offset in self._pages if offset not in wanted]:
            del self._pages[offset]
        for offset in sorted(wanted):
            self._ask(offset)

    def put(self, offset: int, question: int, rows: Sequence[T], total: int) -> None:
        """The answer to `need`. A `total` that ends where a full page does may be where the server stopped counting."""
        if question != self.question:
            return
        self._under_way.discard(offset)
        end = offset + len(rows)
        more = len(rows) == self._page_rows and total <= end and total % 1000 == 0
        self._resize(end + 1 if more else total)
        self._pages[offset] = tuple(rows)
        self._pages.move_to_end(offset)
        while len(self._pages) > MOST_PAGES:
            self._pages.popitem(last=False)
        if rows and self._total:
            last = min(end, self._total) - 1
            self.dataChanged.emit(self.index(offset, 0), self.index(last, self.columnCount() - 1))

    def failed(self, offset: int, question: int) -> None:
        """The page may be asked for again."""
        if question == self.question:
            self._under_way.discard(offset)

    def row_at(self, row: int) -> T | None:
        """What is known of a row; None where its page is not there."""
        offset = row - row % self._page_rows
        page = self._pages.get(offset)
        if page is None:
            return None
        self._pages.move_to_end(offset)
        return page[row - offset] if row - offset < len(page) else None

    @property
    def held(self) -> int:
        """How many rows are in memory."""
        return sum(len(page) for page in self._pages.values())

    def wanted(self, row: int) -> T | None:
        """What is known of a row that is being painted; its page is asked for where it is not there."""
        found = self.row_at(row)
        if found is None:
            self._ask(row - row % self._page_rows)
        return found

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else self._total

    def _ask(self, offset: int) -> None:
        if offset not in self._under_way:
            self._under_way.add(offset)
            self._need(offset, self.question)

    def _resize(self, total: int) -> None:
        root = QModelIndex()
        if total > self._total:
            self.beginInsertRows(root, self._total, total - 1)
            self._total = total
            self.endInsertRows()
        elif total < self._total:
            self.beginRemoveRows(root, total, self._total - 1)
            self._total = total
            self.endRemoveRows()

    def data(self, index: Index, role: int = 0) -> Any:
        raise NotImplementedError
