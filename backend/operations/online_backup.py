"""A backup that a running server is asked for: made by `inkeeper-server backup` as a process of its own, behind
everything else in the processor's queue, so that the server goes on answering meanwhile.

Invariants: what has not a name of our making is never deleted; older backups are deleted when a newer one is whole; a
server that ends in good order takes the process with it, which leaves nothing unfinished behind. (Of one that is killed
the process lives on and finishes its file.)
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from backend.base.cli import Failure
from backend.db.url import DatabaseUrl

DEFAULT_FOLDER: Final = Path("/var/lib/inkeeper/backups")
END_WITHIN_S: Final = 5.0
MADE_WITHIN_S: Final = 6 * 3600.0
_NAME: Final = re.compile(r"inkeeper-\d{8}T\d{6}Z\.zip")


class BackupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`folder` "" is `backups` beside an SQLite database, else DEFAULT_FOLDER; the newest `keep` stay (0: all)."""

    folder: str = ""
    keep: int = 30


@dataclass(frozen=True, slots=True)
class OnlineBackup:
    """`program` is this server's own command line as far as a subcommand's name."""

    program: Sequence[str]
    folder: Path
    keep: int
    within_s: float = MADE_WITHIN_S

    async def make(self) -> Path:
        """The new backup's file. Raises Failure."""
        path = self.folder / file_name(time.time())
        try:
            await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"the folder {self.folder} cannot be made: {error.strerror}") from error
        await self._run(path)
        try:
            await asyncio.to_thread(self._delete_older)
        except OSError as error:
            raise Failure(f"but {path.name} is; older ones could not be deleted: {error.strerror}") from error
        return path

    async def _run(self, path: Path) -> None:
        pipe = asyncio.subprocess.PIPE
        words = ("nice", "-n", "5", *self.program, "backup", str(path))
        try:
            process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
        except OSError as error:
            raise Failure(f"its process cannot be started: {error.strerror}") from error
        try:
            _, errors = await asyncio.wait_for(process.communicate(), self.within_s)
        except TimeoutError:
            raise Failure(f"it was not made within {self.within_s / 3600:g} hours") from None
        finally:
            if process.returncode is None:
                await _end(process)
        if process.returncode:
            lines = errors.decode(errors="replace").strip().splitlines()
            raise Failure(lines[-1] if lines else f"its process ended with {process.returncode}")

    def _delete_older(self) -> None:
        for name in outdated((found.name for found in self.folder.iterdir()), self.keep):
            (self.folder / name).unlink(missing_ok=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_WITHIN_S)
    except TimeoutError:
        process.kill()


def online_backup(settings: BackupSettings, url: DatabaseUrl, config: Path | None) -> OnlineBackup:
    """As the settings have it. `config` is the file that was named on the server's command line."""
    beside = url.path.parent / "backups" if url.engine == "sqlite" else DEFAULT_FOLDER
    named = ("--config", str(config)) if config is not None else ()
    program = (sys.executable, "-m", "backend.main", *named)
    return OnlineBackup(program, Path(settings.folder) if settings.folder else beside, settings.keep)


def file_name(at_s: float) -> str:
    """By which the newest is the last."""
    return time.strftime("inkeeper-%Y%m%dT%H%M%SZ.zip", time.gmtime(at_s))


def outdated(names: Iterable[str], keep: int) -> list[str]:
    """Which of a folder's files are backups beyond the newest `keep` (0: none)."""
    ours = sorted((name for name in names if _NAME.fullmatch(name)), reverse=True)
    return ours[keep:] if keep > 0 else []
