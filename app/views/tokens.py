"""What opens the cluster to programs: access tokens, made here and told once, and ended here. For administrators."""

import time
from typing import Final, get_args

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget

from app.core.access import LIFETIMES, ROLE_ABOUT, ROLE_WORDS, TOKEN_COLUMNS, token_line, token_state
from app.core.administration import create_token, read_tokens, revoke_token
from app.core.viewdata import count_text, database_now_ms
from app.models.grid import GridModel
from app.qt.actions import Actions
from app.qt.session import Ask, Session
from app.qt.theme import Theme
from app.views.forms import Confirm, Form
from app.views.listing import ReadPage, chosen_ids
from app.views.parts import dress
from backend.wire.access import CreateToken, Role, TokenCreated, TokenList, TokenView

WIDTHS: Final = {0: 104, 2: 130, 3: 90, 4: 136, 5: 136, 6: 150}
ROLES: Final = {role: ROLE_WORDS[role] for role in get_args(Role)}


class TokensPage(ReadPage[TokenList]):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = GridModel(None, TOKEN_COLUMNS)
        super().__init__(theme, session, "Access tokens", self.model)
        self.model.setParent(self)
        self.table.lay_out(WIDTHS, 1, left=200)
        self.new_button = self.button("New…", "Make a token for a program or a print server", self.make)
        self.revoke_button = self.button("Revoke…", "End the chosen token", self.revoke)
        self.add_tools(self.new_button, self.revoke_button)
        self.refresh()

    def _now_ms(self) -> int:
        return database_now_ms(self.session.store.state, time.monotonic(), int(time.time() * 1000))

    def question(self) -> Ask[TokenList]:
        return read_tokens

    def show_value(self) -> str:
        assert self.value is not None  # shown once there is one
        now_ms = self._now_ms()
        self.model.show_lines([token_line(view, now_ms) for view in self.value.tokens])
        valid = sum(token_state(view, now_ms)[0] == "Valid" for view in self.value.tokens)
        return f"{count_text(len(self.value.tokens), 'token', 'tokens')}, {valid:,} valid"

    def nothing(self) -> tuple[str, str, str]:
        return "key", "No tokens", "Programs and print servers are let in by tokens that are made here."

    def chosen(self) -> TokenView | None:
        ids = chosen_ids(self, self.model.line_id)
        found = self.value.tokens if self.value is not None else ()
        return next((view for view in found if ids and view.token_id == ids[0]), None)

    def offer(self) -> None:
        view = self.chosen()
        self.revoke_button.setEnabled(view is not None and token_state(view, self._now_ms())[0] == "Valid")

    def make(self) -> None:
        self.open_dialog(TokenDialog(self._theme, self.session, self.window()))

    def revoke(self) -> None:
        view = self.chosen()
        if view is None:
            return
        token_id, name = view.token_id, view.name
        whose = f"{name} is logged out where this token is used" if view.person else f"{name} is refused from now on"
        text = f"{whose}, on every server within seconds. A token that was ended stays ended."

        def deed(dialog: Confirm) -> None:
            def done(found: TokenList) -> None:
                self.take(found)
                self.tell("ok", f"The token of {name} is revoked.")
                dialog.accept()

            dialog.send(lambda client: revoke_token(client, token_id), done, "It may be asked for once more.")

        title = f"Revoke the token of {name}"
        self.open_dialog(Confirm(self._theme, self.session, title, text, "Revoke it", deed, self.window()))


class TokenDialog(Form):
    """The token is shown once, in a field to copy from; it is nowhere kept."""

    def __init__(self, theme: Theme, session: Session, parent: QWidget | None) -> None:
        super().__init__(theme, session, "New access token", "Create token", parent)
        self.setFixedWidth(660)
        self.name = self.field("&For", hint="A name for the program or the print server")
        self.role = self.choice("&Role", ROLES, "helpdesk")
        self.about = self.hint()
        self.lifetime = self.choice("&Valid", {str(key): text for key, text in LIFETIMES.items()})
        self.token = self.field("Token", hint="Is shown here once")
        self.token.setReadOnly(True)
        self.copy_button = QPushButton("&Copy the token")
        self.copy_button.setAutoDefault(False)
        self.copy_button.setEnabled(False)
        dress(theme, self.copy_button)
        self.line("", self.copy_button)
        self.copy_button.clicked.connect(self.copy)
        self.role.currentIndexChanged.connect(self._show_lifetime)
        self._show_lifetime()
        self.name.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_lifetime(self) -> None:
        """An enrolment token ends when it is used."""
        role: Role = self.role.currentData()
        means = ROLE_ABOUT[role]
        self.about.setText(f"{means[:1].upper()}{means[1:]}." if role == "provider" else f"This role {means}.")
        self.lifetime.setEnabled(self.role.currentData() != "provider")

    def act(self) -> None:
        name = self.name.text().strip()
        if not name:
            self.tell("error", "A name is missing: what is the token for?")
            return
        role: Role = self.role.currentData()
        lifetime_s = int(self.lifetime.currentData()) if role != "provider" else 0
        body = CreateToken(role=role, name=name, lifetime_s=lifetime_s)
        unknown = "Look whether a token of that name is there, and revoke it, before you ask again."
        self.send(lambda client: create_token(client, body), self._created, unknown)

    def _created(self, made: TokenCreated) -> None:
        self.token.setText(made.token)
        self.token.setCursorPosition(0)
        for widget in (self.name, self.role, self.lifetime, self.act_button):
            widget.setEnabled(False)
        self.copy_button.setEnabled(True)
        self.copy_button.setDefault(True)
        self.copy_button.setFocus()
        self.tell("warning", "This is the only time that it is shown. Copy it now, and keep it where only it is used.")

    def copy(self) -> None:
        QGuiApplication.clipboard().setText(self.token.text())
        self.tell("ok", "Copied. It is not shown again once this window is closed.")
