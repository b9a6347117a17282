"""Imports on both databases: what one user's making keeps, thousands' keep too; again changes nothing."""

from collections.abc import Sequence

import sqlalchemy as sa

from backend.access.tables import audit
from backend.db.engine import Database
from backend.ledger.model import FUNDING
from backend.ledger.tables import account, account_stripe, transfer
from backend.people.bulk import import_users
from backend.people.lists import list_people
from backend.people.model import UserChange
from backend.people.queries import get_user
from backend.people.service import create_user
from backend.people.tables import user, user_identity, user_word
from backend.people.words import words_of
from backend.wire.people import ImportAnswer, ImportRow, UserDetails, UserView

BY = {"actor": "t", "role": "admin"}


def row(number: int, name: str, *, balance: int | None = None, **details: str) -> ImportRow:
    return ImportRow(row=number, name=name, details=UserDetails(**details), balance=balance)  # type: ignore[arg-type]


def bring(database: Database, *rows: ImportRow, update: bool = True, dry_run: bool = False) -> ImportAnswer:
    with database.connect(writing=not dry_run) as conn:
        return import_users(conn, rows, update=update, dry_run=dry_run, actor="t", role="admin")


def contents(database: Database) -> dict[str, Sequence[tuple[object, ...]]]:
    tables = (user, account, transfer, account_stripe, user_word, user_identity)
    with database.connect() as conn:
        return {one.name: sorted(tuple(row) for row in conn.execute(sa.select(one))) for one in tables}


def view(database: Database, name: str) -> UserView:
    with database.connect() as conn:
        found = get_user(conn, name)
    assert found is not None
    return found[0]


def counts(answer: ImportAnswer) -> tuple[int, int, int, int]:
    return answer.created, answer.updated, answer.unchanged, len(answer.troubles)


def test_users_come_with_all_that_belongs_to_them(database: Database) -> None:
    with database.connect(writing=True) as conn:
        conn.execute(sa.text("INSERT INTO setting (key, value, updated_at) VALUES ('users.initial-credit', '700', 0)"))
    people = [
        row(2, "CAMPUS\\Ann", full_name="Ann Müller", card_number="1", card_number2="2", alias="A.M"),
        row(3, "bob", balance=-300, email="bob@x"),
        row(4, "carl", balance=0),
    ]
    assert counts(bring(database, *people)) == (3, 0, 0, 0)
    with database.connect() as conn:
        starts = {
            it.name: it.credits_posted - it.debits_posted
            for it in conn.execute(sa.select(account))
            if it.kind == "user"
        }
        moved = conn.execute(
            sa.select(transfer.c.account_id, transfer.c.balance_after).order_by(transfer.c.balance_after)
        )
        funded = conn.execute(sa.select(account_stripe).where(account_stripe.c.account_id == FUNDING)).one()
        words = set(conn.scalars(sa.select(user_word.c.word)))
        assert [balance for _, balance in moved] == [-300, 700]
        assert [view.name for view in list_people(conn, "mull", 10).users] == ["ann"]
    assert starts == {"ann": 700, "bob": -300, "carl": 0}
    assert (funded.credits_posted, funded.debits_posted) == (300, 700)
    assert words == words_of("ann", "Ann Müller", "", "1", "2", "a.m") | words_of("bob", "", "bob@x", "") | {"carl"}
    before = contents(database)
    assert counts(bring(database, *people)) == (0, 0, 3, 0)
    assert contents(database) == before
    with database.connect(writing=True) as conn:  # what follows gets a number of its own
        create_user(conn, "dave", UserChange(), internal=False, **BY)


def test_a_dry_run_tells_the_same_and_does_nothing(database: Database) -> None:
    bring(database, row(2, "ann", card_number="1"))
    before = contents(database)
    people = [row(2, "ann", full_name="Ann"), row(3, "bob", card_number="1"), row(4, "carl")]
    told = bring(database, *people, dry_run=True)
    assert contents(database) == before
    assert bring(database, *people) == told
    assert counts(told) == (1, 1, 0, 1)


def test_details_change_and_money_stays(database: Database) -> None:
    bring(database, row(2, "ann", balance=500, full_name="Ann", email="a@x", card_number="1"))
    assert counts(bring(database, row(2, "ann", balance=9, full_name="Ann B"), update=False)) == (0, 0, 1, 0)
    assert view(database, "ann").full_name == "Ann"
    assert counts(bring(database, row(2, "ann", balance=9, full_name="Ann B", card_number="2"))) == (0, 1, 0, 0)
    seen = view(database, "ann")
    assert (seen.balance, seen.full_name, seen.email, seen.card_number) == (500, "Ann B", "a@x", "2")
    with database.connect() as conn:
        assert [it.name for it in list_people(conn, "2", 10).users] == ["ann"]
        assert list_people(conn, "1", 10).users == ()
        assert list(conn.scalars(sa.select(user_identity.c.value))) == ["2"]
        noted = conn.execute(sa.select(audit.c.action, audit.c.detail).order_by(audit.c.audit_id)).all()
    assert [tuple(it) for it in noted] == [
        ("users-imported", "created: ann; changed: "),
        ("users-imported", "created: ; changed: ann"),
    ]


def test_what_is_anothers_is_refused_and_the_rest_is_done(database: Database) -> None:
    bring(database, row(2, "ann", card_number="1", card_number2="2", alias="a.s"), row(3, "bob"))
    answer = bring(
        database,
        row(2, "carl", card_number="2"),
        row(3, "dave", alias="bob"),
        row(4, "a.s"),
        row(5, "eve", alias="a.s"),
        row(6, "", full_name="Nobody"),
        row(7, "fay", email="fay"),
        row(8, "gus", full_name="Gus"),
        row(9, "GUS", full_name="Gus again"),
    )
    assert counts(answer) == (1, 0, 0, 7)
    assert [trouble.row for trouble in answer.troubles] == [2, 3, 4, 5, 6, 7, 9]
    assert "the card '2' is the user 'ann''s" in answer.troubles[0].text
    with database.connect() as conn:
        assert [it.name for it in list_people(conn, "", 10).users] == ["ann", "bob", "gus"]


def test_a_card_moves_on_within_an_import(database: Database) -> None:
    bring(database, row(2, "ann", card_number="1"), row(3, "bob", card_number="2"))
    moved = [row(2, "ann", card_number="3"), row(3, "bob", card_number="1"), row(4, "carl", card_number="2")]
    assert counts(bring(database, *moved)) == (1, 2, 0, 0)
    assert counts(bring(database, *moved)) == (0, 0, 3, 0)
    with database.connect() as conn:
        assert sorted(conn.scalars(sa.select(user_identity.c.value))) == ["1", "2", "3"]
