"""Actions on a real cluster from the console: two servers on PostgreSQL, the dialog, its dry run, what becomes of it.

What a real cluster cannot be made to do at will (swallow an answer, refuse a role in the middle) is played by the
console's own cluster of processes.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.qt.session import Session
from app.views.operation import OperationDialog
from app.views.window import MainWindow
from backend.wire.cluster import ClusterEvent, Event, Objection, Plan
from tests.integration.app.test_window import nameless
from tests.support.app_server import AppServer
from tests.support.console_cluster import TOKEN, Cluster
from tests.support.console_world import NOW_MS, server, small_topology
from tests.support.postgresql import Postgres

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("console-pair")]  # they share a cluster

DEADLINE_MS = 120_000
START_S = 120.0
QUICK = "[cluster]\ndrain_grace_s = 0.5\n"


class Pair:
    """Two real servers of one cluster, and tokens for them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.servers = [
            AppServer(folder, database_url=database_url, name=name, more=QUICK) for name in ("app-1", "app-2")
        ]
        self.servers[0].command("migrate")
        self.admin = self.servers[0].command("token", "create", "--role", "admin", "--name", "grace")
        self.helpdesk = self.servers[0].command("token", "create", "--role", "helpdesk", "--name", "ada")
        for found in self.servers:
            found.process.shared = True

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(found.url for found in self.servers)

    def named(self, name: str) -> AppServer:
        return self.servers[("app-1", "app-2").index(name)]

    def start(self) -> None:
        """Whatever does not run."""
        dead = [found for found in self.servers if not found.process.running]
        for found in dead:
            found.process.start()
        for found in dead:
            found.process.wait_for_port(found.port, START_S)

    def as_new(self) -> None:
        """Both run, none is to drain, no pause: whatever a test before left."""
        self.start()
        for action in ("undrain", "resume"):
            for name in ("app-1", "app-2") if action == "undrain" else ("",):
                httpx.post(
                    f"{self.urls[0]}/api/v1/cluster/actions",
                    json={"action": action, "subject": name},
                    headers={"Authorization": f"Bearer {self.admin}"},
                    timeout=START_S,
                    trust_env=False,
                )

    def stop(self) -> None:
        for found in self.servers:
            found.stop()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Pair]:
    """One cluster for all tests here."""
    name = postgres.new_database()
    made = Pair(tmp_path_factory.mktemp("pair"), postgres.url(name))
    try:
        made.start()
        yield made
    finally:
        made.stop()
    postgres.drop_database(name)


@pytest.fixture
def pair(both: Pair) -> Pair:
    both.as_new()
    return both


def states(session: Session) -> dict[str, str]:
    topology = session.store.state.topology
    return {view.name: view.state for view in topology.servers} if topology is not None else {}


def to_drain(session: Session) -> list[str]:
    topology = session.store.state.topology
    return [view.name for view in topology.servers if view.wanted == "draining"] if topology is not None else []


def leader(session: Session) -> str:
    topology = session.store.state.topology
    return next((view.name for view in topology.servers if view.leader), "") if topology is not None else ""


@pytest.fixture
def console(window: MainWindow, session: Session, pair: Pair, qtbot: QtBot) -> MainWindow:
    """Connected as an administrator, both servers serving, one of them leading, the history read."""
    session.open(Profile(pair.urls, pair.admin))
    serving = {"app-1": "serving", "app-2": "serving"}
    qtbot.waitUntil(lambda: states(session) == serving and bool(leader(session)), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)
    return window


def other(session: Session) -> str:
    return "app-2" if leader(session) == "app-1" else "app-1"


def opened(window: MainWindow) -> OperationDialog:
    dialog = window.operations.dialog
    assert dialog is not None
    return dialog


def says(dialog: OperationDialog, text: str) -> bool:
    return text in dialog.headline.text() or any(text in line for line in dialog.lines.texts())


