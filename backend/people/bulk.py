"""Many users at once: the writing of an import, some hundreds in a transaction. Functions of a connection, run by
`Database.write` (a dry run: by `Database.run`).

One statement for each user and table would take an hour for a university; here a batch is read in a few statements,
decided in memory in the rows' order, and written by a few more (`backend.db.bulk`). Whoever imports has the lock on
names alone (`identities`), so nobody else makes users meanwhile; it is held for one batch.

Invariants: what `people.service` keeps for one user holds for each of these (account, transfer of the starting balance,
words, identities); a row whose card or alias is another's, or whose name is an alias, is refused and the others are
done; the same rows again change nothing. Of users that are there only the details are changed, never money.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.base.ids import uuid7
from backend.db.bulk import write_rows
from backend.db.dialect import CHUNK, one_of
from backend.db.engine import now_ms
from backend.ledger.model import FUNDING, Kind
from backend.ledger.tables import account, transfer
from backend.people.identities import ALIAS, CARD, alias_owners, card_owners, identities, lock_names
from backend.people.model import UserDefaults
from backend.people.service import COUNTERS, WORDED, fund, user_defaults
from backend.people.tables import user, user_identity, user_word
from backend.people.words import marks_of, words_of
from backend.wire.people import ImportAnswer, ImportRow, ImportTrouble, UserDetails
from backend.wire.userfile import checked, without_doubles

MAX_ROWS: Final = 500
_DETAILS: Final = UserDetails.__struct_fields__
_TEXTS: Final = tuple(name for name in _DETAILS if name not in ("disabled", "disabled_until"))
_ACCOUNT: Final = ("account_id", "kind", "name", "restricted", "overdraft", *COUNTERS)
_USER: Final = ("user_id", "name", "account_id", *_DETAILS, "internal", "created_at", "updated_at")
_TRANSFER: Final = (
    "account_id", "sequence", "kind", "code", "debit_account_id", "credit_account_id", "amount", "balance_after",
    "command_id", "actor", "comment", "term", "at",
)  # fmt: skip


@dataclass(slots=True)
class _Plan:
    """What a batch comes to: rows of new users, and the changed rows of those that are there."""

    new: list[ImportRow] = field(default_factory=list)
    changed: list[Mapping[str, Any]] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    claimed: list[tuple[str, str, str]] = field(default_factory=list)  # kind, value, user's name
    troubles: list[ImportTrouble] = field(default_factory=list)
    unchanged: int = 0


def import_users(
    conn: sa.Connection,
    rows: Sequence[ImportRow],
    *,
    update: bool,
    dry_run: bool,
    actor: str,
    role: str,
    create: bool = True,
    initial_credit: int | None = None,
) -> ImportAnswer:
    """Make or change these users (at most MAX_ROWS); with `dry_run` only tell what would be done. Those that are not to
    be changed (without `update`) or made (without `create`) count as unchanged.

    `initial_credit` goes before the setting, a row's own balance before both.
    """
    looked = [checked(row) for row in rows]
    good, doubled = without_doubles([row for row in looked if isinstance(row, ImportRow)])
    _by_index(conn)
    if not dry_run:
        lock_names(conn, gives_alias=True)
    plan = _plan(conn, good, update=update, create=create, lock=not dry_run)
    plan.troubles += [row for row in looked if isinstance(row, ImportTrouble)] + doubled
    if not dry_run and (plan.new or plan.changed):
        now = now_ms(conn)
        _write_changed(conn, plan, now)
        defaults = user_defaults(conn)
        if initial_credit is not None:
            defaults = msgspec.structs.replace(defaults, initial_credit=initial_credit)
        made = _write_new(conn, plan.new, defaults, actor, now)
        _write_identities(conn, plan, made)
        names = (
            f"created: {' '.join(row.name for row in plan.new)}; changed: {' '.join(it['name'] for it in plan.changed)}"
        )
        write_audit(conn, actor, role, "users-imported", f"{len(plan.new)} + {len(plan.changed)} users", names)
    return ImportAnswer(
        created=len(plan.new),
        updated=len(plan.changed),
        unchanged=plan.unchanged,
        troubles=tuple(sorted(plan.troubles, key=lambda trouble: trouble.row)),
    )


def _by_index(conn: sa.Connection) -> None:
    """Rows are found by indexes, however small PostgreSQL takes the tables to be: a plan that was made and kept while
    they were empty reads all of them for each batch once they are large."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(
            "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'off', true)"
        )


