"""Which people somebody means who is typing: ids for words, by prefixes in the index of words.

Bounded by design, whatever is typed and however many people there are: at most MATCHES people are gathered. Of several
words the rarest leads; at most LOOKED_AT of its people are looked at, and the other words are looked up for those only
whose marks (see `words.marks_of`, in the index too) say that they may have them. That cuts off only where each of the
words begins so many others, as two single letters may: "MATCHES" then means "many, type more", as for one word.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from backend.people.tables import user_word
from backend.people.words import LAST_CHARACTER, marks_of

MATCHES = 1000
LOOKED_AT = 20_000
COUNTED = 4_000


class Found(NamedTuple):
    """`total` is how many there are; MATCHES: at least that many, or too many to look at them all."""

    user_ids: list[int]
    total: int


def matching(conn: sa.Connection, words: Sequence[str]) -> Found:
    """People whose words begin with all of these, which are not none."""
    if len(words) == 1:
        return _found(conn.scalars(_range(user_word, words[0]).limit(2 * MATCHES)))
    counts = {word: _count(conn, word, COUNTED) for word in words}
    first = min(words, key=lambda word: counts[word])  # of the common ones the longest, which comes first
    if not counts[first]:
        return Found([], 0)
    others = [word for word in words if word != first]
    looked = _range(user_word, first).add_columns(user_word.c.marks).limit(LOOKED_AT).subquery()
    wanted = marks_of(others)
    statement = sa.select(looked.c.user_id).where(
        sa.or_(looked.c.marks == 0, looked.c.marks.bitwise_and(wanted) == wanted)
    )
    for word in others:
        other = user_word.alias()
        # Not a range of the index on purpose: PostgreSQL so often takes it for one row that it would walk all of it
        # for each of the people.
        begins = other.c.word.concat("").between(word, word + LAST_CHARACTER)
        statement = statement.where(sa.exists().where(other.c.user_id == looked.c.user_id, begins))
    found = _found(conn.scalars(statement.limit(2 * MATCHES)))
    is_cut = counts[first] > COUNTED and found.total < MATCHES and _count(conn, first, LOOKED_AT) > LOOKED_AT
    return Found(found.user_ids, MATCHES) if is_cut else found


def _has(user_id: sa.ColumnElement[int], word: str) -> sa.ColumnElement[bool]:
    """Compared as pairs, in the order of the primary key, so that nothing else can answer it: a range of words
    PostgreSQL so often takes for one row that it would walk all of it for each of the people."""
    other = user_word.alias()
    key = sa.tuple_(other.c.user_id, other.c.word)
    least, end = sa.tuple_(user_id, word), sa.tuple_(user_id, word + LAST_CHARACTER)
    return sa.exists().where(other.c.user_id == user_id, key >= least, key < end)


def among(conn: sa.Connection, column: sa.ColumnElement[int], ids: Sequence[int]) -> sa.ColumnElement[bool]:
    """Whether a column is one of many numbers: one parameter for all of them, since a thousand cost more to prepare
    than to look up."""
    if conn.dialect.name == "sqlite":
        return column.in_(sa.select(sa.column("value")).select_from(sa.func.json_each(str(list(ids)))))
    return column == sa.func.any(sa.bindparam(None, list(ids), postgresql.ARRAY(sa.BigInteger)))


def _range(words: Any, word: str) -> sa.Select[Any]:
    begins = (words.c.word >= word, words.c.word < word + LAST_CHARACTER)
    return sa.select(words.c.user_id).where(*begins).order_by(words.c.word)


def _count(conn: sa.Connection, word: str, most: int) -> int:
    """How many words begin so; `most` + 1: more than that."""
    few = _range(user_word, word).limit(most + 1).subquery()
    return int(conn.execute(sa.select(sa.func.count()).select_from(few)).scalar_one())


def _found(ids: Any) -> Found:
    """Without those that two of their words led to."""
    people = list(dict.fromkeys(ids))[:MATCHES]
    return Found(people, len(people))
