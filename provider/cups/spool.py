"""Which spool a job is in: a random id in a file beside RequestRoot.

CUPS numbers its jobs from 1 in every spool, so a job's number means something only together with its spool. The id is
beside the folder, not in it: cupsd owns what is inside. With a spool that is shared or moved, the id goes along.
"""

import os
import re
import uuid
from pathlib import Path
from typing import Final

from provider.files import sync_folder

SUFFIX: Final = ".inkeeper-id"
_ID = re.compile(r"[0-9a-f]{32}")


class SpoolIds:
    """The ids of the spools that were asked for, read again only when their files changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int], str]] = {}

    def remembered(self, request_root: str) -> str | None:
        """The spool's id, None where it has to be read: that may wait for a disk."""
        known = self._known.get(request_root)
        return known[1] if known is not None and known[0] == _version(request_root) else None

    def read(self, request_root: str) -> str:
        """Raises OSError where the id can be neither read nor made."""
        found = spool_id(request_root)
        self._known[request_root] = (_version(request_root), found)
        return found


def _version(request_root: str) -> tuple[int, int]:
    try:
        found = os.stat(_path(request_root))
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _path(request_root: str) -> Path:
    return Path(os.path.normpath(request_root) + SUFFIX)


def spool_id(request_root: str) -> str:
    """The spool's id, made where there is none yet. Raises OSError where it can be neither read nor made."""
    path = _path(request_root)
    for _ in range(2):
        try:
            text = path.read_text().strip()
        except FileNotFoundError:
            _make(path)
            continue
        if _ID.fullmatch(text):
            return text
        raise OSError(f"{path} is damaged: it holds no id")
    raise OSError(f"{path} cannot be made")


def _make(path: Path) -> None:
    """Whoever is first makes the id; all others read that one."""
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
        file.write(f"{uuid.uuid4().hex}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    sync_folder(path.parent)
