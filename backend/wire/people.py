"""Messages about users: made, changed, imported, looked up."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backend.wire.base import Amount, Count, Ledger, Message, Millis, Name, Text

OverdraftMode = Literal["default", "individual"]


class UserDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a user beside the account; None leaves a value as it is."""

    full_name: Text | None = None
    email: Text | None = None
    department: Text | None = None
    office: Text | None = None
    notes: Annotated[str, Meta(max_length=8192)] | None = None
    card_number: Text | None = None
    card_number2: Text | None = None
    alias: Text | None = None
    disabled: bool | None = None
    disabled_until: Millis | None = None


class CreateUser(Message, frozen=True, kw_only=True):
    """`name` is mapped as print servers' names are."""

    name: Name
    details: UserDetails = UserDetails()


class SetUser(Message, frozen=True, kw_only=True):
    details: UserDetails


class RenameUser(Message, frozen=True, kw_only=True):
    """`new_name` is mapped as print servers' names are."""

    new_name: Name


class DeleteUser(Message, frozen=True, kw_only=True):
    """`redact` takes the person's name and documents' names out of what stays: account and jobs."""

    redact: bool = False


class UserDeleted(Message, frozen=True, kw_only=True):
    """What stays of a deleted user: the account, under which name, and its balance."""

    account_id: int
    account_name: str
    balance: Amount


class ImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One user of a list. `row` is its line there, for messages; `balance` is what a new user starts with (None: the
    setting's initial credit)."""

    row: Count
    name: Text
    details: UserDetails = UserDetails()
    balance: Amount | None = None
    restricted: bool | None = None
    overdraft: Amount | None = None


class ImportUsers(Message, frozen=True, kw_only=True):
    """Make or change these users; of one that is there already only the details, and with `update` only. With `dry_run`
    nothing is done but told."""

    rows: Annotated[tuple[ImportRow, ...], Meta(max_length=500)]
    update: bool = True
    dry_run: bool = False


class ImportTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row was refused; the others are done."""

    row: int
    name: str
    text: str


class ImportAnswer(Message, frozen=True, kw_only=True):
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    troubles: tuple[ImportTrouble, ...] = ()


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    full_name: str = ""
    email: str = ""
    department: str = ""
    card_number: str = ""
    card_number2: str = ""
    alias: str = ""
    office: str = ""
    notes: str = ""
    balance: int = 0
    reserved: int = 0
    available: int = 0
    overdraft: int = 0
    overdraft_mode: OverdraftMode = "individual"
    restricted: bool = False
    disabled: bool = False
    disabled_until: Millis = 0
    created_at: Millis = 0
    print_jobs: int = 0
    print_impressions: int = 0


class UserList(Message, frozen=True, kw_only=True):
    """`total` counts all matches, `users` holds at most the asked number of them, sorted by name. `as_of` is
    when it was read."""

    users: tuple[UserView, ...]
    total: int
    ledger: Ledger
    as_of: Millis
