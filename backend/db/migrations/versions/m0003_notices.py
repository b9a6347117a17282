"""Notices by mail: the outbox, and how far into the cluster's history it was filled. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger()
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _number(name: str, default: str = "0") -> sa.Column[int]:
    return sa.Column(name, BIG, nullable=False, server_default=default)


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("notice_id", KEY, nullable=False),
        _text("event", 64),
        _text("message_id", 255),
        _text("subject", 255),
        _text("body"),
        _number("created_at"),
        _number("tries"),
        _number("next_at"),
        _text("state", 16, "waiting"),
        sa.PrimaryKeyConstraint("notice_id", name="pk_notice"),
        sa.UniqueConstraint("event", name="uq_notice_event"),
    )
    op.create_table(
        "notice_cursor",
        sa.Column("one", sa.Integer(), nullable=False, autoincrement=False),
        _text("event", 64),
        sa.PrimaryKeyConstraint("one", name="pk_notice_cursor"),
    )
    op.execute("INSERT INTO notice_cursor VALUES (1, '')")
