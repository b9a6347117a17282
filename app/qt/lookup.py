"""Finding people while somebody types.

A keystroke cancels the question under way and starts a short pause; only the last text is asked for. An answer
counts only if it belongs to the question asked last: a late answer to an earlier text is ignored, whatever order
the network chose.
"""

from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.queries import Read, explain, find_users
from app.qt.bridge import Handle
from app.qt.session import Session
from backend.wire.people import UserList

DEBOUNCE_MS: Final = 50
"""Short, as the first results are to stand on the screen 150 ms after the last letter; a letter that comes meanwhile
cancels the question under way."""

MIN_LETTERS: Final = 2


class Lookup(QObject):
    """`found` carries Read[UserList], `failed` a Trouble, `cleared` that there is nothing to look for."""

    searching = Signal(str)
    found = Signal(object)
    failed = Signal(object)
    cleared = Signal()

    def __init__(self, session: Session, parent: QObject | None = None, debounce_ms: int = DEBOUNCE_MS) -> None:
        super().__init__(parent)
        self._session = session
        self._text = ""
        self._question = 0
        self._handle: Handle | None = None
        self._pause = QTimer(self, singleShot=True, interval=debounce_ms)
        self._pause.timeout.connect(self._ask)

    @property
    def text(self) -> str:
        return self._text

    def type(self, text: str) -> None:
        """The field holds this text now."""
        self._drop()
        self._text = text.strip()
        if len(self._text) < MIN_LETTERS:
            self.cleared.emit()
        else:
            self._pause.start()

    def submit(self) -> None:
        """Ask at once, however short the text is."""
        if self._text:
            self._drop()
            self._ask()

    def _drop(self) -> None:
        self._pause.stop()
        self._question += 1
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ask(self) -> None:
        question, text = self._question, self._text
        self.searching.emit(text)
        self._handle = self._session.ask(
            lambda client: find_users(client, text),
            lambda read: self._answered(question, read),
            lambda error: self._refused(question, error),
            self,
        )

    def _answered(self, question: int, read: Read[UserList]) -> None:
        if question == self._question:
            self.found.emit(read)

    def _refused(self, question: int, error: Exception) -> None:
        if question == self._question:
            self.failed.emit(explain(error))
