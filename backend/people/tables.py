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
    Column("card_number2", String(255), nullable=False, server_default=""),
    Column("alias", String(255), nullable=False, server_default=""),
)
Index(None, user.c.full_name, user.c.name)

Index(
    "uq_users_card_number",
    user.c.card_number,
    unique=True,
    postgresql_where=user.c.card_number != "",
    sqlite_where=user.c.card_number != "",
)

# What people are found by: the words of name, alias, full name, email and cards, in lower case. Compared byte by byte
# ("C"), so that a prefix is one range of the index on both engines, whatever the database's own collation is.
Word = String(64).with_variant(String(64, collation="C"), "postgresql")

user_word = Table(
    "user_word",
    metadata,
    Column(
        "user_id", BigInteger, ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("word", Word, primary_key=True),
    Column("marks", BigInt, nullable=False, server_default="0"),  # words.marks_of all the user's; 0: not known
)
Index(None, user_word.c.word, user_word.c.user_id, user_word.c.marks)

# What belongs to one user only: each of their cards, and the other name that a directory or a script knows them by.
user_identity = Table(
    "user_identity",
    metadata,
    Column("kind", String(8), primary_key=True),  # card | alias
    Column("value", String(255), primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
)
Index(None, user_identity.c.user_id)
