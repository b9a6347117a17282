"""Making users, changing, renaming and deleting them. Functions of a connection, run by `Database.write`.

Invariants: a user always has an account; a user who starts with money has the transfer that says so, made in the same
transaction as the account, so that the sum of transfers is the balance from the first moment; `user_word` and
`user_identity` follow the details in the same transaction. Who goes leaves the account, its balance, its transfers and
its jobs behind: no transfer is ever deleted.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.access.settings import DEFAULT_RESTRICTED, INITIAL_CREDIT, read_settings
from backend.base.ids import uuid7
from backend.db.dialect import insert_or_nothing
from backend.db.engine import now_ms
from backend.ledger.model import FUNDING, Kind
from backend.ledger.tables import account, account_stripe, transfer
from backend.people.errors import AliasTaken, NameTaken, UserBusy, UserUnknown
from backend.people.identities import CARD, alias_owners, card_owners, keep, lock_names, taken
from backend.people.model import UserChange, UserDefaults
from backend.people.tables import user, user_word
from backend.people.words import marks_of, words_of

COUNTERS = (
    "credits_posted", "debits_posted", "debits_pending", "sequence",
    "offline_total", "late_total", "excess_total", "print_jobs", "print_impressions",
)  # fmt: skip
WORDED = ("name", "full_name", "email", "card_number", "card_number2", "alias")


def user_defaults(conn: sa.Connection) -> UserDefaults:
    """What the settings give a new user."""
    found = read_settings(conn, DEFAULT_RESTRICTED, INITIAL_CREDIT)
    return UserDefaults(
        restricted=found[DEFAULT_RESTRICTED] == "true",
        initial_credit=int(found[INITIAL_CREDIT]),
    )


def provision_users(conn: sa.Connection, names: Iterable[str]) -> dict[str, str]:
    """Make those users that are not there yet, but for the names that are somebody's alias: alias -> that user's name.

    Two servers may do so at once: one of them makes each user.
    """
    lock_names(conn, gives_alias=False)
    wanted = sorted(set(names))
    aliases = alias_owners(conn, wanted)
    defaults = user_defaults(conn)
    for name in wanted:
        if name not in aliases:
            _insert_user(conn, name, {}, defaults)
    return aliases


def create_user(
    conn: sa.Connection,
    name: str,
    details: UserChange,
    *,
    internal: bool,
    actor: str,
    role: str,
) -> None:
    """Make one user with details. Raises NameTaken, CardTaken, AliasTaken."""
    lock_names(conn, gives_alias=bool(details.alias))
    if owner := alias_owners(conn, [name]).get(name):
        raise NameTaken(f"{name!r} is an alias of the user {owner!r}")
    changed = _changed(details)
    _refuse_taken(conn, changed, except_name=name)
    made = _insert_user(conn, name, {"internal": internal, **changed}, user_defaults(conn))
    if not made:
        raise NameTaken(f"there is a user {name!r} already")
    write_audit(conn, actor, role, "user-created", name)


def update_user(conn: sa.Connection, name: str, change: UserChange, *, actor: str, role: str) -> None:
    """Change a user's details. Raises UserUnknown, CardTaken, AliasTaken."""
    values = _changed(change)
    if change.alias:
        lock_names(conn, gives_alias=True)
    row = _locked(conn, name)
    _refuse_taken(conn, values, except_name=name)
    keep(conn, row["user_id"], {**row, **values})
    try:
        conn.execute(sa.update(user).where(user.c.user_id == row["user_id"]).values(**values, updated_at=now_ms(conn)))
    except sa.exc.IntegrityError as error:  # a server of the version before gave the card away since we looked
        raise taken(CARD, "") from error
    _set_words(conn, row["user_id"], {**row, **values})
    write_audit(conn, actor, role, "user-changed", name, ", ".join(sorted(values)))


def rename_user(conn: sa.Connection, name: str, new_name: str, *, actor: str, role: str) -> None:
    """Give a user another name; account, history, cards and balance stay. Raises UserUnknown, NameTaken.

    Jobs keep the name that they were printed under: they are the account's all the same.
    """
    lock_names(conn, gives_alias=False)
    row = _locked(conn, name)
    if new_name == name:
        return
    if alias_owners(conn, [new_name]).get(new_name, name) != name:
        raise NameTaken(f"{new_name!r} is an alias of another user")
    try:
        renamed = sa.update(user).where(user.c.user_id == row["user_id"])
        conn.execute(renamed.values(name=new_name, updated_at=now_ms(conn)))
    except sa.exc.IntegrityError as error:
        raise NameTaken(f"there is a user {new_name!r} already") from error
    conn.execute(sa.update(account).where(account.c.account_id == row["account_id"]).values(name=new_name))
    _set_words(conn, row["user_id"], {**row, "name": new_name})
    write_audit(conn, actor, role, "user-renamed", name, new_name)


