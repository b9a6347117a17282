"""Who may log in: as what, with which limits, and since when not any more. For administrators."""

import time
from typing import Final, get_args

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QWidget

from app.core.access import OPERATOR_COLUMNS, OPERATOR_NUMBERS, ROLE_ABOUT, ROLE_WORDS, operator_lines
from app.core.administration import create_operator, read_operators, set_operator
from app.core.costs import AmountError, amount_of, typed
from app.core.viewdata import count_text, database_now_ms
from app.models.grid import GridModel
from app.qt.actions import Actions
from app.qt.session import Ask, Session
from app.qt.theme import Theme
from app.views.forms import Confirm, Form
from app.views.listing import ReadPage, chosen_ids
from backend.wire.access import CreateOperator, OperatorList, OperatorRole, OperatorView, SetOperator
from backend.wire.base import Ledger

WIDTHS: Final = {0: 130, 2: 120, 3: 118, 4: 150, 5: 150, 6: 136, 7: 136}
ROLES: Final = {role: ROLE_WORDS[role] for role in get_args(OperatorRole)}
LIMITS: Final = "Empty: the default of the settings; 0: no limit"
SHORTEST: Final = 10


class OperatorsPage(ReadPage[OperatorList]):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = GridModel(None, OPERATOR_COLUMNS, OPERATOR_NUMBERS)
        super().__init__(theme, session, "Operators", self.model)
        self.model.setParent(self)
        self.table.lay_out(WIDTHS, 1, left=150)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.new_button = self.button("New…", "Let somebody log in", self.make)
        self.edit_button = self.button("Edit…", "Change name, role, limits or password", self.edit)
        self.disable_button = self.button("Disable…", "End their log-ins and refuse new ones", self.switch)
        self.add_tools(self.new_button, self.edit_button, self.disable_button)
        self.table.activated.connect(lambda _: self.edit())
        self.refresh()

    def question(self) -> Ask[OperatorList]:
        return read_operators

    def show_value(self) -> str:
        assert self.value is not None  # shown once there is one
        now_ms = database_now_ms(self.session.store.state, time.monotonic(), int(time.time() * 1000))
        self.model.show_lines(operator_lines(self.value, now_ms))
        return count_text(len(self.value.operators), "operator", "operators")

    def nothing(self) -> tuple[str, str, str]:
        return (
            "operator",
            "Nobody may log in yet",
            "People who log in act under their own name, with limits of their own.",
        )

    def chosen(self) -> OperatorView | None:
        ids = chosen_ids(self, self.model.line_id)
        found = self.value.operators if self.value is not None else ()
        return next((view for view in found if ids and view.name == ids[0]), None)

    def offer(self) -> None:
        view = self.chosen()
        self.edit_button.setEnabled(view is not None)
        self.disable_button.setEnabled(view is not None)
        self.disable_button.setText("Enable…" if view is not None and view.disabled else "Disable…")
        self.new_button.setEnabled(self.value is not None)

    def make(self) -> None:
        if self.value is not None:
            self.open_dialog(OperatorDialog(self._theme, self.session, None, self.value.ledger, self.window()))

    def edit(self) -> None:
        view = self.chosen()
        if view is not None and self.value is not None:
            self.open_dialog(OperatorDialog(self._theme, self.session, view, self.value.ledger, self.window()))

    def switch(self) -> None:
        """Ask whether somebody is to be disabled, or enabled again."""
        view = self.chosen()
        if view is None:
            return
        off, name = not view.disabled, view.name
        text = (
            f"{name} will not be able to log in, and whatever {name} is logged in to ends now. What was done stays"
            " under that name."
            if off
            else f"{name} may log in again, as {ROLE_WORDS[view.role].lower()}, with the password as it was."
        )

        def deed(dialog: Confirm) -> None:
            def done(found: OperatorList) -> None:
                self.take(found)
                self.tell("ok", f"{name} is disabled." if off else f"{name} may log in again.")
                dialog.accept()

            change = SetOperator(disabled=off)
            dialog.send(lambda client: set_operator(client, name, change), done, "It may be asked for once more.")

        title = f"{'Disable' if off else 'Enable'} {name}"
        self.open_dialog(Confirm(self._theme, self.session, title, text, title, deed, self.window()))


