"""Where the console asks which cluster to talk to: the servers, the access token, and whether to remember them."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.profiles import Profile, ProfileError, clean_token, server_urls
from app.qt.theme import Theme
from app.views.parts import Card, Picture, column, dress, dress_check, label, row


class ConnectPane(QWidget):
    """`asked` carries the Profile and whether to store it; `dismissed` that the person wants back."""

    asked = Signal(object, bool)
    dismissed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.servers = _field("One or more, with commas between: http://print-1:9191, http://print-2:9191")
        self.token = _field("ik_…")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.remember = QCheckBox("&Remember on this computer, the token in a file that only you can read")
        self.remember.setChecked(True)
        self.connect_button = QPushButton("&Connect")
        self.connect_button.setDefault(True)
        self.back_button = QPushButton("&Back")
        self.problem = label(theme, role="error", px=12.5)
        self.problem.setWordWrap(True)
        self._build(theme)
        self.connect_button.clicked.connect(self._ask)
        self.back_button.clicked.connect(self.dismissed)
        for field in (self.servers, self.token):
            field.returnPressed.connect(self._ask)

    def _build(self, theme: Theme) -> None:
        card = Card(theme)
        card.setFixedWidth(560)
        text = label(
            theme,
            "Name at least one server; the cluster tells the others, and the console goes on with whichever answers.",
            "muted",
        )
        text.setWordWrap(True)
        captions = [label(theme, "&Servers", bold=True), label(theme, "Access &token", bold=True)]
        for caption, field in zip(captions, (self.servers, self.token), strict=True):
            caption.setTextFormat(Qt.TextFormat.AutoText)
            caption.setBuddy(field)
        hint = label(theme, "inkeeper-server token create --role helpdesk --name NAME", "muted", 11.5)
        hint.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        hint.setToolTip("Run this on a server to make a token; the last line it prints is the token")
        title = row(
            Picture(theme, "plug", 26, "text"), label(theme, "Connect to a cluster", px=18, bold=True), 1, spacing=10
        )
        inner = QVBoxLayout(card)
        inner.setContentsMargins(28, 26, 28, 24)
        inner.setSpacing(6)
        inner.addLayout(title)
        inner.addWidget(text)
        for caption, field in zip(captions, (self.servers, self.token), strict=True):
            inner.addSpacing(10)
            inner.addWidget(caption)
            inner.addWidget(field)
        inner.addSpacing(4)
        inner.addWidget(hint)
        inner.addSpacing(8)
        inner.addWidget(self.remember)
        inner.addWidget(self.problem)
        inner.addSpacing(8)
        inner.addLayout(row(1, self.back_button, self.connect_button))
        outer = column(1, spacing=0)
        outer.addWidget(card, 0, Qt.AlignmentFlag.AlignHCenter)
        outer.addStretch(2)
        self.setLayout(outer)
        self.problem.hide()
        # One sheet each: a sheet on the card would take the labels' own colours away.
        for widget in (self.servers, self.token, self.connect_button, self.back_button):
            dress(theme, widget)
        dress_check(theme, self.remember)

    def start(self, profile: Profile | None, problem: str = "") -> None:
        """Show what is set now; the way back exists only where there is something to go back to."""
        self.servers.setText(", ".join(profile.servers) if profile is not None else "")
        self.token.setText(profile.token if profile is not None else "")
        self.back_button.setVisible(profile is not None)
        self._complain(problem)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.servers.setFocus()

    def _complain(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.setVisible(bool(text))

    def _ask(self) -> None:
        try:
            profile = Profile(server_urls(self.servers.text()), clean_token(self.token.text()))
        except ProfileError as error:
            text = str(error)
            self._complain(f"{text[:1].upper()}{text[1:]}.")
            return
        self._complain("")
        self.asked.emit(profile, self.remember.isChecked())


def _field(placeholder: str) -> QLineEdit:
    field = QLineEdit()
    field.setPlaceholderText(placeholder)
    field.setMinimumHeight(36)
    return field
