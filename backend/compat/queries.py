"""What the compatible interfaces read, each in one statement. Functions of a connection, run by `Database.run`.

Lists are sorted by name as the database sorts, so that pages fit together; a limit of 0 is no limit, as clients in use
rely on it.
"""

import json
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from backend.base.ids import uuid7
from backend.compat.health_view import PrinterFacts, ProviderFacts
from backend.compat.properties import PrinterRecord, UserRecord
from backend.db.engine import now_ms
from backend.intake.tables import command
from backend.jobs.model import Need
from backend.jobs.tables import job, job_need
from backend.ledger.model import DEFAULT_OVERDRAFT
from backend.ledger.tables import account
from backend.people.identities import alias_owners, card_owners
from backend.people.model import is_disabled
from backend.people.queries import effective_overdraft
from backend.people.tables import user, user_word
from backend.people.words import MAX_WORD, fold
from backend.printers.model import decode_contacts
from backend.printers.tables import provider, queue
from backend.wire.jobs import ReportAnswer
from backend.wire.pricing import CostRule, SimpleCost

WAITED_MS = 2 * 3_600_000
TEMPLATE_PRINTER = "!!template printer!!"
_QUEUES = queue.join(provider, provider.c.provider_id == queue.c.provider_id)
_HEARD_AT = sa.case((provider.c.seen_at > 0, provider.c.seen_at), else_=provider.c.enrolled_at).label("heard_at")


def user_exists(conn: sa.Connection, name: str) -> bool:
    return conn.scalar(sa.select(sa.literal(1)).where(user.c.name == name)) is not None


def count_users(conn: sa.Connection) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(user)).scalar_one())


def user_names(conn: sa.Connection, offset: int, limit: int) -> list[str]:
    statement = sa.select(user.c.name).order_by(user.c.name)
    return list(conn.scalars(_page(statement, offset, limit)))


def user_record(conn: sa.Connection, name: str, decimals: int) -> UserRecord | None:
    columns = (
        user.c.name, user.c.full_name, user.c.email, user.c.department, user.c.office, user.c.notes,
        user.c.card_number, user.c.card_number2, user.c.alias, user.c.internal, user.c.disabled, user.c.disabled_until,
        account.c.credits_posted, account.c.debits_posted, account.c.overdraft, account.c.restricted,
        account.c.print_jobs, account.c.print_impressions,
    )  # fmt: skip
    joined = user.join(account, account.c.account_id == user.c.account_id)
    row = conn.execute(sa.select(*columns).select_from(joined).where(user.c.name == name)).one_or_none()
    if row is None:
        return None
    return UserRecord(
        name=row.name,
        full_name=row.full_name,
        email=row.email,
        department=row.department,
        office=row.office,
        notes=row.notes,
        card_number=row.card_number,
        card_number2=row.card_number2,
        alias=row.alias,
        internal=row.internal,
        disabled=is_disabled(row.disabled, row.disabled_until, now_ms(conn)),
        balance=row.credits_posted - row.debits_posted,
        overdraft=effective_overdraft(conn, row.overdraft),
        restricted=row.restricted,
        print_jobs=row.print_jobs,
        print_impressions=row.print_impressions,
        decimals=decimals,
    )


def printer_names(conn: sa.Connection, offset: int, limit: int) -> list[str]:
    """`server\\printer` of every tracked queue, PaperCut's pseudo entry for new printers before them."""
    names = [TEMPLATE_PRINTER] if offset == 0 else []
    if limit == len(names) > 0:
        return names
    statement = (
        sa.select(provider.c.name, queue.c.name.label("queue"))
        .select_from(_QUEUES)
        .where(queue.c.tracked)
        .order_by(provider.c.name, queue.c.name)
    )
    rows = conn.execute(_page(statement, max(0, offset - 1), limit and limit - len(names)))
    return names + [f"{row.name}\\{row.queue}" for row in rows]


