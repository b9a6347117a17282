"""Dialogs that change something: captions and fields, a line that says how it stands, and buttons that name the deed.

A dialog says "done" only where a server said so. Where no answer came it says that it is unknown, and what to look at
before asking again. What takes something away is never the default button.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.queries import explain
from app.core.viewdata import Tone, short_reason
from app.qt.desk import NotConnected
from app.qt.session import Ask, Session
from app.qt.theme import Theme
from app.views.parts import Mark, dress, dress_check, dress_choice, label, row
from backend.client.errors import NoServer

T = TypeVar("T")
CAPTION: Final = 188


class Form(QDialog):
    """`act_button` does it, `close_button` does not. Deletes itself when it is closed."""

    def __init__(self, theme: Theme, session: Session, title: str, act: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.session = session
        self.act_button = QPushButton(act)
        self.close_button = QPushButton("Close")
        self._mark = Mark(theme, 16)
        self.told = label(theme, px=12.5)
        self.told.setWordWrap(True)
        self.refit = QTimer(self, singleShot=True, interval=0)  # once the layout has heard of what changed
        self.refit.timeout.connect(self.fit)
        self.setWindowTitle(f"{title} – Inkeeper")
        self.setAccessibleName(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(560)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 18)
        box.setSpacing(12)
        box.addWidget(label(theme, title, px=18, bold=True))
        self.body = QVBoxLayout()
        self.body.setSpacing(10)
        box.addLayout(self.body)
        told = row(spacing=9)
        told.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        told.addWidget(self.told, 1)
        box.addLayout(told)
        self.buttons = row(1, self.close_button, self.act_button)
        box.addLayout(self.buttons)
        for button in (self.act_button, self.close_button):
            button.setAutoDefault(False)
            dress(theme, button)
        self.act_button.setDefault(True)
        self.act_button.clicked.connect(self.act)
        self.close_button.clicked.connect(self.reject)
        self.tell("plain", "")

    def act(self) -> None:
        """What the act button does."""
        raise NotImplementedError

    # ---------------------------------------------------------------- building

    def say(self, text: str, role: str = "muted", px: float = 12.5) -> None:
        """A paragraph."""
        about = label(self.theme, text, role, px)
        about.setWordWrap(True)
        self.body.addWidget(about)

    def hint(self) -> QLabel:
        """A line below a field, to be filled in."""
        made = label(self.theme, role="muted", px=12)
        made.setWordWrap(True)
        self.line("", made)
        return made

    def field(
        self, caption: str, text: str = "", hint: str = "", *, secret: bool = False, beside: QWidget | None = None
    ) -> QLineEdit:
        """A line to type into; `caption` may name its key by "&". `beside` stands at its right."""
        made = QLineEdit(text)
        made.setPlaceholderText(hint)
        made.setAccessibleName(caption.replace("&", ""))
        made.setMinimumHeight(34)
        if secret:
            made.setEchoMode(QLineEdit.EchoMode.Password)
        dress(self.theme, made)
        self.line(caption, made, beside)
        return made

    def choice(self, caption: str, choices: Mapping[Any, str], chosen: str = "") -> QComboBox:
        """One of several; keys are what is meant, values what is shown."""
        made = QComboBox()
        made.setAccessibleName(caption.replace("&", ""))
        for key, text in choices.items():
            made.addItem(text, key)
        made.setCurrentIndex(max(0, made.findData(chosen)))
        dress_choice(self.theme, made)
        self.line(caption, made)
        return made

    def check(self, text: str, on: bool = False) -> QCheckBox:
        made = QCheckBox(text)
        made.setChecked(on)
        dress_check(self.theme, made)
        self.line("", made)
        return made

    def line(self, caption: str, widget: QWidget, beside: QWidget | None = None) -> None:
        """A widget with its caption at the left, which may be ""."""
        text = label(self.theme, caption, px=13, bold=True)
        text.setTextFormat(Qt.TextFormat.AutoText)
        text.setBuddy(widget)
        text.setFixedWidth(CAPTION)
        line = row(text, widget, spacing=12)
        line.setStretch(1, 1)
        if beside is not None:
            line.addWidget(beside)
        self.body.addLayout(line)

    def fit(self) -> None:
        """As high as what it says by now needs: a layout with wrapped texts does not see to that itself."""
        layout = self.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()
            self.resize(self.width(), max(layout.totalHeightForWidth(self.width()), layout.totalMinimumSize().height()))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.fit()
        self.refit.start()

    # ---------------------------------------------------------------- asking

    def tell(self, tone: Tone, text: str) -> None:
        """How it stands; "" for nothing."""
        self._mark.show_tone(tone, tone)
        self._mark.setVisible(bool(text))
        self.told.setText(text)
        self.told.setVisible(bool(text))
        self.theme.tint(self.told, tone if tone in ("error", "warning") else "text")
        self.setAccessibleDescription(text)
        self.refit.start()

    def send(self, question: Ask[T], done: Callable[[T], None], unknown: str) -> None:
        """Ask for the deed; `unknown` says what to do where no answer came."""
        self.act_button.setEnabled(False)
        self.tell("waiting", "Asking the cluster …")

        def answered(value: T) -> None:
            self.act_button.setEnabled(True)
            done(value)

        def failed(error: Exception) -> None:
            self.act_button.setEnabled(True)
            self.tell(*trouble(error, unknown))

        self.session.ask(question, answered, failed, self)


def trouble(error: Exception, unknown: str) -> tuple[Tone, str]:
    """A deed that was not answered with "done", in words."""
    if isinstance(error, NoServer):
        if error.in_doubt:
            return "warning", f"Unknown whether it was done: {short_reason(str(error))}. {unknown}"
        return "error", f"Not done, no server answers: {short_reason(str(error))}."
    if isinstance(error, NotConnected):
        return "error", "Not done: no cluster is set."
    return "error", f"Not done: {explain(error).text}"


class Confirm(Form):
    """Asks before something that takes away. `deed` is called once with the dialog, which it may tell how it ends."""

    def __init__(
        self,
        theme: Theme,
        session: Session,
        title: str,
        text: str,
        act: str,
        deed: Callable[["Confirm"], None],
        parent: QWidget | None,
    ) -> None:
        super().__init__(theme, session, title, act, parent)
        self._deed = deed
        self.say(text, "text", 13)
        self.act_button.setProperty("danger", True)
        self.act_button.setDefault(False)
        self.close_button.setText("Leave it as it is")
        self.close_button.setDefault(True)
        self.close_button.setFocus()

    def act(self) -> None:
        self._deed(self)
