"""Qt models keep Qt's rules while rows come, change and go (Qt's own tester watches), and say the right words."""

import msgspec
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from app.core.topology import build
from app.core.viewdata import money
from app.models import jobs as columns
from app.models.jobs import JobsModel
from app.models.roles import ID, TONE
from app.models.tree import DETAIL, NAME, STATUS, TreeModel
from app.models.users import AMOUNT, BALANCE, WHY, TransfersModel, UsersModel
from backend.wire.jobs import JobView
from backend.wire.people import UserList
from tests.support.console_world import (
    LEDGER,
    NOW_MS,
    job,
    large_topology,
    mixed_jobs,
    people,
    queue,
    small_topology,
    transfers,
)


def watched(model: QAbstractItemModel) -> QAbstractItemModelTester:
    return QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)


def texts(model: QAbstractItemModel, column: int) -> list[str]:
    return [str(model.index(row, column).data()) for row in range(model.rowCount())]


def window(*jobs: JobView) -> dict[str, JobView]:
    return {found.job_id: found for found in jobs}


class Signals(QObject):
    """How often a model said what."""

    def __init__(self, model: QAbstractItemModel) -> None:
        super().__init__(model)
        self.said: list[str] = []
        model.rowsInserted.connect(lambda *_: self.said.append("inserted"))
        model.rowsRemoved.connect(lambda *_: self.said.append("removed"))
        model.modelReset.connect(lambda: self.said.append("reset"))
        model.dataChanged.connect(lambda *_: self.said.append("changed"))


def test_jobs_are_shown_newest_first_in_words(qtbot: QtBot) -> None:
    model = JobsModel()
    watched(model)
    model.set_time(NOW_MS)
    model.show_jobs(window(*mixed_jobs()), LEDGER, fresh=True)
    assert texts(model, columns.STATE)[:3] == ["Authorised", "Printing", "In doubt"]
    assert texts(model, columns.COST)[1] == "7.40 EUR res."
    assert texts(model, columns.REMARK)[5] == "The account does not cover this job"
    assert texts(model, columns.AGE)[0] == "16 min"
    assert model.index(5, columns.STATE).data(TONE) == "error"
    assert model.index(5, columns.STATE).data(ID) == job(3).job_id


def test_an_arriving_job_moves_rows_and_resets_nothing(qtbot: QtBot) -> None:
    model = JobsModel()
    watched(model)
    model.show_jobs(window(job(1), job(2)), LEDGER, fresh=True)
    signals = Signals(model)
    model.show_jobs(window(job(1), job(2), job(3)), LEDGER, fresh=False)
    model.show_jobs(window(job(1), job(2, state="aborted"), job(3)), LEDGER, fresh=False)
    model.show_jobs(window(job(2, state="aborted"), job(3)), LEDGER, fresh=False)
    assert signals.said == ["inserted", "changed", "removed"]
    assert texts(model, columns.STATE) == ["Completed", "Aborted"]


def test_older_pages_follow_by_key_without_gap_or_repetition(qtbot: QtBot) -> None:
    asked: list[str] = []
    model = JobsModel(fetch=asked.append)
    watched(model)
    model.show_jobs(window(*(job(n) for n in range(50, 60))), LEDGER, fresh=True)
    root = QModelIndex()
    assert model.canFetchMore(root)
    model.fetchMore(root)
    model.fetchMore(root)
    assert asked == [job(50).job_id]
    model.add_page(job(50).job_id, [job(n) for n in range(49, 39, -1)])
    model.show_jobs(window(*(job(n) for n in range(55, 65))), LEDGER, fresh=False)
    assert [model.index(row, 0).data(ID) for row in range(model.rowCount())] == [
        job(n).job_id for n in range(64, 39, -1)
    ]
    model.fetchMore(root)
    model.add_page(job(40).job_id, [])
    assert not model.canFetchMore(root)


def test_a_page_for_a_list_that_began_anew_is_dropped(qtbot: QtBot) -> None:
    asked: list[str] = []
    model = JobsModel(fetch=asked.append)
    model.show_jobs(window(job(50), job(51)), LEDGER, fresh=True)
    model.fetchMore(QModelIndex())
    model.show_jobs(window(job(70)), LEDGER, fresh=True)
    model.add_page(job(50).job_id, [job(49)])
    assert [model.index(row, 0).data(ID) for row in range(model.rowCount())] == [job(70).job_id]


def test_a_page_that_failed_may_be_asked_for_again(qtbot: QtBot) -> None:
    asked: list[str] = []
    model = JobsModel(fetch=asked.append)
    model.show_jobs(window(job(50)), LEDGER, fresh=True)
    for _ in range(2):
        model.fetchMore(QModelIndex())
        model.page_failed()
    assert len(asked) == 2


