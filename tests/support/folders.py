"""Folders for neighbours: cupsd's user must be able to walk into them, and a socket's path in them must stay short.

Measured limits: a unix socket's path of 107 bytes binds, one of 108 does not; cupsd's user cannot enter a home
directory of mode 0700. So scratch folders lie under /var/tmp, as pytest's own may be too deep and too private.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import as_user

SOCKET_PATH_LIMIT = 100
SCRATCH_PARENT = Path("/var/tmp")


@contextmanager
def scratch_folder(prefix: str = "ik-") -> Iterator[Path]:
    """A folder that others may walk through but not list; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=SCRATCH_PARENT))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reachable_by(user: str, folder: Path) -> bool:
    """Whether `user` can walk into `folder`; asked of the kernel, since access lists and mounts count too."""
    if os.geteuid() != 0:
        return os.access(folder, os.X_OK)
    return subprocess.run([*as_user(user), "test", "-x", folder], timeout=10, check=False).returncode == 0


def give_to(user: str, folder: Path) -> None:
    """Make `user` the owner, where we are root and so may."""
    if os.geteuid() == 0:
        shutil.chown(folder, user, user)
