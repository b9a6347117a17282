"""What `make run` says, and how it looks: short lines, aligned, coloured only where a terminal shows colours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.text import Text

LABEL_WIDTH = 12


class Voice:
    def __init__(self, command: str) -> None:
        self._command = command
        self._out = Console(highlight=False, soft_wrap=True)
        self._complaints = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None

    def title(self, text: str) -> None:
        self._out.print()
        self._out.print(Text(text, style="bold"))

    def line(self, label: str, text: str, style: str = "") -> None:
        """A label, then what is said of it, in two columns."""
        self._out.print(Text.assemble(("  " + label.ljust(LABEL_WIDTH), "cyan"), (text, style)))

    def event(self, clock: str, text: str, style: str = "") -> None:
        self._out.print(Text.assemble((f"  {clock}  ", "dim"), (text, style)))

    def to_paste(self, rows: Sequence[tuple[str, str]]) -> None:
        """What each does, then the command on a line of its own, so that it can be taken with a triple click."""
        for what, command in rows:
            self._out.print(Text(f"  {what}", style="cyan"))
            self._out.print(Text(command, style="bold"))

    def complain(self, text: str) -> None:
        self._complaints.print(f"{self._command}: {escape(text)}", style="red")

    @contextmanager
    def doing(self, text: str) -> Iterator[None]:
        """Show what is being waited for; on a terminal a moving sign that goes away, elsewhere a plain line."""
        if self._out.is_terminal:
            with self._out.status(escape(text)):
                yield
        else:
            self._out.print(Text(f"  {text}"))
            yield

    def countdown(self, text: str) -> None:
        """On a terminal the last line, rewritten in place ("" takes it away); elsewhere nothing, or logs would fill."""
        if not self._out.is_terminal:
            return
        if text and self._status is None:
            self._status = self._out.status(escape(text))
            self._status.start()
        elif text and self._status is not None:
            self._status.update(escape(text))
        elif self._status is not None:
            self._status.stop()
            self._status = None