def delete_user(conn: sa.Connection, name: str, *, redact: bool, actor: str, role: str) -> tuple[int, str]:
    """Forget a person: the user goes, and with it cards, alias, words. Raises UserUnknown, UserBusy.

    The account stays, with its balance, its transfers and its jobs; its number is returned, and its name, which
    `redact` makes one that tells nothing. (jobs.service.redact_jobs does the same for its jobs.)
    """
    row = _locked(conn, name)
    account_id = row["account_id"]
    locked = sa.select(account.c.debits_pending).where(account.c.account_id == account_id).with_for_update()
    if conn.execute(locked).scalar_one():
        raise UserBusy(f"jobs of {name!r} are being printed: delete the user once they have ended")
    conn.execute(sa.delete(user).where(user.c.user_id == row["user_id"]))
    kept = f"deleted-{account_id}" if redact else name
    if redact:
        conn.execute(sa.update(account).where(account.c.account_id == account_id).values(name=kept))
    write_audit(conn, actor, role, "user-deleted", name, "redacted" if redact else "")
    return int(account_id), kept


def _locked(conn: sa.Connection, name: str) -> Mapping[str, Any]:
    """The user's row, locked. Raises UserUnknown."""
    row = conn.execute(sa.select(user).where(user.c.name == name).with_for_update()).mappings().one_or_none()
    if row is None:
        raise UserUnknown(f"there is no user {name!r}")
    return dict(row)


def _changed(change: UserChange) -> dict[str, Any]:
    fields = {name: change.__getattribute__(name) for name in change.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not None}


def _insert_user(conn: sa.Connection, name: str, details: Mapping[str, Any], defaults: UserDefaults) -> bool:
    """False, and nothing changed, where the name is taken."""
    if conn.scalar(sa.select(user.c.user_id).where(user.c.name == name)) is not None:
        return False
    now = now_ms(conn)
    account_id = _insert_account(conn, name, defaults)
    values = {**details, "name": name, "account_id": account_id, "created_at": now, "updated_at": now}
    statement = insert_or_nothing(conn, user, [user.c.name]).values(**values).returning(user.c.user_id)
    try:
        user_id = conn.scalar(statement)
    except sa.exc.IntegrityError as error:  # a server of the version before gave the card away since we looked
        raise taken(CARD, "") from error
    if user_id is None:  # another server was faster
        conn.execute(sa.delete(account).where(account.c.account_id == account_id))
        return False
    keep(conn, user_id, values)
    _set_words(conn, user_id, values)
    if defaults.initial_credit > 0:
        _book_initial_credit(conn, account_id, defaults.initial_credit, now)
    return True


def _insert_account(conn: sa.Connection, name: str, defaults: UserDefaults) -> int:
    credit = max(0, defaults.initial_credit)
    values = {
        "kind": "user",
        "name": name,
        "restricted": defaults.restricted,
        "overdraft": defaults.overdraft,
        **dict.fromkeys(COUNTERS, 0),
        "credits_posted": credit,
        "sequence": 1 if credit else 0,
    }
    return int(conn.execute(sa.insert(account).values(**values).returning(account.c.account_id)).scalar_one())


def _book_initial_credit(conn: sa.Connection, account_id: int, amount: int, now: int) -> None:
    conn.execute(
        sa.insert(transfer).values(
            account_id=account_id,
            sequence=1,
            kind=int(Kind.POSTED),
            code="initial-credit",
            debit_account_id=FUNDING,
            credit_account_id=account_id,
            amount=amount,
            balance_after=amount,
            command_id=uuid7(),
            actor="system",
            comment="",
            term=0,
            at=now,
        )
    )
    fund(conn, debits=amount)


def fund(conn: sa.Connection, *, debits: int = 0, credits: int = 0) -> None:
    """The funding account's side of what new users start with."""
    key = [account_stripe.c.account_id, account_stripe.c.stripe]
    first = {"account_id": FUNDING, "stripe": 0, "credits_posted": 0, "debits_posted": 0}
    conn.execute(insert_or_nothing(conn, account_stripe, key).values(**first))
    conn.execute(
        sa.update(account_stripe)
        .where(account_stripe.c.account_id == FUNDING, account_stripe.c.stripe == 0)
        .values(
            debits_posted=account_stripe.c.debits_posted + debits,
            credits_posted=account_stripe.c.credits_posted + credits,
        )
    )


def _set_words(conn: sa.Connection, user_id: int, details: Mapping[str, Any]) -> None:
    texts = [str(details.get(key) or "") for key in WORDED]
    conn.execute(sa.delete(user_word).where(user_word.c.user_id == user_id))
    words = sorted(words_of(*texts))
    marks = marks_of(words)
    if words:
        conn.execute(sa.insert(user_word), [{"user_id": user_id, "word": word, "marks": marks} for word in words])


def _refuse_taken(conn: sa.Connection, values: Mapping[str, Any], except_name: str) -> None:
    """Tell at once what is another's; `keep` is what holds when two ask at the same moment."""
    cards = [card for card in (values.get("card_number"), values.get("card_number2")) if card]
    for card, owner in (card_owners(conn, cards) if cards else {}).items():
        if owner != except_name:
            raise taken(CARD, card)
    alias = values.get("alias")
    if alias and alias != except_name and _is_user(conn, alias):
        raise AliasTaken(f"{alias!r} is another user's name")


def _is_user(conn: sa.Connection, name: str) -> bool:
    return conn.scalar(sa.select(sa.literal(1)).where(user.c.name == name)) is not None
