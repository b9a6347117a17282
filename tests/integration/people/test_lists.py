"""People are found and listed as a plain loop over all of them would find and sort them, on both engines."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backend.db.engine import Database
from backend.ledger.tables import account
from backend.people import finding
from backend.people.finding import MATCHES
from backend.people.lists import EVERYBODY, Filter, Sort, list_people
from backend.people.model import UserChange
from backend.people.service import create_user
from backend.people.tables import user, user_word
from backend.people.words import typed, words_of
from backend.wire.people import UserView

PEOPLE = 40
WAYS = 60  # of sort, filter and query, of 528
FILTERS = (
    EVERYBODY,
    Filter(disabled=True),
    Filter(disabled=False),
    Filter(restricted=True),
    Filter(restricted=False, negative=True),
    Filter(negative=False),
    Filter(department="Law"),
    Filter(department="Physics", disabled=False, restricted=True, negative=False),
)
QUERIES = ("", "a", "an", "an ma", "ma a", "x", "ann.mason", "MÜLLER", "anna müller", "o'brien a b")
SORTS: tuple[Sort, ...] = ("name", "full_name", "balance")


@pytest.fixture
def everybody(database: Database) -> list[UserView]:
    """Many of the same full name and of the same balance, some disabled for a time that is over."""
    chance = random.Random(1)
    with database.connect(writing=True) as conn:
        for number in range(PEOPLE):
            full_name = f"{chance.choice(('Anna', 'Andreas', 'Max'))} {chance.choice(('Müller', 'Mason', 'O’Brien'))}"
            details = UserChange(
                full_name=full_name,
                email=f"{full_name.lower().replace(' ', '.')}.{number}@example.org",
                department=chance.choice(("Law", "Physics", "")),
                disabled=chance.random() < 0.4,
                disabled_until=chance.choice((0, 1, 2**52)),
            )
            create_user(conn, f"{chance.choice('abm')}{number:03}", details, internal=False, actor="t", role="admin")
        for account_id in conn.scalars(sa.select(user.c.account_id)).all():
            balance, restricted = chance.choice((-300, 0, 0, 200)), chance.random() < 0.5
            money = {"credits_posted": max(0, balance), "debits_posted": max(0, -balance), "restricted": restricted}
            conn.execute(sa.update(account).where(account.c.account_id == account_id).values(money))
    with database.connect() as conn:
        return list(list_people(conn, "", PEOPLE).users)


def found(conn: sa.Connection, query: str) -> tuple[tuple[UserView, ...], int]:
    page = list_people(conn, query, PEOPLE)
    return page.users, page.total


def passes(view: UserView, query: str, chosen: Filter) -> bool:
    words = words_of(view.name, view.full_name, view.email, view.card_number)
    return (
        all(any(word.startswith(begun) for word in words) for begun in typed(query))
        and chosen.disabled in (None, view.disabled)
        and chosen.restricted in (None, view.restricted)
        and chosen.negative in (None, view.balance < 0)
        and chosen.department in ("", view.department)
    )


def key(sort: Sort) -> Callable[[UserView], Any]:
    return lambda view: (view.name,) if sort == "name" else (getattr(view, sort), view.name)


def test_all_pages_together_are_everybody_who_passes_in_order(database: Database, everybody: list[UserView]) -> None:
    assert len(everybody) == PEOPLE
    assert len({view.full_name for view in everybody}) < PEOPLE / 3
    ways = list(itertools.product(QUERIES, FILTERS, SORTS, (False, True)))
    full = 0
    for query, chosen, sort, descending in random.Random(2).sample(ways, WAYS):
        expected = sorted((one for one in everybody if passes(one, query, chosen)), key=key(sort), reverse=descending)
        full += len(expected) > 7
        pages: list[UserView] = []
        with database.connect() as conn:
            for offset in range(0, len(expected) + 7, 7):
                page = list_people(conn, query, 7, offset, sort=sort, descending=descending, chosen=chosen)
                assert page.total == len(expected)
                pages += page.users
        assert [one.name for one in pages] == [one.name for one in expected], (query, chosen, sort, descending)
    assert full > WAYS / 5


def test_words_whose_marks_are_not_known_are_found(database: Database, everybody: list[UserView]) -> None:
    """Those that a server of the version before has written."""
    with database.connect(writing=True) as conn:
        marked = found(conn, "an ma")
        conn.execute(sa.update(user_word).values(marks=0))
        assert found(conn, "an ma") == marked
        conn.execute(sa.update(user_word).values(marks=1))
        assert found(conn, "an ma") == ((), 0)  # they are gone by: nobody has these marks
    assert marked[1] > 2


def test_the_rarest_word_leads_and_no_more_is_looked_at_than_told(
    database: Database, everybody: list[UserView], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where two words each begin very many, the total says that there are many; one rare word is enough to find all."""
    monkeypatch.setattr(finding, "LOOKED_AT", 6)
    monkeypatch.setattr(finding, "COUNTED", 5)
    with database.connect() as conn:
        cut = found(conn, "a m")
        rare = found(conn, f"{everybody[0].name} a")
        none = found(conn, "a qqq")
        alone = found(conn, "a")
    assert len(cut[0]) <= 6
    assert cut[1] == MATCHES
    assert [view.name for view in rare[0]] == [everybody[0].name]
    assert (rare[1], none[0], none[1]) == (1, (), 0)
    assert alone[1] == len(alone[0]) > 6
