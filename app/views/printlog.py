"""The print log: every job that was ever counted, newest first and live, by filters that the server applies; and all
that fit them saved as a table.

Only what was scrolled to is held. The newest page is read again when the events tell of jobs, and every few seconds.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from PySide6.QtCore import QDate, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QDateEdit, QFileDialog, QWidget

from app.core.printlog import (
    DAY_MS,
    PERIODS,
    ROWS,
    STATE_CHOICES,
    LogFilter,
    Progress,
    export_log,
    read_log,
    since_of,
)
from app.core.queries import Read, Trouble, explain
from app.core.reducer import Changes
from app.core.viewdata import count_text, database_now_ms, short_reason
from app.models.printlog import (
    CHARGED,
    COLOR,
    COST,
    MEDIA,
    PAGES,
    QUEUE,
    REFUNDED,
    SIDES,
    STATE,
    TITLE,
    USER,
    WHEN,
    WHY,
    LogModel,
)
from app.qt.actions import Actions
from app.qt.bridge import Handle
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.listing import HIGH, REREAD_S, ListPage
from app.views.onward import Onward
from app.views.parts import date_sheet, font
from backend.wire.jobs import JobList

BURST_MS: Final = 300
WATCH_MS: Final = 100
WIDTHS: Final = {
    WHEN: 120, USER: 74, PAGES: 56, COLOR: 60, SIDES: 78, MEDIA: 56, COST: 84, CHARGED: 84, REFUNDED: 80, STATE: 106,
    WHY: 120, QUEUE: 94,
}  # fmt: skip
ANY: Final = ""


class PrintLogPage(ListPage):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = LogModel(None, self._fetch)
        super().__init__(theme, session, "Print log", self.model)
        self.model.setParent(self)
        self._actions = actions
        self._wanted = LogFilter()
        self._below = ""  # the job below which the list begins, "": with the newest
        self._read: Read[JobList] | None = None
        self._trouble: Trouble | None = None
        self._handle: Handle | None = None
        self._asked_at = -REREAD_S
        self._export: Handle | None = None
        self.progress: Progress | None = None
        self.table.lay_out(WIDTHS, TITLE, left=170, roomy=frozenset({WHY}))
        self._burst = QTimer(self, singleShot=True, interval=BURST_MS)
        self._burst.timeout.connect(self.reread)
        self._watch = QTimer(self, interval=WATCH_MS)
        self._watch.timeout.connect(self._show_progress)
        self._build()
        self.refresh()

    def _build(self) -> None:
        self.user = self.search_field("User", "User: login name", 168, self._filter)
        self.queue = self.search_field("Queue", "Queue", 150, self._filter)
        self.provider = self.choice_box("Print server", {ANY: "All print servers"}, 170, self._filter)
        self.state = self.choice_box("State", STATE_CHOICES, 124, self._filter)
        self.period = self.choice_box("When", PERIODS, 124, self._choose_period)
        self.since, self.until = self._date("From"), self._date("To, this day included")
        self.add_filters(self.user, self.queue, self.provider, self.state, self.period, self.since, self.until)
        self.clear_button = self.button("Show all", "Take all filters away", self.clear)
        self.cancel_button = self.button("Stop saving", "Give the file up; nothing of it stays", self.cancel_export)
        self.save_button = self.button("Save as table…", "Save all jobs that fit as a table (CSV)", self._ask_where)
        self._actions["export_log"].triggered.connect(self._ask_where)
        self._actions["copy_jobs"].triggered.connect(self.copy)
        self.add_tools(self.clear_button, self.cancel_button, self.save_button)
        self.cancel_button.hide()
        self.onward = Onward(self._theme, self._older, self._begin)
        self.add_end(self.onward)
        self.choose_many()

    def _date(self, name: str) -> QDateEdit:
        field = QDateEdit(QDate.currentDate())
        field.setCalendarPopup(True)
        field.setDisplayFormat("yyyy-MM-dd")
        field.setAccessibleName(name)
        field.setToolTip(name)
        field.setFont(font(field.font(), 12.5))
        field.setFixedSize(116, HIGH)
        field.dateChanged.connect(lambda _: self._filter())
        self._theme.on_change(field, lambda: field.setStyleSheet(date_sheet(self._theme.colors)))
        field.hide()
        return field

    # ---------------------------------------------------------------- which jobs

    def wanted(self, now: datetime | None = None) -> LogFilter:
        """What the filters say now."""
        found = LogFilter(
            self.user.text().strip(), self.queue.text().strip(), self.provider.currentData(), self.state.currentData()
        )
        period = self.period.currentData()
        if period == "between":
            since, until = (field.date().startOfDay().toMSecsSinceEpoch() for field in (self.since, self.until))
            return replace(found, since_ms=since, until_ms=until + DAY_MS)
        return replace(found, since_ms=since_of(period, now or datetime.now().astimezone()))

    def _choose_period(self) -> None:
        for field in (self.since, self.until):
            field.setVisible(self.period.currentData() == "between")
        self._filter()

    def _filter(self) -> None:
        """Other filters: the list begins anew."""
        wanted = self.wanted()
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._begin()

    def _older(self) -> None:
        last = self.model.job(self.model.rowCount() - 1)
        if last is not None:
            self._begin(last.job_id)

    def _begin(self, below: str = "") -> None:
        """The list begins anew, below a job."""
        self._below = below
        self._read = self._trouble = None
        self.model.show_newest((), self.session.store.state.ledger, fresh=True)
        self.table.scrollToTop()
        self.refresh()
        self.reread()

    def clear(self) -> None:
        for choice in (self.provider, self.state, self.period):
            choice.setCurrentIndex(0)
        self.user.clear()
        self.queue.clear()
        self._filter()

    def show_user(self, name: str) -> None:
        """The log of one person."""
        self.clear()
        self.user.setText(name)
        self._filter()

    # ---------------------------------------------------------------- reading

    def reread(self) -> None:
        """The newest page, again."""
        if self._handle is not None:
            self._handle.cancel()
        self._asked_at = time.monotonic()
        wanted, below = self._wanted, self._below

        def done(read: Read[JobList]) -> None:
            self._handle = None
            if (wanted, below) == (self._wanted, self._below):
                self._take(read)

        def failed(error: Exception) -> None:
            self._handle = None
            if (wanted, below) == (self._wanted, self._below):
                self._trouble = explain(error)
                self.refresh()

        self._handle = self.session.ask(lambda client: read_log(client, wanted, below), done, failed, self)

    def _take(self, read: Read[JobList]) -> None:
        jobs = read.value.jobs
        # A full page that meets nothing known has a gap below it: then the list begins anew.
        gap = len(jobs) == ROWS and all(self.model.row_of(job.job_id) < 0 for job in jobs)
        self._read, self._trouble = read, None
        self._set_time()
        self.model.show_newest(jobs, read.value.ledger, fresh=gap)
        self.refresh()

    def _fetch(self, after: str) -> None:
        wanted = self._wanted

        def done(read: Read[JobList]) -> None:
            if wanted == self._wanted:
                self.model.add_page(after, read.value.jobs)
                self.refresh()

        def failed(_: Exception) -> None:
            self.model.page_failed()

        self.session.ask(lambda client: read_log(client, wanted, after), done, failed, self)

    def store_changed(self, changes: Changes) -> None:
        if changes.topology:
            self._name_providers()
        if changes.connection and self.session.store.state.connection.phase == "idle":
            self._leave()
        elif (changes.jobs or changes.jobs_replaced) and self.isVisible():
            self._burst.start()

    def _leave(self) -> None:
        """Nothing of a cluster that was left stays."""
        self.cancel_export()
        if self._handle is not None:
            self._handle.cancel()
        self._read = self._trouble = self._handle = None
        self._asked_at = -REREAD_S
        self.told.hide()
        self._below = ""
        self.model.show_newest((), None, fresh=True)
        self.refresh()

    def _name_providers(self) -> None:
        topology = self.session.store.state.topology
        names = sorted(view.name for view in topology.providers) if topology is not None else []
        shown = [self.provider.itemData(place) for place in range(1, self.provider.count())]
        if names == shown:
            return
        chosen = self.provider.currentData()
        self.provider.blockSignals(True)
        self.provider.clear()
        self.provider.addItem("All print servers", ANY)
        for name in names:
            self.provider.addItem(name, name)
        self.provider.setCurrentIndex(max(0, self.provider.findData(chosen)))
        self.provider.blockSignals(False)
        self._filter()

    def tick(self) -> None:
        again = self._trouble is None or self._trouble.again
        if again and self._handle is None and time.monotonic() - self._asked_at >= REREAD_S:
            self.reread()
        self.refresh()

    def _set_time(self) -> None:
        state = self.session.store.state
        self.model.set_time(database_now_ms(state, time.monotonic(), int(time.time() * 1000)))

    # ---------------------------------------------------------------- showing

    def refresh(self) -> None:
        shown, read = self.model.rowCount(), self._read
        text = f"{'' if self._below else 'newest '}{count_text(shown, 'job', 'jobs')}" if shown else ""
        self.show_read(text, read.at if read is not None else None, self._trouble)
        self.clear_button.setVisible(not self._wanted.all)
        self._choose_state(shown)
        self._show_end(shown)
        self.offer()

    def _show_end(self, shown: int) -> None:
        held = count_text(shown, "job", "jobs")
        end = f"The list holds {held} at most; there may be older ones. A table that is saved has them all."
        text = end if self.model.full else "These are not the newest jobs."
        self.onward.show_end(text, full=self.model.full, below=bool(self._below))

    def _choose_state(self, shown: int) -> None:
        told = self._trouble
        if shown:
            self.show_table()
        elif told is not None:
            text, act = f"{short_reason(told.text).rstrip('.')}.", "" if told.denied else "Try now"
            self.show_state("lock" if told.denied else "unplug", told.title, text, act, self.reread)
        elif self._read is None:
            self.show_state("jobs", "Reading …", "Waiting for the answer of a server.")
        elif self._below:
            self.show_state("jobs", "Nothing older", "The print log ends here.", "Back to the newest", self._begin)
        elif self._wanted.all:
            self.show_state("empty", "Nothing was printed yet", "Every job on a tracked queue appears here, and stays.")
        else:
            self.show_state("search", "No job fits", "No job was found that fits all filters.", "Show all", self.clear)

    def offer(self) -> None:
        here = self.isVisible()
        saving = self._export is not None
        able = here and bool(self.model.rowCount()) and not saving
        self._actions.offer("export_log", "" if able else "open the print log and let it find something first")
        chosen = here and bool(self.table.chosen_rows())
        self._actions.offer("copy_jobs", "" if chosen else "choose jobs of the print log first")
        self.save_button.setEnabled(able)
        self.cancel_button.setVisible(saving)

    def copy(self) -> None:
        """The chosen jobs, a line each, cells apart by tabs."""
        lines = []
        for place in self.table.chosen_rows():
            cells = (self.model.index(place, column).data() for column in range(self.model.columnCount()))
            lines.append("\t".join(str(cell) for cell in cells))
        if lines:
            QGuiApplication.clipboard().setText("\n".join(lines))

    # ---------------------------------------------------------------- saving

    def _ask_where(self) -> None:
        dialog = SaveDialog(self, self.save)
        dialog.open()

    def save(self, path: Path, bom: bool = False) -> None:
        """Write all jobs that fit the filters to a file."""
        if self._export is not None:
            return
        wanted, progress = self._wanted, Progress()
        self.progress = progress

        def done(rows: int) -> None:
            self._exported()
            self.tell("ok", f"{count_text(rows, 'job', 'jobs')} saved to {path}")

        def failed(error: Exception) -> None:
            self._exported()
            text = f"{error.strerror or error}" if isinstance(error, OSError) else explain(error).text
            self.tell("error", f"Not saved, {path} is as it was: {text}")

        self._export = self.session.ask(
            lambda client: export_log(client, wanted, path, progress, bom), done, failed, self
        )
        self._watch.start()
        self._show_progress()
        self.offer()

    def cancel_export(self) -> None:
        if self._export is not None:
            self._export.cancel()
            self._exported()
            self.tell("plain", "Saving was stopped; nothing was written.")

    def _exported(self) -> None:
        self._export = None
        self._watch.stop()
        self.offer()

    def _show_progress(self) -> None:
        if self.progress is not None and self._export is not None:
            self.tell("waiting", self.progress.text)


class SaveDialog(QFileDialog):
    """Where to save, and whether for a spreadsheet that needs a mark to know UTF-8."""

    def __init__(self, parent: QWidget, save: Callable[[Path, bool], None]) -> None:
        super().__init__(parent, "Save the print log", "inkeeper-print-log.csv", "Table (*.csv)")
        self.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self.setDefaultSuffix("csv")
        self.setOption(QFileDialog.Option.DontUseNativeDialog)  # the system's own has no room for the choice
        self.mark = QCheckBox("For Excel: begin with a byte order mark")
        layout = self.layout()
        if layout is not None:
            layout.addWidget(self.mark)
        self.fileSelected.connect(lambda name: save(Path(name), self.mark.isChecked()))
