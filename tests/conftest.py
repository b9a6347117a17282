"""What every test may ask for: scratch folders, a PostgreSQL server, a database; and what a failed test shows.

One PostgreSQL server serves a worker's whole run, each test gets a database of its own in it. A test that kills servers
makes its own by tests.support. When a test fails, the ends of its neighbours' logs stand in the report; when one leaves
a process behind, it fails.
"""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres, make_template
from tests.support.processes import Process


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A short folder that cupsd's user can walk into."""
    with scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[Path]:
    """What `Postgres(folder, template=…)` copies instead of running initdb again."""
    with scratch_folder("ik-pg-") as folder:
        yield make_template(folder / "template")


@pytest.fixture(scope="session")
def postgres(postgres_template: Path) -> Iterator[Postgres]:
    """This worker's server. Not to be killed: others use it too."""
    with scratch_folder("ik-pg-") as folder, Postgres(folder / "server", template=postgres_template) as server:
        server.process.shared = True
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database of this test's own."""
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for process in Process.live:
            report.sections.append((f"the last lines of {process.name} (pid {process.pid})", process.tail()))
    return report


@pytest.fixture(autouse=True)
def no_process_left_behind() -> Iterator[None]:
    before = list(Process.live)
    yield
    left = [process for process in Process.live if process not in before and not process.shared]
    for process in left:
        process.stop()
    assert not left, f"left running: {', '.join(process.name for process in left)}"