class OperatorDialog(Form):
    """Somebody new, or a change; a password is set only where one is typed."""

    def __init__(
        self, theme: Theme, session: Session, view: OperatorView | None, ledger: Ledger, parent: QWidget | None
    ) -> None:
        title = f"Operator {view.name}" if view is not None else "New operator"
        super().__init__(theme, session, title, "Save" if view is not None else "Create operator", parent)
        self.setFixedWidth(640)
        self._view = view
        self._ledger = ledger
        if view is None:
            self.name = self.field("&Login")
        self.full_name = self.field("&Name", view.full_name if view is not None else "")
        self.role = self.choice("&Role", ROLES, view.role if view is not None else "helpdesk")
        self.about = self.hint()
        self.each = self.field("At &once, at most", self._limit(view.limit_each if view is not None else -1), LIMITS)
        self.daily = self.field("In a &day, at most", self._limit(view.limit_day if view is not None else -1), LIMITS)
        hint = "" if view is None else "Empty: stays as it is"
        self.password = self.field("&Password", hint=hint, secret=True)
        self.again = self.field("Password a&gain", hint=hint, secret=True)
        if view is not None:
            self.say("Another role or password ends whatever this person is logged in to.")
        self.role.currentIndexChanged.connect(self._show_limits)
        self._show_limits()
        (self.name if view is None else self.full_name).setFocus()

    def _limit(self, limit: int) -> str:
        return typed(limit, self._ledger) if limit >= 0 else ""

    def _show_limits(self) -> None:
        """Only the help desk has limits."""
        self.about.setText(f"This role {ROLE_ABOUT[self.role.currentData()]}.")
        for field in (self.each, self.daily):
            field.setEnabled(self.role.currentData() == "helpdesk")

    def _typed_limit(self, field: QLineEdit) -> int:
        text = field.text().strip()
        if not text:
            return -1
        amount = amount_of(text, self._ledger)
        if amount < 0:
            raise AmountError("a limit cannot be below zero")
        return amount

    def _trouble(self) -> str:
        if self._view is None and not self.name.text().strip():
            return "A login is missing."
        if self.password.text() != self.again.text():
            return "The two passwords differ."
        if (self._view is None or self.password.text()) and len(self.password.text()) < SHORTEST:
            return f"A password has at least {SHORTEST} characters."
        return ""

    def act(self) -> None:
        trouble = self._trouble()
        if trouble:
            self.tell("error", trouble)
            return
        try:
            each, daily = self._typed_limit(self.each), self._typed_limit(self.daily)
        except AmountError as error:
            self.tell("error", f"Limit: {error}.")
            return
        role: OperatorRole = self.role.currentData()
        if self._view is None:
            self._create(role, each, daily)
        else:
            self._change(self._view, role, each, daily)

    def _create(self, role: OperatorRole, each: int, daily: int) -> None:
        body = CreateOperator(
            name=self.name.text().strip(),
            full_name=self.full_name.text().strip(),
            role=role,
            password=self.password.text(),
            limit_each=each,
            limit_day=daily,
        )
        unknown = "Look whether the operator is there before you ask again."
        self.send(lambda client: create_operator(client, body), lambda _: self._saved("Created."), unknown)

    def _change(self, view: OperatorView, role: OperatorRole, each: int, daily: int) -> None:
        full_name = self.full_name.text().strip()
        change = SetOperator(
            full_name=full_name if full_name != view.full_name else None,
            role=role if role != view.role else None,
            password=self.password.text() or None,
            limit_each=each if each != view.limit_each else None,
            limit_day=daily if daily != view.limit_day else None,
        )
        if change == SetOperator():
            self.tell("plain", "Nothing was changed.")
            return
        unknown = "It may be saved once more."
        self.send(lambda client: set_operator(client, view.name, change), lambda _: self._saved("Changed."), unknown)

    def _saved(self, text: str) -> None:
        self.password.clear()
        self.again.clear()
        self.tell("ok", text)
        self.act_button.setEnabled(False)
        self.close_button.setDefault(True)
