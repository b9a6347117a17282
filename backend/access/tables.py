"""Access tokens (only their SHA-256), one-time enrolment tokens, the audit log and the settings kept in the
database."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from backend.db.metadata import BigInt, BigKey, metadata

access_token = Table(
    "access_token",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("name", String(255), nullable=False),
    Column("provider_id", BigInteger),
    Column("created_at", BigInt, nullable=False),
    Column("expires_at", BigInt, nullable=False, server_default="0"),  # 0: never
    Column("revoked_at", BigInt, nullable=False, server_default="0"),
)

enrolment = Table(
    "enrolment",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("provider_name", String(255), nullable=False),
    Column("secret_hash", LargeBinary(32)),  # of the secret it was used with; NULL while unused
    Column("provider_id", BigInteger),
    Column("created_at", BigInt, nullable=False),
    Column("expires_at", BigInt, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", BigKey, primary_key=True),
    Column("at", BigInt, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", String, nullable=False),
)

setting = Table(
    "setting",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("value", String, nullable=False),
    Column("updated_at", BigInt, nullable=False),
)
