"""A user's details and limits in a form; and the import of many users from a file: first what it would do, then doing
it, with what was refused to be saved.
"""

from pathlib import Path
from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog, QPushButton, QWidget

from app.core.administration import configure_account, create_user, set_user
from app.core.costs import AmountError, amount_of, typed
from app.core.queries import explain
from app.core.users import (
    DETAILS,
    Import,
    ImportOrder,
    day,
    progress_text,
    run_import,
    summary,
    touched,
    troubles_csv,
    until_ms,
)
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.forms import Form
from app.views.parts import dress, label, row
from backend.client.client import ApiClient
from backend.wire.base import Ledger
from backend.wire.people import UserDetails, UserView
from backend.wire.userfile import FileRefused

TOLD: Final = 8
WATCH_MS: Final = 100
OVERDRAFT: Final = {"default": "the default of the settings", "individual": "an amount of this user’s own"}


class UserDialog(Form):
    """Of one user; `user` None makes a new one."""

    def __init__(
        self, theme: Theme, session: Session, user: UserView | None, ledger: Ledger, parent: QWidget | None
    ) -> None:
        title = f"User {user.name}" if user is not None else "New user"
        super().__init__(theme, session, title, "Save" if user is not None else "Create user", parent)
        self._user = user
        self._shown = user if user is not None else UserView(name="", restricted=True, overdraft_mode="default")
        self._ledger = ledger
        if user is None:
            self.name = self.field("&Login", hint="As print servers name this person")
        self.details = {name: self.field(text, str(getattr(self._shown, name))) for name, text in DETAILS.items()}
        self.disabled = self.check("Printing is s&witched off", self._shown.disabled)
        until = day(self._shown.disabled_until) if self._shown.disabled_until else ""
        self.until = self.field("… &until", until, "A day, 2026-09-01; empty: no end")
        if user is not None:
            self._limits(user)
        self.body.setSpacing(7)
        first = self.name if user is None else self.details["full_name"]
        first.setFocus()

    def _limits(self, user: UserView) -> None:
        self.restricted = self.check("May not print more than the credit &covers", user.restricted)
        self.mode = self.choice("O&verdraft", OVERDRAFT, user.overdraft_mode)
        own = typed(user.overdraft, self._ledger)
        self.overdraft = self.field(f"Amount ({self._ledger.currency or 'units'})", own)
        self.mode.currentIndexChanged.connect(self._show_mode)
        self._show_mode()

    def _show_mode(self) -> None:
        self.overdraft.setEnabled(self.mode.currentData() == "individual")

    def changes(self) -> UserDetails:
        """What was touched. Raises ValueError for what is no day."""
        found = touched(self._shown, {name: field.text() for name, field in self.details.items()})
        until = until_ms(self.until.text())
        off = self.disabled.isChecked()
        values = {name: getattr(found, name) for name in DETAILS}
        return UserDetails(
            **values,
            disabled=off if off != self._shown.disabled else None,
            disabled_until=until if until != self._shown.disabled_until else None,
        )

    def act(self) -> None:
        try:
            details = self.changes()
        except ValueError:
            self.tell("error", f"“{self.until.text().strip()}” is not a day: write it as 2026-09-01.")
            return
        if self._user is None:
            self._create(details)
        else:
            self._change(self._user, details)

    def _create(self, details: UserDetails) -> None:
        name = self.name.text().strip()
        if not name:
            self.tell("error", "A login is missing.")
            return
        self.send(
            lambda client: create_user(client, name, details),
            lambda _: self._saved("Created."),
            "Look whether the user is there before you ask again.",
        )

    def _change(self, user: UserView, details: UserDetails) -> None:
        try:
            overdraft = amount_of(self.overdraft.text(), self._ledger)
        except AmountError as error:
            self.tell("error", f"Overdraft: {error}.")
            return
        individual = self.mode.currentData() == "individual"
        same_mode = individual == (user.overdraft_mode == "individual")
        same_amount = not individual or overdraft == user.overdraft
        restricted = self.restricted.isChecked()
        limits = restricted != user.restricted or not (same_mode and same_amount)
        if details == UserDetails() and not limits:
            self.tell("plain", "Nothing was changed.")
            return

        async def deed(client: ApiClient) -> str:
            if details != UserDetails():
                await set_user(client, user.name, details)
            if not limits:
                return ""
            answer = await configure_account(
                client,
                user.name,
                restricted=restricted if restricted != user.restricted else None,
                overdraft=overdraft,
                individual=None if same_mode and same_amount else individual,
            )
            return answer.message if answer.code else ""

        self.send(deed, self._limits_told, "It may be saved once more.")

    def _limits_told(self, refusal: str) -> None:
        if refusal:
            self.tell("error", f"The limits were not changed: {refusal}.")
        else:
            self._saved("Changed.")

    def _saved(self, text: str) -> None:
        self.tell("ok", text)
        self.act_button.setEnabled(False)
        self.close_button.setDefault(True)


