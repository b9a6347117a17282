"""Everything that goes to the servers: the question to authorise, reports until they are taken, heartbeats.

The client underneath walks the servers and repeats under the same id; here are the deadlines. Whether a server
answers is known from every call, so `status` tells the truth of the last one and when it was.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from backend.client.client import ApiClient
from backend.client.errors import ClientError, NoServer, ServerProblem
from backend.wire.jobs import AuthoriseAnswer, DecisionList, JobDecision, Report, ReportAnswer
from backend.wire.printers import Heartbeat, HeartbeatAnswer
from provider.jobs.model import JobRecord
from provider.uplink import messages
from provider.uplink.machine import Outbox, Parcel

REPORT_TIMEOUT_S = 10.0
HEARTBEAT_TIMEOUT_S = 2.0
DECISIONS_TIMEOUT_S = 2.0
SHORTEST_BEAT_S, LONGEST_BEAT_S = 0.2, 10.0
REFUSALS_OF_ALL = ("unauthenticated", "forbidden")  # this provider as such: no report is at fault

_log = logging.getLogger(__name__)


@dataclass
class Contact:
    """When a server last answered (monotonic), and why none does now ("" while one does)."""

    answered_at_s: float | None = None
    trouble: str = "no server has been asked yet"
    settled: int = 0


@dataclass(frozen=True)
class ReportSink:
    """Where the fate of a report goes, and where its record comes from."""

    fetch: Callable[[str], Awaitable[JobRecord | None]]
    reported: Callable[[str, int, str, int | None], None]
    refused: Callable[[str, int, str], None]


class Uplink:
    """All calls of one provider. Belongs to one event loop."""

    def __init__(self, client: ApiClient) -> None:
        self.client = client
        self.outbox = Outbox()
        self.contact = Contact()
        self._wake = asyncio.Event()

    async def authorise(self, record: JobRecord, deadline_s: float) -> AuthoriseAnswer | None:
        """A server's decision, None when there was none by the deadline (on the monotonic clock)."""
        question = messages.authorise(record)
        left_s = deadline_s - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                answer = await self.client.call(
                    "POST", "jobs/authorise", question, AuthoriseAnswer, timeout_s=max(0.01, left_s), patient=True
                )
        except TimeoutError:
            self._note_failure("no server answered in time")
            return None
        except ClientError as error:
            self._note_failure(str(error))
            return None
        self._note_answer()
        return answer

    def send(self, record: JobRecord) -> None:
        """Report this job's ending, now and until a server has taken it."""
        if record.ending is not None:
            ended_ms = max([record.created_at, *(run.ended_at or 0 for run in record.runs)])
            self.outbox.put(record.job_id, record.ending.revision, ended_ms)
            self._wake.set()

    async def run_sender(self, sink: ReportSink) -> None:
        """Send reports for ever."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                for parcel in self.outbox.due(time.monotonic()):
                    task = asyncio.create_task(self._send(parcel, sink))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                wake_at_s = self.outbox.wake_at_s()
                pause_s = None if wake_at_s is None else max(0.01, wake_at_s - time.monotonic())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, parcel: Parcel, sink: ReportSink) -> None:
        try:
            record = await sink.fetch(parcel.job_id)
            if record is None or not messages.is_reportable(record):
                self.outbox.drop(parcel.job_id)
                return
            await self._report(record, messages.report(record), sink)
        finally:
            self.outbox.in_flight.discard(parcel.job_id)
            self._wake.set()

    async def _report(self, record: JobRecord, report: Report, sink: ReportSink) -> None:
        job_id, revision = record.job_id, report.revision
        try:
            answer = await self.client.call("POST", "jobs/report", report, ReportAnswer, timeout_s=REPORT_TIMEOUT_S)
        except ServerProblem as error:
            code = error.problem.code
            if code in REFUSALS_OF_ALL:
                self._note_failure(str(error))
                self.outbox.failed(job_id, time.monotonic(), random.random())
                return
            _log.error("a server refused the report of job %s: %s; it is kept and tried again", job_id, error)
            self.outbox.refused(job_id, revision, time.monotonic(), code)
            sink.refused(job_id, revision, code)
        except NoServer as error:
            self._note_failure(str(error))
            self.outbox.failed(job_id, time.monotonic(), random.random())
        else:
            self._note_answer()
            self.contact.settled += 1
            self.outbox.answered(job_id, revision)
            sink.reported(job_id, revision, record.user_name, answer.available)

    async def decisions(self) -> tuple[JobDecision, ...] | None:
        """What was decided of this provider's held jobs and is not carried out yet; None when no server answered."""
        try:
            found = await self.client.call("GET", "jobs/decisions", None, DecisionList, timeout_s=DECISIONS_TIMEOUT_S)
        except ServerProblem as error:
            _log.debug("decisions of held jobs: %s", error)  # a server of an older version does not know the question
            return None
        except ClientError as error:
            self._note_failure(str(error))
            return None
        self._note_answer()
        return found.decisions

    async def beat(self, heartbeat: Heartbeat) -> HeartbeatAnswer | None:
        """One heartbeat; None when no server took it."""
        try:
            answer = await self.client.call(
                "POST", "heartbeat", heartbeat, HeartbeatAnswer, timeout_s=HEARTBEAT_TIMEOUT_S
            )
        except ClientError as error:
            self._note_failure(str(error))
            return None
        self._note_answer()
        return answer

    def _note_answer(self) -> None:
        if self.contact.trouble:
            _log.info("server %s answers", self.client.current)
        self.contact.answered_at_s, self.contact.trouble = time.monotonic(), ""
        if self.outbox.failures:
            self.outbox.failures, self.outbox.not_before_s = 0, 0.0
            self._wake.set()

    def _note_failure(self, reason: str) -> None:
        if not self.contact.trouble:
            _log.warning("no server answers: %s", reason)
        self.contact.trouble = reason


def beat_pause_s(answer: HeartbeatAnswer | None) -> float:
    """How long to wait for the next heartbeat: as the server says, within reason."""
    wanted = answer.heartbeat_s if answer is not None else 2.0
    return min(LONGEST_BEAT_S, max(SHORTEST_BEAT_S, wanted))
