"""Who is logged in: the name, role and limits in the window, logging out, another password; and the question for the
password again when a log-in has ended, over everything that stands there.
"""

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QDialog, QLineEdit, QMenu, QToolButton, QWidget

from app.core.desk import foreign_text, open_text
from app.core.login import about, ends_soon, ends_text, who_text
from app.core.profiles import Profile
from app.core.queries import change_password, log_out
from app.core.reducer import Changes
from app.core.viewdata import count_text, database_now_ms
from app.qt import icons
from app.qt.actions import Actions
from app.qt.login import LogInAttempt
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.forms import Confirm, Form
from app.views.parts import font
from backend.wire.access import Caller, LogInAnswer

WIDEST = 190


class WhoButton(QToolButton):
    """ "Maria Berg · help desk"; its menu logs out and changes the password."""

    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        super().__init__()
        self._theme = theme
        self._session = session
        menu = QMenu(self)
        menu.setAccessibleName("Who is logged in")
        for name in ("change_password", "log_out"):
            menu.addAction(actions[name])
        self.setMenu(menu)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFont(font(self.font(), 12.5))
        self.setFixedHeight(30)
        self._soon = False
        session.store.changed.connect(self._changed)
        session.store.ticked.connect(self._show)
        theme.on_change(self, self._restyle)
        self._show()

    def _changed(self, changes: Changes) -> None:
        if changes.rights or changes.connection:
            self._show()

    def _show(self) -> None:
        state = self._session.store.state
        caller = state.rights.caller if state.rights is not None else None
        self.setVisible(caller is not None)
        if caller is None:
            return
        now_ms = database_now_ms(state, time.monotonic(), int(time.time() * 1000))
        soon = ends_soon(caller, now_ms)
        text = who_text(caller) + (f" · {ends_text(caller, now_ms)}" if soon else "")
        who, _, rest = text.partition(" · ")
        self.setText(f"{self.fontMetrics().elidedText(who, Qt.TextElideMode.ElideRight, WIDEST)} · {rest}")
        foreign = foreign_text(self._session.desk.foreign)
        self.setToolTip("\n".join(line for line in (about(caller, state.ledger, now_ms), foreign) if line))
        self.setAccessibleName(text)
        self.setAccessibleDescription(self.toolTip())
        if soon != self._soon:
            self._soon = soon
            self._restyle()

    def _restyle(self) -> None:
        colors = self._theme.colors
        self.setIcon(icons.icon("person", colors))
        self.setStyleSheet(
            f"QToolButton {{ background: {colors.card}; color: {colors.warning if self._soon else colors.text};"
            f" border: 1px solid {colors.line}; border-radius: 15px; padding: 0 12px 0 8px; }}"
            f" QToolButton:hover {{ background: {colors.hover}; }}"
            f" QToolButton:focus {{ border-color: {colors.accent}; }}"
            " QToolButton::menu-indicator { image: none; width: 0; }"
        )


class LogInAgain(Form):
    """The log-in has ended: the password once more, and everything goes on."""

    def __init__(self, theme: Theme, session: Session, profile: Profile, parent: QWidget | None) -> None:
        super().__init__(theme, session, "Log in again", "Log in", parent)
        self._profile = profile
        self.setWindowModality(Qt.WindowModality.ApplicationModal)
        waiting = open_text(session.desk.items)
        rest = f" {waiting[:1].upper()}{waiting[1:]}; they go on then." if waiting else ""
        self.say(f"The log-in of {profile.login} has ended. What stands in the window stays.{rest}", "text", 13)
        self.password = self.field("&Password", secret=True)
        self.attempt = LogInAttempt(session, self)
        self.attempt.changed.connect(self._show)
        self.attempt.done.connect(self._done)
        self.close_button.setText("Not now")
        self.password.setFocus()

    def act(self) -> None:
        if self.password.text() and self.attempt.ready:
            self.attempt.ask(self._profile.servers, self._profile.login, self.password.text())

    def _show(self) -> None:
        self.act_button.setEnabled(self.attempt.ready)
        text = "Asking …" if self.attempt.asking else self.attempt.text
        self.tell("waiting" if self.attempt.asking else "error", text)

    def _done(self, answer: LogInAnswer) -> None:
        self.session.renew(answer.token)
        self.token = answer.token
        self.accept()


