"""How many jobs a second one print server works off over one queue and over four, tracked, beside what CUPS does alone.

The same queues twice, to the same place (CUPS's own socket backend into a sink on this machine): those that are tracked
analyse, authorise and report each job as in `make run`; the others are CUPS's own limit. Jobs are submitted while the
queues are paused; measured is the time from their release to the end of the last job.
"""

import sys
import time
from pathlib import Path

from scripts.bench.frame import show, take_turns
from scripts.bench.tracking import Sink, ends_of, make_site
from scripts.demo.cast import Cast
from tests.support.documents import Page, text_lines, write_pdf
from tests.support.folders import scratch_folder
from tests.support.processes import run

JOBS = 20  # a queue
ROUNDS = 4
QUEUES = 4


def work_off(cast: Cast, names: list[str], document: Path) -> float:
    """Jobs a second, over these queues together."""
    cupsd = cast.cupsd
    for name in names:
        run(["cupsdisable", name], env=cupsd.env)
    ids = [cupsd.lp(name, document, user="alice") for _ in range(JOBS) for name in names]
    place = cupsd.error_log.stat().st_size
    began = time.monotonic()
    run(["cupsenable", *names], env=cupsd.env)
    ends = ends_of(cupsd.error_log, place, ids)
    return len(ids) / (max(ends.values()) - began)


def main() -> int:
    with scratch_folder() as folder:
        document = write_pdf(folder / "letter.pdf", [Page(content=text_lines(30, 1)), Page(content=text_lines(20, 2))])
        tracked = [f"tracked{number}" for number in range(QUEUES)]
        plain = [f"plain{number}" for number in range(QUEUES)]
        with make_site(folder, Sink(), tracked, plain) as cast:
            for count in (1, QUEUES):
                ours, alone = take_turns(
                    [
                        lambda count=count: work_off(cast, tracked[:count], document),  # type: ignore[misc]
                        lambda count=count: work_off(cast, plain[:count], document),  # type: ignore[misc]
                    ],
                    ROUNDS,
                )
                title = f"Jobs of two pages a second on one print server, {count} queue{'s' if count > 1 else ''}"
                show(title, ("tracked", ours), ("untracked", alone), "jobs/s", "-")
    return 0


if __name__ == "__main__":
    sys.exit(main())
