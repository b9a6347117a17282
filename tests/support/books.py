"""Are the books sound? Everything a store holds, added up from its transfers alone.

Written apart from the rules it checks: it knows what a transfer means, not how one comes to be.
"""

import collections

from backend.ledger.model import FUNDING, PRINTING, Account, Kind, Transfer
from backend.ledger.rules import REVERSAL
from tests.support.stores import Contents


def assert_sound(contents: Contents) -> None:
    """Promises P3 (sums), P6 (each reservation ends once), and that jobs and accounts say what their transfers say."""
    accounts = {account.account_id: account for account in contents.accounts.values()}
    rows: dict[int, list[Transfer]] = collections.defaultdict(list)
    for row in contents.transfers:
        rows[row.account_id].append(row)
    for account_id, account in accounts.items():
        if account_id not in (PRINTING, FUNDING):
            _assert_account(account, rows[account_id])
    _assert_system_accounts(contents)
    _assert_jobs(contents)


def _assert_account(account: Account, rows: list[Transfer]) -> None:
    assert [row.sequence for row in rows] == list(range(1, account.sequence + 1)), account.name
    balance = 0
    pending: dict[int, int] = {}
    for row in rows:
        assert row.amount > 0
        if row.kind == Kind.PENDING:
            pending[row.sequence] = row.amount
        elif row.pending_sequence is not None and row.code != REVERSAL:
            assert row.pending_sequence in pending, f"{account.name}: a reservation ended twice"
            reserved = pending.pop(row.pending_sequence)
            assert row.amount <= reserved
        if row.kind == Kind.POSTED:
            balance += row.amount if row.credit_account_id == account.account_id else -row.amount
        assert row.balance_after == balance, (account.name, row)
    assert account.balance == balance, account.name
    assert account.debits_pending == sum(pending.values()), account.name


def _assert_system_accounts(contents: Contents) -> None:
    moved: dict[int, int] = collections.Counter()
    for row in contents.transfers:
        if row.kind == Kind.POSTED:
            moved[row.debit_account_id] -= row.amount
            moved[row.credit_account_id] += row.amount
    assert sum(moved.values()) == 0
    for account_id in (PRINTING, FUNDING):
        stripe = contents.stripes.get(account_id)
        assert (stripe.credits - stripe.debits if stripe else 0) == moved[account_id]


def _assert_jobs(contents: Contents) -> None:
    charged: dict[str, int] = collections.Counter()
    reserved: dict[str, int] = collections.Counter()
    open_rows: dict[tuple[int, int], Transfer] = {}
    for row in contents.transfers:
        if row.job_id is None:
            continue
        if row.kind == Kind.PENDING:
            open_rows[row.account_id, row.sequence] = row
        elif row.pending_sequence is not None and row.code != REVERSAL:
            open_rows.pop((row.account_id, row.pending_sequence))
        if row.kind == Kind.POSTED:
            charged[row.job_id] += row.amount if row.credit_account_id == PRINTING else -row.amount
    for row in open_rows.values():
        assert row.job_id is not None
        reserved[row.job_id] += row.amount
    for job in contents.jobs.values():
        assert job.charged - job.refunded == charged[job.job_id], job
        assert 0 <= job.refunded <= job.charged, job
        assert job.reserved == reserved[job.job_id], job
