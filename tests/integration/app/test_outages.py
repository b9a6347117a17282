"""The pages for administrators while their server is killed or frozen, and when it is back: what was read stays, is
said to be old and how old, and is fresh again by itself; what somebody typed is not lost.
"""

import signal
from collections.abc import Iterator
from typing import Literal

import pytest
from pytestqt.qtbot import QtBot

from app.core.pages import Page
from app.core.profiles import Profile
from app.qt.session import Session
from app.views.history import HistoryPage
from app.views.listing import ListPage
from app.views.useredit import UserDialog
from app.views.window import MainWindow
from backend.wire.printers import QueueReport
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_system import System

PAGES: tuple[Page, ...] = ("users", "queues", "operators", "tokens", "settings", "audit", "print_log", "history")
ABOUT = {"queues": 0, "users": 0, "tokens": 1}  # the column that an outage leaves as it is


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system")) as made:
        made.server.shared = True
        made.add_person("mira", "Mira Novak", 10.0)
        made.operator("anna", "helpdesk", "a-long-password")
        provider = made.add_provider("print-01", [QueueReport(name="library", tracked=True, printer_state="idle")])
        made.print_job(provider, "library", "mira", "Thesis", 4)
        yield made


def page_of(window: MainWindow, name: Page) -> ListPage | HistoryPage:
    window.actions_[name].trigger()
    page: ListPage | HistoryPage = getattr(window, name)
    assert page.isVisible()
    return page


def rows(page: ListPage | HistoryPage, name: Page) -> list[str]:
    model, column = page.table.model(), ABOUT.get(name, 0)
    return [str(model.index(row, column).data()) for row in range(model.rowCount())]


def count(page: ListPage | HistoryPage) -> str:
    return page.count_text() if isinstance(page, HistoryPage) else page.count_text


def old(page: ListPage | HistoryPage) -> bool:
    return "as known " in count(page)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_every_page_keeps_what_it_read_says_how_old_it_is_and_comes_back_by_itself(
    fault: Literal["killed", "frozen"], window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    session.open(Profile((system.url,), system.admin))
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)
    read: dict[Page, list[str]] = {}
    for name in PAGES:
        page = page_of(window, name)
        qtbot.waitUntil(lambda page=page: page.table.model().rowCount() > 0, timeout=DEADLINE_MS)  # type: ignore[misc]
        assert not old(page)
        read[name] = rows(page, name)
    window.actions_["users"].trigger()
    window.users.table.selectRow(0)
    window.users.edit()
    form = window.users.dialog
    assert isinstance(form, UserDialog)
    form.details["office"].setText(f"B 12, {fault}")
    if fault == "killed":
        system.server.kill9()
    else:
        system.server.signal(signal.SIGSTOP)
    try:
        if fault == "killed":
            form.act_button.click()
        for name in PAGES:
            page = page_of(window, name)
            qtbot.waitUntil(lambda page=page: old(page), timeout=DEADLINE_MS)  # type: ignore[misc]
            assert rows(page, name) == read[name]
            assert page.table.isVisible()
        if fault == "killed":
            qtbot.waitUntil(lambda: form.told.text().startswith(("Not done", "Unknown")), timeout=DEADLINE_MS)
    finally:
        if fault == "killed":
            system.server.start()
            system.server.wait_for_port(system.port, 60)
        else:
            system.server.signal(signal.SIGCONT)
    for name in PAGES:
        page = page_of(window, name)
        qtbot.waitUntil(lambda page=page: not old(page), timeout=DEADLINE_MS)  # type: ignore[misc]
        assert set(read[name]) <= set(rows(page, name))
    assert form.details["office"].text() == f"B 12, {fault}"
    form.act_button.click()
    qtbot.waitUntil(lambda: form.told.text() in ("Changed.", "Nothing was changed."), timeout=DEADLINE_MS)
    form.reject()
    assert system.user("mira").office == f"B 12, {fault}"
