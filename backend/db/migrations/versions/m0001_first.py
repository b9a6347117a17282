"""The tables of version 0.1, and the rows that must always be there."""

import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger()
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
WORD = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
FIRST_CUSTOMER_ACCOUNT = 100


def _text(name: str, length: int | None = None, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _number(name: str, default: str | None = None, kind: sa.types.TypeEngine[int] = BIG) -> sa.Column[int]:
    return sa.Column(name, kind, nullable=False, server_default=default)


def _flag(name: str, default: str | None = None) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default) if default else None)


def upgrade() -> None:
    _ledger()
    _people()
    _printers()
    _jobs()
    _access()
    _cluster()
    _rows()


def _ledger() -> None:
    op.create_table(
        "account",
        sa.Column("account_id", KEY, nullable=False),
        _text("kind", 16),
        _text("name", 255),
        _flag("restricted"),
        _number("overdraft"),
        _number("credits_posted"),
        _number("debits_posted"),
        _number("debits_pending"),
        _number("sequence"),
        _number("offline_total"),
        _number("late_total"),
        _number("excess_total"),
        _number("print_jobs"),
        _number("print_impressions"),
        sa.PrimaryKeyConstraint("account_id", name="pk_account"),
        postgresql_with={"fillfactor": "70"},
        sqlite_autoincrement=True,  # an account's id is never used again, and those below 100 are kept for the system
    )
    op.create_table(
        "account_stripe",
        sa.Column("account_id", BIG, nullable=False, autoincrement=False),
        sa.Column("stripe", sa.Integer(), nullable=False, autoincrement=False),
        _number("credits_posted"),
        _number("debits_posted"),
        sa.PrimaryKeyConstraint("account_id", "stripe", name="pk_account_stripe"),
        sa.ForeignKeyConstraint(["account_id"], ["account.account_id"], name="fk_account_stripe_account_id"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "transfer",
        sa.Column("account_id", BIG, nullable=False, autoincrement=False),
        sa.Column("sequence", BIG, nullable=False, autoincrement=False),
        _number("kind", kind=sa.SmallInteger()),
        _text("code", 32),
        _number("debit_account_id"),
        _number("credit_account_id"),
        _number("amount"),
        sa.Column("pending_sequence", BIG, nullable=True),
        _number("balance_after"),
        sa.Column("job_id", UUID, nullable=True),
        sa.Column("command_id", UUID, nullable=False),
        _text("actor", 255),
        _text("comment", 1024),
        _number("term"),
        _number("at"),
        sa.PrimaryKeyConstraint("account_id", "sequence", name="pk_transfer"),
    )
    op.create_table(
        "command",
        sa.Column("command_id", UUID, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        _text("answer"),
        _number("at"),
        sa.PrimaryKeyConstraint("command_id", name="pk_command"),
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", KEY, nullable=False),
        _text("name", 255),
        sa.Column("account_id", BIG, nullable=False),
        _text("full_name", 255, ""),
        _text("email", 255, ""),
        _text("department", 255, ""),
        _text("office", 255, ""),
        _text("notes", None, ""),
        _text("card_number", 255, ""),
        _text("card_pin_hash", 255, ""),
        _text("password_hash", 255, ""),
        _flag("internal", "false"),
        _flag("disabled", "false"),
        _number("disabled_until", "0"),
        _number("created_at"),
        _number("updated_at"),
        _number("term", "0"),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sa.UniqueConstraint("account_id", name="uq_users_account_id"),
        sa.ForeignKeyConstraint(["account_id"], ["account.account_id"], name="fk_users_account_id"),
    )
    has_card = sa.text("card_number != ''")
    op.create_index(
        "uq_users_card_number",
        "users",
        ["card_number"],
        unique=True,
        postgresql_where=has_card,
        sqlite_where=has_card,
    )
    op.create_table(
        "user_word",
        sa.Column("user_id", BIG, nullable=False, autoincrement=False),
        sa.Column("word", WORD, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "word", name="pk_user_word"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_user_word_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_user_word_word_user_id", "user_word", ["word", "user_id"])


def _printers() -> None:
    op.create_table(
        "provider",
        sa.Column("provider_id", KEY, nullable=False),
        _text("name", 255),
        _text("host", 1024, ""),
        _text("program_version", 64, ""),
        _number("backlog", "0", sa.Integer()),
        sa.Column("oldest_unsent_s", sa.Float(), nullable=False, server_default="0"),
        _number("disk_free_bytes", "0"),
        _number("enrolled_at"),
        _number("seen_at"),
        _text("server", 255, ""),
        sa.PrimaryKeyConstraint("provider_id", name="pk_provider"),
        sa.UniqueConstraint("name", name="uq_provider_name"),
    )
    op.create_table(
        "queue",
        sa.Column("queue_id", KEY, nullable=False),
        sa.Column("provider_id", BIG, nullable=False),
        _text("name", 255),
        _flag("tracked", "true"),
        _flag("disabled", "false"),
        _number("disabled_until", "0"),
        _text("cost"),
        _text("offline_policy", 16, "allow"),
        _text("device_uri", 1024, ""),
        _text("info", 1024, ""),
        _text("location", 1024, ""),
        _text("printer_state", 16, "unknown"),
        _text("printer_state_reasons", None, "[]"),
        _flag("accepting", "true"),
        _number("seen_at", "0"),
        _number("term", "0"),
        sa.PrimaryKeyConstraint("queue_id", name="pk_queue"),
        sa.UniqueConstraint("provider_id", "name", name="uq_queue_provider_id_name"),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.provider_id"], name="fk_queue_provider_id"),
    )


def _jobs() -> None:
    whole = sa.Integer()
    op.create_table(
        "job",
        sa.Column("job_id", UUID, nullable=False),
        _number("provider_id"),
        _number("queue_id"),
        _number("account_id"),
        _text("user_name", 255),
        _text("title", 1024),
        _text("host", 1024),
        _text("state", 16),
        _text("code", 32),
        _number("marks", kind=whole),
        _number("attempt", kind=whole),
        _number("revision", kind=whole),
        _number("reserved_sequence"),
        _number("reserved"),
        _number("charged"),
        _number("counted_impressions", kind=whole),
        _text("rule"),
        _number("impressions", kind=whole),
        _number("sheets", kind=whole),
        _number("color_impressions", kind=whole),
        _number("copies", kind=whole),
        _text("facts"),
        _text("printing"),
        _number("term"),
        _number("created_at"),
        _number("updated_at"),
        _number("renewed_at"),
        sa.PrimaryKeyConstraint("job_id", name="pk_job"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ix_job_account_id_job_id", "job", ["account_id", "job_id"])


def _access() -> None:
    op.create_table(
        "access_token",
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        _text("role", 16),
        _text("name", 255),
        sa.Column("provider_id", BIG, nullable=True),
        _number("created_at"),
        _number("expires_at", "0"),
        _number("revoked_at", "0"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_access_token"),
    )
    op.create_table(
        "enrolment",
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        _text("provider_name", 255),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=True),
        sa.Column("provider_id", BIG, nullable=True),
        _number("created_at"),
        _number("expires_at"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_enrolment"),
    )
    op.create_table(
        "audit",
        sa.Column("audit_id", KEY, nullable=False),
        _number("at"),
        _text("actor", 255),
        _text("role", 16),
        _text("action", 64),
        _text("subject", 255),
        _text("detail"),
        sa.PrimaryKeyConstraint("audit_id", name="pk_audit"),
    )
    op.create_table(
        "setting",
        _text("key", 255),
        _text("value"),
        _number("updated_at"),
        sa.PrimaryKeyConstraint("key", name="pk_setting"),
    )


def _cluster() -> None:
    one = sa.Integer()
    op.create_table(
        "cluster",
        sa.Column("one", one, nullable=False, autoincrement=False),
        sa.Column("cluster_id", UUID, nullable=False),
        _number("generation"),
        sa.PrimaryKeyConstraint("one", name="pk_cluster"),
    )
    op.create_table(
        "term",
        sa.Column("one", one, nullable=False, autoincrement=False),
        _number("term"),
        _text("holder", 36),
        _text("member_name", 255),
        sa.PrimaryKeyConstraint("one", name="pk_term"),
    )
    op.create_table(
        "beat",
        sa.Column("one", one, nullable=False, autoincrement=False),
        _number("beat"),
        sa.PrimaryKeyConstraint("one", name="pk_beat"),
    )
    op.create_table(
        "member",
        _text("name", 255),
        _text("process", 36),
        _text("url", 1024),
        _text("state", 16),
        _text("program_version", 64),
        _number("started_at"),
        _number("seen_at"),
        sa.PrimaryKeyConstraint("name", name="pk_member"),
    )
    op.create_table(
        "event",
        sa.Column("event_id", KEY, nullable=False),
        _number("xid", "0"),
        _number("at"),
        _text("kind", 16),
        _text("data"),
        _number("term"),
        sa.PrimaryKeyConstraint("event_id", name="pk_event"),
    )
    op.create_index("ix_event_xid_event_id", "event", ["xid", "event_id"])


def _rows() -> None:
    conn = op.get_bind()
    if conn.dialect.name == "postgresql":
        # Newest transfers of all accounts: a few kB that cost the ledger's writers nothing.
        op.execute("CREATE INDEX ix_transfer_at ON transfer USING brin (at) WITH (autosummarize = on)")
        op.execute("ALTER TABLE event ALTER COLUMN xid SET DEFAULT (pg_current_xact_id()::text::bigint)")
        op.execute(f"ALTER SEQUENCE account_account_id_seq RESTART WITH {FIRST_CUSTOMER_ACCOUNT}")
    empty = "false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0"
    for account_id, name in ((1, "printing"), (2, "funding"), (3, "unassigned")):
        op.execute(f"INSERT INTO account VALUES ({account_id}, 'system', '{name}', {empty})")
    if conn.dialect.name == "sqlite":
        op.execute(f"UPDATE sqlite_sequence SET seq = {FIRST_CUSTOMER_ACCOUNT - 1} WHERE name = 'account'")
    op.execute(f"INSERT INTO cluster VALUES (1, '{uuid.uuid4()}', 1)")
    op.execute("INSERT INTO term VALUES (1, 0, '', '')")
    op.execute("INSERT INTO beat VALUES (1, 0)")
