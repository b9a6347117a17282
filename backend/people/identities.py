"""What belongs to one user only: cards and aliases. Functions of a connection, within the transaction that changes
the user.

`user_identity` is the guard: its key is the card or the alias itself, so two servers that give the same one away at
the same moment meet in the index, and the second waits to see whether the first keeps it. Names and aliases are one
world: an alias is nobody else's name, and a new name is nobody's alias. No key can hold that over two tables, so
whoever makes a name shares a lock with all others who do, and whoever gives an alias has it alone (PostgreSQL;
SQLite has one writer anyhow).

Invariants: a user's rows here are the cards and the alias of the user's own row once `keep` was called; the lock is
taken before any row is locked, and values are claimed in sorted order, so nobody waits in a circle.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from backend.db.dialect import CHUNK, insert_or_nothing, one_of
from backend.people.errors import AliasTaken, CardTaken
from backend.people.tables import user, user_identity

CARD: Final = "card"
ALIAS: Final = "alias"
_NAMES_LOCK: Final = 0x494B4A32  # "IKJ2"


def lock_names(conn: sa.Connection, *, gives_alias: bool) -> None:
    """To be called before a user is made or renamed, or an alias is given, ahead of every row lock."""
    if conn.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock" if gives_alias else "pg_advisory_xact_lock_shared"
        conn.exec_driver_sql(f"SELECT {function}({_NAMES_LOCK})")


def alias_owners(conn: sa.Connection, names: Collection[str]) -> dict[str, str]:
    """Whose aliases these are, of those that are: alias -> the user's name."""
    found: dict[str, str] = {}
    for some in _chunks(names):
        joined = user_identity.join(user, user.c.user_id == user_identity.c.user_id)
        statement = sa.select(user_identity.c.value, user.c.name).select_from(joined)
        rows = conn.execute(statement.where(user_identity.c.kind == ALIAS, one_of(conn, user_identity.c.value, some)))
        found |= {row.value: row.name for row in rows}
    return found


def card_owners(conn: sa.Connection, cards: Collection[str]) -> dict[str, str]:
    """Whose cards these are: card -> the user's name. A server of the version before notes a card in the user's row
    only, so both are asked."""
    found: dict[str, str] = {}
    for some in _chunks(cards):
        written = sa.select(user.c.card_number, user.c.name).where(user.c.card_number != "")
        joined = user_identity.join(user, user.c.user_id == user_identity.c.user_id)
        noted = sa.select(user_identity.c.value, user.c.name).select_from(joined)
        for row in conn.execute(written.where(one_of(conn, user.c.card_number, some))):
            found[row.card_number] = row.name
        for row in conn.execute(noted.where(user_identity.c.kind == CARD, one_of(conn, user_identity.c.value, some))):
            found[row.value] = row.name
    return found


def identities(details: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """The (kind, value) pairs that a user's row asks for."""
    pairs = ((CARD, "card_number"), (CARD, "card_number2"), (ALIAS, "alias"))
    return frozenset((kind, str(details[column])) for kind, column in pairs if details.get(column))


def keep(conn: sa.Connection, user_id: int, details: Mapping[str, Any]) -> None:
    """Make the user's identities those of `details`, a user's row. Raises CardTaken, AliasTaken.

    What is new is claimed before what is over is given up: two users who swap cards at the same moment are both
    refused instead of waiting for each other.
    """
    wanted = identities(details)
    rows = conn.execute(
        sa.select(user_identity.c.kind, user_identity.c.value).where(user_identity.c.user_id == user_id)
    )
    held = {(row.kind, row.value) for row in rows}
    insert = insert_or_nothing(conn, user_identity, [user_identity.c.kind, user_identity.c.value])
    for kind, value in sorted(wanted - held):
        claimed = insert.values(kind=kind, value=value, user_id=user_id).returning(user_identity.c.user_id)
        if conn.scalar(claimed) is None:
            raise taken(kind, value)
    for kind, value in sorted(held - wanted):
        one = sa.and_(user_identity.c.kind == kind, user_identity.c.value == value)
        conn.execute(sa.delete(user_identity).where(one))


def taken(kind: str, value: str) -> CardTaken | AliasTaken:
    """The refusal of a card or alias that is another's."""
    if kind == CARD:
        return CardTaken("another user has that card")
    return AliasTaken(f"the alias {value!r} is another user's")


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(set(values))
    return (ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK))
