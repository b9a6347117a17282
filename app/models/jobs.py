"""The table of jobs: the store's live window on top, older pages below, fetched by key when somebody scrolls there.

Pages are asked for by the id of the last row, never by a number, so that jobs arriving meanwhile neither repeat nor
skip a row. The same model shows the jobs of one person, without the live window.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from PySide6.QtCore import QObject, Qt

from app.core.freshness import age_text
from app.core.person import Past, remark, why_lines
from app.core.reducer import newest_first
from app.core.rows import difference
from app.core.viewdata import Tone, job_age_s, job_cost_text, job_remark, job_tone, job_word, why_text
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT, PagedModel
from backend.wire.base import Ledger
from backend.wire.jobs import JobView
from backend.wire.people import UserView

STATE, USER, QUEUE, TITLE, IMPRESSIONS, COST, REMARK, AGE = range(8)
HEADERS: Final = ("State", "User", "Queue", "Document", "Pages", "Cost", "Remarks", "Age")
NUMBERS: Final = frozenset({IMPRESSIONS, COST, AGE})
MAX_ROWS: Final = 5000


class JobsModel(PagedModel):
    """Rows newest first. `fetch` is asked for the page after a job id and answers by `add_page`."""

    headers: ClassVar[Sequence[str]] = HEADERS
    numbers = NUMBERS
    age = AGE  # the column that moves with time

    def __init__(self, parent: QObject | None = None, fetch: Callable[[str], None] | None = None) -> None:
        super().__init__(parent, fetch)
        self._jobs: dict[str, JobView] = {}
        self._older: dict[str, JobView] = {}
        self._ledger: Ledger | None = None
        self._database_ms = int(time.time() * 1000)

    # ---------------------------------------------------------------- filling

    def show_jobs(
        self,
        jobs: Mapping[str, JobView] | Iterable[JobView],
        ledger: Ledger | None,
        *,
        fresh: bool,
        whole: bool = False,
    ) -> None:
        """Take the window as it is now. `fresh` forgets older pages: the list begins anew. `whole`: these are all."""
        window = dict(jobs) if isinstance(jobs, Mapping) else {job.job_id: job for job in jobs}
        if fresh or whole:
            self._older = {}
            self._fetching = False
            self._exhausted = whole
        self._ledger = ledger
        if self._older:
            # Rows that the live window let go stay, or a gap would open between it and the older pages.
            self._older |= {key: job for key, job in self._jobs.items() if key not in window}
        self._rebuild({**self._older, **window})

    def add_page(self, after: str, jobs: Iterable[JobView]) -> None:
        """The answer to `fetch`; an empty page is the end."""
        page = {job.job_id: job for job in jobs if job.job_id not in self._jobs}
        self._fetching = False
        if not self._order or self._order[-1] != after:
            return
        self._exhausted = not page or len(self._order) + len(page) >= MAX_ROWS
        self._older |= page
        self._rebuild({**self._older, **self._jobs})

    def page_failed(self) -> None:
        """Asking again is left to the next scroll."""
        self._fetching = False

    def set_time(self, database_ms: int) -> None:
        """Ages are shown as of this moment of the database's clock."""
        self._database_ms = database_ms
        if self._order:
            last = len(self._order) - 1
            self.dataChanged.emit(self.index(0, self.age), self.index(last, self.age), [Qt.ItemDataRole.DisplayRole])

    @property
    def full(self) -> bool:
        """Whether it takes in no more: there may be older jobs."""
        return len(self._order) >= MAX_ROWS

    def job(self, row: int) -> JobView | None:
        return self._jobs[self._order[row]] if 0 <= row < len(self._order) else None

    def row_of(self, job_id: str) -> int:
        """-1 where there is no such row."""
        return self._order.index(job_id) if job_id in self._jobs else -1

    def _rebuild(self, jobs: dict[str, JobView]) -> None:
        order = [job.job_id for job in newest_first(jobs.values())][:MAX_ROWS]
        operations = difference(self._order, order)
        if operations is None:
            self.beginResetModel()
            self._jobs, self._order = {key: jobs[key] for key in order}, order
            self.endResetModel()
            return
        changed = [key for key in self._order if key in jobs and jobs[key] != self._jobs[key]]
        self._jobs = {**self._jobs, **jobs}
        for operation in operations:
            self._carry_out(operation)
        self._jobs = {key: jobs[key] for key in self._order}
        for key in changed:
            row = self._order.index(key)
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.headers) - 1))

    # ---------------------------------------------------------------- Qt's questions

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        job = self._jobs[self._order[index.row()]]
        column = index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(job, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return RIGHT
        if role == TONE:
            return job_tone(job) if column == STATE else None
        if role == ID:
            return job.job_id
        if role == MUTED:
            return column in (AGE, REMARK) and not job.code
        if role == Qt.ItemDataRole.ToolTipRole:
            return why_text(job, self._ledger) or (job.title if column == TITLE else None)
        return None

    def _text(self, job: JobView, column: int) -> str:
        match column:
            case 0:
                return job_word(job)
            case 1:
                return job.user_name
            case 2:
                return job.queue
            case 3:
                return job.title or "(no name)"
            case 4:
                return f"{job.impressions:,}"
            case 5:
                return job_cost_text(job, self._ledger)
            case 6:
                return job_remark(job)
            case _:
                return age_text(job_age_s(job, self._database_ms))


class PersonJobsModel(JobsModel):
    """The jobs of one person, each with why it stands as it does; what was left when one was denied is read off the
    person's transfers."""

    def __init__(self, parent: QObject | None = None, fetch: Callable[[str], None] | None = None) -> None:
        super().__init__(parent, fetch)
        self.past = Past()
        self.user: UserView | None = None

    def why(self, job: JobView) -> tuple[tuple[Tone, str], ...]:
        return why_lines(job, self._ledger, self.past, self.user)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.ToolTipRole and index.isValid():
            job = self._jobs[self._order[index.row()]]
            return "\n".join(text for _, text in self.why(job)) or None
        return super().data(index, role)

    def _text(self, job: JobView, column: int) -> str:
        return remark(job, self._ledger, self.past, self.user) if column == REMARK else super()._text(job, column)
