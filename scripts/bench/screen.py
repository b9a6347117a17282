"""From the last letter typed to the first results on the screen, with 300,000 users on a real server: the console's own
window, drawn offscreen, its pause between letters included. The promise is 150 ms. Beside it the same look-up asked
over HTTP without a console. `--people` and `--rounds` make it smaller.
"""

import argparse
import http.client
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.core.profiles import ConsoleSettings, Profile
from app.qt.bridge import AsyncBridge
from app.qt.session import Session
from app.qt.store import Store
from app.qt.theme import Theme
from app.views.window import MainWindow
from scripts.bench.people import DESK, add_tokens
from scripts.bench.population import People, fill
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder

PEOPLE: Final = 300_000
ROUNDS: Final = 200
PROMISE_MS: Final = 150.0
DEADLINE_S: Final = 30.0


class Painted(QObject):
    """When the watched widget was last painted."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self.at = time.perf_counter()
        return False


class Desk:
    """The console's window, connected."""

    def __init__(self, app: QApplication, url: str, folder: Path) -> None:
        self._app = app
        self.session = Session(Store(), AsyncBridge(), folder / "outbox.log")
        self.window = MainWindow(Theme(app, "light"), self.session, ConsoleSettings(), folder / "console.toml")
        self.window.show()
        self.session.open(Profile((url,), DESK))
        self.wait(lambda: self.session.store.state.rights is not None)
        self.window.actions_["find"].trigger()
        self.painted = Painted()
        self.search = self.window.people.search
        self.search.results.viewport().installEventFilter(self.painted)

    def wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not ready():
            if time.monotonic() > deadline:
                raise SystemExit("screen: waited in vain")
            self._app.processEvents()

    def look_up_ms(self, text: str) -> float:
        """The letters are typed as fast as a quick typist's, the last one counts."""
        self.search.field.clear()
        for letter in text[:-1]:
            self.search.field.insert(letter)
            QTest.qWait(60)
        began = time.perf_counter()
        self.search.field.insert(text[-1])
        model = self.search.model
        self.wait(lambda: model.text == text and model.rowCount() > 0 and self.painted.at > began)
        return (self.painted.at - began) * 1000


def asked_ms(port: int, text: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    began = time.perf_counter()
    headers = {"Authorization": f"Bearer {DESK}"}
    connection.request("GET", f"/api/v1/users?query={quote(text)}&limit=50", headers=headers)
    connection.getresponse().read()
    took_ms = (time.perf_counter() - began) * 1000
    connection.close()
    return took_ms


def show(name: str, times: list[float], promise_ms: float = 0.0) -> None:
    ordered = sorted(times)
    p50, p99, most = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]
    promise = f"   (promise: {promise_ms:g} ms)" if promise_ms else ""
    print(f"  {name:<34} p50 {p50:6.1f}  p99 {p99:6.1f}  most {most:6.1f} ms{promise}", flush=True)


def measure(desk: Desk, port: int, people: People, rounds: int) -> None:
    chance = random.Random(7)
    kinds: dict[str, Callable[[int], str]] = {
        "three letters of a family name": lambda number: people.full_names[number].split()[-1][:3].lower(),
        "a login": lambda number: people.names[number],
        "two words": lambda number: " ".join(part[:3] for part in people.full_names[number].lower().split()[:2]),
    }
    for kind, text_of in kinds.items():
        texts = [text_of(chance.randrange(people.count)) for _ in range(rounds)]
        desk.look_up_ms(texts[0])
        show(f"{kind}, on the screen", [desk.look_up_ms(text) for text in texts], PROMISE_MS)
        show(f"{kind}, asked over HTTP", [asked_ms(port, text) for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    with scratch_folder("ik-bench-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'inkeeper.db'}"
        print(f"\nSQLite: {arguments.people:,} users, {arguments.rounds} look-ups of each kind")
        people = fill(url, arguments.people, arguments.people, told=False)
        add_tokens(url)
        app = QApplication([])
        with AppServer(folder, database_url=url) as server:
            desk = Desk(app, f"http://127.0.0.1:{server.port}", folder)
            measure(desk, server.port, people, arguments.rounds)
            desk.session.close()
            desk.window.hide()


if __name__ == "__main__":
    main()
