"""The window over a living and a dying cluster: what it shows, what it says, and that everything has a name."""

import tomllib

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QGraphicsView, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.core.topology import build
from app.qt.actions import MENUS, SPECS
from app.qt.session import Session
from app.qt.theme import DARK, LIGHT, Colors, Theme
from app.views.keys import KeysDialog
from app.views.window import MainWindow
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_cluster import TOKEN, Cluster
from tests.support.console_world import NOW_MS, job, large_topology, server, small_topology


def state_words(window: MainWindow) -> str:
    return window.live.topology.state_pane.accessibleName()


def test_it_starts_by_asking_for_a_cluster(window: MainWindow) -> None:
    assert state_words(window).startswith("No cluster yet")
    assert window.chip.accessibleName() == "No cluster"


def test_live_it_shows_cards_jobs_and_who_answers(live: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    cards = live.live.topology.scene.cards
    qtbot.waitUntil(lambda: set(cards) >= {"server:app-01", "provider:1", "queue:1"}, timeout=DEADLINE_MS)
    assert live.chip.accessibleName().startswith("Live 127.0.0.1:")
    assert "All is well" in live.banner.accessibleName()
    assert live.live.topology.view.isVisible()
    cluster.put_job(job(33, user_name="new-user", updated_at=NOW_MS + 33))
    model = live.live.jobs.model
    qtbot.waitUntil(lambda: model.index(0, 1).data() == "new-user", timeout=DEADLINE_MS)


def test_when_all_servers_die_nothing_stays_green(live: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    for process in cluster.servers:
        process.kill9()
    cards = live.live.topology.scene.cards
    qtbot.waitUntil(
        lambda: bool(cards) and all(card.node.health == "unknown" for card in cards.values()), timeout=DEADLINE_MS
    )
    qtbot.waitUntil(lambda: "No server answers" in live.banner.accessibleName(), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: live.chip.accessibleName().startswith("Reconnecting in"), timeout=DEADLINE_MS)


def test_states_without_a_picture_say_what_to_do(
    window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    session.open(Profile(("http://127.0.0.1:9",), TOKEN))
    qtbot.waitUntil(lambda: state_words(window).startswith("No server answers"), timeout=DEADLINE_MS)
    session.open(Profile(cluster.urls, "ik_wrong"))
    qtbot.waitUntil(lambda: state_words(window).startswith("Not signed in"), timeout=DEADLINE_MS)
    cluster.change(forbidden=["topology", "jobs"])
    session.open(Profile(cluster.urls, TOKEN))
    qtbot.waitUntil(lambda: state_words(window).startswith("Not allowed"), timeout=DEADLINE_MS)
    jobs = window.live.jobs.state_pane
    qtbot.waitUntil(lambda: jobs.accessibleName().startswith("Not allowed"), timeout=DEADLINE_MS)


def test_a_cluster_without_jobs_says_so(window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot) -> None:
    cluster.change(jobs=[])
    session.open(Profile(cluster.urls, TOKEN))
    pane = window.live.jobs.state_pane
    qtbot.waitUntil(lambda: pane.accessibleName().startswith("No jobs yet"), timeout=DEADLINE_MS)


def test_scrolling_down_fetches_older_jobs(
    window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    cluster.change(jobs=[job(n) for n in range(1, 451)])
    session.open(Profile(cluster.urls, TOKEN))
    model = window.live.jobs.model
    table = window.live.jobs.table
    qtbot.waitUntil(lambda: model.rowCount() == 200, timeout=DEADLINE_MS)

    def scrolled_to(rows: int) -> bool:
        table.scrollToBottom()
        return model.rowCount() == rows

    qtbot.waitUntil(lambda: scrolled_to(450), timeout=DEADLINE_MS)
    assert [model.index(row, 3).data() for row in (0, 449)] == ["Thesis, chapter 450", "Thesis, chapter 1"]


def test_the_leaders_badge_glides_to_the_next_leader(live: MainWindow, cluster: Cluster, qtbot: QtBot) -> None:
    one, two = (server("app-01", cluster.urls[0]), server("app-02", cluster.urls[0]))
    scene = live.live.topology.scene

    def lead(name: str) -> None:
        servers = tuple(server(view.name, view.url, leader=view.name == name) for view in (one, two))
        cluster.change(topology=small_topology(servers=servers))

    lead("app-01")
    qtbot.waitUntil(lambda: "server:app-02" in scene.cards and scene.badge_on == "server:app-01", timeout=DEADLINE_MS)
    lead("app-02")
    qtbot.waitUntil(lambda: scene.badge_on == "server:app-02", timeout=DEADLINE_MS)
    goal = scene.cards["server:app-02"].pos()
    qtbot.waitUntil(lambda: abs(scene.badge_place().y() - goal.y()) < 20, timeout=DEADLINE_MS)


def test_a_refresh_keeps_the_items_and_their_places(live: MainWindow, qtbot: QtBot) -> None:
    scene = live.live.topology.scene
    scene.show_graph(build(large_topology(), 0.1))
    items = dict(scene.cards)
    places = {key: item.pos() for key, item in items.items()}
    scene.show_graph(build(large_topology(), 60.0))
    assert scene.cards == items
    assert {key: item.pos() for key, item in scene.cards.items()} == places


def test_arrow_keys_walk_the_graph_and_escape_leaves(live: MainWindow, qtbot: QtBot) -> None:
    view, details = live.live.topology.view, live.live.topology.details
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right):
        QTest.keyClick(view, key)
    assert details.isVisible()
    assert details.accessibleName() == "Details of app-01"
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert details.accessibleName() == "Details of print-01"
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert not details.isVisible()


def test_graph_and_table_are_one_choice(live: MainWindow) -> None:
    QTest.keyClick(live, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert live.live.topology.tree.isVisible()
    QTest.keyClick(live, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    assert live.live.topology.view.isVisible()


def test_zooming_and_fitting(live: MainWindow) -> None:
    view = live.live.topology.view
    before = view.transform().m11()
    live.actions_["zoom_in"].trigger()
    assert view.transform().m11() > before
    live.actions_["fit"].trigger()
    assert view.transform().m11() == pytest.approx(before)
    for _ in range(60):
        live.actions_["zoom_out"].trigger()
    assert view.transform().m11() > 0.05


def test_light_and_dark_reach_what_is_painted(live: MainWindow, qtbot: QtBot) -> None:
    def painted(colors: Colors) -> bool:
        picture = live.grab().toImage()
        ground = picture.pixelColor(live.width() // 2, live.height() - 4)
        return ground == QColor(colors.window) and picture.pixelColor(4, live.height() // 2) == QColor(colors.rail)

    live.actions_["theme_light"].trigger()
    qtbot.waitUntil(lambda: painted(LIGHT), timeout=DEADLINE_MS)
    live.actions_["theme_toggle"].trigger()
    qtbot.waitUntil(lambda: painted(DARK), timeout=DEADLINE_MS)


def test_every_label_takes_the_new_schemes_colour(live: MainWindow, theme: Theme, qtbot: QtBot) -> None:
    live.ask_connection()
    live.live.topology.scene.chosen.emit("server:app-01")
    for choice in ("theme_light", "theme_dark", "theme_light"):
        live.actions_["theme_light" if choice == "theme_light" else "theme_dark"].trigger()
        qtbot.wait(1)
        labels = [found for found in live.findChildren(QLabel) if found.property("tint")]
        assert len(labels) > 20
        wrong = [
            found.text()
            for found in labels
            if found.palette().windowText().color() != QColor(theme.color(str(found.property("tint"))))
        ]
        assert wrong == []


def test_the_form_refuses_what_cannot_work_and_stores_what_does(
    window: MainWindow, session: Session, cluster: Cluster, qtbot: QtBot
) -> None:
    window.actions_["connection"].trigger()
    form = window.connect_pane
    form.other_button.click()
    form.servers.setText("nonsense://x")
    form.connect_button.click()
    assert "not a server’s address" in form.problem.text().replace("'", "’")
    form.servers.setText(", ".join(cluster.urls))
    form.connect_button.click()
    assert "token is empty" in form.problem.text()
    form.token.setText(TOKEN)
    QTest.keyClick(form.token, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    stored = tomllib.loads(window.config.read_text())["console"]
    assert stored["servers"] == list(cluster.urls)
    assert TOKEN not in window.config.read_text()
    assert window.config.with_name("console.token").read_text().strip() == TOKEN
    window.actions_["theme_light"].trigger()
    assert tomllib.loads(window.config.read_text())["console"] == {**stored, "theme": "light"}


def test_every_command_has_a_place_and_an_explanation() -> None:
    in_menus = {name for _, names in MENUS for name in names if name is not None}
    assert in_menus == set(SPECS)
    assert all(spec.text and spec.tip for spec in SPECS.values())
    keys = [key for spec in SPECS.values() for key in spec.keys]
    assert len(keys) == len(set(keys))


def nameless(root: QWidget) -> list[str]:
    """Widgets that a person can reach or must read and that have no name for assistive technology."""
    found = []
    for widget in root.findChildren(QWidget):
        never_seen = isinstance(widget, QAbstractButton) and widget.isHidden()
        if never_seen or widget.objectName().startswith("qt_") or isinstance(widget, QLabel):
            continue
        needs = isinstance(widget, QAbstractButton | QLineEdit | QAbstractItemView | QGraphicsView)
        text = widget.text() if isinstance(widget, QAbstractButton) else ""
        buddy = any(label.buddy() is widget for label in root.findChildren(QLabel))
        if needs and not (widget.accessibleName() or text or buddy):
            found.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    return found


def test_no_widget_without_a_name(live: MainWindow, qtbot: QtBot) -> None:
    live.live.topology.scene.chosen.emit("server:app-01")
    live.people.person.open_person("mira")
    qtbot.waitUntil(lambda: live.people.person.transfers.rowCount() > 0, timeout=DEADLINE_MS)
    assert nameless(live) == []


def test_the_shortcut_closes_the_window(window: MainWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not window.isVisible()


def test_the_list_of_shortcuts_is_that_of_the_commands(live: MainWindow, session: Session, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)
    live.actions_["keys"].trigger()
    (dialog,) = live.findChildren(KeysDialog)
    listed = {dialog.model.text(row, 1) for row in range(dialog.model.rowCount())}
    assert {" or ".join(spec.keys) for spec in SPECS.values() if spec.keys} <= listed
    dialog.accept()
