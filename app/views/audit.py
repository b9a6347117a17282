"""The audit log: who changed what, who looked at whom, and what was refused; searched by the server. For administrators
and auditors. It is only ever added to, and nobody changes it here.
"""

import time
from datetime import datetime
from typing import Final

from PySide6.QtGui import QGuiApplication

from app.core.administration import AUDIT_ROWS, AuditQuestion, read_audit
from app.core.printlog import PERIODS, since_of
from app.core.queries import Trouble, explain
from app.core.reducer import Changes
from app.core.viewdata import count_text, database_now_ms, short_reason
from app.models.audit import AuditModel
from app.qt.actions import Actions
from app.qt.bridge import Handle
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.listing import REREAD_S, ListPage
from app.views.onward import Onward
from backend.wire.access import AuditList

WIDTHS: Final = {0: 128, 1: 130, 2: 108, 3: 150, 4: 180}


class AuditPage(ListPage):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = AuditModel(None, self._fetch)
        super().__init__(theme, session, "Audit log", self.model)
        self.model.setParent(self)
        self._actions = actions
        self._question = AuditQuestion()
        self._below = 0  # the entry below which the list begins, 0: with the newest
        self._read_at: float | None = None
        self._trouble: Trouble | None = None
        self._handle: Handle | None = None
        self._asked_at = -REREAD_S
        self.table.lay_out(WIDTHS, 5, left=240)
        self.choose_many()
        self.field = self.search_field("Search the audit log", "Whom, what, details", 230, self._filter)
        self.who = self.search_field("Who did it", "Who: helpdesk:anna", 190, self._filter)
        periods = {key: text for key, text in PERIODS.items() if key != "between"}
        self.period = self.choice_box("When", periods, 126, self._filter)
        self.add_tools(self.field, self.who, self.period)
        self.onward = Onward(theme, lambda: self._begin(self._question, self.model.oldest), self._newest)
        self.add_end(self.onward)
        actions["copy_audit"].triggered.connect(self.copy)
        self.refresh()

    def _now_ms(self) -> int:
        return database_now_ms(self.session.store.state, time.monotonic(), int(time.time() * 1000))

    def _filter(self) -> None:
        since = since_of(self.period.currentData(), datetime.now().astimezone())
        question = AuditQuestion(self.field.text().strip(), self.who.text().strip(), since)
        if question != self._question:
            self._begin(question)

    def _newest(self) -> None:
        self._begin(self._question)

    def _begin(self, question: AuditQuestion, below: int = 0) -> None:
        """The list begins anew, below an entry."""
        self._forget(question, below)
        self.reread()

    def _forget(self, question: AuditQuestion, below: int = 0) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._question, self._below, self._handle = question, below, None
        self._read_at = self._trouble = None
        self._asked_at = -REREAD_S
        self.model.show_newest((), 0, fresh=True)
        self.table.scrollToTop()
        self.refresh()

    def clear(self) -> None:
        self.field.clear()
        self.who.clear()
        self.period.setCurrentIndex(0)
        self._filter()

    def reread(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._asked_at = time.monotonic()
        question, below = self._question, self._below

        def done(found: AuditList) -> None:
            self._handle = None
            if (question, below) == (self._question, self._below):
                gap = len(found.entries) == AUDIT_ROWS and not any(
                    self.model.holds(entry.audit_id) for entry in found.entries
                )
                self._read_at, self._trouble = time.monotonic(), None
                self._tell_ledger()
                self.model.show_newest(found.entries, self._now_ms(), fresh=gap)
                self.refresh()

        def failed(error: Exception) -> None:
            self._handle = None
            if question == self._question:
                self._trouble = explain(error)
                self.refresh()

        self._handle = self.session.ask(lambda client: read_audit(client, question, below), done, failed, self)

    def _tell_ledger(self) -> None:
        ledger = self.session.store.state.ledger
        if ledger is not None:
            self.model.ledger = ledger

    def _fetch(self, before: str) -> None:
        question = self._question

        def done(found: AuditList) -> None:
            if question == self._question:
                self.model.add_page(before, found.entries, self._now_ms())
                self.refresh()

        def failed(_: Exception) -> None:
            self.model.page_failed()

        self.session.ask(lambda client: read_audit(client, question, int(before)), done, failed, self)

    def tick(self) -> None:
        again = self._trouble is None or self._trouble.again
        if again and self._handle is None and time.monotonic() - self._asked_at >= REREAD_S:
            self.reread()
        self.refresh()

    def store_changed(self, changes: Changes) -> None:
        if changes.connection and self.session.store.state.connection.phase == "idle":
            self._forget(AuditQuestion())

    def refresh(self) -> None:
        shown, read_at, told = self.model.rowCount(), self._read_at, self._trouble
        newest = "" if self._below else "newest "
        text = f"{newest}{count_text(shown, 'entry', 'entries')}" if shown else ""
        self.show_read(text, read_at, told)
        if shown:
            self.show_table()
        elif told is not None:
            icon, act = ("lock", "") if told.denied else ("unplug", "Try now")
            self.show_state(icon, told.title, f"{short_reason(told.text).rstrip('.')}.", act, self.reread)
        elif read_at is None:
            self.show_state("audit", "Reading …", "Waiting for the answer of a server.")
        elif self._below:
            self.show_state("audit", "Nothing older", "The audit log ends here.", "Back to the newest", self._newest)
        elif self._question != AuditQuestion():
            self.show_state("search", "Nothing found", "No entry fits the filters.", "Show all", self.clear)
        else:
            self.show_state(
                "audit", "Nothing yet", "Whoever changes something or looks at a person is written down here."
            )
        held = count_text(shown, "entry", "entries")
        end = f"The list holds {held} at most; there may be older ones. Filters narrow it down."
        text = end if self.model.full else "These are not the newest entries."
        self.onward.show_end(text, full=self.model.full, below=bool(self._below))
        self.offer()

    def offer(self) -> None:
        chosen = self.isVisible() and bool(self.table.chosen_rows())
        self._actions.offer("copy_audit", "" if chosen else "choose entries of the audit log first")

    def copy(self) -> None:
        """The chosen entries, a line each, cells apart by tabs."""
        rows = self.table.chosen_rows()
        columns = range(self.model.columnCount())
        lines = ["\t".join(str(self.model.index(place, column).data()) for column in columns) for place in rows]
        if lines:
            QGuiApplication.clipboard().setText("\n".join(lines))
