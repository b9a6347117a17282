"""Queues and providers as plain values."""

from typing import Final

import msgspec

from backend.wire.messages import Heartbeat, QueueReport
from backend.wire.pricing import CostRule, SimpleCost

SILENT_MS: Final = 8_000  # a provider heartbeats every 2 s


class Beat(msgspec.Struct, frozen=True):
    """A provider's last heartbeat, as one server took it. `queues` is None where they are as this server wrote them
    last."""

    provider_id: int
    name: str
    server: str
    heartbeat: Heartbeat
    queues: tuple[QueueReport, ...] | None


def simple_rule(per_impression: int, version: int = 1) -> str:
    """A cost rule as it is stored: JSON."""
    return encode_rule(SimpleCost(per_impression=per_impression, version=version))


def encode_rule(rule: CostRule) -> str:
    return msgspec.json.encode(rule).decode()


def decode_rule(text: str) -> CostRule:
    return msgspec.json.decode(text, type=CostRule)
