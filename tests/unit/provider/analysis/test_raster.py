"""Raster as CUPS's filters write it, and raster that lies."""

import gc
import mmap
import struct
from pathlib import Path

import pytest

from backend.wire.jobs import JobFacts
from provider.analysis.document import analyse_document
from provider.analysis.ticket import AnalysisRequest
from tests.support.documents import GREY, RED, Page, converted, raster_of, write_pdf

KINDS = ("image/urf", "image/pwg-raster")
TWO_SIDED = "sides=two-sided-long-edge"
A4_AT_50 = (413, 585)


def facts_of(document: bytes, budget_s: float = 60.0, **request: object) -> JobFacts:
    return analyse_document(document, AnalysisRequest(**request), budget_s)  # type: ignore[arg-type]


def counts(facts: JobFacts) -> tuple[int, int, int, int]:
    return facts.impressions, facts.color_impressions, facts.sheets, facts.blank_backs


@pytest.mark.parametrize("kind", KINDS)
def test_pages_colour_and_media(tmp_path: Path, kind: str) -> None:
    document = raster_of(write_pdf(tmp_path / "a.pdf", [GREY, RED, GREY, GREY, RED]), kind)
    facts = facts_of(document, copies=3)
    assert counts(facts) == (5, 2, 5, 0)
    assert (facts.media, facts.copies, facts.document_format) == ("iso_a4_210x297mm", 1, kind)
    assert not facts.estimated


@pytest.mark.parametrize("kind", KINDS)
def test_grey_raster_has_no_colour(tmp_path: Path, kind: str) -> None:
    document = raster_of(write_pdf(tmp_path / "a.pdf", [RED, RED]), kind, gray=True)
    assert counts(facts_of(document)) == (2, 0, 2, 0)


@pytest.mark.parametrize("options", [(), ("-dcupsCompressed=1",)])
@pytest.mark.parametrize("space", [1, 6])
def test_cups_raster_of_every_version(tmp_path: Path, options: tuple[str, ...], space: int) -> None:
    pages = [GREY, RED, Page(content="0 g 9 9 200 200 re f", size=(842, 1191))]
    source = write_pdf(tmp_path / "a.pdf", pages)
    document = converted(source, "cups", f"-dcupsColorSpace={space}", "-dcupsBitsPerColor=8", *options)
    facts = facts_of(document)
    assert counts(facts) == (3, 1, 3, 0)
    assert [(count.media, count.impressions) for count in facts.media_counts] == [
        ("iso_a3_297x420mm", 1),
        ("iso_a4_210x297mm", 2),
    ]


def test_one_bit_of_black(tmp_path: Path) -> None:
    document = converted(write_pdf(tmp_path / "a.pdf", [RED, GREY]), "pwgraster")
    assert counts(facts_of(document)) == (2, 0, 2, 0)


def test_bits_that_are_not_looked_into_count_as_colour(tmp_path: Path) -> None:
    source = write_pdf(tmp_path / "a.pdf", [GREY])
    facts = facts_of(converted(source, "cups", "-dcupsColorSpace=6", "-dcupsBitsPerColor=1"))
    assert counts(facts) == (1, 1, 1, 0)
    assert "not looked into" in facts.estimate_reason


def test_padded_copies() -> None:
    """Three copies of three pages, each padded by a blank back, as CUPS hands them over."""
    document = two_sided_urf([GREY_PIXEL, RED_PIXEL, GREY_PIXEL, WHITE_PIXEL] * 3)
    facts = facts_of(document, copies=3, options=TWO_SIDED)
    assert (counts(facts), facts.sides) == ((9, 3, 6, 3), "two-sided-long-edge")
    assert counts(facts_of(document, copies=1)) == (11, 3, 6, 1)


GREY_PIXEL, RED_PIXEL, WHITE_PIXEL = b"\x70\x72\x71", b"\xff\0\0", b"\xff\xff\xff"


