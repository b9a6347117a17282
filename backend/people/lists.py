"""A page of the list of people, sorted and filtered by the database: for a list that a person scrolls through, of which
the console never holds more than it shows.

The next page is asked for by where this one ended (`after`), not by its number: it costs the same at the far end and
shows nobody twice when people come and go meanwhile. Sorted by name or full name a page walks an index. The balance has
none on purpose (every charge would have to keep it): that order, and a filter that few pass, read everybody once.

Invariant: pages that are asked for one after another, each with the `next` of the one before, show everybody who was
there all the time exactly once.
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
from backend.wire.messages import UserView

Sort = Literal["name", "full_name", "balance"]

_BALANCE = account.c.credits_posted - account.c.debits_posted
_KEYS: Final[dict[Sort, tuple[sa.ColumnElement[Any], ...]]] = {
    "name": (user.c.name,),
    "full_name": (user.c.full_name, user.c.name),
    "balance": (_BALANCE, user.c.name),
}
_TYPES: Final[dict[Sort, Any]] = {"name": tuple[str], "full_name": tuple[str, str], "balance": tuple[int, str]}


class Filter(msgspec.Struct, frozen=True):
    """Who is wanted; None: does not matter. `negative`: whose balance is below zero (or is not). `department` exactly,
    "" for any."""

    disabled: bool | None = None
    restricted: bool | None = None
    negative: bool | None = None
    department: str = ""


EVERYBODY: Final = Filter()


class PeoplePage(msgspec.Struct, frozen=True):
    """`total` is how many people pass, told with the first page only (None on others); of a query at most MATCHES.
    `next` is what the page after this one is asked for with, "" where this is the last. `now` by the database's
    clock."""

    users: tuple[UserView, ...]
    total: int | None
    next: str
    now: int


class CursorInvalid(ValueError):
    """`after` is not the end of a page in this order."""


def list_people(
    conn: sa.Connection,
    query: str,
    limit: int,
    *,
    sort: Sort = "name",
    descending: bool = False,
    chosen: Filter = EVERYBODY,
    after: str = "",
    offset: int = 0,
) -> PeoplePage:
    """People whose words begin with all the typed words ("": everybody). `offset` jumps by number, for who drags
    a scroll bar. Raises CursorInvalid."""
    now, keys = now_ms(conn), _KEYS[sort]
    statement = _passing(sa.select(user.c.user_id), sort, chosen, now)
    total: int | None = None
    words = typed(query)
    if words:
        found = matching(conn, words)
        statement = statement.where(among(conn, user.c.user_id, found.user_ids))
        total = found.total if chosen == EVERYBODY else None
    if after:
        statement, total = statement.where(_beyond(keys, _place(after, sort), descending)), None
    elif total is None:
        total = int(conn.execute(sa.select(sa.func.count()).select_from(statement.subquery())).scalar_one())
    order = [key.desc() if descending else key for key in keys]
    wanted = min(limit, MAX_LIMIT)
    statement = statement.order_by(*order)
    ids: Sequence[int]
    if words:  # all of the few, without a LIMIT: with one PostgreSQL may look for them along the index of the order
        ids = conn.scalars(statement).all()[offset : offset + wanted + 1]
    else:
        ids = conn.scalars(statement.limit(wanted + 1).offset(offset)).all()
    page = sa.select(*COLUMNS, *keys).select_from(WHO).where(among(conn, user.c.user_id, ids[:wanted]))
    rows = conn.execute(page.order_by(*order)).all()
    default = default_overdraft(conn)
    ends = _cursor(rows[-1][-len(keys) :]) if len(ids) > wanted else ""
    return PeoplePage(tuple(user_view(row, now, default) for row in rows), total, ends, now)


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


def _beyond(keys: tuple[sa.ColumnElement[Any], ...], place: tuple[Any, ...], descending: bool) -> Any:
    here, there = sa.tuple_(*keys), sa.tuple_(*(sa.literal(value) for value in place))
    return here < there if descending else here > there


def _cursor(values: Any) -> str:
    return msgspec.json.encode(tuple(values)).decode()


def _place(after: str, sort: Sort) -> tuple[Any, ...]:
    try:
        found: tuple[Any, ...] = msgspec.json.decode(after, type=_TYPES[sort])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise CursorInvalid(f"{after!r} is no page's end in this order") from error
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in found):
        raise CursorInvalid(f"{after!r} is no page's end in this order")
    return found
