"""The CUPS backend as a process, against a daemon of a few lines: what it asks, starts, writes down and says.

The real backend behind it is a small script, so that every way to end can be had; the kernel, the socket, the locks and
the files are real.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provider.cups import tracking
from provider.cups_backend import inkeeper as backend_module
from provider.journal import runs
from provider.local import protocol
from provider.local.protocol import Question, RunOver
from provider.settings import CupsSection, ProviderSection, ProviderSettings
from tests.support.disks import SmallDisk
from tests.support.processes import run, wait_until

HANG_UP = b"and no more"
DOCUMENT = b"%PDF-1.4 a document\n" * 500
OPTIONS = "sides=one-sided job-uuid=urn:uuid:1 time-at-creation=5"

REAL_BACKEND = """\
#!/bin/sh
# the real backend: writes down what it was given, then does what the test asked for
{ echo "uri $0"; echo "device $DEVICE_URI"; for word in "$@"; do echo "arg $word"; done; id -u; id -g; id -G
} > OUT/seen
echo $$ > OUT/pid
cat > OUT/printed
echo "DEBUG: Connected to a printer" >&2
. OUT/behaviour
"""


@dataclass
class Daemon:
    """Answers every question by the next of `answers`; the last one again and again."""

    path: Path
    answers: list[bytes]
    asked: list[Question] = field(default_factory=list)
    documents: list[bytes] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    words: int = 0
    pause_s: float = 0.0
    decided_in: float = 0.0
    hung_up: threading.Event = field(default_factory=threading.Event)
    closing: bool = False

    def __post_init__(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.closing = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.connect(str(self.path))
        self.thread.join(10)
        self.listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            if self.closing:
                connection.close()
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 4)
            question = protocol.decode_request(data[4:])
            assert isinstance(question, Question)
            self.asked.append(question)
            self.documents.append(os.pread(descriptors[0], 1 << 20, 0))
            os.close(descriptors[0])
            if self.decided_in:
                connection.sendall(protocol.encode_decided_in(self.decided_in))
            try:
                for _ in range(self.words):
                    connection.sendall(protocol.encode_working())
                    time.sleep(self.pause_s)
            except BrokenPipeError:
                self.hung_up.set()
                return
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            connection.sendall(answer.removesuffix(HANG_UP))
            if answer and not answer.endswith(HANG_UP):
                told = _receive_or_nothing(connection)
                if told:
                    over = protocol.decode_request(told[4:])
                    assert isinstance(over, RunOver)
                    self.ended.append(over.job_id)
        self.hung_up.set()


def _receive_or_nothing(connection: socket.socket) -> bytes:
    """What the backend says; nothing when it was killed before it had heard us out."""
    try:
        return connection.recv(1 << 16)
    except ConnectionResetError:
        return b""


@dataclass
class Bench:
    """A ServerBin with our backend and a real one called `real`, and room for runs."""

    folder: Path

    def __post_init__(self) -> None:
        self.server_bin = self.folder / "lib"
        self.runs = self.folder / "runs"
        self.out = self.folder / "out"
        for path in (self.server_bin / "backend", self.runs, self.out, self.folder / "tmp"):
            path.mkdir(parents=True)
        self.out.chmod(0o777)
        self.program = self.server_bin / "backend" / "inkeeper"
        self.program.write_bytes(Path(str(backend_module.__file__)).read_bytes())
        self.program.chmod(0o700)
        self.socket = self.folder / "d.sock"
        self.real(0o755)
        self.behave("exit 0")
        self.settings()

    def settings(self, **extra: str) -> None:
        uid, gid = (7, 7) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        values = {
            "socket": self.socket,
            "runs": self.runs,
            "policy": "allow",
            "policies": self.folder / "policies",
            "uid": uid,
            "gid": gid,
            **extra,
        }
        (self.server_bin / "inkeeper.conf").write_text("".join(f"{key}={value}\n" for key, value in values.items()))

    def real(self, mode: int) -> None:
        path = self.server_bin / "backend" / "real"
        path.write_text(REAL_BACKEND.replace("OUT", str(self.out)))
        path.chmod(mode)

    def behave(self, script: str) -> None:
        (self.out / "behaviour").write_text(script + "\n")

    def start(
        self,
        uri: str = "real://printer/x",
        *,
        named_file: Path | None = None,
        document: bytes = DOCUMENT,
        environ: Mapping[str, str] | None = None,
        stdin: int | None = None,
    ) -> "subprocess.Popen[bytes]":
        words: list[str] = [str(self.program), "42", "anna", "a letter", "2", OPTIONS]
        words += [str(named_file)] if named_file else []
        env = {
            "DEVICE_URI": f"inkeeper:/{uri}",
            "PRINTER": "hall",
            "FINAL_CONTENT_TYPE": "application/pdf",
            "CUPS_SERVERBIN": str(self.server_bin),
            "CUPS_REQUESTROOT": "/spool",
            "TMPDIR": str(self.folder / "tmp"),
            "PATH": os.environ["PATH"],
            **(environ or {}),
        }
        return popen(words, env, document, stdin)

    def finish(self, process: "subprocess.Popen[bytes]") -> tuple[int, str]:
        _, said = process.communicate(timeout=60)
        return process.returncode, said.decode(errors="replace")

    def seen(self) -> list[str]:
        return (self.out / "seen").read_text().splitlines()

    def printed(self) -> bytes:
        path = self.out / "printed"
        return path.read_bytes() if path.exists() else b""

    def inner_pid(self) -> int:
        def found() -> int | None:
            path = self.out / "pid"
            text = path.read_text().strip() if path.exists() else ""
            return int(text) if text else None

        return wait_until(found, 20, "the real backend to run")


def popen(
    words: Sequence[str], env: Mapping[str, str], document: bytes, stdin: int | None = None
) -> "subprocess.Popen[bytes]":
    """A process with the document on its standard input, in a group of its own as cupsd starts it."""
    given = subprocess.PIPE if stdin is None else stdin
    process = subprocess.Popen(words, stdin=given, stderr=subprocess.PIPE, env=env, start_new_session=True)
    if stdin is not None:
        os.close(stdin)
        return process
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(document)
    process.stdin.close()
    process.stdin = None
    return process


@pytest.fixture
def bench(scratch: Path) -> Bench:
    return Bench(scratch)


@pytest.fixture
def daemon(bench: Bench) -> Iterator[Daemon]:
    served = Daemon(bench.socket, [allowed(bench)])
    yield served
    served.close()


def allowed(bench: Bench, run: int = 1) -> bytes:
    fields = {"answer": "print", "job_id": "j", "name": f"j.{run}", "run": str(run), "attempt": "1", "document": "1"}
    return protocol.encode_frame({**fields, "runs": str(bench.runs), "incarnation": "7.9", "offline": "0"})


def test_a_permitted_document_is_printed_by_the_real_backend_and_written_down(bench: Bench, daemon: Daemon) -> None:
    exit_code, said = bench.finish(bench.start())
    assert (exit_code, bench.printed()) == (0, DOCUMENT)
    assert daemon.documents == [DOCUMENT]
    (question,) = daemon.asked
    assert (question.cups_job_id, question.user, question.title, question.copies) == (42, "anna", "a letter", 2)
    assert question.device_uri == "real://printer/x"
    seen = bench.seen()
    assert seen[1] == "device real://printer/x"
    assert [line for line in seen if line.startswith("arg")] == [
        "arg 42",
        "arg anna",
        "arg a letter",
        "arg 2",
        f"arg {OPTIONS}",
    ]
    assert "DEBUG: Connected to a printer" in said
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert (found.locked, found.record.exit_code, found.record.canceled, found.record.evidence.connected) == (
        False,
        0,
        False,
        True,
    )
    wait_until(lambda: daemon.ended == ["j"], 10, "the end to be told")
    assert os.listdir(bench.folder / "tmp") == []


@pytest.mark.parametrize("uri", ["real://printer/x", "real://anna:secret@printer/x"])
def test_a_printer_s_password_reaches_the_real_backend_alone(bench: Bench, daemon: Daemon, uri: str) -> None:
    bench.settings(uri="hall real://anna:secret@printer/x\nuri=attic real://ben:other@printer/x")
    assert bench.finish(bench.start(uri))[0] == 0
    assert bench.seen()[1] == "device real://anna:secret@printer/x"
    assert daemon.asked[0].device_uri == "real://printer/x"
    assert b"secret" not in (bench.runs / "j.1.run").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up")
@pytest.mark.parametrize(("mode", "user"), [(0o755, "7"), (0o744, "0"), (0o700, "0")])
@pytest.mark.usefixtures("daemon")
def test_a_backend_that_everybody_may_execute_runs_as_cupsd_s_user(bench: Bench, mode: int, user: str) -> None:
    bench.real(mode)
    bench.finish(bench.start())
    assert bench.seen()[-3] == user
    if user == "7":
        assert bench.seen()[-2:] == ["7", "7"]  # lp's group and no other


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("code", [0, 1, 3, 7])
def test_the_real_backend_s_exit_code_is_handed_on(bench: Bench, code: int) -> None:
    bench.behave(f"exit {code}")
    assert bench.finish(bench.start())[0] == code
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert found.record.exit_code == code


@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        ({"answer": "deny", "message": "Your balance is 0.03 EUR."}, 5, "ERROR: Your balance is 0.03 EUR.\n"),
        ({"answer": "hold", "message": "Waits for its release."}, 3, "ERROR: Waits for its release.\n"),
        ({"answer": "finished"}, 0, ""),
    ],
)
def test_without_permission_nothing_is_printed(
    bench: Bench, daemon: Daemon, answer: Mapping[str, str], exit_code: int, said: str
) -> None:
    daemon.answers = [protocol.encode_frame(answer)]
    assert bench.finish(bench.start()) == (exit_code, said)
    assert not bench.printed()
    assert os.listdir(bench.runs) == []


def test_a_backend_that_is_superseded_though_its_cupsd_lives_asks_again(bench: Bench, daemon: Daemon) -> None:
    daemon.answers = [protocol.encode_frame({"answer": "superseded"}), allowed(bench)]
    assert bench.finish(bench.start())[0] == 0
    assert bench.printed() == DOCUMENT


def test_it_waits_as_it_is_told_and_asks_again(bench: Bench, daemon: Daemon) -> None:
    wait = protocol.encode_frame({"answer": "wait", "message": "the disk is full", "seconds": "0.1"})
    daemon.answers = [protocol.encode_working("looking at it") + wait, allowed(bench)]
    exit_code, said = bench.finish(bench.start())
    assert (exit_code, bench.printed()) == (0, DOCUMENT)
    assert "INFO: looking at it\n" in said
    assert "ERROR: Waiting: the disk is full.\n" in said
    assert len(daemon.asked) == 2


def test_a_daemon_that_hangs_up_is_asked_again(bench: Bench, daemon: Daemon) -> None:
    daemon.answers = [b"", b"", allowed(bench)]
    assert bench.finish(bench.start())[0] == 0
    assert len(daemon.asked) == 3


def test_a_daemon_that_does_not_decide_when_it_said_it_would_is_away(bench: Bench, daemon: Daemon) -> None:
    daemon.decided_in, daemon.words, daemon.pause_s = 0.3, 400, 0.05
    assert bench.finish(bench.start())[0] == 0
    assert bench.printed() == DOCUMENT
    (name,) = runs.all_names(bench.runs)
    assert name.startswith("offline-42-")
    assert daemon.ended == []


def test_a_run_that_somebody_else_began_is_not_printed_again(bench: Bench, daemon: Daemon) -> None:
    (bench.runs / "j.1.run").write_bytes(b"")
    daemon.answers = [allowed(bench, 1), protocol.encode_frame({"answer": "finished"})]
    exit_code, said = bench.finish(bench.start())
    assert exit_code == 0
    assert "another run of this job has begun" in said
    assert not bench.printed()
    assert not [name for name in os.listdir(bench.runs) if name.startswith(".new")]


def test_a_file_that_cupsd_names_is_handed_on_by_name(bench: Bench, daemon: Daemon) -> None:
    document = bench.folder / "d00042-001"
    document.write_bytes(b"raw")
    bench.finish(bench.start(named_file=document))
    assert daemon.documents == [b"raw"]
    assert daemon.asked[0].named_file
    assert f"arg {document}" in bench.seen()


@pytest.mark.usefixtures("daemon")
def test_a_cancel_is_handed_on_once_and_noted(bench: Bench) -> None:
    bench.behave(
        f"trap 'echo x >> {bench.out}/terms' TERM; while [ ! -e {bench.out}/terms ]; do sleep 0.05; done; exit 0"
    )
    process = bench.start()
    bench.inner_pid()
    os.killpg(process.pid, signal.SIGTERM)  # as cupsd does: the whole group
    exit_code, _ = bench.finish(process)
    assert exit_code == 0
    assert (bench.out / "terms").read_text() == "x\n"
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert (found.record.canceled, found.record.exit_code) == (True, 0)


def test_a_cancel_before_the_answer_ends_it_at_once(bench: Bench, daemon: Daemon) -> None:
    daemon.answers = [protocol.encode_working()]
    process = bench.start()
    wait_until(lambda: daemon.asked, 20, "the question")
    process.terminate()
    assert bench.finish(process)[0] == -signal.SIGTERM
    assert daemon.hung_up.wait(10)
    assert not bench.printed()


@pytest.mark.usefixtures("daemon")
def test_an_orphan_holds_the_lock_and_needs_nobody(bench: Bench) -> None:
    go = bench.out / "go"
    bench.behave(
        f'while [ ! -e {go} ]; do sleep 0.05; done; for n in 1 2 3; do echo "DEBUG: line $n" >&2; done; exit 0'
    )
    process = bench.start()
    inner = bench.inner_pid()
    wait_until(bench.printed, 10, "the document to be read")
    process.kill()
    bench.finish(process)
    assert runs.is_locked(bench.runs / "j.1.run")
    assert inner in runs.holders(bench.runs / "j.1.run")
    go.touch()
    wait_until(lambda: not runs.is_locked(bench.runs / "j.1.run"), 10, "the orphan to end")
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert (found.started is not None, found.ended) == (True, None)
    assert b"DEBUG: line 3" in (bench.runs / "j.1.log").read_bytes()


@pytest.mark.usefixtures("daemon")
def test_a_killed_real_backend_is_a_failed_run(bench: Bench) -> None:
    bench.behave("sleep 30")
    process = bench.start()
    os.kill(bench.inner_pid(), signal.SIGKILL)
    assert bench.finish(process)[0] == 1
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert found.record.exit_code == 1


@pytest.mark.usefixtures("daemon")
def test_a_cupsd_that_hangs_does_not_hang_the_run(bench: Bench) -> None:
    bench.behave(
        "i=0; while [ $i -lt 3000 ]; do echo 'DEBUG: a line to fill the pipe with' >&2; i=$((i+1)); done; exit 0"
    )
    process = bench.start()  # nobody reads its messages

    def ended() -> bool:
        found = runs.read_run(bench.runs, "j.1")
        return found is not None and found.ended is not None

    wait_until(ended, 30, "the run to end")
    assert bench.finish(process)[0] == 0


@pytest.mark.usefixtures("daemon")
def test_a_long_log_is_cut_and_its_evidence_kept(bench: Bench) -> None:
    bench.behave(
        "echo 'DEBUG: Print job accepted - job ID 77.' >&2; "
        "dd if=/dev/zero bs=1M count=5 2>/dev/null | tr '\\0' 'x' | fold -w 100 | sed 's/^/DEBUG: /' >&2; sleep 0.5; "
        "echo 'DEBUG: job-state enum completed' >&2; exit 0"
    )
    assert bench.finish(bench.start())[0] == 0
    assert (bench.runs / "j.1.log").stat().st_size < 5 << 20
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert (found.record.evidence.printer_job_id, found.record.evidence.printer_state) == (77, "completed")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.usefixtures("daemon")
def test_a_disk_that_fills_up_in_mid_job_swallows_nothing_of_what_the_real_backend_says(bench: Bench) -> None:
    go, said = bench.out / "go", bench.out / "said"
    bench.behave(
        f"while [ ! -e {go} ]; do sleep 0.05; done; "
        "for n in 1 2 3 4; do head -c 5000 /dev/zero | tr '\\0' x >&2; echo >&2; done; "
        f"echo 'DEBUG: Sending file' >&2; touch {said}; sleep 60"
    )
    with SmallDisk(bench.runs, 1) as disk:
        process = bench.start()
        inner = bench.inner_pid()
        disk.fill()
        go.touch()
        wait_until(said.exists, 20, "the real backend to speak")
        os.kill(inner, signal.SIGKILL)
        exit_code, heard = bench.finish(process)
        found = runs.read_run(bench.runs, "j.1")
    assert (exit_code, heard.endswith("x\nDEBUG: Sending file\n")) == (1, True)
    assert found is not None
    assert (found.record.exit_code, found.record.evidence.sending) == (1, True)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("form", ["file://{path}", "file:{path}"])
def test_a_file_device_gets_the_bytes(bench: Bench, form: str) -> None:
    target = bench.out / "paper"
    uri = form.format(path=target)
    bench.settings(file=uri)
    assert bench.finish(bench.start(uri))[0] == 0
    assert target.read_bytes() == DOCUMENT
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert found.record.exit_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
@pytest.mark.usefixtures("daemon")
def test_a_file_device_that_track_never_saw_is_not_written_as_root(bench: Bench) -> None:
    target = bench.folder / "owned-by-root"
    target.write_text("untouched")
    target.chmod(0o600)
    exit_code, said = bench.finish(bench.start(f"file://{target}"))
    assert exit_code == 4
    assert "Permission denied" in said
    assert target.read_text() == "untouched"


@pytest.mark.usefixtures("daemon")
def test_a_missing_real_backend_stops_the_queue_with_the_reason(bench: Bench) -> None:
    exit_code, said = bench.finish(bench.start("nothere://printer"))
    assert exit_code == 4
    assert "ERROR: The backend of nothere://printer failed" in said
    found = runs.read_run(bench.runs, "j.1")
    assert found is not None
    assert found.record.evidence.unstarted


@pytest.mark.parametrize("uri", ["", "../../bin/sh:x", "inkeeper:/x", "a b:/x", "/etc/passwd"])
def test_a_device_uri_that_is_none_is_refused(bench: Bench, uri: str) -> None:
    exit_code, said = bench.finish(bench.start(uri))
    assert (exit_code, said.startswith("ERROR: The device URI must be")) == (4, True)


def test_an_empty_document_is_not_asked_about(bench: Bench, daemon: Daemon) -> None:
    assert bench.finish(bench.start(document=b""))[0] == 0
    assert daemon.asked == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.usefixtures("daemon")
def test_a_full_disk_under_cupsd_s_temporary_files_is_waited_for(bench: Bench) -> None:
    small = bench.folder / "small"
    small.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small])
    try:
        process = bench.start(document=b"", environ={"TMPDIR": str(small)}, stdin=os.open(_big(bench), os.O_RDONLY))
        assert process.stderr is not None
        assert b"disk with CUPS's temporary files is full" in process.stderr.readline()
        run(["mount", "-o", "remount,size=8m", small])
        assert bench.finish(process)[0] == 0
        assert bench.printed() == DOCUMENT * 100
    finally:
        run(["umount", small])


def _big(bench: Bench) -> Path:
    path = bench.folder / "big.pdf"
    path.write_bytes(DOCUMENT * 100)
    return path


@pytest.mark.parametrize("spoil", ["nothing", "no code", "damaged code", "another source", "another Python"])
def test_the_launcher_starts_it_from_its_compiled_form_or_else_from_its_source(
    bench: Bench, daemon: Daemon, spoil: str
) -> None:
    settings = ProviderSettings(
        provider=ProviderSection(state_dir=str(bench.folder), socket=str(bench.socket)),
        cups=CupsSection(server_bin=str(bench.server_bin), server_root="/nowhere"),
    )
    tracking.install(settings, {})
    source, code = bench.server_bin / "inkeeper.py", bench.server_bin / "inkeeper.code"
    if spoil == "no code":
        code.unlink()
    elif spoil == "damaged code":
        code.write_bytes(code.read_bytes()[:-1] + b"?")
    elif spoil == "another source":
        source.write_text(source.read_text().replace("Printing was refused.", "No."))
        daemon.answers = [protocol.encode_frame({"answer": "deny"})]
    elif spoil == "another Python":
        code.write_bytes(b"\0\0\r\n" + code.read_bytes()[4:])
    exit_code, said = bench.finish(bench.start())
    if spoil == "another source":
        assert (exit_code, said) == (5, "ERROR: No.\n")
    else:
        assert (exit_code, bench.printed()) == (0, DOCUMENT)


def test_cupsd_s_question_for_devices_is_answered_with_none(bench: Bench) -> None:
    done = subprocess.run([bench.program], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---------------------------------------------------------------- the daemon is away


AWAY = """\
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.SourceFileLoader("b", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("b", loader))
loader.exec_module(module)
module.AWAY_S = 0.5
module.PATIENCE_S = 3.0
import os
sys.exit(module.main(sys.argv[1:], dict(os.environ)))
"""


def start_impatient(bench: Bench, options: str = OPTIONS) -> "subprocess.Popen[bytes]":
    """The backend with its patience cut short."""
    words: Sequence[str] = [sys.executable, "-c", AWAY, str(bench.program), "42", "anna", "a letter", "2", options]
    env = {
        "DEVICE_URI": "inkeeper:/real://printer/x",
        "PRINTER": "hall",
        "CUPS_SERVERBIN": str(bench.server_bin),
        "TMPDIR": str(bench.folder / "tmp"),
        "PATH": os.environ["PATH"],
    }
    return popen(words, env, DOCUMENT)


def test_with_the_daemon_away_the_policy_prints_and_the_document_is_kept(bench: Bench) -> None:
    assert bench.finish(start_impatient(bench))[0] == 0
    assert bench.printed() == DOCUMENT
    (name,) = runs.offline_names(bench.runs, 42)
    assert (bench.runs / f"{name}.doc").read_bytes() == DOCUMENT
    found = runs.read_run(bench.runs, name)
    assert found is not None
    assert found.started is not None
    assert (found.started.offline, found.started.job_id, found.started.user, found.started.copies) == (
        True,
        "",
        "anna",
        2,
    )
    assert found.record.exit_code == 0


def test_with_the_daemon_away_a_second_run_of_the_same_printing_is_not_printed(bench: Bench) -> None:
    bench.finish(start_impatient(bench))
    (bench.out / "printed").unlink()
    assert bench.finish(start_impatient(bench))[0] == 0
    assert not bench.printed()
    again = OPTIONS + " time-at-completed=9"  # a person has it printed again
    assert bench.finish(start_impatient(bench, again))[0] == 0
    assert bench.printed() == DOCUMENT
    assert len(runs.offline_names(bench.runs, 42)) == 2


def test_a_daemon_that_is_silent_is_away(bench: Bench, daemon: Daemon) -> None:
    daemon.answers = [protocol.encode_working()]
    assert bench.finish(start_impatient(bench))[0] == 0
    assert bench.printed() == DOCUMENT
    assert len(runs.offline_names(bench.runs)) == 1


def test_a_daemon_that_says_now_and_then_that_it_works_is_waited_for(bench: Bench, daemon: Daemon) -> None:
    """Its whole answer takes longer than it may be silent."""
    daemon.answers = [allowed(bench)]
    daemon.words, daemon.pause_s = 8, 0.2
    assert bench.finish(start_impatient(bench))[0] == 0
    assert runs.all_names(bench.runs) == ["j.1"]


def test_a_daemon_that_dies_of_this_job_again_and_again_is_away(bench: Bench, daemon: Daemon) -> None:
    daemon.answers = [protocol.encode_working() + HANG_UP]
    assert bench.finish(start_impatient(bench))[0] == 0
    assert len(daemon.asked) == backend_module.HANG_UPS + 1
    assert len(runs.offline_names(bench.runs)) == 1


def test_who_went_on_alone_has_hung_up_before(bench: Bench, daemon: Daemon) -> None:
    """A daemon that wakes up finds the connection closed, so that no permission reaches the backend any more."""
    daemon.answers = [protocol.encode_working()]
    bench.behave(f"while [ ! -e {bench.out}/go ]; do sleep 0.05; done; exit 0")
    process = start_impatient(bench)
    bench.inner_pid()
    assert daemon.hung_up.wait(20)
    (bench.out / "go").touch()
    assert bench.finish(process)[0] == 0


@pytest.mark.parametrize(
    ("conf", "policies", "exit_code", "said"),
    [
        ("hold", None, 3, backend_module.HELD_ALONE),
        ("allowance", None, 3, backend_module.HELD_ALONE),
        ("allow", "* hold\n", 3, backend_module.HELD_ALONE),
        ("hold", "* hold\nhall allow\n", 0, ""),
        ("allow", "hall allowance\nother allow\n", 3, backend_module.HELD_ALONE),
        ("allow", "other hold\n", 0, ""),
        ("allow", "hall disabled\n", 5, "Printing on hall is switched off."),
    ],
)
def test_with_the_daemon_away_each_queue_has_its_policy(
    bench: Bench, conf: str, policies: str | None, exit_code: int, said: str
) -> None:
    bench.settings(policy=conf)
    if policies is not None:
        (bench.folder / "policies").write_text(policies)
    code, told = bench.finish(start_impatient(bench))
    assert code == exit_code
    assert f"ERROR: {said}\n" in told if said else bench.printed() == DOCUMENT
    notes = runs.read_notes(bench.runs, 42)
    assert [(note.user, note.title, note.queue, note.cups_job_id, note.options) for note in notes] == (
        [("anna", "a letter", "hall", 42, OPTIONS)] if exit_code == 3 else []
    )
    assert exit_code == 0 or not bench.printed()
    assert not [name for name in os.listdir(bench.runs) if name.startswith(".new")]


def test_what_has_come_out_is_not_held(bench: Bench) -> None:
    bench.finish(start_impatient(bench))
    bench.settings(policy="hold")
    assert bench.finish(start_impatient(bench))[0] == 0
    assert runs.read_notes(bench.runs) == []


def test_a_hold_that_cannot_be_written_down_waits_with_the_reason(bench: Bench) -> None:
    bench.settings(policy="hold", runs=str(bench.folder / "ruin"))
    exit_code, said = bench.finish(start_impatient(bench))
    assert exit_code == 4
    assert f"ERROR: Waiting: {bench.folder}/ruin cannot be read: No such file or directory." in said
    assert not bench.printed()


def test_runs_that_cannot_be_written_down_are_not_printed(bench: Bench, daemon: Daemon) -> None:
    daemon.answers = [
        allowed(bench).replace(str(bench.runs).encode(), str(bench.runs).replace("runs", "ruin").encode())
    ]
    exit_code, said = bench.finish(start_impatient(bench))
    assert exit_code == 4
    assert "the run cannot be written down" in said
    assert not bench.printed()
