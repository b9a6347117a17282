"""Every command that was taken, under the id its client made. Unpartitioned on purpose: an id is unique for ever."""

from sqlalchemy import Column, LargeBinary, Table

from backend.db.metadata import BigInt, UuidText, metadata

command = Table(
    "command",
    metadata,
    Column("command_id", UuidText, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),  # BLAKE2b-128 of who asked what
    Column("answer", LargeBinary),  # the answer's JSON; NULL only inside the transaction that claims the id
    Column("at", BigInt, nullable=False),
    postgresql_with={"fillfactor": "50"},  # the answer is written into the claimed row, in the same page (HOT)
)
