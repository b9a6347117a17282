"""PDFs with known counts, and PDFs that are broken."""

import io
from pathlib import Path

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.wire.jobs import JobFacts
from provider.analysis.document import analyse_document
from provider.analysis.pdf import MAX_SIZES, examine_pdf, noted_copies, spread_order
from provider.analysis.pdfium import PdfError
from provider.analysis.ticket import AnalysisRequest
from tests.support.documents import A4, BLANK, GREY, LETTER, RED, Page, mixed_document, solid_pages, write_pdf

BUDGET_S = 60.0


def facts_of(document: bytes, **request: object) -> JobFacts:
    return analyse_document(document, AnalysisRequest(**request), BUDGET_S)  # type: ignore[arg-type]


def pdf_of(folder: Path, *pages: Page) -> bytes:
    return write_pdf(folder / "document.pdf", pages).read_bytes()


def test_counts(tmp_path: Path) -> None:
    document = pdf_of(tmp_path, GREY, RED, GREY, GREY, RED)
    found = examine_pdf(document, AnalysisRequest(copies=3, options="sides=two-sided-long-edge"), BUDGET_S)
    assert (found.pages, found.color_pages, found.facts.blank_backs) == (5, (1, 4), 0)
    assert found.facts == JobFacts(
        impressions=15,
        sheets=9,
        color_impressions=6,
        copies=3,
        sides="two-sided-long-edge",
        media="iso_a4_210x297mm",
        document_format="application/pdf",
        document_bytes=len(document),
    )


def test_monochrome_has_no_colour_impressions(tmp_path: Path) -> None:
    facts = facts_of(pdf_of(tmp_path, RED, RED), options="print-color-mode=monochrome")
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (2, 0, False)


def test_a_mixed_document(tmp_path: Path) -> None:
    in_color = mixed_document(tmp_path / "mixed.pdf", 40)
    facts = facts_of((tmp_path / "mixed.pdf").read_bytes())
    assert (facts.impressions, facts.color_impressions) == (40, in_color) == (40, 5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 50), st.booleans())
