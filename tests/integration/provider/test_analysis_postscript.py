"""PostScript through the real Ghostscript: what is counted, and what a hostile program comes to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.wire.jobs import JobFacts
from provider.analysis.document import analyse_document
from provider.analysis.postscript import dsc_pages
from provider.analysis.ticket import AnalysisRequest
from tests.support.documents import GREY, RED, converted, mixed_document, write_pdf
from tests.support.processes import wait_until

PAGE = b"100 100 200 200 rectfill showpage\n"
RED_PAGE = b"1 0 0 setrgbcolor " + PAGE


def facts_of(document: bytes, budget_s: float = 60.0, **request: object) -> JobFacts:
    return analyse_document(b"%!PS-Adobe-3.0\n" + document, AnalysisRequest(**request), budget_s)  # type: ignore[arg-type]


def test_a_mixed_document(tmp_path: Path) -> None:
    in_color = mixed_document(tmp_path / "a.pdf", 16)
    facts = facts_of(converted(tmp_path / "a.pdf", "ps2write"))
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (16, in_color, False)
    assert facts.media == "iso_a4_210x297mm"


@pytest.mark.parametrize(
    ("document", "impressions", "sheets", "color"),
    [
        (PAGE + RED_PAGE + PAGE, 3, 3, 1),
        (b"/#copies 3 def " + PAGE + RED_PAGE, 6, 6, 3),
        (b"<</NumCopies 2>> setpagedevice " + PAGE, 2, 2, 0),
        (b"<</Duplex true>> setpagedevice " + PAGE * 3, 3, 2, 0),
        (b"statusdict begin true setduplexmode end " + PAGE * 4, 4, 2, 0),
        (b"100 100 moveto 200 200 lineto stroke\n", 0, 0, 0),
    ],
)
def test_what_the_program_asks_for(document: bytes, impressions: int, sheets: int, color: int) -> None:
    facts = facts_of(document)
    assert (facts.impressions, facts.sheets, facts.color_impressions) == (impressions, sheets, color)
    assert not facts.estimated


def test_media_of_each_page() -> None:
    facts = facts_of(
        b"<</PageSize[842 1191]>>setpagedevice " + PAGE + b"<</PageSize[612 792]>>setpagedevice " + PAGE * 2
    )
    assert [(count.media, count.impressions) for count in facts.media_counts] == [
        ("iso_a3_297x420mm", 1),
        ("na_letter_8.5x11in", 2),
    ]


def test_copies_are_counted_once() -> None:
    document = b"/#copies 3 def " + PAGE
    assert facts_of(document, copies=3, inner_scheme="ipp").impressions == 3
    assert facts_of(document, copies=3, inner_scheme="socket").impressions == 3
    assert facts_of(PAGE, copies=3, inner_scheme="ipp").impressions == 1  # filters have made them; one is asked for
    assert facts_of(PAGE, copies=3, inner_scheme="ipp", by_name=True).impressions == 3
    assert facts_of(PAGE, copies=3, inner_scheme="socket", by_name=True).impressions == 3


def test_its_own_end_of_page_costs_no_page() -> None:
    assert facts_of(b"<</EndPage{exch pop 2 ne}>>setpagedevice " + PAGE * 3).impressions == 3


def test_pages_it_claims_on_the_channel_are_none() -> None:
    assert facts_of(b"100 { (\\nTOKEN 1 1 1 true true\\n) print } repeat " + PAGE).impressions == 1


@pytest.mark.parametrize(
    ("body", "pages"),
    [
        (b"%%Pages: 7\n{} loop\n", 7),
        (PAGE * 2 + b"{} loop\n", 2),
        (b"{ (x) print } loop", 1),
        (b"{} loop" + b" " * 120_000, 3),
    ],
)
def test_a_program_without_end(body: bytes, pages: int) -> None:
    facts = facts_of(body, budget_s=1.5)
    assert (facts.impressions, facts.estimated) == (pages, True)
    assert "longer than it may" in facts.estimate_reason


def test_memory_without_end() -> None:
    facts = facts_of(
        b"%%Pages: 2\n/a 1000000 array def { /b 10000000 array def b 0 a put /a b def } loop", budget_s=20.0
    )
    assert (facts.impressions, facts.estimated) == (2, True)


def test_it_neither_reads_nor_writes_files(tmp_path: Path) -> None:
    secret, target = tmp_path / "secret", tmp_path / "target"
    secret.write_text("4")
    reads = f"({secret}) (r) file read pop 48 sub {{ {PAGE.decode()} }} repeat\n".encode()
    assert facts_of(reads).impressions == 1
    assert facts_of(reads).estimated
    facts_of(f"({target}) (w) file dup (x) writestring closefile\n".encode() + PAGE)
    facts_of(f"(%pipe%touch {target}) (w) file closefile\n".encode() + PAGE)
    assert not target.exists()


def test_without_ghostscript_the_documents_own_count_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    facts = facts_of(b"%%Pages: (atend)\n%%Page: 1 1\n%%Page: 2 2\n%%Trailer\n%%Pages: 2\n")
    assert (facts.impressions, facts.estimated) == (2, True)
    assert "not installed" in facts.estimate_reason
    assert dsc_pages(b"%!\n") == 0


CHILD = """
import sys, time
from provider.analysis.document import analyse_document
from provider.analysis.ticket import AnalysisRequest
print("ready", flush=True)
analyse_document(b"%!PS\\n{} loop", AnalysisRequest(), 600)
"""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_ghostscript_dies_with_the_worker() -> None:
    worker = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, cwd=os.getcwd())
    try:
        wait_until(lambda: children(worker.pid), 30, "Ghostscript to run")
        (drawing,) = children(worker.pid)
        wait_until(lambda: b"gs" in Path(f"/proc/{drawing}/cmdline").read_bytes(), 30, "it to be Ghostscript")
    finally:
        worker.kill()
        worker.communicate()
    wait_until(lambda: not _runs(drawing), 10, "Ghostscript to end with the worker")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_pdf_and_postscript_say_is_the_same(tmp_path: Path) -> None:
    source = write_pdf(tmp_path / "a.pdf", [GREY, RED, GREY])
    from_pdf = analyse_document(source.read_bytes(), AnalysisRequest(), 60.0)
    from_postscript = facts_of(converted(source, "ps2write"))
    for name in ("impressions", "sheets", "color_impressions", "media", "sides"):
        assert getattr(from_pdf, name) == getattr(from_postscript, name)
