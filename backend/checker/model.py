"""What the checker is told and what it says, as plain values.

It shares no type and no rule with the packages that it checks: a mistake there must not be made here as well. Only
what a cost rule means comes from the contract (`backend.wire.pricing`). Amounts are integers in minor units.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

PRINTING: Final = 1
FUNDING: Final = 2
UNASSIGNED: Final = 3
SYSTEM: Final = (PRINTING, FUNDING)  # no sequence of their own: every row belongs to the other side

PENDING: Final = "pending"
POSTED: Final = "posted"
VOIDED: Final = "voided"
EXPIRED: Final = "expired"
EXCEPTIONS: Final = ("print-excess", "print-late", "print-offline")  # codes of charges that no reservation covered

REVERSAL: Final = "reversal"

Kind = Literal["pending", "posted", "voided", "expired"]
Rule = Literal["P1", "P3", "P4", "P5", "P6", "P7", "P8"]
Verdict = Literal["ok", "lost", "doubled", "recovered", "unprinted"]


class Printing(msgspec.Struct, frozen=True, kw_only=True):
    """One time something came out of the printer, by the printer's own spool. `key` is the title, unique to what a
    person sent; a crash may let the same key come out again. `impressions` are all copies together.
    """

    key: str
    user: str
    queue: str
    impressions: int
    started_at: float = 0.0
    ended_at: float = 0.0


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for. `printings` counts the wishes: 1, and one more for each restart of the finished job.

    `acknowledged` is false where nobody knows whether CUPS took it (`lp` was cut off). `canceled`: the person took
    it back.
    """

    key: str
    user: str
    queue: str
    printings: int = 1
    acknowledged: bool = True
    canceled: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command that a client gave and what it was told: done, refused, or unknown (no answer came).

    `adjust`: `amount` was moved, positive in the user's favour. `authorise`: `amount` was reserved, 0 for nothing.
    `report`: `amount` is the charge the last answer for this job told. It is found by its id, or by its comment
    where the id is made by the server (XML-RPC).
    """

    kind: Literal["adjust", "authorise", "report"]
    outcome: Literal["done", "refused", "unknown"]
    amount: int = 0
    user: str = ""
    command_id: str = ""
    comment: str = ""
    job_id: str = ""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """`exceptions` is the account's own sum of what was charged beyond reservations: offline, late and excess."""

    account_id: int
    name: str
    restricted: bool = False
    overdraft: int = 0
    credits_posted: int = 0
    debits_posted: int = 0
    debits_pending: int = 0
    exceptions: int = 0


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger, in the books of `account_id`. `amount` of a voided or expired row is what it releases."""

    account_id: int
    sequence: int
    kind: Kind
    debit_account_id: int
    credit_account_id: int
    amount: int
    code: str
    balance_after: int
    pending_sequence: int | None = None
    job_id: str | None = None
    command_id: str = ""
    comment: str = ""

    @property
    def ends(self) -> int | None:
        """The sequence of the reservation that it ends; a reversal names the transfer that it undoes there instead."""
        return None if self.code == REVERSAL else self.pending_sequence

    @property
    def name(self) -> str:
        return f"transfer {self.account_id}/{self.sequence}"

    @property
    def change(self) -> int:
        """What it adds to the balance of its account."""
        if self.kind != POSTED:
            return 0
        return self.amount if self.credit_account_id == self.account_id else -self.amount


class LedgerJob(msgspec.Struct, frozen=True, kw_only=True):
    """`charged` is the price of what was printed, `refunded` what was given back of it. `marks` are the names of
    backend.wire: estimated, offline, late, excess, possible_duplicate, unassigned."""

    job_id: str
    title: str
    user: str
    state: str
    charged: int = 0
    refunded: int = 0
    reserved: int = 0
    marks: tuple[str, ...] = ()


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """One committed snapshot of the whole ledger."""

    accounts: tuple[Account, ...]
    transfers: tuple[Transfer, ...]
    jobs: tuple[LedgerJob, ...]

    def by_account(self) -> dict[int, list[Transfer]]:
        """Each account's rows by sequence, for accounts without rows too."""
        rows: dict[int, list[Transfer]] = {account.account_id: [] for account in self.accounts}
        for transfer in self.transfers:
            rows.setdefault(transfer.account_id, []).append(transfer)
        for found in rows.values():
            found.sort(key=lambda transfer: transfer.sequence)
        return rows

    def by_job(self) -> dict[str, list[Transfer]]:
        """Each job's rows; "" holds those without a job."""
        rows: dict[str, list[Transfer]] = {job.job_id: [] for job in self.jobs}
        for transfer in sorted(self.transfers, key=lambda transfer: (transfer.account_id, transfer.sequence)):
            rows.setdefault(transfer.job_id or "", []).append(transfer)
        return rows


class Fault(msgspec.Struct, frozen=True):
    """A broken promise: which, of what, and how."""

    rule: Rule
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} {self.subject}: {self.text}"


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """`verdicts` has one for everything that was sent or came out, by key."""

    faults: tuple[Fault, ...]
    verdicts: Mapping[str, Verdict]

    @property
    def ok(self) -> bool:
        return not self.faults

    def count(self, verdict: Verdict) -> int:
        return sum(found == verdict for found in self.verdicts.values())

    def text(self) -> str:
        """All of it in lines for people."""
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in _VERDICTS)
        return "\n".join([counts, *map(str, self.faults)])


_VERDICTS: Final[tuple[Verdict, ...]] = ("ok", "recovered", "unprinted", "lost", "doubled")
Faults = Iterator[Fault]
