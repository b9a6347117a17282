"""What `inkeeper-provider status` shows: the daemon's own words, as data and as lines for people. Pure."""

import msgspec

from backend.wire.printers import ServerContact
from provider.local import protocol


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    tracked: bool
    printer_state: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`server` is the one that answers, "" when none does and `trouble` says why; ages are None for "never"."""

    v: int = 1
    name: str
    program_version: str
    server: str
    servers: tuple[str, ...]
    trouble: str
    answered_age_s: float | None
    generation: int
    backlog: int
    oldest_unsent_s: float
    refused: int
    open_jobs: int
    journal_jobs: int
    journal_trouble: str
    journal_damage: tuple[str, ...]
    cups_trouble: str
    queues: tuple[QueueStatus, ...]
    disk_free_bytes: int
    held_jobs: int = 0
    contacts: tuple[ServerContact, ...] = ()
    policies_version: str = ""
    policies_age_s: float | None = None

    @property
    def healthy(self) -> bool:
        """A server answers, and what happens can be written down."""
        return bool(self.server) and not self.journal_trouble


def decode(body: bytes) -> Status:
    """The status in the frame's body that a daemon sent. Raises ProtocolError."""
    fields = protocol.decode_fields(body)
    if fields.get("answer") != "status":
        raise protocol.ProtocolError(fields.get("message") or "the daemon answered with something else than its status")
    try:
        return msgspec.json.decode(fields.get("body", ""), type=Status)
    except msgspec.DecodeError as error:
        raise protocol.ProtocolError(f"the daemon's status cannot be read: {error}") from error


def lines(status: Status) -> list[str]:
    """The status for people."""
    told = [f"provider {status.name} {status.program_version}"]
    told += [f"server {contact.url}: {_contact(contact, status.server)}" for contact in status.contacts]
    if status.trouble:
        told.append(f"no server answers: {status.trouble}")
    told.append(f"reports not sent: {status.backlog}{_oldest(status)}")
    if status.refused:
        told.append(f"reports that servers refuse: {status.refused} (see the log; they are kept)")
    told.append(f"jobs under way: {status.open_jobs}, in the journal: {status.journal_jobs}")
    if status.held_jobs:
        told.append(f"jobs held: {status.held_jobs}")
    told.append(f"what queues cost and may do offline: {_policies(status)}")
    told += [f"journal: {trouble}" for trouble in (status.journal_trouble, *status.journal_damage) if trouble]
    if status.cups_trouble:
        told.append(f"cupsd: {status.cups_trouble}")
    for queue in status.queues:
        tracked = "tracked" if queue.tracked else "UNTRACKED, its jobs are not counted"
        told.append(f"queue {queue.name}: {tracked}, {queue.printer_state}")
    told.append(f"disk: {status.disk_free_bytes // (1 << 20)} MiB free")
    return told


def _oldest(status: Status) -> str:
    return f", the oldest for {status.oldest_unsent_s:.0f} s" if status.backlog else ""


def _contact(contact: ServerContact, current: str) -> str:
    age = "has not been asked yet" if contact.age_s is None else f"answered {contact.age_s:.0f} s ago"
    if contact.trouble:
        return f"does not answer ({contact.trouble}), {age if contact.age_s is not None else 'never did'}"
    return f"answers, in use, {age}" if contact.url == current else f"in reserve, {age}"


def _policies(status: Status) -> str:
    if not status.policies_version:
        return "no server has told yet"
    age = "" if status.policies_age_s is None else f", confirmed {status.policies_age_s:.0f} s ago"
    return f"version {status.policies_version}{age}"


def reason(status: Status) -> str:
    """Why the provider is not healthy."""
    return status.journal_trouble or f"no server answers: {status.trouble}"