def printer_record(conn: sa.Connection, server: str, name: str, decimals: int) -> PrinterRecord | None:
    """A queue, tracked or not."""
    statement = sa.select(queue.c.queue_id, queue.c.disabled, queue.c.disabled_until, queue.c.cost).where(
        provider.c.name == server, queue.c.name == name
    )
    row = conn.execute(statement.select_from(_QUEUES)).one_or_none()
    if row is None:
        return None
    return PrinterRecord(
        queue_id=row.queue_id,
        disabled=is_disabled(row.disabled, row.disabled_until, now_ms(conn)),
        per_impression=_simple_price(msgspec.json.decode(row.cost, type=CostRule)),
        decimals=decimals,
    )


def _simple_price(rule: CostRule) -> int | None:
    """None where an impression has more than one price, or a discount."""
    if isinstance(rule, SimpleCost) and not rule.duplex_discount and not rule.grayscale_discount:
        return rule.per_impression
    return None


def queue_totals(conn: sa.Connection, queue_id: int) -> tuple[int, int]:
    """How many printings of a queue put something on paper, and their impressions."""
    impressions = sa.func.coalesce(sa.func.sum(job.c.counted_impressions), 0)
    printed = sa.and_(job.c.queue_id == queue_id, job.c.counted_impressions > 0)
    row = conn.execute(sa.select(sa.func.count(), impressions).select_from(job).where(printed)).one()
    return int(row[0]), int(row[1])


def providers(conn: sa.Connection) -> list[ProviderFacts]:
    now = now_ms(conn)
    return [
        ProviderFacts(
            name=row.name,
            host=row.host,
            silent_ms=now - row.heard_at,
            backlog=row.backlog,
            oldest_unsent_s=row.oldest_unsent_s,
            disk_free_bytes=row.disk_free_bytes,
            held_jobs=row.held_jobs,
            trouble=row.trouble,
            contacts=decode_contacts(row.contacts),
        )
        for row in conn.execute(sa.select(*provider.c, _HEARD_AT).order_by(provider.c.name))
    ]


def untracked(conn: sa.Connection) -> tuple[str, ...]:
    """The queues that print uncounted, of those that their print servers report."""
    statement = sa.select(provider.c.name, queue.c.name.label("queue")).select_from(_QUEUES)
    statement = statement.where(queue.c.tracked.is_(False), queue.c.seen_at != 0)
    rows = conn.execute(statement.order_by(provider.c.name, queue.c.name))
    return tuple(f"{row.name}\\{row.queue}" for row in rows)


def _held(conn: sa.Connection) -> dict[int, int]:
    """How many jobs wait to be released, by queue."""
    waiting = job_need.join(job, job.c.job_id == job_need.c.job_id)
    counted = sa.select(job.c.queue_id, sa.func.count()).select_from(waiting)
    rows = conn.execute(counted.where(job_need.c.need == Need.RELEASE).group_by(job.c.queue_id))
    return {int(row[0]): int(row[1]) for row in rows}


def printers(conn: sa.Connection) -> list[PrinterFacts]:
    """The tracked queues with their state, as old as their provider's silence."""
    now = now_ms(conn)
    columns = (
        queue.c.queue_id, queue.c.name, queue.c.printer_state, queue.c.printer_state_reasons, queue.c.accepting,
        queue.c.location,
        provider.c.name.label("server"), _HEARD_AT,
    )  # fmt: skip
    statement = sa.select(*columns).select_from(_QUEUES).where(queue.c.tracked)
    rows = conn.execute(statement.order_by(provider.c.name, queue.c.name))
    held = _held(conn)
    return [
        PrinterFacts(
            queue_id=row.queue_id,
            server=row.server,
            queue=row.name,
            state=row.printer_state,
            reasons=tuple(json.loads(row.printer_state_reasons)),
            accepting=row.accepting,
            silent_ms=now - row.heard_at,
            held_jobs=held.get(row.queue_id, 0),
            location=row.location,
        )
        for row in rows
    ]