def told(window: MainWindow, what: str, subject: str) -> bool:
    """Whether the history's table has such a row."""
    model = window.history.model
    rows = [(model.index(row, 2).data(), model.index(row, 3).data()) for row in range(model.rowCount())]
    return (what, subject) in rows


def test_a_server_is_drained_by_the_dialog_and_undrained(console: MainWindow, session: Session, qtbot: QtBot) -> None:
    name = other(session)
    console.operations.open("drain", name)
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    assert dialog.act_button.text() == f"Drain {name}"
    assert any("answers 503 on /health/ready" in step for step in dialog.steps.texts())
    assert says(dialog, f"only {leader(session)} is left to serve then")
    assert not to_drain(session)  # the dry run did nothing
    assert not dialog.act_button.isDefault()
    QTest.keyClick(dialog, Qt.Key.Key_Return)  # what takes something away is not done by Enter
    qtbot.waitUntil(lambda: console.operations.dialog is None, timeout=DEADLINE_MS)
    assert not to_drain(session)

    console.operations.open("drain", name)
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    dialog.act_button.click()
    qtbot.waitUntil(lambda: says(dialog, f"{name} is drained, it can be stopped"), timeout=DEADLINE_MS)
    assert dialog.headline.text() == "Done"
    card = console.live.topology.scene.cards[f"server:{name}"]
    assert (card.node.word, card.node.health) == ("Drained", "draining")
    dialog.close_button.click()
    qtbot.waitUntil(lambda: told(console, "Drained", name), timeout=DEADLINE_MS)
    begun = next(event for event in session.store.state.history.values() if event.kind == "member-draining")
    assert (begun.subject, begun.actor) == (name, "admin:grace")

    console.operations.open("undrain", name)
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    QTest.keyClick(dialog, Qt.Key.Key_Return)  # what gives back is the default
    qtbot.waitUntil(lambda: says(dialog, f"{name} serves"), timeout=DEADLINE_MS)


def test_leadership_is_handed_over_and_how_long_nobody_led_is_told(
    console: MainWindow, session: Session, qtbot: QtBot
) -> None:
    before, next_one = leader(session), other(session)
    console.actions_["switchover"].trigger()
    dialog = opened(console)
    assert [dialog.choice.itemData(place) for place in range(dialog.choice.count())] == ["", next_one]
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    assert dialog.act_button.text() == f"Let {next_one} lead"  # whichever is best has a name by now
    dialog.act_button.click()
    qtbot.waitUntil(lambda: says(dialog, f"{next_one} leads (term"), timeout=DEADLINE_MS)
    assert leader(session) == next_one
    qtbot.waitUntil(lambda: told(console, "Switchover begun", next_one), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: told(console, "New leader", next_one), timeout=DEADLINE_MS)
    assert console.live.topology.scene.badge_on == f"server:{next_one}"
    dialog.close_button.click()
    console.live.topology.scene.chosen.emit(f"server:{before}")
    details = console.live.topology.details
    assert [button.text() for button in details._buttons if button.isVisible()] == [
        f"Drain {before}…",
        f"Let {before} lead…",
    ]


def test_the_last_server_is_not_drained_and_a_death_meanwhile_is_seen(
    console: MainWindow, session: Session, pair: Pair, qtbot: QtBot
) -> None:
    """The plan on the screen is kept true: the other server dies while the dialog is open."""
    stays = leader(session)
    dies = other(session)
    console.operations.open("drain", stays)
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    pair.named(dies).process.kill9()
    qtbot.waitUntil(lambda: says(dialog, "no other server serves: nothing would be answered"), timeout=DEADLINE_MS)
    assert not dialog.act_button.isEnabled()
    assert dialog.headline.text() == "Blocked: it can only be forced"
    assert not dialog.force.isHidden()
    dialog.act_button.click()
    assert dialog.operation.talk.phase == "planned"
    dialog.force.click()
    assert (dialog.act_button.isEnabled(), dialog.act_button.text()) == (True, f"Drain {stays} anyway")
    dialog.force.click()
    assert not dialog.act_button.isEnabled()
    dialog.close_button.click()
    qtbot.waitUntil(lambda: states(session)[dies] == "gone", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: told(console, "Server gone", dies), timeout=DEADLINE_MS)
    assert console.live.topology.scene.cards[f"server:{dies}"].node.word == "Gone"

    console.operations.open("remove", dies)
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    dialog.act_button.click()
    qtbot.waitUntil(lambda: says(dialog, f"{dies} is forgotten"), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: f"server:{dies}" not in console.live.topology.scene.cards, timeout=DEADLINE_MS)


