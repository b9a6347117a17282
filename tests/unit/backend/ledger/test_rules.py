"""The rules of money on one account, with no database."""

from hypothesis import given
from hypothesis import strategies as st

from backend.ledger import rules
from backend.ledger.model import FUNDING, PRINTING, Account, Book, Kind, Origin

ORIGIN = Origin("c", "tester", 5, "j")


def account(*, restricted: bool = True, balance: int = 0, overdraft: int = 0) -> Account:
    return Account(100, "user", "ada", restricted, overdraft, balance, 0, 0, 0, 0, 0, 0, 0, 0)


def book(one: Account) -> Book:
    return Book({one.account_id: one})


def test_the_limit_is_checked_on_what_is_available() -> None:
    one = account(balance=100, overdraft=20)
    assert rules.covers(one, 120)
    assert not rules.covers(one, 121)
    assert not rules.covers(one, 116, leave=5)
    rules.reserve(book(one), one, 90, "print", ORIGIN)
    assert rules.covers(one, 30)
    assert not rules.covers(one, 31)
    assert rules.covers(account(restricted=False), 10**9)


def test_a_reservation_does_not_move_the_balance() -> None:
    one = account(balance=100)
    the_book = book(one)
    sequence = rules.reserve(the_book, one, 30, "print", ORIGIN)
    assert (one.balance, one.available, sequence) == (100, 70, 1)
    assert not the_book.stripes


def test_settling_posts_what_was_reserved_and_returns_the_rest() -> None:
    one = account(balance=100)
    the_book = book(one)
    sequence = rules.reserve(the_book, one, 30, "print", ORIGIN)
    assert rules.settle(the_book, one, sequence, 30, 45, ORIGIN) == 15
    assert (one.balance, one.available) == (70, 70)
    assert the_book.stripes[PRINTING].credits == 30
    last = the_book.transfers[-1]
    assert (last.kind, last.amount, last.pending_sequence, last.balance_after) == (Kind.POSTED, 30, 1, 70)


def test_settling_for_nothing_voids() -> None:
    one = account(balance=100)
    the_book = book(one)
    sequence = rules.reserve(the_book, one, 30, "print", ORIGIN)
    assert rules.settle(the_book, one, sequence, 30, 0, ORIGIN) == 0
    assert (one.balance, one.available) == (100, 100)
    assert the_book.transfers[-1].kind == Kind.VOIDED


@given(st.lists(st.integers(-(10**6), 10**6).filter(bool), max_size=30))
def test_debits_equal_credits_whatever_is_moved(amounts: list[int]) -> None:
    one = account(restricted=False)
    the_book = book(one)
    for amount in amounts:
        rules.adjust(the_book, one, amount, "adjustment", ORIGIN)
    funding = the_book.stripes.get(FUNDING)
    moved = funding.credits - funding.debits if funding else 0
    assert one.balance == sum(amounts) == -moved
    assert [row.sequence for row in the_book.transfers] == list(range(1, len(amounts) + 1))
    assert all(row.amount > 0 for row in the_book.transfers)