def recent_pages(conn: sa.Connection, minutes: int, queue_id: int | None = None) -> tuple[int, int]:
    """How many jobs were charged in the last minutes, on all queues or on one, and their impressions.

    A job's id tells about when it came (UUIDv7), and is the only index by time: jobs that waited for more than
    WAITED_MS before they were printed are not found, and not counted.
    """
    since = now_ms(conn) - 60_000 * minutes
    impressions = sa.func.coalesce(sa.func.sum(job.c.counted_impressions), 0)
    came = uuid7(max(0, since - WAITED_MS), 0)
    statement = sa.select(sa.func.count(), impressions).select_from(job).where(job.c.job_id >= came)
    statement = statement.where(job.c.updated_at >= since, job.c.counted_impressions > 0)
    if queue_id is not None:
        statement = statement.where(job.c.queue_id == queue_id)
    row = conn.execute(statement).one()
    return int(row[0]), int(row[1])


def connections(conn: sa.Connection) -> tuple[int, int]:
    """How many connections the database has and may have; SQLite is one file and one server."""
    if conn.dialect.name == "sqlite":
        return 1, 100
    row = conn.exec_driver_sql(
        "SELECT count(*)::int, current_setting('max_connections')::int FROM pg_stat_activity"
        " WHERE backend_type = 'client backend'"
    ).one()
    return int(row[0]), int(row[1])


Names = TypeVar("Names", bound=sa.Select[Any])


def _page(statement: Names, offset: int, limit: int) -> Names:
    page = statement.offset(offset)
    return page.limit(limit) if limit else page


# ---------------------------------------------------------------- look-ups


def card_owner(conn: sa.Connection, card: str) -> str:
    """The user who has this card, as the first or the second; "" for nobody."""
    return card_owners(conn, [card]).get(card, "")


def alias_owner(conn: sa.Connection, alias: str) -> str:
    return alias_owners(conn, [alias]).get(alias, "")


def email_owner(conn: sa.Connection, email: str) -> str:
    """The user of an address, without case; of several the first by name. Found by the index of words."""
    wanted = fold(email)
    joined = user_word.join(user, user.c.user_id == user_word.c.user_id)
    statement = sa.select(user.c.name, user.c.email).select_from(joined).where(user_word.c.word == wanted[:MAX_WORD])
    rows = conn.execute(statement.order_by(user.c.name))
    return next((row.name for row in rows if fold(row.email) == wanted), "")


def users_named(conn: sa.Connection, full_name: str) -> list[str]:
    """The users of exactly this full name, sorted."""
    return list(conn.scalars(sa.select(user.c.name).where(user.c.full_name == full_name).order_by(user.c.name)))


def internal_names(conn: sa.Connection, offset: int, limit: int) -> list[str]:
    statement = sa.select(user.c.name).where(user.c.internal).order_by(user.c.name)
    return list(conn.scalars(_page(statement, offset, limit)))


def user_known(conn: sa.Connection, name: str) -> bool:
    """Whether jobs under this name have an owner: by name or by alias."""
    return user_exists(conn, name) or bool(alias_owner(conn, name))


def overdraft_is_individual(conn: sa.Connection, name: str) -> bool | None:
    """None where there is no such user."""
    joined = user.join(account, account.c.account_id == user.c.account_id)
    overdraft = conn.scalar(sa.select(account.c.overdraft).select_from(joined).where(user.c.name == name))
    return None if overdraft is None else overdraft != DEFAULT_OVERDRAFT


def queue_key(conn: sa.Connection, server: str, name: str) -> int | None:
    """The provider of a queue, as the intake knows queues; None where there is no such queue."""
    statement = sa.select(queue.c.provider_id).select_from(_QUEUES)
    return conn.scalar(statement.where(provider.c.name == server, queue.c.name == name))


def earlier_job(conn: sa.Connection, command_id: str) -> str | None:
    """The job that a report under this id was about; None where none was taken yet."""
    answer = conn.scalar(sa.select(command.c.answer).where(command.c.command_id == command_id))
    return None if answer is None else msgspec.json.decode(answer, type=ReportAnswer).job_id
