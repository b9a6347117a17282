"""The table of the cluster's history: the store's live window on top, older pages below, and of all of them those that
fit the filter.

Pages are asked for by the id of the oldest event held, so that events arriving meanwhile neither repeat nor skip a row.
While a filter hides most of a page the next one is fetched at once, up to the bound: a search goes through all of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import QModelIndex, QObject, Qt

from app.core import history
from app.core.events import newest_first, place
from app.core.history import Group, Row, matches, moment_text, moment_tip
from app.core.rows import difference
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT, PagedModel
from backend.wire.cluster import ClusterEvent

WHEN, SEVERITY, WHAT, SUBJECT, WHY, AWAY, TERM, ACTOR = range(8)
HEADERS: Final = ("When", "Severity", "What", "Where", "Why and whom it concerned", "Away", "Term", "By")
NUMBERS: Final = frozenset({AWAY, TERM})
MAX_EVENTS: Final = 5000
ENOUGH_FOUND: Final = 40
"""With fewer rows than this on the screen nothing would ever be scrolled, and so no older page be fetched."""


class HistoryModel(PagedModel):
    """Rows newest first. `fetch` is asked for the page before an event's id and answers by `add_page`."""

    headers = HEADERS
    numbers = NUMBERS

    def __init__(self, parent: QObject | None = None, fetch: Callable[[str], None] | None = None) -> None:
        super().__init__(parent, fetch)
        self._window: dict[str, ClusterEvent] = {}
        self._older: dict[str, ClusterEvent] = {}
        self._rows: dict[str, Row] = {}
        self._text = ""
        self._group: Group = "all"
        self._now_ms = 0
        self.page_problem = ""

    # ---------------------------------------------------------------- filling

    def show_events(self, events: Mapping[str, ClusterEvent], now_ms: int, *, fresh: bool) -> None:
        """Take the window as it is now. `fresh` forgets older pages: the list begins anew."""
        self._now_ms = now_ms
        if fresh:
            self._older = {}
            self._exhausted = self._fetching = False
            self.page_problem = ""
        elif self._older:
            # What the live window let go stays, or a gap would open between it and the older pages.
            self._older |= {key: event for key, event in self._window.items() if key not in events}
        self._window = dict(events)
        self._rebuild()

    def add_page(self, before: str, events: Sequence[ClusterEvent]) -> None:
        """The answer to `fetch`; an empty page is the end."""
        self._fetching = False
        self.page_problem = ""
        if before != self._oldest():
            return
        self._older |= {event.event_id: event for event in events}
        self._exhausted = not events or self.loaded >= MAX_EVENTS
        self._rebuild()
        if self.rowCount() < ENOUGH_FOUND:
            self.fetchMore(QModelIndex())

    def page_failed(self, problem: str) -> None:
        """Asking again is left to the next scroll."""
        self._fetching = False
        self.page_problem = problem

    def filter(self, text: str, group: Group) -> None:
        self._text, self._group = text, group
        self._rebuild()
        if self.rowCount() < ENOUGH_FOUND:
            self.fetchMore(QModelIndex())

    @property
    def filtered(self) -> bool:
        return bool(self._text.strip()) or self._group != "all"

    @property
    def loaded(self) -> int:
        """How many events are held, shown or not."""
        return len(self._window) + len(self._older.keys() - self._window.keys())

    @property
    def searching(self) -> bool:
        return self._fetching

    @property
    def complete(self) -> bool:
        """Whether nothing older is to be had."""
        return self._exhausted and self.loaded < MAX_EVENTS

    def event_at(self, row: int) -> ClusterEvent | None:
        key = self._order[row] if 0 <= row < len(self._order) else ""
        return self._window.get(key) or self._older.get(key)

    def shown(self) -> list[ClusterEvent]:
        found = (self._window.get(key) or self._older.get(key) for key in self._order)
        return [event for event in found if event is not None]

    def _oldest(self) -> str:
        keys = self._older or self._window
        return min(keys, key=place, default="")

    def _rebuild(self) -> None:
        held = {**self._older, **self._window}
        fitting = [event for event in held.values() if matches(event, self._text, self._group)]
        order = [event.event_id for event in newest_first(fitting)]
        operations = difference(self._order, order)
        self._rows = {key: row for key, row in self._rows.items() if key in held}
        if operations is None:
            self.beginResetModel()
            self._order = order
            self.endResetModel()
            return
        for operation in operations:
            self._carry_out(operation)

    # ---------------------------------------------------------------- Qt's questions

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        event = self.event_at(index.row()) if index.isValid() else None
        if event is None:
            return None
        column = index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._cell(event, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return RIGHT
        if role == TONE:
            return self._row(event).tone if column == SEVERITY else None
        if role == MUTED:
            return column in (WHEN, TERM, ACTOR, WHY)
        if role == ID:
            return event.event_id
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(event, column)
        return None

    def _row(self, event: ClusterEvent) -> Row:
        found = self._rows.get(event.event_id)
        if found is None:
            found = self._rows[event.event_id] = history.row(event)
        return found

    def _tip(self, event: ClusterEvent, column: int) -> str | None:
        if column == WHEN:
            return moment_tip(event.at, max(self._now_ms, event.at))
        return self._row(event).why or None if column == WHY else None

    def _cell(self, event: ClusterEvent, column: int) -> str:
        row = self._row(event)
        cells = (
            moment_text(event.at, max(self._now_ms, event.at)),
            row.severity_word,
            row.what,
            row.subject,
            row.why,
            row.away,
            row.term,
            row.actor,
        )
        return cells[column]
