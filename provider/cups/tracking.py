"""Putting a queue behind the backend `inkeeper`, and taking it out again.

Tracking is one change of the queue: its device URI becomes `inkeeper:/` + the real one. The driver (PPD) stays, so
printing looks the same to everybody. The backend is copied into ServerBin and finds its daemon by a small file
beside the backends' folder; both are written anew when they differ from what this version wants. CUPS's own lpadmin
makes the change, since it knows every way to prove to cupsd who asks.
"""

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from grp import getgrnam
from importlib.resources import files
from pathlib import Path
from typing import Final

from provider.cups.client import SCHEME, Cupsd, Queue
from provider.errors import CupsError
from provider.files import write_whole
from provider.settings import ProviderSettings

BACKEND: Final = "inkeeper"
CONF: Final = "inkeeper.conf"
LPADMIN_S: Final = 30.0
MODE: Final = 0o700  # so that cupsd runs it as root: some real backends need that


class TrackingError(CupsError):
    """A queue cannot be tracked or untracked; the text says what to do."""


@dataclass(frozen=True)
class Tracked:
    """What was done. `warnings` are for people."""

    changed: bool
    device_uri: str
    warnings: tuple[str, ...]


async def track(settings: ProviderSettings, name: str) -> Tracked:
    """Put the queue behind the backend. Doing it again updates the backend and its settings."""
    cupsd = Cupsd(settings.cups.server)
    queue = await _find(cupsd, name)
    if queue.is_class:
        raise TrackingError(f"{name} is a class: track the queues in it")
    inner = queue.device_uri.removeprefix(SCHEME)
    if not inner or ":" not in inner:
        raise TrackingError(f"{name} has no printer: its device URI is {queue.device_uri!r}")
    uris = {q.device_uri.removeprefix(SCHEME) for q in await cupsd.queues() if q.device_uri.startswith(SCHEME)}
    await asyncio.to_thread(install, settings, {*uris, inner})
    changed = not queue.device_uri.startswith(SCHEME)
    if changed:
        await asyncio.to_thread(_set_device_uri, settings, name, SCHEME + inner)
        queue = await _confirm(cupsd, name, SCHEME + inner)
    return Tracked(changed, queue.device_uri, _warnings(settings, queue))


async def untrack(settings: ProviderSettings, name: str) -> Tracked:
    """Give the queue its real device URI back."""
    cupsd = Cupsd(settings.cups.server)
    queue = await _find(cupsd, name)
    inner = queue.device_uri.removeprefix(SCHEME)
    changed = queue.device_uri.startswith(SCHEME)
    if changed:
        await asyncio.to_thread(_set_device_uri, settings, name, inner)
        await _confirm(cupsd, name, inner)
    return Tracked(changed, inner, ())


async def _find(cupsd: Cupsd, name: str) -> Queue:
    queues = await cupsd.queues()
    found = next((queue for queue in queues if queue.report.name == name), None)
    if found is None:
        known = ", ".join(queue.report.name for queue in queues) or "none"
        raise TrackingError(f"cupsd at {cupsd.server} has no queue {name}; it has {known}")
    return found


async def _confirm(cupsd: Cupsd, name: str, device_uri: str) -> Queue:
    queue = await _find(cupsd, name)
    if queue.device_uri != device_uri:
        raise TrackingError(f"cupsd did not take the device URI of {name}: it is {queue.device_uri}, not {device_uri}")
    return queue


def _warnings(settings: ProviderSettings, queue: Queue) -> tuple[str, ...]:
    name = queue.report.name
    warnings = []
    if queue.unauthenticated:
        warnings.append(
            f"cupsd takes any user name that a client claims for {name}: whoever can reach it prints on others' money; "
            "let it ask for passwords (AuthType in cupsd.conf)"
        )
    if os.geteuid() == 0 and not settings.state_dir.is_dir():
        warnings.append(f"{settings.state_dir} is not there yet: the daemon makes it when it runs")
    return tuple(warnings)


# ---------------------------------------------------------------- the backend and its settings


def install(settings: ProviderSettings, device_uris: set[str]) -> None:
    """Make the backend and its settings what this version wants. Raises TrackingError."""
    server_bin = Path(settings.cups.server_bin)
    folder = server_bin / "backend"
    if not folder.is_dir():
        raise TrackingError(f"{folder} is not there: [cups] server_bin must be cupsd's ServerBin")
    source = files("provider.cups_backend").joinpath("inkeeper.py").read_bytes()
    try:
        _install_file(folder / BACKEND, source, MODE)
        _install_file(server_bin / CONF, backend_settings(settings, device_uris).encode(), 0o600)
        settings.runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(f"{error.filename or folder}: {error.strerror}; track needs root") from error


def _install_file(path: Path, content: bytes, mode: int) -> None:
    try:
        same = path.read_bytes() == content and stat.S_IMODE(path.lstat().st_mode) == mode and not path.is_symlink()
    except FileNotFoundError:
        same = False
    if not same:
        write_whole(path, content, mode)


def backend_settings(settings: ProviderSettings, device_uris: set[str]) -> str:
    """The small file that the backend reads: where its daemon is, and what to do without it."""
    user, group = settings.cups.user, settings.cups.group
    try:
        uid, gid = pwd.getpwnam(user).pw_uid, getgrnam(group).gr_gid
    except KeyError as error:
        raise TrackingError(f"[cups] user and group: {error.args[0]}; name cupsd's User and Group") from error
    lines = [
        "# written by `inkeeper-provider track`",
        f"socket={settings.socket}",
        f"runs={settings.runs_dir}",
        f"policy={settings.offline.policy}",
        f"uid={uid}",
        f"gid={gid}",
        *(f"file={uri}" for uri in sorted(device_uris) if uri.startswith("file:")),
    ]
    return "\n".join(lines) + "\n"


def _set_device_uri(settings: ProviderSettings, name: str, device_uri: str) -> None:
    program = shutil.which("lpadmin", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise TrackingError("lpadmin is not installed (Debian: cups-client)")
    words = [program, "-h", settings.cups.server, "-p", name, "-v", device_uri]
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "CUPS_SERVER": settings.cups.server}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LPADMIN_S, env=environ, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TrackingError(f"lpadmin did not end within {LPADMIN_S:g} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise TrackingError(f"cupsd did not change {name}: {said}")
