"""Amounts as they are typed, and what moving money would come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.money import (
    AmountError,
    limits_text,
    part,
    preview_adjust,
    preview_refund,
    preview_reverse,
    preview_set,
    read_amount,
)
from app.core.viewdata import money
from backend.wire.access import Caller
from backend.wire.base import Ledger
from backend.wire.money import TransferView
from tests.support.console_world import LEDGER, job, user

MIRA = user("mira", "Mira Novak")  # 18.45, of it 7.40 reserved
HELP = Caller(role="helpdesk", name="maria", limit_each=200_000, limit_day=500_000, moved_today=400_000)
UNITS = Ledger(currency="units", decimals=0)
JOB = job(1, charged=6000, refunded=1000, impressions=12, printed=12)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("2.50", 25_000), ("2,5", 25_000), ("+10", 100_000), ("−1 EUR", -10_000), ("-.5", -5_000), ("1 000", 10_000_000),
     (" 0.0150 ", 150), ("3.", 30_000), ("0.5000000", 5_000)],
)  # fmt: skip
def test_amounts_as_people_type_them(text: str, amount: int) -> None:
    assert read_amount(text, LEDGER) == amount


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "type an amount"), ("-", "type an amount"), ("ten", "like 2.50"), ("1.2.3", "like 2.50"), ("1e3", "like"),
     ("1,234", "1234 or 1.234"), ("0.00001", "at most 4 decimals"), ("9" * 20, "more than an account can hold")],
)  # fmt: skip
def test_what_is_no_amount_says_what_to_type(text: str, words: str) -> None:
    with pytest.raises(AmountError, match=words):
        read_amount(text, LEDGER)


def test_units_are_whole() -> None:
    assert read_amount("12 units", UNITS) == 12
    with pytest.raises(AmountError, match="whole units"):
        read_amount("1.5", UNITS)


@given(st.integers(-(2**53), 2**53), st.sampled_from([0, 2, 4]))
def test_what_is_shown_can_be_typed(amount: int, decimals: int) -> None:
    ledger = Ledger(currency="EUR", decimals=decimals)
    assert read_amount(money(amount, ledger), ledger) == amount


def test_the_new_balance_and_what_is_left_of_the_day() -> None:
    found = preview_adjust(MIRA, -60_000, HELP, LEDGER)
    assert found.possible
    assert [text for _, text in found.lines] == [
        "Balance 18.45 EUR → 12.45 EUR",
        "Mira Novak may print for 5.05 EUR then",
        "Of what you may move today, 4.00 EUR would be left (until 0:00 UTC)",
    ]
    below = preview_adjust(MIRA, -190_000, None, LEDGER)
    assert below.lines[0] == ("error", "Balance 18.45 EUR → −0.55 EUR")
    assert below.lines[1] == ("warning", "Mira Novak may print nothing then")


def test_a_known_limit_refuses_before_anything_is_sent() -> None:
    assert preview_adjust(MIRA, 200_001, HELP, LEDGER).problem == "you may move at most 20.00 EUR at once"
    assert preview_adjust(MIRA, -100_001, HELP, LEDGER).problem == "you may move only 10.00 EUR more today"
    assert preview_adjust(MIRA, 100_000, HELP, LEDGER).possible
    assert preview_adjust(MIRA, 10**12, Caller(role="admin", name="root"), LEDGER).possible
    assert preview_adjust(MIRA, 0, HELP, LEDGER).problem == "0 moves nothing"
    assert limits_text(HELP, LEDGER) == "may move 20.00 EUR at once, 50.00 EUR a day, 10.00 EUR left today"
    assert limits_text(Caller(role="admin", name="root"), LEDGER) == ""


def test_setting_moves_the_difference() -> None:
    assert preview_set(MIRA, 200_000, None, LEDGER).amount == 15_500
    assert not preview_set(MIRA, MIRA.balance, None, LEDGER).possible


def test_refunds_whole_part_and_by_pages() -> None:
    assert preview_refund(JOB, MIRA, HELP, LEDGER).amount == 5000
    assert preview_refund(JOB, MIRA, HELP, LEDGER, amount=2000).amount == 2000
    assert preview_refund(JOB, MIRA, HELP, LEDGER, amount=5001).problem.startswith("that is more than the 0.50 EUR")
    assert preview_refund(JOB, MIRA, HELP, LEDGER, pages=3).amount == 1500
    assert not preview_refund(JOB, MIRA, HELP, LEDGER, pages=11).possible  # 0.55 of the 0.50 that are left
    assert preview_refund(JOB, MIRA, HELP, LEDGER, pages=13).problem == "type 1 to 12 pages"
    assert not preview_refund(JOB, MIRA, HELP, LEDGER, pages=0).possible
    assert not preview_refund(job(1, charged=100, refunded=100), None, None, LEDGER).possible
    lines = [text for _, text in preview_refund(JOB, MIRA, None, LEDGER).lines]
    assert lines[0] == "Charged 0.60 EUR for 12 pages; 0.10 EUR given back already, 0.50 EUR left"
    assert "Balance 18.45 EUR → 18.95 EUR" in lines


@given(st.integers(1, 10**9), st.integers(1, 5000))
def test_the_parts_of_a_charge(charged: int, pages: int) -> None:
    assert part(charged, pages, pages) == charged
    assert 0 <= part(charged, 1, pages) <= charged


@pytest.mark.parametrize(
    ("code", "kind", "reversed_", "words"),
    [("adjustment", "posted", False, ""), ("refund", "posted", False, ""), ("set-balance", "posted", False, ""),
     ("adjustment", "posted", True, "undone already"), ("print-job", "posted", False, "only adjustments"),
     ("print-job", "pending", False, "only adjustments")],
)  # fmt: skip
def test_what_can_be_undone(code: str, kind: str, reversed_: bool, words: str) -> None:
    transfer = TransferView(sequence=3, at=0, kind=kind, code=code, amount=5000, balance=1, reversed=reversed_)  # type: ignore[arg-type]
    found = preview_reverse(MIRA, transfer, HELP, LEDGER)
    assert (words in found.problem) if words else found.possible
    assert found.amount == -5000