def test_with_every_server_dead_the_dialog_says_so_and_asks_again_when_one_is_back(
    console: MainWindow, session: Session, pair: Pair, qtbot: QtBot
) -> None:
    console.operations.open("pause")
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    for found in pair.servers:
        found.process.kill9()
    dialog.act_button.click()
    qtbot.waitUntil(lambda: dialog.operation.talk.phase in ("refused", "unknown"), timeout=DEADLINE_MS)
    assert says(dialog, "Nothing was done") or says(dialog, "Unknown")
    dialog.close_button.click()
    qtbot.waitUntil(lambda: console.operations.dialog is None, timeout=DEADLINE_MS)
    console.operations.open("pause")
    dialog = opened(console)
    qtbot.waitUntil(lambda: says(dialog, "No server answers"), timeout=DEADLINE_MS)
    assert not dialog.act_button.isEnabled()
    pair.start()
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)


def test_a_pause_is_seen_and_ended(console: MainWindow, session: Session, qtbot: QtBot) -> None:
    assert console.paused.isHidden()
    console.actions_["pause"].trigger()
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    dialog.act_button.click()
    qtbot.waitUntil(lambda: says(dialog, "The cluster is paused"), timeout=DEADLINE_MS)
    dialog.close_button.click()
    assert console.paused.isVisible()
    assert ("server", "draining", "Paused") in console.live.topology.scene.graph.alerts
    assert not console.actions_["pause"].isEnabled()
    qtbot.waitUntil(lambda: console.operations.dialog is None, timeout=DEADLINE_MS)
    console.paused.button.click()
    dialog = opened(console)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    dialog.act_button.click()
    qtbot.waitUntil(lambda: console.paused.isHidden(), timeout=DEADLINE_MS)


def test_a_role_without_the_right_sees_why(window: MainWindow, session: Session, pair: Pair, qtbot: QtBot) -> None:
    session.open(Profile(pair.urls, pair.helpdesk))
    qtbot.waitUntil(lambda: session.store.state.rights is not None and bool(states(session)), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: "takes the role admin" in window.actions_["drain"].toolTip(), timeout=DEADLINE_MS)
    assert not window.actions_["drain"].isEnabled()
    qtbot.waitUntil(lambda: told(window, "Server joined", "app-1"), timeout=DEADLINE_MS)  # it may look
    window.live.topology.scene.chosen.emit("server:app-1")
    details = window.live.topology.details
    assert all(not button.isEnabled() for button in details._buttons)
    assert "takes the role admin" in details._why_not.text()


# ---------------------------------------------------------------- what only a played cluster does

PLAN = Plan(action="drain", subject="app-02", steps=("app-02 answers 503 on /health/ready",))


@pytest.fixture
def played(live: MainWindow, cluster: Cluster, session: Session, qtbot: QtBot) -> MainWindow:
    """A console over a played cluster of two servers that plans a drain."""
    view = small_topology(cluster.urls[0], servers=(server("app-01", cluster.urls[0], leader=True), server("app-02")))
    cluster.change(topology=view, plan=PLAN)
    qtbot.waitUntil(lambda: "server:app-02" in live.live.topology.scene.cards, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)
    return live


