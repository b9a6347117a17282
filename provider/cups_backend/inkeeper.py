#!/usr/bin/python3 -IS
"""The CUPS backend `inkeeper`: a document reaches the real backend only when the daemon said so, and in writing.

cupsd runs this file for every queue whose device URI is `inkeeper:/` + the real one. It keeps the document, asks the
daemon over its unix socket, and on "print" writes a run file, starts the real backend and notes how it ended. A daemon
that has not said a word for AWAY_S is away, whether it is dead, frozen or too slow, and so is one that has not decided
by when it said it would: then the policy decides, as the daemon last wrote it, and what it comes to is written down for
the daemon to take in when it is back.

Invariants, whatever is killed at whatever line:
- the real backend never starts before `started` is on disk, and the room for `ended` is taken before;
- a run file appears whole and locked; the real backend inherits the lock, so a run is over when nobody holds it;
- the real backend writes its messages into a file with room taken for them: it needs nobody alive, and what it said of
  the printer remains, also where the disk has filled up since;
- the connection is closed before the policy decides: no permission can reach a backend that went on alone.

One file, standard library only, started by `launcher.py` from a compiled copy. It imports little because its start is
part of every job: `posix` is what `os` is made of, and `signal`, `json` or `subprocess` would double the time.
"""

import _signal  # type: ignore[import-not-found]  # not in typeshed; `signal` itself imports enum and re
import _socket
import errno
import fcntl
import posix
import select
import sys
import time
from binascii import crc32

PROTOCOL = "1"
AWAY_S = 1.7  # after the daemon's last word, one of which comes every 0.45 s while it works on a question
NEVER = float("inf")
RETRY_S = 0.1
HANG_UPS = 3  # so often a daemon may die in the middle of this job before it is as good as away
PATIENCE_S = 600.0  # then the queue is stopped with the reason: an operator is needed, and no job is lost
PERMISSION_S = 30.0
KILL_AFTER_S = 25.0  # CUPS's JobKillDelay is 30 s
LOOK_S = 0.05
LOG_LIMIT = 4 << 20
ROOM_FOR_END = 512
ROOM_FOR_MESSAGES = 64 << 10
OK, FAILED, HOLD, STOP, CANCEL = 0, 1, 3, 4, 5
SIGKILL, SIGPIPE, SIGTERM = 9, 13, 15
EVIDENCE = (b"job ID", b"job-state", b"Sending", b"Connected", b"+cups-waiting", b"impressions-completed", b"retry-as")

HELD_ALONE = "The print accounting cannot be reached. The job is held and will be printed when it is back."

canceled_at = 0.0


class Away(Exception):
    """The daemon cannot be asked now."""


class Busy(Exception):
    """Nothing can be printed now, for this reason; the job stays."""


# ---------------------------------------------------------------- what this job is


def say(level: str, text: str) -> None:
    """A line for cupsd."""
    tell(f"{level}: {' '.join(text.split())}\n".encode("utf-8", "replace"))


def tell(data: bytes) -> None:
    """Messages to cupsd, as far as it takes them: a cupsd that hangs or is gone must not hang the run."""
    try:
        while data and select.select([], [2], [], 0)[1]:
            data = data[posix.write(2, data[:4096]) :]
    except OSError:
        return


