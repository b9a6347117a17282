"""Messages about money that people move, and what was moved."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.wire.base import Amount, Count, Ledger, Message, Millis, Name, Text, Uuid
from backend.wire.people import OverdraftMode


class Adjust(Message, frozen=True, kw_only=True):
    """Add `amount` (negative takes away). With `only_if_available` it is refused where it would take available
    below zero minus the overdraft; `leave` asks for that much more to be left."""

    command_id: Uuid
    user_name: Name
    amount: Amount
    comment: Text = ""
    only_if_available: bool = False
    leave: Amount = 0


class SetBalance(Message, frozen=True, kw_only=True):
    """Make the posted balance exactly `balance` by a transfer of the difference."""

    command_id: Uuid
    user_name: Name
    balance: Amount
    comment: Text = ""


class ConfigureAccount(Message, frozen=True, kw_only=True):
    """Change what the account may do; None leaves a value as it is. An `overdraft` is individual; the mode
    "default" goes back to the setting's."""

    command_id: Uuid
    user_name: Name
    restricted: bool | None = None
    overdraft: Amount | None = None
    overdraft_mode: OverdraftMode | None = None
    print_jobs: Count | None = None
    print_impressions: Count | None = None


class RefundJob(Message, frozen=True, kw_only=True):
    """Give back what a job was charged: `amount` of it, the part for `pages` of its impressions, or (neither) all that
    is left. Never more than is left of the charge."""

    command_id: Uuid
    amount: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    pages: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    comment: Text = ""


class ReverseTransfer(Message, frozen=True, kw_only=True):
    """Undo an adjustment, a set balance or a refund by a transfer the other way. Once."""

    command_id: Uuid
    comment: Text = ""


class MoneyAnswer(Message, frozen=True, kw_only=True):
    """`code` is a refusal's code, "" when done. `amount` is what was moved, `sequence` its transfer's (0: none)."""

    code: str = ""
    message: str = ""
    amount: Amount = 0
    balance: Amount = 0
    available: Amount = 0
    sequence: int = 0


class TransferView(msgspec.Struct, frozen=True, kw_only=True):
    """`amount` is signed as the account's owner sees it; `user_name` is told in lists over all accounts. `earlier` is
    the sequence of the transfer that this one ends or reverses (0: none), `reversed` says that a later one reverses
    it."""

    sequence: int
    at: Millis
    kind: Literal["pending", "posted", "voided", "expired"]
    code: str
    amount: int
    balance: int
    job_id: str = ""
    actor: str = ""
    comment: str = ""
    user_name: str = ""
    earlier: int = 0
    reversed: bool = False


class TransferList(Message, frozen=True, kw_only=True):
    transfers: tuple[TransferView, ...]
    ledger: Ledger
