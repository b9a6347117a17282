"""Putting a queue behind the backend `inkeeper`, and taking it out again.

Tracking is one change of the queue: its device URI becomes `inkeeper:/` + the real one. The driver (PPD) stays, so
printing looks the same to everybody. The backend is copied into ServerBin and finds its daemon by a small file
beside the backends' folder; both are written anew when they differ from what this version wants. CUPS's own lpadmin
makes the change, since it knows every way to prove to cupsd who asks.
"""

import asyncio
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from grp import getgrnam
from importlib.resources import files
from pathlib import Path
from typing import Final

from provider.cups.client import SCHEME, Cupsd, Queue
from provider.cups.identity import without_password
from provider.errors import CupsError
from provider.files import write_whole
from provider.settings import ProviderSettings

BACKEND: Final = "inkeeper"
CONF: Final = "inkeeper.conf"
SOURCE: Final = "inkeeper.py"
CODE: Final = "inkeeper.code"
PYTHON: Final = "/usr/bin/python3"  # as in the files' first lines
COMPILE: Final = """\
import marshal, sys
from binascii import crc32
from _frozen_importlib_external import MAGIC_NUMBER
source = sys.stdin.buffer.read()
code = marshal.dumps(compile(source, sys.argv[1], "exec", optimize=2))
head = MAGIC_NUMBER + crc32(source).to_bytes(4, "big") + crc32(code).to_bytes(4, "big")
sys.stdout.buffer.write(head + code)
"""
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
    queues = await cupsd.queues()
    queue = _pick(cupsd, queues, name)
    if queue.is_class:
        raise TrackingError(f"{name} is a class: track the queues in it")
    shown = queue.device_uri.removeprefix(SCHEME)
    if not shown or ":" not in shown:
        raise TrackingError(f"{name} has no printer: its device URI is {queue.device_uri!r}")
    await asyncio.to_thread(install, settings, {**_tracked(queues), name: shown})
    changed = not queue.device_uri.startswith(SCHEME)
    if changed:
        queue = await _change(settings, cupsd, name, SCHEME + shown)
    return Tracked(changed, queue.device_uri, _warnings(queue))


async def untrack(settings: ProviderSettings, name: str) -> Tracked:
    """Give the queue its real device URI back, with the password that it had."""
    cupsd = Cupsd(settings.cups.server)
    queues = await cupsd.queues()
    queue = _pick(cupsd, queues, name)
    if not queue.device_uri.startswith(SCHEME):
        return Tracked(False, queue.device_uri, ())
    shown = queue.device_uri.removeprefix(SCHEME)
    queue = await _change(settings, cupsd, name, await asyncio.to_thread(full_uri, settings, name, shown))
    await asyncio.to_thread(install, settings, {other: uri for other, uri in _tracked(queues).items() if other != name})
    return Tracked(True, queue.device_uri, ())


def _tracked(queues: Sequence[Queue]) -> dict[str, str]:
    """The tracked queues and their real device URIs as cupsd shows them."""
    return {
        queue.report.name: queue.device_uri.removeprefix(SCHEME)
        for queue in queues
        if queue.device_uri.startswith(SCHEME)
    }


def _pick(cupsd: Cupsd, queues: Sequence[Queue], name: str) -> Queue:
    found = next((queue for queue in queues if queue.report.name == name), None)
    if found is None:
        known = ", ".join(queue.report.name for queue in queues) or "none"
        raise TrackingError(f"cupsd at {cupsd.server} has no queue {name}; it has {known}")
    return found


async def _change(settings: ProviderSettings, cupsd: Cupsd, name: str, device_uri: str) -> Queue:
    """Set the queue's device URI and see that cupsd took it."""
    await asyncio.to_thread(_set_device_uri, settings, name, device_uri)
    queue = _pick(cupsd, await cupsd.queues(), name)
    if queue.device_uri != without_password(device_uri):
        raise TrackingError(f"cupsd did not take the device URI of {name}: it is {queue.device_uri}")
    return queue


