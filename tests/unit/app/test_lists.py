"""Lists that are read whole, and lists of which only pages are held."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QTableView

from app.core.grid import Cell, Line, arranged, containing
from app.models.grid import GridModel
from app.models.virtual import MOST_PAGES, VirtualModel


def lines(*names: str) -> tuple[Line, ...]:
    return tuple(Line(name, (Cell(name), Cell(str(len(name)), by=len(name)))) for name in names)


def order(model: GridModel) -> list[str]:
    return [model.line_id(row) for row in range(model.rowCount())]


def test_rows_are_sorted_by_what_is_meant() -> None:
    mixed = lines("bb", "A", "ccc", "b")
    assert [line.id for line in arranged(mixed, 0, False)] == ["A", "b", "bb", "ccc"]
    assert [line.id for line in arranged(mixed, 1, True)] == ["ccc", "bb", "A", "b"]
    assert arranged(mixed, -1, False) == mixed
    assert [line.id for line in containing(mixed, "B")] == ["bb", "b"]
    assert containing(mixed, "b 2") == (mixed[0],)


def test_what_is_selected_stays_selected(qapp: QApplication) -> None:
    model = GridModel(None, ("Name", "Size"), frozenset({1}))
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    view = QTableView()
    view.setModel(model)
    model.show_lines(lines("a", "bb", "ccc"))
    view.selectRow(1)
    model.sort(1, Qt.SortOrder.DescendingOrder)
    assert order(model) == ["ccc", "bb", "a"]
    model.show_lines(lines("a", "bb", "ccc", "dddd"))
    chosen = [model.line_id(index.row()) for index in view.selectionModel().selectedRows()]
    assert (order(model), chosen) == (["dddd", "ccc", "bb", "a"], ["bb"])
    model.sort(0, Qt.SortOrder.AscendingOrder)
    assert [model.line_id(index.row()) for index in view.selectionModel().selectedRows()] == ["bb"]
    assert (model.row_of("ccc"), model.row_of("none"), model.line_id(99)) == (2, -1, "")
    del tester
    view.deleteLater()


class Names(VirtualModel[str]):
    headers = ("Name",)

    def data(self, index: object, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        return self.wanted(index.row()) or "…" if role == Qt.ItemDataRole.DisplayRole else None  # type: ignore[attr-defined]


@pytest.fixture
def asked() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def model(asked: list[tuple[int, int]]) -> Names:
    return Names(None, lambda offset, question: asked.append((offset, question)), 10)


def page(offset: int) -> list[str]:
    return [f"n{number}" for number in range(offset, offset + 10)]


def test_only_pages_that_are_looked_at_are_asked_for(model: Names, asked: list[tuple[int, int]]) -> None:
    model.begin()
    model.put(0, model.question, page(0), 300_000)
    assert (model.rowCount(), model.index(3, 0).data()) == (300_000, "n3")
    assert model.index(250_007, 0).data() == "…"
    assert model.index(250_001, 0).data() == "…"
    assert asked == [(0, 1), (250_000, 1)]
    model.put(250_000, 1, page(250_000), 300_000)
    assert model.index(250_007, 0).data() == "n250007"


def test_an_answer_to_an_earlier_question_is_dropped(model: Names) -> None:
    model.begin()
    old = model.question
    model.begin()
    model.put(0, old, page(0), 10)
    assert model.rowCount() == 0
    model.put(0, model.question, ["only"], 1)
    assert model.rowCount() == 1


def test_memory_is_bounded_and_a_failed_page_is_asked_again(model: Names, asked: list[tuple[int, int]]) -> None:
    model.begin()
    for offset in range(0, 10 * (MOST_PAGES + 5), 10):
        model.put(offset, model.question, page(offset), 100_000)
    assert model.held == 10 * MOST_PAGES
    model.index(0, 0).data()
    model.failed(0, model.question)
    model.index(0, 0).data()
    assert asked.count((0, 1)) == 3


def test_a_total_that_the_server_stopped_counting_grows(model: Names) -> None:
    model.begin()
    model.put(990, model.question, page(990), 1000)
    assert model.rowCount() == 1001
    model.put(1000, model.question, ["last"], 1001)
    assert model.rowCount() == 1001
    model.put(0, model.question, page(0), 30)
    assert model.rowCount() == 30
