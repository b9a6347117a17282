"""A print server in the simulation, without its daemon: cupsd, our backend, the real backend, the printer.

The backend does step by step what `provider/cups_backend/inkeeper.py` does, on the simulated disk; the real backend
says what CUPS's ipp backend says (its messages are the evidence that the provider reads); the printer prints what it
has been given whole, whoever is still alive. What cupsd knows of its jobs survives.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from provider.cups import ipp
from provider.cups.client import CupsJob
from provider.jobs.events import Deny, Finished, Print, Reply, Superseded, Wait
from provider.journal.record import encode
from provider.journal.runs import OFFLINE_MARK, Ended, Started, read_words
from tests.simulation.disk import Disk, File
from tests.simulation.kernel import GONE, Future, Gone, Kernel, Machine, Process

if TYPE_CHECKING:
    from tests.simulation.provider import Daemon

SILENCE_S, AWAY_S, RETRY_S, PATIENCE_S, PERMISSION_S, KILL_AFTER_S = 10.0, 10.0, 0.2, 600.0, 30.0, 25.0
OK, FAILED, STOP, CANCEL = 0, 1, 4, 5
ROOM_FOR_END: Final = 512
PENDING, PROCESSING, CANCELED, ABORTED, COMPLETED = 3, 5, 7, 8, 9
PAGE_S: Final = 0.4


# ---------------------------------------------------------------- the printer


@dataclass
class PrinterJob:
    number: int
    title: str
    user: str
    pages: int
    printing: str  # whose printing it is: for the auditor's eyes only
    created_s: float
    state: int = PROCESSING
    done: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Sheet:
    """What lies in a tray: one job's output. `printing` is the printing it came from."""

    printing: str
    title: str
    user: str
    queue: str
    impressions: int


class Printer:
    """Never dies; prints one job after the other."""

    def __init__(self, kernel: Kernel, queue: str) -> None:
        self.kernel = kernel
        self.queue = queue
        self.jobs: list[PrinterJob] = []
        self.tray: list[Sheet] = []
        self._busy = False

    @property
    def up_time_s(self) -> float:
        return 1000.0 + self.kernel.now

    def create(self, title: str, user: str, pages: int, printing: str) -> PrinterJob:
        job = PrinterJob(len(self.jobs) + 1, title, user, pages, printing, self.up_time_s)
        self.jobs.append(job)
        return job

    def take(self, job: PrinterJob) -> None:
        """The whole document is here."""
        job.whole = True
        self._print()

    def cancel(self, job: PrinterJob) -> None:
        if job.state < CANCELED:
            self._end(job, CANCELED)

    def hang_up(self, job: PrinterJob) -> None:
        """Its sender is gone."""
        if not job.whole and job.state < CANCELED:
            self._end(job, ABORTED)

    def jam(self) -> None:
        """The job that is being printed ends here."""
        job = next((job for job in self.jobs if job.whole and job.state < CANCELED), None)
        if job is not None:
            self._end(job, ABORTED)

    @property
    def is_idle(self) -> bool:
        return all(job.state >= CANCELED for job in self.jobs)

    def _print(self) -> None:
        job = next((job for job in self.jobs if job.whole and job.state < CANCELED), None)
        if job is not None and not self._busy:
            self._busy = True
            self.kernel.at(self.kernel.now + PAGE_S, lambda: self._page(job))

    def _page(self, job: PrinterJob) -> None:
        self._busy = False
        if job.state < CANCELED:
            job.done += 1
            if job.done == job.pages:
                self._end(job, COMPLETED)
        self._print()

    def _end(self, job: PrinterJob, state: int) -> None:
        job.state = state
        self.kernel.tell(self.queue, f"job {job.number} ({job.title}) ends in state {state} with {job.done} printed")
        if job.done:
            self.tray.append(Sheet(job.printing, job.title, job.user, self.queue, job.done))

    def group(self, job: PrinterJob) -> ipp.Group:
        """The job as the printer tells of it over IPP."""
        values: dict[str, list[ipp.Value]] = {
            "job-id": [job.number],
            "job-name": [job.title],
            "job-originating-user-name": [job.user],
            "job-state": [job.state],
            "job-state-reasons": ["none" if job.whole else "job-data-insufficient"],
            "job-impressions-completed": [job.done],
            "time-at-creation": [int(job.created_s)],
            "job-printer-up-time": [int(self.up_time_s)],
        }
        return ipp.Group(ipp.JOB_GROUP, values)