class PasswordDialog(Form):
    """Another password for oneself."""

    def __init__(self, theme: Theme, session: Session, parent: QWidget | None) -> None:
        super().__init__(theme, session, "Change the password", "Change it", parent)
        self.say("All your other log-ins end; this one goes on.")
        self.old = self.field("&Password now", secret=True)
        self.new = self.field("&New password", secret=True)
        self.again = self.field("New password a&gain", secret=True)
        self.old.setFocus()

    def act(self) -> None:
        old, new = self.old.text(), self.new.text()
        if not old or not new:
            self.tell("error", "Type the password of now and the new one.")
        elif new != self.again.text():
            self.tell("error", "The new password is not the same in both fields.")
        elif new == old:
            self.tell("error", "The new password is the one of now.")
        else:
            unknown = "Log out and in again: one of the two is the password."
            self.send(lambda client: change_password(client, old, new), self._done, unknown)

    def _done(self, _: Caller) -> None:
        for field in (self.old, self.new, self.again):
            field.clear()
        self.tell("ok", "Changed.")
        self.act_button.setEnabled(False)


class Account(QObject):
    """Wires the commands about who is logged in. `forget` removes a stored token, `keep` stores one in its place where
    one is stored, `left` is called once somebody is logged out."""

    def __init__(
        self,
        theme: Theme,
        actions: Actions,
        session: Session,
        window: QWidget,
        *,
        forget: Callable[[str], None],
        keep: Callable[[str], None],
        left: Callable[[str], None],
    ) -> None:
        super().__init__(window)
        self._theme = theme
        self._actions = actions
        self._session = session
        self._window = window
        self._forget = forget
        self._keep = keep
        self._left = left
        self._declined = ""  # the token for which nobody wanted to log in again just now
        self.dialog: QDialog | None = None
        self.button = WhoButton(theme, actions, session)
        actions["log_out"].triggered.connect(self.ask_log_out)
        actions["change_password"].triggered.connect(self.change_password)
        actions["reload"].triggered.connect(lambda: self._decline(""))
        session.store.changed.connect(self._changed)
        self._offer()

    def _changed(self, changes: Changes) -> None:
        if changes.rights or changes.connection:
            self._offer()
        connection, profile = self._session.store.state.connection, self._session.profile
        ended = connection.phase == "failed" and connection.code == "unauthenticated"
        if ended and profile is not None and profile.login and profile.token != self._declined:
            self.log_in_again()

    def _offer(self) -> None:
        rights = self._session.store.state.rights
        person = rights is not None and rights.caller is not None and rights.caller.person
        nobody = "nobody is logged in by name and password"
        self._actions.offer("log_out", "" if self._session.profile is not None else "no cluster is set")
        self._actions.offer("change_password", "" if person else nobody)

    # ---------------------------------------------------------------- in again

    def log_in_again(self) -> None:
        profile = self._session.profile
        if profile is None or isinstance(self.dialog, LogInAgain):
            return
        dialog = LogInAgain(self._theme, self._session, profile, self._window)
        dialog.accepted.connect(lambda: self._keep(dialog.token))
        dialog.rejected.connect(lambda: self._decline(profile.token))
        self._open(dialog)

    def _decline(self, token: str) -> None:
        self._declined = token

    # ---------------------------------------------------------------- out, and passwords

    def change_password(self) -> None:
        if self.dialog is None:
            self._open(PasswordDialog(self._theme, self._session, self._window))

    def ask_log_out(self) -> None:
        """At once where nothing is open; else it is told first what stays behind."""
        waiting = sum(item.ending is None for item in self._session.desk.items)
        if not waiting:
            self.log_out()
        elif self.dialog is None:
            which = count_text(waiting, "command is", "commands are")
            text = f"{which} not answered yet. They stay on this computer and are asked for again when you log in next."
            confirm = Confirm(self._theme, self._session, "Log out", text, "Log out", self._confirmed, self._window)
            self._open(confirm)

    def _confirmed(self, dialog: Confirm) -> None:
        dialog.accept()
        self.log_out()

    def log_out(self) -> None:
        """The token ends on the servers where one answers, and here in any case."""
        profile = self._session.profile
        if profile is None:
            return
        self._actions.offer("log_out", "it is under way")

        def done(_: Caller) -> None:
            self._leave(profile, "")

        def failed(error: Exception) -> None:
            self._leave(profile, "Logged out here; no server could be told, so the log-in ends there by itself later.")

        if profile.login:
            self._session.ask(log_out, done, failed, self)
        else:
            self._leave(profile, "")  # a program's token is nobody's to end from here

    def _leave(self, profile: Profile, note: str) -> None:
        self._forget(profile.token)
        self._session.leave()
        self._left(note)

    def _open(self, dialog: QDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._closed)
        dialog.open()
        first = dialog.findChild(QLineEdit)
        if first is not None:
            first.setFocus()

    def _closed(self, _: int) -> None:
        self.dialog = None
