"""Somebody who logs in again and again, with the right password and with a wrong one, while servers die.

The right one is never called wrong, and the wrong one never let in; a token that was told is known afterwards by
whichever server answers. What a dying server did not answer is nothing.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import httpx

from tests.support.processes import Failed

PAUSE_S = 1.0
AWAY = (502, 503, 504)


class LoginDesk:
    """For `with`: runs in a thread of its own. `counts` tells how it went."""

    def __init__(self, urls: Sequence[str], name: str, password: str) -> None:
        self._urls = list(urls)
        self._name = name
        self._password = password
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, name="login desk")
        self._token = ""
        self._wrong: list[str] = []
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        if self._wrong and kind is None:
            raise Failed("; ".join(self._wrong))

    def _play(self) -> None:
        round_ = 0
        with httpx.Client(timeout=10.0) as client:
            while not self._stop.wait(PAUSE_S):
                url = self._urls[round_ % len(self._urls)]
                round_ += 1
                try:
                    self._once(client, url, round_)
                except httpx.HTTPError:
                    self.counts["away"] += 1

    def _once(self, client: httpx.Client, url: str, round_: int) -> None:
        if round_ % 3 == 0:
            status = self._log_in(client, url, "not the password").status_code
            self._expect("wrong", status, {401, 429})
        elif self._token and round_ % 3 == 1:
            headers = {"Authorization": f"Bearer {self._token}"}
            self._expect("known", client.get(f"{url}/api/v1/me", headers=headers).status_code, {200})
        else:
            answer = self._log_in(client, url, self._password)
            self._expect("right", answer.status_code, {200})
            if answer.status_code == 200:
                self._token = answer.json()["token"]

    def _log_in(self, client: httpx.Client, url: str, password: str) -> httpx.Response:
        return client.post(f"{url}/api/v1/login", json={"name": self._name, "password": password})

    def _expect(self, what: str, status: int, expected: set[int]) -> None:
        if status in AWAY:
            self.counts["away"] += 1
        elif status in expected:
            self.counts[what] += 1
        else:
            self._wrong.append(f"{what}: answered {status}")
