"""P3, P5 and P6: the books by themselves, at any committed snapshot, and P4 between two of them.

- P3: every account's rows are numbered from 1 without a gap, each moves a positive amount between the account and
  another one, and tells the balance after it; their sum is the balance; all debits equal all credits.
- P5: no reservation takes what is available below minus the overdraft. What is charged without a reservation is an
  exception by its code, and the account's own sum of exceptions is the sum of those rows.
- P6: a row that ends a reservation names an earlier one of the same account and job that nothing else ended; what
  is open is what accounts and jobs say is reserved; once all is quiet nothing is open.
"""

from collections import Counter

from backend.checker.model import (
    EXCEPTIONS,
    PENDING,
    POSTED,
    PRINTING,
    REVERSAL,
    SYSTEM,
    VOIDED,
    Account,
    Fault,
    Faults,
    Ledger,
    Transfer,
)


def balances(ledger: Ledger) -> Faults:
    """P3."""
    known = {account.account_id for account in ledger.accounts}
    credits, debits = _posted_sums(ledger)
    rows = ledger.by_account()
    for account_id in sorted(rows.keys() - known):
        yield Fault("P3", f"account {account_id}", "has transfers but does not exist")
    for account in ledger.accounts:
        yield from _numbering(account, rows[account.account_id])
        yield from _sides(rows[account.account_id])
        told = (account.credits_posted, account.debits_posted)
        summed = (credits[account.account_id], debits[account.account_id])
        if told != summed:
            yield Fault("P3", _name(account), f"credits and debits are {told}, its transfers come to {summed}")
    all_credits = sum(account.credits_posted for account in ledger.accounts)
    all_debits = sum(account.debits_posted for account in ledger.accounts)
    if all_credits != all_debits:
        yield Fault("P3", "ledger", f"all credits are {all_credits}, all debits {all_debits}")


def limits(ledger: Ledger, limits_changed: frozenset[int] = frozenset()) -> Faults:
    """P5. Accounts in `limits_changed` had another limit once; their rows are not held to that of now."""
    rows = ledger.by_account()
    for account in ledger.accounts:
        if account.account_id in SYSTEM:
            continue
        if account.restricted and account.account_id not in limits_changed:
            yield from _reserves_within(account, rows[account.account_id])
        yield from _exceptions(account, rows[account.account_id])


def reversals(ledger: Ledger) -> Faults:
    """P8: what was undone was posted before by hand, by as much the other way, and was undone once."""
    for rows in ledger.by_account().values():
        before: dict[int, Transfer] = {}
        undone: set[int] = set()
        for row in rows:
            number = row.pending_sequence or 0
            if row.code != REVERSAL:
                before[row.sequence] = row
            elif number not in before or before[number].kind != POSTED or before[number].change != -row.change:
                yield Fault("P8", row.name, f"undoes {number}, which was not posted before it by as much")
            elif number in undone:
                yield Fault("P8", row.name, f"undoes {number} a second time")
            else:
                undone.add(number)


def reservations(ledger: Ledger, quiet: bool) -> Faults:
    """P6."""
    rows = ledger.by_account()
    still_open: Counter[str] = Counter()
    for account in ledger.accounts:
        pending = {row.sequence: row for row in rows[account.account_id] if row.kind == PENDING}
        yield from _ends(rows[account.account_id], pending)
        ended = {row.ends for row in rows[account.account_id] if row.kind != PENDING}
        reserved = [row for sequence, row in pending.items() if sequence not in ended]
        total = sum(row.amount for row in reserved)
        if total != account.debits_pending:
            yield Fault(
                "P6", _name(account), f"{account.debits_pending} is reserved, its open reservations are {total}"
            )
        for row in reserved:
            still_open[row.job_id or ""] += row.amount
            if quiet:
                yield Fault("P6", row.name, f"the reservation of job {row.job_id} was never ended")
    for job in ledger.jobs:
        if job.reserved != still_open[job.job_id]:
            yield Fault("P6", f"job {job.job_id}", f"reserves {job.reserved}, its rows {still_open[job.job_id]}")


def only_grew(before: Ledger, after: Ledger) -> Faults:
    """P4: every row of the earlier snapshot is in the later one, unchanged."""
    later = {(row.account_id, row.sequence): row for row in after.transfers}
    for row in before.transfers:
        now = later.get((row.account_id, row.sequence))
        if now is None:
            yield Fault("P4", row.name, "is gone")
        elif now != row:
            yield Fault("P4", row.name, f"was {row}, is {now}")
    there = {account.account_id for account in after.accounts}
    for account in before.accounts:
        if account.account_id not in there:
            yield Fault("P4", _name(account), "is gone")


