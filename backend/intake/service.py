"""The one door for every command that changes money or a job.

Commands wait in a bounded queue; each lane takes what queued while its last batch ran (group commit without a
linger), so the load itself chooses the batch size. While the database is away new commands are refused at once, those
in flight are tried again under their ids until their deadline, and then told the truth: nothing happened, or the
outcome is unknown. While its cluster lives and only its primary changes, new commands wait, for a few seconds at most:
a planned switchover costs no request.
"""

import asyncio
import collections
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from backend.intake import batch
from backend.intake.errors import (
    BatchRejected,
    CommandConflict,
    ConnectionFault,
    IntakeError,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from backend.intake.model import NO_LIMITS, Body, Command, Limits, Policy, Reads, command
from backend.intake.store import Session, Store
from backend.intake.tally import Tally

MAX_BATCH = 256
MIN_SHARE = 16  # fewer than this are not worth a second transaction
MAX_WAITING = 4096
DEADLINE_S = 5.0
LATE_S = 35.0  # beyond its deadline; longer than any wait for the next primary
RETRY_S = (0.02, 0.05, 0.1, 0.25)

log = logging.getLogger(__name__)
Answer = TypeVar("Answer", bound=msgspec.Struct)


class _Entry:
    __slots__ = ("command", "deadline", "future", "unknown")

    def __init__(self, command: Command, future: asyncio.Future[bytes]) -> None:
        self.command = command
        self.future = future
        self.deadline = time.monotonic() + DEADLINE_S
        self.unknown = False  # a commit that held it may have happened


class Intake:
    """Submit commands from the event loop it was started in. Each lane has its own system-account
    stripe, counted from `first_stripe`."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        provide: batch.Provide,
        *,
        first_stripe: int = 0,
        on_commit: Callable[[], None],
    ) -> None:
        self.tally = Tally()
        self._policy = policy
        self._provide = provide
        self._on_commit = on_commit
        self._sessions: list[Session] = [store.session(first_stripe + lane) for lane in range(store.lanes)]
        self._waiting: collections.deque[_Entry] = collections.deque()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._in_flight = 0
        self._idle = 0  # lanes without a batch
        self._closing = False
        self._down_reason = "the database has not answered yet"
        self._down_since = self._wait_until = time.monotonic()

    @property
    def waiting(self) -> int:
        """How many commands wait to be taken into a batch."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether commands are being taken: the database answered the last time it was asked, or another primary is to
        be expected within a moment."""
        return not self._refusing and not self._closing

    @property
    def _refusing(self) -> bool:
        return bool(self._down_reason) and time.monotonic() >= self._wait_until

    def start(self) -> None:
        """Start the lanes; they probe the database and take commands from then on."""
        self._idle = len(self._sessions)
        self._tasks = [asyncio.create_task(self._lane(session)) for session in self._sessions]

    async def close(self, timeout_s: float = 5.0) -> None:
        """Refuse new commands, answer those that wait (at most for `timeout_s`), and close the sessions."""
        self._closing = True
        deadline = time.monotonic() + timeout_s
        while (self._waiting or self._in_flight) and time.monotonic() < deadline:  # noqa: ASYNC110  (bounded, at the end)
            await asyncio.sleep(0.005)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for entry in self._waiting:
            _fail(entry, "the server is stopping")
        self._waiting.clear()
        for session in self._sessions:
            await session.close()

    @property
    def policy(self) -> Policy:
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        """Go by this from the next batch on."""
        self._policy = policy

    async def submit(
        self, body: Body, *, actor: str, provider_id: int = 0, role: str = "", limits: Limits = NO_LIMITS
    ) -> bytes:
        """The command's answer as JSON. Raises CommandConflict, Overloaded, Unavailable or OutcomeUnknown."""
        begun_s = time.monotonic()
        try:
            answer = await self._submit(command(body, actor, provider_id, role=role, limits=limits))
        except IntakeError as error:
            self.tally.command(body, error, begun_s)
            raise
        self.tally.command(body, None, begun_s)
        return answer

    async def _submit(self, given: Command) -> bytes:
        if self._closing or self._refusing:
            raise Unavailable(self._down_reason or "the server is stopping")
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} commands are waiting")
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Entry(given, future))
        self._wake.set()
        return await future

    async def ask(self, body: Body, answer_type: type[Answer], *, actor: str, provider_id: int = 0) -> Answer:
        """`submit`, with the answer decoded."""
        return msgspec.json.decode(await self.submit(body, actor=actor, provider_id=provider_id), type=answer_type)

    async def _lane(self, session: Session) -> None:
        while True:
            if self._down_reason:
                await self._probe(session)
                continue
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            entries = self._take()
            if not entries:
                continue
            self._in_flight += len(entries)
            self._idle -= 1
            size, begun_s = len(entries), time.monotonic()
            try:
                await self._run(session, entries)
            finally:
                self.tally.batch(size, begun_s)
                self._in_flight -= len(entries)
                self._idle += 1

    def _take(self) -> list[_Entry]:
        """The next batch. What waited while this process stood still is refused: whoever gave it was let in too long
        ago, and may have been logged out since."""
        taken = [self._waiting.popleft() for _ in range(share(len(self._waiting), self._idle))]
        now = time.monotonic()
        late = [entry for entry in taken if now >= entry.deadline + LATE_S]
        for entry in late:
            _fail(entry, "this command has waited too long; ask again")
        return [entry for entry in taken if entry not in late] if late else taken

    async def _probe(self, session: Session) -> None:
        try:
            await session.begin(Reads([], [], [], [], []))
            await session.abort()
        except ConnectionFault as fault:
            self._set_down(str(fault), fault.wait_s)
            if self._refusing:
                self._refuse_waiting()
            await asyncio.sleep(RETRY_S[-1])
        else:
            self._set_down("")

    async def _run(self, session: Session, entries: list[_Entry]) -> None:
        """Run the entries until each is answered or past its deadline. Never raises."""
        for delay in (*RETRY_S, *[RETRY_S[-1]] * 1000):
            try:
                entries = self._deliver(
                    entries, await batch.run(session, [entry.command for entry in entries], self._policy, self._provide)
                )
            except ConnectionFault as fault:
                entries = self._after_fault(entries, fault)
            except Exception:
                log.exception("a batch of %d commands failed", len(entries))
                await self._abandon(session, entries)
                return
            if not entries:
                return
            await asyncio.sleep(delay)

    def _deliver(self, entries: list[_Entry], outcomes: list[batch.Outcome]) -> list[_Entry]:
        """Answer the entries; those that a connection fault hit are left to be tried again."""
        self._set_down("")
        self._on_commit()
        again: list[_Entry] = []
        for entry, outcome in zip(entries, outcomes, strict=True):
            if entry.future.done():
                continue  # its caller went away
            if isinstance(outcome, str):
                entry.future.set_result(outcome.encode())
            elif outcome is None:
                entry.future.set_exception(CommandConflict("this command id was used with other content"))
            elif isinstance(outcome, ConnectionFault):
                entry.unknown = entry.unknown or outcome.commit_sent
                again.append(entry)
            elif isinstance(outcome, BatchRejected):
                log.error("command %s cannot be written: %s", entry.command.command_id, outcome)
                entry.future.set_exception(IntakeError("this command cannot be written"))
        return again

    def _refuse_waiting(self) -> None:
        """No primary came in time: who waited for one may ask elsewhere."""
        while self._waiting:
            _fail(self._waiting.popleft(), self._down_reason)

    def _after_fault(self, entries: list[_Entry], fault: ConnectionFault) -> list[_Entry]:
        self._set_down(str(fault), fault.wait_s)
        now = time.monotonic()
        for entry in entries:
            entry.unknown = entry.unknown or fault.commit_sent
            if now >= max(entry.deadline, self._wait_until):
                _fail(entry, str(fault))
        return [entry for entry in entries if not entry.future.done()]

    async def _abandon(self, session: Session, entries: list[_Entry]) -> None:
        for entry in entries:
            if not entry.future.done():
                entry.future.set_exception(IntakeError("the batch failed inside the server"))
        try:
            await session.abort()
        except ConnectionFault as fault:
            self._set_down(str(fault), fault.wait_s)

    def _set_down(self, reason: str, wait_s: float = 0.0) -> None:
        if reason and not self._down_reason:
            self._down_since = time.monotonic()
        self._wait_until = self._down_since + wait_s
        if bool(reason) != bool(self._down_reason):
            log.warning("the database is away: %s", reason) if reason else log.info("the database answers")
        self._down_reason = reason
        if not reason and self._waiting:
            self._wake.set()


def share(waiting: int, idle: int) -> int:
    """How many of the `waiting` commands the next of `idle` lanes takes: its part, so that one batch is folded while
    the database writes another, but not so few that the costs of a transaction outweigh that."""
    return min(MAX_BATCH, waiting, max(MIN_SHARE, -(-waiting // idle)))


def _fail(entry: _Entry, reason: str) -> None:
    if not entry.future.done():
        entry.future.set_exception(OutcomeUnknown(reason) if entry.unknown else Unavailable(reason))
