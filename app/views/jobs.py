"""The jobs below the picture: the newest as they come, those that wait to be released, those to look at; and what the
help desk may do to them.

A choice other than "all" is read from the server, again when jobs change and every few seconds while it is shown. When
that fails its rows stay, visibly aged.
"""

import time
from collections.abc import Sequence
from typing import Final, get_args

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
)

from app.core.desk import CHOICES, Choice, able, why_not
from app.core.feed import JOBS_POLL_S
from app.core.freshness import ago_text, is_stale
from app.core.outbox import Verb
from app.core.queries import CHOSEN_ROWS, Read, Trouble, chosen_jobs, explain, older_jobs
from app.core.reducer import Changes
from app.core.viewdata import count_text, database_now_ms, short_reason
from app.models.jobs import AGE, COST, IMPRESSIONS, QUEUE, REMARK, STATE, TITLE, USER, JobsModel
from app.qt.actions import Actions, Name
from app.qt.bridge import Handle
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cancel import CancelDialog
from app.views.cells import CellDelegate
from app.views.money import RefundDialog, TickDialog
from app.views.parts import (
    Card,
    StatePane,
    Table,
    choice_sheet,
    font,
    label,
    row,
    slim_button_sheet,
)
from app.views.told import Told
from backend.wire.jobs import JobList, JobView

REREAD_S: Final = 5.0
BURST_MS: Final = 250
JOBS_LIMIT_S: Final = 2.5 * JOBS_POLL_S
WIDTHS: Final = {STATE: 132, USER: 120, QUEUE: 120, IMPRESSIONS: 70, COST: 124, REMARK: 250, AGE: 72}
COMMANDS: Final[dict[Name, Choice]] = {"jobs_all": "all", "jobs_held": "held", "jobs_look": "look"}
DEEDS: Final[dict[Name, Verb]] = {
    "release_jobs": "release",
    "cancel_jobs": "cancel",
    "refund_job": "refund",
    "tick_off": "tick-off",
}
NOTHING: Final[dict[Choice, tuple[str, str]]] = {
    "all": (
        "No jobs yet",
        "As soon as somebody prints on a tracked queue, the job appears here with its pages and its cost.",
    ),
    "held": ("Nothing waits", "Jobs on queues that hold them appear here until somebody releases or cancels them."),
    "look": (
        "Nothing to look at",
        "Jobs appear here of which nobody can tell how much was printed, that may be on paper twice, or that fit no"
        " account.",
    ),
}


