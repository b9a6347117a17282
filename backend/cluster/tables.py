"""Members, the leader's term, the cluster's generation, and the events that every server streams."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, text
from sqlalchemy.schema import FetchedValue

from backend.db.metadata import BigInt, BigKey, UuidText, metadata

cluster = Table(
    "cluster",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),  # always 1: a table of one row
    Column("cluster_id", UuidText, nullable=False),
    Column("generation", BigInt, nullable=False),  # bumped by a restore
)

term = Table(
    "term",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("term", BigInt, nullable=False),
    Column("holder", String(36), nullable=False),  # a new uuid for each process, "" when nobody
    Column("member_name", String(255), nullable=False),
)

beat = Table(
    "beat",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("beat", BigInt, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("process", String(36), nullable=False),
    Column("url", String(1024), nullable=False),
    Column("state", String(16), nullable=False),
    Column("program_version", String(64), nullable=False),
    Column("started_at", BigInt, nullable=False),
    Column("seen_at", BigInt, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("event_id", BigKey, primary_key=True),
    # PostgreSQL: the writer's transaction id as bigint, set by a column default in the migration; SQLite: 0.
    Column("xid", BigInteger, nullable=False, server_default=text("0"), server_onupdate=FetchedValue()),
    Column("at", BigInt, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", String, nullable=False),  # JSON of wire.messages.Event's fields
    Column("term", BigInt, nullable=False),
)
Index(None, event.c.xid, event.c.event_id)
