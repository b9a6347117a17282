"""Jobs: one row a printing, the only mutable record of it; what it cost stands in its transfers."""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table

from backend.db.metadata import BigInt, UuidText, metadata

job = Table(
    "job",
    metadata,
    Column("job_id", UuidText, primary_key=True),
    Column("provider_id", BigInteger, nullable=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("user_name", String(255), nullable=False),
    Column("title", String(1024), nullable=False),
    Column("host", String(1024), nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(32), nullable=False),  # why denied, or ""
    Column("marks", Integer, nullable=False),  # model.Mark bits
    Column("attempt", Integer, nullable=False),  # of the last authorise or report taken
    Column("revision", Integer, nullable=False),  # of the last report taken
    Column("reserved_sequence", BigInt, nullable=False),  # the open reservation's transfer, 0 when none
    Column("reserved", BigInt, nullable=False),
    Column("charged", BigInt, nullable=False),  # the price of what was printed; less `refunded`, the posted net
    Column("counted_impressions", Integer, nullable=False),  # what the account's print_impressions hold for this job
    Column("rule", String, nullable=False),  # the CostRule it was priced with, JSON
    Column("impressions", Integer, nullable=False),
    Column("sheets", Integer, nullable=False),
    Column("color_impressions", Integer, nullable=False),
    Column("copies", Integer, nullable=False),
    Column("facts", String, nullable=False),  # JobFacts, JSON
    Column("printing", String, nullable=False),  # Printing, JSON
    Column("term", BigInt, nullable=False),
    Column("created_at", BigInt, nullable=False),
    Column("updated_at", BigInt, nullable=False),
    Column("renewed_at", BigInt, nullable=False),
    Column("refunded", BigInt, nullable=False, server_default="0"),  # given back of `charged`, at most all of it
    postgresql_with={"fillfactor": "70"},
)

Index(None, job.c.account_id, job.c.job_id)

# The few jobs somebody must do something about. An index on job's own state would do as much, but PostgreSQL would
# then have to write every index of the job anew with each change of state, in the hottest path there is.
job_need = Table(
    "job_need",
    metadata,
    Column("job_id", UuidText, primary_key=True),
    Column("provider_id", BigInteger, nullable=False),
    Column("need", SmallInteger, nullable=False),  # model.Need; a job that needs nobody has no row
    Column("since", BigInt, nullable=False),
    Column("reason", String, nullable=False),  # of a cancel, for the person
)

Index(None, job_need.c.need, job_need.c.job_id)
