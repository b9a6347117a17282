"""People who log in, access tokens (only their SHA-256), one-time enrolment tokens, the audit log and the settings kept
in the database."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table

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
    Column("operator", String(255), nullable=False, server_default=""),  # who logged in; "" for a program's token
)
Index(None, access_token.c.operator)

operator = Table(
    "operator",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("full_name", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password_hash", String(255), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("limit_each", BigInt, nullable=False),  # -1: the setting's
    Column("limit_day", BigInt, nullable=False),  # -1: the setting's
    Column("created_at", BigInt, nullable=False),
    Column("updated_at", BigInt, nullable=False),
)

# How log-ins went, of late: one row for a name tried from an address.
login_attempt = Table(
    "login_attempt",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("address", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_at", BigInt, nullable=False),
    Column("succeeded_at", BigInt, nullable=False),
)
Index(None, login_attempt.c.address)

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
Index(None, audit.c.actor, audit.c.audit_id)
Index(None, audit.c.subject, audit.c.audit_id)

setting = Table(
    "setting",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("value", String, nullable=False),
    Column("updated_at", BigInt, nullable=False),
)
