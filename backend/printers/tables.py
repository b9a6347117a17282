"""Providers enrolled and the queues they look after, with their cost rules."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Integer, String, Table, UniqueConstraint, text

from backend.db.metadata import BigInt, BigKey, metadata

provider = Table(
    "provider",
    metadata,
    Column("provider_id", BigKey, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("host", String(1024), nullable=False, server_default=""),
    Column("program_version", String(64), nullable=False, server_default=""),
    Column("backlog", Integer, nullable=False, server_default="0"),
    Column("oldest_unsent_s", Float, nullable=False, server_default="0"),
    Column("disk_free_bytes", BigInt, nullable=False, server_default="0"),
    Column("enrolled_at", BigInt, nullable=False),
    Column("seen_at", BigInt, nullable=False),
    Column("server", String(255), nullable=False, server_default=""),  # the member that took its last heartbeat
    Column("held_jobs", Integer, nullable=False, server_default="0"),
    Column("trouble", String, nullable=False, server_default=""),
    Column("contacts", String, nullable=False, server_default="[]"),  # ServerContacts, JSON list
)

queue = Table(
    "queue",
    metadata,
    Column("queue_id", BigKey, primary_key=True),
    Column("provider_id", BigInteger, ForeignKey("provider.provider_id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("tracked", Boolean, nullable=False, server_default=text("true")),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("disabled_until", BigInt, nullable=False, server_default="0"),  # 0: for ever, while disabled
    Column("cost", String, nullable=False),  # wire.pricing.CostRule, JSON
    Column("offline_policy", String(16), nullable=False, server_default="allow"),
    Column("device_uri", String(1024), nullable=False, server_default=""),
    Column("info", String(1024), nullable=False, server_default=""),
    Column("location", String(1024), nullable=False, server_default=""),
    Column("printer_state", String(16), nullable=False, server_default="unknown"),
    Column("printer_state_reasons", String, nullable=False, server_default="[]"),  # JSON list
    Column("accepting", Boolean, nullable=False, server_default=text("true")),
    Column("seen_at", BigInt, nullable=False, server_default="0"),
    Column("term", BigInt, nullable=False, server_default="0"),
    Column("hold_jobs", Boolean, nullable=False, server_default=text("false")),
    Column("partial_charge", String(16), nullable=False, server_default="whole"),
    Column("supplies", String, nullable=False, server_default="[]"),  # Supplies, JSON list
    Column("media_ready", String, nullable=False, server_default="[]"),  # JSON list
    UniqueConstraint("provider_id", "name"),
)

# Every cost rule that a queue has had.
queue_rule = Table(
    "queue_rule",
    metadata,
    Column("queue_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("rule", String, nullable=False),  # wire.pricing.CostRule, JSON
    Column("at", BigInt, nullable=False),
    Column("actor", String(255), nullable=False),
)
