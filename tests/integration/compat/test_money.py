"""Balances by XML-RPC: exact, at most once, and never overdrawn by those who ask for that."""

import threading
from decimal import Decimal

import pytest
import sqlalchemy as sa

from backend.ledger.tables import account, account_stripe, transfer
from backend.people.tables import user as user_table
from tests.integration.compat.conftest import TOKEN, Site
from tests.integration.compat.test_methods import fault

THREADS = 8
CALLS = 25


def units(site: Site, user: str) -> int:
    """The posted balance in minor units, which must be the sum of the user's transfers."""
    with site.database.connect() as conn:
        account_id = conn.scalar(sa.select(user_table.c.account_id).where(user_table.c.name == user))
        row = conn.execute(sa.select(account).where(account.c.account_id == account_id)).one()
        sign = sa.case((transfer.c.credit_account_id == account_id, 1), else_=-1)
        moved = sa.select(sa.func.coalesce(sa.func.sum(sign * transfer.c.amount), 0), sa.func.count())
        total, count = conn.execute(moved.where(transfer.c.account_id == account_id)).one()
    assert row.credits_posted - row.debits_posted == total
    assert row.sequence == count
    return int(total)


def test_set_and_adjust(site: Site, user: str) -> None:
    api = site.proxy()
    assert api.getUserAccountBalance(TOKEN, user) == 0.0
    assert api.setUserAccountBalance(TOKEN, user, 10, "start") is True
    assert api.adjustUserAccountBalance(TOKEN, user, 0.1 + 0.2, "float noise") is True
    assert api.adjustUserAccountBalance(TOKEN, user, -1.25, "", None) is True
    assert api.adjustUserAccountBalance(TOKEN, user, 0.0, "nothing", "") is True
    assert api.getUserAccountBalance(TOKEN, user, "") == 9.05
    assert units(site, user) == 90_500


def test_a_plain_adjustment_may_go_below_zero(site: Site, user: str) -> None:
    api = site.proxy()
    api.setUserProperty(TOKEN, user, "restricted", "TRUE")
    assert api.adjustUserAccountBalance(TOKEN, user, -3.0, "fine") is True
    assert api.getUserAccountBalance(TOKEN, user) == -3.0


def test_if_available_counts_the_overdraft(site: Site, user: str) -> None:
    api = site.proxy()
    api.setUserAccountBalance(TOKEN, user, 1.0, "")
    api.setUserProperty(TOKEN, user, "overdraft-amount", "0.5")
    assert api.adjustUserAccountBalanceIfAvailable(TOKEN, user, -1.5001, "") is False
    assert api.adjustUserAccountBalanceIfAvailable(TOKEN, user, -1.5, "", None) is True
    assert units(site, user) == -5_000


@pytest.mark.parametrize("amount", [1e300, -1e300, 900719925475.0, float("nan"), float("inf")])
def test_an_amount_out_of_range_changes_nothing(site: Site, user: str, amount: float) -> None:
    api = site.proxy()
    assert fault(api.adjustUserAccountBalance, TOKEN, user, amount, "").faultCode in (257, 275)
    assert fault(api.setUserAccountBalance, TOKEN, user, amount, "").faultCode in (257, 275)
    assert units(site, user) == 0


def test_a_balance_cannot_leave_the_ledgers_range(site: Site, user: str) -> None:
    api = site.proxy()
    assert api.setUserAccountBalance(TOKEN, user, 900719925474.0, "") is True
    assert fault(api.adjustUserAccountBalance, TOKEN, user, 1.0, "").faultCode == 275
    assert api.getUserAccountBalance(TOKEN, user) == 900719925474.0
    assert api.setUserAccountBalance(TOKEN, user, 0.0, "") is True


def test_money_given_as_text_is_refused(site: Site, user: str) -> None:
    assert "must be of type double" in fault(site.proxy().adjustUserAccountBalance, TOKEN, user, "5", "").faultString
    assert units(site, user) == 0


def test_there_is_one_account(site: Site, user: str) -> None:
    api = site.proxy()
    assert "default account" in fault(api.getUserAccountBalance, TOKEN, user, "Research").faultString
    assert "default account" in fault(api.adjustUserAccountBalance, TOKEN, user, 1.0, "", "Research").faultString
    assert units(site, user) == 0


def test_a_long_comment_does_not_sink_the_call(site: Site, user: str) -> None:
    assert site.proxy().adjustUserAccountBalance(TOKEN, user, 1.0, "ä" * 5000) is True
    assert units(site, user) == 10_000


@pytest.mark.parametrize("restricted", ["TRUE", "FALSE"])
def test_many_at_once_never_overdraw_and_sum_up(site: Site, user: str, restricted: str) -> None:
    start, step = Decimal("1.0000"), Decimal("0.0103")
    setup = site.proxy()
    setup.setUserProperty(TOKEN, user, "restricted", restricted)
    setup.setUserAccountBalance(TOKEN, user, float(start), "start")
    taken: list[bool] = []

    def take() -> None:
        api = site.proxy()
        for _ in range(CALLS):
            taken.append(api.adjustUserAccountBalanceIfAvailable(TOKEN, user, -float(step), "coffee"))

    threads = [threading.Thread(target=take) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == THREADS * CALLS
    assert sum(taken) == start // step
    left = start - sum(taken) * step
    assert units(site, user) == left * 10_000
    assert setup.getUserAccountBalance(TOKEN, user) == float(left)


def test_all_debits_are_all_credits(site: Site, user: str) -> None:
    site.proxy().adjustUserAccountBalance(TOKEN, user, 2.0, "")
    with site.database.connect() as conn:
        owed = conn.execute(
            sa.select(sa.func.sum(account.c.credits_posted - account.c.debits_posted)).where(account.c.kind != "system")
        ).scalar_one()
        systems = sa.func.sum(account_stripe.c.debits_posted - account_stripe.c.credits_posted)
        funded = conn.execute(sa.select(systems)).scalar_one()
    assert owed == funded
