"""The outbox of notices, and the event of the cluster's history up to which it was filled ("": not yet)."""

from sqlalchemy import Column, Integer, String, Table, UniqueConstraint, text

from backend.db.metadata import BigInt, BigKey, metadata

notice = Table(
    "notice",
    metadata,
    Column("notice_id", BigKey, primary_key=True),
    Column("event", String(64), nullable=False),  # generation.xid.event_id: one notice for each
    Column("message_id", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("body", String, nullable=False),
    Column("created_at", BigInt, nullable=False, server_default=text("0")),
    Column("tries", BigInt, nullable=False, server_default=text("0")),
    Column("next_at", BigInt, nullable=False, server_default=text("0")),
    Column("state", String(16), nullable=False, server_default="waiting"),  # or "sent", "failed"
    UniqueConstraint("event"),
)

notice_cursor = Table(
    "notice_cursor",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("event", String(64), nullable=False),
)
