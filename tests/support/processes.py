"""Starting and stopping real programs, exactly those that were started here and nothing else.

Every program gets a session of its own and a mark in its environment, so whatever it left behind (a CUPS backend whose
cupsd was killed, say) can be found and ended by its process id. Both must fit: numbers are used again, after minutes on
a busy machine. A program ends with the thread that started it, however that one ends. Whatever waits has a deadline and
says, when it passes, what it waited for and what the program had written last.
"""

import itertools
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NamedTuple, Self, TypeVar

T = TypeVar("T")

TAIL_LINES = 40
FIRST_PORT, PORTS, WORKERS = 10_000, 1_000, 8  # for each of so many test workers, and once more for who is none
MARK = "INKEEPER_NEIGHBOUR"
LISTEN = "0A"  # the state as /proc/net/tcp tells it


class Failed(RuntimeError):
    """A neighbour did not do what was expected in time; the message holds the end of its log."""


def wait_until(probe: Callable[[], T | None], timeout_s: float, what: str, interval_s: float = 0.05) -> T:
    """What `probe` answers as soon as that is true. Raises Failed after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise Failed(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(interval_s)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that no other test worker is given meanwhile.

    What the kernel would choose may be chosen for two workers, as long as neither listens yet; cupsd and ippeveprinter
    then share it without a word (SO_REUSEPORT), and answer for each other. These are below those of connections.
    """
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _own_ports() -> Iterator[int]:
    """This worker's ports, again and again, from a random one on: other runs of the tests may use the same."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    first = FIRST_PORT + PORTS * (int(worker) % WORKERS if worker.isdigit() else WORKERS)
    start = first + random.randrange(PORTS)
    return itertools.cycle([*range(start, first + PORTS), *range(first, start)])


_ports = _own_ports()


def listening(port: int, host: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def listens(pid: int, port: int) -> bool:
    """Whether somebody listens on this TCP port in the network that process `pid` lives in."""
    try:
        tables = [Path("/proc", str(pid), "net", name).read_text() for name in ("tcp", "tcp6")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return any(row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def as_user(user: str) -> list[str]:
    """The words that run what follows them as `user`; none where we are not root and could not anyway."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 30,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    typed: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, with `typed` on its stdin. Raises Failed with what it said when it ends late or
    (with `check`) badly."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, env=env, input=typed)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(words)} did not end within {timeout_s:g} s") from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise Failed(f"{' '.join(words)} ended with {done.returncode}: {said}")
    return done


class Seen(NamedTuple):
    """A process as /proc tells of it."""

    pid: int
    parent: int
    session: int


def living() -> list[Seen]:
    """Every process that is no zombie."""
    seen = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we were looking
            state, parent, _group, session = stat.rpartition(")")[2].split()[:4]
            if state != "Z":
                seen.append(Seen(int(entry), int(parent), int(session)))
    return seen


def session_members(session: int) -> list[int]:
    """The processes that live in a session: what a program we started has started in its turn, orphans too."""
    return [process.pid for process in living() if process.session == session]


def children(parent: int) -> list[int]:
    return [process.pid for process in living() if process.parent == parent]


def marked(pid: int, mark: str) -> bool:
    """Whether a process, or who started it, was started under this mark."""
    try:
        return f"{MARK}={mark}".encode() in Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it ended, or it is somebody else's


def alive(pid: int) -> bool:
    return any(process.pid == pid for process in living())


class Process:
    """One program in the background, its output in a log file. Can be started again after it ended."""

    live: ClassVar["list[Process]"] = []

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        on: Sequence[str] = (),
    ) -> None:
        """`on` are words that run what follows them elsewhere and become it, such as a network namespace's."""
        self.name = name
        self.on = list(on)
        self.argv = [str(word) for word in argv]
        self.log = log
        self.env = dict(env) if env is not None else None
        self.cwd = cwd
        self.user = user
        self.stop_signal = stop_signal
        self.shared = False  # whether it outlives one test
        self._mark = secrets.token_hex(8)
        self._popen: subprocess.Popen[bytes] | None = None
        self.sessions: list[int] = []
        self._log_start = 0

    @property
    def pid(self) -> int:
        if self._popen is None:
            raise Failed(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._popen.poll() if self._popen is not None else None

    def start(self) -> Self:
        if self.running:
            raise Failed(f"{self.name} runs already")
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        prefix = as_user(self.user) if self.user else []
        ending = ["--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        guarded = [*self.on, *(prefix or ["setpriv"]), *ending, "--", *self.argv]
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**(os.environ if self.env is None else self.env), MARK: self._mark},
                cwd=self.cwd,
                start_new_session=True,
            )
        self.sessions.append(self._popen.pid)
        if self not in Process.live:
            Process.live.append(self)
        return self

    def written(self) -> str:
        """What it wrote since it was last started."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        return "\n".join(self.written().splitlines()[-TAIL_LINES:])

    def wait_for(self, probe: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """Like wait_until, but gives up at once, with the log's end, when the program has ended."""

        def probe_or_ended() -> T | None:
            answer = probe()
            if not answer and not self.running:
                raise Failed(f"{self.name} ended with {self.exit_code} before {what}:\n{self.tail()}")
            return answer

        try:
            return wait_until(probe_or_ended, timeout_s, f"{what} ({self.name})")
        except Failed as error:
            if self.running:
                raise Failed(f"{error}; the last it wrote:\n{self.tail()}") from None
            raise

    def wait_for_line(self, pattern: str, timeout_s: float = 20) -> re.Match[str]:
        return self.wait_for(lambda: re.search(pattern, self.written(), re.MULTILINE), timeout_s, f"a line {pattern!r}")

    def wait_for_port(self, port: int, timeout_s: float = 60) -> None:
        probe = (lambda: listens(self.pid, port)) if self.on else (lambda: listening(port))
        self.wait_for(probe, timeout_s, f"it listened on port {port}")

    def wait_for_end(self, timeout_s: float = 20) -> int:
        """Its exit code."""
        if self._popen is None:
            raise Failed(f"{self.name} was not started")
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end within {timeout_s:g} s; the last it wrote:\n{self.tail()}") from None

    def signal(self, number: int) -> None:
        """Send a signal to exactly this process, if it still runs."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def kill9(self) -> None:
        """SIGKILL this one process and wait until it is gone; its children live on as orphans."""
        self.signal(signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait(10)

    def stop(self, timeout_s: float = 10) -> int | None:
        """End it in good order, else by force, then whatever it left behind. Its exit code."""
        if self.running:
            self.signal(signal.SIGCONT)  # a stopped process could not hear the other one
            self.signal(self.stop_signal)
            try:
                self.wait_for_end(timeout_s)
            except Failed:
                self.kill9()
        self.end_leftovers()
        if self in Process.live:
            Process.live.remove(self)
        return self.exit_code

    def leftovers(self) -> list[int]:
        """Process ids of what it and its former lives started and left running."""
        own = {self._popen.pid} if self.running and self._popen is not None else set()
        members = [pid for session in self.sessions for pid in session_members(session)]
        return [pid for pid in members if pid not in own and marked(pid, self._mark)]

    def end_leftovers(self, timeout_s: float = 5) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.leftovers():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            try:
                wait_until(lambda: not self.leftovers(), timeout_s, f"the children of {self.name} to end", 0.02)
            except Failed:
                continue
            break
        self.sessions = self.sessions[-1:] if self.running else []

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
