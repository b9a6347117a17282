"""What a queue does with its jobs: whether they wait for a release, what holds while no server answers, and what a
print comes to that broke off. For administrators.

The dialog says "changed" only where a server said so; where no answer came the values may be asked for once more, as
each of them is absolute.
"""

from typing import Final, get_args

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QPushButton, QVBoxLayout, QWidget

from app.core.facts import OFFLINE_WORDS, PARTIAL_WORDS
from app.core.queries import change_queue, explain
from app.core.viewdata import Tone
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.parts import Mark, dress, dress_check, dress_choice, label, row
from backend.client.errors import NoServer
from backend.wire.messages import OfflinePolicy, PartialCharge, QueueView, SetQueue

WIDTH: Final = 520


class QueueDialog(QDialog):
    def __init__(self, theme: Theme, session: Session, queue: QueueView, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._session = session
        self._queue = queue
        self.hold = QCheckBox("&Hold each job until somebody releases it")
        self.offline = QComboBox()
        self.partial = QComboBox()
        self.save_button = QPushButton("Save")
        self.close_button = QPushButton("Close")
        self._mark = Mark(theme, 16)
        self.told = label(theme, px=12.5)
        self._build()
        self._fill()

    def _build(self) -> None:
        title = f"Queue {self._queue.name}"
        self.setWindowTitle(f"{title} – Inkeeper")
        self.setAccessibleName(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(WIDTH)
        self.told.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 18)
        box.setSpacing(12)
        box.addWidget(label(self._theme, title, px=18, bold=True))
        box.addWidget(label(self._theme, f"on {self._queue.provider}", "muted", 12.5))
        box.addWidget(self.hold)
        for choice, text in ((self.offline, "While no server &answers"), (self.partial, "A print that &broke off")):
            choice.setAccessibleName(text.replace("&", ""))
            dress_choice(self._theme, choice)
            caption = label(self._theme, text, px=13, bold=True)
            caption.setTextFormat(Qt.TextFormat.AutoText)
            caption.setBuddy(choice)
            caption.setFixedWidth(204)
            line = row(caption, choice, spacing=12)
            line.setStretch(1, 1)
            box.addLayout(line)
        about = label(self._theme, "Broken off: of which neither its end nor the printer tells how much.", "muted", 12)
        about.setWordWrap(True)
        box.addWidget(about)
        told = row(spacing=9)
        told.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        told.addWidget(self.told, 1)
        box.addLayout(told)
        box.addLayout(row(1, self.close_button, self.save_button))
        dress_check(self._theme, self.hold)
        for button in (self.save_button, self.close_button):
            button.setAutoDefault(False)
            dress(self._theme, button)
        self.save_button.setDefault(True)
        self.save_button.clicked.connect(self.save)
        self.close_button.clicked.connect(self.reject)
        self._tell("plain", "")

    def _fill(self) -> None:
        for policy in get_args(OfflinePolicy):
            self.offline.addItem(OFFLINE_WORDS[policy], policy)
        for charge in get_args(PartialCharge):
            self.partial.addItem(PARTIAL_WORDS[charge], charge)
        self.hold.setChecked(self._queue.hold_jobs)
        self.offline.setCurrentIndex(self.offline.findData(self._queue.offline_policy))
        self.partial.setCurrentIndex(self.partial.findData(self._queue.partial_charge))

    def save(self) -> None:
        change = SetQueue(
            hold_jobs=self.hold.isChecked(),
            offline_policy=self.offline.currentData(),
            partial_charge=self.partial.currentData(),
        )
        self.save_button.setEnabled(False)
        self._tell("waiting", "Asking the cluster …")
        queue_id = self._queue.queue_id

        def done(found: QueueView) -> None:
            self._queue = found
            self.save_button.setEnabled(True)
            self._tell("ok", "Changed. Print servers learn it with their next heartbeats.")
            self._session.reload()

        def failed(error: Exception) -> None:
            self.save_button.setEnabled(True)
            if isinstance(error, NoServer):
                self._tell("warning", "Unknown whether it was changed: no server answered. It may be saved once more.")
            else:
                self._tell("error", f"Not changed: {explain(error).text}")

        self._session.ask(lambda client: change_queue(client, queue_id, change), done, failed, self)

    def _tell(self, tone: Tone, text: str) -> None:
        self._mark.show_tone(tone, tone)
        self._mark.setVisible(bool(text))
        self.told.setText(text)
        self._theme.tint(self.told, tone if tone in ("error", "warning") else "text")
        self.setAccessibleDescription(text)
