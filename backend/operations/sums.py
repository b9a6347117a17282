"""Do the balances of a ledger come to the sums of its transfers (P3), and its reservations to those that are open? Fed
with rows as they stream by, in any order; pure.

What it keeps is a few numbers for each account and each open reservation, so that a ledger of any length can be added
up. It knows what a transfer means and shares no rule with the code that makes them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

PRINTING: Final = 1
SYSTEM: Final = (PRINTING, 2)  # no numbered transfers of their own: each belongs to the other side
PENDING, POSTED = 1, 2
TABLES: Final = ("account", "account_stripe", "transfer")

Values = Mapping[str, Any]


class Told:
    """What an account says of itself, its stripes added."""

    __slots__ = ("credits", "debits", "name", "pending", "sequence")

    def __init__(self) -> None:
        self.name: str | None = None  # None: there is no such account
        self.credits = self.debits = self.pending = self.sequence = 0


class Summed:
    """What the rows come to."""

    __slots__ = ("count", "credits", "debits", "newest", "pending")

    def __init__(self) -> None:
        self.credits = self.debits = self.pending = self.count = self.newest = 0


class Sums:
    """Give it every row of the three tables, then ask for the faults."""

    def __init__(self) -> None:
        self._told: dict[int, Told] = {}
        self._summed: dict[int, Summed] = {}
        self._open: dict[tuple[int, int], int] = {}  # reservations: (account, sequence) -> amount
        self._ended: set[tuple[int, int]] = set()  # those whose end came before they did

    @property
    def accounts(self) -> int:
        return len(self._told)

    def add(self, table: str, row: Values) -> None:
        """One row of one of TABLES."""
        if table == "transfer":
            self._transfer(row)
            return
        told = self._told.setdefault(row["account_id"], Told())
        told.credits += row["credits_posted"]
        told.debits += row["debits_posted"]
        if table == "account":
            told.name, told.pending, told.sequence = row["name"], row["debits_pending"], row["sequence"]

    def _transfer(self, row: Values) -> None:
        account_id, amount = row["account_id"], row["amount"]
        own = self._sum(account_id)
        own.count += 1
        own.newest = max(own.newest, row["sequence"])
        key = (account_id, row["sequence"])
        if row["kind"] == PENDING:
            if key in self._ended:
                self._ended.remove(key)
            else:
                self._open[key] = amount
            return
        if row["kind"] == POSTED:
            self._sum(row["credit_account_id"]).credits += amount
            self._sum(row["debit_account_id"]).debits += amount
        if row["pending_sequence"] is not None and row["credit_account_id"] == PRINTING:
            before = (account_id, row["pending_sequence"])
            if self._open.pop(before, None) is None:
                self._ended.add(before)

    def _sum(self, account_id: int) -> Summed:
        found = self._summed.get(account_id)
        if found is None:
            found = self._summed[account_id] = Summed()
        return found

    def faults(self) -> Iterator[str]:
        """What does not agree, account by account."""
        for (account_id, _), amount in self._open.items():
            self._sum(account_id).pending += amount
        self._open.clear()
        for account_id in sorted(self._told.keys() | self._summed.keys()):
            told = self._told.get(account_id, Told())
            yield from _faults(account_id, told, self._summed.get(account_id, Summed()))
        credits = sum(told.credits for told in self._told.values())
        debits = sum(told.debits for told in self._told.values())
        if credits != debits:
            yield f"all credits are {credits}, all debits {debits}"


def _faults(account_id: int, told: Told, summed: Summed) -> Iterator[str]:
    name = f"account {account_id} ({told.name})"
    if told.name is None:
        yield f"account {account_id} has transfers but does not exist"
        return
    if (told.credits, told.debits) != (summed.credits, summed.debits):
        yield (
            f"{name}: credits and debits are {told.credits} and {told.debits}, its transfers come to "
            f"{summed.credits} and {summed.debits}"
        )
    if account_id in SYSTEM:
        return
    if not told.sequence == summed.count == summed.newest:
        yield f"{name}: its last transfer is number {told.sequence}, there are {summed.count} up to {summed.newest}"
    if told.pending != summed.pending:
        yield f"{name}: {told.pending} is reserved, its open reservations are {summed.pending}"