# ---------------------------------------------------------------- deciding


def _plan(conn: sa.Connection, rows: Sequence[ImportRow], *, update: bool, create: bool, lock: bool) -> _Plan:
    plan = _Plan()
    known = _known(conn, [row.name for row in rows], lock)
    owners = _owners(conn, rows)
    for row in rows:
        there = known.get(row.name)
        if not (create if there is None else update):
            plan.unchanged += 1
            continue
        given = {name: value for name in _DETAILS if (value := getattr(row.details, name)) is not None}
        after = {**(there or {}), **given}
        held = identities(there or {})
        wanted = identities(after)
        refusal = _refusal(row.name, there is None, wanted - held, owners)
        if refusal:
            plan.troubles.append(ImportTrouble(row=row.row, name=row.name, text=refusal))
            continue
        for key in held - wanted:
            owners.pop(key, None)
            plan.released.append(key)
        for kind, value in sorted(wanted - held):
            owners[kind, value] = row.name
            plan.claimed.append((kind, value, row.name))
        if there is None:
            plan.new.append(row)
        elif any(there[name] != value for name, value in given.items()):
            plan.changed.append(after)
        else:
            plan.unchanged += 1
    return plan


def _known(conn: sa.Connection, names: Sequence[str], lock: bool) -> dict[str, Mapping[str, Any]]:
    """The rows of those users that are there, locked in the order of their ids."""
    found: dict[str, Mapping[str, Any]] = {}
    columns = (user.c.user_id, user.c.name, *(user.c[name] for name in _DETAILS))
    for start in range(0, len(names), CHUNK):
        some = one_of(conn, user.c.name, names[start : start + CHUNK])
        statement = sa.select(*columns).where(some).order_by(user.c.user_id)
        for row in conn.execute(statement.with_for_update(of=user) if lock else statement).mappings():
            found[row["name"]] = dict(row)
    return found


def _owners(conn: sa.Connection, rows: Sequence[ImportRow]) -> dict[tuple[str, str], str]:
    """Who has the cards and aliases that these rows ask for, and the names that are aliases; names that they ask for
    as aliases are their own users'."""
    asked = [identities(msgspec.structs.asdict(row.details)) for row in rows]
    cards = {value for some in asked for kind, value in some if kind == CARD}
    aliases = {value for some in asked for kind, value in some if kind == ALIAS}
    names = {row.name for row in rows}
    found = {(CARD, card): name for card, name in card_owners(conn, cards).items()}
    for start in range(0, len(aliases), CHUNK):
        some = sorted(aliases)[start : start + CHUNK]
        for name in conn.scalars(sa.select(user.c.name).where(one_of(conn, user.c.name, some))):
            found[ALIAS, name] = name
    found |= {(ALIAS, name): name for name in names & aliases}
    return found | {(ALIAS, alias): name for alias, name in alias_owners(conn, aliases | names).items()}


def _refusal(name: str, is_new: bool, claims: Iterable[tuple[str, str]], owners: Mapping[tuple[str, str], str]) -> str:
    if is_new and owners.get((ALIAS, name), name) != name:
        return f"{name!r} is an alias of the user {owners[ALIAS, name]!r}: use that name, or take the alias away"
    for kind, value in sorted(claims):
        owner = owners.get((kind, value), name)
        if owner != name:
            return f"the {kind} {value!r} is the user {owner!r}'s: take it away there first, or leave it out"
    return ""


# ---------------------------------------------------------------- writing


def _write_changed(conn: sa.Connection, plan: _Plan, now: int) -> None:
    if plan.released:
        gone = sa.delete(user_identity).where(
            user_identity.c.kind == sa.bindparam("of_kind"), user_identity.c.value == sa.bindparam("of_value")
        )
        conn.execute(gone, [{"of_kind": kind, "of_value": value} for kind, value in sorted(plan.released)])
    if not plan.changed:
        return
    statement = sa.update(user).where(user.c.user_id == sa.bindparam("of_user"))
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in _DETAILS}
    conn.execute(
        statement.values(**values, updated_at=now),
        [{"of_user": row["user_id"], **{f"new_{name}": row[name] for name in _DETAILS}} for row in plan.changed],
    )
    ids = [row["user_id"] for row in plan.changed]
    conn.execute(sa.delete(user_word).where(user_word.c.user_id.in_(ids)))
    _write_words(conn, plan.changed)