def test_people_and_what_a_screen_reader_says_of_them(qtbot: QtBot) -> None:
    model = UsersModel()
    watched(model)
    model.show_found(UserList(users=people(), total=6, ledger=LEDGER, as_of=NOW_MS))
    assert model.rowCount() == 6
    assert model.index(0).data(ID) == "mira"
    said = model.index(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert said == "Miriam Okafor, miriam, balance −0.25 EUR, Restricted to credit, No credit left"
    model.show_found(None)
    assert model.rowCount() == 0


def test_transfers_show_running_balances(qtbot: QtBot) -> None:
    model = TransfersModel()
    watched(model)
    model.show_transfers(transfers(), LEDGER)
    assert texts(model, WHY)[0] == "Print job, reserved"
    assert texts(model, AMOUNT)[-1] == "+25.00 EUR"
    assert texts(model, BALANCE)[-1] == "25.00 EUR"
    signals = Signals(model)
    model.show_transfers(transfers(), LEDGER)
    assert signals.said == []


def test_the_tree_holds_everything_the_graph_shows(qtbot: QtBot) -> None:
    graph = build(large_topology(), 0.5)
    model = TreeModel()
    watched(model)
    model.show_graph(graph)
    found: dict[str, str] = {}

    def walk(parent: QModelIndex) -> None:
        for row in range(model.rowCount(parent)):
            index = model.index(row, NAME, parent)
            found[str(index.data(ID))] = str(index.siblingAtColumn(STATUS).data())
            walk(index)

    walk(QModelIndex())
    assert {node.id: node.word for node in graph.nodes}.items() <= found.items()
    assert {"tier:database", "tier:server", "tier:provider"} <= set(found)


def test_a_refresh_of_the_same_nodes_resets_nothing(qtbot: QtBot) -> None:
    model = TreeModel()
    watched(model)
    model.show_graph(build(large_topology(), 0.5))
    signals = Signals(model)
    model.show_graph(build(large_topology(), 0.6))
    assert signals.said == []
    model.show_graph(build(large_topology(), 60.0))
    assert set(signals.said) == {"changed"}


def test_queues_of_an_unknown_print_server_are_not_lost(qtbot: QtBot) -> None:
    model = TreeModel()
    watched(model)
    model.show_graph(build(small_topology(providers=(), queues=(queue(1, "gone", "orphan"),)), 0.1))
    last = model.index(model.rowCount() - 1, NAME)
    assert model.index(0, NAME, last).data() == "orphan"
    assert last.siblingAtColumn(DETAIL).data() == "1 of 1 tracked"


def test_older_transfers_come_page_by_page_and_stay_while_the_newest_are_read_again(qtbot: QtBot) -> None:
    every = transfers(40)
    asked: list[str] = []
    model = TransfersModel(fetch=asked.append)
    watched(model)
    model.show_transfers(every[:10], LEDGER)
    model.fetchMore(QModelIndex())
    assert asked == [str(every[9].sequence)]
    model.add_page(asked[0], every[10:20])
    assert texts(model, BALANCE) == [money(found.balance, LEDGER) for found in every[:20]]
    model.show_transfers((msgspec.structs.replace(every[0], reversed=True), *every[1:10]), LEDGER)
    assert model.rowCount() == 20
    assert model.index(0, WHY).data().endswith(", undone")
    model.add_page("1", every[20:])  # an answer to a question of before
    assert model.rowCount() == 20
    model.add_page(str(every[19].sequence), ())
    assert model.past().whole
    assert not model.canFetchMore(QModelIndex())


def test_a_window_that_does_not_reach_what_is_known_begins_anew(qtbot: QtBot) -> None:
    every = transfers(40)
    model = TransfersModel(fetch=lambda _: None)
    watched(model)
    model.show_transfers(every[30:], LEDGER)
    model.show_transfers(every[:10], LEDGER)
    assert model.rowCount() == 10
    assert not model.past().whole


def test_somebody_read_again_changes_in_the_list_and_numbers_name_one_person(qtbot: QtBot) -> None:
    model = UsersModel()
    watched(model)
    found = people()
    model.show_found(UserList(users=found, total=len(found), ledger=LEDGER, as_of=NOW_MS), "mir")
    model.update_user(msgspec.structs.replace(found[0], balance=5))
    assert model.user(0) == msgspec.structs.replace(found[0], balance=5)
    assert model.row_of_number("mirko") == 2
    assert model.row_of_number("04712290") == -1  # several have it
    assert model.row_of_number("mir") == -1
