"""The print log's questions, rows and export."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.core.printlog import (
    DAY_MS,
    EXPORT_ROWS,
    LogFilter,
    Progress,
    asked,
    color_text,
    export_log,
    pages_text,
    paper_text,
    sides_text,
    since_of,
)
from app.core.tables import BOM, JOB_COLUMNS, exact, harmless, job_row, lines
from app.models.printlog import LogModel
from backend.client.errors import NoServer
from backend.wire.jobs import JobList, JobView
from tests.support.console_world import LEDGER, job


def test_only_what_is_wanted_is_asked() -> None:
    assert asked(LogFilter()) == {"limit": 100}
    wanted = LogFilter(user=" mira ", queue="lib", provider="print-1", state="held", since_ms=5, until_ms=9)
    assert asked(wanted, before="x", limit=7) == {
        "limit": 7, "user": "mira", "queue": "lib", "provider": "print-1", "state": "held", "since": 5, "until": 9,
        "before": "x",
    }  # fmt: skip
    assert asked(LogFilter(state="look")) == {"limit": 100, "attention": 1}


def test_a_day_begins_at_midnight_of_its_zone() -> None:
    now = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
    now_ms = int(now.timestamp() * 1000)
    assert since_of("today", now) == now_ms - int(13.5 * 3_600_000)
    assert since_of("week", now) == now_ms - 7 * DAY_MS
    assert (since_of("all", now), since_of("between", now)) == (0, 0)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (job(1), ("12", "grey", "", "")),
        (job(1, printed=5, color_impressions=12, sides="two-sided-long-edge", media="iso_a4_210x297mm"),
         ("5 of 12", "colour", "two-sided", "A4")),
        (job(1, printed=12, color_impressions=3, sides="one-sided", media="Envelope"),
         ("12", "3 colour", "one-sided", "Envelope")),
    ],
)  # fmt: skip
def test_a_job_in_words(view: JobView, words: tuple[str, str, str, str]) -> None:
    assert (pages_text(view), color_text(view), sides_text(view), paper_text(view)) == words


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "|calc"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert harmless(text).startswith("'")
    assert harmless(f"a{text}") == f"a{text}"


def test_amounts_are_exact() -> None:
    assert (exact(5, 8), exact(-12345, 4), exact(7, 0)) == ("0.00000005", "-1.2345", "7")
    row = dict(zip(JOB_COLUMNS, job_row(job(3, cost=6001, refunded=1), LEDGER), strict=True))
    assert [row[name] for name in ("cost", "charged", "refunded", "currency")] == ["0.6001", "0.6000", "0.0001", "EUR"]


class Served:
    """A server's jobs, told page by page; `fail_at` is the page that no server answers."""

    def __init__(self, jobs: int, fail_at: int = -1) -> None:
        self.jobs = [job(number, title="=evil" if number == 2 else f"Job {number}") for number in range(jobs, 0, -1)]
        self.fail_at = fail_at
        self.asked: list[dict[str, str | int]] = []
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Event()

    async def call(self, *_: object, query: dict[str, str | int], **__: Any) -> JobList:
        self.asked.append(query)
        if len(self.asked) - 1 == self.fail_at:
            raise NoServer({"http://one": "gone"}, in_doubt=False)
        if self.hold is not None and len(self.asked) > 1:
            self.held.set()
            await self.hold.wait()
        before = str(query.get("before", ""))
        rest = [found for found in self.jobs if not before or found.job_id < before]
        return JobList(jobs=tuple(rest[: int(query["limit"])]), ledger=LEDGER)


def export(served: Served, path: Path, bom: bool = False) -> int:
    return asyncio.run(export_log(served, LogFilter(user="mira"), path, Progress(), bom))  # type: ignore[arg-type]


def test_all_that_fit_are_saved_page_by_page(tmp_path: Path) -> None:
    served, path = Served(EXPORT_ROWS + 3), tmp_path / "log.csv"
    assert export(served, path) == EXPORT_ROWS + 3
    found = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [row["job_id"] for row in found] == [one.job_id for one in served.jobs]
    assert found[-2]["title"] == "'=evil"
    assert [query.get("user") for query in served.asked] == ["mira"] * 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_mark_for_spreadsheets(tmp_path: Path) -> None:
    export(Served(1), tmp_path / "log.csv", bom=True)
    assert (tmp_path / "log.csv").read_text(encoding="utf-8").startswith(BOM + "time,")


def test_what_failed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(NoServer):
        export(Served(EXPORT_ROWS + 1, fail_at=1), path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_given_up_leaves_nothing(tmp_path: Path) -> None:
    async def give_up() -> int:
        served, progress = Served(EXPORT_ROWS + 1), Progress()
        served.hold = asyncio.Event()
        work = export_log(served, LogFilter(), tmp_path / "log.csv", progress)  # type: ignore[arg-type]
        task = asyncio.create_task(work)
        await served.held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return progress.rows

    assert asyncio.run(give_up()) == EXPORT_ROWS
    assert list(tmp_path.iterdir()) == []


def test_the_newest_page_takes_away_what_no_longer_fits() -> None:
    model = LogModel()
    model.show_newest([job(9), job(8), job(7)], LEDGER, fresh=True)
    model.add_page(job(7).job_id, [job(6), job(5)])
    model.show_newest([job(10), job(9), job(7)], LEDGER, fresh=False)
    assert [model.index(row, 2).data() for row in range(model.rowCount())] == [
        f"Thesis, chapter {number}" for number in (10, 9, 7, 6, 5)
    ]
    model.show_newest([job(10)], LEDGER, fresh=True)
    assert model.rowCount() == 1


def test_lines_are_csv() -> None:
    assert lines([("a", 'b "c"', 3)]) == 'a,"b ""c""",3\r\n'
