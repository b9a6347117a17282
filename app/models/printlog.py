"""The table of the print log: jobs newest first, older pages fetched by the id of the oldest row as somebody scrolls.

Each job says when it came in words of the calendar, for a log is read back in time. Of a million jobs those are held
that were scrolled to, at most MAX_ROWS (models/jobs.py).
"""

from collections.abc import Sequence
from typing import Any, Final

from PySide6.QtCore import Qt

from app.core.history import moment_text, moment_tip
from app.core.printlog import color_text, pages_text, paper_text, sides_text
from app.core.viewdata import NO_AMOUNT, job_tone, job_word, money, short_remark, why_text
from app.models.jobs import JobsModel
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT
from backend.wire.base import Ledger
from backend.wire.jobs import JobView

(WHEN, USER, TITLE, PAGES, COLOR, SIDES, MEDIA, COST, CHARGED, REFUNDED, STATE, WHY, QUEUE) = range(13)
HEADERS: Final = (
    "When", "Person", "Document", "Pages", "Colour", "Sides", "Paper", "Cost", "Charged", "Refunded", "State",
    "Why", "Queue",
)  # fmt: skip
NUMBERS: Final = frozenset({PAGES, COST, CHARGED, REFUNDED})


class LogModel(JobsModel):
    headers = HEADERS
    numbers = NUMBERS
    age = WHEN

    def show_newest(self, jobs: Sequence[JobView], ledger: Ledger | None, *, fresh: bool) -> None:
        """Take the newest page as it is now: what no longer fits goes, older pages stay. `fresh` forgets these too."""
        window = {job.job_id: job for job in jobs}
        oldest = min(window, default="")
        kept = {} if fresh or not window else {key: job for key, job in self._jobs.items() if key < oldest}
        if not kept:
            self._fetching = self._exhausted = False
        self._ledger, self._older = ledger, kept
        self._rebuild({**kept, **window})

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        job = self.job(index.row()) if index.isValid() else None
        if job is None:
            return None
        column = index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._cells(job)[column]
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return RIGHT
        if role == TONE:
            return job_tone(job) if column == STATE else None
        if role == MUTED:
            return column in (WHEN, COLOR, SIDES, MEDIA, QUEUE) or (column == WHY and not job.code)
        if role == ID:
            return job.job_id
        return self._tip(job, column) if role == Qt.ItemDataRole.ToolTipRole else None

    def _tip(self, job: JobView, column: int) -> str | None:
        if column == WHEN:
            return moment_tip(job.created_at, max(self._database_ms, job.created_at))
        if column == QUEUE:
            return f"{job.queue} on {job.provider}{f', from {job.host}' if job.host else ''}"
        return job.title if column == TITLE else why_text(job, self._ledger) or None

    def _cells(self, job: JobView) -> tuple[str, ...]:
        return (
            moment_text(job.created_at, max(self._database_ms, job.created_at)),
            job.user_name,
            job.title or "(no name)",
            pages_text(job),
            color_text(job),
            sides_text(job),
            paper_text(job),
            money(job.cost, self._ledger),
            money(job.charged, self._ledger) if job.charged or job.state == "completed" else NO_AMOUNT,
            money(job.refunded, self._ledger) if job.refunded else NO_AMOUNT,
            job_word(job),
            short_remark(job),
            job.queue,
        )
