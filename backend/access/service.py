"""Tokens, enrolment, and the audit log. Functions of a connection, run by `Database.write`.

Invariants: a token is told once, when it is made; only its SHA-256 is stored (tokens are 256 random bits: no slow
hash is needed). An enrolment token works for one secret: the same pair gets the same answer for ever, so a lost reply
burns nothing, and another secret is refused.
"""

import hashlib
import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from backend.access.errors import EnrolmentRefused
from backend.access.model import Principal
from backend.access.tables import access_token, audit, enrolment
from backend.db.engine import now_ms
from backend.wire.messages import Role

ENROLMENT_LIFETIME_MS = 7 * 24 * 3600 * 1000


def hash_token(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def create_token(conn: sa.Connection, role: Role, name: str, actor: str) -> str:
    """A new API token for a person or program; the only time it is told. Providers enrol instead."""
    token = _new_token()
    now = now_ms(conn)
    conn.execute(sa.insert(access_token).values(token_hash=hash_token(token), role=role, name=name, created_at=now))
    write_audit(conn, actor, "admin", "token-created", name, role)
    return token


def create_enrolment(conn: sa.Connection, provider_name: str, actor: str) -> str:
    """A one-time token with which a provider of this name may enrol within ENROLMENT_LIFETIME_MS."""
    token = _new_token()
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
    rows = conn.execute(sa.select(access_token).where(access_token.c.token_hash.in_(token_hashes)))
    return {
        row.token_hash: Principal(
            role=row.role, name=row.name, provider_id=row.provider_id or 0, expires_at=row.expires_at
        )
        for row in rows
        if not row.revoked_at and not 0 < row.expires_at <= now
    }


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


def write_audit(conn: sa.Connection, actor: str, role: str, action: str, subject: str, detail: str = "") -> None:
    """Note who changed what, in the same transaction as the change."""
    conn.execute(
        sa.insert(audit).values(
            at=now_ms(conn), actor=actor[:255], role=role, action=action, subject=subject[:255], detail=detail
        )
    )


def _new_token() -> str:
    return "ik_" + secrets.token_urlsafe(32)
