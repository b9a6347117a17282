"""Servers of two schemas side by side under a steady load: upgraded one after the other, and back. No request fails.

See `tests.support.versions` for what the other version is.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_cluster_operations import Scene, scene
from tests.support import versions
from tests.support.app_server import AppServer
from tests.support.postgresql import Postgres
from tests.support.processes import run
from tests.support.versions import Word

NAMES = ("one", "two")
SOME = 60

pytestmark = [pytest.mark.xdist_group("alone"), pytest.mark.timeout(600)]


class Upgrade:
    """Two servers on one database, each of the version it was last given."""

    def __init__(self, folder: Path, postgres: Postgres, database: str) -> None:
        self._postgres, self._database = postgres, database
        url = postgres.url(database)
        self.servers = {name: AppServer(folder, database_url=url, name=name) for name in NAMES}
        for server in self.servers.values():
            server.config.write_text(server.config.read_text() + "\n[cluster]\ndrain_grace_s = 1.0\n")
            server.process.env = server.environment = versions.environment(server.environment)

    def install(self, name: str, word: Word) -> None:
        server = self.servers[name]
        server.program = versions.argv(word)
        server.process.argv = [str(part) for part in (*server.program, "--config", server.config, "run")]

    def migrate(self, word: Word) -> None:
        server = self.servers["one"]
        run([*versions.argv(word), "--config", server.config, "migrate"], env=server.environment, timeout_s=120)

    def revisions(self) -> dict[str, str]:
        """Which schema each server that runs was written for, as it told the cluster itself."""
        rows = self._postgres.execute(
            "SELECT name, schema_revision FROM member WHERE state = 'serving'", self._database
        )
        return {str(name): str(revision) for name, revision in rows}

    async def exchange(self, play: Scene, name: str, word: Word) -> None:
        """As OPERATIONS says: drain, stop, upgrade (or go back), start, undrain."""
        mark = (await play.events())[-1].event_id
        await play.act("drain", name)
        await play.happened("member-drained", name, mark)
        await asyncio.to_thread(self.servers[name].stop)
        self.install(name, word)
        await asyncio.to_thread(self.servers[name].start)
        await play.act("undrain", name)
        await play.until("serving", *NAMES)
        await play.some_load(SOME)


@pytest.fixture
def upgrade(tmp_path: Path, postgres: Postgres) -> Iterator[Upgrade]:
    database = postgres.new_database()
    made = Upgrade(tmp_path, postgres, database)
    yield made
    postgres.drop_database(database)


@pytest.mark.parametrize(
    ("old", "new"), [("previous", "current"), pytest.param("current", "next", marks=pytest.mark.long)]
)
def test_servers_of_two_schemas_work_side_by_side_there_and_back(upgrade: Upgrade, old: Word, new: Word) -> None:
    async def play() -> None:
        before, after = versions.revision(old), versions.revision(new)
        async with scene(upgrade.servers) as found:
            await found.some_load(SOME)
            assert upgrade.revisions() == {"one": before, "two": before}
            found.enter("migrated under the old servers")
            await asyncio.to_thread(upgrade.migrate, new)
            await found.some_load(SOME)
            for phase, word, mixed in (("upgrade", new, (after, before)), ("and back", old, (before, after))):
                found.enter(phase)
                await upgrade.exchange(found, "one", word)
                assert tuple(upgrade.revisions()[name] for name in NAMES) == mixed  # side by side
                await upgrade.exchange(found, "two", word)
            assert upgrade.revisions() == {"one": before, "two": before}

    upgrade.migrate(old)
    with contextlib.ExitStack() as stack:
        for name in NAMES:
            upgrade.install(name, old)
            stack.enter_context(upgrade.servers[name])
        asyncio.run(play())


def test_a_server_of_the_new_schema_refuses_the_old_tables_in_one_line(upgrade: Upgrade) -> None:
    """The order matters: first `migrate`, then the servers."""
    upgrade.migrate("current")
    server = upgrade.servers["one"]
    argv = [*versions.argv("next"), "--config", server.config, "run"]
    done = run(argv, env=server.environment, check=False, timeout_s=60)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("made by an older version: run `inkeeper-server migrate`")
