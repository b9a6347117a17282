"""Queues and providers as plain values."""

import functools
from collections.abc import Sequence
from typing import Final

import msgspec

from backend.wire.pricing import CostRule, SimpleCost, with_version
from backend.wire.printers import Heartbeat, QueueReport, ServerContact, SetQueue, Supply

SILENT_S: Final = 8.0  # a provider heartbeats every 2 s


class Beat(msgspec.Struct, frozen=True):
    """A provider's last heartbeat, as one server took it. `queues` is None where they are as this server wrote them
    last."""

    provider_id: int
    name: str
    server: str
    heartbeat: Heartbeat
    queues: tuple[QueueReport, ...] | None


class ProviderSeen(msgspec.Struct, frozen=True):
    """A provider as it last told of itself, `age_s` ago by the database's clock (None: never)."""

    provider_id: int
    name: str
    host: str
    program_version: str
    backlog: int
    oldest_unsent_s: float
    disk_free_bytes: int
    server: str
    age_s: float | None
    held_jobs: int = 0
    trouble: str = ""
    contacts: tuple[ServerContact, ...] = ()


def simple_rule(per_impression: int, version: int = 1) -> str:
    """A cost rule as it is stored: JSON."""
    return encode_rule(SimpleCost(per_impression=per_impression, version=version))


def next_rule(body: SetQueue, before: CostRule) -> CostRule | None:
    """The rule that a change asks for, under the next version; None where it leaves it as it is."""
    wanted = body.cost
    if wanted is None and body.cost_per_impression is not None:
        wanted = SimpleCost(per_impression=body.cost_per_impression)
    if wanted is None or with_version(wanted, before.version) == before:
        return None
    return with_version(wanted, before.version + 1)


def encode_rule(rule: CostRule) -> str:
    return msgspec.json.encode(rule).decode()


@functools.lru_cache(maxsize=4096)
def decode_rule(text: str) -> CostRule:
    """A stored cost rule; a few serve thousands of queues."""
    rule: CostRule = msgspec.json.decode(text, type=CostRule)
    return rule


@functools.lru_cache(maxsize=4096)
def decode_supplies(text: str) -> tuple[Supply, ...]:
    """The supplies of a queue as they are stored; they stay the same for hours."""
    return msgspec.json.decode(text, type=tuple[Supply, ...])


def decode_contacts(text: str) -> tuple[ServerContact, ...]:
    return msgspec.json.decode(text, type=tuple[ServerContact, ...])


def encode_list(items: Sequence[object]) -> str:
    """Supplies, contacts or names of media as they are stored: a JSON list."""
    return msgspec.json.encode(items).decode()
