"""What tracking adds to a job: two queues of one cupsd to the same place, one tracked, one not.

Both lead through CUPS's own socket backend into a sink on this machine, so that a backend is started for either. Jobs
are submitted while the queue is paused; measured is the time in which cupsd works them off, divided by their number.
The tracked queue's jobs are analysed, authorised by a server on SQLite, and reported, as in `make run`.
"""

import socket
import sys
import threading
import time
from pathlib import Path

from scripts.bench.frame import show, take_turns
from scripts.demo import first_time
from scripts.demo.cast import START_TIMEOUT_S, Cast
from scripts.demo.state import State, prepare
from tests.support.cupsd import ENDED, PrivateCupsd
from tests.support.documents import Page, text_lines, write_pdf
from tests.support.folders import scratch_folder
from tests.support.processes import Process, free_port, run, wait_until

JOBS = 20
ROUNDS = 5


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


def work_off(cupsd: PrivateCupsd, queue: str, document: Path) -> float:
    """Milliseconds a job, from the release of a paused queue of JOBS jobs to the end of the last."""
    run(["cupsdisable", queue], env=cupsd.env)
    ids = [cupsd.lp(queue, document, user="alice") for _ in range(JOBS)]
    began = time.monotonic()
    run(["cupsenable", queue], env=cupsd.env)
    wait_until(lambda: cupsd.job(ids[-1]).state in ENDED, 120, f"{JOBS} jobs of {queue} to end", 0.005)
    took_ms = (time.monotonic() - began) * 1000
    for job_id in ids:
        cupsd.wait_for_state(job_id, ("completed",), 30)
    return took_ms / JOBS


def set_up(cast: Cast, sink: Sink) -> None:
    """Everything as `make run` has it, and the two queues."""
    cast.write_settings()
    cast.server_command("migrate")
    first_time.make_tokens(cast)
    cast.cupsd.start()
    cast.start_server()
    first_time.add_users(cast)
    first_time.enroll(cast)
    for queue in ("plain", "tracked"):
        cast.cupsd.add_raw_queue(queue, f"socket://127.0.0.1:{sink.port}")
    cast.provider_command("track", "tracked")
    cast.provider.start()
    cast.provider.wait_for(cast.provider_ready, START_TIMEOUT_S, "the provider was in touch with the server")


def main() -> int:
    with scratch_folder() as folder:
        state = State(folder / "run", elsewhere=False)
        prepare(state)
        cast = Cast(state, "127.0.0.1", free_port())
        document = write_pdf(folder / "letter.pdf", [Page(content=text_lines(30, 1)), Page(content=text_lines(20, 2))])
        try:
            set_up(cast, Sink())
            tracked, plain = take_turns(
                [lambda: work_off(cast.cupsd, "tracked", document), lambda: work_off(cast.cupsd, "plain", document)],
                ROUNDS,
            )
        finally:
            for process in reversed(Process.live[:]):
                process.stop()
    show(f"A job of two pages through cupsd, {JOBS} in a row", ("tracked", tracked), ("untracked", plain), "ms", "-")
    added = tracked.median - plain.median
    print(f"  added by tracking  {added:.1f} ms a job   (aim: at most 25 ms)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