class ImportDialog(Form):
    """First a dry run; what it told may then be done."""

    def __init__(self, theme: Theme, session: Session, ledger: Ledger, parent: QWidget | None) -> None:
        super().__init__(theme, session, "Import users", "Check the file", parent)
        self.setFixedWidth(640)
        self._ledger = ledger
        self._under_way: Import | None = None
        self._dry_run = True
        self.outcome: Import | None = None
        self.say(
            "A table (CSV) whose first line names the columns: name, full_name, email, department, office, card_number,"
            " card_number2, alias, notes, disabled, restricted, balance, overdraft. An empty cell leaves a value as it"
            " is; balance, restricted and overdraft are for new users only."
        )
        self.browse_button = QPushButton("&Choose…")
        self.stop_button = QPushButton("Stop")
        self.save_button = QPushButton("Save what was refused…")
        for button in (self.browse_button, self.stop_button, self.save_button):
            button.setAutoDefault(False)
            dress(theme, button)
        self.path = self.field("&File", beside=self.browse_button)
        self.update_box = self.check("Change users that are there &already", True)
        self.papercut = self.check("A file of &PaperCut’s batch import: no line of names, tabs")
        self.refused = label(theme, role="warning", px=12)
        self.refused.setWordWrap(True)
        self.body.addWidget(self.refused)
        self.body.addLayout(row(self.save_button, 1))
        self.buttons.insertWidget(0, self.stop_button)
        self.browse_button.clicked.connect(self._browse)
        self.stop_button.clicked.connect(self._stop)
        self.save_button.clicked.connect(self._ask_where)
        self.path.textChanged.connect(self._begin_anew)
        for box in (self.update_box, self.papercut):
            box.toggled.connect(self._begin_anew)
        self._watch = QTimer(self, interval=WATCH_MS)
        self._watch.timeout.connect(self._show_progress)
        self._begin_anew()

    def _browse(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Users to import", "", "Tables (*.csv *.tsv *.txt);;All files (*)")
        if name:
            self.path.setText(name)

    def _begin_anew(self) -> None:
        """Another file, or to be taken otherwise: it is to be checked first."""
        self._dry_run, self.outcome = True, None
        self._show()
        self.tell("plain", "")

    def act(self) -> None:
        name = self.path.text().strip()
        if not name or self._under_way is not None:
            return
        told = self._under_way = Import()
        dry_run, decimals = self._dry_run, self._ledger.decimals
        order = ImportOrder(Path(name), self.update_box.isChecked(), dry_run, self.papercut.isChecked())

        def done(found: Import) -> None:
            self._over()
            self.outcome = found
            self._dry_run = not (dry_run and found.created + found.updated)
            self.tell(*summary(found, dry_run))
            self._show()

        def failed(error: Exception) -> None:
            self._over()
            before = f"{told.done:,} of {told.total:,} rows were done; " if told.done and not dry_run else ""
            self.tell("error", f"{before}{_why(error, name)} Again is safe: what is done is found unchanged.")
            self._show()

        self.session.ask(lambda client: run_import(client, order, decimals, told), done, failed, self)
        self._watch.start()
        self._show_progress()
        self._show()

    def _over(self) -> None:
        self._under_way = None
        self._watch.stop()

    def _stop(self) -> None:
        if self._under_way is not None:
            self._under_way.stopped = True

    def reject(self) -> None:
        """Closing the window stops the import after the rows that are under way."""
        self._stop()
        super().reject()

    def _show_progress(self) -> None:
        if self._under_way is not None:
            self.tell("waiting", progress_text(self._under_way, self._dry_run))

    def _show(self) -> None:
        busy = self._under_way is not None
        self.act_button.setText("Check the file" if self._dry_run else "Import them")
        self.act_button.setEnabled(not busy and bool(self.path.text().strip()))
        self.stop_button.setVisible(busy)
        for widget in (self.path, self.browse_button, self.update_box, self.papercut):
            widget.setEnabled(not busy)
        troubles = self.outcome.troubles if self.outcome is not None else []
        shown = [f"Line {trouble.row}, {trouble.name or 'no name'}: {trouble.text}" for trouble in troubles[:TOLD]]
        more = [f"… and {len(troubles) - TOLD:,} more"] if len(troubles) > TOLD else []
        self.refused.setText("\n".join(shown + more))
        self.refused.setVisible(bool(troubles))
        self.save_button.setVisible(bool(troubles))
        self.refit.start()

    def _ask_where(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save what was refused", "refused-users.csv", "Table (*.csv)")
        if name:
            self.save_troubles(Path(name))

    def save_troubles(self, path: Path) -> None:
        """Write the refused rows with their reasons."""
        try:
            path.write_text(troubles_csv(self.outcome.troubles if self.outcome else ()), encoding="utf-8", newline="")
        except OSError as error:
            self.tell("error", f"{path} cannot be written: {error.strerror or error}.")
            return
        self.tell("ok", f"Saved to {path}.")


def _why(error: Exception, name: str) -> str:
    if isinstance(error, FileRefused):
        return f"{error}.".capitalize()
    if isinstance(error, OSError):
        return f"{name} cannot be read: {error.strerror or error}."
    told = explain(error)
    return f"{told.title}: {told.text.rstrip('.')}."