def two_sided_urf(pages: list[bytes]) -> bytes:
    """Pages of one pixel's colour, 128 by 64."""
    header = struct.pack(">BBBBIIIIIII", 24, 1, 3, 4, 0, 0, 128, 64, 50, 0, 0)
    body = b"".join(header + bytes((63, 127)) + pixel for pixel in pages)
    return b"UNIRAST\0" + struct.pack(">I", len(pages)) + body


def urf(pages: int, *, size: tuple[int, int] = A4_AT_50, dpi: int = 50, bits: int = 24) -> bytes:
    """Blank pages: each line is one byte that says how often it is repeated, and one that says it is blank."""
    width, height = size
    lines = b"".join(bytes((min(height - at, 256) - 1, 128)) for at in range(0, height, 256))
    header = struct.pack(">BBBBIIIIIII", bits, 1 if bits == 24 else 0, 1, 4, 0, 0, width, height, dpi, 0, 0)
    return b"UNIRAST\0" + struct.pack(">I", pages) + (header + lines) * pages


@pytest.mark.long
def test_a_hundred_thousand_pages() -> None:
    facts = facts_of(urf(100_000, size=(30, 40)), budget_s=120.0)
    assert (facts.impressions, facts.estimated) == (100_000, False)


def test_time_up_counts_the_rest_by_headers() -> None:
    facts = facts_of(urf(500), budget_s=-1.0)
    assert (facts.impressions, facts.estimated) == (500, True)
    assert "0 of 500 pages" in facts.estimate_reason


def test_first_facts_come_before_the_first_page() -> None:
    first: list[JobFacts] = []
    analyse_document(urf(7), AnalysisRequest(), 60.0, first.append)
    assert [(facts.impressions, facts.estimated) for facts in first] == [(7, True)]


def test_truncated_raster_is_counted_by_headers(tmp_path: Path) -> None:
    document = raster_of(write_pdf(tmp_path / "a.pdf", [GREY, RED, GREY]), "image/pwg-raster")
    facts = facts_of(document[:-200])
    assert (facts.impressions, facts.estimated) == (3, True)
    assert "ends in the middle of a page" in facts.estimate_reason


@pytest.mark.parametrize(
    "document",
    [
        b"UNIRAST\0\0\0\0\1",
        b"RaS2" + bytes(1796),
        b"RaS3" + b"\xff" * 1796,
        urf(1, size=(0, 40)),
        urf(1, size=(1 << 30, 40)),
    ],
)
def test_no_raster_is_estimated(document: bytes) -> None:
    facts = facts_of(document, budget_s=5.0)
    assert facts.estimated
    assert facts.impressions == 1


@pytest.mark.parametrize("broken", [False, True])
def test_the_document_is_let_go_at_once(tmp_path: Path, broken: bool) -> None:
    """Not when Python next looks for cycles: its mapping counts against the memory that the next may have."""
    path = tmp_path / "document"
    path.write_bytes(b"RaS2" if broken else raster_of(write_pdf(tmp_path / "a.pdf", [GREY]), "image/pwg-raster"))
    gc.disable()
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            facts = analyse_document(mapped, AnalysisRequest(document_format="image/pwg-raster"), 60.0)
    finally:  # closing the mapping has raised BufferError where something still held it
        gc.enable()
    assert (facts.impressions, facts.estimated) == (1, broken)


def test_a_bomb_of_blank_lines_ends_in_time() -> None:
    """A few kilobytes that stand for terabytes of pixels."""
    facts = facts_of(urf(50, size=(4_000_000, 4_000_000), dpi=600), budget_s=0.3)
    assert (facts.impressions, facts.estimated) == (50, True)


def test_a_header_among_the_pixels_is_no_page() -> None:
    """Literal pixels that look like a page's header."""
    real = urf(1, size=(32, 1))
    header = real[12:44]
    line = bytes((0, 257 - 32)) + (header * 3)
    document = real[:12] + header + line
    assert (facts_of(document).impressions, facts_of(document).estimated) == (1, False)
