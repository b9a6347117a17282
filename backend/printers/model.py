"""Queues and providers as plain values."""

from typing import Final

import msgspec

from backend.wire.messages import Heartbeat, QueueReport
from backend.wire.pricing import CostRule, SimpleCost

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


def simple_rule(per_impression: int, version: int = 1) -> str:
    """A cost rule as it is stored: JSON."""
    return encode_rule(SimpleCost(per_impression=per_impression, version=version))


def encode_rule(rule: CostRule) -> str:
    return msgspec.json.encode(rule).decode()


def decode_rule(text: str) -> CostRule:
    return msgspec.json.decode(text, type=CostRule)
