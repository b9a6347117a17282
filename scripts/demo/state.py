"""Where `make run` keeps what it must remember: one folder, with room for sockets, closed to others where it matters.

cupsd's user must be able to walk into the folder, and a unix socket's path ends at 107 bytes; a clone in a home
directory of mode 0700 or deep in a tree can offer neither. Then a folder under /var/tmp serves, named after the clone,
so that the next start finds it again. Secrets are files of mode 0600 in a folder of mode 0700.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.cupsd import cups_user
from tests.support.folders import SOCKET_PATH_LIMIT, reachable_by
from tests.support.processes import Failed, free_port

TOP = Path(__file__).parents[2]
LONGEST_SOCKET = "provider/provider.sock"
ELSEWHERE = Path("/var/tmp")
DEFAULT_LISTEN = "127.0.0.1:9191"


@dataclass(frozen=True)
class State:
    """Paths under the state folder; `elsewhere` says that it is not the clone's own .run."""

    folder: Path
    elsewhere: bool

    @property
    def server(self) -> Path:
        return self.folder / "server"

    @property
    def server_config(self) -> Path:
        return self.server / "server.toml"

    @property
    def server_log(self) -> Path:
        return self.server / "server.log"

    @property
    def server_pid(self) -> Path:
        return self.folder / "server.pid"

    @property
    def provider(self) -> Path:
        return self.folder / "provider"

    @property
    def provider_config(self) -> Path:
        return self.provider / "provider.toml"

    @property
    def provider_log(self) -> Path:
        return self.provider / "provider.log"

    @property
    def provider_socket(self) -> Path:
        return self.folder / LONGEST_SOCKET

    @property
    def cups(self) -> Path:
        return self.folder / "cups"

    @property
    def printer(self) -> Path:
        return self.folder / "printer"

    @property
    def documents(self) -> Path:
        return self.folder / "documents"

    @property
    def console_log(self) -> Path:
        return self.server / "console.log"

    def secret(self, name: str) -> str:
        """ "" where there is none yet."""
        file = self._secrets / name
        return file.read_text().strip() if file.exists() else ""

    def keep_secret(self, name: str, value: str) -> None:
        """On disk, whole or not at all, for this user's eyes only."""
        draft = self._secrets / f"{name}.new"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value + "\n")
            os.fsync(file.fileno())
        draft.rename(self._secrets / name)

    def secret_path(self, name: str) -> Path:
        return self._secrets / name

    def done(self, step: str) -> bool:
        """Whether a step of the first start was done, by this start or an earlier one."""
        return (self.folder / f"{step}.done").exists()

    def mark_done(self, step: str) -> None:
        (self.folder / f"{step}.done").touch()

    def url(self) -> str:
        """Of the server that was started last; "" when none was."""
        file = self.folder / "server.url"
        return file.read_text().strip() if file.exists() else ""

    def keep_url(self, url: str) -> None:
        (self.folder / "server.url").write_text(url + "\n")

    def port(self, name: str) -> int:
        """A free port the first time, and the same ever after, so that pasted lines stay true."""
        file = self.folder / "ports.json"
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        if name not in ports:
            ports[name] = free_port()
            draft = file.with_suffix(".new")
            draft.write_text(json.dumps(ports))
            draft.rename(file)
        return ports[name]

    @property
    def _secrets(self) -> Path:
        return self.folder / "secrets"


def choose_folder(top: Path) -> State:
    """The clone's .run where it will do, else a folder under /var/tmp that belongs to this clone and user."""
    own = top / ".run"
    if len(str(own / LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT and reachable_by(cups_user(), top):
        return State(own, elsewhere=False)
    name = hashlib.sha256(str(top).encode()).hexdigest()[:10]
    return State(ELSEWHERE / f"inkeeper-{os.geteuid()}-{name}", elsewhere=True)


def prepare(state: State) -> None:
    """Make the folders. Raises Failed where somebody else got there first, as anybody may under /var/tmp."""
    state.folder.mkdir(mode=0o711, exist_ok=True)
    found = state.folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Failed(f"{state.folder} is not a folder of ours; please look at it and take it away")
    state.folder.chmod(0o711)
    for folder, mode in ((state.server, 0o700), (state.secret_path(""), 0o700), (state.provider, 0o711)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
    for folder in (state.cups, state.printer, state.documents):
        folder.mkdir(exist_ok=True)


@contextmanager
def only_one(state: State) -> Iterator[None]:
    """Held while this state folder is in use. Raises Failed when another start uses it already."""
    with (state.folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"it runs already, with its state in {state.folder}; end that one with Ctrl-C first") from None
        yield


def listen_address() -> tuple[str, int]:
    """Where the server is to listen: INKEEPER_SERVER_LISTEN, as the server itself reads it, else the usual port."""
    text = os.environ.get("INKEEPER_SERVER_LISTEN", DEFAULT_LISTEN)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise Failed(f"INKEEPER_SERVER_LISTEN is {text!r}; it must be like {DEFAULT_LISTEN}")
    return host, int(port)
