"""What tracking adds to a job: two queues of one cupsd to the same place, one tracked, one not.

Both lead through CUPS's own socket backend into a sink on this machine, so that a backend is started for either. Jobs
are submitted while the queue is paused; measured is the time in which cupsd works them off, divided by their number.
The tracked queue's jobs are analysed, authorised by a server on SQLite, and reported, as in `make run`.

When a job was over is read from cupsd's own log: asking cupsd every few milliseconds took more from the two processors
than a job does. The processor time of all programs that take part is told beside the clock's, since only that is the
same on a busy machine.
"""

import contextlib
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from scripts.bench.frame import Series, show, take_turns
from scripts.demo import first_time
from scripts.demo.cast import START_TIMEOUT_S, Cast
from scripts.demo.state import State, prepare
from tests.support.cupsd import PrivateCupsd
from tests.support.documents import Page, text_lines, write_pdf
from tests.support.folders import scratch_folder
from tests.support.processes import Failed, Process, children, free_port, run

JOBS = 20
ROUNDS = 7
LOOK_S = 0.001
PATIENCE_S = 120.0


class Sink:
    """Takes in whatever is sent, like a printer on port 9100."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, name="sink", daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _address = self._listener.accept()
            with connection:
                while connection.recv(1 << 16):
                    continue


class Turns:
    """Works jobs off on a queue, and keeps what each of them took."""

    def __init__(self, cast: Cast, document: Path) -> None:
        self._cupsd: PrivateCupsd = cast.cupsd
        self._document = document
        self._programs = [cast.cupsd.process.pid, cast.provider.pid, cast.server.pid, *children(cast.provider.pid)]
        self.singles: dict[str, list[float]] = {}
        self.processor: dict[str, list[float]] = {}

    def work_off(self, queue: str) -> float:
        """Milliseconds a job, from the release of a paused queue of JOBS jobs to the end of the last."""
        run(["cupsdisable", queue], env=self._cupsd.env)
        ids = [self._cupsd.lp(queue, self._document, user="alice") for _ in range(JOBS)]
        place, used_ms = self._cupsd.error_log.stat().st_size, self._processor_ms()
        began = time.monotonic()
        run(["cupsenable", queue], env=self._cupsd.env)
        ends = ends_of(self._cupsd.error_log, place, ids)
        times = [began, *(ends[job_id] for job_id in ids)]
        for job_id in ids:
            self._cupsd.wait_for_state(job_id, ("completed",), 30)
        self.processor.setdefault(queue, []).append((self._processor_ms() - used_ms) / JOBS)
        self.singles.setdefault(queue, []).extend((b - a) * 1000 for a, b in pairwise(times[1:]))
        return (times[-1] - began) * 1000 / JOBS

    def _processor_ms(self) -> float:
        """Processor time so far of cupsd with all backends that it ran, the daemon, its workers, and the server."""
        return sum(map(own_ms, self._programs)) + ended_children_ms(self._programs[0])


def ends_of(log: Path, place: int, ids: list[int]) -> dict[int, float]:
    """When each of the jobs was over, by cupsd's log from `place` on."""
    wanted, ends, text = set(ids), dict[int, float](), b""
    deadline = time.monotonic() + PATIENCE_S
    with log.open("rb") as file:
        file.seek(place)
        while wanted - ends.keys():
            text += file.read()
            now = time.monotonic()
            *lines, text = text.split(b"\n")
            for line in lines:
                _, is_end, _ = line.partition(b"] Job completed.")
                if is_end:
                    ends[int(line.rpartition(b"[Job ")[2].partition(b"]")[0])] = now
            if now > deadline:
                raise Failed(f"cupsd did not complete jobs {sorted(wanted - ends.keys())} within {PATIENCE_S:g} s")
            time.sleep(LOOK_S)
    return ends


def own_ms(pid: int) -> float:
    """Processor time of a process and its threads that live."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def ended_children_ms(pid: int) -> float:
    """Processor time of the children that a process has waited for, and of theirs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * 1000 / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def make_site(folder: Path, sink: Sink, tracked: Sequence[str], plain: Sequence[str]) -> Iterator[Cast]:
    """A print server as `make run` has it, with these queues into the sink."""
    state = State(folder / "run", elsewhere=False)
    prepare(state)
    cast = Cast(state, "127.0.0.1", free_port())
    try:
        set_up(cast, sink, tracked, plain)
        yield cast
    finally:
        for process in reversed(Process.live[:]):
            process.stop()


def set_up(cast: Cast, sink: Sink, tracked: Sequence[str], plain: Sequence[str]) -> None:
    """Everything, started and in touch."""
    cast.write_settings()
    cast.server_command("migrate")
    first_time.make_tokens(cast)
    cast.cupsd.start()
    cast.start_server()
    first_time.add_users(cast)
    first_time.enroll(cast)
    for queue in (*plain, *tracked):
        cast.cupsd.add_raw_queue(queue, f"socket://127.0.0.1:{sink.port}")
    for queue in tracked:
        cast.provider_command("track", queue)
    cast.provider.start()
    cast.provider.wait_for(cast.provider_ready, START_TIMEOUT_S, "the provider was in touch with the server")


def tell(tracked: Series, plain: Series, turns: Turns) -> None:
    show(f"A job of two pages through cupsd, {JOBS} in a row", ("tracked", tracked), ("untracked", plain), "ms", "-")
    for queue, name in (("tracked", "tracked"), ("plain", "untracked")):
        cuts = statistics.quantiles(turns.singles[queue], n=100)
        processor = statistics.median(turns.processor[queue])
        print(
            f"  {name:9}  single jobs: p50 {cuts[49]:.0f}, p90 {cuts[89]:.0f}, p99 {cuts[98]:.0f} ms "
            f"of {len(turns.singles[queue])}; processor time {processor:.0f} ms a job, all programs together"
        )
    added = tracked.median - plain.median
    print(f"  added by tracking  {added:.1f} ms a job   (aim: at most 25 ms)", flush=True)


def without_warm_up(values: Mapping[str, list[float]], rounds: int) -> dict[str, list[float]]:
    """What the rounds that count measured."""
    return {name: kept[len(kept) // (rounds + 1) :] for name, kept in values.items()}


def main() -> int:
    with scratch_folder() as folder:
        document = write_pdf(folder / "letter.pdf", [Page(content=text_lines(30, 1)), Page(content=text_lines(20, 2))])
        with make_site(folder, Sink(), ["tracked"], ["plain"]) as cast:
            turns = Turns(cast, document)
            tracked, plain = take_turns(
                [lambda: turns.work_off("tracked"), lambda: turns.work_off("plain")],
                ROUNDS,
            )
    turns.singles = without_warm_up(turns.singles, ROUNDS)
    turns.processor = without_warm_up(turns.processor, ROUNDS)
    tell(tracked, plain, turns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
