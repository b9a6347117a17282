"""A database with the tables of this version, on both engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.db.engine import Database
from backend.db.migrate import migrate


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'inkeeper.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database(url)
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def other_server(database: Database) -> Iterator[Database]:
    """The connections of a second server."""
    made = Database(database.url)
    yield made
    made.close()
