"""The administrator's pages over a real server: what they show is what it holds, and what they change is there."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.models import printlog
from app.qt.session import Session
from app.views.window import MainWindow
from backend.wire.messages import QueueReport
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_system import PlayedProvider, System


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system")) as made:
        made.server.shared = True
        made.add_person("mira", "Mira Novak", 10.0)
        made.add_person("wei", "Wei Zhang", 1.0)
        yield made


@pytest.fixture(scope="module")
def provider(system: System) -> PlayedProvider:
    names = ("library", "physics", "office")
    queues = [QueueReport(name=name, tracked=name != "office", printer_state="idle") for name in names]
    return system.add_provider("print-01", queues)


@pytest.fixture
def admin(window: MainWindow, session: Session, system: System, provider: PlayedProvider, qtbot: QtBot) -> MainWindow:
    connect(session, system.url, system.admin, qtbot)
    return window


def connect(session: Session, url: str, token: str, qtbot: QtBot) -> None:
    session.open(Profile((url,), token))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)


def titles(window: MainWindow) -> list[str]:
    model = window.print_log.model
    return [str(model.index(row, printlog.TITLE).data()) for row in range(model.rowCount())]


def test_the_print_log_is_filtered_by_the_server_follows_and_is_saved(
    admin: MainWindow, system: System, provider: PlayedProvider, tmp_path: Path, qtbot: QtBot
) -> None:
    page = admin.print_log
    system.print_job(provider, "library", "mira", "=Thesis", 4)
    system.print_job(provider, "physics", "wei", "Poster", 2)
    admin.actions_["print_log"].trigger()
    qtbot.waitUntil(lambda: {"=Thesis", "Poster"} <= set(titles(admin)), timeout=DEADLINE_MS)
    page.show_user("mira")
    qtbot.waitUntil(lambda: titles(admin) == ["=Thesis"], timeout=DEADLINE_MS)
    system.print_job(provider, "library", "mira", "Second", 1)
    qtbot.waitUntil(lambda: titles(admin) == ["Second", "=Thesis"], timeout=DEADLINE_MS)
    target = tmp_path / "log.csv"
    page.save(target)
    qtbot.waitUntil(lambda: page.told.accessibleName() == f"2 jobs saved to {target}", timeout=DEADLINE_MS)
    with target.open(encoding="utf-8", newline="") as file:
        found = [(row["user"], row["title"], row["charged"]) for row in csv.DictReader(file)]
    assert found == [("mira", "Second", "0.0500"), ("mira", "'=Thesis", "0.2000")]
    page.queue.setText("nothing-like-it")
    qtbot.waitUntil(lambda: page.state_pane.accessibleName().startswith("No job fits"), timeout=DEADLINE_MS)
    page.clear()
    qtbot.waitUntil(lambda: "Poster" in titles(admin), timeout=DEADLINE_MS)


def test_the_rail_shows_what_a_role_may_see(window: MainWindow, session: Session, system: System, qtbot: QtBot) -> None:
    connect(session, system.url, system.helpdesk, qtbot)
    shown = {name for name, button in window.rail.buttons.items() if not button.isHidden()}
    assert shown == {"live", "people", "print_log", "history"}
    assert not window.actions_["queues"].isVisible()
