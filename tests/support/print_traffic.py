"""People who print on several print servers without end: lp, several users, some at the edge of their credit.

What lp answered is written down; where it failed, cupsd may have taken the document all the same.
"""

import itertools
import random
import threading
from collections.abc import Sequence
from pathlib import Path

from backend.checker.model import Sent
from tests.support.documents import GREY, write_pdf
from tests.support.print_server import PrintServer
from tests.support.processes import Failed, run

EDGE = {"rita": 40, "rob": 25, "ruth": 60}  # restricted users, and how many impressions their money covers at first
FREE = ("fay", "finn", "flo")
MAX_PAGES = 4
MAX_COPIES = 2
LP_S = 30.0


class PrintTraffic:
    """One thread for each print server, a document every `pause_s` on average."""

    def __init__(self, places: Sequence[PrintServer], folder: Path, seed: int, pause_s: float) -> None:
        self.sent: list[Sent] = []
        self._places = places
        self._pause_s = pause_s
        self._files = [write_pdf(folder / f"{pages}.pdf", [GREY] * pages) for pages in range(1, MAX_PAGES + 1)]
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._print, args=(place, random.Random(f"{seed} {place.name}")), daemon=True)
            for place in places
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2 * LP_S)

    def _print(self, place: PrintServer, chance: random.Random) -> None:
        for number in itertools.count(1):
            self.sent.append(self._send(place, f"{place.name}-{number:04}", chance))
            if self._stop.wait(chance.uniform(0, 2 * self._pause_s)):
                return

    def _send(self, place: PrintServer, title: str, chance: random.Random) -> Sent:
        user, queue = chance.choice((*EDGE, *FREE)), chance.choice(place.queues)
        words = ["lp", "-d", queue, "-U", user, "-t", title, "-n", str(chance.randint(1, MAX_COPIES))]
        try:
            told = run([*words, "--", chance.choice(self._files)], env=place.cupsd.env, check=False, timeout_s=LP_S)
        except Failed:
            return Sent(key=title, user=user, queue=queue, acknowledged=False)
        return Sent(key=title, user=user, queue=queue, acknowledged=told.returncode == 0)
