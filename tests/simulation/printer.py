"""The printer in the simulation: it never dies, and prints what it has been given whole, whoever is still alive."""

from dataclasses import dataclass
from typing import Final

from provider.cups import ipp
from tests.simulation.kernel import Kernel

PENDING, HELD, PROCESSING, CANCELED, ABORTED, COMPLETED = 3, 4, 5, 7, 8, 9
PAGE_S: Final = 0.4


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
        self.deaf = False  # it prints, and nobody can ask it anything
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
