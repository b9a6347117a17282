"""Calls of the database that end after whoever asked has gone."""

import asyncio
import gc
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.db import engine
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from tests.support.api import eventually


def test_a_call_that_fails_after_its_deadline_says_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DEADLINE_S", 0.1)
    database = Database(f"sqlite:///{tmp_path / 'calls.db'}")
    go_on = threading.Event()
    complaints: list[dict[str, Any]] = []

    def work(conn: sa.Connection) -> None:
        go_on.wait(60)
        raise DatabaseAway("late")

    async def is_idle() -> bool:
        return not database.busy

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        with pytest.raises(DatabaseAway, match="did not answer"):
            await database.run(work)
        go_on.set()
        await eventually(is_idle, 60)
        gc.collect()

    try:
        asyncio.run(asyncio.wait_for(play(), 60))
    finally:
        go_on.set()
        database.close()
    gc.collect()
    assert complaints == []


def test_a_connection_in_use_while_the_pool_is_emptied_is_closed_when_it_comes_back(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.connect() as conn:
        raw = conn.connection.driver_connection
        assert raw is not None
        database.close()
        assert not raw.closed
    assert raw.closed
    database.close()
