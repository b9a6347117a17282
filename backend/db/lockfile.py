"""One server for one SQLite file.

`FILE.lock` is locked by the server for as long as it runs; the kernel drops the lock with the process, so nothing
stale can stay. SQLite's own locks (and ours) do not hold on network file systems: a database there is refused.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from backend.db.errors import DatabaseRefused

_NETWORK_TYPES = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "ncpfs",
        "ocfs2",
        "gfs2",
        "beegfs",
    }
)


class ServerLock:
    """Holds `FILE.lock`. Raises DatabaseRefused where another server has it or the place is unsafe."""

    def __init__(self, database: Path) -> None:
        refuse_network_file_system(database.parent)
        self._path = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseRefused(f"{self._path}: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise DatabaseRefused(
                f"{database} is in use by another server; one server at a time may use a SQLite file"
            ) from error

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "ServerLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def refuse_network_file_system(folder: Path) -> None:
    """Raises DatabaseRefused where the folder is on a network file system, or is not there."""
    try:
        resolved = folder.resolve(strict=True)
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise DatabaseRefused(f"{error.filename}: there is no such folder for the SQLite file") from error
    kind = file_system_type(mounts, resolved)
    if kind in _NETWORK_TYPES or kind.startswith("fuse.sshfs"):
        raise DatabaseRefused(
            f"{folder} is on a network file system ({kind}): SQLite's locks do not hold there; use PostgreSQL"
        )


def file_system_type(mountinfo: str, path: Path) -> str:
    """The type of the file system that holds `path`, from the text of /proc/self/mountinfo; "" when it is not told."""
    best, found = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")[0]
        if len(fields) < 5:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if (path == point or point in path.parents) and len(point.parts) >= best:
            best, found = len(point.parts), kind
    return found
