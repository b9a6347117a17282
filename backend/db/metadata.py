"""The one SQLAlchemy MetaData that every domain hangs its tables on, and the column types they share.

Times are BIGINT milliseconds since 1970 UTC by the database's clock: the same value on PostgreSQL and SQLite, and
cheap to write by arrays. Amounts are BIGINT minor units.
"""

from sqlalchemy import BigInteger, Integer, MetaData, String
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigInt = BigInteger()
# SQLite makes a rowid alias (an autoincrementing key) of INTEGER only.
BigKey = BigInteger().with_variant(Integer(), "sqlite")
# Text with dashes on SQLite, 16 bytes on PostgreSQL; text in Python on both.
UuidText = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