def test_any_pattern_of_colour_and_copies(
    tmp_path_factory: pytest.TempPathFactory, pattern: list[bool], copies: int, two_sided: bool
) -> None:
    document = write_pdf(tmp_path_factory.mktemp("pdf") / "a.pdf", solid_pages(pattern)).read_bytes()
    sides = "two-sided-short-edge" if two_sided else "one-sided"
    found = examine_pdf(document, AnalysisRequest(copies=copies, options=f"sides={sides}"), BUDGET_S)
    assert found.color_pages == tuple(number for number, in_color in enumerate(pattern) if in_color)
    assert found.facts.impressions == copies * len(pattern)
    assert found.facts.sheets == copies * (-(-len(pattern) // 2) if two_sided else len(pattern))
    assert found.facts.color_impressions == copies * sum(pattern)


@pytest.mark.parametrize(
    ("page", "media"),
    [
        (Page(size=A4), "iso_a4_210x297mm"),
        (Page(size=LETTER), "na_letter_8.5x11in"),
        (Page(size=(842, 595)), "iso_a4_210x297mm"),
        (Page(size=A4, entries={"/Rotate": 90}), "iso_a4_210x297mm"),
        (Page(size=(1191, 842), entries={"/Rotate": 270}), "iso_a3_297x420mm"),
        (Page(size=(842, 1191), entries={"/CropBox": [100, 100, 695, 942]}), "iso_a4_210x297mm"),
        (Page(size=(595, 842), entries={"/UserUnit": 2}), "iso_a2_420x594mm"),
        (Page(size=(595, 842), entries={"/UserUnit": pikepdf.Object.parse(b"1.4142")}), "iso_a3_297x420mm"),
        (Page(size=(595, 842), entries={"/UserUnit": -3}), "iso_a4_210x297mm"),
        (Page(size=(595, 842), entries={"/UserUnit": pikepdf.Name("/Big")}), "iso_a4_210x297mm"),
        (Page(size=(200, 300)), "custom_70.56x105.83mm_70.56x105.83mm"),
    ],
)
@pytest.mark.parametrize("object_streams", [False, True])
def test_media(tmp_path: Path, page: Page, media: str, object_streams: bool) -> None:
    document = write_pdf(tmp_path / "a.pdf", [page], object_streams=object_streams).read_bytes()
    assert facts_of(document).media == media


def test_the_largest_page_gives_the_media(tmp_path: Path) -> None:
    assert facts_of(pdf_of(tmp_path, GREY, Page(size=(842, 1191)), Page(size=(612, 792)))).media == "iso_a3_297x420mm"


@pytest.mark.parametrize("edge", [0.5, 3, 14_400, 1_000_000])
def test_sizes_beyond_reason_are_drawn_smaller(tmp_path: Path, edge: float) -> None:
    box: dict[str, object] = {
        "/MediaBox": pikepdf.Array([0, 0, pikepdf.Object.parse(str(edge).encode()), int(edge) or 1])
    }
    document = pdf_of(tmp_path, Page(content=f"1 0 0 rg 0 0 {edge} {edge} re f", entries=box))
    facts = facts_of(document)
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (1, 1, False)


def test_blank_backs_are_told(tmp_path: Path) -> None:
    document = pdf_of(tmp_path, GREY, GREY, GREY, BLANK)
    two_sided = "sides=two-sided-long-edge"

    def blank_backs(copies: int, options: str) -> int:
        return examine_pdf(document, AnalysisRequest(copies=copies, options=options), BUDGET_S).facts.blank_backs

    assert blank_backs(3, two_sided) == 3
    assert blank_backs(1, two_sided) == 1
    assert blank_backs(3, "") == 0


def test_first_facts_come_before_the_search_for_colour(tmp_path: Path) -> None:
    first: list[JobFacts] = []
    document = pdf_of(tmp_path, GREY, GREY)
    last = analyse_document(document, AnalysisRequest(), BUDGET_S, counted=first.append)
    assert [(facts.impressions, facts.color_impressions, facts.estimated) for facts in first] == [(2, 2, True)]
    assert (last.color_impressions, last.estimated) == (0, False)


def test_colour_is_extrapolated_when_time_is_up(tmp_path: Path) -> None:
    facts = analyse_document(pdf_of(tmp_path, *[RED] * 9), AnalysisRequest(), budget_s=-1.0)
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (9, 9, True)
    assert facts.estimate_reason == "1 of 9 pages were looked at for colour"


@given(st.integers(1, 3000))
def test_spread_order_has_every_page_once_and_spreads(count: int) -> None:
    order = list(spread_order(count))
    assert sorted(order) == list(range(count))
    first = sorted(order[: -(-count // 8)])
    gaps = [after - before for before, after in zip(first, [*first[1:], count], strict=True)]
    assert max(gaps, default=0) <= 32


def test_an_encrypted_document_without_a_user_password_is_read(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [RED, GREY], encryption=pikepdf.Encryption(owner="secret", user=""))
    facts = facts_of(path.read_bytes())
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (2, 1, False)


def test_an_encrypted_document_is_estimated(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", [RED] * 3, encryption=pikepdf.Encryption(owner="secret", user="known"))
    facts = facts_of(path.read_bytes(), copies=2)
    assert (facts.impressions, facts.estimated) == (2, True)
    assert facts.estimate_reason == "the PDF could not be counted because it needs a password"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "it is empty"),
        (b"%PDF-1.7\n", "it is damaged or no PDF"),
        (b"%PDF-1.7\n" + b"\0" * 99_000, "it is damaged or no PDF"),
        (b"no PDF at all", "it is damaged or no PDF"),
    ],
)
def test_unreadable_documents_are_estimated(document: bytes, reason: str) -> None:
    facts = facts_of(document, document_format="application/pdf")
    assert (facts.impressions, facts.estimated) == (2 if len(document) > 50_000 else 1, True)
    assert facts.estimate_reason == f"the PDF could not be counted because {reason}"


def test_a_truncated_document_is_marked(tmp_path: Path) -> None:
    document = pdf_of(tmp_path, *[RED] * 30)
    facts = facts_of(document[: len(document) - 600])
    assert facts.estimated
    assert "damaged" in facts.estimate_reason
    assert facts.impressions >= 1


def test_a_page_that_is_not_there_makes_the_document_an_estimate(tmp_path: Path) -> None:
    document = pdf_of(tmp_path, GREY, GREY, GREY).replace(b"/Count 3", b"/Count 9")
    assert facts_of(document).estimated
    with pytest.raises(PdfError, match="page"):
        examine_pdf(document, AnalysisRequest(), BUDGET_S)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_anywhere_never_raises(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    document = bytearray(write_pdf(tmp_path_factory.mktemp("pdf") / "a.pdf", [RED, GREY, RED]).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(document) - 1))
        document[position] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(document)))
    facts = facts_of(bytes(document[:end]))
    assert facts.impressions >= 1


def test_other_formats_are_estimated_and_named() -> None:
    facts = facts_of(b"II*\0" + b" " * 60_000, document_format="image/tiff")
    assert (facts.impressions, facts.document_format, facts.estimated) == (2, "image/tiff", True)


def test_three_thousand_pages_are_counted_whatever_the_time(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=A4)
        for _ in range(2_999):
            pdf.pages.append(pdf.pages[0])
        buffer = io.BytesIO()
        pdf.save(buffer, static_id=True)
    facts = analyse_document(buffer.getvalue(), AnalysisRequest(copies=3), budget_s=0.02)
    assert facts.impressions == 9_000 < 3 * MAX_SIZES
    assert facts.color_impressions == 0


def test_pdftopdfs_note() -> None:
    head = (
        b"%PDF-1.3\n% This file was generated by pdftopdf\n%%PDFTOPDFNumCopies : 4\n%%PDFTOPDFCollate : true\n1 0 obj"
    )
    assert noted_copies(head) == 4
    assert noted_copies(head.replace(b"%\xbf\xf7\xa2\xfe\n", b"")) == 4
    assert noted_copies(b"%PDF-1.3\n1 0 obj\n%%PDFTOPDFNumCopies : 4\n") is None


def test_pdf_behind_a_printer_language_header(tmp_path: Path) -> None:
    header = b"\x1b%-12345X@PJL\n@PJL SET DUPLEX=ON\n@PJL ENTER LANGUAGE=PDF\n"
    facts = facts_of(header + pdf_of(tmp_path, RED, GREY) + b"\x1b%-12345X")
    assert (facts.impressions, facts.color_impressions) == (2, 1)
