"""The administrator's pages over a real server: what they show is what it holds, and what they change is there."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.core import administration
from app.core.access import MEANINGS
from app.core.profiles import Profile
from app.models import audit as auditlist
from app.models import jobs, printlog, userlist
from app.qt.session import Session
from app.views.forms import Confirm
from app.views.operators import OperatorDialog
from app.views.queue import QueueDialog, RulesDialog
from app.views.settings import SettingDialog
from app.views.tokens import TokenDialog
from app.views.useredit import ImportDialog, UserDialog
from app.views.userend import DeleteDialog, RenameDialog
from app.views.window import MainWindow
from backend.wire.pricing import SimpleCost, StandardCost, with_version
from backend.wire.printers import QueueReport, SetQueue
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


def test_a_list_that_is_full_says_so_and_goes_on_below(
    admin: MainWindow, system: System, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    page = admin.print_log
    for number in range(5):
        system.print_job(provider, "library", "wei", f"Leaf {number}", 1)
    monkeypatch.setattr(jobs, "MAX_ROWS", 2)
    page.show_user("wei")
    admin.actions_["print_log"].trigger()
    qtbot.waitUntil(lambda: titles(admin) == ["Leaf 4", "Leaf 3"], timeout=DEADLINE_MS)
    assert page.onward.accessibleName().startswith("The list holds 2 jobs at most; there may be older ones.")
    page.onward.older.click()
    qtbot.waitUntil(lambda: titles(admin) == ["Leaf 2", "Leaf 1"], timeout=DEADLINE_MS)
    assert page.count_text == "2 jobs"
    system.print_job(provider, "library", "wei", "Leaf 5", 1)  # what comes meanwhile belongs above
    page.reread()
    monkeypatch.setattr(jobs, "MAX_ROWS", 3)
    page.onward.newest.click()
    qtbot.waitUntil(lambda: titles(admin) == ["Leaf 5", "Leaf 4", "Leaf 3"], timeout=DEADLINE_MS)
    assert page.onward.newest.isHidden()
    page.clear()
    monkeypatch.setattr(administration, "AUDIT_ROWS", 3)
    monkeypatch.setattr(auditlist, "MAX_ENTRIES", 3)
    log = admin.audit
    admin.actions_["audit"].trigger()
    qtbot.waitUntil(lambda: log.model.rowCount() == 3, timeout=DEADLINE_MS)
    first = log.model.oldest
    log.onward.older.click()
    qtbot.waitUntil(lambda: log.model.rowCount() == 3 and log.model.oldest < first, timeout=DEADLINE_MS)
    assert log.onward.accessibleName().startswith("The list holds 3 entries at most; there may be older ones.")
    log.onward.newest.click()
    qtbot.waitUntil(lambda: log.model.oldest >= first, timeout=DEADLINE_MS)


def test_the_rail_shows_what_a_role_may_see(window: MainWindow, session: Session, system: System, qtbot: QtBot) -> None:
    connect(session, system.url, system.helpdesk, qtbot)
    shown = {name for name, button in window.rail.buttons.items() if not button.isHidden()}
    assert shown == {"live", "people", "print_log", "history"}
    assert not window.actions_["queues"].isVisible()


def test_queues_are_changed_many_at_once_and_only_what_was_touched(
    admin: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    system.change_queue("physics", SetQueue(hold_jobs=True))
    page = admin.queues
    admin.actions_["queues"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() == 3, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: "held" in [page.model.text(row, 5) for row in range(3)], timeout=DEADLINE_MS)
    page.table.selectAll()
    page.edit_button.click()
    dialog = page.dialog
    assert isinstance(dialog, QueueDialog)
    assert dialog.hold.checkState() is Qt.CheckState.PartiallyChecked
    assert not dialog.save_button.isEnabled()
    dialog.cost.price.setText("five")
    assert "not an amount" in dialog.cost.told.text()
    assert not dialog.save_button.isEnabled()
    dialog.cost.price.setText("0.12")
    dialog.cost.duplex.setText("50")
    assert "greyscale, two-sided 0.60 EUR" in dialog.cost.told.text()
    assert dialog.shown.text().startswith("Changes on 3 of 3 queues:")
    dialog.save_button.click()
    qtbot.waitUntil(lambda: dialog.told.text().startswith("Changed on 3 queues"), timeout=DEADLINE_MS)
    dialog.reject()
    found = {queue.name: (with_version(queue.cost, 1), queue.hold_jobs) for queue in system.queues()}
    rule = SimpleCost(per_impression=1200, duplex_discount=50)
    assert found == {"library": (rule, False), "physics": (rule, True), "office": (rule, False)}


def test_a_table_of_prices_is_written_and_its_versions_are_kept(
    admin: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    page = admin.queues
    admin.actions_["queues"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() == 3, timeout=DEADLINE_MS)
    library = next(queue for queue in system.queues() if queue.name == "library")
    qtbot.waitUntil(lambda: page.model.row_of(str(library.queue_id)) >= 0, timeout=DEADLINE_MS)
    page.table.selectRow(page.model.row_of(str(library.queue_id)))
    page.edit()
    dialog = page.dialog
    assert isinstance(dialog, QueueDialog)
    editor = dialog.cost
    editor.model.setCurrentIndex(editor.model.findData("standard"))
    editor.add_button.click()
    for column, text in enumerate(("a3", "0.10", "0.08", "0.40", "0.32")):
        item = editor.table.item(1, column)
        assert item is not None
        item.setText(text)
    dialog.save_button.click()
    qtbot.waitUntil(lambda: dialog.told.text().startswith("Changed"), timeout=DEADLINE_MS)
    dialog.versions_button.click()
    (rules,) = dialog.findChildren(RulesDialog)
    qtbot.waitUntil(lambda: rules.model.rowCount() >= 2, timeout=DEADLINE_MS)
    assert "2 rows of prices" in rules.model.text(0, 1)
    rules.reject()
    dialog.reject()
    cost = next(queue.cost for queue in system.queues() if queue.name == "library")
    assert isinstance(cost, StandardCost)
    assert (cost.media[0].media, cost.media[0].cost.color_duplex) == ("a3", 3200)


def test_users_are_listed_sorted_and_filtered_by_the_server_made_and_edited(
    admin: MainWindow, system: System, qtbot: QtBot
) -> None:
    page = admin.users
    admin.actions_["users"].trigger()
    qtbot.waitUntil(lambda: {"mira", "wei"} <= set(names(admin)), timeout=DEADLINE_MS)
    page.make()
    dialog = page.dialog
    assert isinstance(dialog, UserDialog)
    dialog.act_button.click()
    assert dialog.told.text() == "A login is missing."
    dialog.name.setText("Zoe")
    dialog.details["full_name"].setText("Zoe Adams")
    dialog.details["card_number"].setText("4711")
    dialog.act_button.click()
    qtbot.waitUntil(lambda: dialog.told.text() == "Created.", timeout=DEADLINE_MS)
    dialog.reject()
    page.table.horizontalHeader().sectionClicked.emit(userlist.FULL_NAME)
    qtbot.waitUntil(lambda: names(admin)[-1:] == ["zoe"], timeout=DEADLINE_MS)
    page.table.horizontalHeader().sectionClicked.emit(userlist.FULL_NAME)
    qtbot.waitUntil(lambda: names(admin)[:1] == ["zoe"], timeout=DEADLINE_MS)
    page.field.setText("4711")
    qtbot.waitUntil(lambda: names(admin) == ["zoe"], timeout=DEADLINE_MS)
    page.table.selectRow(0)
    page.edit()
    form = page.dialog
    assert isinstance(form, UserDialog)
    form.until.setText("soon")
    form.act_button.click()
    assert "is not a day" in form.told.text()
    form.until.setText("")
    form.restricted.setChecked(True)
    form.mode.setCurrentIndex(1)
    form.overdraft.setText("2.50")
    form.act_button.click()
    qtbot.waitUntil(lambda: form.told.text() == "Changed.", timeout=DEADLINE_MS)
    form.reject()
    wanted = ("credit", "2.50 EUR")
    cells = (userlist.LIMIT, userlist.OVERDRAFT)
    qtbot.waitUntil(lambda: tuple(page.model.index(0, cell).data() for cell in cells) == wanted, timeout=DEADLINE_MS)
    page.table.selectRow(0)
    page.open_person()
    panel = admin.people.person
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName().startswith("Balance:"), timeout=DEADLINE_MS)
    page.clear()


def test_a_user_is_renamed_the_old_login_stays_an_alias_and_deleted_after_the_login_was_typed(
    admin: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    page = admin.users
    system.add_person("quin", "Quin Ode", 3.0)
    system.change_queue("library", SetQueue(hold_jobs=True))
    held = system.authorise(provider, "library", "quin", "Waits", 1)
    admin.actions_["users"].trigger()
    page.field.setText("quin")
    qtbot.waitUntil(lambda: names(admin) == ["quin"], timeout=DEADLINE_MS)
    page.table.selectRow(0)
    page.rename_button.click()
    form = page.dialog
    assert isinstance(form, RenameDialog)
    form.act_button.click()
    assert form.told.text() == "Type the new login first."
    form.name.setText("UNI\\Quincy")
    QTest.keyClick(form.name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: form.told.text() == "Renamed.", timeout=DEADLINE_MS)
    form.reject()
    qtbot.waitUntil(lambda: names(admin) == ["quincy"], timeout=DEADLINE_MS)
    assert (system.user("quincy").alias, system.user("quincy").balance) == ("quin", 30_000)
    page.table.selectRow(0)
    admin.actions_["delete_user"].trigger()
    asks = page.dialog
    assert isinstance(asks, DeleteDialog)
    said = asks.becomes.texts
    qtbot.waitUntil(lambda: any(line.startswith("1 held job waits") for line in said()), timeout=DEADLINE_MS)
    assert said()[0] == "The balance of 3.00 EUR stays in the books and is nobody’s: set it to zero first if it is due."
    assert not asks.act_button.isEnabled()
    asks.typed.setText("quincy")
    assert (asks.act_button.isEnabled(), asks.act_button.isDefault()) == (True, False)
    asks.redact.setChecked(True)
    asks.act_button.click()
    qtbot.waitUntil(lambda: asks.told.text().startswith("Deleted. The account stays as “deleted-"), timeout=DEADLINE_MS)
    assert asks.told.text().endswith("with 3.00 EUR.")
    assert not asks.act_button.isEnabled()
    asks.reject()
    qtbot.waitUntil(lambda: page.state_pane.accessibleName().startswith("Nobody fits"), timeout=DEADLINE_MS)
    page.clear()
    assert system.ask_again(provider, held).code != ""
    system.change_queue("library", SetQueue(hold_jobs=False))


def names(window: MainWindow) -> list[str]:
    model = window.users.model
    return [str(model.index(row, userlist.NAME).data()) for row in range(model.rowCount())]


def test_users_are_imported_after_a_dry_run_and_what_was_refused_is_saved(
    admin: MainWindow, system: System, tmp_path: Path, qtbot: QtBot
) -> None:
    file, refused = tmp_path / "users.csv", tmp_path / "refused.csv"
    rows = [f"new{number},Person {number},x{number}" for number in range(700)]
    file.write_text("\n".join(("name,full_name,card_number", *rows, ",Nobody,1", "new5,Twice,2")), encoding="utf-8")
    admin.actions_["users"].trigger()
    admin.users.bring_in()
    dialog = admin.users.dialog
    assert isinstance(dialog, ImportDialog)
    dialog.path.setText(str(file))
    dialog.act_button.click()
    expected = "700 would be created, 0 would be changed, 0 unchanged, 2 refused."
    qtbot.waitUntil(lambda: dialog.told.text() == expected, timeout=DEADLINE_MS)
    assert "Line 703, new5: " in dialog.refused.text()
    dialog.save_troubles(refused)
    assert refused.read_text(encoding="utf-8").startswith("line,name,why\n702,")
    assert dialog.act_button.text() == "Import them"
    dialog.act_button.click()
    expected = "700 created, 0 changed, 0 unchanged, 2 refused."
    qtbot.waitUntil(lambda: dialog.told.text() == expected, timeout=DEADLINE_MS)
    dialog.path.setText(str(tmp_path / "none.csv"))
    dialog.act_button.click()
    qtbot.waitUntil(lambda: "cannot be read" in dialog.told.text(), timeout=DEADLINE_MS)
    dialog.reject()
    admin.users.field.setText("new")
    qtbot.waitUntil(lambda: admin.users.model.rowCount() == 700, timeout=DEADLINE_MS)
    assert admin.users.model.held < 700
    admin.users.table.scrollToBottom()
    qtbot.waitUntil(lambda: admin.users.model.row_at(699) is not None, timeout=DEADLINE_MS)
    admin.users.clear()


def test_operators_are_made_limited_and_disabled(admin: MainWindow, system: System, qtbot: QtBot) -> None:
    page = admin.operators
    admin.actions_["operators"].trigger()
    qtbot.waitUntil(lambda: page.value is not None, timeout=DEADLINE_MS)
    page.make()
    dialog = page.dialog
    assert isinstance(dialog, OperatorDialog)
    dialog.name.setText("anna")
    dialog.password.setText("a-long-password")
    dialog.act_button.click()
    assert dialog.told.text() == "The two passwords differ."
    dialog.again.setText("a-long-password")
    dialog.each.setText("20")
    dialog.act_button.click()
    qtbot.waitUntil(lambda: dialog.told.text() == "Created.", timeout=DEADLINE_MS)
    assert dialog.password.text() == ""
    dialog.reject()
    qtbot.waitUntil(lambda: page.model.row_of("anna") >= 0, timeout=DEADLINE_MS)
    assert page.model.text(page.model.row_of("anna"), 4) == "20.00 EUR"
    page.table.selectRow(page.model.row_of("anna"))
    page.disable_button.click()
    asks = page.dialog
    assert isinstance(asks, Confirm)
    assert asks.close_button.isDefault()
    assert asks.act_button.text() == "Disable anna"
    asks.act_button.click()
    qtbot.waitUntil(lambda: page.told.accessibleName() == "anna is disabled.", timeout=DEADLINE_MS)
    assert page.model.text(page.model.row_of("anna"), 3) == "no, disabled"


def test_a_token_is_told_once_and_revoked(admin: MainWindow, system: System, qtbot: QtBot) -> None:
    page = admin.tokens
    admin.actions_["tokens"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() > 0, timeout=DEADLINE_MS)
    page.make()
    dialog = page.dialog
    assert isinstance(dialog, TokenDialog)
    dialog.name.setText("kiosk")
    dialog.act_button.click()
    qtbot.waitUntil(lambda: bool(dialog.token.text()), timeout=DEADLINE_MS)
    dialog.copy()
    assert QGuiApplication.clipboard().text() == dialog.token.text()
    assert not dialog.act_button.isEnabled()
    dialog.reject()
    qtbot.waitUntil(lambda: "kiosk" in tokens(admin), timeout=DEADLINE_MS)
    page.table.selectRow(tokens(admin).index("kiosk"))
    page.revoke_button.click()
    assert isinstance(page.dialog, Confirm)
    page.dialog.act_button.click()
    qtbot.waitUntil(lambda: page.told.accessibleName() == "The token of kiosk is revoked.", timeout=DEADLINE_MS)
    assert page.model.text(tokens(admin).index("kiosk"), 0) == "Revoked"


def tokens(window: MainWindow) -> list[str]:
    return [window.tokens.model.text(row, 1) for row in range(window.tokens.model.rowCount())]


def test_a_setting_is_changed_in_the_ledgers_amounts(admin: MainWindow, system: System, qtbot: QtBot) -> None:
    page = admin.settings
    admin.actions_["settings"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() > 0, timeout=DEADLINE_MS)
    page.table.selectRow(page.model.row_of("users.initial-credit"))
    page.edit_button.click()
    dialog = page.dialog
    assert isinstance(dialog, SettingDialog)
    dialog.value.setText("1.00001")
    dialog.act_button.click()
    assert "at most 4 decimals" in dialog.told.text()
    dialog.value.setText("1.50")
    dialog.act_button.click()
    qtbot.waitUntil(lambda: dialog.told.text().startswith("Changed"), timeout=DEADLINE_MS)
    dialog.reject()
    row = page.model.row_of("users.initial-credit")
    qtbot.waitUntil(lambda: page.model.text(row, 1) == "1.50 EUR", timeout=DEADLINE_MS)
    assert set(MEANINGS) == {page.model.line_id(row) for row in range(page.model.rowCount())}


def test_an_auditor_sees_who_did_what_and_nothing_to_change(
    window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    connect(session, system.url, system.token("auditor", "watcher"), qtbot)
    shown = {name for name, button in window.rail.buttons.items() if not button.isHidden()}
    assert shown == {"live", "people", "print_log", "history", "audit"}
    page = window.audit
    window.actions_["audit"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() > 0, timeout=DEADLINE_MS)
    page.field.setText("watcher")
    qtbot.waitUntil(lambda: cells(window, 3)[:1] == ["Token created"], timeout=DEADLINE_MS)
    page.field.setText("nothing-of-that-name")
    qtbot.waitUntil(lambda: page.state_pane.accessibleName().startswith("Nothing found"), timeout=DEADLINE_MS)
    page.clear()
    qtbot.waitUntil(lambda: page.model.rowCount() > 1, timeout=DEADLINE_MS)


def cells(window: MainWindow, column: int) -> list[str]:
    model = window.audit.model
    return [str(model.index(row, column).data()) for row in range(model.rowCount())]
