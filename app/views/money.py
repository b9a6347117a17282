"""The dialogs that move money: adjust, set a balance, give back what a job was charged, undo; and tick a job off.

Each shows what it would come to while it is typed, and takes its command's id when it opens: however often its button
is pressed, with the mouse and with Enter, it is one command. What is known to be refused cannot be asked for; the
server decides all the same.
"""

import time
from typing import Final

import msgspec
from PySide6.QtCore import QStringListModel, Qt
from PySide6.QtWidgets import QCompleter, QPushButton, QVBoxLayout, QWidget

from app.core import commands
from app.core.commands import Maker
from app.core.desk import DONE, job_facts, needs_a_look
from app.core.freshness import ago_text
from app.core.money import (
    AmountError,
    Preview,
    preview_adjust,
    preview_refund,
    preview_reverse,
    preview_set,
    read_amount,
    refund_lines,
)
from app.core.outbox import OPEN, Entry, Item
from app.core.reducer import Changes
from app.core.viewdata import Tone, money, person_title, transfer_word
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.forms import Form
from app.views.operation import Lines
from app.views.parts import Card, label, row, slim_button_sheet
from backend.wire.access import Caller
from backend.wire.base import Ledger
from backend.wire.jobs import JobView
from backend.wire.money import TransferView
from backend.wire.people import UserView

MAX_REASON: Final = 500
PRESETS: Final = 3
PRESET_LETTERS: Final = 26


