"""Somebody at the help desk: gives back what some jobs cost, whole, in part or by pages, and undoes a few of these
refunds, whatever dies meanwhile.

What becomes of a job is decided by its title and the seed. A command keeps its id until a server has answered it, and
is given twice now and then. Runs in a thread of its own, so that the test's own can start and kill programs meanwhile.
"""

import asyncio
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from backend.base.ids import uuid7
from backend.client.client import ApiClient
from backend.client.errors import NoServer
from backend.wire.base import CommandId
from backend.wire.jobs import JobList, JobView
from backend.wire.money import MoneyAnswer, RefundJob, ReverseTransfer

LOOK_S = 0.5
CALL_S = 5.0
REFUND_SHARE, UNDO_SHARE, TWICE_SHARE = 0.4, 0.4, 0.3


@dataclass
class Case:
    """A job whose money is given back. None: no server has answered that yet."""

    job: JobView
    refund: RefundJob
    undo: ReverseTransfer | None
    refunded: MoneyAnswer | None = None
    undone: MoneyAnswer | None = None

    @property
    def is_open(self) -> bool:
        return self.refunded is None or (self.undo is not None and not self.refunded.code and self.undone is None)

    @property
    def net(self) -> int:
        """What of the job's charge was given back in the end, as servers told it."""
        return sum(answer.amount for answer in (self.refunded, self.undone) if answer is not None)


@dataclass
class RefundDesk:
    """`token` is a help desk's. `cases` by job."""

    urls: Sequence[str]
    token: str
    seed: int
    cases: dict[str, Case] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="refund desk")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Comes back when all that was begun has been answered (or the block has failed)."""
        self._failed = kind is not None
        self._stop.set()
        self._thread.join()

    async def _work(self) -> None:
        client = ApiClient(self.urls, self.token)
        try:
            while not self._stop.is_set() or (self._open() and not self._failed):
                try:
                    await self._round(client)
                except NoServer:
                    continue
                finally:
                    await asyncio.sleep(LOOK_S)
        finally:
            await client.aclose()

    def _open(self) -> list[Case]:
        return [case for case in self.cases.values() if case.is_open]

    async def _round(self, client: ApiClient) -> None:
        if not self._stop.is_set():
            query: dict[str, str | int] = {"state": "completed", "limit": 100}
            found = await client.call("GET", "jobs", None, JobList, timeout_s=CALL_S, query=query)
            for job in found.jobs:
                self._decide(job)
        for case in self._open():
            await self._go_on(client, case)

    def _decide(self, job: JobView) -> None:
        chance = random.Random(f"{self.seed} refund {job.title}")
        if job.job_id in self.looked_at or not job.charged:
            return
        self.looked_at.add(job.job_id)
        if chance.random() < REFUND_SHARE:
            amount, pages = chance.choice(((None, None), (job.charged, None), (job.charged // 2 or 1, None), (None, 1)))
            refund = RefundJob(command_id=CommandId(uuid7()), amount=amount, pages=pages, comment=job.title)
            undo = ReverseTransfer(command_id=CommandId(uuid7())) if chance.random() < UNDO_SHARE else None
            self.cases[job.job_id] = Case(job, refund, undo)

    async def _go_on(self, client: ApiClient, case: Case) -> None:
        twice = random.Random(case.refund.command_id).random() < TWICE_SHARE
        for _ in range(2 if twice else 1):
            if case.refunded is None or twice:
                told = await client.call(
                    "POST", f"jobs/{case.job.job_id}/refund", case.refund, MoneyAnswer, timeout_s=CALL_S
                )
                assert case.refunded in (None, told), (
                    f"{case.refund.command_id} was answered {case.refunded}, now {told}"
                )
                case.refunded = told
        if case.undo is not None and case.refunded is not None and not case.refunded.code:
            path = f"users/{case.job.user_name}/transfers/{case.refunded.sequence}/reverse"
            case.undone = await client.call("POST", path, case.undo, MoneyAnswer, timeout_s=CALL_S)
