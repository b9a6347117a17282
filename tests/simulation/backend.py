"""Our backend and the real one in the simulation, as cupsd starts them.

Ours does step by step what `provider/cups_backend/inkeeper.py` does, on the simulated disk; the real one says what
CUPS's ipp backend says (its messages are the evidence that the provider reads).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from provider.jobs.events import Deny, Finished, Hold, Print, Reply, Superseded, Wait
from provider.journal.record import encode
from provider.journal.runs import (
    DRAFT_MARK,
    HELD_MARK,
    NOTE_SUFFIX,
    OFFLINE_MARK,
    Ended,
    HeldNote,
    Started,
    read_words,
)
from tests.simulation.disk import File
from tests.simulation.kernel import GONE, Future, Gone, Process
from tests.simulation.printer import ABORTED, CANCELED, COMPLETED, PrinterJob

if TYPE_CHECKING:
    from tests.simulation.printing import Cupsd, Job

SILENCE_S, AWAY_S, RETRY_S, PATIENCE_S, PERMISSION_S, KILL_AFTER_S = 1.8, 1.8, 0.1, 600.0, 30.0, 25.0
OK, FAILED, HOLD, STOP, CANCEL = 0, 1, 3, 4, 5
ROOM_FOR_END: Final = 512


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

    def __init__(self, cupsd: "Cupsd", job: "Job") -> None:
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
        if isinstance(reply, Hold):
            return HOLD
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
        if self.site.rule.offline != "allow":
            return self._leave_note(f"{HELD_MARK}{self.job.number}-{noise:08x}{NOTE_SUFFIX}")
        return Print("", f"{OFFLINE_MARK}{self.job.number}-{noise:08x}", 0, 0, 0, self.incarnation, True)

    def _leave_note(self, name: str) -> Hold:
        note = HeldNote(
            v=1,
            held_at=self.now_ms(),
            options=self.options,
            queue=self.job.queue,
            cups_job_id=self.job.number,
        )
        disk = self.site.disk
        self.effect()
        try:
            draft = disk.create(f"{DRAFT_MARK}{name}")
            disk.write(draft, 0, encode(msgspec.json.encode(note)))
        except OSError as error:
            raise Busy(f"the note cannot be written: {error}") from error
        self.effect()
        disk.sync(draft)
        self.effect()
        disk.link(f"{DRAFT_MARK}{name}", name)
        disk.unlink(f"{DRAFT_MARK}{name}")
        self.effect()
        disk.sync_folder()
        return Hold("no daemon answers")

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
            log = disk.create_with_room(f"{name}.log")
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
        self._site.disk.write(self._log, len(self._log.data), text.encode(), room=True)

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
        trap, self._site.on_sent = self._site.on_sent, None
        if trap is not None:
            trap(self)
        self.effect()
        self._say("STATE: +cups-waiting-for-job-completed\n")
        while job.state < CANCELED:
            await self.sleep(0.5)
        self.effect()
        code = FAILED if job.state == ABORTED and rng.random() < 0.5 else OK
        word = {CANCELED: "canceled", ABORTED: "aborted", COMPLETED: "completed"}[job.state]
        self._say(f"DEBUG: job-impressions-completed integer {job.done}\nDEBUG: job-state enum {word}\n")
        self.exit(code)