def full_uri(settings: ProviderSettings, name: str, shown: str) -> str:
    """The queue's real device URI with its password, which cupsd shows to nobody.

    Once a queue is tracked the password stands in the backend's own settings, before that in cupsd's printers.conf.
    Where neither is to be had, or tells of another printer, the URI is as cupsd shows it.
    """
    backend_conf = _text(Path(settings.cups.server_bin) / CONF)
    cupsd_conf = _text(Path(settings.cups.server_root) / "printers.conf")
    found = re.findall(rf"^uri={re.escape(name)} (.*)$", backend_conf, re.MULTILINE)
    section = re.search(rf"^<(?:Default)?Printer {re.escape(name)}>$(.*?)^</", cupsd_conf, re.MULTILINE | re.DOTALL)
    found += re.findall(r"^DeviceURI (.*)$", section[1], re.MULTILINE) if section else []
    return next((uri for uri in found if without_password(uri) == shown), shown)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _warnings(queue: Queue) -> tuple[str, ...]:
    if not queue.unauthenticated:
        return ()
    return (
        f"cupsd takes any user name that a client claims for {queue.report.name}: whoever can reach it prints on "
        "others' money; let it ask for passwords (AuthType in cupsd.conf)",
    )


# ---------------------------------------------------------------- the backend and its settings


def install(settings: ProviderSettings, tracked: Mapping[str, str]) -> None:
    """Make the backend and its settings what this version wants for these queues. Raises TrackingError."""
    server_bin = Path(settings.cups.server_bin)
    folder = server_bin / "backend"
    if not folder.is_dir():
        raise TrackingError(f"{folder} is not there: [cups] server_bin must be cupsd's ServerBin")
    uris = {name: full_uri(settings, name, shown) for name, shown in tracked.items()}
    source, launcher = (
        files("provider.cups_backend").joinpath(f"{n}.py").read_bytes() for n in ("inkeeper", "launcher")
    )
    try:
        _install_file(server_bin / SOURCE, source, 0o600)
        _install_file(server_bin / CODE, _compiled(source, server_bin / SOURCE), 0o600)
        _install_file(folder / BACKEND, launcher, MODE)
        _install_file(server_bin / CONF, backend_settings(settings, uris).encode(), 0o600)
        settings.runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TrackingError(f"{error.filename or folder}: {error.strerror}; track needs root") from error


def _compiled(source: bytes, path: Path) -> bytes:
    """The backend compiled by the Python that will run it. Raises TrackingError when there is none."""
    words = [PYTHON, "-IS", "-c", COMPILE, str(path)]
    try:
        return subprocess.run(words, input=source, capture_output=True, timeout=LPADMIN_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise TrackingError(f"{PYTHON}, which the backend needs, does not work: {error}") from error


def _install_file(path: Path, content: bytes, mode: int) -> None:
    try:
        same = path.read_bytes() == content and stat.S_IMODE(path.lstat().st_mode) == mode and not path.is_symlink()
    except FileNotFoundError:
        same = False
    if not same:
        write_whole(path, content, mode)


def backend_settings(settings: ProviderSettings, uris: Mapping[str, str]) -> str:
    """The small file that the backend reads: where its daemon is, what to do without it, which files it may write as
    root, and the URIs that have a password."""
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
        f"policies={settings.policies_file}",
        f"uid={uid}",
        f"gid={gid}",
        *(f"file={uri}" for uri in sorted(set(uris.values())) if uri.startswith("file:")),
        *(f"uri={name} {uri}" for name, uri in sorted(uris.items()) if uri != without_password(uri)),
    ]
    return "\n".join(lines) + "\n"


def write_policies(settings: ProviderSettings, policies: Mapping[str, str]) -> None:
    """Tell backends what to do while there is no daemon: for each queue, or for all others by the name `*`, one of
    `allow`, `allowance`, `hold` and `disabled`. Writes only what has changed, whole. Raises OSError.

    This is a file of the daemon's own: it may not write where `track` does.
    """
    content = "".join(f"{name} {policy}\n" for name, policy in sorted(policies.items())).encode()
    try:
        if settings.policies_file.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    write_whole(settings.policies_file, content)


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
