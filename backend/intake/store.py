"""The port to a database: one transaction at a time on each session.

`begin` opens the transaction and, in this order, claims the command ids (sorted), reads what earlier commands answered,
locks the jobs and then the accounts (each in id order), looks at users and queues, and holds the leader's term where
the batch is fenced. `commit` writes and commits synchronously; `abort` rolls back. A session that raised is unusable
until its next `begin`, which opens it anew.

Stores: PostgreSQL, SQLite, and the simulator's in memory. One conformance suite holds for all three.
"""

from typing import Protocol

from backend.intake.model import Reads, Rows, Writes


class Session(Protocol):
    """One lane to the database. Raises only `StoreFault`s."""

    async def begin(self, reads: Reads) -> Rows: ...

    async def commit(self, writes: Writes) -> None: ...

    async def abort(self) -> None: ...

    async def close(self) -> None: ...


class Store(Protocol):
    """`lanes` sessions may be used at once; each writer passes another `stripe` for its system-account stripe."""

    @property
    def lanes(self) -> int: ...

    def session(self, stripe: int) -> Session: ...
