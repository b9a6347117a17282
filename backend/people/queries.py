"""Reading people: lists as somebody types, one person, a person's transfers. Functions of a connection, run by
`Database.run`.

Fast with 300,000 users: what was typed is looked up as prefixes in the index of words (see `finding`), and at most
MATCHES people are gathered before they are sorted; "1000 matches" means "at least that many, type more".
"""

from typing import Any

import sqlalchemy as sa

from backend.access.settings import default_overdraft
from backend.db.engine import now_ms
from backend.ledger.model import DEFAULT_OVERDRAFT, Kind
from backend.ledger.rules import REVERSAL
from backend.ledger.tables import account, actor_day, transfer
from backend.people.model import is_disabled
from backend.people.tables import user
from backend.wire.money import TransferView
from backend.wire.people import UserView

MAX_LIMIT = 500
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_NEWEST_WINDOWS_MS = (_HOUR_MS, 24 * _HOUR_MS, 30 * 24 * _HOUR_MS)

WHO = user.join(account, account.c.account_id == user.c.account_id)
COLUMNS = (
    user.c.name, user.c.full_name, user.c.email, user.c.department, user.c.card_number, user.c.notes,
    user.c.card_number2, user.c.alias, user.c.office, user.c.created_at,
    user.c.disabled, user.c.disabled_until, account.c.credits_posted, account.c.debits_posted,
    account.c.debits_pending, account.c.overdraft, account.c.restricted, account.c.print_jobs,
    account.c.print_impressions,
)  # fmt: skip


def get_user(conn: sa.Connection, name: str) -> tuple[UserView, int] | None:
    """The user of exactly this (mapped) name, and when that was."""
    row = conn.execute(sa.select(*COLUMNS).select_from(WHO).where(user.c.name == name)).one_or_none()
    if row is None:
        return None
    now = now_ms(conn)
    return user_view(row, now, default_overdraft(conn)), now


def effective_overdraft(conn: sa.Connection, overdraft: int) -> int:
    """An account's overdraft, where it has none of its own the setting's."""
    return default_overdraft(conn) if overdraft == DEFAULT_OVERDRAFT else overdraft


def account_of(conn: sa.Connection, name: str) -> int | None:
    """The account of the user of this name."""
    return conn.scalar(sa.select(user.c.account_id).where(user.c.name == name))


def transfers_of(conn: sa.Connection, account_id: int, limit: int, before: int) -> tuple[TransferView, ...]:
    """An account's transfers, newest first, those before the sequence `before` (0: from the newest)."""
    statement = sa.select(transfer).where(transfer.c.account_id == account_id)
    if before:
        statement = statement.where(transfer.c.sequence < before)
    rows = conn.execute(statement.order_by(transfer.c.sequence.desc()).limit(min(limit, MAX_LIMIT))).all()
    undone = _reversed(conn, account_id, rows[-1].sequence) if rows else frozenset()
    return tuple(_transfer_view(row, "", is_reversed=row.sequence in undone) for row in rows)


def reversal_of(conn: sa.Connection, name: str, sequence: int) -> tuple[int, str] | None:
    """The account of a user and the job ("": none) of one of its transfers; None where there is no such user. What a
    transfer says never changes, so this may be asked before it is undone."""
    account_id = account_of(conn, name)
    if account_id is None:
        return None
    mine = sa.and_(transfer.c.account_id == account_id, transfer.c.sequence == sequence)
    return account_id, conn.scalar(sa.select(transfer.c.job_id).where(mine)) or ""


def moved_today(conn: sa.Connection, actor: str) -> int:
    """What somebody with a limit for the day has moved today (UTC)."""
    today = now_ms(conn) // _DAY_MS
    mine = sa.and_(actor_day.c.actor == actor, actor_day.c.day == today)
    return conn.scalar(sa.select(actor_day.c.moved).where(mine)) or 0


def _reversed(conn: sa.Connection, account_id: int, since: int) -> frozenset[int]:
    """Which of an account's transfers from `since` on were undone."""
    later = sa.and_(transfer.c.account_id == account_id, transfer.c.sequence > since, transfer.c.code == REVERSAL)
    return frozenset(conn.scalars(sa.select(transfer.c.pending_sequence).where(later)))


def newest_transfers(conn: sa.Connection, limit: int) -> tuple[TransferView, ...]:
    """The newest transfers of all accounts. Looks back step by step: the ledger is large, its last hour is not."""
    wanted = min(limit, MAX_LIMIT)
    statement = (
        sa.select(transfer, account.c.name.label("user_name"))
        .join(account, account.c.account_id == transfer.c.account_id)
        .order_by(transfer.c.at.desc(), transfer.c.account_id, transfer.c.sequence.desc())
        .limit(wanted)
    )
    if conn.dialect.name == "sqlite":  # rows of a table are kept in the order they were written
        rows = conn.execute(statement.order_by(None).order_by(sa.text("transfer.rowid DESC"))).all()
        return tuple(_transfer_view(row, row.user_name) for row in rows)
    now = now_ms(conn)
    for window in _NEWEST_WINDOWS_MS:
        rows = conn.execute(statement.where(transfer.c.at > now - window)).all()
        if len(rows) == wanted:
            return tuple(_transfer_view(row, row.user_name) for row in rows)
    return tuple(_transfer_view(row, row.user_name) for row in conn.execute(statement))


def user_view(row: sa.Row[*tuple[Any, ...]], now: int, default: int) -> UserView:
    balance = row.credits_posted - row.debits_posted
    return UserView(
        name=row.name,
        full_name=row.full_name,
        email=row.email,
        department=row.department,
        card_number=row.card_number,
        card_number2=row.card_number2,
        alias=row.alias,
        office=row.office,
        notes=row.notes,
        balance=balance,
        reserved=row.debits_pending,
        available=balance - row.debits_pending,
        overdraft=default if row.overdraft == DEFAULT_OVERDRAFT else row.overdraft,
        overdraft_mode="default" if row.overdraft == DEFAULT_OVERDRAFT else "individual",
        restricted=row.restricted,
        disabled=is_disabled(row.disabled, row.disabled_until, now),
        disabled_until=row.disabled_until if row.disabled else 0,
        created_at=row.created_at,
        print_jobs=row.print_jobs,
        print_impressions=row.print_impressions,
    )


_KINDS = {Kind.PENDING: "pending", Kind.POSTED: "posted", Kind.VOIDED: "voided", Kind.EXPIRED: "expired"}


def _transfer_view(row: sa.Row[*tuple[Any, ...]], user_name: str, *, is_reversed: bool = False) -> TransferView:
    return TransferView(
        sequence=row.sequence,
        at=row.at,
        kind=_KINDS[Kind(row.kind)],  # type: ignore[arg-type]  # the four words of the contract
        code=row.code,
        amount=row.amount if row.credit_account_id == row.account_id else -row.amount,
        balance=row.balance_after,
        job_id=row.job_id or "",
        actor=row.actor,
        comment=row.comment,
        user_name=user_name,
        earlier=row.pending_sequence or 0,
        reversed=is_reversed,
    )