def clean(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_settings(path: str) -> "dict[str, list[str]]":
    """`key=value` lines as `track` wrote them; a key may stand several times."""
    settings: dict[str, list[str]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, separator, value = line.rstrip("\n").partition("=")
                if separator:
                    settings.setdefault(key, []).append(value)
    except OSError:
        return {}
    return settings


def incarnation() -> str:
    """Which life of cupsd started this: a document of a job is known by its place within one."""
    try:
        with open(f"/proc/{posix.getppid()}/stat", encoding="utf-8", errors="replace") as file:
            return f"{posix.getppid()}.{file.read().rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return str(posix.getppid())


def describe(arguments: "list[str]", environ: "dict[str, str]", size: int) -> "dict[str, str]":
    """The question for the daemon."""
    return {
        "v": PROTOCOL,
        "kind": "ask",
        "cups_job_id": arguments[1],
        "user": arguments[2],
        "title": arguments[3],
        "copies": arguments[4],
        "options": arguments[5],
        "named_file": "1" if len(arguments) > 6 else "0",
        "queue": environ.get("PRINTER", ""),
        "device_uri": sanitized(environ.get("DEVICE_URI", "").partition(":/")[2]),
        "content_type": environ.get("FINAL_CONTENT_TYPE") or environ.get("CONTENT_TYPE", ""),
        "document_bytes": str(size),
        "request_root": environ.get("CUPS_REQUESTROOT", ""),
        "incarnation": incarnation(),
        "ppd": environ.get("PPD", ""),
    }


def keep_document(arguments: "list[str]", environ: "dict[str, str]") -> int:
    """A descriptor of the whole document: the file cupsd named, or stdin's bytes in a file without a name."""
    if len(arguments) > 6:
        return posix.open(arguments[6], posix.O_RDONLY)
    name = f"{environ.get('TMPDIR', '/tmp')}/inkeeper.{posix.getpid()}.{time.time_ns()}"
    kept = posix.open(name, posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW, 0o600)
    posix.unlink(name)
    patience = time.monotonic() + PATIENCE_S
    while True:
        data = posix.read(0, 1 << 18)
        if not data:
            return kept
        while data:
            try:
                data = data[posix.write(kept, data) :]
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or time.monotonic() > patience:
                    raise
                say("ERROR", "Waiting for space: the disk with CUPS's temporary files is full.")
                time.sleep(1)


# ---------------------------------------------------------------- asking the daemon


def encode(fields: "dict[str, str]") -> bytes:
    """A frame: u32 length, then `key=value` lines in UTF-8 with %, CR and LF written as %25, %0D and %0A."""
    text = ""
    for key, value in fields.items():
        text += f"{key}={clean(value).replace('%', '%25').replace(chr(13), '%0D').replace(chr(10), '%0A')}\n"
    body = text.encode()
    return len(body).to_bytes(4, "big") + body


def decode(body: bytes) -> "dict[str, str]":
    fields = {}
    for line in body.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition("=")
        fields[key] = value.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    return fields


def receive(sock: _socket.socket) -> "dict[str, str]":
    """The next frame. Raises Away when the daemon hangs up, OSError when it says nothing."""
    wanted, got = 4, b""
    while len(got) < wanted:
        data = sock.recv(wanted - len(got))
        if not data:
            raise Away("the daemon hung up")
        got += data
        if len(got) == wanted == 4:
            wanted += min(int.from_bytes(got, "big"), 1 << 20)
    return decode(got[4:])


class Asking:
    """One question, put until it is answered or the daemon has been silent for too long."""

    def __init__(self, path: str, question: "dict[str, str]", document: int) -> None:
        self.path = path
        self.frame = encode(question)
        self.document = document
        self.heard_at = time.monotonic()
        self.decided_by = NEVER
        self.hang_ups = 0

    def answer(self) -> "tuple[_socket.socket, dict[str, str]]":
        """The decision and the connection, which stays open while this process lives. Raises Away."""
        while True:
            heard_at = self.heard_at
            try:
                return self.once()
            except (OSError, Away) as error:
                self.hang_ups += self.heard_at > heard_at
                if self.left() < RETRY_S or self.hang_ups > HANG_UPS:
                    raise Away(str(error)) from error
                time.sleep(RETRY_S)

    def left(self) -> float:
        return min(self.heard_at + AWAY_S, self.decided_by) - time.monotonic()

    def once(self) -> "tuple[_socket.socket, dict[str, str]]":
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        sock.settimeout(max(self.left(), RETRY_S))
        try:
            sock.connect(self.path)
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, self.document.to_bytes(4, sys.byteorder))]
            sock.sendall(self.frame[sock.sendmsg([self.frame], rights) :])
            sock.settimeout(max(self.left(), RETRY_S))
            while True:
                answer = receive(sock)
                if answer.get("answer") != "working":
                    return sock, answer
                self.heard_at = time.monotonic()
                if answer.get("decided_in"):
                    self.decided_by = min(self.decided_by, self.heard_at + float(answer["decided_in"]))
                sock.settimeout(max(self.left(), 0.001))
                if answer.get("message"):
                    say("INFO", answer["message"])
        except (OSError, Away):
            sock.close()
            raise


# ---------------------------------------------------------------- run files


def now_ms() -> int:
    return time.time_ns() // 1000000


