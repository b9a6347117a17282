"""The table of the audit log, newest first; older pages by the id of the oldest entry held."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from PySide6.QtCore import QObject, Qt

from app.core.audit import AUDIT_COLUMNS, audit_line
from app.core.grid import Line
from app.core.rows import difference
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import PagedModel
from backend.wire.access import AuditEntry
from backend.wire.base import Ledger

MAX_ENTRIES: Final = 5000


class AuditModel(PagedModel):
    """Rows by id. An entry never changes, so one that is held stays as it is."""

    headers = AUDIT_COLUMNS

    def __init__(self, parent: QObject | None, fetch: Callable[[str], None]) -> None:
        super().__init__(parent, fetch)
        self._lines: dict[str, Line] = {}
        self.ledger = Ledger(currency="", decimals=0)

    def show_newest(self, entries: Sequence[AuditEntry], now_ms: int, *, fresh: bool) -> None:
        """Take the newest page; with `fresh` the list begins anew."""
        known = {} if fresh else self._lines
        if fresh:
            self._exhausted = self._fetching = False
        self._take({**known, **self._lines_of(entries, now_ms)})

    def add_page(self, before: str, entries: Sequence[AuditEntry], now_ms: int) -> None:
        """The answer to `fetch`; an empty page is the end."""
        self._fetching = False
        if before != self._oldest():
            return
        self._exhausted = not entries or len(self._order) + len(entries) >= MAX_ENTRIES
        self._take({**self._lines, **self._lines_of(entries, now_ms)})

    def page_failed(self) -> None:
        """Asking again is left to the next scroll."""
        self._fetching = False

    @property
    def full(self) -> bool:
        """Whether it takes in no more: there may be older entries."""
        return len(self._order) >= MAX_ENTRIES

    @property
    def oldest(self) -> int:
        """The id of the oldest entry held, 0 where there is none."""
        return int(self._oldest() or 0)

    def holds(self, audit_id: int) -> bool:
        return str(audit_id) in self._lines

    def _lines_of(self, entries: Sequence[AuditEntry], now_ms: int) -> dict[str, Line]:
        return {str(entry.audit_id): audit_line(entry, now_ms, self.ledger) for entry in entries}

    def _take(self, new: dict[str, Line]) -> None:
        order = sorted(new, key=int, reverse=True)
        operations = difference(self._order, order)
        if operations is None:
            self.beginResetModel()
            self._lines, self._order = new, order
            self.endResetModel()
            return
        self._lines = {**self._lines, **new}
        for operation in operations:
            self._carry_out(operation)
        self._lines = new

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        line = self._lines[self._order[index.row()]]
        cell = line.cells[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell.text
        if role == TONE:
            return cell.tone
        if role == MUTED:
            return cell.muted
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell.tip or None
        return line.id if role == ID else None
