"""Bugs to plant into the PostgreSQL store: the campaigns of `store_campaign` must find each.

A plant changes the store alone, never what judges it.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from backend.intake import store_postgresql as store
from backend.intake.errors import StoreFault
from backend.intake.model import Reads, Rows, Writes
from backend.intake.store_postgresql import PostgresqlSession

Patch = pytest.MonkeyPatch
AS_READ: Final = (b"begin", b"claim", b"answered", b"jobs", b"accounts", b"more_accounts", b"queues", b"now", b"term")


@dataclass(frozen=True)
class Plant:
    """`where` the bug is, in words, and how it is planted."""

    name: str
    where: str
    plant: Callable[[Patch], None]


def _claimed_after_the_locks(patch: Patch) -> None:
    """What an id answered, and a job as it stands, is read before anything keeps others from changing it."""
    _reordered(patch, lambda _: (b"begin", b"answered", b"jobs", b"accounts", b"more_accounts", b"claim"))


def _lock_order_turned(patch: Patch) -> None:
    """Every other batch locks accounts before it claims its ids: two of them can wait for each other."""
    turn = itertools.cycle((False, True))
    turned = (b"begin", b"accounts", b"more_accounts", b"claim", b"answered", b"jobs")
    _reordered(patch, lambda _: turned if next(turn) else AS_READ)


def _accounts_in_any_order(patch: Patch) -> None:
    """Rows are locked as they are found, which differs from session to session."""
    begin = store._begin_statements
    turn = itertools.cycle((b"accounts", b"accounts_down"))
    statements = dict(store.STATEMENTS)
    statements[b"accounts_down"] = statements[b"accounts"].replace(
        "ORDER BY a.account_id", "ORDER BY a.account_id DESC"
    )

    def either(reads: Reads) -> list[Any]:
        name = next(turn)
        return [(name, params) if word == b"accounts" else (word, params) for word, params in begin(reads)]

    patch.setattr(store, "STATEMENTS", statements)
    patch.setattr(store, "_begin_statements", either)


def _answered_before_the_commit(patch: Patch) -> None:
    """Who asked is told as soon as the COMMIT is on its way; what becomes of it is nobody's business."""
    begin, commit, close = PostgresqlSession.begin, PostgresqlSession.commit, PostgresqlSession.close
    under_way: dict[int, asyncio.Task[None]] = {}

    async def settle(self: PostgresqlSession) -> None:
        task = under_way.pop(id(self), None)
        if task is not None:
            with contextlib.suppress(StoreFault):
                await task

    async def begin_later(self: PostgresqlSession, reads: Reads) -> Rows:
        await settle(self)
        return await begin(self, reads)

    async def commit_soon(self: PostgresqlSession, writes: Writes) -> None:
        under_way[id(self)] = asyncio.create_task(commit(self, writes))

    async def close_later(self: PostgresqlSession) -> None:
        await settle(self)
        await close(self)

    patch.setattr(PostgresqlSession, "begin", begin_later)
    patch.setattr(PostgresqlSession, "commit", commit_soon)
    patch.setattr(PostgresqlSession, "close", close_later)


def _reordered(patch: Patch, order: Callable[[Reads], Sequence[bytes]]) -> None:
    """Send the statements that begin a batch in another order, and hand their results on in the right one."""
    begin, run = store._begin_statements, PostgresqlSession._run

    def statements(reads: Reads) -> list[Any]:
        places = {name: number for number, name in enumerate(order(reads))}
        return sorted(begin(reads), key=lambda statement: places.get(statement[0], len(places)))

    async def in_place(self: PostgresqlSession, connection: Any, sent: Sequence[Any], timeout_s: float) -> list[Any]:
        results = await run(self, connection, sent, timeout_s)
        by_name = sorted(zip(sent, results, strict=True), key=lambda pair: _place(pair[0][0]))
        return [result for _, result in by_name]

    patch.setattr(store, "_begin_statements", statements)
    patch.setattr(PostgresqlSession, "_run", in_place)


def _place(name: bytes) -> int:
    return AS_READ.index(name) if name in AS_READ else len(AS_READ)


PLANTS: Final = (
    Plant("claimed-after-the-locks", "ids are claimed after the accounts are locked", _claimed_after_the_locks),
    Plant("lock-order-turned", "every other batch locks accounts before it claims ids", _lock_order_turned),
    Plant(
        "accounts-in-any-order", "every other batch locks accounts from the last to the first", _accounts_in_any_order
    ),
    Plant("answered-before-the-commit", "answers leave before the commit has ended", _answered_before_the_commit),
)