def boot_id() -> str:
    """Names the life of this machine in which `boot_ms` counts: the wall clock may be set in between."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def record(fields: "dict[str, object]") -> bytes:
    """One record of the journal's format with these fields as JSON."""
    members = []
    for key, value in fields.items():
        if isinstance(value, bool):
            members.append(f'"{key}":{"true" if value else "false"}')
        elif isinstance(value, int):
            members.append(f'"{key}":{value}')
        else:
            text = clean(str(value)).replace("\\", "\\\\").replace('"', '\\"')
            text = "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in text)
            members.append(f'"{key}":"{text}"')
    payload = ("{" + ",".join(members) + "}").encode()
    length = len(payload).to_bytes(4, "big")
    return b"IKJ1\x01" + length + crc32(b"\x01" + length + payload).to_bytes(4, "big") + payload


def job_fields(kind: str, question: "dict[str, str]") -> "dict[str, object]":
    """What every file in the runs folder says of its job: enough to know it by though nothing else is left."""
    fields: dict[str, object] = {"kind": kind, "v": 1, f"{kind}_at": now_ms(), "pid": posix.getpid()}
    fields["boot_id"] = boot_id()
    fields["boot_ms"] = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    fields["incarnation"] = question["incarnation"]
    for key in ("user", "title", "options", "queue", "device_uri", "content_type", "request_root", "ppd"):
        fields[key] = question[key]
    for key in ("cups_job_id", "copies", "document_bytes"):
        fields[key] = int(question[key]) if question[key].isdigit() else 0
    fields["named_file"] = question["named_file"] == "1"
    return fields


def started_fields(question: "dict[str, str]", permission: "dict[str, str]") -> "dict[str, object]":
    """What the run file says of the run: enough to charge it."""
    fields = job_fields("started", question)
    fields["job_id"] = permission.get("job_id", "")
    fields["incarnation"] = permission.get("incarnation") or question["incarnation"]
    for key in ("run", "attempt", "document"):
        fields[key] = int(permission.get(key) or "0")
    fields["offline"] = permission.get("offline") == "1"
    return fields


def leave_note(folder: str, question: "dict[str, str]") -> None:
    """Write down that the job was held without the daemon, which releases it when it is back. Raises OSError."""
    name = f"held-{question['cups_job_id']}-{posix.urandom(8).hex()}.note"
    draft = f"{folder}/.new.{posix.getpid()}.{time.time_ns()}"
    note = posix.open(draft, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o600)
    try:
        fcntl.flock(note, fcntl.LOCK_EX)
        posix.write(note, record(job_fields("held", question)))
        posix.fsync(note)
        posix.rename(draft, f"{folder}/{name}")
    except OSError:
        posix.unlink(draft)
        raise
    finally:
        posix.close(note)
    sync_folder(folder)


def sync_folder(path: str) -> None:
    folder = posix.open(path, posix.O_RDONLY)
    posix.fsync(folder)
    posix.close(folder)


