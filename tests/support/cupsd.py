"""A cupsd of our own: own folders, port and socket, so the system's is never touched and any number run side by side.

It is set up as a print server that must not lose jobs: DirtyCleanInterval 0 and SyncOnClose, without which a killed
cupsd forgets jobs and even queues. Anybody local may print; queues are changed by root (over the socket, by its peer
credentials) or, where we are not root, by us. ServerBin is a real folder of links, so a backend can be added to it.
"""

import getpass
import grp
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.folders import SOCKET_PATH_LIMIT, give_to
from tests.support.ipptool import ask
from tests.support.processes import MARK, Failed, Process, free_port, run, wait_until

SYSTEM_SERVER_BIN = Path("/usr/lib/cups")
STATES = {
    3: "pending",
    4: "pending-held",
    5: "processing",
    6: "processing-stopped",
    7: "canceled",
    8: "aborted",
    9: "completed",
}
ENDED = ("canceled", "aborted", "completed")
ADMINISTRATION = (
    "CUPS-Add-Modify-Printer CUPS-Delete-Printer CUPS-Add-Modify-Class CUPS-Delete-Class CUPS-Set-Default "
    "CUPS-Get-Devices Set-Printer-Attributes CUPS-Accept-Jobs CUPS-Reject-Jobs"
)


@dataclass(frozen=True)
class CupsJob:
    """A job as cupsd tells of it; `attributes` holds everything it said."""

    job_id: int
    state: str
    user_name: str
    title: str
    job_uuid: str
    message: str
    attributes: dict[str, Any]


def cups_user() -> str:
    """Whom cupsd runs filters and backends as."""
    return "lp" if os.geteuid() == 0 else getpass.getuser()


def cups_group() -> str:
    return "lp" if os.geteuid() == 0 else grp.getgrgid(os.getegid()).gr_name


