"""People who log in: administrators, the help desk, auditors. Functions of a connection, run by `Database.write` and
`Database.run`.

Invariants: a name is one person's or one program's, so that `role:name` in ledger and audit log is one of them; whoever
is disabled, or gets another role or password, has no token that works any more; there is always somebody left who may
administer.
"""

from typing import Any, Final

import sqlalchemy as sa

from backend.access.attempts import AHEAD_MS, KNOWN_MS, WINDOW_MS, Attempts, Tally, counted, wait_ms
from backend.access.audit import write_audit
from backend.access.errors import LastAdministrator, OperatorNameTaken, OperatorUnknown, PasswordTooShort
from backend.access.service import hash_token, new_token
from backend.access.settings import LIMIT_DAY, LIMIT_EACH, TOKEN_LIFETIME_S, read_settings
from backend.access.tables import access_token, login_attempt, operator
from backend.db.dialect import insert_or_nothing, lock_texts, upsert
from backend.db.engine import now_ms
from backend.wire.access import CreateOperator, OperatorView, SetOperator
from backend.wire.names import map_user_name

DAY_MS: Final = 86_400_000
SHORTEST_PASSWORD: Final = 8
MAX_ADDRESS: Final = 64


def check_password(password: str) -> None:
    """Raises PasswordTooShort."""
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(f"a password has at least {SHORTEST_PASSWORD} characters")


def create_operator(conn: sa.Connection, body: CreateOperator, password_hash: str, *, actor: str, role: str) -> str:
    """Make somebody who may log in; the name as it is kept. Raises OperatorNameTaken."""
    name, now = map_user_name(body.name), now_ms(conn)
    lock_texts(conn, f"actor {name}")
    if conn.scalar(sa.select(access_token.c.name).where(_programs(name)).limit(1)) is not None:
        raise OperatorNameTaken(f"a program's token has the name {name!r}; choose another, or revoke that token")
    values = {
        "name": name,
        "full_name": body.full_name,
        "role": body.role,
        "password_hash": password_hash,
        "disabled": False,
        "limit_each": body.limit_each,
        "limit_day": body.limit_day,
        "created_at": now,
        "updated_at": now,
    }
    statement = insert_or_nothing(conn, operator, [operator.c.name]).values(**values).returning(operator.c.name)
    if conn.scalar(statement) is None:
        raise OperatorNameTaken(f"there is somebody with the name {name!r} already")
    write_audit(conn, actor, role, "operator-created", name, body.role)
    return name


def set_operator(
    conn: sa.Connection, name: str, body: SetOperator, password_hash: str | None, *, actor: str, role: str
) -> None:
    """Change somebody who may log in. Raises OperatorUnknown, LastAdministrator."""
    rows = conn.execute(sa.select(operator).order_by(operator.c.name).with_for_update()).all()
    before = next((row for row in rows if row.name == name), None)
    if before is None:
        raise OperatorUnknown(f"there is nobody {name!r} who may log in")
    fields = ("full_name", "role", "disabled", "limit_each", "limit_day")
    values: dict[str, Any] = {key: value for key in fields if (value := getattr(body, key)) is not None}
    if password_hash is not None:
        values["password_hash"] = password_hash
    if not values:
        return
    others = any(row.role == "admin" and not row.disabled for row in rows if row.name != name)
    stays = values.get("role", before.role) == "admin" and not values.get("disabled", before.disabled)
    if before.role == "admin" and not before.disabled and not stays and not others:
        raise LastAdministrator(f"{name!r} is the last one who may administer; make another administrator first")
    conn.execute(sa.update(operator).where(operator.c.name == name).values(**values, updated_at=now_ms(conn)))
    if values.keys() & {"role", "disabled", "password_hash"}:
        end_tokens(conn, name)
    told = ", ".join(sorted("password" if key == "password_hash" else f"{key}={values[key]}" for key in values))
    write_audit(conn, actor, role, "operator-changed", name, told)


def end_tokens(conn: sa.Connection, name: str, except_hash: bytes = b"") -> None:
    """Whoever is logged in as this person is so no more."""
    mine = sa.and_(access_token.c.operator == name, access_token.c.revoked_at == 0)
    kept = access_token.c.token_hash != except_hash
    conn.execute(sa.update(access_token).where(mine, kept).values(revoked_at=now_ms(conn)))


def list_operators(conn: sa.Connection) -> tuple[tuple[OperatorView, ...], int, int]:
    """All of them by name, and the limits by the settings: at once, in a day."""
    last = sa.select(login_attempt.c.name, sa.func.max(login_attempt.c.succeeded_at).label("at"))
    latest = last.group_by(login_attempt.c.name).subquery()
    joined = operator.outerjoin(latest, latest.c.name == operator.c.name)
    rows = conn.execute(sa.select(operator, latest.c.at).select_from(joined).order_by(operator.c.name))
    found = tuple(
        OperatorView(
            name=row.name,
            full_name=row.full_name,
            role=row.role,
            disabled=row.disabled,
            limit_each=row.limit_each,
            limit_day=row.limit_day,
            created_at=row.created_at,
            logged_in_at=row.at or 0,
        )
        for row in rows
    )
    limits = read_settings(conn, LIMIT_EACH, LIMIT_DAY)
    return found, int(limits[LIMIT_EACH]), int(limits[LIMIT_DAY])


# ---------------------------------------------------------------- logging in


