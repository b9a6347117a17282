"""Every command that was taken, under the id its client made. Unpartitioned on purpose: an id is unique for ever."""

from sqlalchemy import Column, LargeBinary, String, Table

from backend.db.metadata import BigInt, UuidText, metadata

command = Table(
    "command",
    metadata,
    Column("command_id", UuidText, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),  # BLAKE2b-128 of who asked what
    Column("answer", String, nullable=False),  # JSON
    Column("at", BigInt, nullable=False),
)