class PrivateCupsd:
    """`folder` must be one that cupsd's user can walk into; everything of this cupsd lies in it and stays there."""

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        settings: Sequence[str] = (),
        *,
        on: Sequence[str] = (),
        more_env: Mapping[str, str] | None = None,
    ) -> None:
        """`on` runs it on a host of the test's own; it is talked to over its socket from everywhere. `more_env` is
        added to its environment and to that of its backends."""
        self.folder = folder
        self.on = list(on)
        self._more_env = dict(more_env or {})
        self.port = port or free_port()
        self.settings = tuple(settings)
        self.socket = folder / "run" / "cups.sock"
        self.server_bin = folder / "lib"
        self.server_root = folder / "etc"
        self.request_root = folder / "spool"
        self.error_log = folder / "log" / "error_log"
        if len(str(self.socket)) > SOCKET_PATH_LIMIT:
            raise Failed(f"{self.socket} is too long for a socket's path; use a folder nearer to /")
        self._lay_out()
        arguments: list[str | Path] = [
            "-c",
            self.server_root / "cupsd.conf",
            "-s",
            self.server_root / "cups-files.conf",
        ]
        self.process = Process(
            "cupsd",
            ["/usr/sbin/cupsd", "-f", *arguments],
            log=folder / "log" / "output",
            env={**os.environ, **self._more_env},
            on=on,
        )

    @property
    def uri(self) -> str:
        return f"ipp://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment in which CUPS's own commands talk to this cupsd and to no other."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CUPS_")}
        return {**kept, "CUPS_SERVER": str(self.socket), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def start(self) -> Self:
        self.process.start()
        self.process.wait_for(self.answers, 20, "it answered")
        return self

    def answers(self) -> bool:
        return self.socket.exists() and run(["lpstat", "-r"], env=self.env, check=False).stdout.startswith(
            "scheduler is running"
        )

    def stop(self) -> None:
        """SIGTERM: cupsd ends its backends and keeps their jobs for its next start."""
        self.process.stop()

    def kill9(self) -> None:
        """SIGKILL cupsd alone: its filters and backends go on as orphans."""
        self.process.kill9()

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def add_queue(self, name: str, device_uri: str, options: Sequence[str] = ()) -> None:
        """A queue in front of an IPP printer, set up as IPP Everywhere; done when its PPD is there."""
        settings = [word for option in options for word in ("-o", option)]
        words = ["lpadmin", "-p", name, "-E", "-v", device_uri, "-m", "everywhere", *settings]
        run([*self.on, *words], env=self.env)  # it asks the printer itself
        ppd = self.server_root / "ppd" / f"{name}.ppd"
        self.process.wait_for(
            lambda: ppd.exists() and "*PPD-Adobe" in ppd.read_text(), 30, f"the PPD of {name} was made"
        )

    def add_raw_queue(self, name: str, device_uri: str, options: Sequence[str] = ()) -> None:
        """A queue without filters: what was submitted reaches the backend as it is."""
        settings = [word for option in options for word in ("-o", option)]
        run(["lpadmin", "-p", name, "-E", "-v", device_uri, *settings], env=self.env)

    def set_device_uri(self, name: str, device_uri: str, server: str = "") -> None:
        """`server` names another way to this cupsd than its socket."""
        elsewhere = ["-h", server] if server else []
        run(["lpadmin", *elsewhere, "-p", name, "-v", device_uri], env=self.env)

    def device_uri(self, name: str) -> str:
        return str(self.queue(name, "device-uri").get("device-uri", ""))

    def queue(self, name: str, *attributes: str) -> dict[str, Any]:
        """What cupsd tells of a queue."""
        wanted = [f"keyword requested-attributes {','.join(attributes) or 'all'}"]
        groups = ask(f"{self.uri}/printers/{name}", "Get-Printer-Attributes", wanted)
        return {key: value for group in groups for key, value in group.items()}

    def install_backend(self, file: Path, scheme: str, mode: int = 0o755) -> Path:
        target = self.server_bin / "backend" / scheme
        shutil.copyfile(file, target)
        target.chmod(mode)
        return target

    def lp(
        self, queue: str, file: Path, *, user: str = "", copies: int = 1, title: str = "", options: Sequence[str] = ()
    ) -> int:
        """Submit a document by CUPS's own lp, as `user` where one is given. The job's number."""
        words: list[str | Path] = ["lp", "-d", queue, "-n", str(copies)]
        words += ["-U", user] if user else []
        words += ["-t", title] if title else []
        words += [word for option in options for word in ("-o", option)]
        said = run([*words, "--", file], env=self.env).stdout
        found = re.search(r"request id is \S+-(\d+) ", said)
        if not found:
            raise Failed(f"lp said {said.strip()!r} instead of a job's number")
        return int(found[1])

    def again(self, queue: str, job_id: int, what: str) -> None:
        """`lp -i … -H`: what a person may ask of a job: restart, resume, hold, or a time."""
        run(["lp", "-i", f"{queue}-{job_id}", "-H", what], env=self.env)

    def move(self, queue: str, job_id: int, target: str) -> None:
        run(["lpmove", f"{queue}-{job_id}", target], env=self.env)

    def cancel(self, queue: str, job_id: int) -> None:
        run(["cancel", f"{queue}-{job_id}"], env=self.env)

    def job(self, job_id: int) -> CupsJob:
        """Raises Failed when cupsd knows no such job (any more)."""
        wanted = [f"integer job-id {job_id}", "name requesting-user-name root", "keyword requested-attributes all"]
        jobs = [_job(group) for group in ask(f"{self.uri}/", "Get-Job-Attributes", wanted) if "job-id" in group]
        if not jobs:
            raise Failed(f"cupsd knows no job {job_id}")
        return jobs[0]

    def jobs(self, which: str = "all") -> list[CupsJob]:
        wanted = [f"keyword which-jobs {which}", "keyword requested-attributes all", "name requesting-user-name root"]
        return [_job(group) for group in ask(f"{self.uri}/", "Get-Jobs", wanted) if "job-id" in group]

    def wait_for_state(self, job_id: int, states: Sequence[str] = ENDED, timeout_s: float = 60) -> CupsJob:
        def in_state() -> CupsJob | None:
            job = self.job(job_id)
            return job if job.state in states else None

        return wait_until(in_state, timeout_s, f"job {job_id} to be {' or '.join(states)}", 0.1)

    def __enter__(self) -> Self:
        return self if self.process.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _lay_out(self) -> None:
        for name in ("etc", "etc/ppd", "etc/ssl", "lib", "lib/backend", "spool", "tmp", "cache", "run", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("tmp", "cache"):
            give_to(cups_user(), self.folder / name)
        for entry in SYSTEM_SERVER_BIN.iterdir():
            if entry.name != "backend":
                _link(self.server_bin / entry.name, entry)
        for backend in (SYSTEM_SERVER_BIN / "backend").iterdir():
            if backend.name in ("ipp", "ipps", "http", "https", "socket", "lpd"):
                _link(self.server_bin / "backend" / backend.name, backend.resolve())
        (self.server_root / "cups-files.conf").write_text(self._files_conf())
        (self.server_root / "cupsd.conf").write_text(self._conf())

    def _files_conf(self) -> str:
        folder = self.folder
        lines: Mapping[str, object] = {
            "User": cups_user(),
            "Group": cups_group(),
            "SystemGroup": "root" if os.geteuid() == 0 else cups_group(),
            "ServerRoot": self.server_root,
            "ServerBin": self.server_bin,
            "RequestRoot": self.request_root,
            "TempDir": folder / "tmp",
            "CacheDir": folder / "cache",
            "StateDir": folder / "run",
            "ServerKeychain": folder / "etc" / "ssl",
            "Printcap": folder / "run" / "printcap",
            "ErrorLog": self.error_log,
            "AccessLog": folder / "log" / "access_log",
            "PageLog": folder / "log" / "page_log",
            "FileDevice": "Yes",
            "SyncOnClose": "Yes",
            "PassEnv": " ".join((MARK, *self._more_env)),
            "LogFilePerm": "0644",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    def _conf(self) -> str:
        more = "\n".join(self.settings)
        return f"""\
Listen 127.0.0.1:{self.port}
Listen {self.socket}
LogLevel info
MaxLogSize 0
Browsing No
WebInterface No
DefaultAuthType Basic
DirtyCleanInterval 0
JobRetryInterval 2
ErrorPolicy retry-job
MaxJobs 0
{more}
<Location />
  Order allow,deny
  Allow localhost
</Location>
<Policy default>
  JobPrivateAccess all
  JobPrivateValues none
  SubscriptionPrivateAccess all
  SubscriptionPrivateValues none
  <Limit {ADMINISTRATION}>
    AuthType Default
    Require user @SYSTEM
    Order deny,allow
  </Limit>
  <Limit All>
    Order deny,allow
  </Limit>
</Policy>
"""


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


def _job(group: Mapping[str, Any]) -> CupsJob:
    return CupsJob(
        job_id=int(group["job-id"]),
        state=_state(group.get("job-state")),
        user_name=str(group.get("job-originating-user-name", "")),
        title=str(group.get("job-name", "")),
        job_uuid=str(group.get("job-uuid", "")),
        message=str(group.get("job-printer-state-message", "")),
        attributes=dict(group),
    )


def _state(value: Any) -> str:
    return STATES.get(value, str(value)) if isinstance(value, int) else str(value)
