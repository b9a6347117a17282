"""The demo documents are what the script makes, and count as the demonstration tells."""

from pathlib import Path

import pytest

from provider.analysis.pdf import examine_pdf
from provider.analysis.ticket import AnalysisRequest
from scripts.demo_documents import DOCUMENTS, write

FOLDER = Path(__file__).resolve().parents[4] / "resources" / "demo"
A4 = "iso_a4_210x297mm"
COUNTS = {
    "letter": (1, (), A4),
    "invoice": (1, (0,), "na_letter_8.5x11in"),
    "handout": (4, (), A4),
    "report": (12, (0, 2, 5, 9), A4),
    "timetable": (1, (0,), A4),
    "poster": (1, (0,), "iso_a3_297x420mm"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_counts(tmp_path: Path, name: str) -> None:
    made = tmp_path / f"{name}.pdf"
    write(made, name.capitalize(), DOCUMENTS[name]())
    for path in (made, FOLDER / f"{name}.pdf"):
        found = examine_pdf(path.read_bytes(), AnalysisRequest(), budget_s=60)
        assert (found.pages, found.color_pages, found.facts.media) == COUNTS[name]
        assert not found.facts.estimated


def test_they_are_all_there_and_small() -> None:
    assert {path.stem for path in FOLDER.glob("*.pdf")} == set(DOCUMENTS) == set(COUNTS)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.pdf")) < 100_000
