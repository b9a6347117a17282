"""`inkeeper-server`: the one place that chooses implementations, wires them, and starts their loops."""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa
import uvloop

from backend.access import operators
from backend.access import service as access
from backend.access.errors import AccessError
from backend.access.model import ROLES
from backend.access.passwords import Passwords
from backend.access.settings import HELD_TIMEOUT_S, KNOWN, SettingInvalid, read_settings, write_setting
from backend.access.tokens import TokenCache
from backend.api import metrics
from backend.api.app import build_app, openapi_bytes
from backend.api.decisions import Desk
from backend.api.heartbeats import Heartbeats
from backend.api.looks import Looks
from backend.api.metrics import MetricsSettings
from backend.api.picture import Picture
from backend.api.policy_watch import PolicyWatch
from backend.api.server import Listener, ListenError, TlsSettings, bind, check_tls, serve, split_address
from backend.api.services import Services
from backend.base import cli, logs, notify
from backend.base.cli import Failure
from backend.base.clock import SystemClock
from backend.base.ids import uuid7
from backend.base.settings import LogSettings
from backend.cluster import admission
from backend.cluster import service as cluster
from backend.cluster.agent import ClusterAgent, ClusterSettings, Duty, Identity, Load
from backend.cluster.database_watch import DatabaseWatch
from backend.cluster.dns.keeper import DnsKeeper, record_change
from backend.cluster.dns.server import DnsServer, DnsSettings
from backend.cluster.events import EventHub
from backend.cluster.patroni import Patroni, addresses
from backend.compat.routes import routes as compat_routes
from backend.db import migrate
from backend.db.engine import Database, DatabaseSettings
from backend.db.errors import DatabaseAway, DatabaseError, DatabaseRefused
from backend.db.lockfile import ServerLock
from backend.intake.errors import ConnectionFault, IntakeError
from backend.intake.model import EndHold, Expire, Missing, Policy
from backend.intake.service import Intake
from backend.intake.store import Store
from backend.intake.store_postgresql import PostgresqlStore
from backend.intake.store_sqlite import SqliteStore
from backend.jobs.queries import describe_jobs
from backend.jobs.service import overdue_holds, silent_jobs
from backend.notices.mail import Mailer, MailSettings
from backend.notices.notifier import EVERY_S as NOTIFY_EVERY_S
from backend.notices.notifier import Notifier
from backend.operations import backup as backup_command
from backend.operations import cluster as cluster_command
from backend.operations import database as database_command
from backend.operations import operators as operator_command
from backend.operations import restore as restore_command
from backend.operations import users as users_command
from backend.operations.online_backup import BackupSettings, OnlineBackup, online_backup
from backend.people.identities import alias_owners
from backend.people.service import provision_users
from backend.printers.service import provision_queues
from backend.wire.base import Ledger
from backend.wire.jobs import JobActionAnswer
from backend.wire.money import MoneyAnswer

PROGRAM = "inkeeper-server"
DEFAULT_CONFIG = Path("/etc/inkeeper/server.toml")
LATER = ("command", "verify")
CLOSE_WITHIN_S = 1.5
COLLECT_AFTER = (10_000, 20, 20)  # objects, and young collections in old ones
READY_WITHIN_S = 2.0
START_WITHIN_S = 30
EXPIRE_EVERY_S = 60.0
HOLDS_EVERY_S = 5.0
PRUNE_EVERY_S = 300.0
PRUNE_ROUNDS = 50
TIDY_EVERY_S = 3600.0

log = logging.getLogger(PROGRAM)


class ServerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name` is the member's, the host's name by default; `advertise` is the URL under which clients reach it."""

    name: str = ""
    listen: str = "127.0.0.1:9191"
    advertise: str = ""


class LedgerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Currency and scale never change once there are transfers. A reservation of a provider that is silent for
    `reservation_grace_s` expires."""

    currency: str = "EUR"
    decimals: int = 4
    reservation_grace_s: float = 86_400.0


class ServerSettings(msgspec.Struct, frozen=True):
    """The sections of the settings file."""

    server: ServerSection = ServerSection()
    tls: TlsSettings = TlsSettings()
    database: DatabaseSettings = DatabaseSettings()
    cluster: ClusterSettings = ClusterSettings()
    ledger: LedgerSection = LedgerSection()
    backup: BackupSettings = BackupSettings()
    dns: DnsSettings = DnsSettings()
    mail: MailSettings = MailSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; its exit code. `arguments` are those of the process by default."""
    return cli.run_program(PROGRAM, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options, rest = _parser().parse_known_args(_with_plain_values(arguments))
    if options.command in LATER:  # whatever its arguments are
        raise Failure(f"`{options.command}` is not available in this version")
    if rest:
        raise cli.UsageError(f"unrecognized arguments: {' '.join(rest)} (see {PROGRAM} --help)")
    settings = cli.load_settings(ServerSettings, options.config, DEFAULT_CONFIG)
    logs.configure(settings.log)
    try:
        return int(options.run(options, settings))
    except (DatabaseError, ListenError, SettingInvalid, AccessError) as error:
        raise Failure(str(error)) from error


def _with_plain_values(arguments: Sequence[str]) -> list[str]:
    """A setting's value may begin with a dash (one secret in 64 does); argparse takes it for an option unless told."""
    for at in range(len(arguments) - 1):
        after = list(arguments[at + 2 :])
        if list(arguments[at : at + 2]) == ["config", "set"] and not {"--", "-h", "--help"} & set(after):
            return [*arguments[: at + 2], "--", *after]
    return list(arguments)


def _parser() -> cli.Parser:
    parser = cli.make_parser(PROGRAM, "The Inkeeper application server.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run in the foreground until SIGTERM")
    run.set_defaults(run=run_server)
    up = commands.add_parser("migrate", help="make or bring up to date the database's tables")
    up.set_defaults(run=run_migrate)
    _add_config(commands.add_parser("config", help="read or change a setting kept in the database"))
    who = commands.add_parser("operator", help="people who log in: administrators, the help desk, auditors")
    who.set_defaults(run=run_operator)
    operator_command.add_parser(who)
    _add_token(commands.add_parser("token", help="make an access token, or an enrolment token for a provider"))
    members = commands.add_parser("cluster", help="see and change the cluster of servers")
    members.set_defaults(run=run_cluster)
    cluster_command.add_parser(members)
    save = commands.add_parser("backup", help="write all of the database into a file, while servers run")
    save.set_defaults(run=run_backup)
    backup_command.add_parser(save)
    back = commands.add_parser("restore", help="make a backup the database, while no server runs")
    back.set_defaults(run=run_restore)
    restore_command.add_parser(back)
    users = commands.add_parser("users", help="import users from a file")
    users.set_defaults(run=run_users)
    users_command.add_parser(users)
    for name in LATER:
        later = commands.add_parser(name, help="not available in this version")
        later.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="get|set")
    get = verbs.add_parser("get", help="print a setting's value")
    get.add_argument("key", metavar="KEY")
    get.set_defaults(run=run_config_get)
    put = verbs.add_parser("set", help="set a setting")
    put.add_argument("key", metavar="KEY")
    put.add_argument("value", metavar="VALUE")
    put.set_defaults(run=run_config_set)


def _add_token(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="create")
    create = verbs.add_parser("create", help="make a token; the last line on stdout is the token alone")
    create.add_argument("--role", choices=ROLES, required=True, help="what its holder may do; provider: to enrol once")
    create.add_argument("--name", required=True, help="whose it is; of a provider: the name it gets")
    create.set_defaults(run=run_token_create)


# ---------------------------------------------------------------- the short commands


@contextlib.contextmanager
def opened(settings: ServerSettings) -> Iterator[Database]:
    """The database for a short command, its tables made where there are none yet.

    On SQLite this is a second process beside a server that may be running: see docs/adr/0005.
    """
    database = Database(settings.database.url)
    try:
        migrate.migrate(database, _refuse_older)
        yield database
    finally:
        database.close()


def run_migrate(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server migrate`."""
    database = Database(settings.database.url)
    try:
        changed = migrate.migrate(database)
    finally:
        database.close()
    print("the database's tables are now of this version" if changed else "the database is up to date")
    return cli.EXIT_OK


def run_config_get(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server config get KEY`."""
    with opened(settings) as database, database.connect() as conn:
        found = read_settings(conn, options.key)
    if options.key not in found:
        raise Failure(f"there is no setting {options.key!r}; Inkeeper's own are {', '.join(sorted(KNOWN))}")
    print(found[options.key])
    return cli.EXIT_OK


