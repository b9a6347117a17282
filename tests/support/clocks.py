"""A wall clock that jumps in a running program, by libfaketime; the monotonic clock goes on as it is.

The program reads its offset from a file, at most a second old. What the program starts in its turn sees the same clock.
"""

from pathlib import Path

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class JumpingClock:
    """`env` goes into the environment of the programs that have this clock."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)
        self.env = {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset_s: int) -> None:
        """So many seconds ahead of this machine's clock, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.chmod(0o644)
        new.rename(self._file)


def _library() -> Path:
    """Where Debian's package libfaketime has it, whatever the processor."""
    return LIBRARY if LIBRARY.exists() else next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
