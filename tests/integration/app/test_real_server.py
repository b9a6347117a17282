"""The console over the real application server: what it shows is what the ledger says, and it survives a restart."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from app.core.profiles import Profile
from app.qt.session import Session
from app.views.window import MainWindow
from backend.wire.printers import QueueReport
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_system import PlayedProvider, System


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One server for all tests here; each brings people of its own."""
    with System(tmp_path_factory.mktemp("system")) as made:
        made.server.shared = True
        yield made


@pytest.fixture(scope="module")
def provider(system: System) -> PlayedProvider:
    queues = [
        QueueReport(name="library", tracked=True, printer_state="idle", device_uri="inkeeper:/ipp://10.0.0.9/ipp")
    ]
    return system.add_provider("print-01", queues)


@pytest.fixture
def connected(
    window: MainWindow, session: Session, system: System, provider: PlayedProvider, qtbot: QtBot
) -> MainWindow:
    session.open(Profile((system.url,), system.helpdesk))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    return window


def test_the_cluster_is_drawn(connected: MainWindow, qtbot: QtBot) -> None:
    cards = connected.live.topology.scene.cards
    qtbot.waitUntil(lambda: {"server:app-01", "provider:1", "queue:1"} <= set(cards), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: cards["provider:1"].node.health == "ok", timeout=DEADLINE_MS)
    assert connected.live.topology.scene.badge_on == "server:app-01"


def test_a_printed_job_arrives_and_the_balance_follows(
    connected: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    system.add_person("mira", "Mira Novak", 10.0, "Physics")
    panel, model = connected.people.person, connected.live.jobs.model
    connected.actions_["find"].trigger()
    panel.open_person("mira")
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 10.00 EUR", timeout=DEADLINE_MS)
    job = system.authorise(provider, "library", "mira", "Thesis", 12)
    qtbot.waitUntil(lambda: model.index(0, 0).data() == "Authorised", timeout=DEADLINE_MS)
    assert model.index(0, 5).data() == "0.60 EUR res."
    system.report(provider, job, 11)
    qtbot.waitUntil(lambda: model.index(0, 0).data() == "Completed", timeout=DEADLINE_MS)
    assert [model.index(0, column).data() for column in (1, 2, 3, 5)] == ["mira", "library", "Thesis", "0.55 EUR"]
    qtbot.waitUntil(lambda: panel.head.balance.accessibleName() == "Balance: 9.45 EUR", timeout=DEADLINE_MS)
    assert panel.transfers.index(0, 3).data() == "9.45 EUR"


def test_a_refused_job_says_why(connected: MainWindow, system: System, provider: PlayedProvider, qtbot: QtBot) -> None:
    system.add_person("wei", "Wei Zhang", 1.0)
    model = connected.live.jobs.model
    system.authorise(provider, "library", "wei", "Poster", 500)
    qtbot.waitUntil(lambda: model.index(0, 0).data() == "Denied", timeout=DEADLINE_MS)
    assert model.index(0, 6).data() == "The account does not cover this job"


def test_people_are_found_as_one_types(connected: MainWindow, system: System, qtbot: QtBot) -> None:
    system.add_person("anna", "Anna Kowalska", 1.0)
    system.add_person("joanna", "Joanna Annable", 1.0)
    connected.actions_["find"].trigger()
    search = connected.people.search
    search.field.setText("ann")
    qtbot.waitUntil(lambda: search.model.rowCount() == 2, timeout=DEADLINE_MS)


def test_older_jobs_come_page_by_page(
    connected: MainWindow, system: System, provider: PlayedProvider, session: Session, qtbot: QtBot
) -> None:
    system.add_person("tomas", "Tomas Berg", 1.0)
    for number in range(260):
        system.print_job(provider, "library", "tomas", f"Page {number}", 0)
    session.open(Profile((system.url,), system.admin))
    model, table = connected.live.jobs.model, connected.live.jobs.table

    def titles() -> list[str]:
        found = [(model.index(row, 1).data(), model.index(row, 3).data()) for row in range(model.rowCount())]
        return [title for user, title in found if user == "tomas"]

    def all_there() -> bool:
        table.scrollToBottom()
        return len(titles()) == 260

    qtbot.waitUntil(all_there, timeout=DEADLINE_MS)
    assert titles() == [f"Page {number}" for number in range(259, -1, -1)]


def test_a_restarted_server_is_found_again_and_nothing_is_missed(
    connected: MainWindow, system: System, provider: PlayedProvider, session: Session, qtbot: QtBot
) -> None:
    system.add_person("lukas", "Lukas Weber", 1.0)
    model = connected.live.jobs.model
    system.print_job(provider, "library", "lukas", "Before", 1)
    qtbot.waitUntil(lambda: model.index(0, 3).data() == "Before", timeout=DEADLINE_MS)
    system.server.kill9()
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "reconnecting", timeout=DEADLINE_MS)
    system.server.start()
    system.server.wait_for_port(system.port, 60)
    system.print_job(provider, "library", "lukas", "After", 1)
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: model.index(0, 3).data() == "After", timeout=DEADLINE_MS)


def test_a_role_without_these_rights_is_told_so(
    window: MainWindow, session: Session, system: System, qtbot: QtBot
) -> None:
    session.open(Profile((system.url,), system.token("metrics", "graphs")))
    pane = window.live.topology.state_pane
    qtbot.waitUntil(lambda: pane.accessibleName().startswith("Not"), timeout=DEADLINE_MS)
