"""One person: what they have, what they printed and why it was charged or denied so, what was moved; what may be done
to each; and from which server and how long ago this was read.

It is read again when a job of theirs changes, when a command of ours ended, and every few seconds while it is on the
screen. When that fails the last values stay, visibly aged: a help desk must know that a balance is old before it says
it on the phone. Older jobs and transfers are fetched when somebody scrolls there, never the whole history.
"""

import time
from collections.abc import Sequence
from typing import Final, get_args

from PySide6.QtCore import QDateTime, QLocale, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QDialog, QLabel, QMenu, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from app.core.desk import Choice, able, why_not
from app.core.freshness import ago_text, is_stale
from app.core.money import limits_text, why_not_reversed
from app.core.outbox import Item, Verb
from app.core.person import summary
from app.core.queries import (
    PERSON_ROWS,
    Person,
    Read,
    Trouble,
    explain,
    older_jobs_of,
    older_transfers_of,
    read_person,
)
from app.core.reducer import Changes
from app.core.viewdata import database_now_ms, host_text
from app.models.jobs import AGE, COST, IMPRESSIONS, QUEUE, REMARK, STATE, TITLE, USER, PersonJobsModel
from app.models.users import AMOUNT, BALANCE, NOTE, WHEN, WHO, WHY, TransfersModel
from app.qt.actions import Actions, Name
from app.qt.bridge import Handle
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cancel import CancelDialog
from app.views.cells import CellDelegate
from app.views.money import AdjustDialog, RefundDialog, ReverseDialog, TickDialog
from app.views.operation import Lines
from app.views.parts import Card, Mark, StatePane, Table, choice_sheet, column, font, label, row, splitter
from app.views.person_head import PersonHead, action_button
from app.views.told import Told
from backend.wire.jobs import JobView
from backend.wire.money import TransferView

REREAD_S: Final = 4.0
BURST_MS: Final = 300
SURE_S: Final = 3.0
"""What was read so short a time ago is true though the connection is being made anew."""
CHOICES: Final[dict[Choice, str]] = {"all": "All jobs", "held": "Held", "look": "To look at"}
JOB_DEEDS: Final[dict[Name, tuple[Verb, str]]] = {
    "release_jobs": ("release", "Release"),
    "cancel_jobs": ("cancel", "Cancel…"),
    "refund_job": ("refund", "Refund…"),
    "tick_off": ("tick-off", "Looked at…"),
}
MOST_WHY: Final = 4


