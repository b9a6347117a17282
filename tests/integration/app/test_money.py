"""The help desk over a real server: logging in, moving money, and what is killed, frozen and lost meanwhile. What the
console says is what the ledger then holds, once.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QWidget
from pytestqt.qtbot import QtBot

from app.core.profiles import ConsoleSettings, Profile
from app.qt.actions import Name
from app.qt.bridge import AsyncBridge
from app.qt.session import Session
from app.qt.store import Store
from app.qt.theme import Theme
from app.views.account import LogInAgain
from app.views.money import AdjustDialog, RefundDialog, ReverseDialog
from app.views.person import PersonPanel
from app.views.window import MainWindow
from backend.wire.access import SetOperator
from backend.wire.money import TransferView
from backend.wire.printers import QueueReport, SetQueue
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_system import PlayedProvider, System

PASSWORD = "a good password"
D = TypeVar("D", bound=QDialog)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system")) as made:
        made.server.shared = True
        made.operator("maria", "helpdesk", PASSWORD, "Maria Berg", each=200_000, day=10_000_000)
        yield made


@pytest.fixture(scope="module")
def provider(system: System) -> PlayedProvider:
    queues = [QueueReport(name=name, tracked=True, printer_state="idle") for name in ("free", "hold")]
    made = system.add_provider("print-01", queues)
    system.change_queue("hold", SetQueue(hold_jobs=True))
    return made


def log_in(window: MainWindow, system: System, name: str, password: str = PASSWORD) -> None:
    pane = window.connect_pane
    window.ask_connection()
    pane.choose(0)
    pane.servers.setText(system.url)
    pane.name.setText(name)
    pane.password.setText(password)
    QTest.keyClick(pane.password, Qt.Key.Key_Return)


@pytest.fixture
def maria(window: MainWindow, session: Session, system: System, qtbot: QtBot) -> MainWindow:
    """Maria of the help desk is logged in."""
    log_in(window, system, "maria")
    qtbot.waitUntil(lambda: session.desk.why_not() == "", timeout=DEADLINE_MS)
    return window


def opened(window: MainWindow, system: System, name: str, balance: float, qtbot: QtBot) -> PersonPanel:
    """A new person's page, read."""
    system.add_person(name, name.capitalize(), balance)
    panel = window.people.person
    window.actions_["find"].trigger()
    panel.open_person(name)
    qtbot.waitUntil(lambda: panel.transfers.rowCount() > 0, timeout=DEADLINE_MS)
    return panel


def dialog(panel: PersonPanel, kind: type[D]) -> D:
    assert isinstance(panel.dialog, kind)
    return panel.dialog


def told(panel: PersonPanel) -> str:
    return panel.told.accessibleName() if panel.told.isVisible() else ""


def by_hand(system: System, name: str) -> list[TransferView]:
    """What the console moved, the newest first."""
    return [found for found in system.transfers(name) if found.actor.endswith("maria")]


def adjust(window: MainWindow, panel: PersonPanel, amount: str, reason: str) -> AdjustDialog:
    window.actions_["adjust"].trigger()
    form = dialog(panel, AdjustDialog)
    form.amount.setText(amount)
    form.reason.setText(reason)
    return form


# ---------------------------------------------------------------- by keyboard alone


def keys(text: str, at: QWidget) -> None:
    """Type, or press a chord, wherever the focus is. (Without a window manager nobody makes the window active again
    once a dialog has gone, and chords are the active window’s.)"""
    at.activateWindow()
    QTest.qWaitForWindowActive(at, DEADLINE_MS)
    target = at.focusWidget() or at
    if text.startswith("Ctrl+") or text in ("Tab", "Return", "Down"):
        QTest.keySequence(target, QKeySequence(text))
    else:
        QTest.keyClicks(target, text)


def tab_to(window: MainWindow, wanted: QWidget) -> None:
    for _ in range(16):
        if window.focusWidget() is wanted:
            return
        keys("Tab", window)
    raise AssertionError(f"no way to {wanted.accessibleName()} by Tab")


def newest(panel: PersonPanel) -> str:
    """What the first of the transfers is for."""
    found = panel.transfers.transfer(0)
    return found.code if found is not None else ""