def test_a_lost_answer_is_told_and_never_asked_for_again(
    played: MainWindow, cluster: Cluster, session: Session, qtbot: QtBot
) -> None:
    cluster.change(slow={"act": 120.0})
    played.operations.open("drain", "app-02")
    dialog = opened(played)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    dialog.act_button.click()
    qtbot.waitUntil(lambda: cluster.acted() == 1, timeout=DEADLINE_MS)
    assert dialog.headline.text() == "Asking the cluster to do it …"
    cluster.servers[0].kill9()
    qtbot.waitUntil(lambda: dialog.operation.talk.phase == "unknown", timeout=DEADLINE_MS)
    assert says(dialog, "Unknown: the answer was lost. Look at the state before you ask again")
    assert dialog.act_button.isHidden()
    assert dialog.again_button.isHidden()
    first = server("app-01", cluster.urls[0], leader=True)
    drained = msgspec.structs.replace(server("app-02", state="draining"), wanted="draining", drained=True)
    cluster.change(topology=small_topology(cluster.urls[0], servers=(first, drained)))
    cluster.servers[0].start()
    qtbot.waitUntil(lambda: says(dialog, "Done: the answer was lost, but the state shows it"), timeout=DEADLINE_MS)
    assert cluster.acted() == 0  # by the server that was started again