# ---------------------------------------------------------------- the site


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
    cupsd: "Cupsd" = field(init=False)
    daemon: "Daemon" = field(init=False)
    backends: list["Backend"] = field(default_factory=list)
    inners: list["Inner"] = field(default_factory=list)
    lost_power: bool = False
    on_permission: "Callable[[Backend], None] | None" = None  # a trap of the plan's, sprung once

    def lose_power(self) -> None:
        for process in (*self.inners, *self.backends, self.cupsd, self.daemon):
            process.kill(silently=True)
        self.disk.lose_power()
        self.lost_power = True
        self.machine.boot += 1

    def living(self) -> "list[Process]":
        """All that runs here, after forgetting what is dead."""
        self.backends = [backend for backend in self.backends if backend.alive]
        self.inners = [inner for inner in self.inners if inner.alive]
        return [self.cupsd, self.daemon, *self.backends, *self.inners]


# ---------------------------------------------------------------- cupsd


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
        if self.alive and job is not None and job.state == PENDING:
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

    def exited(self, backend: "Backend") -> None:
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
        else:
            job.state, job.not_before_s = PENDING, self.kernel.now + 3.0
        self._next()

    def _end(self, job: Job, state: int) -> None:
        job.state = state
        job.completed = max(job.completed + 1, self.now_ms() // 1000)


# ---------------------------------------------------------------- our backend


class Busy(Exception):
    """Nothing can be printed now."""


class Away(Exception):
    """The daemon cannot be asked."""


class Connection:
    """One question at the daemon's socket."""

    def __init__(self, backend: "Backend") -> None:
        self.backend = backend
        self.life = backend.life
        self.daemon_life = backend.site.daemon.life
        self.reply: Future[Reply | Gone] = Future()
        self.session = 0
        self.closed = False


class Backend(Process):
    """One start by cupsd."""

    def __init__(self, cupsd: Cupsd, job: Job) -> None:
        super().__init__(cupsd.kernel, f"{cupsd.site.name}.b{job.number}", cupsd.machine)
        self.site = cupsd.site
        self.job = job
        self.inner: Inner | None = None
        self.incarnation = cupsd.incarnation
        self.created, self.completed = job.created, job.completed
        self.printing = job.printing
        self.pages = job.pages
        self._parent_life = cupsd.life
        self._canceled = False
        self._may_cancel = False
        self._connection: Connection | None = None

    @property
    def orphan(self) -> bool:
        return not self.site.cupsd.alive or self.site.cupsd.life != self._parent_life

    @property
    def options(self) -> str:
        completed = f" time-at-completed={self.completed}" if self.completed else ""
        return f"time-at-creation={self.created}{completed}"

    def begin(self) -> None:
        self.spawn(self._main())

    def ended(self, silently: bool) -> None:
        self._hang_up()
        cupsd = self.site.cupsd
        cupsd.after(0.001, lambda: cupsd.exited(self), self._parent_life)

    def terminate(self) -> None:
        """SIGTERM."""
        if not self._may_cancel:
            self.kill()
            return
        self._canceled = True
        self.after(0.2, self._hand_on)
        self.after(KILL_AFTER_S, self._kill_inner)

    def _hand_on(self) -> None:
        inner = self.inner
        if inner is not None:
            inner.after(0.0, inner.terminate)

    def _kill_inner(self) -> None:
        if self.inner is not None:
            self.inner.kill()

    async def _main(self) -> None:
        patience_s = self.monotonic_s() + PATIENCE_S
        while True:
            try:
                code = await self._attempt()
            except Busy as reason:
                self.tell(f"waits: {reason}")
                if self._canceled or self.monotonic_s() > patience_s:
                    code = OK if self._canceled else STOP
                else:
                    self._may_cancel = False
                    await self.sleep(1.0)
                    self._hang_up()
                    continue
            self.tell(f"ends with {code}")
            self.exit(code)
            return

    async def _attempt(self) -> int:
        try:
            reply = await self._ask()
        except Away:
            reply = self._decide_alone()
        if isinstance(reply, Finished):
            return OK
        if isinstance(reply, Deny):
            return CANCEL
        if isinstance(reply, Superseded):
            if not self.orphan:
                raise Busy("another backend of this job asks")
            return FAILED
        if isinstance(reply, Wait):
            await self.sleep(min(reply.seconds, 10.0))
            raise Busy(reply.message)
        return await self._print(reply)

    async def _ask(self) -> Reply:
        patience_s = self.monotonic_s() + AWAY_S
        daemon = self.site.daemon
        while True:
            reply = await self._ask_once() if daemon.alive else GONE
            if not isinstance(reply, Gone):
                return reply
            if self.monotonic_s() > patience_s:
                raise Away
            await self.sleep(RETRY_S)

    async def _ask_once(self) -> Reply | Gone:
        """The daemon's answer; GONE when it died or says nothing."""
        daemon, life = self.site.daemon, self.life
        connection = self._connection = Connection(self)
        order = daemon.tell_of_death(lambda: self.after(0.0005, lambda: connection.reply.set(GONE), life))
        daemon.after(0.0005, lambda: daemon.accept(connection))
        while not connection.reply.done:
            await self.first([connection.reply], SILENCE_S)
            if daemon.stopped:
                break
        daemon.deaths.pop(order, None)
        reply = connection.reply.value if connection.reply.done else None
        if reply is None or isinstance(reply, Gone):
            self._hang_up()
            return GONE
        return reply

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        daemon = self.site.daemon
        if connection is not None:
            daemon.after(0.0005, lambda: daemon.hung_up(connection), connection.daemon_life)

    def _decide_alone(self) -> Reply:
        disk = self.site.disk
        for name, file in disk.files.items():
            if not name.endswith(".run"):
                continue
            started, ended, _ = read_words(bytes(file.data))
            same = started is not None and (started.cups_job_id, started.options) == (self.job.number, self.options)
            if same and file.locked:
                raise Busy("an earlier run of this job is still printing")
            if same and ended is not None and ended.exit_code == OK and not ended.canceled:
                return Finished()
        noise = self.kernel.rng.getrandbits(32)
        return Print("", f"{OFFLINE_MARK}{self.job.number}-{noise:08x}", 0, 0, 0, self.incarnation, True)

    async def _print(self, permission: Print) -> int:
        valid_until_s = self.monotonic_s() + PERMISSION_S
        self._may_cancel = True
        trap, self.site.on_permission = self.site.on_permission, None
        if trap is not None:
            trap(self)
        self.effect()
        name, disk = permission.name, self.site.disk
        try:
            if not permission.job_id:
                self._keep_document(name)
            self.effect()
            log = disk.create(f"{name}.log")
            run, end = await self._begin(permission, valid_until_s)
        except FileExistsError as error:
            raise Busy("another run of this job has begun") from error
        except OSError as error:
            raise Busy(f"the run cannot be written down: {error}") from error
        code = OK
        if not self._canceled:
            code = await self._run_inner(log, run)
        self.effect()
        disk.sync(log)
        word = Ended(v=1, exit_code=code, canceled=self._canceled, ended_at=self.now_ms())
        self.effect()
        disk.write(run, end, encode(msgspec.json.encode(word)), room=True)
        self.effect()
        disk.sync(run)
        return code

    def _keep_document(self, name: str) -> None:
        self.effect()
        kept = self.site.disk.create(f"{name}.doc")
        self.site.disk.write(kept, 0, str(self.pages).encode())
        self.effect()
        self.site.disk.sync(kept)

    async def _begin(self, permission: Print, valid_until_s: float) -> tuple[File, int]:
        disk, draft = self.site.disk, f".new.{self.name}.{self.kernel.rng.getrandbits(32):x}"
        self.effect()
        file = disk.create(draft)
        try:
            file.lock(self)
            word = encode(msgspec.json.encode(self._started(permission)))
            self.effect()
            disk.write(file, 0, word + bytes(ROOM_FOR_END))
            await self.sleep(self.kernel.rng.uniform(0.001, 0.01))
            self.effect()
            disk.sync(file)
            if self.monotonic_s() > valid_until_s:
                raise Busy("the permission to print is too old")
            self.effect()
            disk.link(draft, f"{permission.name}.run")
        finally:
            if self.alive:
                disk.unlink(draft)
        self.effect()
        disk.sync_folder()
        return file, len(word)

    def _started(self, permission: Print) -> Started:
        return Started(
            v=1,
            started_at=self.now_ms(),
            boot_id=f"{self.machine.name}.{self.machine.boot}",
            boot_ms=int(self.monotonic_s() * 1000),
            job_id=permission.job_id,
            run=permission.run,
            attempt=permission.attempt,
            document=permission.document,
            incarnation=permission.incarnation,
            offline=permission.offline,
            user=self.job.user,
            title=self.job.title,
            options=self.options,
            queue=self.job.queue,
            device_uri="ipp://printer/ipp/print",
            content_type="application/pdf",
            request_root="spool",
            cups_job_id=self.job.number,
            document_bytes=1000,
        )

    async def _run_inner(self, log: File, run: File) -> int:
        ended: Future[int] = Future()
        life = self.life

        def told(code: int) -> None:
            self.after(0.001, lambda: ended.set(code), life)

        self.effect()
        inner = self.inner = Inner(self, log, told)
        self.site.inners.append(inner)
        inner.start()
        run.lock(inner)
        code = await ended
        return FAILED if code is None else code


# ---------------------------------------------------------------- the real backend


class Inner(Process):
    """CUPS's ipp backend. It holds the run's lock as long as it lives, and needs nobody."""

    def __init__(self, backend: Backend, log: File, told: Callable[[int], None]) -> None:
        super().__init__(backend.kernel, f"{backend.site.name}.i{backend.job.number}", backend.machine)
        self._site = backend.site
        self._document = backend.job
        self._printing = backend.printing
        self._pages = backend.pages
        self._log = log
        self._told = told
        self.job: PrinterJob | None = None

    def begin(self) -> None:
        self.spawn(self._main())

    def ended(self, silently: bool) -> None:
        job, printer = self.job, self._site.printer
        if job is not None:
            pause_s = 8.0 if silently else 0.05
            self.kernel.at(self.kernel.now + pause_s, lambda: printer.hang_up(job))
        if not silently:
            self._told(FAILED if self.exit_code is None else self.exit_code)

    def terminate(self) -> None:
        """SIGTERM: the printer's job is canceled."""
        if self.job is not None and self.job.state < CANCELED:
            self._site.printer.cancel(self.job)
            self._say(f"DEBUG: job-impressions-completed integer {self.job.done}\nDEBUG: job-state enum canceled\n")
        self.exit(OK)

    def _say(self, text: str) -> None:
        if not self._site.disk.full:
            self._site.disk.append(self._log, text.encode())

    async def _main(self) -> None:
        rng, printer, document = self.kernel.rng, self._site.printer, self._document
        self._say("DEBUG: Connected to printer:631...\n")
        await self.sleep(rng.uniform(0.02, 0.2))
        self.effect()
        job = self.job = printer.create(document.title, document.user, self._pages, self._printing)
        self.effect()
        self._say(f"INFO: Print file accepted - job ID {job.number}.\n")
        self.effect()
        self._say("DEBUG: Sending file using chunking...\n")
        await self.sleep(rng.uniform(0.05, 0.5))
        self.effect()
        printer.take(job)
        self.effect()
        self._say("STATE: +cups-waiting-for-job-completed\n")
        while job.state < CANCELED:
            await self.sleep(0.5)
        self.effect()
        code = FAILED if job.state == ABORTED and rng.random() < 0.5 else OK
        word = {CANCELED: "canceled", ABORTED: "aborted", COMPLETED: "completed"}[job.state]
        self._say(f"DEBUG: job-impressions-completed integer {job.done}\nDEBUG: job-state enum {word}\n")
        self.exit(code)
