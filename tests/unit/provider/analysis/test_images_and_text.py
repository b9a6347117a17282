"""Pictures and plain text."""

import io
import struct
import zlib

import pytest
from PIL import Image

from backend.wire.jobs import JobFacts
from provider.analysis.document import analyse_document
from provider.analysis.text import pages_of
from provider.analysis.ticket import AnalysisRequest


def facts_of(document: bytes, **request: object) -> JobFacts:
    return analyse_document(document, AnalysisRequest(**request), 60.0)  # type: ignore[arg-type]


def picture(kind: str, mode: str, color: object, size: tuple[int, int] = (800, 600)) -> bytes:
    data = io.BytesIO()
    Image.new(mode, size, color).save(data, kind)  # type: ignore[arg-type]
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "color", "in_color"),
    [
        ("JPEG", "L", 90, 0),
        ("JPEG", "RGB", (90, 90, 90), 0),
        ("JPEG", "RGB", (200, 30, 30), 1),
        ("PNG", "1", 0, 0),
        ("PNG", "RGBA", (200, 30, 30, 0), 0),
        ("PNG", "RGBA", (200, 30, 30, 255), 1),
        ("PNG", "P", 0, 0),
    ],
)
def test_a_picture_is_one_impression(kind: str, mode: str, color: object, in_color: int) -> None:
    facts = facts_of(picture(kind, mode, color), copies=3, by_name=True)
    assert (facts.impressions, facts.color_impressions, facts.copies, facts.estimated) == (3, 3 * in_color, 3, False)


def test_a_bomb_is_not_unpacked() -> None:
    small = picture("PNG", "RGB", (1, 1, 1))
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + small[24:29]
    facts = facts_of(small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (1, 1, True)


@pytest.mark.parametrize("document", [b"\xff\xd8\xff\xe0 no picture", b"\x89PNG\r\n\x1a\n no picture"])
def test_a_broken_picture_is_one_impression(document: bytes) -> None:
    facts = facts_of(document)
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (1, 1, True)


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        (b"", 0),
        (b"a\n" * 60, 1),
        (b"a\n" * 61, 2),
        (b"a\x0cb", 2),
        (b"a\x0c", 1),
        (b"x" * 4800, 1),
        (b"x" * 4801, 2),
        (b"\t" * 601, 2),
        ("ä".encode() * 4800, 1),
        (b"line\r\n" * 600_000, 10_000),
    ],
)
def test_text(text: bytes, pages: int) -> None:
    assert pages_of(text) == pages


def test_text_is_always_an_estimate() -> None:
    facts = facts_of(b"a\n" * 61, document_format="text/plain", copies=2)
    assert (facts.impressions, facts.color_impressions, facts.estimated) == (4, 0, True)
    assert "60 lines" in facts.estimate_reason
