"""Finding a person: only the last text counts, and the keyboard is enough."""

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.core.queries import Read
from app.qt.lookup import Lookup
from app.qt.session import Session
from app.views.window import MainWindow
from backend.wire.people import UserList
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_cluster import TOKEN, Cluster


def names(read: object) -> list[str]:
    assert isinstance(read, Read)
    assert isinstance(read.value, UserList)
    return [user.name for user in read.value.users]


def test_a_late_answer_to_an_earlier_text_is_ignored(session: Session, cluster: Cluster, qtbot: QtBot) -> None:
    cluster.change(slow={"mi": 1.0})
    session.open(Profile(cluster.urls, TOKEN))
    lookup = Lookup(session, debounce_ms=1)
    found: list[list[str]] = []
    asked: list[str] = []
    lookup.found.connect(lambda read: found.append(names(read)))
    lookup.searching.connect(asked.append)
    lookup.type("mi")
    qtbot.waitUntil(lambda: asked == ["mi"], timeout=DEADLINE_MS)
    lookup.type("wei")
    qtbot.waitUntil(lambda: bool(found), timeout=DEADLINE_MS)
    qtbot.wait(1500)  # longer than the slow answer takes: it would have come by now
    assert found == [["wei"]]


def test_fast_typing_asks_once(session: Session, cluster: Cluster, qtbot: QtBot) -> None:
    session.open(Profile(cluster.urls, TOKEN))
    lookup = Lookup(session, debounce_ms=120)
    asked: list[str] = []
    found: list[list[str]] = []
    lookup.searching.connect(asked.append)
    lookup.found.connect(lambda read: found.append(names(read)))
    for text in ("m", "mi", "mir", "mire"):
        lookup.type(text)
    qtbot.waitUntil(lambda: bool(found), timeout=DEADLINE_MS)
    assert asked == ["mire"]
    assert found == [["mireille"]]


def test_one_letter_is_asked_for_only_by_enter(session: Session, cluster: Cluster, qtbot: QtBot) -> None:
    session.open(Profile(cluster.urls, TOKEN))
    lookup = Lookup(session, debounce_ms=1)
    found: list[list[str]] = []
    cleared: list[bool] = []
    lookup.found.connect(lambda read: found.append(names(read)))
    lookup.cleared.connect(lambda: cleared.append(True))
    lookup.type("w")
    assert cleared == [True]
    lookup.submit()
    qtbot.waitUntil(lambda: bool(found), timeout=DEADLINE_MS)
    assert found == [["wei"]]


def test_by_keyboard_alone_from_the_shortcut_to_the_balance(live: MainWindow, qtbot: QtBot) -> None:
    QTest.keyClick(live, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    search = live.people.search
    QTest.keyClicks(search.field, "mir")
    qtbot.waitUntil(lambda: search.model.rowCount() == 4, timeout=DEADLINE_MS)
    QTest.keyClick(search.field, Qt.Key.Key_Down)
    QTest.keyClick(search.field, Qt.Key.Key_Return)
    head = live.people.person.head
    qtbot.waitUntil(lambda: head.balance.accessibleName() == "Balance: −0.25 EUR", timeout=DEADLINE_MS)
    assert search.field.hasFocus() or live.focusWidget() is search.field
    QTest.keyClick(search.field, Qt.Key.Key_Escape)
    assert search.field.text() == ""


def test_who_logs_in_next_does_not_see_whom_the_one_before_had_found(
    live: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    live.actions_["find"].trigger()
    search = live.people.search
    QTest.keyClicks(search.field, "mir")
    qtbot.waitUntil(lambda: search.model.rowCount() == 4, timeout=DEADLINE_MS)
    session.open(Profile(cluster.urls, TOKEN))
    assert (search.field.text(), search.model.rowCount()) == ("", 0)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    assert search.model.rowCount() == 0


def test_the_person_shows_money_jobs_and_transfers(live: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    panel = live.people.person
    live.actions_["find"].trigger()
    panel.open_person("wei")
    qtbot.waitUntil(lambda: panel.transfers.rowCount() > 0, timeout=DEADLINE_MS)
    figures = {name: figure.accessibleName() for name, figure in panel.head.figures.items()}
    assert figures["Available"] == "Available: 0.10 EUR"
    assert panel.jobs.index(0, 6).data() == "the account did not cover it, nothing was left"
    assert panel.source_text().startswith("Read from 127.0.0.1:")


def test_a_balance_that_cannot_be_read_again_is_marked_as_old(live: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    panel = live.people.person
    live.actions_["find"].trigger()
    panel.open_person("mira")
    qtbot.waitUntil(lambda: panel.transfers.rowCount() > 0, timeout=DEADLINE_MS)
    for server in cluster.servers:
        server.kill9()
    qtbot.waitUntil(lambda: "no server answers now" in panel.source_text(), timeout=DEADLINE_MS)
    assert panel.head.balance.accessibleName() == "Balance: 18.45 EUR"


def test_somebody_who_is_gone_is_said_to_be_gone(live: MainWindow, qtbot: QtBot) -> None:
    panel = live.people.person
    live.actions_["find"].trigger()
    panel.open_person("nobody/../x")
    qtbot.waitUntil(lambda: panel.state_pane.accessibleName().startswith("Not found"), timeout=DEADLINE_MS)


def test_a_role_without_people_is_told_so(live: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    cluster.change(forbidden=["users"])
    live.actions_["find"].trigger()
    search = live.people.search
    QTest.keyClicks(search.field, "mira")
    qtbot.waitUntil(lambda: search.state_pane.accessibleName().startswith("Not allowed"), timeout=DEADLINE_MS)
    assert not search.state_pane.button.isVisible()
