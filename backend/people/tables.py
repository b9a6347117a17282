"""Users: who they are. What they may spend stands on their account."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table, text

from backend.db.metadata import BigInt, BigKey, metadata

user = Table(
    "users",  # "user" is a reserved word
    metadata,
    Column("user_id", BigKey, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("account_id", BigInteger, ForeignKey("account.account_id"), nullable=False, unique=True),
    Column("full_name", String(255), nullable=False, server_default=""),
    Column("email", String(255), nullable=False, server_default=""),
    Column("department", String(255), nullable=False, server_default=""),
    Column("office", String(255), nullable=False, server_default=""),
    Column("notes", String, nullable=False, server_default=""),
    Column("card_number", String(255), nullable=False, server_default=""),
    Column("card_pin_hash", String(255), nullable=False, server_default=""),
    Column("password_hash", String(255), nullable=False, server_default=""),
    Column("internal", Boolean, nullable=False, server_default=text("false")),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("disabled_until", BigInt, nullable=False, server_default="0"),  # 0: for ever, while disabled
    Column("created_at", BigInt, nullable=False),
    Column("updated_at", BigInt, nullable=False),
    Column("term", BigInt, nullable=False, server_default="0"),
)

Index(
    "uq_users_card_number",
    user.c.card_number,
    unique=True,
    postgresql_where=user.c.card_number != "",
    sqlite_where=user.c.card_number != "",
)
