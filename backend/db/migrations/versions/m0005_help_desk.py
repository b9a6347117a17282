"""The help desk's day: people who log in, what they may move in a day, refunds, cards and aliases, cost rules that are
kept, long work that is told of. Only adds.

A server of the version before gives a card to a user without noting it in `user_identity`; what it does so while both
run is noted when that user is changed next.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger()
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What each table gets: column -> its type and default. Those that every charge reads come last, and in the order in
# which it reads them: they are locked for a moment only, and nobody waits in a circle.
ADDED: Final[Mapping[str, Mapping[str, tuple[sa.types.TypeEngine[Any], str]]]] = {
    "user_word": {"marks": (BIG, "0")},
    "access_token": {"operator": (sa.String(255), "''")},
    "job": {"refunded": (BIG, "0")},
    "users": {"card_number2": (sa.String(255), "''"), "alias": (sa.String(255), "''")},
}
INDEXES: Final = (
    ("access_token", ("operator",)),
    ("audit", ("actor", "audit_id")),
    ("audit", ("subject", "audit_id")),
    ("login_attempt", ("address",)),
    ("user_identity", ("user_id",)),
    ("users", ("full_name", "name")),
    ("user_word", ("word", "user_id", "marks")),
)


def upgrade() -> None:
    _make_access()
    _make_rest()
    op.execute(
        "INSERT INTO user_identity (kind, value, user_id)"
        " SELECT 'card', card_number, user_id FROM users WHERE card_number <> ''"
    )
    for table, names in INDEXES:
        if table not in ADDED or table == "users":
            _index(table, names)
    for table, columns in ADDED.items():
        for name, (kind, default) in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text(default)))
        for indexed, names in INDEXES:
            if indexed == table != "users":
                _index(table, names)
        if table == "user_word":
            op.drop_index("ix_user_word_word_user_id", table)  # the new one begins with the same columns


def _make_access() -> None:
    op.create_table(
        "operator",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("full_name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("limit_each", BIG, nullable=False),
        sa.Column("limit_day", BIG, nullable=False),
        sa.Column("created_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_operator"),
    )
    op.create_table(
        "login_attempt",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", BIG, nullable=False),
        sa.Column("succeeded_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("name", "address", name="pk_login_attempt"),
    )
    op.create_table(
        "actor_day",
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("day", BIG, nullable=False, autoincrement=False),
        sa.Column("moved", BIG, nullable=False),
        sa.PrimaryKeyConstraint("actor", "day", name="pk_actor_day"),
    )


def _make_rest() -> None:
    op.create_table(
        "queue_rule",
        sa.Column("queue_id", BIG, nullable=False, autoincrement=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("queue_id", "version", name="pk_queue_rule"),
    )
    op.create_table(
        "task",
        sa.Column("task_id", BIG_KEY, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("started_at", BIG, nullable=False),
        sa.Column("updated_at", BIG, nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_task"),
    )
    op.create_table(
        "user_identity",
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", sa.String(255), nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("kind", "value", name="pk_user_identity"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_user_identity_user_id", ondelete="CASCADE"),
    )


def _index(table: str, names: tuple[str, ...]) -> None:
    op.create_index(f"ix_{table}_{'_'.join(names)}", table, list(names))
