"""Accounts and transfers as plain values. Amounts are integers in minor units; nothing here knows a database.

A customer account (`user`, `shared`, and `unassigned`) is changed under its row lock only. A system account has no
limit; what a batch moves it by is collected in a `Stripe`.
"""

import enum
from typing import Final

import msgspec

PRINTING: Final = 1  # revenue: every charge credits it
FUNDING: Final = 2  # the other side of adjustments, initial credit and quotas
UNASSIGNED: Final = 3  # what was printed and fits no account
DEFAULT_OVERDRAFT: Final = -1  # as an account's overdraft: what the settings say


class Kind(enum.IntEnum):
    """What a transfer row does to a reservation and to the balance."""

    PENDING = 1
    POSTED = 2
    VOIDED = 3
    EXPIRED = 4


class Account(msgspec.Struct, gc=False):
    """A locked account row. `sequence` is that of its last transfer."""

    account_id: int
    kind: str
    name: str
    restricted: bool
    overdraft: int
    credits_posted: int
    debits_posted: int
    debits_pending: int
    sequence: int
    offline_total: int
    late_total: int
    excess_total: int
    print_jobs: int
    print_impressions: int

    @property
    def balance(self) -> int:
        return self.credits_posted - self.debits_posted

    @property
    def available(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending


class Transfer(msgspec.Struct, gc=False, frozen=True):
    """An immutable ledger row. `pending_sequence` names the earlier row of the same account that it ends (a
    reservation) or reverses."""

    account_id: int
    sequence: int
    kind: Kind
    code: str
    debit_account_id: int
    credit_account_id: int
    amount: int
    pending_sequence: int | None
    balance_after: int
    job_id: str | None
    command_id: str
    actor: str
    comment: str
    term: int
    at: int


class Earlier(msgspec.Struct, gc=False, frozen=True):
    """A transfer that is asked to be undone. `amount` is what it added to its account's balance; `is_reversed` says
    that a later one undid it."""

    account_id: int
    sequence: int
    kind: int
    code: str
    amount: int
    job_id: str | None
    is_reversed: bool


class Origin(msgspec.Struct, gc=False, frozen=True):
    """Where a transfer comes from: the command, who gave it, and when by the database's clock."""

    command_id: str
    actor: str
    at: int
    job_id: str | None = None
    comment: str = ""
    term: int = 0


class Stripe(msgspec.Struct, gc=False):
    """How much a batch moves one system account."""

    credits: int = 0
    debits: int = 0


class Book:
    """The locked accounts of one batch, and what the rules wrote so far."""

    def __init__(self, accounts: dict[int, Account]) -> None:
        self.accounts = accounts
        self.transfers: list[Transfer] = []
        self.stripes: dict[int, Stripe] = {}
        self.changed: set[int] = set()

    def stripe(self, account_id: int) -> Stripe:
        found = self.stripes.get(account_id)
        if found is None:
            found = self.stripes[account_id] = Stripe()
        return found
