"""Accounts and transfers.

A transfer belongs to one customer account (`account_id`), under whose row lock it was made; `sequence` counts that
account's transfers without a gap and is the primary key with it: two writers can never both make the n-th transfer. The
other side of a transfer is a system account without a limit. System accounts take no row lock: what they are moved
by is added to a stripe of their own for each writer (`account_stripe`), so that the one account that every charge
credits is no point of contention.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, SmallInteger, String, Table

from backend.db.metadata import BigInt, BigKey, UuidText, metadata

account = Table(
    "account",
    metadata,
    Column("account_id", BigKey, primary_key=True),
    Column("kind", String(16), nullable=False),  # user | shared | system
    Column("name", String(255), nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("overdraft", BigInt, nullable=False),  # model.DEFAULT_OVERDRAFT: the setting's
    Column("credits_posted", BigInt, nullable=False),
    Column("debits_posted", BigInt, nullable=False),
    Column("debits_pending", BigInt, nullable=False),
    Column("sequence", BigInt, nullable=False),  # of the account's last transfer
    Column("offline_total", BigInt, nullable=False),  # exceptions to the limit, summed (P5)
    Column("late_total", BigInt, nullable=False),
    Column("excess_total", BigInt, nullable=False),
    Column("print_jobs", BigInt, nullable=False),
    Column("print_impressions", BigInt, nullable=False),
    postgresql_with={"fillfactor": "70"},  # balances are updated in place (HOT)
)

account_stripe = Table(
    "account_stripe",
    metadata,
    Column("account_id", BigInteger, ForeignKey("account.account_id"), primary_key=True, autoincrement=False),
    Column("stripe", Integer, primary_key=True, autoincrement=False),
    Column("credits_posted", BigInt, nullable=False),
    Column("debits_posted", BigInt, nullable=False),
    postgresql_with={"fillfactor": "50"},
)

transfer = Table(
    "transfer",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),  # model.Kind: pending 1, posted 2, voided 3, expired 4
    Column("code", String(32), nullable=False),
    Column("debit_account_id", BigInt, nullable=False),
    Column("credit_account_id", BigInt, nullable=False),
    Column("amount", BigInt, nullable=False),
    Column("pending_sequence", BigInt),  # the earlier row of this account that it ends (a reservation) or reverses
    Column("balance_after", BigInt, nullable=False),  # posted balance of account_id after this row
    Column("job_id", UuidText),
    Column("command_id", UuidText, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("comment", String(1024), nullable=False),
    Column("term", BigInt, nullable=False),  # 0, or the leader's term for what the leader wrote
    Column("at", BigInt, nullable=False),
)

# What somebody with a limit for a day has moved on that day (UTC), in absolute amounts.
actor_day = Table(
    "actor_day",
    metadata,
    Column("actor", String(255), primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # since 1970
    Column("moved", BigInt, nullable=False),
)
