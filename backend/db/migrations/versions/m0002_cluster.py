"""Cluster operations: the history, what is wanted of a member, what it can do, whether the cluster is paused.

Only adds: a server of version 0.1 goes on working on these tables, which `cluster.oldest_schema` says.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger()
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, length: int | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _number(name: str, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, BIG, nullable=False, server_default=default)


def upgrade() -> None:
    op.create_table(
        "cluster_event",
        sa.Column("event_id", KEY, nullable=False),
        _number("xid", "0"),
        _number("at"),
        _text("kind", 32),
        _text("subject", 255),
        _text("actor", 255),
        _number("term"),
        _text("cause"),
        sa.Column("away_ms", BIG, nullable=True),
        _text("detail"),
        sa.PrimaryKeyConstraint("event_id", name="pk_cluster_event"),
    )
    op.create_index("ix_cluster_event_xid_event_id", "cluster_event", ["xid", "event_id"])
    for column in (
        _text("wanted", 16, "serving"),
        _number("load", "0"),
        _number("connections", "0"),
        _text("host", 255, ""),
        _text("serves", 255, ""),
        _text("schema_revision", 32, ""),
        _number("protocol", "1"),
        _number("clock_off_ms", "0"),
        _number("noticed_at", "0"),
    ):
        op.add_column("member", column)
    op.add_column("cluster", sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("cluster", _text("oldest_schema", 32, "0001"))
    op.add_column("term", _text("given_to", 36, ""))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE cluster_event ALTER COLUMN xid SET DEFAULT (pg_current_xact_id()::text::bigint)")
