"""Members, the leader's term, the cluster's generation, its history, and the events that every server streams."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, text
from sqlalchemy.schema import FetchedValue

from backend.db.metadata import BigInt, BigKey, UuidText, metadata

cluster = Table(
    "cluster",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),  # always 1: a table of one row
    Column("cluster_id", UuidText, nullable=False),
    Column("generation", BigInt, nullable=False),  # bumped by a restore
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("oldest_schema", String(32), nullable=False, server_default="0001"),  # programs from here on can use it
)

term = Table(
    "term",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("term", BigInt, nullable=False),
    Column("holder", String(36), nullable=False),  # a new uuid for each process, "" when nobody
    Column("member_name", String(255), nullable=False),
    # A vacant lease that was handed over: the process that may take it at once, "" for anybody.
    Column("given_to", String(36), nullable=False, server_default=""),
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
    Column("wanted", String(16), nullable=False, server_default="serving"),  # or "draining": by a person's word
    Column("load", BigInt, nullable=False, server_default="0"),  # requests under way
    Column("connections", BigInt, nullable=False, server_default="0"),  # open streams among them
    Column("host", String(255), nullable=False, server_default=""),  # the machine it runs on
    Column("serves", String(255), nullable=False, server_default=""),  # interfaces, separated by blanks
    Column("schema_revision", String(32), nullable=False, server_default=""),  # newest one its program knows
    Column("protocol", BigInt, nullable=False, server_default="1"),  # the version of the wire contract it speaks
    Column("clock_off_ms", BigInt, nullable=False, server_default="0"),  # its clock less the database's
    Column("noticed_at", BigInt, nullable=False, server_default="0"),  # when the leader recorded that it is gone
)

event = Table(
    "event",
    metadata,
    Column("event_id", BigKey, primary_key=True),
    # PostgreSQL: the writer's transaction id as bigint, set by a column default in the migration; SQLite: 0.
    Column("xid", BigInteger, nullable=False, server_default=text("0"), server_onupdate=FetchedValue()),
    Column("at", BigInt, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", String, nullable=False),  # JSON of wire.cluster.Event's fields
    Column("term", BigInt, nullable=False),
)
Index(None, event.c.xid, event.c.event_id)

# Never updated, never deleted but for age. A restore into another PostgreSQL sets `xid` to 0: what was stays before
# what comes.
cluster_event = Table(
    "cluster_event",
    metadata,
    Column("event_id", BigKey, primary_key=True),
    Column("xid", BigInteger, nullable=False, server_default=text("0"), server_onupdate=FetchedValue()),  # as in event
    Column("at", BigInt, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("term", BigInt, nullable=False),
    Column("cause", String, nullable=False),
    Column("away_ms", BigInteger),  # NULL: nothing was away
    Column("detail", String, nullable=False),  # JSON object
)
Index(None, cluster_event.c.xid, cluster_event.c.event_id)
