"""A print server in the simulation, without its daemon: its site, and cupsd with its jobs. What cupsd knows of its jobs
survives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provider.cups.client import CupsJob
from tests.simulation.backend import CANCEL, HOLD, OK, Backend, Inner
from tests.simulation.disk import Disk
from tests.simulation.kernel import Kernel, Machine, Process
from tests.simulation.plan import Rule
from tests.simulation.printer import CANCELED, COMPLETED, HELD, PENDING, PROCESSING, Printer

if TYPE_CHECKING:
    from tests.simulation.provider import Daemon


@dataclass
class Job:
    """A job as cupsd keeps it."""

    number: int
    queue: str
    title: str
    user: str
    pages: int
    created: int
    completed: int = 0
    state: int = PENDING
    not_before_s: float = 0.0
    cancel_asked: bool = False

    @property
    def printing(self) -> str:
        """The auditor's name for the printing that a backend started now would print."""
        return f"{self.title}/{self.completed}"

    def told(self) -> CupsJob:
        return CupsJob(self.number, self.state, self.created, self.completed, self.user, "client", 1)


@dataclass
class Site:
    """All of one print server."""

    kernel: Kernel
    name: str
    machine: Machine
    disk: Disk
    printer: Printer
    rule: Rule = field(default_factory=Rule)
    cupsd: "Cupsd" = field(init=False)
    daemon: "Daemon" = field(init=False)
    backends: list[Backend] = field(default_factory=list)
    inners: list[Inner] = field(default_factory=list)
    lost_power: bool = False
    on_permission: Callable[[Backend], None] | None = None  # a trap of the plan's, sprung once
    on_sent: Callable[[Inner], None] | None = None  # another one: the document has left

    def lose_power(self) -> None:
        for process in (*self.inners, *self.backends, self.cupsd, self.daemon):
            process.kill(silently=True)
        self.disk.lose_power()
        self.lost_power = True
        self.machine.boot += 1

    def living(self) -> list[Process]:
        """All that runs here, after forgetting what is dead."""
        self.backends = [backend for backend in self.backends if backend.alive]
        self.inners = [inner for inner in self.inners if inner.alive]
        return [self.cupsd, self.daemon, *self.backends, *self.inners]


class Cupsd(Process):
    """Runs one backend a queue. After its restart it runs again what was being printed."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.kernel, f"{site.name}.cupsd", site.machine)
        self.site = site
        self.jobs: dict[int, Job] = {}
        self.running: Backend | None = None
        self._arriving: list[Job] = []

    @property
    def incarnation(self) -> str:
        return f"{self.name}.{self.life}"

    @property
    def is_quiet(self) -> bool:
        return self.alive and not self._arriving and all(job.state >= CANCELED for job in self.jobs.values())

    def begin(self) -> None:
        self.running = None
        for job in self.jobs.values():
            if job.state == PROCESSING:
                job.state = CANCELED if job.cancel_asked else PENDING
        self._arrive()

    def submit(self, title: str, user: str, pages: int) -> None:
        """A person prints; while cupsd is down the client waits."""
        number = 1 + len(self.jobs) + len(self._arriving)
        self._arriving.append(Job(number, self.site.printer.queue, title, user, pages, 0))
        self.after(0.0, self._arrive)

    def cancel(self, title: str) -> bool:
        job = self.find(title)
        if not self.alive or job is None or job.state >= CANCELED:
            return False
        self.after(0.0, lambda: self._cancel(job))
        return True

    def release(self, number: int) -> None:
        """Release-Job."""
        job = self.jobs.get(number)
        if self.alive and job is not None and job.state == HELD:
            self.tell(f"releases {job.title}")
            job.state, job.not_before_s = PENDING, 0.0
            self.after(0.0, self._next)

    def cancel_number(self, number: int) -> bool:
        """Cancel-Job, as the daemon asks for it."""
        job = self.jobs.get(number)
        return job is not None and self.cancel(job.title)

    def restart(self, title: str) -> bool:
        """A person has a completed job printed again: a printing of its own."""
        job = self.find(title)
        if not self.alive or job is None or job.state != COMPLETED:
            return False
        job.state = PENDING
        self.after(0.0, self._next)
        return True

    def alter(self, title: str, pages: int) -> None:
        """A person changes a job that waits (`lp -i ID -n COPIES`), also one that was begun before."""
        job = self.find(title)
        if self.alive and job is not None and job.state in (PENDING, HELD):
            job.pages = pages

    def find(self, title: str) -> Job | None:
        return next((job for job in self.jobs.values() if job.title == title), None)

    def _arrive(self) -> None:
        for job in self._arriving:
            job.created = self.now_ms() // 1000
            self.jobs[job.number] = job
        self._arriving = []
        self._next()

    def _cancel(self, job: Job) -> None:
        if job.state >= CANCELED:
            return
        job.cancel_asked = True
        self.tell(f"cancels {job.title}")
        if self.running is not None and self.running.job is job:
            self.running.terminate()
        else:
            self._end(job, CANCELED)

    def _next(self) -> None:
        if self.running is not None:
            return
        waiting = [job for job in self.jobs.values() if job.state == PENDING]
        now_s = self.kernel.now
        job = next((job for job in waiting if job.not_before_s <= now_s), None)
        if job is not None:
            job.state = PROCESSING
            self.running = Backend(self, job)
            self.site.living()
            self.site.backends.append(self.running)
            self.running.start()
        elif waiting:
            self.after(min(job.not_before_s for job in waiting) - now_s + 0.001, self._next)

    def exited(self, backend: Backend) -> None:
        """The backend is over; one that was killed counts as one that ended well (measured)."""
        if self.running is not backend:
            return
        self.running, job = None, backend.job
        code = OK if backend.exit_code is None else backend.exit_code
        if job.cancel_asked:
            self._end(job, CANCELED)
        elif code == OK:
            self._end(job, COMPLETED)
        elif code == CANCEL:
            self._end(job, CANCELED)
        elif code == HOLD:
            job.state = HELD
        else:
            job.state, job.not_before_s = PENDING, self.kernel.now + 3.0
        self._next()

    def _end(self, job: Job, state: int) -> None:
        job.state = state
        job.completed = max(job.completed + 1, self.now_ms() // 1000)
