"""`inkeeper-provider`: the daemon beside CUPS and the commands around it. The only place that wires everything
together.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from backend.base import logs, notify
from backend.base.cli import EXIT_FAILURE, EXIT_OK, Failure, Parser, load_settings, make_parser, run_program
from backend.base.clock import SystemClock
from backend.base.settings import SettingsError
from backend.client.client import ApiClient
from backend.client.errors import ClientError
from backend.wire.printers import Enroll, EnrollAnswer
from provider import status as status_words
from provider.analysis.worker import Analyser, WorkerDied
from provider.cups import tracking
from provider.cups.client import Cupsd
from provider.enrolment import (
    Cluster,
    EnrolmentError,
    known_servers,
    make_secret,
    read_cluster,
    read_secret,
    write_cluster,
)
from provider.errors import JournalError, ProviderError
from provider.jobs.book import Book
from provider.journal import inspect
from provider.local import protocol
from provider.local.server import LocalServer
from provider.service import Service
from provider.settings import DEFAULT_FILE, ProviderSettings, check
from provider.uplink.sender import Uplink

PROGRAM: Final = "inkeeper-provider"
ENROL_S: Final = 20.0
STATUS_S: Final = 10.0
ANALYSIS_QUEUE_S: Final = 1800.0
QUIET_S: Final = 1.0

_log = logging.getLogger(__name__)


def main() -> None:
    sys.exit(run_program(PROGRAM, run_command))


def run_command(arguments: Sequence[str]) -> int:
    """One command line. Raises what `run_program` turns into a line and an exit code."""
    options = _parser().parse_args(arguments)
    settings = check(load_settings(ProviderSettings, options.config, DEFAULT_FILE))
    command: Callable[[ProviderSettings, argparse.Namespace], int] = options.command
    try:
        return command(settings, options)
    except ProviderError as error:
        raise Failure(str(error)) from error


def _parser() -> Parser:
    parser = make_parser(PROGRAM, "Print accounting beside CUPS: asks a server for each job, reports what was printed.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, help_text: str, command: Callable[..., int]) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
        added.set_defaults(command=command)
        return added

    add("run", "run the daemon in the foreground until SIGTERM", command_run)
    enroll = add("enroll", "make this print server known to a server, with a one-time token", command_enroll)
    enroll.add_argument("--server", required=True, metavar="URL", help="any server of the cluster: http://host:9191")
    enroll.add_argument("--token", required=True, metavar="TOKEN", help="from `inkeeper-server token create`")
    add("track", "count what is printed on a queue", command_track).add_argument("queue", metavar="QUEUE")
    add("untrack", "stop counting on a queue", command_untrack).add_argument("queue", metavar="QUEUE")
    add("status", "whether the daemon runs and a server answers: exit code 0, else 1", command_status)
    _add_journal(commands.add_parser("journal", help="what this print server wrote down of its jobs"))
    add("activate", "take over as the active node of a print cluster", command_not_yet)
    add("standby", "become a standby node of a print cluster", command_not_yet)
    return parser


def _add_journal(journal: argparse.ArgumentParser) -> None:
    actions = journal.add_subparsers(title="actions", required=True, metavar="ACTION")
    text = "the newest record of each job, a line of JSON each, oldest first"
    show = actions.add_parser("show", help=text, description=text)
    show.add_argument("--job", default="", metavar="ID", help="of this job alone")
    show.add_argument("--open", action="store_true", help="of the jobs that are not over, or not yet reported")
    show.set_defaults(command=command_journal_show)
    text = "whether journal and run files are whole: exit code 0, else 1; may run beside the daemon"
    actions.add_parser("verify", help=text, description=text).set_defaults(command=command_journal_verify)


# ---------------------------------------------------------------- run


def command_run(settings: ProviderSettings, _options: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT, then 0."""
    logs.configure(settings.log)
    os.umask(0o077)
    secret = read_secret(settings.state_dir)
    with _only_one(settings.state_dir):
        _make_folder(settings.runs_dir)
        asyncio.run(_run(settings, secret))
    return EXIT_OK


