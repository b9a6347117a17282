"""Cards and aliases belong to one user, names and aliases are one world, also when two servers are asked at once."""

import threading
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
import sqlalchemy as sa

from backend.db.bulk import take_long
from backend.db.engine import Database
from backend.ledger.tables import account, transfer
from backend.people.errors import AliasTaken, CardTaken, NameTaken, PeopleError, UserBusy, UserUnknown
from backend.people.lists import list_people
from backend.people.model import UserChange
from backend.people.service import create_user, delete_user, provision_users, rename_user, update_user
from backend.people.tables import user, user_identity, user_word

BY = {"actor": "t", "role": "admin"}


def add(database: Database, name: str, **details: str) -> None:
    with database.connect(writing=True) as conn:
        take_long(conn)
        create_user(conn, name, msgspec.convert(details, UserChange), internal=False, **BY)


def change(database: Database, name: str, **details: str) -> None:
    with database.connect(writing=True) as conn:
        take_long(conn)
        update_user(conn, name, msgspec.convert(details, UserChange), **BY)


def rename(database: Database, name: str, new_name: str) -> None:
    with database.connect(writing=True) as conn:
        rename_user(conn, name, new_name, **BY)


def delete(database: Database, name: str, *, redact: bool = False) -> tuple[int, str]:
    with database.connect(writing=True) as conn:
        return delete_user(conn, name, redact=redact, **BY)


def kept(database: Database) -> set[tuple[str, str, str]]:
    """What the guard holds: (kind, value, user); it must be what the users' rows say."""
    with database.connect() as conn:
        joined = user_identity.join(user, user.c.user_id == user_identity.c.user_id)
        rows = conn.execute(sa.select(user_identity.c.kind, user_identity.c.value, user.c.name).select_from(joined))
        found = {(row.kind, row.value, row.name) for row in rows}
        columns = (("card", user.c.card_number), ("card", user.c.card_number2), ("alias", user.c.alias))
        told = {
            (kind, row[0], row[1]) for kind, it in columns for row in conn.execute(sa.select(it, user.c.name)) if row[0]
        }
    assert found == told
    return found


def found(database: Database, query: str) -> list[str]:
    with database.connect() as conn:
        return [view.name for view in list_people(conn, query, 10).users]


def test_one_card_one_user_whichever_of_the_two_it_is(database: Database) -> None:
    add(database, "ann", card_number="1", card_number2="2")
    add(database, "bob")
    for card in ("1", "2"):
        for field in ("card_number", "card_number2"):
            with pytest.raises(CardTaken):
                change(database, "bob", **{field: card})
            with pytest.raises(CardTaken):
                add(database, "carl", **{field: card})
    change(database, "ann", card_number="2", card_number2="1")
    change(database, "ann", card_number="", full_name="Ann")
    change(database, "bob", card_number2="2")
    assert kept(database) == {("card", "1", "ann"), ("card", "2", "bob")}
    assert found(database, "carl") == []


def test_names_and_aliases_are_one_world(database: Database) -> None:
    add(database, "ann", alias="asmith")
    add(database, "bob")
    with pytest.raises(AliasTaken):
        change(database, "bob", alias="asmith")
    with pytest.raises(AliasTaken):
        change(database, "ann", alias="bob")
    with pytest.raises(NameTaken):
        add(database, "asmith")
    with pytest.raises(NameTaken):
        rename(database, "bob", "asmith")
    with pytest.raises(NameTaken):
        rename(database, "bob", "ann")
    with database.connect(writing=True) as conn:
        assert provision_users(conn, ["asmith", "carl"]) == {"asmith": "ann"}
    assert found(database, "") == ["ann", "bob", "carl"]
    rename(database, "ann", "asmith")  # her own
    assert kept(database) == {("alias", "asmith", "asmith")}


def test_a_user_is_found_by_second_card_and_alias(database: Database) -> None:
    add(database, "ann", card_number2="0077", alias="a.smith")
    assert found(database, "007") == found(database, "a.sm") == found(database, "smi") == ["ann"]
    change(database, "ann", card_number2="", alias="")
    assert found(database, "007") == found(database, "a.sm") == []


def test_a_card_that_a_server_of_the_version_before_gave_away_is_taken(database: Database) -> None:
    add(database, "ann")
    add(database, "bob")
    with database.connect(writing=True) as conn:
        conn.execute(sa.update(user).where(user.c.name == "ann").values(card_number="1"))
    with pytest.raises(CardTaken):
        change(database, "bob", card_number2="1")
    change(database, "ann", full_name="Ann")
    assert kept(database) == {("card", "1", "ann")}


