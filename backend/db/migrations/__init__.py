"""Alembic migrations, run by `inkeeper-server migrate` from code: no alembic.ini, no command line of their own.

Invariant: a revision is never changed once released. A test compares what they make with the tables of the domains.
"""
