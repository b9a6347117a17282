"""The database's primary handed over by the console's dialog, on a real cluster of Patroni and etcd."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.qt.session import Session
from app.views.window import MainWindow
from tests.support.app_server import AppServer
from tests.support.folders import scratch_folder
from tests.support.patroni import PatroniCluster

pytestmark = [pytest.mark.xdist_group("alone"), pytest.mark.timeout(600)]

DEADLINE_MS = 120_000
START_S = 120.0


@pytest.fixture
def database() -> Iterator[PatroniCluster]:
    with scratch_folder("ik-ha-") as folder, PatroniCluster(folder / "cluster") as made:
        yield made


@pytest.fixture
def server(database: PatroniCluster, tmp_path: Path) -> Iterator[AppServer]:
    addresses = ", ".join(f'"{url}"' for url in database.rest_urls())
    made = AppServer(tmp_path, database_url=database.url(), more=f"patroni = [{addresses}]\n")
    made.command("migrate")
    try:
        made.process.start()
        made.process.wait_for_port(made.port, START_S)
        yield made
    finally:
        made.stop()


def test_the_dialog_hands_the_primary_over_and_the_history_tells_it(
    window: MainWindow, session: Session, database: PatroniCluster, server: AppServer, qtbot: QtBot
) -> None:
    token = server.command("token", "create", "--role", "admin", "--name", "grace")
    first, second = database.primary().name, database.sync_standby().name
    session.open(Profile((server.url,), token))
    qtbot.waitUntil(lambda: window.actions_["database_switchover"].isEnabled(), timeout=DEADLINE_MS)
    window.operations.open("database-switchover")
    dialog = window.operations.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    assert dialog.act_button.text() == f"Make {second} the primary"
    assert any(f"{second} becomes the primary" in step for step in dialog.steps.texts())
    assert database.primary().name == first
    dialog.act_button.click()
    qtbot.waitUntil(lambda: dialog.operation.talk.phase in ("done", "failed", "refused"), timeout=DEADLINE_MS)
    assert dialog.operation.talk.phase == "done", dialog.operation.talk
    assert any(f"{second} is the primary" in line for line in dialog.lines.texts())
    assert database.primary().name == second
    model = window.history.model

    def told(what: str) -> bool:
        return what in [model.index(row, 2).data() for row in range(model.rowCount())]

    qtbot.waitUntil(lambda: told("Database switchover begun"), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: told("New primary"), timeout=DEADLINE_MS)
    card = window.live.topology.scene.cards[f"database:{second}"]
    qtbot.waitUntil(lambda: "failover" in card.node.kind, timeout=DEADLINE_MS)
