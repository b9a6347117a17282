"""Is this job to be canceled, and why? Shows what it is first; what takes something away is never the default."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.desk import listed
from app.qt.theme import Theme
from app.views.parts import Card, dress, label, row
from backend.wire.base import Ledger
from backend.wire.jobs import JobView

WIDTH = 520
MAX_REASON = 200


class CancelDialog(QDialog):
    """`wanted` brings the reason once the person has decided."""

    wanted = Signal(str)

    def __init__(self, theme: Theme, jobs: Sequence[JobView], ledger: Ledger | None, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._theme = theme
        one = len(jobs) == 1
        self.reason = QLineEdit()
        self.act_button = QPushButton("Cancel the job" if one else f"Cancel {len(jobs):,} jobs")
        self.close_button = QPushButton("Keep it" if one else "Keep them")
        self.facts = label(theme, "\n".join(listed(jobs, ledger)), px=13)
        printing = any(job.state in ("authorised", "printing") for job in jobs)
        self.hint = label(theme, _hint(one, printing), "muted", 12)
        self._build("Cancel a job" if one else "Cancel jobs")
        self.act_button.clicked.connect(self._act)
        self.close_button.clicked.connect(self.reject)
        self.reason.setFocus()

    def _build(self, title: str) -> None:
        self.setWindowTitle(f"{title} – Inkeeper")
        self.setAccessibleName(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(WIDTH)
        self.reason.setAccessibleName("Why, for the person")
        self.reason.setPlaceholderText("Optional, for the person who printed")
        self.reason.setMaxLength(MAX_REASON)
        self.reason.setMinimumHeight(34)
        self.act_button.setProperty("danger", True)
        self.close_button.setDefault(True)
        for text in (self.facts, self.hint):
            text.setWordWrap(True)
        card = Card(self._theme)
        inner = QVBoxLayout(card)
        inner.setContentsMargins(16, 12, 16, 12)
        inner.addWidget(self.facts)
        caption = label(self._theme, "&Why", px=13, bold=True)
        caption.setTextFormat(Qt.TextFormat.AutoText)
        caption.setBuddy(self.reason)
        why = row(caption, self.reason, spacing=12)
        why.setStretch(1, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 18)
        box.setSpacing(12)
        box.addWidget(label(self._theme, title, px=18, bold=True))
        box.addWidget(card)
        box.addLayout(why)
        box.addWidget(self.hint)
        box.addSpacing(4)
        box.addLayout(row(1, self.close_button, self.act_button))
        for button in (self.act_button, self.close_button):
            button.setAutoDefault(False)
            dress(self._theme, button)
        dress(self._theme, self.reason)

    def _act(self) -> None:
        self.wanted.emit(self.reason.text().strip())
        self.accept()


def _hint(one: bool, printing: bool) -> str:
    if printing:
        return "Its print server is told to stop it. What was printed by then is charged."
    return f"{'It has' if one else 'They have'} not been printed, and nothing is charged."
