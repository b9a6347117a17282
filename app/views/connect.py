"""Where the console asks which cluster to talk to, and who is there: servers, name and password; or an access token for
those who have one. The password is sent once and kept nowhere.
"""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.profiles import Profile, ProfileError, clean_token, server_urls
from app.qt.login import LogInAttempt
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.parts import Card, Picture, column, dress, dress_check, label, row
from backend.wire.access import LogInAnswer

BY_NAME, BY_TOKEN = 0, 1


class ConnectPane(QWidget):
    """`asked` carries the Profile and whether to store its token; `dismissed` that the person wants back."""

    asked = Signal(object, bool)
    dismissed = Signal()

    def __init__(self, theme: Theme, session: Session) -> None:
        super().__init__()
        self.servers = _field("One or more, with commas between: http://print-1:9191, http://print-2:9191")
        self.name = _field("Your name for logging in")
        self.password = _field("")
        self.token = _field("ik_…")
        for secret in (self.password, self.token):
            secret.setEchoMode(QLineEdit.EchoMode.Password)
        self.remember = QCheckBox("&Stay logged in on this computer, the access in a file that only you can read")
        self.connect_button = QPushButton("&Log in")
        self.connect_button.setDefault(True)
        self.other_button = QPushButton()
        self.back_button = QPushButton("&Back")
        self.attempt = LogInAttempt(session, self)
        self.problem = label(theme, role="error", px=12.5)
        self.problem.setWordWrap(True)
        self._theme = theme
        self._kind = BY_NAME
        self._kinds: tuple[tuple[QWidget, ...], ...] = ()
        self._complaint = ""
        self._build(theme)
        self._connect()
        self.choose(BY_NAME)

    def _build(self, theme: Theme) -> None:
        card = Card(theme)
        card.setFixedWidth(560)
        text = label(
            theme,
            "Name at least one server; the cluster tells the others, and the console goes on with whichever answers.",
            "muted",
        )
        text.setWordWrap(True)
        title = row(
            Picture(theme, "plug", 26, "text"), label(theme, "Connect to a cluster", px=18, bold=True), 1, spacing=10
        )
        hint = label(theme, "inkeeper-server token create --role helpdesk --name NAME", "muted", 11.5)
        hint.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        hint.setToolTip("Run this on a server to make a token; the last line it prints is the token")
        self._kinds = (
            (*_captioned(theme, "&Name", self.name), *_captioned(theme, "&Password", self.password)),
            (*_captioned(theme, "Access &token", self.token), hint),
        )
        inner = QVBoxLayout(card)
        inner.setContentsMargins(28, 26, 28, 24)
        inner.setSpacing(8)
        inner.addLayout(title)
        inner.addWidget(text)
        for widget in (*_captioned(theme, "Ser&vers", self.servers), *self._kinds[BY_NAME], *self._kinds[BY_TOKEN]):
            inner.addWidget(widget)
        inner.addWidget(self.remember)
        inner.addWidget(self.problem)
        inner.addSpacing(6)
        inner.addLayout(row(self.other_button, 1, self.back_button, self.connect_button))
        outer = column(1, spacing=0)
        outer.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        outer.addStretch(2)
        self.setLayout(outer)
        self.problem.hide()
        # One sheet each: a sheet on the card would take the labels' own colours away.
        buttons = (self.connect_button, self.back_button, self.other_button)
        for widget in (self.servers, self.name, self.password, self.token, *buttons):
            dress(theme, widget)
        dress_check(theme, self.remember)

    def _connect(self) -> None:
        self.connect_button.clicked.connect(self._ask)
        self.back_button.clicked.connect(self.dismissed)
        self.other_button.clicked.connect(lambda: self.choose(1 - self._kind))
        self.attempt.changed.connect(self._show)
        self.attempt.done.connect(self._logged_in)
        for field in (self.servers, self.name, self.password, self.token):
            field.returnPressed.connect(self._ask)
            field.textEdited.connect(lambda _: self._complain(""))

    def choose(self, kind: int) -> None:
        """By name and password, or by a token."""
        self._kind = kind
        for place, widgets in enumerate(self._kinds):
            for widget in widgets:
                widget.setVisible(place == kind)
        self.connect_button.setText("&Log in" if kind == BY_NAME else "&Connect")
        self.other_button.setText("Use an &access token" if kind == BY_NAME else "Use n&ame and password")
        self.remember.setText(
            "&Stay logged in on this computer, the access in a file that only you can read"
            if kind == BY_NAME
            else "&Remember on this computer, the token in a file that only you can read"
        )
        self.remember.setChecked(kind == BY_TOKEN)
        self._complain("")

    def start(self, profile: Profile | None, problem: str = "") -> None:
        """Show what is set now; the way back exists only where there is something to go back to."""
        self.attempt.drop()
        known = profile is not None
        by_token = known and profile is not None and not profile.login and bool(profile.token)
        self.choose(BY_TOKEN if by_token else BY_NAME)
        if profile is not None:
            self.servers.setText(", ".join(profile.servers))
            self.name.setText(profile.login)
            self.token.setText(profile.token if by_token else "")
        self.password.clear()
        self.back_button.setVisible(profile is not None and bool(profile.token))
        self._complain(problem)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        fields = (self.servers, self.name, self.password) if self._kind == BY_NAME else (self.servers,)
        next((field for field in fields if not field.text()), fields[-1]).setFocus()

    def _complain(self, text: str) -> None:
        self._complaint = text
        self._show()

    def _show(self) -> None:
        """How the attempt stands."""
        text = "Asking …" if self.attempt.asking else self._complaint or self.attempt.text
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        self._theme.tint(self.problem, "muted" if self.attempt.asking else "error")
        self.connect_button.setEnabled(self.attempt.ready or self._kind == BY_TOKEN)

    def _ask(self) -> None:
        if self.attempt.asking:
            return
        try:
            servers = server_urls(self.servers.text())
            if self._kind == BY_TOKEN:
                self._complain("")
                self.asked.emit(Profile(servers, clean_token(self.token.text())), self.remember.isChecked())
                return
            if not self.name.text().strip() or not self.password.text():
                raise ProfileError("type your name and your password")
        except ProfileError as error:
            text = str(error)
            self._complain(f"{text[:1].upper()}{text[1:]}.")
            return
        self._complain("")
        self.attempt.ask(servers, self.name.text().strip(), self.password.text())

    def _logged_in(self, answer: LogInAnswer) -> None:
        self.password.clear()
        self.asked.emit(Profile(server_urls(self.servers.text()), answer.token, answer.name), self.remember.isChecked())


def _captioned(theme: Theme, caption: str, field: QLineEdit) -> tuple[QWidget, QWidget]:
    """A caption, and the field that comes below it."""
    text = label(theme, caption, bold=True)
    text.setTextFormat(Qt.TextFormat.AutoText)
    text.setBuddy(field)
    text.setContentsMargins(0, 7, 0, 0)  # nearer to its own field than to the one above
    return text, field


def _field(placeholder: str) -> QLineEdit:
    field = QLineEdit()
    field.setPlaceholderText(placeholder)
    field.setMinimumHeight(36)
    return field