def begin_login(conn: sa.Connection, name: str, address: str) -> tuple[int, str]:
    """Count an attempt as failed until it turns out to be right. How many milliseconds it comes too early (then nothing
    is counted), and the hash to check the password by, "" where nobody of that name may log in."""
    address = address[:MAX_ADDRESS]
    lock_texts(conn, f"login-name {name}", f"login-address {address}")  # attempts are counted one after the other
    now = now_ms(conn)
    found = _attempts(conn, name, address, now)
    if wait := wait_ms(found, now):
        return wait, ""
    pair = counted(found.pair, now)
    values = {"name": name, "address": address, "failures": pair.failures, "failed_at": now}
    key = [login_attempt.c.name, login_attempt.c.address]
    upsert(conn, login_attempt, key, [{**values, "succeeded_at": 0}], ["failures", "failed_at"])
    may = sa.and_(operator.c.name == name, sa.not_(operator.c.disabled))
    return 0, conn.scalar(sa.select(operator.c.password_hash).where(may)) or ""


def complete_login(conn: sa.Connection, name: str, address: str, checked_hash: str) -> tuple[str, OperatorView, int]:
    """The password was right: a new token, whose it is, and when it expires. Raises OperatorUnknown where the password
    was changed or its owner disabled meanwhile."""
    row = conn.execute(sa.select(operator).where(operator.c.name == name).with_for_update()).one_or_none()
    if row is None or row.disabled or row.password_hash != checked_hash:
        raise OperatorUnknown("name or password is not right any more")
    now = now_ms(conn)
    expires_at = now + 1000 * int(read_settings(conn, TOKEN_LIFETIME_S)[TOKEN_LIFETIME_S])
    token = new_token()
    values = {"token_hash": hash_token(token), "role": row.role, "name": name, "operator": name}
    conn.execute(sa.insert(access_token).values(**values, created_at=now, expires_at=expires_at))
    mine = sa.and_(login_attempt.c.name == name, login_attempt.c.address == address[:MAX_ADDRESS])
    conn.execute(sa.update(login_attempt).where(mine).values(failures=0, failed_at=0, succeeded_at=now))
    write_audit(conn, f"{row.role}:{name}", row.role, "logged-in", name, address)
    view = OperatorView(
        name=name,
        full_name=row.full_name,
        role=row.role,
        disabled=False,
        limit_each=row.limit_each,
        limit_day=row.limit_day,
        created_at=row.created_at,
        logged_in_at=now,
    )
    return token, view, expires_at


def change_own_password(
    conn: sa.Connection, name: str, address: str, checked_hash: str, password_hash: str, keep_token: bytes
) -> None:
    """The old password was right. Raises OperatorUnknown where it was changed, or its owner disabled, meanwhile."""
    row = conn.execute(sa.select(operator).where(operator.c.name == name).with_for_update()).one_or_none()
    if row is None or row.disabled or row.password_hash != checked_hash:
        raise OperatorUnknown("the old password is not right any more")
    now = now_ms(conn)
    mine = operator.c.name == name
    conn.execute(sa.update(operator).where(mine).values(password_hash=password_hash, updated_at=now))
    tried = sa.and_(login_attempt.c.name == name, login_attempt.c.address == address[:MAX_ADDRESS])
    conn.execute(sa.update(login_attempt).where(tried).values(failures=0, failed_at=0))
    end_tokens(conn, name, keep_token)
    write_audit(conn, f"{row.role}:{name}", row.role, "password-changed", name)


def forget_old(conn: sa.Connection) -> None:
    """Attempts, tokens and sums of days that nobody needs any more. Who was logged in to when is in the audit log."""
    now = now_ms(conn)
    tried = login_attempt.c
    conn.execute(sa.delete(login_attempt).where(tried.failed_at < now - DAY_MS, tried.succeeded_at < now - KNOWN_MS))
    ended = sa.or_(
        sa.and_(access_token.c.revoked_at > 0, access_token.c.revoked_at < now - KNOWN_MS),
        sa.and_(access_token.c.expires_at > 0, access_token.c.expires_at < now - KNOWN_MS),
    )
    conn.execute(sa.delete(access_token).where(access_token.c.operator != "", ended))


def _programs(name: str) -> sa.ColumnElement[bool]:
    """The valid tokens of programs of this name."""
    same = sa.func.lower(access_token.c.name) == name
    return sa.and_(same, access_token.c.operator == "", access_token.c.revoked_at == 0)


def _attempts(conn: sa.Connection, name: str, address: str, now: int) -> Attempts:
    recent = login_attempt.c.failed_at.between(now - WINDOW_MS + 1, now + AHEAD_MS)  # `is_of_late`
    sums = sa.select(
        sa.func.coalesce(sa.func.sum(login_attempt.c.failures), 0),
        sa.func.coalesce(sa.func.max(login_attempt.c.failed_at), 0),
    ).where(recent)
    pair = sa.and_(login_attempt.c.name == name, login_attempt.c.address == address)
    row = conn.execute(sa.select(login_attempt).where(pair)).one_or_none()
    by_address = conn.execute(sums.where(login_attempt.c.address == address)).one()
    by_name = conn.execute(sums.where(login_attempt.c.name == name)).one()
    return Attempts(
        pair=Tally(row.failures, row.failed_at) if row is not None else Tally(),
        address=Tally(int(by_address[0]), int(by_address[1])),
        account=Tally(int(by_name[0]), int(by_name[1])),
        succeeded_at=row.succeeded_at if row is not None else 0,
    )
