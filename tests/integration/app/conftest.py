"""A window without a display, a cluster of real processes, and a check that nothing of either is left behind."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.core.profiles import ConsoleSettings, Profile
from app.qt.bridge import THREAD_NAME, AsyncBridge
from app.qt.session import Session
from app.qt.store import Store
from app.qt.theme import Theme
from app.views.window import MainWindow
from tests.support.console_cluster import TOKEN, Cluster

DEADLINE_MS = 60_000


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No network thread and no window outlives a test."""
    yield
    app = cast("QApplication", QApplication.instance())
    if app is not None:
        for widget in app.topLevelWidgets():
            widget.close()
            widget.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        app.processEvents()
    left = [thread.name for thread in threading.enumerate() if thread.name == THREAD_NAME]
    assert not left


@pytest.fixture
def bridge(qapp: QApplication) -> Iterator[AsyncBridge]:
    made = AsyncBridge()
    yield made
    assert made.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """One server."""
    with Cluster(tmp_path) as made:
        yield made


@pytest.fixture
def session(qapp: QApplication, tmp_path: Path) -> Iterator[Session]:
    made = Session(Store(), AsyncBridge(), tmp_path / "state" / "outbox.log")
    yield made
    assert made.close()


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    made = Theme(qapp, "dark")
    yield made
    made.deleteLater()


@pytest.fixture
def window(theme: Theme, session: Session, tmp_path: Path, qtbot: QtBot) -> MainWindow:
    made = MainWindow(theme, session, ConsoleSettings(), tmp_path / "config" / "console.toml")
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.fixture
def live(window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot) -> MainWindow:
    """The window connected to the cluster, its first picture drawn."""
    session.open(Profile(cluster.urls, TOKEN))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: window.live.jobs.model.rowCount() > 0, timeout=DEADLINE_MS)
    return window
