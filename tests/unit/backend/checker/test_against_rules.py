"""The ledger's own rules, in any order, write books in which the checker finds nothing."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from backend.checker import model as checker
from backend.checker.check import check_books
from backend.ledger import rules
from backend.ledger.model import FUNDING, PRINTING, Account, Book, Kind, Origin, Transfer

EVERYBODY = (10, 11)
OVERDRAFT = 500
steps = st.tuples(
    st.sampled_from(("adjust", "print", "give up", "late", "refund")),
    st.sampled_from(EVERYBODY),
    st.integers(-2000, 2000),
    st.integers(0, 1500),
)


def account(account_id: int) -> Account:
    return Account(account_id, "user", f"u{account_id}", True, OVERDRAFT, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Server:
    """Just enough of a server to follow the rules."""

    def __init__(self) -> None:
        self.book = Book({account_id: account(account_id) for account_id in EVERYBODY})
        self.jobs: list[checker.LedgerJob] = []

    def step(self, what: str, account_id: int, amount: int, more: int) -> None:
        found = self.book.accounts[account_id]
        origin = Origin("c", "test", 0, f"job-{len(self.jobs)}")
        if what == "adjust" and amount:
            rules.adjust(self.book, found, amount, "adjustment", origin)
        elif what in ("print", "give up") and amount > 0 and rules.covers(found, amount):
            pending = rules.reserve(self.book, found, amount, "print", origin)
            printed = more if what == "print" else 0
            rest = rules.settle(self.book, found, pending, amount, printed, origin)
            if rest:
                rules.charge(self.book, found, rest, "print-excess", origin)
                found.excess_total += rest
            self._job(found, origin, printed)
        elif what == "late" and amount > 0:
            rules.charge(self.book, found, amount, "print-late", origin)
            found.late_total += amount
            self._job(found, origin, amount)
        elif what == "refund" and amount > 0:
            rules.charge(self.book, found, amount + more, "print-offline", origin)
            found.offline_total += amount + more
            rules.give_back(self.book, found, amount, "print-correction", origin)
            self._job(found, origin, more)

    def _job(self, found: Account, origin: Origin, charged: int) -> None:
        job_id = origin.job_id or ""
        self.jobs.append(
            checker.LedgerJob(job_id=job_id, title=job_id, user=found.name, state="completed", charged=charged)
        )

    def ledger(self) -> checker.Ledger:
        stripes = {account_id: self.book.stripe(account_id) for account_id in (PRINTING, FUNDING)}
        system = [
            checker.Account(
                account_id=account_id, name="system", credits_posted=stripe.credits, debits_posted=stripe.debits
            )
            for account_id, stripe in stripes.items()
        ]
        accounts = [*system, *(_account(found) for found in self.book.accounts.values())]
        rows = tuple(_row(row) for row in self.book.transfers)
        return checker.Ledger(accounts=tuple(accounts), transfers=rows, jobs=tuple(self.jobs))


def _account(found: Account) -> checker.Account:
    values = {field: found.__getattribute__(field) for field in ("account_id", "name", "restricted", "overdraft")}
    sums = {field: found.__getattribute__(field) for field in ("credits_posted", "debits_posted", "debits_pending")}
    return checker.Account(**values, **sums, exceptions=found.offline_total + found.late_total + found.excess_total)


def _row(row: Transfer) -> checker.Transfer:
    values = msgspec.structs.asdict(row)
    kept = {field: values[field] for field in checker.Transfer.__struct_fields__}
    return checker.Transfer(**(kept | {"kind": Kind(row.kind).name.lower()}))


@given(st.lists(steps, max_size=40))
def test_the_rules_keep_the_promises(history: list[tuple[str, int, int, int]]) -> None:
    server = Server()
    for what, account_id, amount, more in history:
        server.step(what, account_id, amount, more)
        assert check_books(server.ledger()) == []
    assert check_books(server.ledger(), quiet=True) == []
