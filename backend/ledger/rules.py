"""The rules of money: pure, the same for every store.

Each function changes one account of the `Book` and appends the immutable transfers that say so, in that account's own
order. Two-phase transfers are TigerBeetle's: a reservation (`pending`) ends exactly once, as posted, voided or expired.
"""

from backend.ledger.model import FUNDING, PRINTING, Account, Book, Earlier, Kind, Origin, Transfer


def covers(account: Account, amount: int, leave: int = 0) -> bool:
    """Whether a debit keeps a restricted account's available at or above minus its overdraft, with `leave` to spare."""
    return not account.restricted or account.available - amount >= leave - account.overdraft


def reserve(book: Book, account: Account, amount: int, code: str, origin: Origin) -> int:
    """Reserve `amount` (> 0) for a charge; the caller has checked the limit. Returns the reservation's sequence."""
    account.debits_pending += amount
    return _write(book, account, Kind.PENDING, code, account.account_id, PRINTING, amount, None, origin)


def end_unposted(book: Book, account: Account, pending: int, reserved: int, kind: Kind, origin: Origin) -> None:
    """End a reservation with nothing posted: `kind` is VOIDED or EXPIRED."""
    account.debits_pending -= reserved
    _write(book, account, kind, "print", account.account_id, PRINTING, reserved, pending, origin)


def settle(book: Book, account: Account, pending: int, reserved: int, amount: int, origin: Origin) -> int:
    """End a reservation by posting at most what it reserved. Returns what of `amount` it did not cover (0 or more)."""
    posted = min(amount, reserved)
    if posted <= 0:
        end_unposted(book, account, pending, reserved, Kind.VOIDED, origin)
        return max(0, amount)
    account.debits_pending -= reserved
    account.debits_posted += posted
    book.stripe(PRINTING).credits += posted
    _write(book, account, Kind.POSTED, "print", account.account_id, PRINTING, posted, pending, origin)
    return amount - posted


def charge(book: Book, account: Account, amount: int, code: str, origin: Origin) -> None:
    """Post a charge (> 0) without a reservation. Facts are never refused, so no limit is checked."""
    account.debits_posted += amount
    book.stripe(PRINTING).credits += amount
    _write(book, account, Kind.POSTED, code, account.account_id, PRINTING, amount, None, origin)


def give_back(book: Book, account: Account, amount: int, code: str, origin: Origin) -> None:
    """Post the return of a charge (> 0)."""
    account.credits_posted += amount
    book.stripe(PRINTING).debits += amount
    _write(book, account, Kind.POSTED, code, PRINTING, account.account_id, amount, None, origin)


def adjust(book: Book, account: Account, amount: int, code: str, origin: Origin) -> None:
    """Move the balance by `amount` (not 0) against the funding account."""
    if amount > 0:
        account.credits_posted += amount
        book.stripe(FUNDING).debits += amount
        _write(book, account, Kind.POSTED, code, FUNDING, account.account_id, amount, None, origin)
    else:
        account.debits_posted -= amount
        book.stripe(FUNDING).credits -= amount
        _write(book, account, Kind.POSTED, code, account.account_id, FUNDING, -amount, None, origin)


REVERSIBLE = ("adjustment", "set-balance", "refund")
REVERSAL = "reversal"


def reverse(book: Book, account: Account, earlier: Earlier, origin: Origin) -> None:
    """Undo a posted transfer by one the other way, between the same two accounts; the caller has checked that nothing
    undid it before."""
    other = PRINTING if earlier.code == "refund" else FUNDING
    amount = abs(earlier.amount)
    if earlier.amount < 0:
        account.credits_posted += amount
        book.stripe(other).debits += amount
        _write(book, account, Kind.POSTED, REVERSAL, other, account.account_id, amount, earlier.sequence, origin)
    else:
        account.debits_posted += amount
        book.stripe(other).credits += amount
        _write(book, account, Kind.POSTED, REVERSAL, account.account_id, other, amount, earlier.sequence, origin)


def _write(
    book: Book,
    account: Account,
    kind: Kind,
    code: str,
    debit: int,
    credit: int,
    amount: int,
    earlier: int | None,
    origin: Origin,
) -> int:
    account.sequence += 1
    book.changed.add(account.account_id)
    book.transfers.append(
        Transfer(
            account.account_id,
            account.sequence,
            kind,
            code,
            debit,
            credit,
            amount,
            earlier,
            account.credits_posted - account.debits_posted,
            origin.job_id,
            origin.command_id,
            origin.actor,
            origin.comment,
            origin.term,
            origin.at,
        )
    )
    return account.sequence
