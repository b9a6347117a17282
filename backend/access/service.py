"""Tokens and enrolment. Functions of a connection, run by `Database.write`.

Invariants: a token is told once, when it is made; only its SHA-256 is stored (tokens are 256 random bits: no slow
hash is needed). An enrolment token works for one secret: the same pair gets the same answer for ever, so a lost reply
burns nothing, and another secret is refused.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.access.errors import EnrolmentRefused, TokenNameTaken, TokenUnknown
from backend.access.model import Principal
from backend.access.settings import LIMIT_DAY, LIMIT_EACH, read_settings
from backend.access.tables import access_token, enrolment, operator
from backend.db.dialect import lock_texts
from backend.db.engine import now_ms
from backend.wire.access import Role, TokenView
from backend.wire.names import map_user_name

MAX_TOKENS: Final = 1000
TOKEN_ID: Final = 16  # hexadecimal digits of the hash, by which people name a token
ENROLMENT_LIFETIME_MS = 7 * 24 * 3600 * 1000


def hash_token(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def create_token(conn: sa.Connection, role: Role, name: str, actor: str, lifetime_s: int = 0) -> str:
    """A new API token for a program; the only time it is told. `lifetime_s` 0: until it is revoked. Providers enrol
    instead. Raises TokenNameTaken."""
    lock_texts(conn, f"actor {map_user_name(name)}")
    if conn.scalar(sa.select(operator.c.name).where(operator.c.name == map_user_name(name))) is not None:
        raise TokenNameTaken(f"{name!r} is the name of somebody who logs in; choose another for the program")
    token = new_token()
    now = now_ms(conn)
    expires_at = now + 1000 * lifetime_s if lifetime_s else 0
    values = {"token_hash": hash_token(token), "role": role, "name": name}
    conn.execute(sa.insert(access_token).values(**values, created_at=now, expires_at=expires_at))
    write_audit(conn, actor, "admin", "token-created", name, role)
    return token


def list_tokens(conn: sa.Connection) -> tuple[TokenView, ...]:
    """Access tokens, those that are valid first, then the newest first; at most MAX_TOKENS."""
    columns = access_token.c
    now = now_ms(conn)
    dead = sa.or_(columns.revoked_at != 0, sa.and_(columns.expires_at != 0, columns.expires_at <= now))
    ordered = sa.select(access_token).order_by(dead, columns.created_at.desc(), columns.token_hash).limit(MAX_TOKENS)
    return tuple(
        TokenView(
            token_id=row.token_hash.hex()[:TOKEN_ID],
            role=row.role,
            name=row.name,
            person=bool(row.operator),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )
        for row in conn.execute(ordered)
    )


def revoke_token(conn: sa.Connection, token_id: str, *, actor: str, role: str) -> None:
    """End a token; servers refuse it within some seconds. Raises TokenUnknown."""
    low, high = bytes.fromhex(token_id), bytes.fromhex(token_id) + b"\xff" * (32 - TOKEN_ID // 2)
    rows = conn.execute(sa.select(access_token).where(access_token.c.token_hash.between(low, high))).all()
    if not rows:
        raise TokenUnknown("there is no such token")
    for row in rows:
        if not row.revoked_at:
            mine = access_token.c.token_hash == row.token_hash
            conn.execute(sa.update(access_token).where(mine).values(revoked_at=now_ms(conn)))
            write_audit(conn, actor, role, "token-revoked", row.name, row.role)


def create_enrolment(conn: sa.Connection, provider_name: str, actor: str) -> str:
    """A one-time token with which a provider of this name may enrol within ENROLMENT_LIFETIME_MS."""
    token = new_token()
    now = now_ms(conn)
    conn.execute(
        sa.insert(enrolment).values(
            token_hash=hash_token(token),
            provider_name=provider_name,
            created_at=now,
            expires_at=now + ENROLMENT_LIFETIME_MS,
        )
    )
    write_audit(conn, actor, "admin", "enrolment-created", provider_name)
    return token


def find_principal(conn: sa.Connection, token_hash: bytes) -> Principal | None:
    """Whom a token belongs to; None for one that is not known, revoked or expired."""
    return find_principals(conn, [token_hash]).get(token_hash)


def find_principals(conn: sa.Connection, token_hashes: Sequence[bytes]) -> dict[bytes, Principal]:
    """Whom tokens belong to, those of them that are known, not revoked and not expired."""
    now = now_ms(conn)
    joined = access_token.outerjoin(operator, operator.c.name == access_token.c.operator)
    columns = (
        access_token, operator.c.full_name, operator.c.disabled, operator.c.limit_each, operator.c.limit_day
    )  # fmt: skip
    statement = sa.select(*columns).select_from(joined).where(access_token.c.token_hash.in_(token_hashes))
    rows = conn.execute(statement).all()
    by_setting = _limits(conn) if any(row.role == "helpdesk" for row in rows) else (0, 0)
    return {
        row.token_hash: _principal(row, by_setting)
        for row in rows
        if not row.revoked_at and not 0 < row.expires_at <= now and not (row.operator and row.disabled is not False)
    }


def _principal(row: sa.Row[*tuple[Any, ...]], by_setting: tuple[int, int]) -> Principal:
    each, day = (
        (by if own is None or own < 0 else own)
        for own, by in zip((row.limit_each, row.limit_day), by_setting, strict=True)
    )
    limited = row.role == "helpdesk"
    return Principal(
        role=row.role,
        name=row.name,
        provider_id=row.provider_id or 0,
        expires_at=row.expires_at,
        full_name=row.full_name or "",
        person=bool(row.operator),
        limit_each=each if limited else 0,
        limit_day=day if limited else 0,
    )


def _limits(conn: sa.Connection) -> tuple[int, int]:
    """What the help desk may move at once and in a day, by the settings."""
    found = read_settings(conn, LIMIT_EACH, LIMIT_DAY)
    return int(found[LIMIT_EACH]), int(found[LIMIT_DAY])


class Enrolment:
    """An enrolment token that was found good for a secret. `provider_id` is 0 while it has not been used."""

    def __init__(self, token_hash: bytes, secret_hash: bytes, provider_name: str, provider_id: int) -> None:
        self.token_hash = token_hash
        self.secret_hash = secret_hash
        self.provider_name = provider_name
        self.provider_id = provider_id


def check_enrolment(conn: sa.Connection, token: str, secret: str) -> Enrolment:
    """Lock the enrolment of this token. Raises EnrolmentRefused unless it may be used, or was used, with this
    secret."""
    token_hash, secret_hash = hash_token(token), hash_token(secret)
    row = conn.execute(sa.select(enrolment).where(enrolment.c.token_hash == token_hash).with_for_update()).one_or_none()
    if row is None:
        raise EnrolmentRefused("this enrolment token is not known here")
    if row.secret_hash is not None:
        if not secrets.compare_digest(row.secret_hash, secret_hash):
            raise EnrolmentRefused("this enrolment token was used already, with another secret; ask for a new one")
        return Enrolment(token_hash, secret_hash, row.provider_name, row.provider_id)
    if row.expires_at <= now_ms(conn):
        raise EnrolmentRefused("this enrolment token has expired; ask for a new one")
    if conn.scalar(sa.select(access_token.c.role).where(access_token.c.token_hash == secret_hash)) is not None:
        raise EnrolmentRefused("this secret is in use already; make a new one")
    return Enrolment(token_hash, secret_hash, row.provider_name, 0)


def complete_enrolment(conn: sa.Connection, found: Enrolment, provider_id: int, host: str) -> None:
    """The secret becomes the provider's access token; what it used before stops to work."""
    now = now_ms(conn)
    conn.execute(
        sa.update(access_token)
        .where(access_token.c.provider_id == provider_id, access_token.c.revoked_at == 0)
        .values(revoked_at=now)
    )
    conn.execute(
        sa.insert(access_token).values(
            token_hash=found.secret_hash,
            role="provider",
            name=found.provider_name,
            provider_id=provider_id,
            created_at=now,
        )
    )
    conn.execute(
        sa.update(enrolment)
        .where(enrolment.c.token_hash == found.token_hash)
        .values(secret_hash=found.secret_hash, provider_id=provider_id)
    )
    write_audit(conn, f"provider:{found.provider_name}", "provider", "enrolled", found.provider_name, host)


def new_token() -> str:
    return "ik_" + secrets.token_urlsafe(32)
