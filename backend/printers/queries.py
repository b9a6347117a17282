"""Reading queues and providers. Functions of a connection, run by `Database.run`.

What was printed on each queue is summed over its jobs (`queue_totals`), of which there are many: callers keep it
for a while instead of asking each time.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from backend.db.engine import now_ms
from backend.people.model import is_disabled
from backend.printers.model import ProviderSeen, decode_contacts, decode_rule, decode_supplies
from backend.printers.tables import provider, queue
from backend.wire.printers import QueuePolicy, QueueView

Totals = Mapping[int, tuple[int, int]]
"""queue_id -> jobs that printed something, impressions."""

_QUEUES = queue.join(provider, provider.c.provider_id == queue.c.provider_id)
# Thousands of rows each second: taken by place, since SQLAlchemy finds a column by name anew for each.
_SHOWN = (
    queue.c.queue_id, provider.c.name, queue.c.name, queue.c.tracked, queue.c.disabled, queue.c.disabled_until,
    queue.c.cost, queue.c.offline_policy, queue.c.printer_state, queue.c.printer_state_reasons, queue.c.accepting,
    queue.c.info, queue.c.location, queue.c.device_uri, queue.c.seen_at, provider.c.seen_at, queue.c.hold_jobs,
    queue.c.partial_charge, queue.c.supplies, queue.c.media_ready,
)  # fmt: skip


def list_queues(conn: sa.Connection, totals: Totals, queue_id: int | None = None) -> tuple[QueueView, ...]:
    """All queues, or one, sorted by provider and name."""
    statement = sa.select(*_SHOWN).select_from(_QUEUES).order_by(provider.c.name, queue.c.name)
    if queue_id is not None:
        statement = statement.where(queue.c.queue_id == queue_id)
    now = now_ms(conn)
    return tuple(_view(tuple(row), totals, now) for row in conn.execute(statement))


def queue_policies(conn: sa.Connection, provider_ids: Sequence[int]) -> dict[int, tuple[QueuePolicy, ...]]:
    """What these providers need to go on alone."""
    found: dict[int, list[QueuePolicy]] = {provider_id: [] for provider_id in provider_ids}
    if not found:
        return {}
    one = queue.c
    columns = (
        one.provider_id, one.name, one.disabled, one.disabled_until, one.cost, one.offline_policy, one.partial_charge,
        one.hold_jobs,
    )  # fmt: skip
    statement = sa.select(*columns).where(one.provider_id.in_(provider_ids)).order_by(one.name)
    now = now_ms(conn)
    for provider_id, name, disabled, until, cost, offline_policy, partial_charge, hold_jobs in conn.execute(statement):
        policy = QueuePolicy(
            name=name,
            disabled=is_disabled(disabled, until, now),
            cost=decode_rule(cost),
            offline_policy=offline_policy,
            partial_charge=partial_charge,
            hold_jobs=hold_jobs,
        )
        found[provider_id].append(policy)
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
            held_jobs=row.held_jobs,
            trouble=row.trouble,
            contacts=decode_contacts(row.contacts) if row.contacts != "[]" else (),
        )
        for row in conn.execute(sa.select(provider).order_by(provider.c.name))
    )


def _view(row: tuple[Any, ...], totals: Totals, now: int) -> QueueView:
    (
        queue_id, provider_name, name, tracked, disabled, disabled_until, cost, offline_policy, printer_state, reasons,
        accepting, info, location, device_uri, seen_at, provider_seen_at, hold_jobs, partial_charge, supplies, media,
    ) = row  # fmt: skip
    jobs, impressions = totals.get(queue_id, (0, 0))
    return QueueView(
        queue_id=queue_id,
        provider=provider_name,
        name=name,
        tracked=tracked,
        disabled=is_disabled(disabled, disabled_until, now),
        cost=decode_rule(cost),
        offline_policy=offline_policy,
        printer_state=printer_state,
        printer_state_reasons=() if reasons == "[]" else tuple(json.loads(reasons)),
        accepting=accepting,
        info=info,
        location=location,
        device_uri=device_uri,
        jobs=jobs,
        impressions=impressions,
        seen_at=provider_seen_at if seen_at else 0,
        hold_jobs=hold_jobs,
        partial_charge=partial_charge,
        supplies=decode_supplies(supplies) if supplies != "[]" else (),
        media_ready=() if media == "[]" else tuple(json.loads(media)),
    )
