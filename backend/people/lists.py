"""A page of people, found, sorted and filtered by the database: what is asked with every letter that somebody types,
and the list that an administrator scrolls through, of which the console never holds more than it shows.

Sorted by name or full name a page walks an index. The balance has none on purpose (every charge would have to keep it):
that order, and a filter that few pass, read everybody once. A far page by its number walks all that is before it.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from backend.access.settings import default_overdraft
from backend.db.engine import now_ms
from backend.ledger.tables import account
from backend.people.finding import among, matching
from backend.people.queries import COLUMNS, MAX_LIMIT, WHO, user_view
from backend.people.tables import user
from backend.people.words import typed
from backend.wire.people import UserView

Sort = Literal["name", "full_name", "balance"]

_BALANCE = account.c.credits_posted - account.c.debits_posted
_KEYS: Final[dict[Sort, tuple[sa.ColumnElement[Any], ...]]] = {
    "name": (user.c.name,),
    "full_name": (user.c.full_name, user.c.name),
    "balance": (_BALANCE, user.c.name),
}


class Filter(msgspec.Struct, frozen=True):
    """Who is wanted; None: does not matter. `negative`: whose balance is below zero (or is not). `department` exactly,
    "" for any."""

    disabled: bool | None = None
    restricted: bool | None = None
    negative: bool | None = None
    department: str = ""


EVERYBODY: Final = Filter()


class PeoplePage(msgspec.Struct, frozen=True):
    """`total` is how many people pass; of a query at most MATCHES. `now` is the database's clock when it was read."""

    users: tuple[UserView, ...]
    total: int
    now: int


def list_people(
    conn: sa.Connection,
    query: str,
    limit: int,
    offset: int = 0,
    *,
    sort: Sort = "name",
    descending: bool = False,
    chosen: Filter = EVERYBODY,
) -> PeoplePage:
    """People whose words begin with all the typed words ("": everybody)."""
    now, keys = now_ms(conn), _KEYS[sort]
    statement = _passing(sa.select(user.c.user_id), sort, chosen, now)
    total: int | None = None
    words = typed(query)
    if words:
        found = matching(conn, words)
        statement = statement.where(among(conn, user.c.user_id, found.user_ids))
        total = found.total if chosen == EVERYBODY else None
    if total is None:
        total = int(conn.execute(sa.select(sa.func.count()).select_from(statement.subquery())).scalar_one())
    order = [key.desc() if descending else key for key in keys]
    wanted = min(limit, MAX_LIMIT)
    statement = statement.order_by(*order)
    ids: Sequence[int]
    if words:  # all of the few, without a LIMIT: with one PostgreSQL may look for them along the index of the order
        ids = conn.scalars(statement).all()[offset : offset + wanted]
    else:
        ids = conn.scalars(statement.limit(wanted).offset(offset)).all()
    page = sa.select(*COLUMNS).select_from(WHO).where(among(conn, user.c.user_id, ids))
    rows = conn.execute(page.order_by(*order)).all()
    default = default_overdraft(conn)
    return PeoplePage(tuple(user_view(row, now, default) for row in rows), total, now)


def _passing(statement: sa.Select[int], sort: Sort, chosen: Filter, now: int) -> sa.Select[int]:
    """The account is read only where it decides."""
    if sort == "balance" or chosen.restricted is not None or chosen.negative is not None:
        statement = statement.join(account, account.c.account_id == user.c.account_id)
    if chosen.disabled is not None:
        over = sa.and_(user.c.disabled_until > 0, user.c.disabled_until <= now)
        is_disabled = sa.and_(user.c.disabled, sa.not_(over))
        statement = statement.where(is_disabled if chosen.disabled else sa.not_(is_disabled))
    if chosen.restricted is not None:
        statement = statement.where(account.c.restricted if chosen.restricted else sa.not_(account.c.restricted))
    if chosen.negative is not None:
        statement = statement.where(_BALANCE < 0 if chosen.negative else _BALANCE >= 0)
    if chosen.department:
        statement = statement.where(user.c.department == chosen.department)
    return statement
