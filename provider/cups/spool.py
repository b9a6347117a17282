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


def spool_id(request_root: str) -> str:
    """The spool's id, made where there is none yet. Raises OSError where it can be neither read nor made."""
    path = Path(os.path.normpath(request_root) + SUFFIX)
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