class JobsPanel(Card):
    """The table of jobs; scrolling down fetches older ones."""

    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        super().__init__(theme)
        self._theme = theme
        self._actions = actions
        self._session = session
        self.choice: Choice = "all"
        self._read: Read[JobList] | None = None
        self._trouble: Trouble | None = None
        self._handle: Handle | None = None
        self._burst = QTimer(self, singleShot=True, interval=BURST_MS)
        self._burst.timeout.connect(self._ask)
        self.desk = session.desk
        self.dialog: QDialog | None = None
        self.model = JobsModel(self, self._fetch)
        self.table = Table(theme, "Jobs")
        self.table.setModel(self.model)
        self.table.setItemDelegate(CellDelegate(theme, self.table))
        self.table.lay_out(WIDTHS, TITLE)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._count: QLabel = label(theme, role="muted", px=12)
        self.state_pane = StatePane(theme)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.state_pane)
        self.filter = QComboBox()
        self.release_button = QPushButton("Release")
        self.cancel_button = QPushButton("Cancel…")
        self.told = Told(theme, session.desk, session.store)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.filter.setAccessibleName("Which jobs")
        for choice in get_args(Choice):
            self.filter.addItem(CHOICES[choice], choice)
        self.filter.setFont(font(self.filter.font(), 12.5))
        self.filter.setFixedSize(158, 28)
        self.filter.view().setAccessibleName("Which jobs: choices")
        self._theme.on_change(self.filter, lambda: self.filter.setStyleSheet(choice_sheet(self._theme.colors)))
        for button in (self.release_button, self.cancel_button):
            button.setAutoDefault(False)
            button.setFont(font(button.font(), 12.5))
            button.setFixedHeight(28)
            _slim(self._theme, button)
        title = label(self._theme, "Jobs", px=14, bold=True)
        head = row(title, self._count, 1, self.release_button, self.cancel_button, self.filter, spacing=10)
        head.setContentsMargins(14, 8, 10, 4)
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 6)
        box.setSpacing(2)
        box.addLayout(head)
        box.addWidget(self.told)
        box.addWidget(self._stack, 1)

    def _connect(self) -> None:
        for name, choice in COMMANDS.items():
            self._actions[name].triggered.connect(lambda _=False, choice=choice: self.choose(choice))
        self._actions["jobs_all"].setChecked(True)
        self.filter.activated.connect(lambda place: self.choose(self.filter.itemData(place)))
        self._actions["release_jobs"].triggered.connect(self.release)
        self._actions["cancel_jobs"].triggered.connect(self.cancel)
        self._actions["refund_job"].triggered.connect(self.refund)
        self._actions["tick_off"].triggered.connect(self.tick_off)
        self.release_button.clicked.connect(self._actions["release_jobs"].trigger)
        self.cancel_button.clicked.connect(self._actions["cancel_jobs"].trigger)
        self.table.customContextMenuRequested.connect(self._menu)
        self.table.selectionModel().selectionChanged.connect(self._offer)
        self.model.dataChanged.connect(self._offer)
        self.model.modelReset.connect(self._offer)
        self.desk.changed.connect(self._offer)
        self._session.store.changed.connect(self._store_changed)
        self._offer()

    # ---------------------------------------------------------------- which jobs

    def choose(self, choice: Choice) -> None:
        """Show these jobs."""
        self.choice = choice
        self.filter.setCurrentIndex(self.filter.findData(choice))
        name = next(name for name, its in COMMANDS.items() if its == choice)
        self._actions[name].setChecked(True)
        self._read = self._trouble = None
        if choice != "all":
            self._ask()
        self.refresh(fresh=True)

    def _ask(self) -> None:
        if self.choice == "all":
            return
        if self._handle is not None:
            self._handle.cancel()
        choice = self.choice

        def answered(read: Read[JobList]) -> None:
            self._handle = None
            if choice == self.choice:
                self._read, self._trouble = read, None
                self.refresh(fresh=False)

        def refused(error: Exception) -> None:
            self._handle = None
            if choice == self.choice:
                self._trouble = explain(error)
                self.refresh(fresh=False)

        self._handle = self._session.ask(lambda client: chosen_jobs(client, choice), answered, refused, self)

    def refresh(self, fresh: bool) -> None:
        state = self._session.store.state
        self.model.set_time(database_now_ms(state, time.monotonic(), int(time.time() * 1000)))
        if self.choice == "all":
            self.model.show_jobs(state.jobs, state.ledger, fresh=fresh)
        else:
            read = self._read
            jobs: Sequence[JobView] = read.value.jobs if read is not None else ()
            self.model.show_jobs(jobs, read.value.ledger if read is not None else state.ledger, fresh=fresh, whole=True)
        self._show_count()
        self._choose_page()
        self._offer()

    def changed(self, changes: Changes) -> None:
        """What the store says."""
        if self.choice != "all" and (changes.jobs or changes.jobs_replaced):
            self._burst.start()
        if changes.jobs or changes.jobs_replaced or changes.connection:
            self.refresh(changes.jobs_replaced)

    def tick(self) -> None:
        state = self._session.store.state
        self.model.set_time(database_now_ms(state, time.monotonic(), int(time.time() * 1000)))
        self._show_count()
        if self.choice != "all" and self._handle is None and self.isVisible():
            again = self._trouble is None or self._trouble.again
            if again and (self._read is None or time.monotonic() - self._read.at >= REREAD_S):
                self._ask()

    def _show_count(self) -> None:
        """How many, and how old they are while no server answers."""
        state, shown = self._session.store.state, self.model.rowCount()
        many = self.choice == "all" or shown >= CHOSEN_ROWS
        text = f"{'newest ' if many else ''}{count_text(shown, 'job', 'jobs')}" if shown else ""
        at = state.jobs_at if self.choice == "all" else self._read.at if self._read is not None else None
        old = self._old()
        cut_off = old and at is not None
        if cut_off and at is not None:
            text += f"{'  ·  ' if text else ''}as known {ago_text(time.monotonic() - at)}"
        self._count.setText(text)
        self._theme.tint(self._count, "warning" if cut_off else "muted")

    def _old(self) -> bool:
        """Whether what is shown may have changed since without our knowing."""
        state = self._session.store.state
        if self.choice == "all":
            read_s = time.monotonic() - (state.jobs_at or 0.0)
            return state.connection.phase != "live" or is_stale(read_s, JOBS_LIMIT_S)
        return self._trouble is not None or (self._read is not None and is_stale(time.monotonic() - self._read.at))

    def _choose_page(self) -> None:
        state, trouble = self._session.store.state, self._trouble
        if "jobs" in state.forbidden or (trouble is not None and trouble.denied):
            text = "This access token’s role does not allow to see jobs."
            self.state_pane.show_state("lock", "Not allowed", text)
        elif self.model.rowCount():
            self._stack.setCurrentWidget(self.table)
            return
        elif trouble is not None:
            text = f"{short_reason(trouble.text)}.\nWhether jobs wait is not known; the console keeps asking."
            self.state_pane.show_state("unplug", trouble.title, text, "Try now", self._ask)
        elif state.jobs_at is None or (self.choice != "all" and self._read is None):
            waiting = state.connection.phase in ("connecting", "live")
            title = "Waiting for the answer" if waiting else "No jobs known"
            self.state_pane.show_state("jobs", title, "Jobs appear here as they are printed.")
        else:
            self.state_pane.show_state("empty", *NOTHING[self.choice])
        self._stack.setCurrentWidget(self.state_pane)

    def _fetch(self, after: str) -> None:
        def done(read: Read[JobList]) -> None:
            self.model.add_page(after, read.value.jobs)

        self._session.ask(lambda client: older_jobs(client, after), done, lambda _: self.model.page_failed(), self)

    # ---------------------------------------------------------------- what may be done

    def chosen(self) -> list[JobView]:
        """The jobs that are selected, from above."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [job for job in map(self.model.job, rows) if job is not None]

    def release(self) -> None:
        jobs = able("release", self.chosen())
        if jobs and self.isVisible():
            self.desk.act("release", jobs)

    def cancel(self) -> None:
        """Ask whether they are to be canceled, and why."""
        jobs = able("cancel", self.chosen())
        if not jobs or self.dialog is not None or not self.isVisible():
            return
        dialog = CancelDialog(self._theme, jobs, self._session.store.state.ledger, self.window())
        dialog.wanted.connect(lambda reason: self.desk.act("cancel", jobs, reason))
        self._open(dialog)

    def refund(self) -> None:
        jobs = able("refund", self.chosen())
        if jobs and self.dialog is None and self.isVisible():
            self._open(RefundDialog(self._theme, self._session, jobs[0], None, self.window()))

    def tick_off(self) -> None:
        jobs = able("tick-off", self.chosen())
        if jobs and self.dialog is None and self.isVisible():
            self._open(TickDialog(self._theme, self._session, jobs[0], self.window()))

    def _open(self, dialog: QDialog) -> None:
        dialog.finished.connect(self._dialog_closed)
        self.dialog = dialog
        dialog.open()

    def _dialog_closed(self, _: int) -> None:
        self.dialog = None

    def _offer(self) -> None:
        if not self.isVisible():
            return  # the commands are another page's
        jobs, rights = self.chosen(), self._session.store.state.rights
        stop = self.desk.why_not() if rights is not None and not rights.desk else ""
        for name, verb in DEEDS.items():
            self._actions.offer(name, stop or why_not(verb, jobs, rights))
        for button, action in (
            (self.release_button, self._actions["release_jobs"]),
            (self.cancel_button, self._actions["cancel_jobs"]),
        ):
            button.setEnabled(action.isEnabled())
            button.setToolTip(action.toolTip())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._offer()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        for name in DEEDS:
            self._actions.offer(name, "choose a job first")

    def _menu(self, place: QPoint) -> None:
        if self.chosen():
            self.menu().popup(self.table.viewport().mapToGlobal(place))

    def menu(self) -> QMenu:
        """The context menu of what is selected."""
        menu = QMenu(self)
        menu.setAccessibleName("What may be done to the jobs")
        menu.setToolTipsVisible(True)
        for name in DEEDS:
            menu.addAction(self._actions[name])
        menu.aboutToHide.connect(menu.deleteLater)
        return menu

    def _store_changed(self, changes: Changes) -> None:
        if changes.rights:
            self._offer()


def _slim(theme: Theme, button: QPushButton) -> None:
    theme.on_change(button, lambda: button.setStyleSheet(slim_button_sheet(theme.colors)))
