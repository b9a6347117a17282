"""A console's desk as a process of its own, to be killed: `python -m tests.support.console_desk URL TOKEN OUTBOX USER
AMOUNT` connects, says "ready", and for each line on stdin adjusts the user's balance by the amount and says "kept" once
the command is on the disk and on its way.
"""

import os
import sys
import threading
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QObject, Signal

from app.core import commands
from app.core.profiles import Profile
from app.qt.bridge import AsyncBridge
from app.qt.session import Session
from app.qt.store import Store


class Reader(QObject):
    """Lines of stdin as they come."""

    line = Signal()

    def start(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for _ in sys.stdin:
            self.line.emit()


def main() -> None:
    url, token, outbox, user, amount = sys.argv[1:]
    app = QCoreApplication([])
    session = Session(Store(), AsyncBridge(), Path(outbox))
    session.open(Profile((url,), token))
    reader = Reader()

    def tell() -> None:
        if session.desk.why_not() == "":
            session.desk.changed.disconnect(tell)
            print("ready", flush=True)
            reader.start()

    def pay() -> None:
        by = session.desk.maker(session.desk.new_id())
        assert by is not None
        refused = session.desk.put([commands.adjust(by, user, int(amount), "before the kill")])
        print(refused or "kept", flush=True)

    session.desk.changed.connect(tell)
    reader.line.connect(pay)
    app.exec()


if __name__ == "__main__":
    main()
