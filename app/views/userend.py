"""A user gets another login, or is deleted: each dialog says first what becomes of balance, history and held jobs.

Neither is sent a second time by itself: a lost answer is told, and the list of users shows how it ended.
"""

from typing import Final

from PySide6.QtWidgets import QWidget

from app.core.administration import delete_user, read_held, rename_user
from app.core.queries import explain
from app.core.users import RENAMED, deletion_lines, old_name_text, removed_text
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.forms import Form
from app.views.operation import Lines
from backend.wire.base import Ledger
from backend.wire.people import UserDeleted, UserView

LOOK: Final = "Look whether the user is still there before you ask again."


class RenameDialog(Form):
    def __init__(self, theme: Theme, session: Session, user: UserView, parent: QWidget | None) -> None:
        super().__init__(theme, session, f"Rename {user.name}", "Rename", parent)
        self._user = user
        self.name = self.field("New &login", user.name)
        self.name.selectAll()
        self.name.setFocus()
        self.say(RENAMED)
        self.alias = self.check("Keep the old login as an &alias", not user.alias)
        self.alias.setEnabled(not user.alias)
        if user.alias:
            self.alias.setToolTip(f"The alias {user.alias} stands there already")
        self.old = self.hint()
        self.alias.toggled.connect(lambda _: self._show_old())
        self._show_old()

    def _show_old(self) -> None:
        self.old.setText(old_name_text(self._user, self.alias.isChecked()))
        self.refit.start()

    def act(self) -> None:
        new = self.name.text().strip()
        if not new or new == self._user.name:
            self.tell("error", "Type the new login first.")
            return
        alias = self.alias.isChecked()
        self.send(lambda client: rename_user(client, self._user.name, new, alias=alias), self._renamed, LOOK)

    def _renamed(self, refused: str) -> None:
        if refused:
            self.tell("warning", f"Renamed, but the old login is no alias: {refused}")
        else:
            self.tell("ok", "Renamed.")
        self.act_button.setEnabled(False)
        self.close_button.setDefault(True)


class DeleteDialog(Form):
    """The login is typed before anything is deleted: this cannot be undone."""

    def __init__(self, theme: Theme, session: Session, user: UserView, ledger: Ledger, parent: QWidget | None) -> None:
        super().__init__(theme, session, f"Delete {user.name}", f"Delete {user.name}", parent)
        self._user = user
        self._ledger = ledger
        self.becomes = Lines(theme, "What becomes of it", 12.5)
        self.body.addWidget(self.becomes)
        self.redact = self.check("Take &name and documents out of what stays")
        self.typed = self.field(f"Type “{user.name}”", hint="The login, to make sure")
        self.typed.textChanged.connect(lambda _: self._offer())
        self.act_button.setProperty("danger", True)
        self.act_button.setDefault(False)
        self.close_button.setText("Leave it as it is")
        self.close_button.setDefault(True)
        self.typed.setFocus()
        self._done = False
        self._show(None)
        self._offer()
        session.ask(lambda client: read_held(client, user.name), self._show, self._unread, self)

    def _show(self, held: int | None) -> None:
        self.becomes.show_marked(deletion_lines(self._user, self._ledger, held))
        self.refit.start()

    def _unread(self, error: Exception) -> None:
        self.tell("warning", f"Whether jobs are held cannot be read now: {explain(error).text}")

    def _offer(self) -> None:
        self.act_button.setEnabled(not self._done and self.typed.text().strip() == self._user.name)

    def act(self) -> None:
        redact = self.redact.isChecked()
        self.send(lambda client: delete_user(client, self._user.name, redact=redact), self._deleted, LOOK)

    def _deleted(self, left: UserDeleted) -> None:
        self._done = True
        self.tell("ok", f"Deleted. {removed_text(left, self._ledger)}")
        self.close_button.setText("Close")
        self._offer()
        for widget in (self.redact, self.typed):
            widget.setEnabled(False)
