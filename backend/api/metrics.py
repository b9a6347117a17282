"""`/metrics` in Prometheus's text format: what this server did and how it sees its cluster.

Counters are this server's own. What is said of members, print servers and databases comes from the picture that
consoles get too (at most half a second old): a scrape asks the database at most that one question, and while it does
not answer the scrape still does, without them. Names follow the conventions of prometheus.io (base units, `_total`,
`_info`); docs/OPERATIONS.md lists all of them, and a test holds the two together.
"""

import asyncio
import collections
import ipaddress
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, get_args

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from backend.access.model import METRICS
from backend.api.problems import expected, send_problem
from backend.api.reading import authenticate
from backend.api.services import Services
from backend.base.settings import SettingsError
from backend.base.tally import Counts, Histogram
from backend.db.errors import DatabaseError
from backend.wire.cluster import Health, Topology
from backend.wire.printers import MemberState

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
PICTURE_WITHIN_S: Final = 1.0
MEMBER_STATES: Final[tuple[MemberState, ...]] = get_args(MemberState)
HEALTHS: Final[tuple[Health, ...]] = get_args(Health)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`open_to`: addresses and networks that need no token, separated by blanks."""

    open_to: str = ""


def networks(settings: MetricsSettings) -> tuple[Network, ...]:
    """Who needs no token. Raises SettingsError."""
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in settings.open_to.replace(",", " ").split())
    except ValueError as error:
        raise SettingsError(f"[metrics] open_to: {error}") from error


def route(services: Services, open_to: Sequence[Network], version: str) -> Route:
    """The one route."""
    return Route(PATH, _Endpoint(services, open_to, version), methods=["GET"], name="metrics")


class _Endpoint:
    """Answers by the rules of its own: a token of the role metrics (or of those who see all), or a trusted address."""

    def __init__(self, services: Services, open_to: Sequence[Network], version: str) -> None:
        self._services = services
        self._open_to = open_to
        self._version = version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not _within(scope, self._open_to):
                await authenticate(scope, self._services.tokens, METRICS)
        except Exception as error:
            found = expected(error)
            if found is None:
                raise
            await send_problem(send, found)
            return
        now_s = asyncio.get_running_loop().time()
        text = written(families(self._services, await _picture(self._services), self._version, now_s))
        headers = [(b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})


async def _picture(services: Services) -> Topology | None:
    try:
        found = await asyncio.wait_for(services.picture.topology(), PICTURE_WITHIN_S)
        return None if found.age_s else found  # the numbers of what is only remembered are none
    except (TimeoutError, DatabaseError) as error:
        log.debug("a scrape goes without the picture: %s", error)
        return None


def _within(scope: Scope, open_to: Sequence[Network]) -> bool:
    try:
        peer = ipaddress.ip_address(scope["client"][0])
    except (TypeError, ValueError):  # no address, as over a unix socket
        return False
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in network for network in open_to)


def written(found: Iterable[Metric]) -> bytes:
    """The families as text."""

    class Once(Collector):
        def collect(self) -> Iterable[Metric]:
            return found

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def families(services: Services, picture: Topology | None, version: str, now_s: float) -> list[Metric]:
    """Everything that is told."""
    about = InfoMetricFamily("inkeeper_build", "The program", {"version": version})
    return [
        about,
        *_commands(services),
        *_database(services, picture),
        *_cluster(services, now_s),
        *_printing(picture),
        *_dns(services),
        *_mail(services),
    ]


def _commands(services: Services) -> Iterator[Metric]:
    tally = services.intake.tally
    total = CounterMetricFamily(
        "inkeeper_commands", "Commands about money and jobs that ended here", labels=["kind", "outcome"]
    )
    for (kind, outcome), count in tally.commands.of.items():
        total.add_metric([kind, outcome], count)
    yield total
    yield _histogram("inkeeper_command_duration_seconds", "From a command's arrival to its answer", tally.command_s)
    yield _histogram("inkeeper_batch_commands", "Commands in one transaction", tally.batch_sizes)
    yield _histogram("inkeeper_batch_duration_seconds", "One transaction of commands", tally.batch_s)
    yield _gauge("inkeeper_commands_waiting", "Commands that wait for a transaction", services.intake.waiting)
    yield _by("inkeeper_http_requests", "HTTP requests answered, by status", "status", services.answered)


def _database(services: Services, picture: Topology | None) -> Iterator[Metric]:
    up = picture is not None and services.intake.ready
    yield _gauge("inkeeper_database_up", "Whether the database answers in time and takes commands", up)
    connections = GaugeMetricFamily(
        "inkeeper_database_connections", "Connections of the pool for all but commands", labels=["state"]
    )
    pool = services.database.engine.pool
    if isinstance(pool, QueuePool):
        connections.add_metric(["used"], pool.checkedout())
        connections.add_metric(["idle"], pool.checkedin())
    yield connections
    databases = GaugeMetricFamily(
        "inkeeper_databases", "Databases as the picture shows them", labels=["role", "health"]
    )
    shown = collections.Counter((view.role, view.health) for view in picture.databases) if picture else {}
    for (role, health), count in shown.items():
        databases.add_metric([role, health], count)
    yield databases


def _cluster(services: Services, now_s: float) -> Iterator[Metric]:
    agent, snapshot = services.agent, services.agent.snapshot
    states = collections.Counter(member.state for member in snapshot.listed())
    members = GaugeMetricFamily("inkeeper_members", "Application servers by state", labels=["state"])
    for state in MEMBER_STATES:
        members.add_metric([state], states[state])
    yield members
    yield _gauge("inkeeper_leader", "Whether this server leads the cluster", agent.leads)
    yield _gauge("inkeeper_term", "The term of the lease, as last read", snapshot.lease.term)
    yield _gauge("inkeeper_generation", "The cluster's generation: one more after each restore", snapshot.generation)
    yield _gauge("inkeeper_paused", "Whether the cluster is paused", snapshot.paused)
    yield _gauge("inkeeper_draining", "Whether this server takes no new work", services.refusing)
    yield _gauge("inkeeper_event_streams", "Event streams that are open here", services.hub.stream_count)
    yield _gauge("inkeeper_events_lag_seconds", "How far open event streams are behind", services.hub.lag_s(now_s))


def _printing(picture: Topology | None) -> Iterator[Metric]:
    providers = GaugeMetricFamily("inkeeper_providers", "Print servers by health", labels=["health"])
    queues = GaugeMetricFamily("inkeeper_queues", "Queues of print servers", labels=["tracked", "printer_state"])
    backlog = GaugeMetricFamily("inkeeper_provider_backlog_reports", "Reports that wait on print servers")
    oldest = GaugeMetricFamily("inkeeper_provider_oldest_report_seconds", "Age of the oldest report that waits")
    held = GaugeMetricFamily("inkeeper_provider_held_jobs", "Jobs that wait on print servers for a release or a server")
    room = GaugeMetricFamily("inkeeper_provider_disk_free_bytes", "Room for the journal on the fullest print server")
    if picture is not None:
        held.add_metric([], sum(view.held_jobs for view in picture.providers))
        rooms = [view.disk_free_bytes for view in picture.providers if view.disk_free_bytes]
        if rooms:
            room.add_metric([], min(rooms))
        healths = collections.Counter(view.health for view in picture.providers)
        for health in HEALTHS:
            providers.add_metric([health], healths[health])
        states = collections.Counter((str(queue.tracked).lower(), queue.printer_state) for queue in picture.queues)
        for (tracked, state), count in states.items():
            queues.add_metric([tracked, state], count)
        backlog.add_metric([], sum(view.backlog for view in picture.providers))
        oldest.add_metric([], max((view.oldest_unsent_s for view in picture.providers if view.backlog), default=0.0))
    yield from (providers, queues, backlog, oldest, held, room)


def _dns(services: Services) -> Iterator[Metric]:
    """Of the name in DNS; without values where none is kept, or by another server."""
    up = GaugeMetricFamily("inkeeper_dns_up", "Whether the name in DNS is as it should be")
    addresses = GaugeMetricFamily("inkeeper_dns_addresses", "Addresses of the name in DNS")
    updates = CounterMetricFamily("inkeeper_dns_updates", "Updates of the name in DNS")
    failures = CounterMetricFamily("inkeeper_dns_failures", "Tries to keep the name in DNS that failed")
    keeper = services.dns
    if keeper is not None and services.agent.leads:
        up.add_metric([], not keeper.trouble)
        addresses.add_metric([], len(keeper.addresses))
    if keeper is not None:
        updates.add_metric([], keeper.update_count)
        failures.add_metric([], keeper.failure_count)
    yield from (up, addresses, updates, failures)


def _mail(services: Services) -> Iterator[Metric]:
    """Of the mails to administrators; without values where none are sent, or by another server."""
    waiting = GaugeMetricFamily("inkeeper_mails_waiting", "Mails that were not sent yet")
    oldest = GaugeMetricFamily("inkeeper_mail_oldest_seconds", "Age of the oldest mail that was not sent yet")
    sent = CounterMetricFamily("inkeeper_mails_sent", "Mails sent")
    failures = CounterMetricFamily("inkeeper_mail_failures", "Tries to send a mail that failed")
    notifier = services.notifier
    if notifier is not None and services.agent.leads:
        waiting.add_metric([], notifier.waiting.count)
        oldest.add_metric([], notifier.waiting.oldest_s)
    if notifier is not None:
        sent.add_metric([], notifier.sent_count)
        failures.add_metric([], notifier.failure_count)
    yield from (waiting, oldest, sent, failures)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _by(name: str, text: str, label: str, counts: Counts[int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in counts.of.items():
        family.add_metric([str(key)], count)
    return family


def _histogram(name: str, text: str, found: Histogram) -> Metric:
    return HistogramMetricFamily(name, text, buckets=list(found.buckets()), sum_value=found.sum)