class PersonPanel(QWidget):
    """The person that was opened, or what stands there instead. `seen` brings a UserView each time one was read."""

    seen = Signal(object)

    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        super().__init__()
        self._theme = theme
        self._actions = actions
        self._session = session
        self.name = ""
        self.choice: Choice = "all"
        self.dialog: QDialog | None = None
        self._read: Read[Person] | None = None
        self._trouble: Trouble | None = None
        self._handle: Handle | None = None
        self._burst = QTimer(self, singleShot=True, interval=BURST_MS)
        self._burst.timeout.connect(self._ask)
        self.head = PersonHead(theme, actions)
        self.jobs = PersonJobsModel(self, self._fetch_jobs)
        self.transfers = TransfersModel(self, self._fetch_transfers)
        self.jobs_table = Table(theme, "Recent jobs")
        self.transfers_table = Table(theme, "Transfers")
        self.filter = QComboBox()
        self.why = Lines(theme, "Why", 12.5)
        self.told = Told(theme, session.desk, session.store)
        self.state_pane = StatePane(theme)
        self._source_mark = Mark(theme, 15)
        self._source: QLabel = label(theme, role="muted", px=12)
        self._stack = QStackedWidget(self)
        self._build(theme)
        self._connect()
        self._show_empty()

    # ---------------------------------------------------------------- building

    def _build(self, theme: Theme) -> None:
        self.jobs_table.setModel(self.jobs)
        widths = {STATE: 116, QUEUE: 92, IMPRESSIONS: 56, COST: 100, REMARK: 228, AGE: 58}
        self.jobs_table.lay_out(widths, TITLE, 130, frozenset({REMARK}))
        self.jobs_table.setColumnHidden(USER, True)
        self.transfers_table.setModel(self.transfers)
        self.transfers_table.lay_out({WHEN: 116, WHY: 132, AMOUNT: 116, BALANCE: 116, WHO: 84}, NOTE, 150)
        for table in (self.jobs_table, self.transfers_table):
            table.setItemDelegate(CellDelegate(theme, table))
            table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.filter.setAccessibleName("Which jobs of the person")
        for choice in get_args(Choice):
            self.filter.addItem(CHOICES[choice], choice)
        self.filter.view().setAccessibleName("Which jobs of the person: choices")
        self.filter.setFont(font(self.filter.font(), 12.5))
        self.filter.setFixedSize(116, 28)
        theme.on_change(self.filter, lambda: self.filter.setStyleSheet(choice_sheet(theme.colors)))
        buttons = [action_button(theme, self._actions, name, text) for name, (_, text) in JOB_DEEDS.items()]
        why = QWidget()
        why.setLayout(column(self.why, margins=(14, 4, 14, 6)))
        self.why_box = why
        self._split = splitter()
        self._split.addWidget(_titled(theme, "Jobs", self.jobs_table, [*buttons, self.filter], why))
        undo = action_button(theme, self._actions, "undo_transfer", "Undo…")
        self._split.addWidget(_titled(theme, "Transfers", self.transfers_table, [undo]))
        page = QWidget()
        source = row(self._source_mark, self._source, 1, spacing=7, margins=(4, 0, 0, 0))
        box = column(self.head, self.told, spacing=10)
        box.addWidget(self._split, 1)
        box.addLayout(source)
        page.setLayout(box)
        self._page = page
        self._empty = Card(theme)
        self._empty.setLayout(column(self.state_pane))
        self._stack.addWidget(page)
        self._stack.addWidget(self._empty)
        self.setLayout(column(self._stack))

    def _connect(self) -> None:
        store, desk = self._session.store, self._session.desk
        store.changed.connect(self._changed)
        store.ticked.connect(self._tick)
        desk.changed.connect(self._offer)
        desk.settled.connect(self._settled)
        self.filter.activated.connect(lambda place: self.choose(self.filter.itemData(place)))
        for table in (self.jobs_table, self.transfers_table):
            table.selectionModel().selectionChanged.connect(self._offer)
        self.jobs_table.selectionModel().selectionChanged.connect(self._show_why)
        self.jobs_table.customContextMenuRequested.connect(lambda place: self._menu(self.jobs_table, place))
        self.transfers_table.customContextMenuRequested.connect(lambda place: self._menu(self.transfers_table, place))
        deeds = {
            "release_jobs": self.release,
            "cancel_jobs": self.cancel,
            "refund_job": self.refund,
            "tick_off": self.tick_off,
            "adjust": self.adjust,
            "undo_transfer": self.undo,
            "copy_person": self.copy,
        }
        for name, deed in deeds.items():
            self._actions[name].triggered.connect(lambda _=False, deed=deed: deed() if self.isVisible() else None)  # type: ignore[index]

    # ---------------------------------------------------------------- reading

    def open_person(self, name: str) -> None:
        if name != self.name:
            self._read = None
            self.choice = "all"
            self.filter.setCurrentIndex(0)
            self.jobs_table.clearSelection()
            self.transfers_table.clearSelection()
        self.name = name
        self._trouble = None
        self._ask()
        if self._read is None:
            self.state_pane.show_state("person", name, "Reading …")
            self._stack.setCurrentWidget(self._empty)
            self._offer()

    def choose(self, choice: Choice) -> None:
        """Show these of the person's jobs."""
        self.choice = choice
        self.filter.setCurrentIndex(self.filter.findData(choice))
        self._ask()

    def _ask(self) -> None:
        """Read the person; a question still under way is dropped."""
        if self._handle is not None:
            self._handle.cancel()
        name, choice = self.name, self.choice
        if not name:
            return

        def refused(error: Exception) -> None:
            self._trouble = explain(error)
            self._handle = None
            self._show(fresh=False)

        self._handle = self._session.ask(
            lambda client: read_person(client, name, choice), self._answered, refused, self
        )  # fmt: skip

    def _answered(self, read: Read[Person]) -> None:
        self._handle = None
        before = self._read.value if self._read is not None else None
        fresh = before is None or (before.user.name, before.choice) != (read.value.user.name, read.value.choice)
        self._read, self._trouble = read, None
        self._show(fresh)
        user = read.value.user
        self.seen.emit(user)
        if isinstance(self.dialog, AdjustDialog | ReverseDialog):
            self.dialog.show_user(user)
        elif isinstance(self.dialog, RefundDialog):
            found = next((job for job in read.value.jobs if job.job_id == self.dialog.job_id), None)
            if found is not None:
                self.dialog.show_job(found, user)

    def _fetch_jobs(self, before: str) -> None:
        name = self.name

        def done(jobs: tuple[JobView, ...]) -> None:
            if name == self.name and self.choice == "all":
                self.jobs.add_page(before, jobs)

        self._session.ask(
            lambda client: older_jobs_of(client, name, before), done, lambda _: self.jobs.page_failed(), self
        )

    def _fetch_transfers(self, before: str) -> None:
        name = self.name

        def done(found: tuple[TransferView, ...]) -> None:
            if name == self.name:
                self.transfers.add_page(before, found)
                self.jobs.past = self.transfers.past()

        self._session.ask(
            lambda client: older_transfers_of(client, name, int(before)),
            done,
            lambda _: self.transfers.page_failed(),
            self,
        )

    def _changed(self, changes: Changes) -> None:
        state = self._session.store.state
        if state.connection.phase == "idle":
            if self.name:
                self.name, self._read, self._trouble = "", None, None
                self._show_empty()
        elif any(job in state.jobs and state.jobs[job].user_name == self.name for job in changes.jobs):
            self._burst.start()
        if changes.connection and state.connection.phase == "live" and self._signed_out():
            self._ask()
        if changes.rights:
            self._show_limits()
            self._offer()

    def _signed_out(self) -> bool:
        return self._trouble is not None and self._trouble.signed_out

    def _settled(self, item: Item) -> None:
        """A command of ours ended: what it changed is read at once."""
        if item.entry.user_name == self.name and self.isVisible():
            self._ask()

    def _tick(self) -> None:
        if not self.name or not self.isVisible():
            return
        if self._read is not None:
            self._show_age(self._read)
        read_at = self._read.at if self._read is not None else 0.0
        waits = self._handle is not None or (self._trouble is not None and not self._trouble.again)
        if not waits and time.monotonic() - read_at >= REREAD_S:
            self._ask()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        for name in (*JOB_DEEDS, "adjust", "undo_transfer", "copy_person"):
            self._actions.offer(name, "open a person first")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._offer()

    # ---------------------------------------------------------------- showing

    def source_text(self) -> str:
        """From where the values are and how old, as shown."""
        return self._source.text()

    def _show(self, fresh: bool) -> None:
        read, trouble = self._read, self._trouble
        if read is None or (trouble is not None and not trouble.again and not trouble.signed_out):
            if trouble is not None:
                self._show_trouble(trouble)
            self._offer()
            return
        state, person = self._session.store.state, read.value
        short = len(person.transfers) < PERSON_ROWS
        self.transfers.show_transfers(person.transfers, person.ledger, fresh=fresh, whole=short)
        self.jobs.past, self.jobs.user = self.transfers.past(), person.user
        self.jobs.set_time(database_now_ms(state, time.monotonic(), int(time.time() * 1000)))
        whole = person.choice != "all" or len(person.jobs) < PERSON_ROWS
        self.jobs.show_jobs(person.jobs, person.ledger, fresh=fresh, whole=whole)
        self._show_age(read)
        self._show_limits()
        self._show_why()
        self._stack.setCurrentWidget(self._page)
        self._offer()

    def _show_age(self, read: Read[Person]) -> None:
        age = time.monotonic() - read.at
        old = is_stale(age)
        self.head.show_person(read.value, old)
        text = f"Read from {host_text(read.endpoint)}, {ago_text(age)}"
        if self._trouble is not None:
            text += f"  —  {self._trouble.title.lower()} now, these values may be out of date"
        self._source.setText(text)
        cut_off = self._session.store.state.connection.phase != "live" and age >= SURE_S
        doubtful = old or cut_off or self._trouble is not None
        self._theme.tint(self._source, "warning" if doubtful else "muted")
        self._source_mark.show_tone("warning" if doubtful else "ok", "old" if doubtful else "fresh")

    def _show_limits(self) -> None:
        state = self._session.store.state
        caller = state.rights.caller if state.rights is not None else None
        text = limits_text(caller, state.ledger) if caller is not None else ""
        self.head.limits.show_text(f"You {text}" if text else "")

    def _show_why(self) -> None:
        """Why the chosen job stands as it does."""
        chosen = self.chosen_jobs()
        lines = self.jobs.why(chosen[0])[:MOST_WHY] if len(chosen) == 1 else ()
        self.why.show_marked(lines)
        self.why_box.setVisible(bool(lines))

    def _show_trouble(self, trouble: Trouble) -> None:
        picture = "lock" if trouble.denied else "unplug" if trouble.again else "warning"
        self.state_pane.show_state(
            picture, trouble.title, trouble.text, "Try again" if trouble.again else "", self._ask
        )
        self._stack.setCurrentWidget(self._empty)

    def _show_empty(self) -> None:
        text = (
            "Balance, recent jobs with the reason of every refusal, and transfers of the person you open appear here."
        )
        self.state_pane.show_state("person", "Nobody opened", text)
        self._stack.setCurrentWidget(self._empty)
        self._offer()

    # ---------------------------------------------------------------- what may be done

    def chosen_jobs(self) -> list[JobView]:
        return [job for job in map(self.jobs.job, self.jobs_table.chosen_rows()) if job is not None]

    def chosen_transfer(self) -> TransferView | None:
        rows = self.transfers_table.chosen_rows()
        return self.transfers.transfer(rows[0]) if len(rows) == 1 else None

    def _offer(self) -> None:
        """Which commands may be given now; those that may not say why."""
        if not self.isVisible():
            return
        rights, opened = self._session.store.state.rights, self._read is not None
        stop = rights.desk if rights is not None else "whether this access token may do it is not known yet"
        stop = stop or self._session.desk.why_not() or ("" if opened else "open a person first")
        for name, (verb, _) in JOB_DEEDS.items():
            self._actions.offer(name, stop or why_not(verb, self.chosen_jobs(), rights))
        self._actions.offer("adjust", stop)
        self._actions.offer("undo_transfer", stop or why_not_reversed(self.chosen_transfer()))
        self._actions.offer("copy_person", "" if opened else "open a person first")

    def release(self) -> None:
        self._session.desk.act("release", able("release", self.chosen_jobs()))

    def cancel(self) -> None:
        jobs = able("cancel", self.chosen_jobs())
        if jobs:
            dialog = CancelDialog(self._theme, jobs, self._session.store.state.ledger, self.window())
            dialog.wanted.connect(lambda reason: self._session.desk.act("cancel", jobs, reason))
            self._open(dialog)

    def refund(self) -> None:
        jobs = able("refund", self.chosen_jobs())
        if jobs and self._read is not None:
            self._open(RefundDialog(self._theme, self._session, jobs[0], self._read.value.user, self.window()))

    def tick_off(self) -> None:
        jobs = able("tick-off", self.chosen_jobs())
        if jobs:
            self._open(TickDialog(self._theme, self._session, jobs[0], self.window()))

    def adjust(self) -> None:
        if self._read is not None:
            self._open(AdjustDialog(self._theme, self._session, self._read.value.user, self.window()))

    def undo(self) -> None:
        transfer = self.chosen_transfer()
        if transfer is not None and self._read is not None and not why_not_reversed(transfer):
            user = self._read.value.user
            self._open(ReverseDialog(self._theme, self._session, user, transfer, self.window()))

    def _open(self, dialog: QDialog) -> None:
        """One at a time."""
        if self.dialog is not None:
            dialog.deleteLater()
            return
        dialog.finished.connect(self._dialog_closed)
        self.dialog = dialog
        dialog.open()

    def _dialog_closed(self, _: int) -> None:
        self.dialog = None

    def _menu(self, table: Table, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAccessibleName("What may be done")
        menu.setToolTipsVisible(True)
        for name in JOB_DEEDS if table is self.jobs_table else ("undo_transfer",):
            menu.addAction(self._actions[name])  # type: ignore[index]  # they are names
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(table.viewport().mapToGlobal(place))

    def copy(self) -> None:
        """The person, jobs and transfers as plain text, on the clipboard."""
        if self._read is not None:
            QGuiApplication.clipboard().setText(self.text(self._read))

    def text(self, read: Read[Person]) -> str:
        person, past = read.value, self.transfers.past()
        moments = {job.created_at for job in person.jobs} | {found.at for found in past.transfers}
        when = {moment: _moment(moment, "d MMM HH:mm") for moment in moments}
        read_ms = int((time.time() - (time.monotonic() - read.at)) * 1000)
        return summary(
            person.user,
            person.jobs,
            past,
            person.ledger,
            read_from=host_text(read.endpoint),
            when=when,
            now=_moment(read_ms, "d MMM yyyy HH:mm"),
        )


def _moment(moment: int, form: str) -> str:
    return QLocale.system().toString(QDateTime.fromMSecsSinceEpoch(moment), form)


def _titled(
    theme: Theme, title: str, table: Table, widgets: Sequence[QPushButton | QComboBox], below: QWidget | None = None
) -> Card:
    """A table with its title and commands above it, and what is said of the chosen row below."""
    card = Card(theme)
    head = row(label(theme, title, px=13, bold=True), 1, *widgets, margins=(14, 7, 10, 2))
    box = QVBoxLayout(card)
    box.setContentsMargins(2, 2, 2, 6)
    box.setSpacing(2)
    box.addLayout(head)
    box.addWidget(table, 1)
    if below is not None:
        box.addWidget(below)
    card.setMinimumHeight(130)
    return card
