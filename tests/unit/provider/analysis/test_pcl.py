"""PCL 5, PCL XL and PJL: what Ghostscript's drivers write, and streams written here byte by byte."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.wire.jobs import JobFacts
from provider.analysis.document import analyse_document
from provider.analysis.pcl_colors import unpack
from provider.analysis.ticket import AnalysisRequest
from tests.support.documents import GREY, RED, Page, converted, text_lines, write_pdf

UEL = b"\x1b%-12345X"
A3 = Page(content="0.4 g 100 100 300 300 re f", size=(842, 1191))
PCL = "application/vnd.hp-pcl"


def facts_of(document: bytes, budget_s: float = 60.0, **request: object) -> JobFacts:
    request.setdefault("document_format", PCL)
    return analyse_document(document, AnalysisRequest(**request), budget_s)  # type: ignore[arg-type]


def pages(document: bytes, **request: object) -> int:
    facts = facts_of(document, **request)  # type: ignore[arg-type]
    assert not facts.estimated, facts.estimate_reason
    return facts.impressions


@pytest.mark.parametrize("device", ["ljetplus", "laserjet", "ljet3", "ljet4", "ljet4pjl", "deskjet", "pxlmono"])
def test_drivers_in_black(tmp_path: Path, device: str) -> None:
    text = Page(content=text_lines(45, 1))
    document = converted(write_pdf(tmp_path / "a.pdf", [text, GREY, RED, text, GREY]), device, dpi=300)
    facts = facts_of(document)
    assert (facts.impressions, facts.color_impressions, facts.sheets, facts.estimated) == (5, 0, 5, False)


@pytest.mark.parametrize("device", ["cljet5c", "pxlcolor", "cdj970"])
def test_drivers_in_colour(tmp_path: Path, device: str) -> None:
    text = Page(content=text_lines(20, 1))
    document = converted(write_pdf(tmp_path / "a.pdf", [text, RED, text, RED, GREY]), device, dpi=300)
    facts = facts_of(document, copies=2, by_name=True)
    assert (facts.impressions, facts.color_impressions, facts.copies) == (10, 4, 2)
    assert facts_of(document, options="print-color-mode=monochrome").color_impressions == 0


def test_duplex_of_a_driver(tmp_path: Path) -> None:
    facts = facts_of(converted(write_pdf(tmp_path / "a.pdf", [GREY] * 5), "ljet4d", dpi=300))
    assert (facts.impressions, facts.sheets, facts.sides) == (5, 3, "two-sided-long-edge")


def test_duplex_and_media(tmp_path: Path) -> None:
    source = write_pdf(tmp_path / "a.pdf", [GREY, GREY, GREY, A3, GREY])
    facts = facts_of(converted(source, "pxlmono", "-dDuplex=true", dpi=300))
    assert (facts.impressions, facts.sheets, facts.sides) == (5, 4, "two-sided-long-edge")
    assert [(count.media, count.impressions) for count in facts.media_counts] == [
        ("iso_a3_297x420mm", 1),
        ("iso_a4_210x297mm", 4),
    ]


@pytest.mark.parametrize(
    ("document", "count"),
    [
        (b"\x1bE\x1bE", 0),
        (b"\x1bEHello\x1bE", 1),
        (b"\x1bEHello\x0c\x1bE", 1),
        (b"\x1bEHello\x0cagain", 2),
        (b"\x1bE\x0c\x0c", 2),
        (b"\x1bE\x1b&l3XHello\x0cagain\x1bEonce", 7),
        (b"\x1bE\x1b*b3W\x0c\x0c\x0c\x1bE", 1),
        (b"\x1bE\x1b*b3m2v\x0c\x0c3W\x0c\x0c\x0c\x1bE", 1),
        (b"\x1bE\x1b(s4W\x0c\x0c\x1bE\x1b)s2W\x0c\x0cHi\x1bE", 1),
        (b"\x1bE\x1b&p4X\x0c\x1bE\x0c\x1bE", 1),
        (b"\x1bE\x1b*v6W\x0c\x0c\x0c\x0c\x0c\x0c\x1bE", 0),
        (b"\x1bE\x1b%0BIN;SP1;PA0,0;PD100,100;\x1b%0A\x0c\x1bE", 1),
        (b"\x1bE\x1b%0BIN;\x1b%0A\x1bE", 0),
        (b"\x1bEa\x1b&l0Hb\x1b&l26Ac\x1b&l1Od\x1bE", 4),
        (b"\x1bE\x1b&l26A\x1b&l0O\x1b&l1X\x1bE", 0),
        (b"\x1bE" + b"line\r\n" * 63 + b"\x1bE", 1),
        (b"\x1bE" + b"line\r\n" * 130 + b"\x1bE", 3),
        (b"\x1bE\x1b&l0L" + b"line\r\n" * 130 + b"\x1bE", 1),
        (b"\x1bE\x1b&f0X\x0c\x0c\x0c\x1b&f1X\x1b&f2X\x1bE", 1),
        (b"\x1bEHello\x1b*b999999W\x0c", 1),
        (b"\x1bE\x1b", 0),
    ],
)
def test_pcl(document: bytes, count: int) -> None:
    assert pages(document) == count


def test_duplex_by_command() -> None:
    facts = facts_of(b"\x1bE\x1b&l2Sa\x0cb\x0cc\x0c\x1b&l0Sd\x0c\x1bE")
    assert (facts.impressions, facts.sheets, facts.sides) == (4, 3, "two-sided-short-edge")
    assert facts_of(b"\x1bE\x1b&l1Sa\x0c\x1b&a1Gb\x0c\x1bE").sheets == 2


@pytest.mark.parametrize(
    ("document", "color"),
    [
        (b"\x1b*r3U\x1b*r1A\x1b*b1V\x01\x1b*b1V\x01\x1b*b1W\x01\x0c", 0),
        (b"\x1b*r3U\x1b*r1A\x1b*b1V\x01\x1b*b1V\x01\x1b*b1W\x02\x0c", 1),
        (b"\x1b*r-4U\x1b*r1A\x1b*b1V\x01\x1b*b0V\x1b*b1V\0\x1b*b1W\0\x0c", 0),
        (b"\x1b*r-4U\x1b*r1A\x1b*b1V\x01\x1b*b0V\x1b*b1V\x40\x1b*b1W\0\x0c", 1),
        (b"\x1b*v6W\0\3\0\x08\x08\x08\x1b*r1A\x1b*b6W\x11\x11\x11\x20\x22\x21\x0c", 0),
        (b"\x1b*v6W\0\3\0\x08\x08\x08\x1b*r1A\x1b*b6W\x11\x11\x11\x20\x22\x81\x0c", 1),
        (b"\x1b*v6W\0\0\3\1\1\1\x1b*v1Stext\x0c\x1b*v0Stext\x0c", 1),
        (b"\x1b*v6W\0\1\x08\x08\x08\x08\x1b*v1a1b0c9I\x1b*v9Stext\x0c", 1),
        (b"\x1b*r3U\x1b%0BSP2;PD9,9;\x1b%0A\x0c", 1),
        (b"\x1b%0BSP2;PD9,9;\x1b%0A\x0c", 0),
    ],
)
def test_pcl_colour(document: bytes, color: int) -> None:
    facts = facts_of(b"\x1bE" + document + b"\x1bE")
    assert (facts.color_impressions, facts.estimated) == (color, False)


def test_unpacking() -> None:
    assert unpack(b"\2\7\0\x08", 1, bytearray()) == b"\7\7\7\x08"
    assert unpack(b"\xfe\7\1\x08\x09", 2, bytearray()) == b"\7\7\7\x08\x09"
    assert unpack(b"\x21\xaa\xbb", 3, bytearray(5)) == b"\0\xaa\xbb\0\0"
    assert unpack(b"\x1f\x01\xcc", 3, bytearray()) == bytes(32) + b"\xcc"


def pjl_job(setting: bytes) -> bytes:
    return UEL + b"@PJL JOB\r\n@PJL SET " + setting + b"\r\n@PJL ENTER LANGUAGE=PCL\r\n\x1bE"


@pytest.mark.parametrize(
    ("setting", "impressions", "sheets"),
    [(b"COPIES=3", 6, 6), (b"QTY=4", 8, 8), (b"DUPLEX=ON", 2, 1), (b"RESOLUTION=600", 2, 2)],
)
def test_pjl(setting: bytes, impressions: int, sheets: int) -> None:
    facts = facts_of(pjl_job(setting) + b"a\x0cb\x1bE" + UEL + b"@PJL EOJ\r\n" + UEL)
    assert (facts.impressions, facts.sheets, facts.estimated) == (impressions, sheets, False)


def test_several_jobs_in_one_stream(tmp_path: Path) -> None:
    source = write_pdf(tmp_path / "a.pdf", [GREY, RED])
    jobs = [
        pjl_job(b"PAPER=A3") + b"a\x0c",
        UEL + b"@PJL EOJ\r\n" + converted(source, "pxlcolor"),
        UEL + b"@PJL ENTER LANGUAGE=POSTSCRIPT\n" + converted(source, "ps2write"),
        UEL + b"@PJL ENTER LANGUAGE=PDF\n" + source.read_bytes(),
        UEL + b"@PJL INFO STATUS\r\n" + UEL,
    ]
    facts = facts_of(b"".join(jobs))
    assert (facts.impressions, facts.color_impressions, facts.estimate_reason) == (7, 3, "")
    assert facts.media == "iso_a3_297x420mm"


def test_a_language_nobody_knows_is_estimated() -> None:
    facts = facts_of(UEL + b"@PJL ENTER LANGUAGE=LAVAFLOW\n" + b"x" * 120_000 + UEL)
    assert (facts.impressions, facts.estimated) == (3, True)


def test_broken_pcl_xl_is_estimated_from_there(tmp_path: Path) -> None:
    document = converted(write_pdf(tmp_path / "a.pdf", [GREY, GREY]), "pxlmono")
    facts = facts_of(document.replace(b"\xf8\x31\x44", b"\xf8\x31\x44\xff", 1), document_format="")
    assert facts.estimated
    assert "no tag" in facts.estimate_reason


def test_time_up_is_estimated_from_the_size() -> None:
    facts = facts_of(b"\x1bE" + b"\x1b&l1Xa" * 100_000, budget_s=-1.0)
    assert facts.estimated
    assert 1 <= facts.impressions <= 20


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_have_an_answer(content: bytes) -> None:
    for head in (b"\x1bE", b") HP-PCL XL;2;0\n", UEL, b"\x1bE\x1b*r3U\x1b*b", b"\x1b%0B"):
        assert facts_of(head + content).impressions >= 0
