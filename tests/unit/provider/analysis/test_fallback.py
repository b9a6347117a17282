"""The stated rule for what is not looked at, and the formats it tells apart."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.wire.jobs import JobFacts
from provider.analysis.fallback import estimate
from provider.analysis.formats import document_format
from provider.analysis.ticket import AnalysisRequest


@pytest.mark.parametrize(
    ("kind", "size", "impressions"),
    [
        ("application/octet-stream", 0, 1),
        ("application/octet-stream", 50_000, 1),
        ("application/octet-stream", 50_001, 2),
        ("application/pdf", 500_000, 10),
        ("image/jpeg", 9_000_000, 1),
        ("image/urf", 3_000_001, 3),
        ("text/plain", 9_000, 3),
    ],
)
def test_the_rule(kind: str, size: int, impressions: int) -> None:
    facts = estimate(AnalysisRequest(), kind, size, "it is damaged")
    assert (facts.impressions, facts.sheets, facts.color_impressions) == (impressions, impressions, 0)
    assert facts.estimated
    assert facts.estimate_reason == "it is damaged"


def test_copies_and_sides_count() -> None:
    request = AnalysisRequest(copies=4, options="sides=two-sided-long-edge media=A4")
    facts = estimate(request, "application/pdf", 150_000, "it is damaged")
    assert (facts.impressions, facts.sheets, facts.copies, facts.media) == (12, 8, 4, "iso_a4_210x297mm")
    raster = estimate(request, "image/urf", 4_500_000, "not counted")
    assert (raster.impressions, raster.sheets, raster.copies) == (3, 2, 1)


@given(st.integers(-(2**70), 2**70), st.integers(-(2**40), 2**40), st.text(max_size=40), st.text(max_size=2000))
def test_there_is_an_answer_that_fits_the_contract(size: int, copies: int, kind: str, reason: str) -> None:
    facts = estimate(AnalysisRequest(copies=copies), kind, size, reason or "?")
    assert facts.impressions >= 1
    assert msgspec.json.decode(msgspec.json.encode(facts), type=JobFacts) == facts


@pytest.mark.parametrize(
    ("head", "told", "kind"),
    [
        (b"%PDF-1.7\n", "application/octet-stream", "application/pdf"),
        (b"\xef\xbb\xbf%PDF-1.7\n", "", "application/pdf"),
        (b"junk\n%PDF-1.7\n", "application/pdf", "application/pdf"),
        (b"junk\n%PDF-1.7\n", "application/vnd.cups-raw", "application/vnd.cups-raw"),
        (b"\x1b%-12345X@PJL\r\n@PJL SET COPIES=2\r\n@PJL ENTER LANGUAGE = PDF\r\n%PDF-1.3\n", "", "application/pdf"),
        (b"\x1b%-12345X@PJL ENTER LANGUAGE=PCLXL\n%PDF-1.3\n", "application/pdf", "application/vnd.hp-pclxl"),
        (b"\x1b%-12345X@PJL\n%PDF-1.3\n", "application/pdf", "application/octet-stream"),
        (b"%!PS-Adobe-3.0\n", "application/pdf", "application/postscript"),
        (b"UNIRAST\0\0\0\0\1", "application/pdf", "image/urf"),
        (b"RaS2PwgRaster", "", "image/pwg-raster"),
        (b"\xff\xd8\xff\xe0", "application/octet-stream", "image/jpeg"),
        (b"hello", "text/plain", "text/plain"),
        (b"", "", "application/octet-stream"),
    ],
)
def test_formats(head: bytes, told: str, kind: str) -> None:
    assert document_format(head, told) == kind