class Run:
    """One run of the real backend."""

    def __init__(self, folder: str, name: str) -> None:
        self.folder = folder
        self.path = f"{folder}/{name}"
        self.fd = -1
        self.end = 0

    def begin(self, started: "dict[str, object]", valid_until: float) -> None:
        """Make the run file: locked, on disk, with room for its end, before it gets its name. Raises OSError, with
        EEXIST when somebody else has begun this run, and Busy when the permission has become too old."""
        draft = f"{self.folder}/.new.{posix.getpid()}.{time.time_ns()}"
        self.fd = posix.open(draft, posix.O_RDWR | posix.O_CREAT | posix.O_EXCL, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            posix.set_inheritable(self.fd, True)
            first = record(started)
            self.end = len(first)
            posix.write(self.fd, first + bytes(ROOM_FOR_END))
            posix.fsync(self.fd)
            if time.monotonic() > valid_until:
                raise Busy("the permission to print is too old")
            posix.link(draft, f"{self.path}.run")
        finally:
            posix.unlink(draft)
        sync_folder(self.folder)

    def finish(self, exit_code: int, canceled: bool, log: int) -> None:
        """Write the end into the room kept for it: a full disk cannot prevent that. An end says that the messages are
        complete, so they reach the disk first."""
        posix.fdatasync(log)
        ended = {"kind": "ended", "v": 1, "exit_code": exit_code, "canceled": canceled, "ended_at": now_ms()}
        posix.pwrite(self.fd, record(ended), self.end)
        posix.fdatasync(self.fd)


# ---------------------------------------------------------------- the real backend


def sanitized(uri: str) -> str:
    """The URI without user and password, as it may be seen in a process list."""
    scheme, separator, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else uri


def copy(source: int, target: int) -> None:
    """All of a file's bytes, from its beginning."""
    place = 0
    while data := posix.pread(source, 1 << 18, place):
        place += len(data)
        while data:
            data = data[posix.write(target, data) :]


class Messages:
    """The real backend's stderr: a file of its own, followed for cupsd and kept as evidence for the daemon."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = posix.open(f"{path}.log", posix.O_RDWR | posix.O_CREAT | posix.O_EXCL, 0o600)
        try:
            posix.posix_fallocate(self.fd, 0, ROOM_FOR_MESSAGES)
        except OSError:
            posix.unlink(f"{path}.log")
            raise
        self.place = 0
        self.heard_sigterm = False
        self.evidence: list[bytes] = []

    def forward(self) -> None:
        """Pass on the whole lines that came since the last time; behind them are the zeros of the room."""
        while data := posix.pread(self.fd, 1 << 16, self.place).rstrip(b"\0"):
            lines = data[: data.rfind(b"\n") + 1] or (data if len(data) == 1 << 16 else b"")
            if not lines:
                break
            self.heard_sigterm = self.heard_sigterm or b"SIGTERM" in lines
            self.place += len(lines)
            self.evidence += [line for line in lines.split(b"\n") if any(word in line for word in EVIDENCE)]
            del self.evidence[50:-50]
            tell(lines)
        if self.place > LOG_LIMIT:
            self.shorten()

    def shorten(self) -> None:
        """Keep what tells of the printer beside the log and empty the log: a job of days must not fill the disk. Not
        while it is being written: that would be lost."""
        draft = posix.open(f"{self.path}.seen.new", posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, 0o600)
        posix.write(draft, b"".join(line + b"\n" for line in self.evidence))
        posix.close(draft)
        posix.rename(f"{self.path}.seen.new", f"{self.path}.seen")
        if not posix.pread(self.fd, 1, self.place).rstrip(b"\0"):
            posix.lseek(self.fd, 0, 0)  # the real backend's place as well: it has inherited the descriptor
            posix.ftruncate(self.fd, 0)
            self.place = 0


def note_cancel(number: int, frame: object) -> None:
    global canceled_at
    canceled_at = canceled_at or time.monotonic()


def wait_for_end(pid: int, messages: Messages) -> int:
    """The real backend's exit code, FAILED when a signal ended it. A cancel is handed on once."""
    told = killed = False
    poller = select.poll()
    poller.register(posix.pidfd_open(pid), select.POLLIN)
    while True:
        poller.poll(LOOK_S * 1000)
        messages.forward()
        gone, status = posix.waitpid(pid, posix.WNOHANG)
        if gone:
            messages.forward()
            return posix.WEXITSTATUS(status) if posix.WIFEXITED(status) else FAILED
        waited = time.monotonic() - canceled_at if canceled_at else 0.0
        if waited > 4 * LOOK_S and not told:
            told = True
            if not messages.heard_sigterm:  # systemd stops a whole service at once
                posix.kill(pid, SIGTERM)
        if waited > KILL_AFTER_S and not killed:
            killed = True
            posix.kill(pid, SIGKILL)


# ---------------------------------------------------------------- printing


class Job:
    """One start of this backend by cupsd."""

    def __init__(self, arguments: "list[str]", environ: "dict[str, str]", document: int) -> None:
        self.arguments = arguments
        self.environ = environ
        self.document = document
        self.parent = posix.getppid()
        self.settings = read_settings(f"{environ.get('CUPS_SERVERBIN', '')}/inkeeper.conf")
        self.inner = self.real_uri(environ.get("DEVICE_URI", "").partition(":/")[2])
        self.question = describe(arguments, environ, posix.fstat(document).st_size)

    def real_uri(self, shown: str) -> str:
        """The real device URI with its password: that stands in our settings, cupsd would show it to everybody."""
        for line in self.settings.get("uri", ()):
            queue, _, uri = line.partition(" ")
            if queue == self.environ.get("PRINTER") and sanitized(uri) == sanitized(shown):
                return uri
        return shown

    def attempt(self) -> int:
        """One question and what follows from the answer: the exit code. Raises Busy when it is to be asked again."""
        sock, answer = self.decide()
        kind = answer.get("answer")
        if kind == "finished":
            return OK
        if kind == "deny":
            say("ERROR", answer.get("message") or "Printing was refused.")
            return CANCEL
        if kind == "hold":
            say("ERROR", answer.get("message") or "The job is held.")
            return HOLD
        if kind == "superseded":
            if posix.getppid() == self.parent:
                raise Busy("another backend of this job asks")
            return FAILED  # our cupsd is dead, and the next one's backend has taken over
        if kind != "print":
            time.sleep(min(float(answer.get("seconds") or "1"), 10.0))
            raise Busy(answer.get("message") or "the Inkeeper daemon asked to wait")
        exit_code = self.print_run(answer, time.monotonic() + PERMISSION_S)
        if sock is not None:
            try:
                sock.sendall(encode({"v": PROTOCOL, "kind": "ended", "job_id": answer.get("job_id", "")}))
            except OSError:
                return exit_code  # the daemon reads the run file when it is back
        return exit_code

    def decide(self) -> "tuple[_socket.socket | None, dict[str, str]]":
        """The daemon's answer, or the policy's."""
        try:
            if "socket" not in self.settings:
                raise Away("no settings beside the backend: run `inkeeper-provider track`")
            return Asking(self.settings["socket"][0], self.question, self.document).answer()
        except Away as error:
            say("DEBUG", f"The daemon cannot be asked: {error}")
            return None, self.decide_alone()

    def print_run(self, permission: "dict[str, str]", valid_until: float) -> int:
        """One run from `started` to `ended`: the exit code. Raises Busy when nothing was started."""
        _signal.signal(SIGTERM, note_cancel)
        run = Run(permission["runs"], permission["name"])
        try:
            if permission.get("keep_document"):
                kept = posix.open(f"{run.path}.doc", posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o600)
                copy(self.document, kept)
                posix.fsync(kept)
                posix.close(kept)
            messages = Messages(run.path)
            run.begin(started_fields(self.question, permission), valid_until)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise Busy("another run of this job has begun") from error
            raise Busy(f"the run cannot be written down in {run.folder}: {posix.strerror(error.errno or 0)}") from error
        exit_code = OK
        if not canceled_at:
            exit_code = wait_for_end(self.start(messages.fd), messages)
        run.finish(exit_code, bool(canceled_at), messages.fd)
        return exit_code

    def start(self, log: int) -> int:
        """Start the real backend with the document as its input and the log as its stderr. Its process id."""
        pid = posix.fork()
        if pid:
            return pid
        inner = self.inner
        what = "file" if inner.startswith("file:") else "backend"
        try:
            posix.setpgid(0, 0)  # cupsd signals our whole group; of a second SIGTERM a backend dies without a word
            _signal.signal(SIGTERM, _signal.SIG_DFL)
            _signal.signal(SIGPIPE, _signal.SIG_DFL)
            posix.dup2(log, 2)
            if what == "file":
                self.copy_to_file(inner)
                posix._exit(OK)
            if len(self.arguments) == 6:
                posix.lseek(self.document, 0, 0)
                posix.dup2(self.document, 0)
            path = f"{self.environ['CUPS_SERVERBIN']}/backend/{inner.partition(':')[0]}"
            if posix.stat(path).st_mode & 0o001:
                self.become_printing_user()
            posix.execve(path, [sanitized(inner), *self.arguments[1:]], {**self.environ, "DEVICE_URI": inner})
        except BaseException as error:  # noqa: BLE001  # whatever it is: the child must not go on as a second parent
            posix.write(2, f"ERROR: The {what} of {sanitized(inner)} failed: {error}\n".encode("utf-8", "replace"))
        posix._exit(STOP)

    def copy_to_file(self, inner: str) -> None:
        """What cupsd does itself for a `file:` device. As root only for a URI that `track` found allowed."""
        if inner not in self.settings.get("file", ()):
            self.become_printing_user()
        path = inner[5:]
        if path.startswith("//"):
            path = "/" + path[2:].partition("/")[2]
        out = posix.open(
            path, posix.O_WRONLY if path.startswith("/dev/") else posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, 0o600
        )
        for _ in range(int(self.arguments[4]) if len(self.arguments) > 6 and self.arguments[4].isdigit() else 1):
            copy(self.document, out)

    def become_printing_user(self) -> None:
        """Give up root for cupsd's user, as cupsd does for a backend that everybody may execute."""
        if posix.geteuid() == 0:
            gid, uid = int(self.settings["gid"][0]), int(self.settings["uid"][0])
            posix.setgroups([gid])
            posix.setgid(gid)
            posix.setuid(uid)

    def decide_alone(self) -> "dict[str, str]":
        """The daemon is away: as the policy says, unless a run of the same printing is still going on or has ended
        well."""
        if "runs" not in self.settings:
            raise Busy("the Inkeeper daemon does not answer")
        folder = self.settings["runs"][0]
        try:
            entries = posix.listdir(folder)
        except OSError as error:
            raise Busy(f"{folder} cannot be read: {posix.strerror(error.errno or 0)}") from error
        for entry in entries:
            if entry.endswith(".run"):
                same, over, well = self.look_at(f"{folder}/{entry}")
                if same and not over:
                    raise Busy("an earlier run of this job is still printing")
                if same and well:
                    return {"answer": "finished"}
        policy = self.policy()
        if policy == "disabled":
            return {"answer": "deny", "message": f"Printing on {self.question['queue']} is switched off."}
        if policy != "allow":
            try:
                leave_note(folder, self.question)
            except OSError as error:
                raise Busy(
                    f"that the job is held cannot be written down: {posix.strerror(error.errno or 0)}"
                ) from error
            return {"answer": "hold", "message": HELD_ALONE}
        name = f"offline-{self.question['cups_job_id']}-{posix.urandom(8).hex()}"
        return {"answer": "print", "runs": folder, "name": name, "offline": "1", "keep_document": "1"}

    def policy(self) -> str:
        """What the daemon last wrote for this queue, else for all, else what `track` wrote."""
        told = {}
        for path in self.settings.get("policies", ()):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    told = dict(line.split(" ", 1) for line in file.read().splitlines() if " " in line)
            except OSError:
                continue
        default = self.settings.get("policy", ["hold"])[0]
        return told.get(self.question["queue"], told.get("*", default))

    def look_at(self, path: str) -> "tuple[bool, bool, bool]":
        """Is this a run of the same printing, is it over, did it end well? Slow: only with the daemon away."""
        import json

        try:
            with open(path, "rb") as file:
                text = file.read().decode("utf-8", "replace")
                try:
                    fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
                    over = True
                except OSError:
                    over = False
            started, _ = json.JSONDecoder().raw_decode(text[text.index('{"kind":"started"') :])
            at = text.find('{"kind":"ended"')
            ended, _ = json.JSONDecoder().raw_decode(text[at:]) if at >= 0 else ({}, 0)
        except (OSError, ValueError):
            return False, True, False
        same = str(started["cups_job_id"]) == self.question["cups_job_id"]
        same = same and marks(started["options"]) == marks(clean(self.question["options"]))
        return same, over, ended.get("exit_code") == 0 and not ended.get("canceled")


def marks(options: str) -> "list[str]":
    """What cupsd itself wrote into the options to tell printings apart."""
    return sorted(w for w in options.split() if w.startswith(("job-uuid=", "time-at-creation=", "time-at-completed=")))


def environment() -> "dict[str, str]":
    """What `os.environ` would hold."""
    pairs = [(key.decode("utf-8", "surrogateescape"), value) for key, value in posix.environ.items()]
    return {key: value.decode("utf-8", "surrogateescape") for key, value in pairs}


def main(arguments: "list[str]", environ: "dict[str, str]") -> int:
    if len(arguments) == 1:
        return OK  # cupsd asks for devices: ours are made by `track`, not picked from a list
    if len(arguments) not in (6, 7):
        say("ERROR", "Usage: inkeeper job-id user title copies options [file]")
        return STOP
    _signal.signal(SIGPIPE, _signal.SIG_IGN)
    scheme = environ.get("DEVICE_URI", "").partition(":/")[2].partition(":")[0]
    if not scheme.translate({43: "", 45: "", 46: ""}).isalnum() or scheme == "inkeeper":  # + - .
        say("ERROR", "The device URI must be inkeeper:/ followed by the printer's own URI.")
        return STOP
    try:
        document = keep_document(arguments, environ)
    except OSError as error:
        say("ERROR", f"The document cannot be kept: {posix.strerror(error.errno or 0)}")
        return STOP
    if not posix.fstat(document).st_size:
        return OK
    job = Job(arguments, environ, document)
    patience = time.monotonic() + PATIENCE_S
    while True:
        try:
            return job.attempt()
        except Busy as reason:
            say("ERROR", f"Waiting: {reason}.")
            if canceled_at or time.monotonic() > patience:
                return OK if canceled_at else STOP
            _signal.signal(SIGTERM, _signal.SIG_DFL)
            time.sleep(1)


if __name__ == "__main__":
    posix._exit(main(sys.argv, environment()))  # to take the interpreter apart would take time
