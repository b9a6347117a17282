"""Long work that people wait for, so that any server can tell how far it is."""

from sqlalchemy import Boolean, Column, String, Table

from backend.db.metadata import BigInt, BigKey, metadata

task = Table(
    "task",
    metadata,
    Column("task_id", BigKey, primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("completed", Boolean, nullable=False),
    Column("message", String, nullable=False),  # grows line by line; the last one sums it up
    Column("started_at", BigInt, nullable=False),
    Column("updated_at", BigInt, nullable=False),
)