async def _run(settings: ProviderSettings, secret: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        service = await _build(settings, secret, stack)
        server = LocalServer(settings.socket, settings.runs_dir, service)
        try:
            await service.recover()
            server.listen()
        except OSError as error:
            raise Failure(f"the daemon cannot listen at {settings.socket}: {error.strerror}") from error
        stack.push_async_callback(server.close)
        _log.info("provider %s listens at %s", settings.name, settings.socket)
        notify.notify(notify.READY, f"STATUS=listens at {settings.socket}")
        alive = asyncio.create_task(notify.keep_alive())
        work = (
            server.serve(),
            service.run_sender(),
            service.run_heartbeats(),
            service.run_adoption(),
            service.run_keeper(),
            service.run_supplies(),
        )
        await _until(stop, work)
        alive.cancel()
        notify.notify(notify.STOPPING)
        _log.info("provider %s ends", settings.name)


async def _build(settings: ProviderSettings, secret: str, stack: contextlib.AsyncExitStack) -> Service:
    """Everything the daemon is made of; the stack takes it apart again."""
    clock = SystemClock()
    cluster = read_cluster(settings.state_dir)
    servers = known_servers(settings.servers.urls, cluster)
    if not servers:
        raise Failure("no server is known: set [servers] urls")
    client = ApiClient(servers, secret, verify=_trust(settings), user_agent=PROGRAM)
    client.generation = cluster.generation
    stack.push_async_callback(client.aclose)
    cupsd = Cupsd(settings.cups.server)
    # A burst of documents waits its turn: it is the printing that has a deadline, not the looking.
    analyser = Analyser(workers=settings.analysis.workers, wait_s=ANALYSIS_QUEUE_S)
    try:
        await analyser.start()
    except WorkerDied as error:
        raise Failure(f"the analysis cannot be started: {error}") from error
    stack.push_async_callback(analyser.close)
    book = Book(settings.journal_dir, clock)
    stack.push_async_callback(book.close)
    service = Service(settings, cluster, book, cupsd, analyser, Uplink(client), clock)
    stack.push_async_callback(service.close)
    return service


async def _until(stop: asyncio.Event, work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all this work until `stop`; a part that ends by itself ends the daemon, so that it is started anew."""
    tasks = [asyncio.create_task(part) for part in (*work, _wait(stop))]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


@contextlib.contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Two daemons must not write one journal."""
    path = state_dir / "lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Failure(f"another provider runs with the state folder {state_dir}") from None
    finally:
        os.close(fd)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{folder} cannot be made: {error.strerror}") from error


def _trust(settings: ProviderSettings) -> ssl.SSLContext | bool:
    if not settings.servers.ca:
        return True
    try:
        return ssl.create_default_context(cafile=settings.servers.ca)
    except OSError as error:
        raise SettingsError(f"[servers] ca: {settings.servers.ca}: {error.strerror or error}") from error


# ---------------------------------------------------------------- the other commands


def command_enroll(settings: ProviderSettings, options: argparse.Namespace) -> int:
    """Asking again after a lost answer gives the same: the secret is kept."""
    answer = asyncio.run(_enroll(settings, options.server, options.token))
    print(f"provider {answer.name} is enrolled (number {answer.provider_id})")
    return EXIT_OK


async def _enroll(settings: ProviderSettings, server: str, token: str) -> EnrollAnswer:
    secret = make_secret(settings.state_dir)
    client = ApiClient([server], "", verify=_trust(settings), user_agent=PROGRAM)
    question = Enroll(token=token, secret=secret, name=settings.name, host=socket.gethostname())
    try:
        answer = await client.call("POST", "enroll", question, EnrollAnswer, timeout_s=ENROL_S, patient=True)
    except ClientError as error:
        raise EnrolmentError(f"enrolment failed: {error}") from error
    finally:
        await client.aclose()
    members = tuple(member.url for member in answer.members if member.url) or (server.rstrip("/"),)
    known = read_cluster(settings.state_dir)
    servers = tuple(dict.fromkeys((*members, server.rstrip("/"))))
    cluster = replace(known, provider_id=answer.provider_id, name=answer.name, servers=servers)
    if known.provider_id != answer.provider_id:
        # Of a cluster that was restored to a time before this provider was enrolled: it is told the journal again.
        same, restored = set(known.servers) & set(servers), 0 < known.generation < answer.generation
        cluster = Cluster(
            provider_id=answer.provider_id,
            name=answer.name,
            servers=servers,
            generation=answer.generation,
            resending=bool(same and restored),
        )
    try:
        write_cluster(settings.state_dir, cluster)
    except OSError as error:
        raise EnrolmentError(f"the enrolment cannot be kept: {error.strerror}") from error
    return answer


def command_track(settings: ProviderSettings, options: argparse.Namespace) -> int:
    done = asyncio.run(tracking.track(settings, options.queue))
    for warning in done.warnings:
        print(f"{PROGRAM}: warning: {warning}", file=sys.stderr)
    print(f"{options.queue} is {'now' if done.changed else 'already'} tracked: {done.device_uri}")
    return EXIT_OK


def command_untrack(settings: ProviderSettings, options: argparse.Namespace) -> int:
    done = asyncio.run(tracking.untrack(settings, options.queue))
    print(f"{options.queue} is {'no longer' if done.changed else 'not'} tracked: {done.device_uri}")
    return EXIT_OK


def command_status(settings: ProviderSettings, _options: argparse.Namespace) -> int:
    """0 when the daemon runs and a server answers it."""
    told = status_words.decode(_ask_daemon(settings.socket))
    for line in status_words.lines(told):
        print(line)
    if told.healthy:
        return EXIT_OK
    print(f"{PROGRAM}: {status_words.reason(told)}", file=sys.stderr)
    return EXIT_FAILURE


def _ask_daemon(path: Path) -> bytes:
    """The body of the daemon's answer to a question for its status."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(STATUS_S)
        try:
            connection.connect(str(path))
            connection.sendall(protocol.encode_status_question())
            header = _exactly(connection, 4)
            return _exactly(connection, protocol.frame_length(header))
        except (OSError, EOFError) as error:
            raise Failure(f"the daemon does not answer at {path}: {error}") from error


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError("it hung up")
        data += part
    return data


def command_journal_show(settings: ProviderSettings, options: argparse.Namespace) -> int:
    """One line of JSON for each job, oldest first. Only reads, so it may run beside the daemon."""

    def complain(text: str) -> None:
        print(f"{PROGRAM}: {text}: passed over", file=sys.stderr)

    shown = 0
    for payload in inspect.newest(settings.journal_dir, options.job, options.open, complain):
        print(payload.decode())
        shown += 1
    if options.job and not shown:
        raise JournalError(f"there is no {'open ' if options.open else ''}job {options.job} in the journal")
    return EXIT_OK


def command_journal_verify(settings: ProviderSettings, _options: argparse.Namespace) -> int:
    """A line for each thing found, a summary; 1 with the reason when anything is damaged. Only reads."""
    with _progress() as progress:
        inspection = inspect.Inspection(settings.journal_dir, settings.runs_dir, progress)
        for found in inspection.findings():
            print(found)
    print(inspection.summary)
    if inspection.reason:
        raise JournalError(inspection.reason)
    return EXIT_OK


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Says on a terminal how far it is, on one line that goes again; nothing elsewhere, or when it is soon over."""
    began_s, said = time.monotonic(), 0

    def say(text: str) -> None:
        nonlocal said
        if sys.stderr.isatty() and time.monotonic() - began_s > QUIET_S:
            print(f"\r{text.ljust(said)}\r", end="", file=sys.stderr, flush=True)
            said = len(text)

    try:
        yield say
    finally:
        if said:
            print(f"\r{' ' * said}\r", end="", file=sys.stderr, flush=True)


def command_not_yet(_settings: ProviderSettings, _options: argparse.Namespace) -> int:
    raise Failure("print clusters are not yet available; this provider is always active")