class MoneyForm(Form):
    """`reason_needed` says whether it may be asked for without saying why."""

    reason_needed = True

    def __init__(self, theme: Theme, session: Session, title: str, act: str, parent: QWidget | None) -> None:
        super().__init__(theme, session, title, act, parent)
        self._act = act
        self._command_id = session.desk.new_id()
        self.lines = Lines(theme, "What it would come to")
        self.close_button.setText("Cancel")

    def finish(self, subject: str) -> None:
        """Reason and preview below what was built, and whom it is about above."""
        about = label(self.theme, subject, "muted", 12.5)
        about.setWordWrap(True)
        self.body.insertWidget(0, about)
        self.reason = self.field("&Reason", hint="Why; it is kept in the books")
        self.reason.setMaxLength(MAX_REASON)
        reasons = self.session.desk.reasons
        completer = QCompleter(QStringListModel(list(reasons), self), self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        popup = completer.popup()
        if popup is not None:
            popup.setAccessibleName("Reasons given lately")
        self.reason.setCompleter(completer)
        if reasons:
            self.line("", self._presets(reasons[:PRESETS]))
        card = Card(self.theme)
        inner = QVBoxLayout(card)
        inner.setContentsMargins(16, 12, 16, 12)
        inner.addWidget(self.lines)
        self._card = card
        self.body.addWidget(card)
        self.reason.textChanged.connect(self.refresh)
        self.session.store.changed.connect(self._store_changed)
        self.session.desk.changed.connect(self.refresh)
        self.session.desk.refresh_caller()
        self.refresh()

    def _presets(self, reasons: tuple[str, ...]) -> QWidget:
        """What was given as a reason lately, one click each."""
        holder = QWidget()
        box = row(spacing=6)
        for reason in reasons:
            short = reason if len(reason) <= PRESET_LETTERS else f"{reason[: PRESET_LETTERS - 1]}…"
            button = QPushButton(short.replace("&", "&&"))
            button.setAutoDefault(False)
            button.setFixedHeight(26)
            button.setToolTip(reason)
            button.setAccessibleName(f"Reason: {reason}")
            button.clicked.connect(lambda _=False, reason=reason: self.reason.setText(reason))
            self._slim(button)
            box.addWidget(button)
        box.addStretch(1)
        holder.setLayout(box)
        return holder

    def _slim(self, button: QPushButton) -> None:
        self.theme.on_change(button, lambda: button.setStyleSheet(slim_button_sheet(self.theme.colors)))

    # ---------------------------------------------------------------- what each of them says

    def preview(self) -> Preview:
        raise NotImplementedError

    def entry(self, by: Maker) -> Entry:
        """The command; asked for only where the preview is possible."""
        raise NotImplementedError

    @property
    def ledger(self) -> Ledger:
        return self.session.store.state.ledger or Ledger(currency="", decimals=0)

    @property
    def caller(self) -> Caller | None:
        rights = self.session.store.state.rights
        return rights.caller if rights is not None else None

    # ---------------------------------------------------------------- showing

    def refresh(self) -> None:
        found = self.preview()
        stop = self.session.desk.why_not()
        why = found.problem or stop
        if not why and self.reason_needed and not self.reason.text().strip():
            why = "say why: a reason is needed"
        again = self._again() if found.possible else None
        warned: tuple[tuple[Tone, str], ...] = (("warning", _again_text(again)),) if again is not None else ()
        self.lines.show_marked((*found.lines, *warned))
        self._card.setVisible(bool(found.lines or warned))
        self.act_button.setText("Do it again" if again is not None else self._act)
        self.act_button.setEnabled(not why)
        serious = bool(stop) or (bool(found.problem) and found.amount != 0)
        self.tell("error" if serious else "off", f"{why[:1].upper()}{why[1:]}." if why else "")
        self.adjustSize()

    def _again(self) -> Item | None:
        by = self.session.desk.maker(self._command_id)
        return self.session.desk.same_as(self.entry(by)) if by is not None else None

    def _store_changed(self, changes: Changes) -> None:
        if changes.rights or changes.connection:
            self.refresh()

    def act(self) -> None:
        by = self.session.desk.maker(self._command_id)
        if by is None or not self.act_button.isEnabled():
            return
        refused = self.session.desk.put([self.entry(by)])
        if refused:
            self.tell("error", f"{refused[:1].upper()}{refused[1:]}.")
        else:
            self.accept()


def _again_text(item: Item) -> str:
    if item.phase in OPEN:
        return "The same was asked for already, and no server has answered yet"
    ago = ago_text(max(0.0, time.time() - item.entry.made_at_ms / 1000))
    return f"The same was done {ago}: {DONE[item.entry.verb].lower()}"


class AdjustDialog(MoneyForm):
    """Add, take away, or (administrators) set to."""

    def __init__(self, theme: Theme, session: Session, user: UserView, parent: QWidget | None) -> None:
        super().__init__(theme, session, "Adjust a balance", "Adjust", parent)
        self._user = user
        choices = {"add": "Add", "take": "Take away"}
        if self.caller is not None and self.caller.role == "admin":
            choices["set"] = "Set to"
        self.what = self.choice("&What", choices, "add")
        self.amount = self.field(
            "&Amount", hint=f"such as 2.50; −2.50 takes away; in {self.ledger.currency or 'units'}"
        )
        self.amount.setMaxLength(40)
        self.finish(f"{person_title(user)} ({user.name})")
        self.amount.textChanged.connect(self.refresh)
        self.what.currentIndexChanged.connect(self.refresh)
        self.amount.setFocus()

    def show_user(self, user: UserView) -> None:
        """The person was read again."""
        if user != self._user:
            self._user = user
            self.refresh()

    def _typed(self) -> int:
        amount = read_amount(self.amount.text(), self.ledger)
        if self.what.currentData() != "take":
            return amount
        if amount < 0:
            raise AmountError("type it without a sign: it is taken away")
        return -amount

    def preview(self) -> Preview:
        try:
            typed = self._typed()
        except AmountError as error:
            return Preview(problem=str(error))
        if self.what.currentData() == "set":
            return preview_set(self._user, typed, self.caller, self.ledger)
        return preview_adjust(self._user, typed, self.caller, self.ledger)

    def entry(self, by: Maker) -> Entry:
        make = commands.set_balance if self.what.currentData() == "set" else commands.adjust
        return make(by, self._user.name, self._typed(), self.reason.text().strip())


class RefundDialog(MoneyForm):
    """Give back all that is left of a job's charge, an amount, or the part for some pages."""

    def __init__(
        self, theme: Theme, session: Session, job: JobView, user: UserView | None, parent: QWidget | None
    ) -> None:
        super().__init__(theme, session, "Refund a job", "Refund", parent)
        self._job = job
        self._user = user
        left = money(job.charged - job.refunded, self.ledger)
        choices = {"all": f"All that is left, {left}", "amount": "An amount", "pages": "Some pages"}
        self.what = self.choice("&How much", choices, "all")
        self.value = self.field("&Amount or pages")
        self.value.setMaxLength(40)
        self.finish(f"“{job.title or '(no name)'}” of {job.user_name}, on {job.queue}")
        self.value.textChanged.connect(self.refresh)
        self.what.currentIndexChanged.connect(self._chosen)
        self._chosen()
        self.reason.setFocus()

    def _chosen(self) -> None:
        hints = {"all": "", "amount": f"such as 0.20, in {self.ledger.currency or 'units'}", "pages": "such as 3"}
        kind = str(self.what.currentData())
        self.value.setEnabled(kind != "all")
        self.value.setPlaceholderText(hints[kind])
        if kind != "all":
            self.value.setFocus()
        self.refresh()

    @property
    def job_id(self) -> str:
        return self._job.job_id

    def show_job(self, job: JobView, user: UserView | None) -> None:
        """They were read again."""
        if (job, user) != (self._job, self._user):
            self._job, self._user = job, user
            self.refresh()

    def _typed(self) -> tuple[int | None, int | None]:
        """Amount and pages."""
        text = self.value.text()
        match self.what.currentData():
            case "amount":
                return read_amount(text, self.ledger), None
            case "pages":
                if not text.strip().isdecimal():
                    raise AmountError("type how many pages")
                return None, int(text)
            case _:
                return None, None

    def preview(self) -> Preview:
        try:
            amount, pages = self._typed()
        except AmountError as error:
            return Preview(problem=str(error), lines=refund_lines(self._job, self.ledger))
        return preview_refund(self._job, self._user, self.caller, self.ledger, amount, pages)

    def entry(self, by: Maker) -> Entry:
        amount, pages = self._typed()
        made = commands.refund(by, self._job, self.reason.text().strip(), amount, pages)
        return msgspec.structs.replace(
            made, amount=self.preview().amount
        )  # to be told; the body asks for what was typed


class ReverseDialog(MoneyForm):
    """Undo an adjustment, a set balance or a refund."""

    def __init__(
        self, theme: Theme, session: Session, user: UserView, transfer: TransferView, parent: QWidget | None
    ) -> None:
        super().__init__(theme, session, "Undo a transfer", "Undo it", parent)
        self._user = user
        self._transfer = transfer
        what = transfer_word(transfer).lower()
        text = f"{what} of {money(transfer.amount, self.ledger)} for {person_title(user)} ({user.name})"
        why = f": {transfer.comment}" if transfer.comment else ""
        self.finish(f"The {text}{why}. Both stay in the books; a transfer the other way is added.")
        self.reason.setFocus()

    def show_user(self, user: UserView) -> None:
        if user != self._user:
            self._user = user
            self.refresh()

    def preview(self) -> Preview:
        return preview_reverse(self._user, self._transfer, self.caller, self.ledger)

    def entry(self, by: Maker) -> Entry:
        return commands.reverse(by, self._user.name, self._transfer, self.reason.text().strip())


class TickDialog(MoneyForm):
    """Somebody has looked at a job whose charge was in doubt."""

    reason_needed = False

    def __init__(self, theme: Theme, session: Session, job: JobView, parent: QWidget | None) -> None:
        super().__init__(theme, session, "Tick a job off", "Looked at", parent)
        self._job = job
        self.finish("It leaves the list of jobs to look at. What it is charged stays as it is.")
        self.reason.setPlaceholderText("Optional: what you found")
        self.reason.setFocus()

    def preview(self) -> Preview:
        facts: tuple[tuple[Tone, str], ...] = (("plain", job_facts(self._job, self.ledger)),)
        return Preview(problem="" if needs_a_look(self._job) else "nobody needs to look at it", lines=facts)

    def entry(self, by: Maker) -> Entry:
        return commands.act_on_job(by, "tick-off", self._job, self.reason.text().strip())