def test_a_name_changes_and_all_else_stays(database: Database) -> None:
    add(database, "ann", card_number="1", full_name="Ann Smith")
    rename(database, "ann", "ann.jones")
    with database.connect() as conn:
        row = conn.execute(
            sa.select(user.c.name, account.c.name.label("of_account")).select_from(user.join(account))
        ).one()
    assert tuple(row) == ("ann.jones", "ann.jones")
    assert found(database, "jones") == found(database, "smith") == ["ann.jones"]
    assert kept(database) == {("card", "1", "ann.jones")}
    rename(database, "ann.jones", "ann.jones")
    with pytest.raises(UserUnknown):
        rename(database, "ann", "x")


@pytest.mark.parametrize("redact", [False, True])
def test_who_goes_leaves_the_account_behind(database: Database, redact: bool) -> None:
    with database.connect(writing=True) as conn:
        conn.execute(sa.text("INSERT INTO setting (key, value, updated_at) VALUES ('users.initial-credit', '500', 0)"))
    add(database, "ann", card_number="1", alias="a")
    account_id, name = delete(database, "ann", redact=redact)
    assert name == (f"deleted-{account_id}" if redact else "ann")
    with database.connect() as conn:
        left = conn.execute(sa.select(account).where(account.c.account_id == account_id)).one()
        moved = conn.execute(sa.select(transfer.c.amount).where(transfer.c.account_id == account_id)).scalars().all()
        words = conn.execute(sa.select(sa.func.count()).select_from(user_word)).scalar_one()
    assert (left.name, left.credits_posted, list(moved), words) == (name, 500, [500], 0)
    assert kept(database) == set()
    add(database, "ann", card_number="1")  # another person, another account
    with database.connect() as conn:
        assert conn.execute(sa.select(user.c.account_id)).scalar_one() != account_id
    delete(database, "ann")
    with pytest.raises(UserUnknown):
        delete(database, "ann")


def test_nobody_goes_while_jobs_print(database: Database) -> None:
    add(database, "ann")
    with database.connect(writing=True) as conn:
        conn.execute(sa.update(account).where(account.c.name == "ann").values(debits_pending=1))
    with pytest.raises(UserBusy):
        delete(database, "ann")
    assert found(database, "ann") == ["ann"]


# ---------------------------------------------------------------- two servers at once

ROUNDS = 10


def race(*acts: Callable[[], None]) -> list[Exception | None]:
    """What each came to, begun as nearly at once as threads allow."""
    barrier = threading.Barrier(len(acts))
    outcomes: list[Exception | None] = [None] * len(acts)

    def run(number: int) -> None:
        barrier.wait()
        try:
            acts[number]()
        except Exception as error:  # noqa: BLE001  # it is looked at below
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def exactly_one(outcomes: list[Exception | None], refusal: type[PeopleError]) -> None:
    assert sorted(type(outcome).__name__ for outcome in outcomes) == sorted(["NoneType", refusal.__name__])


def test_two_servers_give_one_card_away_once(database: Database, other_server: Database) -> None:
    for name in ("ann", "bob"):
        add(database, name)
    for number in range(ROUNDS):
        outcomes = race(
            partial(change, database, "ann", card_number2=f"card {number}"),
            partial(change, other_server, "bob", card_number=f"card {number}"),
        )
        exactly_one(outcomes, CardTaken)
        assert len([it for it in kept(database) if it[1] == f"card {number}"]) == 1


def test_an_alias_and_a_name_do_not_pass_each_other(database: Database, other_server: Database) -> None:
    add(database, "ann")
    for number in range(ROUNDS):
        name = f"n{number}"
        outcomes = race(
            partial(change, database, "ann", alias=name),
            partial(add, other_server, name),
        )
        refused = [type(outcome) for outcome in outcomes if outcome is not None]
        assert refused in ([AliasTaken], [NameTaken])
        assert found(database, name) == (["ann"] if refused == [NameTaken] else [name])


def test_two_who_swap_cards_do_not_wait_for_each_other(database: Database, other_server: Database) -> None:
    add(database, "ann", card_number="1")
    add(database, "bob", card_number="2")
    for _ in range(ROUNDS):
        outcomes = race(
            partial(change, database, "ann", card_number="2"),
            partial(change, other_server, "bob", card_number="1"),
        )
        assert {type(outcome) for outcome in outcomes} == {CardTaken}
        assert kept(database) == {("card", "1", "ann"), ("card", "2", "bob")}
