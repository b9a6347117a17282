"""Providers and queues: made when they are met, changed by people, kept up to date by heartbeats. Functions of a
connection, run by `Database.write`.

Invariants: a queue's cost rule gets the next version whenever it changes, so that an offline charge can name the rule
it was made by; a heartbeat writes queue rows only where something about them is new.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.access.service import Enrolment, check_enrolment, complete_enrolment
from backend.access.settings import DEFAULT_COST, read_settings
from backend.db.dialect import CHUNK, insert_or_nothing, storable, upsert
from backend.db.engine import now_ms
from backend.printers.errors import QueueUnknown
from backend.printers.model import Beat, decode_rule, encode_list, encode_rule, next_rule, simple_rule
from backend.printers.tables import provider, queue, queue_rule
from backend.wire.pricing import CostRule
from backend.wire.printers import Enroll, QueueReport, RuleView, SetQueue

NEW_POLICY: Final = "default"  # of a queue that nobody set one for: its print server's own setting
MAX_RULES: Final = 200
_MADE_WITH: Final = ("provider_id", "name", "cost", "offline_policy")


def enroll_provider(conn: sa.Connection, body: Enroll) -> tuple[int, str]:
    """The provider's id and the name it is enrolled under (the token's). Raises EnrolmentRefused.

    A provider of that name that is there already is taken over: a print server was set up anew.
    """
    found = check_enrolment(conn, body.token, body.secret)
    if found.provider_id:
        return found.provider_id, found.provider_name
    host = storable(body.host)
    provider_id = _provider_row(conn, found, host)
    complete_enrolment(conn, found, provider_id, host)
    return provider_id, found.provider_name


def default_cost(conn: sa.Connection) -> int:
    """What an impression costs on a queue that nobody set a price for, in minor units."""
    return int(read_settings(conn, DEFAULT_COST)[DEFAULT_COST])


def provision_queues(conn: sa.Connection, queues: Iterable[tuple[int, str]]) -> None:
    """Make those queues (provider id, name) that are not there yet."""
    cost = simple_rule(default_cost(conn))
    for provider_id, name in sorted(set(queues)):
        values = {"provider_id": provider_id, "name": name, "cost": cost, "offline_policy": NEW_POLICY}
        conn.execute(insert_or_nothing(conn, queue, [queue.c.provider_id, queue.c.name]).values(**values))


def set_queue(conn: sa.Connection, queue_id: int, body: SetQueue, *, actor: str, role: str) -> None:
    """Change a queue as a person asked. Raises QueueUnknown."""
    set_queues(conn, [queue_id], body, actor=actor, role=role)


def set_queues(conn: sa.Connection, queue_ids: Sequence[int], body: SetQueue, *, actor: str, role: str) -> None:
    """Change queues alike, all or none. Raises QueueUnknown."""
    for queue_id in sorted(set(queue_ids)):  # in the order of their ids, as everybody locks them
        row = conn.execute(sa.select(queue).where(queue.c.queue_id == queue_id).with_for_update()).one_or_none()
        if row is None:
            raise QueueUnknown(f"there is no queue {queue_id}")
        _set_queue(conn, row, body, actor, role)


def switch_queue(conn: sa.Connection, queue_id: int, *, disabled: bool, minutes: int, actor: str, role: str) -> None:
    """Switch a queue on, or off for so many minutes (-1: for ever). Raises QueueUnknown."""
    until = now_ms(conn) + 60_000 * minutes if disabled and minutes >= 0 else 0
    row = conn.execute(sa.select(queue).where(queue.c.queue_id == queue_id).with_for_update()).one_or_none()
    if row is None:
        raise QueueUnknown(f"there is no queue {queue_id}")
    values = {"disabled": disabled, "disabled_until": until}
    conn.execute(sa.update(queue).where(queue.c.queue_id == queue_id).values(**values))
    _note(conn, row, values, actor, role)


def rules_of(conn: sa.Connection, queue_id: int) -> tuple[RuleView, ...]:
    """The cost rules that a queue has had, newest first. Raises QueueUnknown."""
    row = conn.execute(sa.select(queue.c.cost).where(queue.c.queue_id == queue_id)).one_or_none()
    if row is None:
        raise QueueUnknown(f"there is no queue {queue_id}")
    kept = sa.select(queue_rule).where(queue_rule.c.queue_id == queue_id).order_by(queue_rule.c.version.desc())
    found = [RuleView(cost=decode_rule(one.rule), at=one.at, actor=one.actor) for one in conn.execute(kept)]
    now = decode_rule(row.cost)
    if not found or found[0].cost != now:  # it has never been changed
        found.insert(0, RuleView(cost=now, at=0, actor=""))
    return tuple(found[:MAX_RULES])


def _set_queue(conn: sa.Connection, row: sa.Row[*tuple[Any, ...]], body: SetQueue, actor: str, role: str) -> None:
    values: dict[str, object] = {}
    before = decode_rule(row.cost)
    if (rule := next_rule(body, before)) is not None:
        values["cost"] = encode_rule(rule)
        _keep_rules(conn, row.queue_id, [before, rule], actor)
    if body.disabled is not None:
        values |= {"disabled": body.disabled, "disabled_until": 0}
    for name in ("offline_policy", "partial_charge", "hold_jobs"):
        if (value := getattr(body, name)) is not None:
            values[name] = value
    if values:
        conn.execute(sa.update(queue).where(queue.c.queue_id == row.queue_id).values(**values))
        _note(conn, row, values, actor, role)


def _note(
    conn: sa.Connection, row: sa.Row[*tuple[Any, ...]], values: Mapping[str, object], actor: str, role: str
) -> None:
    """For the audit log: what was changed of a queue, each as [old, new]; nothing where all of it was so before."""
    before = row._mapping
    changed = {name: [before[name], value] for name, value in values.items() if before[name] != value}
    if changed:
        write_audit(conn, actor, role, "queue-changed", row.name, json.dumps(changed))


def _keep_rules(conn: sa.Connection, queue_id: int, rules: Sequence[CostRule], actor: str) -> None:
    """Note the new rule, and the one before it where it is the first that is changed."""
    now = now_ms(conn)
    for at, rule in zip((0, now), rules, strict=True):
        statement = insert_or_nothing(conn, queue_rule, [queue_rule.c.queue_id, queue_rule.c.version])
        kept = {"queue_id": queue_id, "version": rule.version, "rule": encode_rule(rule)}
        conn.execute(statement.values(**kept, at=at, actor=actor[:255] if at else ""))


def record_beats(conn: sa.Connection, beats: Sequence[Beat]) -> None:
    """Write what providers said: one statement for all of them, and the queues of those that have news of them."""
    now = now_ms(conn)
    rows = [
        {
            "provider_id": beat.provider_id,
            "name": beat.name,
            "host": storable(beat.heartbeat.host),
            "program_version": storable(beat.heartbeat.program_version[:64]),
            "backlog": beat.heartbeat.backlog,
            "oldest_unsent_s": beat.heartbeat.oldest_unsent_s,
            "disk_free_bytes": max(0, min(beat.heartbeat.disk_free_bytes, 2**63 - 1)),
            "enrolled_at": now,
            "seen_at": now,
            "server": beat.server,
            "held_jobs": beat.heartbeat.held_jobs,
            "trouble": storable(beat.heartbeat.trouble),
            "contacts": encode_list(beat.heartbeat.contacts),
        }
        for beat in sorted(beats, key=lambda beat: beat.provider_id)
    ]
    update = [name for name in rows[0] if name not in ("provider_id", "name", "enrolled_at")] if rows else []
    upsert(conn, provider, [provider.c.provider_id], rows, update)
    news = {beat.provider_id: beat.queues for beat in beats if beat.queues is not None}
    if news:
        _record_queues(conn, news, simple_rule(default_cost(conn)), now)


def _provider_row(conn: sa.Connection, found: Enrolment, host: str) -> int:
    existing = conn.scalar(sa.select(provider.c.provider_id).where(provider.c.name == found.provider_name))
    if existing is not None:
        return int(existing)
    statement = sa.insert(provider).values(name=found.provider_name, host=host, enrolled_at=now_ms(conn), seen_at=0)
    return int(conn.execute(statement.returning(provider.c.provider_id)).scalar_one())


def _record_queues(conn: sa.Connection, news: Mapping[int, Sequence[QueueReport]], cost: str, now: int) -> None:
    """The queues of all these providers in a few statements. Those that a provider does not report any more are kept
    for their history, as not seen."""
    reported = {
        (provider_id, storable(report.name)): report for provider_id, reports in news.items() for report in reports
    }
    known = sa.select(queue.c.queue_id, queue.c.provider_id, queue.c.name)
    known = known.where(queue.c.provider_id.in_(sorted(news)), queue.c.seen_at != 0)
    gone = [row.queue_id for row in conn.execute(known) if (row.provider_id, row.name) not in reported]
    for start in range(0, len(gone), CHUNK):
        chosen = queue.c.queue_id.in_(gone[start : start + CHUNK])
        conn.execute(sa.update(queue).where(chosen).values(tracked=False, printer_state="unknown", seen_at=0))
    rows = [
        {
            "provider_id": provider_id,
            "name": name,
            "cost": cost,
            "offline_policy": NEW_POLICY,
            "tracked": report.tracked,
            "device_uri": storable(report.device_uri),
            "info": storable(report.info),
            "location": storable(report.location),
            "printer_state": report.printer_state,
            "printer_state_reasons": json.dumps(list(report.printer_state_reasons)),
            "accepting": report.accepting,
            "seen_at": now,
            "supplies": encode_list(report.supplies),
            "media_ready": encode_list(report.media_ready),
        }
        for (provider_id, name), report in sorted(reported.items())
    ]
    update = [name for name in rows[0] if name not in _MADE_WITH] if rows else []
    upsert(conn, queue, [queue.c.provider_id, queue.c.name], rows, update)