def run_config_set(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server config set KEY VALUE`."""
    with opened(settings) as database, database.connect(writing=True) as conn:
        write_setting(conn, options.key, options.value, _person(), "admin")
    return cli.EXIT_OK


def run_cluster(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server cluster …`."""
    with opened(settings) as database:
        if options.verb == database_command.ACTION:
            return database_command.run(options, database, settings.database, _person())
        found: int = options.cluster_run(options, database, settings.cluster, _person())
    return found


def run_backup(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server backup FILE`."""
    return backup_command.run(options, settings.database)


def run_restore(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server restore FILE`."""
    return restore_command.run(options, settings.database, _person())


def run_users(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server users …`."""
    with opened(settings) as database:
        found: int = options.users_run(options, database, settings.ledger.decimals, _person())
    return found


def run_token_create(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server token create --role ROLE --name NAME`."""
    if not 0 < len(options.name.strip()) <= 255 or not options.name.isprintable():
        raise cli.UsageError("--name takes 1 to 255 printable characters")
    with opened(settings) as database, database.connect(writing=True) as conn:
        if options.role == "provider":
            token = access.create_enrolment(conn, options.name.strip(), _person())
        else:
            token = access.create_token(conn, options.role, options.name.strip(), _person())
    print(token)
    return cli.EXIT_OK


def run_operator(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server operator …`."""
    with opened(settings) as database:
        return operator_command.run(options, database, _person())


def _person() -> str:
    return f"command line:{os.environ.get('SUDO_USER') or os.environ.get('USER') or os.getuid()}"


def _refuse_older(state: migrate.State) -> None:
    if state == "older":
        raise DatabaseRefused(f"the database was made by an older version: run `{PROGRAM} migrate`")


# ---------------------------------------------------------------- the server


def run_server(options: argparse.Namespace, settings: ServerSettings) -> int:
    """`inkeeper-server run`."""
    if not settings.server.listen and not settings.tls.listen:
        raise Failure("[server] listen and [tls] listen are both empty: nothing to serve on")
    database = Database(settings.database.url)
    with contextlib.ExitStack() as stack:
        if database.is_sqlite:
            stack.enter_context(ServerLock(database.url.path))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, database, online_backup(settings.backup, database.url, options.config)))
        left = database.busy
        database.close()
    if left:  # a call hangs in a database that does not answer; its thread must not hold up the end
        logging.shutdown()
        os._exit(cli.EXIT_OK)
    return cli.EXIT_OK


async def _serve(settings: ServerSettings, database: Database, backup: OnlineBackup) -> None:
    open_to = metrics.networks(settings.metrics)
    listeners = _bind(settings)
    alive = asyncio.create_task(notify.keep_alive())
    await _prepare(settings, database)
    async with running(settings, database) as services:
        data_dir = database.url.path.parent if database.is_sqlite else Path.cwd()
        compat = compat_routes(
            database=database,
            intake=services.intake,
            tokens=services.tokens,
            ledger=services.ledger,
            version=cli.program_version(),
            data_dir=data_dir,
            backup=backup,
            patroni=services.patroni,
        )
        scraped = metrics.route(services, open_to, cli.program_version())
        farewells: list[asyncio.Task[None]] = []

        def on_stop() -> None:
            log.info("stopping: finishing what is under way")
            notify.notify(notify.STOPPING)
            services.draining = True
            services.hub.close_streams()
            farewells.append(asyncio.create_task(services.agent.drain()))

        def on_ready() -> None:
            _spare_the_collector()
            place = settings.server.listen or settings.tls.listen
            log.info("serving on %s as %r", place, services.agent.identity.name)
            notify.notify(notify.READY, f"STATUS=serving on {place}")

        await serve(build_app(services, [*compat, scraped]), listeners, on_stop, on_ready)
        for farewell in farewells:
            farewell.cancel()
        await asyncio.gather(*farewells, return_exceptions=True)
    alive.cancel()


def _spare_the_collector() -> None:
    """What is there now stays to the end, and requests leave few cycles behind: Python's defaults would go through all
    of it again and again, for a seventh of the processor time of a server that mostly takes heartbeats."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _bind(settings: ServerSettings) -> list[Listener]:
    listeners = [bind(settings.server.listen, "[server] listen")] if settings.server.listen else []
    if settings.tls.listen:
        check_tls(settings.tls)
        listeners.append(bind(settings.tls.listen, "[tls] listen", settings.tls))
    return listeners


async def _prepare(settings: ServerSettings, database: Database) -> None:
    """Wait for the database and see to its tables: SQLite is brought up to date, PostgreSQL only when it is empty. Then
    ask whether this server may join. Raises DatabaseRefused."""

    def prepare(conn: sa.Connection) -> bool:
        return migrate.upgrade(conn, (lambda _: None) if database.is_sqlite else _refuse_older)

    identity = _identity(settings)
    kept = {"ledger.currency": settings.ledger.currency, "ledger.decimals": str(settings.ledger.decimals)}
    told = False
    while True:
        try:
            if await database.write(prepare):
                log.info("made the database's tables")
            await admission.admit(database, identity, settings.cluster, kept, SystemClock())
            return
        except DatabaseAway as error:
            if not told:
                log.warning("waiting for the database: %s", error)
            told = True
            notify.still_starting(START_WITHIN_S, "waiting for the database")
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def running(settings: ServerSettings, database: Database) -> AsyncIterator[Services]:
    """All parts of a server, started; stopped at the end of the block within CLOSE_WITHIN_S a part."""
    services = make_services(settings, database)
    agent, hub = services.agent, services.hub
    agent.on_drain = hub.close_streams
    agent.load = lambda: Load(max(0, services.under_way - hub.stream_count), hub.stream_count)
    with contextlib.suppress(DatabaseAway):
        await agent.refresh()
        await services.policy_watch.look()
    services.intake.start()
    hub.start()
    services.policy_watch.start()
    services.looks.start()
    services.heartbeats.start()
    services.picture.start()
    services.database_watch.start()
    agent.start(_duties(settings, services))
    await _ready(services.intake)
    try:
        yield services
    finally:
        services.draining = True
        for close in (
            services.policy_watch.close,
            services.looks.close,
            services.heartbeats.close,
            services.picture.close,
            services.database_watch.close,
            hub.close,
            lambda: services.intake.close(CLOSE_WITHIN_S),
            agent.close,
        ):
            await _within(close)


async def _ready(intake: Intake) -> None:
    """Give the intake a moment to reach the database, so that the first clients are not sent away."""
    for _ in range(round(READY_WITHIN_S / 0.01)):
        if intake.ready:
            return
        await asyncio.sleep(0.01)


async def _within(close: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.wait_for(close(), CLOSE_WITHIN_S)
    except TimeoutError:
        log.warning("did not end in time; going on without it")


def make_services(settings: ServerSettings, database: Database) -> Services:
    """All parts of a server, not started."""
    clock = SystemClock()
    ledger = Ledger(currency=settings.ledger.currency, decimals=settings.ledger.decimals)
    agent = ClusterAgent(database, _identity(settings), settings.cluster, clock)
    hub = EventHub(database, lambda: agent.snapshot, describe_jobs)
    store = _store(database)
    patroni = Patroni(() if database.is_sqlite else addresses(settings.database.patroni, database.url.hosts))
    intake = Intake(
        store,
        Policy(ledger=ledger),
        _provider_of_missing(database),
        first_stripe=secrets.randbelow(32) * store.lanes,
        on_commit=hub.wake,
    )
    return Services(
        database=database,
        intake=intake,
        policy_watch=PolicyWatch(database, intake),
        looks=Looks(database, clock),
        passwords=Passwords(),
        agent=agent,
        hub=hub,
        tokens=TokenCache(database, clock),
        heartbeats=Heartbeats(database, clock, agent.identity.name),
        desk=Desk(database, clock),
        picture=Picture(database, agent, hub, clock, ledger, patroni),
        ledger=ledger,
        openapi=openapi_bytes(),
        patroni=patroni,
        database_watch=DatabaseWatch(database, patroni, lambda: agent.term, agent.identity.process),
        dns=_dns_keeper(settings, database, agent, clock),
        notifier=_notifier(settings, database, agent),
    )


def _notifier(settings: ServerSettings, database: Database, agent: ClusterAgent) -> Notifier | None:
    if not settings.mail.server:
        return None
    return Notifier(database, agent.identity.process, Mailer(settings.mail), lambda: agent.snapshot)


def _dns_keeper(
    settings: ServerSettings, database: Database, agent: ClusterAgent, clock: SystemClock
) -> DnsKeeper | None:
    if not settings.dns.name:
        return None

    async def record(term: int, name: str, cause: str, addresses: frozenset[str]) -> None:
        await database.write(record_change, agent.identity.process, term, name, cause, addresses)

    return DnsKeeper(DnsServer(settings.dns), lambda: agent.snapshot, clock, record)


def _identity(settings: ServerSettings) -> Identity:
    name = settings.server.name or socket.gethostname()
    if settings.server.advertise:
        url = settings.server.advertise.rstrip("/")
    else:
        secure = not settings.server.listen
        host, port = split_address(settings.tls.listen if secure else settings.server.listen, "listen")
        host = socket.getfqdn() if host in ("0.0.0.0", "::") else host
        url = f"{'https' if secure else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
    offered = (("http", settings.server.listen), ("https", settings.tls.listen))
    return Identity(
        name=name,
        url=url,
        process=uuid7(),
        program_version=cli.program_version(),
        host=socket.gethostname(),
        serves=" ".join(word for word, listen in offered if listen),
    )


def _store(database: Database) -> Store:
    if database.is_sqlite:
        return SqliteStore(str(database.url.path))
    return PostgresqlStore(database.url.conninfo())


def _provider_of_missing(database: Database) -> Callable[[Missing], Awaitable[Mapping[str, str]]]:
    """Makes users and queues that a job meets for the first time, each set in a transaction of its own; tells which
    names are aliases, and whose."""

    def make(conn: sa.Connection, missing: Missing) -> Mapping[str, str]:
        aliases = provision_users(conn, missing.users) | alias_owners(conn, missing.names)
        provision_queues(conn, missing.queues)
        return aliases

    async def provide(missing: Missing) -> Mapping[str, str]:
        try:
            return await database.write(make, missing)
        except DatabaseError as error:
            raise ConnectionFault(str(error), commit_sent=False) from error

    return provide


def _duties(settings: ServerSettings, services: Services) -> list[Duty]:
    """What only the leader does."""
    database, process = services.database, services.agent.identity.process
    grace_ms = round(settings.ledger.reservation_grace_s * 1000)

    async def expire(term: int) -> None:
        await expire_silent(services, grace_ms, term)

    async def prune(term: int) -> None:
        for _ in range(PRUNE_ROUNDS):
            if await database.write(cluster.prune, term, process) < cluster.PRUNE_ROWS:
                return

    async def tidy(term: int) -> None:
        await database.write(operators.forget_old)

    async def end_holds(term: int) -> None:
        await end_overdue_holds(services, term)

    duties = [
        Duty("expiry", EXPIRE_EVERY_S, expire),
        Duty("held jobs", HOLDS_EVERY_S, end_holds),
        Duty("pruning", PRUNE_EVERY_S, prune),
        Duty("tidying", TIDY_EVERY_S, tidy),
        Duty("members", settings.cluster.heartbeat_s, services.agent.note_gone),
    ]
    if services.dns is not None:
        duties.append(Duty("DNS", settings.cluster.heartbeat_s, services.dns.tend))
    if services.notifier is not None:
        duties.append(Duty("mail", NOTIFY_EVERY_S, services.notifier.tend))
    return duties


async def expire_silent(services: Services, grace_ms: int, term: int) -> None:
    """End the reservations that nobody renewed for `grace_ms`."""
    job_ids, silent_since = await services.database.run(silent_jobs, grace_ms)
    for job_id in job_ids:
        body = Expire(command_id=uuid7(), job_id=job_id, term=term, silent_since=silent_since)
        try:
            await services.intake.ask(body, MoneyAnswer, actor="system:leader")
        except IntakeError as error:
            log.warning("job %s: its reservation could not be ended: %s", job_id, error)


async def end_overdue_holds(services: Services, term: int) -> None:
    """Cancel the jobs that nobody released in the time that the setting gives."""

    def overdue(conn: sa.Connection) -> tuple[tuple[str, ...], int]:
        timeout_s = int(read_settings(conn, HELD_TIMEOUT_S)[HELD_TIMEOUT_S])
        return overdue_holds(conn, timeout_s * 1000) if timeout_s else ((), 0)

    job_ids, held_before = await services.database.run(overdue)
    for job_id in job_ids:
        body = EndHold(command_id=uuid7(), job_id=job_id, term=term, held_before=held_before)
        try:
            await services.intake.ask(body, JobActionAnswer, actor="system:leader")
        except IntakeError as error:
            log.warning("job %s: it could not be canceled after its time: %s", job_id, error)


if __name__ == "__main__":
    sys.exit(main())
