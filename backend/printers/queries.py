"""Reading queues and providers. Functions of a connection, run by `Database.run`.

What was printed on each queue is summed over its jobs (`queue_totals`), which grows with the history: callers keep it
for a while instead of asking each time.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from backend.db.engine import now_ms
from backend.people.model import is_disabled
from backend.printers.model import ProviderSeen, decode_rule
from backend.printers.tables import provider, queue
from backend.wire.messages import QueuePolicy, QueueView

Totals = Mapping[int, tuple[int, int]]
"""queue_id -> jobs that printed something, impressions."""

_QUEUES = queue.join(provider, provider.c.provider_id == queue.c.provider_id)


def list_queues(conn: sa.Connection, totals: Totals, queue_id: int | None = None) -> tuple[QueueView, ...]:
    """All queues, or one, sorted by provider and name."""
    columns = (*queue.c, provider.c.name.label("provider_name"), provider.c.seen_at.label("provider_seen_at"))
    statement = sa.select(*columns).select_from(_QUEUES).order_by(provider.c.name, queue.c.name)
    if queue_id is not None:
        statement = statement.where(queue.c.queue_id == queue_id)
    now = now_ms(conn)
    return tuple(_view(row, totals.get(row.queue_id, (0, 0)), now) for row in conn.execute(statement))


def queue_policies(conn: sa.Connection, provider_ids: list[int]) -> dict[int, tuple[QueuePolicy, ...]]:
    """What these providers need to go on alone."""
    statement = sa.select(queue).where(queue.c.provider_id.in_(provider_ids)).order_by(queue.c.name)
    found: dict[int, list[QueuePolicy]] = {provider_id: [] for provider_id in provider_ids}
    now = now_ms(conn)
    for row in conn.execute(statement):
        found[row.provider_id].append(
            QueuePolicy(
                name=row.name,
                disabled=is_disabled(row.disabled, row.disabled_until, now),
                cost=decode_rule(row.cost),
                offline_policy=row.offline_policy,
            )
        )
    return {provider_id: tuple(policies) for provider_id, policies in found.items()}


def list_providers(conn: sa.Connection) -> tuple[ProviderSeen, ...]:
    """All print servers, sorted by name."""
    now = now_ms(conn)
    return tuple(
        ProviderSeen(
            provider_id=row.provider_id,
            name=row.name,
            host=row.host,
            program_version=row.program_version,
            backlog=row.backlog,
            oldest_unsent_s=row.oldest_unsent_s,
            disk_free_bytes=row.disk_free_bytes,
            server=row.server,
            age_s=max(0, now - row.seen_at) / 1000 if row.seen_at else None,
        )
        for row in conn.execute(sa.select(provider).order_by(provider.c.name))
    )


def _view(row: sa.Row[*tuple[Any, ...]], totals: tuple[int, int], now: int) -> QueueView:
    return QueueView(
        queue_id=row.queue_id,
        provider=row.provider_name,
        name=row.name,
        tracked=row.tracked,
        disabled=is_disabled(row.disabled, row.disabled_until, now),
        cost=decode_rule(row.cost),
        offline_policy=row.offline_policy,
        printer_state=row.printer_state,
        printer_state_reasons=tuple(json.loads(row.printer_state_reasons)),
        accepting=row.accepting,
        info=row.info,
        location=row.location,
        device_uri=row.device_uri,
        jobs=totals[0],
        impressions=totals[1],
        seen_at=row.provider_seen_at if row.seen_at else 0,
    )
