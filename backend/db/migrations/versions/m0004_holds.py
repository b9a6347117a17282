"""Holding and releasing jobs, what the printers tell of themselves, what a print server tells of itself. Only adds.

What the help desk must look at is found among all jobs first, which locks nothing: the tables that every charge reads
are changed at the end, for a moment. A server of the version before notes no job for the help desk; what it takes while
both run is not in that list.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger()
UUID = sa.String(36).with_variant(sa.UUID(as_uuid=False), "postgresql")

# What each table gets: column -> its type and default.
ADDED: Final[Mapping[str, Mapping[str, tuple[sa.types.TypeEngine[Any], str]]]] = {
    "queue": {
        "hold_jobs": (sa.Boolean(), "false"),
        "partial_charge": (sa.String(16), "'whole'"),
        "supplies": (sa.String(), "'[]'"),
        "media_ready": (sa.String(), "'[]'"),
    },
    "provider": {
        "held_jobs": (sa.Integer(), "0"),
        "trouble": (sa.String(), "''"),
        "contacts": (sa.String(), "'[]'"),
    },
}
LOOK, MARKS = 1, 8 | 16 | 32  # jobs.model.Need and Mark, as they were when this was written


def upgrade() -> None:
    op.create_table(
        "job_need",
        sa.Column("job_id", UUID, nullable=False),
        sa.Column("provider_id", BIG, nullable=False),
        sa.Column("need", sa.SmallInteger(), nullable=False),
        sa.Column("since", BIG, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_need"),
    )
    op.execute(
        "INSERT INTO job_need (job_id, provider_id, need, since, reason)"
        f" SELECT job_id, provider_id, {LOOK}, updated_at, '' FROM job"
        f" WHERE state = 'in_doubt' OR (marks & {MARKS}) <> 0"
    )
    op.create_index("ix_job_need_need_job_id", "job_need", ["need", "job_id"])
    for table, columns in ADDED.items():
        for name, (kind, default) in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=False, server_default=sa.text(default)))
