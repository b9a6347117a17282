"""One person: what they have, what they printed, what was charged, and from which server and how long ago this was
read.

It is read again when a job of theirs changes and every few seconds while it is on the screen. When that fails the
last values stay, visibly aged: a help desk must know that a balance is old before it says it on the phone.
"""

import time
from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from app.core.freshness import ago_text, is_stale
from app.core.queries import Person, Read, Trouble, explain, read_person
from app.core.reducer import Changes
from app.core.viewdata import (
    database_now_ms,
    host_text,
    money,
    person_subtitle,
    person_title,
    standing,
)
from app.models.jobs import AGE, COST, IMPRESSIONS, QUEUE, REMARK, STATE, TITLE, USER, JobsModel
from app.models.users import AMOUNT, BALANCE, NOTE, WHEN, WHY, TransfersModel
from app.qt.bridge import Handle
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cells import CellDelegate, draw_initials
from app.views.parts import Card, Chip, Elided, Mark, StatePane, Table, column, label, row, splitter

REREAD_S: Final = 4.0
BURST_MS: Final = 300


class Initials(QWidget):
    def __init__(self, theme: Theme, size: int) -> None:
        super().__init__()
        self._theme = theme
        self._name = ""
        self.setFixedSize(size, size)
        theme.on_change(self, self.update)

    def show_name(self, name: str) -> None:
        self._name = name
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw_initials(painter, self.rect().toRectF(), self._name, self._theme.colors)
        finally:
            painter.end()


class Figure(QWidget):
    """A number with its name above it."""

    def __init__(self, theme: Theme, name: str, px: int = 16) -> None:
        super().__init__()
        self._theme = theme
        self._name = name
        self._value = label(theme, "–", px=px, bold=True)
        self.setLayout(column(label(theme, name, "muted", 11.5), self._value, spacing=2))

    def show_value(self, text: str, role: str = "text") -> None:
        self._value.setText(text)
        self._theme.tint(self._value, role)
        self.setAccessibleName(f"{self._name}: {text}")