def _write_new(
    conn: sa.Connection, rows: Sequence[ImportRow], defaults: UserDefaults, actor: str, now: int
) -> dict[str, int]:
    """The ids of the new users by name."""
    if not rows:
        return {}
    accounts = _new_ids(conn, account, "account_id", len(rows))
    users = _new_ids(conn, user, "user_id", len(rows))
    starts = [defaults.initial_credit if row.balance is None else row.balance for row in rows]
    _write_accounts(conn, rows, accounts, starts, defaults)
    _write_starts(conn, accounts, starts, actor, now)
    people = [
        {"user_id": user_id, "name": row.name, "account_id": account_id, "internal": False, **_whole(row.details)}
        for row, user_id, account_id in zip(rows, users, accounts, strict=True)
    ]
    columns = [user.c[name] for name in _USER]
    stamped = ({**one, "created_at": now, "updated_at": now} for one in people)
    write_rows(conn, user, columns, [[tuple(one[name] for name in _USER) for one in stamped]])
    _write_words(conn, people)
    return {row.name: user_id for row, user_id in zip(rows, users, strict=True)}


def _whole(details: UserDetails) -> dict[str, Any]:
    """Every detail, those that were left out as a new user has them."""
    given = {name: getattr(details, name) for name in _DETAILS}
    blank: dict[str, Any] = {**dict.fromkeys(_TEXTS, ""), "disabled": False, "disabled_until": 0}
    return {name: blank[name] if value is None else value for name, value in given.items()}


def _write_accounts(
    conn: sa.Connection, rows: Sequence[ImportRow], ids: Sequence[int], starts: Sequence[int], defaults: UserDefaults
) -> None:
    lines = []
    for row, account_id, start in zip(rows, ids, starts, strict=True):
        counters = dict.fromkeys(COUNTERS, 0)
        counters |= {"credits_posted": max(0, start), "debits_posted": max(0, -start), "sequence": 1 if start else 0}
        restricted = defaults.restricted if row.restricted is None else row.restricted
        overdraft = defaults.overdraft if row.overdraft is None else row.overdraft
        lines.append((account_id, "user", row.name, restricted, overdraft, *counters.values()))
    write_rows(conn, account, [account.c[name] for name in _ACCOUNT], [lines])


def _write_starts(conn: sa.Connection, ids: Sequence[int], starts: Sequence[int], actor: str, now: int) -> None:
    """The transfers that say what each account starts with."""
    lines = [
        (
            account_id, 1, int(Kind.POSTED), "initial-credit",
            FUNDING if start > 0 else account_id, account_id if start > 0 else FUNDING, abs(start), start,
            uuid7(), actor[:255], "", 0, now,
        )
        for account_id, start in zip(ids, starts, strict=True)
        if start
    ]  # fmt: skip
    if lines:
        write_rows(conn, transfer, [transfer.c[name] for name in _TRANSFER], [lines])
        fund(conn, debits=sum(it for it in starts if it > 0), credits=-sum(it for it in starts if it < 0))


def _write_words(conn: sa.Connection, people: Iterable[Mapping[str, Any]]) -> None:
    lines: list[tuple[int, str, int]] = []
    for one in people:
        words = sorted(words_of(*(str(one[name]) for name in WORDED)))
        marks = marks_of(words)
        lines += [(one["user_id"], word, marks) for word in words]
    write_rows(conn, user_word, [user_word.c.user_id, user_word.c.word, user_word.c.marks], [lines])


def _write_identities(conn: sa.Connection, plan: _Plan, made: Mapping[str, int]) -> None:
    ids = {**made, **{row["name"]: row["user_id"] for row in plan.changed}}
    lines = [(kind, value, ids[name]) for kind, value, name in sorted(plan.claimed)]
    columns = [user_identity.c.kind, user_identity.c.value, user_identity.c.user_id]
    write_rows(conn, user_identity, columns, [lines])


def _new_ids(conn: sa.Connection, table: sa.Table, key: str, count: int) -> list[int]:
    """So many keys that no row has or will have. SQLite makes the next key of the largest; its one writer is us."""
    if conn.dialect.name == "sqlite":
        largest = conn.scalar(sa.select(sa.func.coalesce(sa.func.max(table.c[key]), 0)))
        return [int(largest or 0) + number for number in range(1, count + 1)]
    sequence = sa.func.nextval(sa.func.pg_get_serial_sequence(table.name, key))
    return list(conn.scalars(sa.select(sequence).select_from(sa.func.generate_series(1, count))))
