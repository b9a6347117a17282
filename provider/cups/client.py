"""Asking cupsd and IPP printers, with a deadline on every question.

cupsd is reached over its socket (then as this process's user, by peer credentials) or over TCP; a printer by the
URI that its backend prints to. Only read here; the one operation that changes anything is Cancel-Job.
"""

import itertools
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from backend.client.names import Names
from backend.wire.printers import PrinterState, QueueReport
from provider.cups import ipp
from provider.cups.http import Place, post
from provider.cups.ipp import Group, Message, Tagged
from provider.cups.markers import MARKERS, read_supplies
from provider.errors import CupsError, IppRefusal
from provider.jobs.rules import IPP_SCHEMES

TIMEOUT_S: Final = 2.0
IPP_PORT: Final = 631
SCHEME: Final = "inkeeper:/"
_PRINTER_STATES: Final[dict[int, PrinterState]] = {3: "idle", 4: "processing", 5: "stopped"}
_QUEUE_ATTRIBUTES: Final = (
    "printer-name",
    "device-uri",
    "printer-info",
    "printer-location",
    "printer-state",
    "printer-state-reasons",
    "printer-is-accepting-jobs",
    "printer-type",
    "uri-authentication-supported",
    *MARKERS,
)
_JOB_ATTRIBUTES: Final = (
    "job-id",
    "job-state",
    "time-at-creation",
    "time-at-completed",
    "job-originating-user-name",
    "job-originating-host-name",
    "number-of-documents",
)
_LISTED_ATTRIBUTES: Final = ("job-id", "job-state", "time-at-creation")  # of thousands: each costs reading
CLASS_BIT: Final = 0x1
MOST_COPIES: Final = 20
MOST_WAITING: Final = 10_000
LISTING_S: Final = 10.0
HELD: Final = 4  # IPP's job-state pending-held


@dataclass(frozen=True)
class CupsJob:
    """A job as cupsd tells of it. `state` is IPP's job-state (3 pending … 9 completed), times are seconds since
    1970.
    """

    job_id: int
    state: int
    time_at_creation: int
    time_at_completed: int
    user_name: str
    host: str
    documents: int

    @property
    def over(self) -> bool:
        return self.state >= 7

    @property
    def held(self) -> bool:
        return self.state == HELD


@dataclass(frozen=True)
class Queue:
    """A CUPS destination. `unauthenticated`: cupsd takes whatever user name a client claims."""

    report: QueueReport
    device_uri: str
    is_class: bool
    unauthenticated: bool


class IppClient:
    """IPP to one printer or server. Safe for many requests at once in one event loop."""

    def __init__(self, place: Place, uri: str, names: Names, user: str = "") -> None:
        """`uri` is what the requests are about; `user` is whom the socket's other end will see, where it asks for
        that.
        """
        self.uri = uri
        self._place = place
        self._names = names
        self._user = user
        self._ids = itertools.count(1)

    async def ask(self, operation: int, attributes: Mapping[str, Tagged], timeout_s: float = TIMEOUT_S) -> Message:
        """The answer. Raises IppRefusal for an IPP error status, CupsError for everything else that goes wrong."""
        name = ipp.OPERATION_NAMES.get(operation, hex(operation))
        request = ipp.encode_request(operation, next(self._ids) & 0x7FFFFFFF, attributes)
        headers = {"Content-Type": "application/ipp", "User-Agent": "inkeeper"}
        try:
            status, body = await post(self._place, request, headers, timeout_s, self._names)
            if status == 401 and self._user:
                # cupsd logs an error for credentials where it wants none, so they are shown only when asked for.
                headers["Authorization"] = f"PeerCred {self._user}"
                status, body = await post(self._place, request, headers, timeout_s, self._names)
        except TimeoutError as error:
            raise CupsError(f"{name}: {self.uri} did not answer within {timeout_s:g} s") from error
        except OSError as error:
            raise CupsError(f"{name}: {self.uri} cannot be asked: {error.strerror or error}") from error
        if status != 200:
            raise CupsError(f"{name}: {self.uri} answered with HTTP status {status}")
        message = ipp.decode(body)
        if message.code > ipp.LAST_SUCCESS:
            detail = next((group.text("status-message") for group in message.of(ipp.OPERATION_GROUP)), "")
            raise IppRefusal(name, message.code, detail)
        return message


def cupsd_client(server: str) -> IppClient:
    """`server` is `host:port` or the path of cupsd's socket, as in the setting [cups] server. Its name is looked up
    apart from printers': theirs may hang by the dozen."""
    names = Names()
    if server.startswith("/"):
        return IppClient(Place(uds=server), "ipp://localhost/", names, pwd.getpwuid(os.geteuid()).pw_name)
    host, separator, port = server.rpartition(":")
    if not separator or not port.isdigit():
        host, port = server, str(IPP_PORT)
    return IppClient(Place(host=host.strip("[]"), port=int(port)), f"ipp://{host}:{port}/", names)


def printer_client(device_uri: str, names: Names) -> IppClient:
    """A client of the printer behind an IPP device URI. Raises CupsError for another one."""
    try:
        parts = urlsplit(device_uri)
        scheme, host, port = parts.scheme, parts.hostname, parts.port or IPP_PORT
    except ValueError as error:
        raise CupsError("this is no URI") from error
    if scheme not in IPP_SCHEMES or not host:
        raise CupsError(f"{scheme or 'this'} is no IPP printer's URI")
    path = parts.path or "/"
    shown = f"[{host}]" if ":" in host else host
    place = Place(host=host, port=port, path=path, tls=scheme in ("ipps", "https"))
    return IppClient(place, f"{scheme}://{shown}:{port}{path}", names)