class PersonHead(Card):
    """Name, standing and money."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._theme = theme
        self._initials = Initials(theme, 52)
        self._name = Elided(theme, px=20, bold=True)
        self._subtitle = Elided(theme, role="muted", px=12.5)
        self._chips: list[Chip] = []
        self._chip_row = QHBoxLayout()
        self._chip_row.setSpacing(6)
        self.balance = Figure(theme, "Balance", 26)
        names = ("Available", "Reserved", "Overdraft", "Pages printed", "Jobs")
        self.figures = {name: Figure(theme, name) for name in names}
        top = row(self._initials, spacing=14)
        middle = column(self._name, self._subtitle, spacing=2)
        top.addLayout(middle, 1)
        top.addLayout(self._chip_row)
        numbers = row(spacing=36)
        for figure in (self.balance, *self.figures.values()):
            numbers.addWidget(figure, 0, Qt.AlignmentFlag.AlignTop)
        numbers.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 16, 20, 16)
        box.setSpacing(14)
        box.addLayout(top)
        box.addLayout(numbers)

    def show_person(self, person: Person, old: bool) -> None:
        user, ledger = person.user, person.ledger
        self._initials.show_name(person_title(user))
        self._name.show_text(person_title(user))
        self._subtitle.show_text(person_subtitle(user))
        self._show_chips(person)
        quiet = "muted" if old else "text"
        self.balance.show_value(money(user.balance, ledger), "error" if user.balance < 0 else quiet)
        values = (
            money(user.available, ledger),
            money(user.reserved, ledger),
            money(user.overdraft, ledger),
            f"{user.print_impressions:,}",
            f"{user.print_jobs:,}",
        )
        for figure, value in zip(self.figures.values(), values, strict=True):
            figure.show_value(value, quiet)

    def _show_chips(self, person: Person) -> None:
        chips = standing(person.user)
        while len(self._chips) < len(chips):
            self._chips.append(Chip(self._theme, "panel"))
            self._chip_row.addWidget(self._chips[-1])
        for index, chip in enumerate(self._chips):
            chip.setVisible(index < len(chips))
            if index < len(chips):
                chip.show_words(chips[index][1], chips[index][0])


class PersonPanel(QWidget):
    """The person that was opened, or what stands there instead."""

    def __init__(self, theme: Theme, session: Session) -> None:
        super().__init__()
        self._theme = theme
        self._session = session
        self._name = ""
        self._read: Read[Person] | None = None
        self._trouble: Trouble | None = None
        self._handle: Handle | None = None
        self._burst = QTimer(self, singleShot=True, interval=BURST_MS)
        self._burst.timeout.connect(self._ask)
        self.head = PersonHead(theme)
        self.jobs = JobsModel(self)
        self.transfers = TransfersModel(self)
        self.state_pane = StatePane(theme)
        self._source_mark = Mark(theme, 15)
        self._source: QLabel = label(theme, role="muted", px=12)
        self._stack = QStackedWidget(self)
        self._build(theme)
        session.store.changed.connect(self._changed)
        session.store.ticked.connect(self._tick)
        self._show_empty()

    def _build(self, theme: Theme) -> None:
        self.jobs_table = Table(theme, "Recent jobs")
        self.jobs_table.setModel(self.jobs)
        self.jobs_table.lay_out({STATE: 116, QUEUE: 96, IMPRESSIONS: 60, COST: 110, REMARK: 172, AGE: 62}, TITLE)
        self.jobs_table.setColumnHidden(USER, True)
        self.transfers_table = Table(theme, "Transfers")
        self.transfers_table.setModel(self.transfers)
        self.transfers_table.lay_out({WHEN: 136, WHY: 176, AMOUNT: 124, BALANCE: 124}, NOTE)
        for table in (self.jobs_table, self.transfers_table):
            table.setItemDelegate(CellDelegate(theme, table))
        self._split = splitter()
        self._split.addWidget(_titled(theme, "Recent jobs", self.jobs_table))
        self._split.addWidget(_titled(theme, "Transfers", self.transfers_table))
        page = QWidget()
        source = row(self._source_mark, self._source, 1, spacing=7, margins=(4, 0, 0, 0))
        box = column(self.head, spacing=12)
        box.addWidget(self._split, 1)
        box.addLayout(source)
        page.setLayout(box)
        self._page = page
        self._empty = Card(theme)
        self._empty.setLayout(column(self.state_pane))
        self._stack.addWidget(page)
        self._stack.addWidget(self._empty)
        self.setLayout(column(self._stack))

    # ---------------------------------------------------------------- reading

    def open_person(self, name: str) -> None:
        if name != self._name:
            self._read = None
        self._name = name
        self._trouble = None
        self._ask()
        if self._read is None:
            self.state_pane.show_state("person", name, "Reading …")
            self._stack.setCurrentWidget(self._empty)

    def _ask(self) -> None:
        """Read the person; a question still under way is dropped."""
        if self._handle is not None:
            self._handle.cancel()
        name = self._name
        if not name:
            return

        def refused(error: Exception) -> None:
            self._trouble = explain(error)
            self._handle = None
            self._show()

        self._handle = self._session.ask(lambda client: read_person(client, name), self._answered, refused, self)

    def _answered(self, read: Read[Person]) -> None:
        self._handle = None
        self._read, self._trouble = read, None
        self._show()

    def _changed(self, changes: Changes) -> None:
        state = self._session.store.state
        if state.connection.phase == "idle":
            self._name, self._read, self._trouble = "", None, None
            self._show_empty()
        elif any(job in state.jobs and state.jobs[job].user_name == self._name for job in changes.jobs):
            self._burst.start()

    def _tick(self) -> None:
        if not self._name or not self.isVisible():
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

    # ---------------------------------------------------------------- showing

    def source_text(self) -> str:
        """From where the values are and how old, as shown."""
        return self._source.text()

    def _show(self) -> None:
        read, trouble = self._read, self._trouble
        if read is None or (trouble is not None and not trouble.again):
            if trouble is not None:
                self._show_trouble(trouble)
            return
        state = self._session.store.state
        self.jobs.set_time(database_now_ms(state, time.monotonic(), int(time.time() * 1000)))
        self.jobs.show_jobs(read.value.jobs, read.value.ledger, fresh=False)
        self.transfers.show_transfers(read.value.transfers, read.value.ledger)
        self._show_age(read)
        self._stack.setCurrentWidget(self._page)

    def _show_age(self, read: Read[Person]) -> None:
        age = time.monotonic() - read.at
        old = is_stale(age)
        self.head.show_person(read.value, old)
        text = f"Read from {host_text(read.endpoint)}, {ago_text(age)}"
        if self._trouble is not None:
            text += f"  —  {self._trouble.title.lower()} now, these values may be out of date"
        self._source.setText(text)
        self._theme.tint(self._source, "warning" if old else "muted")
        self._source_mark.show_tone("warning" if old else "ok", "old" if old else "fresh")

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


def _titled(theme: Theme, title: str, table: Table) -> Card:
    card = Card(theme)
    head = row(label(theme, title, px=13, bold=True), 1, margins=(14, 9, 14, 2))
    box = QVBoxLayout(card)
    box.setContentsMargins(2, 2, 2, 6)
    box.setSpacing(2)
    box.addLayout(head)
    box.addWidget(table, 1)
    card.setMinimumHeight(120)
    return card
