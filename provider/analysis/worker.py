"""Documents are looked at in worker processes that are always there, may be killed, and are replaced.

A worker is started once and has everything imported, so that a one-page PDF takes milliseconds. The daemon's event
loop only writes a question, passes the document's descriptor, and waits. What can go wrong, and what comes of it:

- a worker dies (kill -9, a crash in a decoder, no memory): a new one looks once more, for it may not have been the
  document's fault; then the stated rule of `provider.analysis.fallback` answers;
- a worker takes longer than `timeout_s`: it is killed. Pages that were counted already stay exact, only the search
  for colour is given up; else the stated rule answers;
- all workers are busy for `wait_s`: the stated rule answers.

Invariant: `analyse` gives facts for every document, marked as estimated with the reason where they are, in at most
twice `wait_s` plus `timeout_s`; at most `workers` documents are looked at at a time.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Final

from backend.wire.jobs import JobFacts
from provider.analysis.fallback import estimate
from provider.analysis.formats import HEAD_BYTES, document_format
from provider.analysis.frames import HEADER, Answer, FrameError, Question, frame, frame_length, read_answer
from provider.analysis.ticket import AnalysisRequest, clean_request

MEMORY_ALLOWANCE_BYTES: Final = 768 << 20
START_TIMEOUT_S: Final = 20.0
_KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
_COLOR_SHARE: Final = 0.7  # of the time-out, after which the search for colour ends by itself
_TRIES: Final = 2
_LONGEST_PAUSE_S: Final = 30.0

_log = logging.getLogger(__name__)


class WorkerDied(Exception):
    """The worker process is gone or talks nonsense; a new one may succeed."""


class _NoTime(Exception):
    """The document is not to be tried again; the text says why."""


class Analyser:
    """Up to `workers` documents at a time. Its workers belong to the event loop and the thread that started it."""

    def __init__(
        self, *, workers: int = 2, wait_s: float = 30.0, memory_allowance_bytes: int = MEMORY_ALLOWANCE_BYTES
    ) -> None:
        self._count = workers
        self._wait_s = wait_s
        self._allowance = memory_allowance_bytes
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()  # None: closed, for everybody who waits
        self._workers: set[_Worker] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that live now."""
        return tuple(sorted(worker.pid for worker in self._workers))

    async def start(self) -> None:
        """Start all workers; raises WorkerDied when one cannot be."""
        for started in await asyncio.gather(*(self._new_worker() for _ in range(self._count)), return_exceptions=True):
            if isinstance(started, BaseException):
                await self.close()
                raise started
            self._idle.put_nowait(started)

    async def close(self) -> None:
        """End every worker, in whatever it is doing. Analyses that run or wait end with an estimate."""
        self._closed = True
        self._idle.put_nowait(None)
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await asyncio.gather(*(self._end(worker) for worker in tuple(self._workers)))

    async def analyse(self, descriptor: int, request: AnalysisRequest, timeout_s: float = 60.0) -> JobFacts:
        """The facts of the document behind an open file descriptor, which stays open and where it was."""
        request = clean_request(request)
        counted: list[JobFacts] = []
        reason = "the worker that looked at it died"
        for _ in range(_TRIES):
            try:
                return await self._try(descriptor, request, timeout_s, counted.append)
            except _NoTime as error:
                reason = str(error)
                break
            except WorkerDied as error:
                _log.warning("an analysis worker died and is replaced: %s", error)
        if counted:
            return counted[-1]
        return _estimated(descriptor, request, f"the document could not be counted: {reason}")

    async def _try(
        self, descriptor: int, request: AnalysisRequest, timeout_s: float, counted: Callable[[JobFacts], None]
    ) -> JobFacts:
        worker = await self._idle_worker()
        finished = False
        try:
            async with asyncio.timeout(timeout_s):
                facts = await worker.ask(
                    descriptor, Question(request=request, budget_s=_COLOR_SHARE * timeout_s), counted
                )
            finished = True
            return facts
        except TimeoutError:
            raise _NoTime(f"it took longer than {timeout_s:g} s") from None
        finally:
            if finished:
                self._idle.put_nowait(worker)
            else:
                self._replace(worker)

    async def _idle_worker(self) -> "_Worker":
        """A worker that lives; one that died while it was idle is replaced on the way."""
        try:
            async with asyncio.timeout(self._wait_s):
                while True:
                    worker = await self._idle.get()
                    if worker is None:
                        self._idle.put_nowait(None)
                        raise _NoTime("the provider is shutting down")
                    if worker.lives():
                        return worker
                    self._replace(worker)
        except TimeoutError:
            raise _NoTime(f"every worker was busy for {self._wait_s:g} s") from None

    def _replace(self, worker: "_Worker") -> None:
        worker.kill()
        if not self._closed:
            task = asyncio.create_task(self._restart(worker))
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)

    async def _restart(self, worker: "_Worker") -> None:
        """Put a new worker in the place of one that was killed, trying for ever, ever more slowly."""
        await self._end(worker)
        pause_s = 0.5
        while True:
            try:
                self._idle.put_nowait(await self._new_worker())
                return
            except WorkerDied as error:
                _log.error("an analysis worker cannot be started, the next try is in %g s: %s", pause_s, error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _new_worker(self) -> "_Worker":
        worker = await _Worker.spawn(self._allowance)
        self._workers.add(worker)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await worker.ready()
        except TimeoutError:
            await self._end(worker)
            raise WorkerDied(f"it was not ready after {START_TIMEOUT_S:g} s") from None
        except BaseException:
            await self._end(worker)
            raise
        return worker

    async def _end(self, worker: "_Worker") -> None:
        await worker.end()
        self._workers.discard(worker)


class _Worker:
    """One worker process and this end of its socket pair."""

    def __init__(self, process: asyncio.subprocess.Process, connection: socket.socket) -> None:
        self._process = process
        self._connection = connection

    @classmethod
    async def spawn(cls, allowance_bytes: int) -> "_Worker":
        ours, theirs = socket.socketpair()
        arguments = (str(theirs.fileno()), str(os.getpid()), str(allowance_bytes))
        command = (sys.executable, "-P", "-m", "provider.analysis.worker_process", *arguments)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),), env=_environment()
            )
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise WorkerDied(f"{sys.executable} cannot be started: {error}") from error
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    def lives(self) -> bool:
        """False once the process has died: the kernel has closed its end of the socket by then."""
        try:
            return bool(self._connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def ready(self) -> None:
        await self._receive()

    async def ask(self, descriptor: int, question: Question, counted: Callable[[JobFacts], None]) -> JobFacts:
        """The final facts; what comes before goes to `counted`. Raises WorkerDied."""
        await self._send(frame(question), descriptor)
        while True:
            answer = await self._receive()
            if answer.facts is None:
                raise WorkerDied("it answered without facts")
            if answer.final:
                return answer.facts
            counted(answer.facts)

    async def _send(self, data: bytes, descriptor: int) -> None:
        """The socket is empty between questions, so that the first bytes and the descriptor go at once."""
        try:
            sent = socket.send_fds(self._connection, [data], [descriptor])
            await asyncio.get_running_loop().sock_sendall(self._connection, data[sent:])
        except OSError as error:
            raise WorkerDied(f"it does not take the question: {error}") from error

    async def _receive(self) -> Answer:
        try:
            header = await self._exactly(HEADER.size)
            return read_answer(await self._exactly(frame_length(header)))
        except (OSError, FrameError) as error:
            raise WorkerDied(str(error)) from error

    async def _exactly(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = bytearray()
        while len(parts) < count:
            part = await loop.sock_recv(self._connection, count - len(parts))
            if not part:
                raise FrameError("it has ended")
            parts += part
        return bytes(parts)

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        self.kill()
        await self._process.wait()
        self._connection.close()


def _estimated(descriptor: int, request: AnalysisRequest, reason: str) -> JobFacts:
    """The stated rule for a document that no worker answered for."""
    try:
        head = os.pread(descriptor, HEAD_BYTES, 0)
    except OSError:  # a pipe, say: it has no beginning to come back to
        head = b""
    kind = document_format(head, request.document_format)
    return estimate(request, kind, os.fstat(descriptor).st_size, reason)


def _environment() -> dict[str, str]:
    """No secret of the daemon's goes to where foreign documents are parsed; BLAS, which numpy brings, makes no
    threads.
    """
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {"OPENBLAS_NUM_THREADS": "1"}