class Cupsd:
    """cupsd as the provider asks it."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._client = cupsd_client(server)

    async def job(self, job_id: int) -> CupsJob | None:
        """The job, None when cupsd knows none of that number."""
        attributes = {
            "job-uri": ipp.uri(f"ipp://localhost/jobs/{job_id}"),
            "requesting-user-name": ipp.name("root"),
            "requested-attributes": ipp.keywords(_JOB_ATTRIBUTES),
        }
        try:
            message = await self._client.ask(ipp.GET_JOB_ATTRIBUTES, attributes)
        except IppRefusal as refusal:
            if refusal.status == ipp.NOT_FOUND:
                return None
            raise
        found = next((job for group in message.of(ipp.JOB_GROUP) if (job := _job(group)) is not None), None)
        if found is None:
            raise CupsError(f"cupsd told nothing of job {job_id}")
        return found

    async def listed(self, job_id: int) -> int:
        """How often cupsd lists this job: after a crash in the middle of saving it, cupsd may take its unfinished
        control
        file (`c00012.N`) for a second job of that number, and print it once more."""
        attributes = {
            "printer-uri": ipp.uri("ipp://localhost/"),
            "requesting-user-name": ipp.name("root"),
            "which-jobs": ipp.keywords(["all"]),
            "first-job-id": ipp.integer(job_id),
            "limit": ipp.integer(MOST_COPIES),
            "requested-attributes": ipp.keywords(["job-id"]),
        }
        message = await self._client.ask(ipp.GET_JOBS, attributes)
        return sum(group.number("job-id") == job_id for group in message.of(ipp.JOB_GROUP))

    async def queues(self) -> list[Queue]:
        """All queues and classes; none at all is a success."""
        attributes = {"requested-attributes": ipp.keywords(_QUEUE_ATTRIBUTES)}
        try:
            message = await self._client.ask(ipp.CUPS_GET_PRINTERS, attributes)
        except IppRefusal as refusal:
            if refusal.status == ipp.NOT_FOUND:
                return []
            raise
        return [_queue(group) for group in message.of(ipp.PRINTER_GROUP) if group.text("printer-name")]

    async def queue(self, name: str) -> Queue | None:
        return next((queue for queue in await self.queues() if queue.report.name == name), None)

    async def waiting(self) -> dict[int, CupsJob]:
        """Every job that is not over, by its number, with no more than its state and its time of creation; at most
        MOST_WAITING, oldest first."""
        attributes = {
            "printer-uri": ipp.uri("ipp://localhost/"),
            "requesting-user-name": ipp.name("root"),
            "which-jobs": ipp.keywords(["not-completed"]),
            "limit": ipp.integer(MOST_WAITING),
            "requested-attributes": ipp.keywords(_LISTED_ATTRIBUTES),
        }
        message = await self._client.ask(ipp.GET_JOBS, attributes, LISTING_S)
        found = (_job(group) for group in message.of(ipp.JOB_GROUP))
        return {job.job_id: job for job in found if job is not None}

    async def release(self, job_id: int) -> None:
        """Let a held job go on. Raises IppRefusal where it is not held."""
        await self._client.ask(ipp.RELEASE_JOB, self._of_job(job_id))

    async def cancel(self, job_id: int) -> None:
        await self._client.ask(ipp.CANCEL_JOB, self._of_job(job_id))

    def _of_job(self, job_id: int) -> dict[str, Tagged]:
        return {"job-uri": ipp.uri(f"ipp://localhost/jobs/{job_id}"), "requesting-user-name": ipp.name("root")}


def _job(group: Group) -> CupsJob | None:
    job_id, state, creation = (group.number(name) for name in ("job-id", "job-state", "time-at-creation"))
    if job_id is None or state is None or creation is None:
        return None
    return CupsJob(
        job_id=job_id,
        state=state,
        time_at_creation=creation,
        time_at_completed=group.number("time-at-completed") or 0,
        user_name=group.text("job-originating-user-name"),
        host=group.text("job-originating-host-name"),
        documents=max(1, group.number("number-of-documents") or 1),
    )


def _queue(group: Group) -> Queue:
    device_uri = group.text("device-uri")
    methods = group.texts("uri-authentication-supported")
    report = QueueReport(
        name=group.text("printer-name")[:255],
        tracked=device_uri.startswith(SCHEME),
        device_uri=device_uri[:1024],
        info=group.text("printer-info")[:1024],
        location=group.text("printer-location")[:1024],
        printer_state=_PRINTER_STATES.get(group.number("printer-state") or 0, "unknown"),
        printer_state_reasons=_reasons(group.texts("printer-state-reasons")),
        accepting=group.flag("printer-is-accepting-jobs", default=True),
        supplies=read_supplies(group),
    )
    is_class = bool((group.number("printer-type") or 0) & CLASS_BIT)
    named_by_client = not methods or any(method in ("none", "requesting-user-name") for method in methods)
    return Queue(report, device_uri, is_class, named_by_client)


def _reasons(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for text in texts if text != "none")[:50]