def test_a_refusal_that_comes_late_is_one_clear_line(played: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    played.operations.open("drain", "app-02")
    dialog = opened(played)
    qtbot.waitUntil(lambda: dialog.act_button.isEnabled(), timeout=DEADLINE_MS)
    cluster.change(forbidden=["operations"])
    dialog.act_button.click()
    qtbot.waitUntil(lambda: says(dialog, "Nothing was done: not allowed"), timeout=DEADLINE_MS)
    assert dialog.act_button.isHidden()


def test_a_blocking_objection_has_colour_shape_and_word(played: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    objections = (Objection(blocks=True, text="it would break"), Objection(blocks=False, text="it is late"))
    cluster.change(plan=msgspec.structs.replace(PLAN, steps=(), objections=objections))
    played.operations.open("drain", "app-02")
    dialog = opened(played)
    qtbot.waitUntil(lambda: dialog.headline.text() == "Blocked: it cannot be done now", timeout=DEADLINE_MS)
    assert dialog.operation.screen().lines == (
        ("error", "Against it: it would break"),
        ("warning", "To be known: it is late"),
    )
    names = [row[3].accessibleName() for row in dialog.lines._rows]
    assert names == ["Against it: it would break", "To be known: it is late"]
    assert dialog.force.isHidden()
    assert nameless(dialog) == []


def menu_texts() -> list[QAction]:
    menu = QApplication.activePopupWidget()
    return menu.actions() if isinstance(menu, QMenu) else []


@pytest.mark.qt_log_ignore("This plugin does not support (raise|grabbing)", extend=True)
def test_the_context_menu_is_reached_by_keyboard(played: MainWindow, qtbot: QtBot) -> None:
    view = played.live.topology.view
    place = view.mapFromScene(played.live.topology.scene.cards["server:app-02"].sceneBoundingRect().center())
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert played.live.topology.details.node_id == "server:app-02"
    menu = played.operations.popup("server:app-02", view.mapToGlobal(QPoint(0, 0)))
    assert menu is not None
    qtbot.waitUntil(lambda: bool(menu_texts()), timeout=DEADLINE_MS)
    assert [action.text() for action in menu_texts()] == ["Drain app-02…", "Let app-02 lead…"]
    menu.actions()[0].trigger()
    menu.close()
    assert opened(played).act_button.text() == "Drain app-02"
    assert played.operations.popup("provider:1", QPoint(0, 0)) is None


# ---------------------------------------------------------------- the history page


def event(number: int, **more: object) -> ClusterEvent:
    at = NOW_MS - 9_000_000 + number * 1000
    found = ClusterEvent(event_id=f"{number}.{number}", at=at, kind="member-joined", subject=f"app-{number}")
    return msgspec.structs.replace(found, **more)


def test_the_history_is_live_filtered_and_scrolled_to_its_end(
    window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    cluster.change(history=[event(number) for number in range(1, 451)])
    session.open(Profile(cluster.urls, TOKEN))
    page = window.history
    window.actions_["history"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() == 200, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: page.count_text() == "newest 200", timeout=DEADLINE_MS)
    cluster.put_event(event(451, kind="member-gone", cause="no sign of life"))
    qtbot.waitUntil(lambda: page.model.index(0, 2).data() == "Server gone", timeout=DEADLINE_MS)

    def at_the_end() -> bool:
        page.table.scrollToBottom()
        return page.model.rowCount() == 451 and page.model.complete

    qtbot.waitUntil(at_the_end, timeout=DEADLINE_MS)
    assert [page.model.index(row, 3).data() for row in (0, 450)] == ["app-451", "app-1"]
    page.field.setText("sign of life")
    assert (page.model.rowCount(), page.count_text()) == (1, "1 of 451 read  ·  all there are")
    page.field.setText("no such thing")
    assert page.state_pane.accessibleName().startswith("Nothing found")
    page.state_pane.button.click()
    assert page.model.rowCount() == 451
    assert nameless(page) == []


def test_after_a_reset_the_history_is_read_anew(
    window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    cluster.change(history=[event(number) for number in range(1, 6)])
    session.open(Profile(cluster.urls, TOKEN))
    model = window.history.model
    qtbot.waitUntil(lambda: model.rowCount() == 5, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    cluster.change(history=[event(9)])
    cluster.announce(Event(kind="reset", at=NOW_MS))
    qtbot.waitUntil(lambda: [model.index(row, 3).data() for row in range(model.rowCount())] == ["app-9"],
                    timeout=DEADLINE_MS)  # fmt: skip


def test_an_empty_a_forbidden_and_an_old_history_say_what_they_are(
    window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    page = window.history
    window.actions_["history"].trigger()
    assert page.state_pane.accessibleName().startswith("No history known")
    session.open(Profile(cluster.urls, TOKEN))
    qtbot.waitUntil(lambda: page.state_pane.accessibleName().startswith("Nothing has happened"), timeout=DEADLINE_MS)
    cluster.put_event(event(1))
    qtbot.waitUntil(lambda: page.model.rowCount() == 1, timeout=DEADLINE_MS)
    cluster.servers[0].kill9()
    qtbot.waitUntil(lambda: "as known" in page.count_text(), timeout=DEADLINE_MS)
    cluster.change(forbidden=["history"])
    cluster.servers[0].start()
    qtbot.waitUntil(lambda: page.state_pane.accessibleName().startswith("Not allowed"), timeout=DEADLINE_MS)


def test_events_are_copied_and_saved(
    window: MainWindow, session: Session, cluster: Cluster, tmp_path: Path, qtbot: QtBot
) -> None:
    cluster.change(history=[event(1), event(2, kind="member-gone", cause="no sign of life")])
    session.open(Profile(cluster.urls, TOKEN))
    page = window.history
    assert not window.actions_["copy_event"].isEnabled()
    window.actions_["history"].trigger()
    qtbot.waitUntil(lambda: page.model.rowCount() == 2, timeout=DEADLINE_MS)
    page.table.selectRow(0)
    assert window.actions_["copy_event"].isEnabled()
    window.actions_["copy_event"].trigger()
    assert "Failure: Server gone  app-2  no sign of life" in QApplication.clipboard().text()
    page.save(tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert [text.split(",")[0] for text in lines] == ["event_id", "2.2", "1.1"]
    page.save(tmp_path / "no" / "folder.csv")
    assert "cannot be written" in page.count_text()