def test_a_day_at_the_desk_without_a_mouse(
    maria: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    system.add_person("keyes", "Keyes", 10.0)
    system.print_job(provider, "free", "keyes", "Charged", 4)
    held = system.authorise(provider, "hold", "keyes", "Held", 2)
    panel = maria.people.person
    keys("Ctrl+F", maria)
    keys("keyes", maria)
    keys("Return", maria)
    qtbot.waitUntil(lambda: panel.jobs.rowCount() == 2, timeout=DEADLINE_MS)
    keys("Ctrl+M", maria)
    form = dialog(panel, AdjustDialog)
    keys("2.50", form)
    keys("Tab", form)
    keys("cash", form)
    keys("Return", form)
    qtbot.waitUntil(lambda: told(panel).startswith("Adjusted: +2.50 EUR for keyes"), timeout=DEADLINE_MS)
    tab_to(maria, panel.jobs_table)
    keys("Down", maria)
    assert [job.title for job in panel.chosen_jobs()] == ["Held"]
    qtbot.waitUntil(maria.actions_["release_jobs"].isEnabled, timeout=DEADLINE_MS)
    keys("Ctrl+E", maria)
    qtbot.waitUntil(lambda: told(panel).startswith("Released"), timeout=DEADLINE_MS)
    keys("Down", maria)
    assert [job.title for job in panel.chosen_jobs()] == ["Charged"]
    keys("Ctrl+Shift+R", maria)
    refund = dialog(panel, RefundDialog)
    keys("jam", refund)
    keys("Return", refund)
    qtbot.waitUntil(lambda: told(panel).startswith("Refunded"), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: newest(panel) == "refund", timeout=DEADLINE_MS)
    tab_to(maria, panel.transfers_table)
    keys("Down", maria)
    keys("Ctrl+Shift+U", maria)
    undo = dialog(panel, ReverseDialog)
    keys("it was right", undo)
    keys("Return", undo)
    qtbot.waitUntil(lambda: told(panel).startswith("Undone"), timeout=DEADLINE_MS)
    assert [found.amount for found in by_hand(system, "keyes")] == [-2000, 2000, 25_000]
    assert [found.job_id for found in system.decisions(provider) if found.decision == "release"] == [held.job_id]


# ---------------------------------------------------------------- who is logged in


def test_name_and_password_log_in_and_the_window_says_who_and_how_much(
    maria: MainWindow, system: System, qtbot: QtBot
) -> None:
    button = maria.account.button
    qtbot.waitUntil(lambda: button.isVisible() and button.text() == "Maria Berg · help desk", timeout=DEADLINE_MS)
    assert "May move 20.00 EUR at once, 1000.00 EUR a day" in button.toolTip()
    assert "The log-in ends in" in button.toolTip()
    stored = maria.config.read_text()
    assert 'login = "maria"' in stored
    assert PASSWORD not in stored
    assert not maria.config.with_name("console.token").exists()  # nobody asked to stay logged in


def test_logging_out_ends_the_token_and_removes_the_stored_one(
    window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    window.ask_connection()
    window.connect_pane.remember.setChecked(True)
    log_in_kept = window.connect_pane
    log_in_kept.servers.setText(system.url)
    log_in_kept.name.setText("maria")
    log_in_kept.password.setText(PASSWORD)
    log_in_kept.connect_button.click()
    qtbot.waitUntil(lambda: session.desk.why_not() == "", timeout=DEADLINE_MS)
    kept = window.config.with_name("console.token")
    token = kept.read_text().strip()
    assert token
    window.actions_["log_out"].trigger()
    qtbot.waitUntil(lambda: session.profile is None, timeout=DEADLINE_MS)
    assert not kept.exists()
    assert window.connect_pane.isVisible()
    assert window.connect_pane.name.text() == "maria"
    session.open(Profile((system.url,), token))
    state = session.store
    qtbot.waitUntil(lambda: state.state.connection.code == "unauthenticated", timeout=DEADLINE_MS)


def test_a_log_in_that_ended_is_asked_again_and_what_stands_in_the_window_stays(
    window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    system.operator("otto", "helpdesk", PASSWORD, "Otto")
    log_in(window, system, "otto")
    qtbot.waitUntil(lambda: session.desk.why_not() == "", timeout=DEADLINE_MS)
    panel = opened(window, system, "ended", 5.0, qtbot)
    form = adjust(window, panel, "1.25", "jam")
    system.change_operator("otto", SetOperator(password="another password"))

    def asked() -> bool:
        session.reload()
        return isinstance(window.account.dialog, LogInAgain)

    qtbot.waitUntil(asked, timeout=DEADLINE_MS)
    assert panel.head.balance.accessibleName() == "Balance: 5.00 EUR"
    assert (form.amount.text(), form.reason.text()) == ("1.25", "jam")
    form.act_button.click()
    wanted = "Waits for otto to log in again: +1.25 EUR for ended"
    qtbot.waitUntil(lambda: told(panel).startswith(wanted), timeout=DEADLINE_MS)
    assert system.user("ended").balance == 50_000
    again = window.account.dialog
    assert isinstance(again, LogInAgain)
    again.password.setText(PASSWORD)
    again.act_button.click()
    qtbot.waitUntil(lambda: "wrong" in again.told.text(), timeout=DEADLINE_MS)
    again.password.setText("another password")
    again.act_button.click()
    qtbot.waitUntil(lambda: window.account.dialog is None, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: told(panel).startswith("Adjusted: +1.25 EUR for ended"), timeout=DEADLINE_MS)
    assert system.user("ended").balance == 62_500


# ---------------------------------------------------------------- money


def test_an_adjustment_is_previewed_and_paid_once_however_often_it_is_pressed(
    maria: MainWindow, system: System, qtbot: QtBot
) -> None:
    panel = opened(maria, system, "once", 3.2, qtbot)
    form = adjust(maria, panel, "-2.50", "")
    assert not form.act_button.isEnabled()
    assert form.told.text() == "Say why: a reason is needed."
    assert "Balance 3.20 EUR → 0.70 EUR" in form.lines.texts()
    form.reason.setText("Card terminal was down")
    for _ in range(3):
        form.act_button.click()
        QTest.keyClick(form, Qt.Key.Key_Return)
        form.act()
    qtbot.waitUntil(lambda: told(panel).startswith("Adjusted: −2.50 EUR for once"), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 0.70 EUR", timeout=DEADLINE_MS)
    (moved,) = by_hand(system, "once")
    assert (moved.amount, moved.comment, moved.actor) == (-25_000, "Card terminal was down", "helpdesk:maria")
    again = adjust(maria, panel, "-2.50", "Card terminal was down")
    assert again.act_button.text() == "Do it again"
    assert any(text.startswith("The same was done") for text in again.lines.texts())
    assert "Card terminal was down" in maria.people.person._session.desk.reasons
    again.reject()


def test_what_is_above_a_limit_is_not_sent_and_the_server_refuses_it_too(
    maria: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    panel = opened(maria, system, "limits", 1.0, qtbot)
    form = adjust(maria, panel, "20.0001", "too much")
    assert form.told.text() == "You may move at most 20.00 EUR at once."
    assert not form.act_button.isEnabled()
    form.reject()
    system.change_operator("maria", SetOperator(limit_each=10_000))
    form = adjust(maria, panel, "1.50", "the limit fell meanwhile")

    def known() -> bool:
        session.desk.refresh_caller()
        return form.told.text() == "You may move at most 1.00 EUR at once."

    qtbot.waitUntil(known, timeout=DEADLINE_MS)
    form.act_button.setEnabled(True)
    form.act()
    qtbot.waitUntil(lambda: told(panel).startswith("Not adjusted: +1.50 EUR for limits"), timeout=DEADLINE_MS)
    assert "1.00 EUR at once" in told(panel)
    assert system.user("limits").balance == 10_000
    system.change_operator("maria", SetOperator(limit_each=200_000))


def test_a_refund_by_pages_is_undone_and_the_rest_given_back(
    maria: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    panel = opened(maria, system, "refunds", 3.0, qtbot)
    system.print_job(provider, "free", "refunds", "Poster", 10)
    qtbot.waitUntil(lambda: panel.jobs.rowCount() == 1, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 2.50 EUR", timeout=DEADLINE_MS)
    panel.jobs_table.selectRow(0)
    maria.actions_["refund_job"].trigger()
    form = dialog(panel, RefundDialog)
    form.what.setCurrentIndex(2)
    form.value.setText("4")
    form.reason.setText("smeared")
    assert "Gives back 0.20 EUR" in form.lines.texts()
    form.act_button.click()
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 2.70 EUR", timeout=DEADLINE_MS)
    wanted = "0.20 EUR were given back; 0.30 EUR stay charged"
    qtbot.waitUntil(lambda: panel.jobs.index(0, 6).data() == wanted, timeout=DEADLINE_MS)
    assert panel.transfers.index(0, 1).data() == "Refund"
    panel.transfers_table.selectRow(0)
    maria.actions_["undo_transfer"].trigger()
    undo = dialog(panel, ReverseDialog)
    undo.reason.setText("wrong job")
    undo.act_button.click()
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 2.50 EUR", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: panel.transfers.index(1, 1).data() == "Refund, undone", timeout=DEADLINE_MS)
    panel.jobs_table.selectRow(0)
    maria.actions_["refund_job"].trigger()
    form = dialog(panel, RefundDialog)
    form.reason.setText("whole")
    assert "Gives back 0.50 EUR" in form.lines.texts()
    form.act_button.click()
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 3.00 EUR", timeout=DEADLINE_MS)
    assert [found.amount for found in by_hand(system, "refunds")] == [5_000, -2_000, 2_000]
    maria.actions_["copy_person"].trigger()
    text = QGuiApplication.clipboard().text()
    assert "Balance 3.00 EUR" in text
    assert "“Poster”" in text
    assert "0.50 EUR were given back, all of it" in text


def test_why_it_was_denied_and_a_held_job_released_from_the_person(
    maria: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    panel = opened(maria, system, "poor", 0.12, qtbot)
    system.authorise(provider, "free", "poor", "Too long", 8)
    qtbot.waitUntil(lambda: panel.jobs.rowCount() == 1, timeout=DEADLINE_MS)
    assert panel.jobs.index(0, 6).data() == "it would have cost 0.40 EUR, 0.12 EUR was left"
    panel.jobs_table.selectRow(0)
    assert panel.why.texts()[0] == "Denied: it would have cost 0.40 EUR, 0.12 EUR was left"
    held = system.authorise(provider, "hold", "poor", "Waits", 1)
    panel.choose("held")
    qtbot.waitUntil(lambda: panel.jobs.row_of(held.job_id) == 0, timeout=DEADLINE_MS)
    panel.jobs_table.selectRow(0)
    maria.actions_["release_jobs"].trigger()
    qtbot.waitUntil(lambda: told(panel) == "Released: “Waits” of poor.", timeout=DEADLINE_MS)


def test_an_auditor_sees_no_button_that_would_be_refused(
    window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    system.operator("audrey", "auditor", PASSWORD, "Audrey")
    log_in(window, system, "audrey")
    qtbot.waitUntil(lambda: session.desk.why_not() == "", timeout=DEADLINE_MS)
    panel = opened(window, system, "seen", 1.0, qtbot)
    panel.transfers_table.selectRow(0)
    names: tuple[Name, ...] = ("adjust", "undo_transfer", "release_jobs", "refund_job", "tick_off")
    for name in names:
        assert not window.actions_[name].isEnabled()
        assert "role auditor does not allow it" in window.actions_[name].toolTip()
    assert not panel.head.adjust_button.isEnabled()
    assert panel.head.copy_button.isEnabled()


def test_a_card_that_is_swiped_opens_its_person(maria: MainWindow, system: System, qtbot: QtBot) -> None:
    system.add_person("swiped", "Swiped Person", 1.0)
    system.add_person("other", "Other Person", 1.0)
    system._rpc("setUserProperty", "swiped", "primary-card-number", "88004711")
    system._rpc("setUserProperty", "other", "primary-card-number", "880047112")
    maria.actions_["find"].trigger()
    search = maria.people.search
    QTest.keyClicks(search.field, "88004711")
    QTest.keyClick(search.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: maria.people.person.name == "swiped", timeout=DEADLINE_MS)
    found = search.model.user(search.model.row_of_number("88004711"))
    assert found is not None
    assert search.model.hint(found) == "card 88004711"
    assert search.field.selectedText() == "88004711"


# ---------------------------------------------------------------- killed, frozen, lost


def test_a_server_killed_and_one_frozen_meanwhile_each_adjustment_lands_once(
    maria: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    panel = opened(maria, system, "storm", 10.0, qtbot)
    system.server.kill9()
    adjust(maria, panel, "1.00", "while it is dead").act_button.click()
    qtbot.waitUntil(lambda: told(panel).startswith("Unknown whether +1.00 EUR for storm"), timeout=DEADLINE_MS)
    assert panel.told.again_button.isVisible()
    system.server.start()
    system.server.wait_for_port(system.port, 60)
    panel.told.again_button.click()
    qtbot.waitUntil(lambda: told(panel).startswith("Adjusted: +1.00 EUR for storm"), timeout=DEADLINE_MS)
    system.server.signal(signal.SIGSTOP)
    try:
        adjust(maria, panel, "2.00", "while it is frozen").act_button.click()
        qtbot.waitUntil(lambda: told(panel).startswith("Unknown whether +2.00 EUR for storm"), timeout=DEADLINE_MS)
    finally:
        system.server.signal(signal.SIGCONT)
    qtbot.waitUntil(lambda: told(panel).startswith("Adjusted: +2.00 EUR for storm"), timeout=DEADLINE_MS)
    assert [found.amount for found in by_hand(system, "storm")] == [20_000, 10_000]
    assert system.user("storm").balance == 130_000


def test_a_console_killed_before_its_answer_finds_the_command_again_and_it_lands_once(
    theme: Theme, system: System, tmp_path: Path, qtbot: QtBot
) -> None:
    system.add_person("killed", "Killed", 1.0)
    token = system.token("helpdesk", "killed-console")
    outbox = tmp_path / "kept" / "outbox.log"
    argv = [sys.executable, "-m", "tests.support.console_desk", system.url, token, str(outbox), "killed", "5000"]
    console = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert console.stdin is not None
    assert console.stdout is not None
    try:
        assert console.stdout.readline() == "ready\n"
        system.server.signal(signal.SIGSTOP)
        console.stdin.write("pay\n")
        console.stdin.flush()
        assert console.stdout.readline() == "kept\n"
        second = Session(Store(), AsyncBridge(), outbox)
        assert "another console with this profile is open" in second.desk.why_not()
        assert second.close()
    finally:
        console.kill()
        console.wait(10)
        console.stdin.close()
        console.stdout.close()
        system.server.signal(signal.SIGCONT)
    session = Session(Store(), AsyncBridge(), outbox)
    window = MainWindow(theme, session, ConsoleSettings(), tmp_path / "console.toml")
    window.show()
    settled: list[str] = []
    session.desk.settled.connect(lambda item: settled.append(item.phase))
    session.open(Profile((system.url,), system.helpdesk))  # somebody else: nothing is sent, nothing is told
    qtbot.waitUntil(lambda: session.desk.why_not() == "", timeout=DEADLINE_MS)
    assert (session.desk.items, len(session.desk.foreign)) == ([], 1)
    session.open(Profile((system.url,), token))
    qtbot.waitUntil(lambda: settled == ["done"], timeout=DEADLINE_MS)
    assert window.live.jobs.told.accessibleName().startswith("Adjusted: +0.50 EUR for killed")
    assert [found.amount for found in system.transfers("killed") if found.actor.endswith("killed-console")] == [5_000]
    window.close()
    assert session.close()


def test_a_wrong_password_is_told_and_too_many_are_waited_out(
    window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    """Stands last: wrong passwords slow all of this machine's log-ins down."""
    log_in(window, system, "nobody", "wrong")
    pane = window.connect_pane
    qtbot.waitUntil(lambda: pane.problem.text() == "The name or the password is wrong.", timeout=DEADLINE_MS)

    def delayed() -> bool:
        if pane.attempt.ready:
            pane.password.setText("wrong")
            pane.connect_button.click()
        return pane.problem.text().startswith("Too many log-ins failed: wait ")

    qtbot.waitUntil(delayed, timeout=DEADLINE_MS)
    assert not pane.connect_button.isEnabled()
    qtbot.waitUntil(lambda: pane.connect_button.isEnabled(), timeout=DEADLINE_MS)
    assert pane.problem.text() == "Too many log-ins failed. Now you may try again."
    pane.servers.setText("http://127.0.0.1:9")
    pane.connect_button.click()
    qtbot.waitUntil(lambda: pane.problem.text().startswith("No server answers"), timeout=DEADLINE_MS)
