"""Which people somebody means who is typing: ids for words, by prefixes in the index of words.

Bounded by design, whatever is typed and however many people there are: at most MATCHES people are gathered, and of
several words the rarest leads, of which at most LOOKED_AT are looked at. That cuts off only where each of the words
begins that many others, as two single letters may: "MATCHES" then means "many, type more", as it does for one word.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from backend.people.tables import user_word
from backend.people.words import LAST_CHARACTER

MATCHES = 1000
LOOKED_AT = 20_000


class Found(NamedTuple):
    """`total` is how many there are; MATCHES: at least that many, or too many to look at them all."""

    user_ids: list[int]
    total: int


def matching(conn: sa.Connection, words: Sequence[str]) -> Found:
    """People whose words begin with all of these, which are not none."""
    if len(words) == 1:
        return _found(conn.scalars(_range(user_word, words[0]).limit(2 * MATCHES)))
    counted = sorted((_count(conn, word), word) for word in words)
    (least, first), *others = counted
    if not least:
        return Found([], 0)
    looked = _range(user_word, first).limit(LOOKED_AT).subquery()
    statement = sa.select(looked.c.user_id)
    for _, word in others:
        other = user_word.alias()
        statement = statement.where(_range(other, word).where(other.c.user_id == looked.c.user_id).exists())
    found = _found(conn.scalars(statement.limit(2 * MATCHES)))
    return Found(found.user_ids, MATCHES) if least > LOOKED_AT else found


def _range(words: Any, word: str) -> sa.Select[tuple[int]]:
    begins = (words.c.word >= word, words.c.word < word + LAST_CHARACTER)
    return sa.select(words.c.user_id).where(*begins).order_by(words.c.word)


def _count(conn: sa.Connection, word: str) -> int:
    """How many words begin so; LOOKED_AT + 1: more than that."""
    few = _range(user_word, word).limit(LOOKED_AT + 1).subquery()
    return int(conn.execute(sa.select(sa.func.count()).select_from(few)).scalar_one())


def _found(ids: Any) -> Found:
    """Without those that two of their words led to."""
    people = list(dict.fromkeys(ids))[:MATCHES]
    return Found(people, len(people))