def same_money(before: Ledger, after: Ledger) -> Faults:
    """P8: between the two snapshots old commands were given again; that moved nothing."""
    yield from only_grew(before, after)
    earlier = {(row.account_id, row.sequence) for row in before.transfers}
    for row in after.transfers:
        if (row.account_id, row.sequence) not in earlier:
            yield Fault("P8", row.name, f"was made by a command that had been answered before: {row}")
    charges = {job.job_id: job.charged for job in before.jobs}
    for job in after.jobs:
        if charges.get(job.job_id, 0) != job.charged:
            yield Fault("P8", f"job {job.job_id}", f"was charged {charges.get(job.job_id, 0)}, now {job.charged}")


def _name(account: Account) -> str:
    return f"account {account.account_id} ({account.name})"


def _posted_sums(ledger: Ledger) -> tuple[Counter[int], Counter[int]]:
    credits: Counter[int] = Counter()
    debits: Counter[int] = Counter()
    for row in ledger.transfers:
        if row.kind == POSTED:
            credits[row.credit_account_id] += row.amount
            debits[row.debit_account_id] += row.amount
    return credits, debits


def _numbering(account: Account, rows: list[Transfer]) -> Faults:
    """Sequence and running balance."""
    balance = 0
    for expected, row in enumerate(rows, 1):
        if row.sequence != expected:
            yield Fault("P3", row.name, f"stands where number {expected} should")
            return
        balance += row.change
        if row.balance_after != balance:
            yield Fault("P3", row.name, f"tells a balance of {row.balance_after} where the rows come to {balance}")
            return


def _sides(rows: list[Transfer]) -> Faults:
    for row in rows:
        sides = (row.debit_account_id, row.credit_account_id)
        if row.amount <= 0:
            yield Fault("P3", row.name, f"moves {row.amount}")
        if sides.count(row.account_id) != 1:
            yield Fault("P3", row.name, f"is not between its account and another one but {sides[0]} and {sides[1]}")
        elif row.kind != POSTED and sides != (row.account_id, PRINTING):
            yield Fault("P3", row.name, f"a {row.kind} row from account {sides[0]} to {sides[1]} reserves nothing")


def _reserves_within(account: Account, rows: list[Transfer]) -> Faults:
    balance = reserved = 0
    amounts = {row.sequence: row.amount for row in rows if row.kind == PENDING}
    for row in rows:
        balance += row.change
        if row.kind == PENDING:
            reserved += row.amount
            if balance - reserved < -account.overdraft:
                text = f"leaves {balance - reserved} available, the overdraft is {account.overdraft}"
                yield Fault("P5", row.name, text)
        elif row.ends is not None:
            reserved -= amounts.get(row.ends, 0)


def _exceptions(account: Account, rows: list[Transfer]) -> Faults:
    total = 0
    for row in rows:
        unreserved = row.kind == POSTED and row.credit_account_id == PRINTING and row.ends is None
        unreserved = unreserved and row.code != REVERSAL  # a refund taken back is no charge of its own
        if unreserved and row.code not in EXCEPTIONS:
            yield Fault("P5", row.name, f"charges {row.amount} without a reservation under the plain code {row.code!r}")
        elif unreserved:
            total += row.amount
    if total != account.exceptions:
        text = f"tells of exceptions of {account.exceptions}, its rows come to {total}"
        yield Fault("P5", _name(account), text)


def _ends(rows: list[Transfer], pending: dict[int, Transfer]) -> Faults:
    ended: set[int] = set()
    for row in rows:
        if row.kind == PENDING and row.ends is not None:
            yield Fault("P6", row.name, "a reservation ends another one")
        if row.kind == PENDING or (row.kind == POSTED and row.ends is None):
            continue
        begun = pending.get(row.ends or 0)
        if begun is None or begun.sequence >= row.sequence:
            yield Fault("P6", row.name, f"ends a reservation {row.ends} that was not made before it")
            continue
        if begun.sequence in ended:
            yield Fault("P6", row.name, f"ends reservation {begun.sequence} a second time")
        ended.add(begun.sequence)
        if begun.job_id != row.job_id:
            yield Fault("P6", row.name, f"ends the reservation of job {begun.job_id} for job {row.job_id}")
        too_much = row.amount > begun.amount if row.kind == POSTED else row.amount != begun.amount
        if too_much:
            verb = "posts" if row.kind == POSTED else "releases" if row.kind == VOIDED else "lets expire"
            yield Fault("P6", row.name, f"{verb} {row.amount} of a reservation of {begun.amount}")
