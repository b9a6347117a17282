"""What long work tells on stderr while it goes on: a line that is written over on a terminal, now and then a line of
its own elsewhere."""

import sys
import time
from typing import Final, TextIO

PROGRAM_NAME: Final = "inkeeper-server"
TERMINAL_S: Final = 0.2
FILE_S: Final = 10.0


class Progress:
    """The program's name begins each line, as with every other message."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._next_s = time.monotonic() + (TERMINAL_S if self._terminal else FILE_S)
        self._shown = 0

    def tell(self, text: str) -> None:
        """What is being done now; shown if it is time."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + (TERMINAL_S if self._terminal else FILE_S)
        line = f"{PROGRAM_NAME}: {text}"
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._shown))
            self._shown = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Nothing more follows: clear the line."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0
