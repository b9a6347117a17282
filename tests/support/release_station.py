"""Somebody at the release station: lets held jobs print, takes a few of them back, whatever dies meanwhile.

What becomes of a job is decided by its title and the seed. A command keeps its id until a server has answered it. Runs
in a thread of its own, so that the test's own can start and kill programs meanwhile.
"""

import asyncio
import random
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from backend.base.ids import uuid7
from backend.client.client import ApiClient
from backend.client.errors import NoServer
from backend.wire.jobs import CancelJob, JobActionAnswer, JobList, JobView, ReleaseJob

LOOK_S = 0.5
CALL_S = 5.0
CANCEL_SHARE = 0.1


class ReleaseStation:
    """`token` is a help desk's. `released` and `canceled` are the titles of what was done, as servers told it."""

    def __init__(self, urls: Sequence[str], token: str, seed: int) -> None:
        self._urls, self._token, self._seed = urls, token, seed
        self._ids: dict[tuple[str, int], str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="release station")
        self.released: set[str] = set()
        self.canceled: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    async def _work(self) -> None:
        client = ApiClient(self._urls, self._token)
        try:
            while not self._stop.is_set():
                try:
                    found = await client.call(
                        "GET", "jobs", None, JobList, timeout_s=CALL_S, query={"state": "held", "limit": 100}
                    )
                    for job in found.jobs:
                        await self._decide(client, job)
                except NoServer:
                    continue
                finally:
                    await asyncio.sleep(LOOK_S)
        finally:
            await client.aclose()

    async def _decide(self, client: ApiClient, job: JobView) -> None:
        takes_back = random.Random(f"{self._seed} {job.title}").random() < CANCEL_SHARE
        command_id = self._ids.setdefault((job.job_id, job.updated_at), uuid7())  # held anew: another command
        if takes_back:
            self.canceled.add(job.title)  # before it is known: it may be done though no answer comes
            body: ReleaseJob | CancelJob = CancelJob(command_id=command_id, reason="taken back")
        else:
            body = ReleaseJob(command_id=command_id)
        action = "cancel" if takes_back else "release"
        answer = await client.call("POST", f"jobs/{job.job_id}/{action}", body, JobActionAnswer, timeout_s=CALL_S)
        if not answer.code and not takes_back:
            self.released.add(job.title)
