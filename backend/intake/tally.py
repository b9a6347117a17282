"""What the intake counts: commands by kind and outcome, how long they took, and the batches they went in."""

import time
from typing import Final

from backend.base.tally import Counts, Histogram
from backend.intake.errors import CommandConflict, IntakeError, OutcomeUnknown, Overloaded, Unavailable
from backend.intake.model import Body

DURATIONS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ANSWERED: Final = "answered"
_OUTCOMES: Final[dict[type[IntakeError], str]] = {
    CommandConflict: "conflict",
    Overloaded: "overloaded",
    OutcomeUnknown: "unknown",
    Unavailable: "unavailable",
}


class Tally:
    """`commands` by (kind, outcome): a kind is the command's name in lower case."""

    def __init__(self) -> None:
        self.commands: Counts[tuple[str, str]] = Counts()
        self.command_s = Histogram(DURATIONS_S)
        self.batch_sizes = Histogram(SIZES)
        self.batch_s = Histogram(DURATIONS_S)

    def command(self, body: Body, error: IntakeError | None, begun_s: float) -> None:
        """A command that was submitted at `begun_s` on the monotonic clock has ended now, well without an `error`."""
        outcome = ANSWERED if error is None else _OUTCOMES.get(type(error), "failed")
        self.commands.add((type(body).__name__.lower(), outcome))
        self.command_s.observe(time.monotonic() - begun_s)

    def batch(self, size: int, begun_s: float) -> None:
        """A batch of `size` commands, taken up at `begun_s`, has ended."""
        self.batch_sizes.observe(size)
        self.batch_s.observe(time.monotonic() - begun_s)
